import type { Linear } from '../loops/cost.ts'

/** A tensor's stay in memory: written first by dispatch `first`, read or written last by dispatch `last`. */
export interface LiveRange {
  readonly size: Linear
  readonly first: number
  readonly last: number
}

export interface SlotPlan {
  /** Slot of each live range, in the order given. */
  readonly slotOf: readonly number[]
  readonly slotCount: number
  /** The most that is alive at one time: no plan can need less. At the reference batch and, as an amount, linear in it. */
  readonly lowerBound: Linear
}

/**
 * Gives tensors whose lives do not meet the same slot: largest first, each into the slot where it fits with the least
 * growth (the greedy-by-size of Pisarchyk & Lee 2020, with whole slots instead of offsets: WebGPU tracks usage per buffer,
 * so two tensors in one buffer could not be read and written by one dispatch). A dispatch never writes a slot that it reads.
 */
export function assignSlots(ranges: readonly LiveRange[], batch: number): SlotPlan {
  const bytes = (size: Linear): number => size.fixed + size.perSample * batch
  const order = ranges.map((_, i) => i).sort((a, b) => bytes(ranges[b]!.size) - bytes(ranges[a]!.size) || a - b)
  const slotOf = new Array<number>(ranges.length).fill(-1)
  const slots: number[][] = []
  for (const i of order) {
    const range = ranges[i]!
    const free = slots.findIndex((members) => members.every((j) => ranges[j]!.last < range.first || range.last < ranges[j]!.first))
    if (free >= 0) {
      slots[free]!.push(i)
      slotOf[i] = free
    } else {
      slotOf[i] = slots.length
      slots.push([i])
    }
  }
  return { slotOf, slotCount: slots.length, lowerBound: mostAlive(ranges, batch) }
}

function mostAlive(ranges: readonly LiveRange[], batch: number): Linear {
  let most: Linear = { fixed: 0, perSample: 0 }
  const end = Math.max(0, ...ranges.map((r) => r.last))
  for (let at = 0; at <= end; at++) {
    let fixed = 0
    let perSample = 0
    for (const r of ranges) if (r.first <= at && at <= r.last) { fixed += r.size.fixed; perSample += r.size.perSample }
    if (fixed + perSample * batch > most.fixed + most.perSample * batch) most = { fixed, perSample }
  }
  return most
}
