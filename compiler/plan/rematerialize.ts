import { resolved } from '../graph/query.ts'
import { overlap, bufferOf, isBatched, nextTensorId, type Tensor } from '../ir/tensor.ts'
import { atBatch, bytesOf, flopsOf } from '../ir/cost.ts'
import { mapValues, topDown } from '../ir/rewrite.ts'
import type { Kernel } from '../ir/kernel.ts'
import { type Equation, reads, writes } from '../ir/equation.ts'
import { loadAt } from '../ir/expression-node.ts'

/** A kernel in the order of its program: one launch of it. */
export interface KernelLaunch extends Kernel {
  /** The kernel computes again what an earlier launch computed and the program did not keep (activation checkpointing). */
  readonly again?: true
}

export interface RematerializedProgram {
  readonly steps: readonly KernelLaunch[]
  readonly viewOf: ReadonlyMap<Tensor, Tensor>
}

export interface RematerializationRequest extends RematerializedProgram {
  /** Results of the program: they stay. */
  readonly results: readonly Tensor[]
  /** The tensors of `results` that are losses. The backward pass begins after the last of them was written. */
  readonly losses: readonly Tensor[]
  /** The batch at which bytes and FLOPs are weighed. */
  readonly batch: number
}

/**
 * Trades time for memory (Chen, Xu, Zhang & Guestrin 2016, "Training Deep Nets with Sublinear Memory Cost"): values of the forward
 * pass are let go after their last reader there, and the kernels that made them run again, `conv2.again`, right before the backward
 * pass first asks. Which values: see `Choice`. A kernel runs again as it is, only that it gathers no statistics: those, like all that
 * does not grow with the batch, are kept, and running statistics are updated once. Dropout draws the same numbers again.
 *
 * It works on kernels and not on layers, so what it weighs is what is stored: what fusion computes as it is loaded costs nothing here.
 */
export function rematerializeValues(request: RematerializationRequest): RematerializedProgram {
  const program = new Kernels(request)
  const dropped = new DropSearch(program).run()
  return dropped.every((d) => d === 0) ? request : program.rewrite(dropped)
}

/**
 * The values of a program and the kernels that read and write them, by number. If value v is dropped, the value made again is number v +
 * count.
 */
class Kernels {
  readonly request: RematerializationRequest
  /** Scratch values: views are what they are views of. */
  readonly values: Tensor[] = []
  readonly bytes: number[] = []
  readonly flops: number[]
  /** Values that may be let go, in the order in which they are made. */
  readonly candidates: number[] = []
  private readonly index = new Map<Tensor, number>()
  private readonly reads: number[][]
  /** The same as `reads`, without the inputs that only side reductions read. */
  private readonly readsAgain: number[][]
  private readonly writes: number[][]
  /** Kernels that make each value: several where they fill parts of it, as for a concatenation. */
  private readonly makers: number[][] = []
  /** Number of kernels of the forward pass. */
  private readonly forward: number
  /** The last launch before which each kernel can still run again: there something that it reads is updated. */
  private readonly until: number[]
  /** Launches that write a buffer that outlives the program, in order, by the buffer's name. */
  private readonly updates = new Map<string, { readonly at: number; readonly value: Tensor }[]>()
  private readonly readLate: boolean[] = []
  private readonly results: readonly number[]

