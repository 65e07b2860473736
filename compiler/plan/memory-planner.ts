import { onceForAll } from '../compile-cache.ts'
import { addLinear, atBatch, type Linear } from '../ir/cost.ts'
import { Skyline } from './skyline.ts'

/** A tensor's stay in memory, in numbers of dispatches. */
export interface LiveRange {
  /** The size in bytes. */
  readonly size: Linear
  readonly first: number
  readonly last: number
  /** Dispatches that write it, and those that only read it. */
  readonly written: readonly number[]
  readonly read: readonly number[]
}

/**
 * The placement of a tensor: its buffer, and the tensors of that buffer that it starts after. With none it starts at the buffer's
 * beginning.
 */
export interface BufferPlacement {
  readonly buffer: number
  readonly after: readonly number[]
}

export interface MemoryPlan {
  /** The places in the order of the live ranges. */
  readonly places: readonly BufferPlacement[]
  /** Bytes of each buffer, the largest first, as an amount linear in the batch: at the one that was asked for. */
  readonly buffers: readonly Linear[]
  /** The most that is alive at one time: no plan can need less. At the batch that was asked for, as an amount linear in it. */
  readonly lowerBound: Linear
}

export interface MemoryRequest {
  readonly ranges: readonly LiveRange[]
  /**
   * The batch at which tensors are placed. The placement holds at any other batch too, since it names the tensors before each one instead
   * of an offset.
   */
  readonly batch: number
  /** Whether one dispatch may read and write different parts of one buffer. */
  readonly sharesBuffers: boolean
}

/**
 * Gives tensors whose lives do not meet the same place: the greedy placement of Pisarchyk & Lee 2020 ("Efficient Memory Management for
 * Deep Neural Net Inference"), each tensor at the lowest gap that takes it, where it makes memory grow least. In which order, no rule is
 * always best: the largest first, what fills most memory for most time first, what lives longest first are tried, and the least is kept.
 *
 * WebGPU tracks usage per buffer and dispatch: what one dispatch reads and what it writes must lie in different buffers. None is larger
 * than twice the largest tensor, so that it is allowed wherever that tensor can be bound: every WebGPU grants buffers of 256 MiB and
 * bindings of 128 MiB.
 */
export function planMemory(request: MemoryRequest): MemoryPlan {
  const { ranges, batch, sharesBuffers } = request
  const question = `${batch} ${sharesBuffers} ${
    ranges.map(({ size, first, last, written, read }) =>
      `${size.fixed},${size.perSample},${first},${last},${written.join('.')},${read.join('.')}`
    )
      .join(' ')
  }`
  return onceForAll('memory', question, () => placed(request), ({ places, buffers }) => 64 * (places.length + buffers.length))
}

function placed({ ranges, batch, sharesBuffers }: MemoryRequest): MemoryPlan {
  const sizes = Float64Array.from(ranges, ({ size }) => roundUp(atBatch(size, batch)))
  const first = Int32Array.from(ranges, (r) => r.first)
  const last = Int32Array.from(ranges, (r) => r.last)
  const lowerBound = mostAlive(ranges, batch)
  const bound = mostAlive(ranges.map((r, i) => ({ ...r, size: { fixed: sizes[i]!, perSample: 0 } })), batch).fixed
  const conflicts = sharesBuffers ? ranges.map(() => []) : conflictsOf(ranges)
  const most = sharesBuffers ? Infinity : 2 * sizes.reduce((largest, size) => Math.max(largest, size), 0)
  const rounds = Math.min(MOST_ROUNDS, Math.max(1, Math.floor(PLACEMENTS / Math.max(1, ranges.length))))
  let best: Packing | undefined
  for (const weight of WEIGHTS) {
    const order = ranges.map((r, i) => ({ i, weight: weight(sizes[i]!, r.last - r.first + 1) })).sort((a, b) =>
      b.weight - a.weight || a.i - b.i
    ).map(({ i }) => i)
    for (let round = 0; round < rounds && !(best && total(best) <= GOOD * bound); round++) {
      const packing = pack({ first, last, sizes, conflicts }, most, order)
      if (!best || total(packing) < total(best)) best = packing
      const grew = order.indexOf(packing.grewLast)
      order.splice(grew >> 1, 0, ...order.splice(grew, 1))
    }
  }
  return { ...described(ranges, best!, batch), lowerBound }
}

/**
 * The greatest number of rounds: in each, the tensor that last made memory grow is placed earlier. Fewer rounds where there are many
 * tensors (`PLACEMENTS`).
 */
const MOST_ROUNDS = 16
const PLACEMENTS = 2000
/** A packing that needs at most this many times the lower bound is good enough to stop. */
const GOOD = 1.01

/**
 * Orders of placement that are tried: each gives a tensor's weight by its bytes and the length of its life; the heaviest tensor is placed
 * first.
 */
const WEIGHTS: readonly ((bytes: number, life: number) => number)[] = [(bytes) => bytes, (bytes, life) => bytes * life, (_, life) => life]

/** Places start at multiples of 256 bytes: what every WebGPU lets a binding start at. */
const roundUp = (bytes: number): number => Math.ceil(bytes / 256) * 256

interface Packing {
  /** Numbers of tensors in each buffer, by where they start. */
  readonly buffers: number[][]
  readonly starts: Float64Array
  readonly heights: number[]
  /** The last tensor that did not fit into what was there. */
  grewLast: number
}

