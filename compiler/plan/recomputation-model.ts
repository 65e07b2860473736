import { resolved } from '../graph/query.ts'
import { atBatch, bytesOf, flopsOf } from '../ir/cost.ts'
import { type Equation, reads, writes } from '../ir/equation.ts'
import { updatesInPlace } from '../ir/regions.ts'
import { bufferOf, isBatched, overlap, type Tensor } from '../ir/tensor.ts'
import type { LaunchSequence } from './kernel-launch.ts'

/** A program, and how its values are weighed. */
export interface RematerializationRequest extends LaunchSequence {
  /** Results of the program: they stay. */
  readonly results: readonly Tensor[]
  /** The tensors of `results` that are losses. The backward pass begins after the last of them was written. */
  readonly losses: readonly Tensor[]
  /** The batch at which bytes and FLOPs are weighed. */
  readonly batch: number
}

/** A kernel that runs, for the first time or again. */
export interface Launch {
  readonly kernel: number
  readonly again: boolean
  /** Numbers of the values that the kernel reads and writes. */
  readonly values: readonly number[]
}

/**
 * Tells which kernels run again, and what that costs, if values of a program are dropped. It knows values, and the kernels that read and write
 * them, by number. If value v is dropped, the value made again is number v + count.
 */
export class RecomputationModel {
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
        return at < this.forward && !(this.reads[at]!.includes(v) && updatesInPlace(equation)) && !writes(equation).some((t) =>
          this.root(t).storage
        ) &&
          !equation.sides.some(({ partials }) => this.root(partials) === value)
      })
      if (repeatable && !results.has(v) && isBatched(value.shape)) this.candidates.push(v)
    })
    this.candidates.sort((a, b) => this.makers[a]![0]! - this.makers[b]![0]!)
  }

  /** What a tensor is a view of, or itself. */
  root(t: Tensor): Tensor {
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
    // How many of its kernels ran again, by value. A kernel reads what those before it made: others may read it to fill the rest.
    const ran = new Uint32Array(count)
    let possible = true
    const lacks = (v: number, before: number): boolean => dropped[v] === 1 && this.makers[v]![ran[v]!]! < before
    const again = (value: number, at: number): void => {
      // Values that are being made, each with the kernel that asks for them and how many of what their next kernel reads is there.
      const open = [{ v: value, before: at, there: 0 }]
      for (let making = open.at(-1); making; making = open.at(-1)) {
        const { v, before } = making
        if (!lacks(v, before)) {
          open.pop()
          continue
        }
        const kernel = this.makers[v]![ran[v]!]!
        if (at > this.until[kernel]!) possible = false
        const needed = this.readsAgain[kernel]!
        while (making.there < needed.length && !lacks(needed[making.there]!, kernel)) making.there++
        if (making.there < needed.length) {
          open.push({ v: needed[making.there]!, before: kernel, there: 0 })
          continue
        }
        ran[v]!++
        making.there = 0
        for (const r of this.readsAgain[kernel]!) visit.use(dropped[r] ? r + count : r)
        visit.use(v + count)
        // What else it makes and is asked for, in the same go.
        for (const w of this.writes[kernel]!) {
          if (ran[w]! > 0 || !dropped[w] || !this.readLate[w] || this.makers[w]!.length > 1) continue
          ran[w] = 1
          visit.use(w + count)
        }
        visit.launch(kernel, true)
      }
    }
    this.reads.forEach((all, at) => {
      const late = at >= this.forward
      if (late) { for (const r of all) if (lacks(r, at)) again(r, at) }
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

  /** The launches of the program in which values are dropped. */
  launches(dropped: Uint8Array): Launch[] {
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
}

/** The equation without what it gathers as it stores. */
export const withoutSides = (equation: Equation): Equation => (equation.sides.length === 0 ? equation : { ...equation, sides: [] })