  constructor(request: RematerializationRequest) {
    this.request = request
    const { steps, batch } = request
    this.reads = steps.map(({ equation }) => this.numbers(reads(equation)))
    this.readsAgain = steps.map(({ equation }) => this.numbers(reads(withoutSides(equation))))
    this.writes = steps.map(({ equation }) => this.numbers(writes(equation)))
    this.flops = steps.map(({ equation }) => atBatch(flopsOf(withoutSides(equation)), batch))
    const losses = new Set(this.numbers(request.losses))
    this.forward = 1 + this.writes.findLastIndex((all) => all.some((v) => losses.has(v)))
    steps.forEach(({ equation }, at) => {
      for (const written of writes(equation)) {
        const value = this.root(written)
        const buffer = bufferOf(value)
        if (buffer === undefined) continue
        const known = this.updates.get(buffer) ?? []
        this.updates.set(buffer, known)
        known.push({ at, value })
      }
    })
    this.until = steps.map(({ equation }, at) => this.updatedAfter(equation, at))
    this.writes.forEach((all, at) => {
      for (const v of all) (this.makers[v] ??= []).push(at)
    })
    this.reads.forEach((all, at) => {
      if (at >= this.forward) { for (const v of all) this.readLate[v] = true }
    })
    this.results = this.numbers(request.results)
    const results = new Set(this.results)
    this.values.forEach((value, v) => {
      // What updates something in place is not done twice; nor is what a kernel gathers as it stores.
      const repeatable = this.makers[v]!.every((at) => {
        const { equation } = steps[at]!
        return at < this.forward && !this.reads[at]!.includes(v) && !writes(equation).some((t) => this.root(t).storage) &&
          !equation.sides.some(({ partials }) => this.root(partials) === value)
      })
      if (repeatable && !results.has(v) && isBatched(value.shape)) this.candidates.push(v)
    })
    this.candidates.sort((a, b) => this.makers[a]![0]! - this.makers[b]![0]!)
  }

  private root(t: Tensor): Tensor {
    return resolved(t, this.request.viewOf)
  }

  private numbers(tensors: readonly Tensor[]): number[] {
    const found = new Set<number>()
    for (const t of tensors) {
      const value = this.root(t)
      if (value.storage) continue
      let known = this.index.get(value)
      if (known === undefined) {
        known = this.values.length
        this.index.set(value, known)
        this.values.push(value)
        this.bytes.push(atBatch(bytesOf(value), this.request.batch))
      }
      found.add(known)
    }
    return [...found]
  }

  private updatedAfter(equation: Equation, at: number): number {
    let next = Infinity
    for (const read of reads(equation)) {
      const stored = this.root(read)
      const updates = stored.storage ? this.updates.get(bufferOf(stored)!) : undefined
      const update = updates?.find((u) => u.at > at && overlap(u.value, stored))
      if (update) next = Math.min(next, update.at)
    }
    return next
  }

  /**
   * Walks through the launches: what each reads and writes, value by value, then `launch`. Gives false if a value would have to be made
   * of something that has changed.
   */
  private walk(dropped: Uint8Array, visit: { use(value: number): void; launch(kernel: number, again: boolean): void }): boolean {
    const count = this.values.length
    const made = new Uint8Array(count)
    let possible = true
    const again = (value: number, at: number): void => {
      // Values that are being made, each with how many of its kernels ran and how many of what the next one reads is there.
      const open = [{ v: value, ran: 0, there: 0 }]
      made[value] = 1
      for (let making = open.at(-1); making; making = open.at(-1)) {
        const { v } = making
        const kernel = this.makers[v]![making.ran]
        if (kernel === undefined) {
          open.pop()
          continue
        }
        if (at > this.until[kernel]!) possible = false
        const needed = this.readsAgain[kernel]!
        while (making.there < needed.length && !(dropped[needed[making.there]!] && !made[needed[making.there]!])) making.there++
        if (making.there < needed.length) {
          const missing = needed[making.there]!
          made[missing] = 1
          open.push({ v: missing, ran: 0, there: 0 })
          continue
        }
        making.ran++
        making.there = 0
        for (const r of this.readsAgain[kernel]!) visit.use(dropped[r] ? r + count : r)
        visit.use(v + count)
        // What else it makes and is asked for, in the same go.
        for (const w of this.writes[kernel]!) {
          if (made[w] || !dropped[w] || !this.readLate[w] || this.makers[w]!.length > 1) continue
          made[w] = 1
          visit.use(w + count)
        }
        visit.launch(kernel, true)
      }
    }
    this.reads.forEach((all, at) => {
      const late = at >= this.forward
      if (late) { for (const r of all) if (dropped[r] && !made[r]) again(r, at) }
      for (const r of all) visit.use(late && dropped[r] ? r + count : r)
      for (const w of this.writes[at]!) visit.use(w)
      visit.launch(at, false)
    })
    return possible
  }