const total = ({ heights }: Packing): number => heights.reduce((a, b) => a + b, 0)

/** Lists for each tensor those that a dispatch reads while it writes it, or writes while it reads it. */
function conflictsOf(ranges: readonly LiveRange[]): (readonly number[])[] {
  const readAt = new Map<number, number[]>()
  ranges.forEach(({ read }, i) => {
    for (const at of read) readAt.set(at, [...(readAt.get(at) ?? []), i])
  })
  const conflicts = ranges.map(() => new Set<number>())
  ranges.forEach(({ written }, i) => {
    for (const at of written) {
      for (const other of readAt.get(at) ?? []) {
        conflicts[i]!.add(other)
        conflicts[other]!.add(i)
      }
    }
  })
  return conflicts.map((others) => [...others])
}

/** Tensors as lists of numbers: they are placed many times. */
interface Placed {
  readonly first: Int32Array
  readonly last: Int32Array
  /** The sizes in bytes, rounded up. */
  readonly sizes: Float64Array
  readonly conflicts: readonly (readonly number[])[]
}

function pack(tensors: Placed, most: number, order: readonly number[]): Packing {
  const { sizes, conflicts } = tensors
  const packing: Packing = { buffers: [], starts: new Float64Array(sizes.length), heights: [], grewLast: order[0] ?? -1 }
  const { buffers, starts, heights } = packing
  const bufferOf = new Int32Array(sizes.length).fill(-1)
  // The tensor that a buffer was last barred for.
  const barredFor = new Int32Array(sizes.length).fill(-1)
  for (const i of order) {
    const size = sizes[i]!
    let best = buffers.length
    let bestStart = 0
    let bestGrowth = size
    for (const other of conflicts[i]!) if (bufferOf[other]! >= 0) barredFor[bufferOf[other]!] = i
    for (let buffer = 0; buffer < buffers.length; buffer++) {
      if (barredFor[buffer] === i) continue
      const start = lowestGap(i, buffers[buffer]!, starts, tensors)
      const height = heights[buffer]!
      const growth = Math.max(0, start + size - height)
      if (growth >= bestGrowth || (growth > 0 && height + growth > most)) continue
      best = buffer
      bestStart = start
      bestGrowth = growth
    }
    const members = buffers[best] ??= []
    if (bestGrowth > 0) packing.grewLast = i
    starts[i] = bestStart
    heights[best] = (heights[best] ?? 0) + bestGrowth
    bufferOf[i] = best
    members.splice(firstAfter(members, starts, bestStart), 0, i)
  }
  return packing
}

/** The number of members, which are sorted by their start, that start no later than `start`. */
function firstAfter(members: readonly number[], starts: Float64Array, start: number): number {
  let [low, high] = [0, members.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (starts[members[middle]!]! > start) high = middle
    else low = middle + 1
  }
  return low
}

function lowestGap(i: number, members: readonly number[], starts: Float64Array, { first, last, sizes }: Placed): number {
  const from = first[i]!
  const to = last[i]!
  const size = sizes[i]!
  let start = 0
  for (let k = 0; k < members.length; k++) {
    const m = members[k]!
    if (first[m]! > to || last[m]! < from) continue
    const taken = starts[m]!
    if (taken - start >= size) break
    start = Math.max(start, taken + sizes[m]!)
  }
  return start
}

/**
 * Largest buffer first; each tensor behind those that lie right below it at some time of its life. What lies below these lies below it too,
 * so that the lists are short, however many tensors are alive at once.
 */
function described(ranges: readonly LiveRange[], { buffers, heights }: Packing, batch: number): Pick<MemoryPlan, 'places' | 'buffers'> {
  const places = new Array<BufferPlacement>(ranges.length)
  const ends = new Array<Linear>(ranges.length)
  const highest = (ends: readonly Linear[]): Linear =>
    ends.reduce((most, end) => (atBatch(end, batch) > atBatch(most, batch) ? end : most), NOTHING)
  const ordered = buffers.map((members, i) => ({ members, height: heights[i]! })).sort((a, b) => b.height - a.height)
  const sizes = ordered.map(({ members }, buffer) => {
    const skyline = new Skyline()
    for (const i of members) {
      const after = skyline.cover(ranges[i]!.first, ranges[i]!.last, i)
      places[i] = { buffer, after }
      ends[i] = addLinear(highest(after.map((m) => ends[m]!)), ranges[i]!.size)
    }
    return highest(members.map((m) => ends[m]!))
  })
  return { places, buffers: sizes }
}

const NOTHING: Linear = { fixed: 0, perSample: 0 }

function mostAlive(ranges: readonly LiveRange[], batch: number): Linear {
  const end = ranges.reduce((latest, r) => Math.max(latest, r.last), 0)
  const [fixed, perSample] = [new Float64Array(end + 2), new Float64Array(end + 2)]
  for (const { first, last, size } of ranges) {
    fixed[first]! += size.fixed
    fixed[last + 1]! -= size.fixed
    perSample[first]! += size.perSample
    perSample[last + 1]! -= size.perSample
  }
  let most = NOTHING
  let alive = NOTHING
  for (let at = 0; at <= end; at++) {
    alive = addLinear(alive, { fixed: fixed[at]!, perSample: perSample[at]! })
    if (atBatch(alive, batch) > atBatch(most, batch)) most = alive
  }
  return most
}