  /** The bytes that are alive at each launch, and the FLOPs that are done again. Undefined where a value could not be made again. */
  weigh(dropped: Uint8Array): { readonly alive: Float64Array; readonly flops: number } | undefined {
    const count = this.values.length
    const first = new Int32Array(2 * count).fill(-1)
    const last = new Int32Array(2 * count)
    let flops = 0
    let at = 0
    const possible = this.walk(dropped, {
      use: (v) => {
        if (first[v]! < 0) first[v] = at
        last[v] = at
      },
      launch: (kernel, again) => {
        if (again) flops += this.flops[kernel]!
        at++
      },
    })
    if (!possible) return undefined
    for (const v of this.results) last[v] = at - 1
    const alive = new Float64Array(at + 1)
    for (let v = 0; v < 2 * count; v++) {
      if (first[v]! < 0) continue
      const bytes = this.bytes[v < count ? v : v - count]!
      alive[first[v]!]! += bytes
      alive[last[v]! + 1]! -= bytes
    }
    for (let i = 1; i < at; i++) alive[i]! += alive[i - 1]!
    return { alive: alive.subarray(0, at), flops }
  }

  private launches(dropped: Uint8Array): Launch[] {
    const launches: Launch[] = []
    let values: number[] = []
    this.walk(dropped, {
      use: (v) => values.push(v),
      launch: (kernel, again) => {
        launches.push({ kernel, again, values })
        values = []
      },
    })
    return launches
  }

  rewrite(dropped: Uint8Array): RematerializedProgram {
    const viewOf = new Map(this.request.viewOf)
    const copies = new Map<Tensor, Tensor>()
    const count = this.values.length
    const copyOf = (t: Tensor): Tensor => {
      let before: Tensor | undefined
      // A view's copy is a view of the copy of what it shows.
      for (let of: Tensor | undefined = t; of; of = viewOf.get(of)) {
        const known = copies.get(of)
        const copy = known ?? { ...of, id: nextTensorId(), name: `${of.name}.again` }
        copies.set(of, copy)
        if (before) viewOf.set(before, copy)
        if (known) break
        before = copy
      }
      return copies.get(t)!
    }
    const steps = this.launches(dropped).map(({ kernel, again, values }): KernelLaunch => {
      const step = this.request.steps[kernel]!
      const fresh = new Set(values.filter((v) => v >= count).map((v) => this.values[v - count]!))
      const change = (t: Tensor): Tensor => (fresh.has(this.root(t)) ? copyOf(t) : t)
      if (!again) return fresh.size === 0 ? step : { ...step, equation: withTensors(step.equation, change) }
      const wanted = new Set(writes(step.equation).filter((t) => fresh.has(this.root(t))).map((t) => this.root(t)))
      const stores = step.equation.stores.filter((s) => wanted.has(this.root(s.tensor)))
      const { moments: _, sums: __, ...plain } = withTensors({ ...withoutSides(step.equation), stores }, change)
      return {
        equation: { ...plain, name: `${plain.name}.again`, stores: plain.stores.map((s) => ({ ...s, tensor: copyOf(s.tensor) })) },
        why: ['computed again for the backward pass, not kept: memory small'],
        again: true,
      }
    })
    return { steps, viewOf }
  }
}

interface Launch {
  readonly kernel: number
  readonly again: boolean
  /** Numbers of the values that the kernel reads and writes. */
  readonly values: readonly number[]
}

const withoutSides = (equation: Equation): Equation => (equation.sides.length === 0 ? equation : { ...equation, sides: [] })

/** The equation with `change` applied to each tensor that it loads. */
function withTensors(equation: Equation, change: (t: Tensor) => Tensor): Equation {
  const rewritten = topDown((node) => (node.kind === 'load' ? loadAt(change(node.tensor), node.at) : undefined))
  return {
    ...mapValues(equation, rewritten),
    sides: equation.sides.map((side) => (side.kind === 'sums' ? { ...side, terms: side.terms.map(rewritten) } : side)),
  }
}

/** Recomputing the whole forward pass is worth this share of the peak. */
const PASS_WORTH = 0.1
/** Exponent of the norm that stands for the peak while single values are tried. */
const POWER = 24
const MOST_ROUNDS = 4
const MOST_STARTS = 2
/** Limit on the work for very deep nets, in values and kernels visited: past it the search stops. */
const MOST_WEIGHED = 2e8

/**
 * The cost model: peak times 1 + PASS_WORTH * (FLOPs done again / FLOPs of the forward pass). It starts with the best of the plans that
 * keep one value in every so many bytes (Chen's segments), then lets go or keeps single values as long as that pays; while a
 * single value cannot lower the largest of many peaks, a high norm of the bytes alive over time stands for the largest.
 */
class DropSearch {
  private readonly kernels: Kernels
  private readonly pass: number
  /** Plans that may still be weighed. */
  private left: number

  constructor(kernels: Kernels) {
    this.kernels = kernels
    this.left = MOST_WEIGHED / Math.max(1, kernels.values.length + kernels.flops.length)
    this.pass = kernels.candidates.length === 0 ? 1 : Math.max(1, kernels.flops.reduce((a, b) => a + b, 0) / 3)
  }

  run(): Uint8Array {
    const { candidates, values } = this.kernels
    let best: Uint8Array = new Uint8Array(values.length)
    let bestCost = this.cost(best, largest)
    const starts: { dropped: Uint8Array; cost: number }[] = []
    for (let segments = 1; segments <= candidates.length; segments *= 2) {
      const dropped = this.segments(segments)
      starts.push({ dropped, cost: this.cost(dropped, norm) })
    }
    for (const { dropped } of starts.sort((a, b) => a.cost - b.cost).slice(0, MOST_STARTS)) {
      this.climb(dropped, norm)
      this.climb(dropped, largest)
      const cost = this.cost(dropped, largest)
      if (cost < bestCost) [best, bestCost] = [dropped, cost]
    }
    return best
  }

  /** Keeps the value with which each segment gets full. */
  private segments(count: number): Uint8Array {
    const { candidates, bytes, values } = this.kernels
    const most = candidates.reduce((sum, v) => sum + bytes[v]!, 0) / count
    const dropped = new Uint8Array(values.length)
    let sum = 0
    for (const v of candidates) {
      sum += bytes[v]!
      if (sum > most) sum = 0
      else dropped[v] = 1
    }
    return dropped
  }

  /** Turns over value after value, and leaves what pays. */
  private climb(dropped: Uint8Array, peak: (alive: Float64Array) => number): void {
    let cost = this.cost(dropped, peak)
    for (let round = 0, changed = true; changed && round < MOST_ROUNDS; round++) {
      changed = false
      for (const v of this.kernels.candidates) {
        dropped[v]! ^= 1
        if (this.left <= 0) {
          dropped[v]! ^= 1
          return
        }
        const other = this.cost(dropped, peak)
        if (other < cost) [cost, changed] = [other, true]
        else dropped[v]! ^= 1
      }
    }
  }

  private cost(dropped: Uint8Array, peak: (alive: Float64Array) => number): number {
    this.left--
    const weight = this.kernels.weigh(dropped)
    return weight ? peak(weight.alive) * (1 + (PASS_WORTH * weight.flops) / this.pass) : Infinity
  }
}

function largest(alive: Float64Array): number {
  let most = 0
  for (const bytes of alive) if (bytes > most) most = bytes
  return most
}

function norm(alive: Float64Array): number {
  const most = largest(alive)
  let sum = 0
  for (const bytes of alive) sum += (bytes / most) ** POWER
  return most * sum ** (1 / POWER)
}
