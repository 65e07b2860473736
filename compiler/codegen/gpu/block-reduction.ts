import { invariant } from '../../invariant.ts'
import { type Axis, axis, divide, index, type Index, type IndexLike, plus, remainder, times } from '../../ir/affine.ts'
import { divisors } from '../../ir/divisors.ts'
import type { Equation, SideReduction } from '../../ir/equation.ts'
import { aboutReference, bySubgroup, inTurn, type Merge, mergeMoments, mergeSums, type Read } from './merge-partials.ts'
import type { Operand } from '../kernel-function.ts'
import type { Schedule } from './schedule.ts'
import { range } from '../range.ts'
import type { Workgroup } from './workgroup.ts'

/** What invocations hold for one kept point each, of a tile of them. */
export interface BlockReduction {
  readonly side: SideReduction
  readonly schedule: Schedule
  readonly workgroup: Workgroup
  /** In the order in which they count through the workgroup. */
  readonly locals: readonly (readonly [Axis, Index])[]
  /** What the invocation has of each of its tile's kept points. */
  readonly kept: readonly (readonly Operand[])[]
  /** Bytes of shared memory that sides behind this one need: see `leastMergeBytes`. */
  readonly reserved: number
}

/** Stores the results for a kept point, counted from where the workgroup's block begins. */
type Write = (kept: Index, results: readonly Operand[]) => void

/** Puts together what all invocations of a workgroup hold of each kept point. */
export function reduceBlock(shared: BlockReduction, write: Write): void {
  const { side, workgroup, kept } = shared
  const merge = side.kind === 'moments' ? mergeMoments(workgroup.builder) : mergeSums(kept[0]!.length)
  if (workgroup.subgroups) mergeSubgroups(shared, merge, write)
  else mergeInvocations(shared, merge, write)
}

/**
 * Invocations leave their values in shared memory, [value, part, kept point]. Then several for each kept point put a run of parts
 * together, each of which leaves the result where its first part lay, and one puts those together; all in the order of the
 * workgroup. Moments are about the reference of the first part, which always holds something.
 */
function mergeInvocations({ side, schedule, workgroup, locals, kept, reserved }: BlockReduction, merge: Merge, write: Write): void {
  const { builder } = workgroup
  const tiles = schedule.group?.get(side.keptAxis) ?? 1
  const parts = workgroup.size / tiles
  const count = kept[0]!.length
  const atOnce = keptAtOnce(side, kept.length, (many) => 4 * count * parts * pitchOf(tiles * many) <= workgroup.bytesLeft - reserved)
  const pitch = pitchOf(tiles * atOnce)
  const [ofPart, ofTile] = splitLocal(locals, side.keptAxis)
  const array = workgroup.array('merge', count * parts * pitch)
  const at = (k: number, part: IndexLike, j: IndexLike): Index => plus(k * parts * pitch, times(part, pitch), j)
  const moments = side.kind === 'moments'
  for (let from = 0; from < kept.length; from += atOnce) {
    const round = kept.slice(from, from + atOnce)
    if (from > 0) workgroup.barrier()
    round.forEach((values, member) =>
      values.forEach((value, k) => workgroup.store(array, at(k, ofPart, plus(times(ofTile, round.length), member)), value))
    )
    workgroup.barrier()
    const slots = tiles * round.length
    const read = (slot: Index): Read => (part, k) => workgroup.load(array, at(k, part, slot))
    const asHeld = (slot: Index): Read => (moments ? aboutReference(builder, read(slot)(0, 0), read(slot)) : read(slot))
    const runs = runsOf(parts, slots, workgroup.size)
    if (runs > 1) {
      workgroup.fill(slots * runs, (i) => () => {
        const [slot, run] = [remainder(i, slots), divide(i, slots)]
        const ofRun = inTurn(
          builder,
          (inside) => builder.loop(axis('part', parts / runs), 1, (part) => inside(plus(times(part, runs), run))),
        )
        merge(ofRun, asHeld(slot)).forEach((value, k) => workgroup.store(array, at(moments ? k + 1 : k, run, slot), value))
      })
      workgroup.barrier()
    }
    workgroup.fill(slots, (slot) => () => {
      const point = plus(times(divide(slot, round.length), kept.length), remainder(slot, round.length), from)
      const reference = moments ? [read(slot)(0, 0)] : []
      const over = inTurn(builder, (inside) => builder.loop(axis('part', runs > 1 ? runs : parts), 1, inside))
      const merged = merge(over, runs === 1 ? asHeld(slot) : (part, k) => read(slot)(part, moments ? k + 1 : k))
      write(point, [...reference, ...merged])
    })
  }
}

/**
 * Each subgroup puts together what its invocations hold and leaves it in shared memory, [value, subgroup, kept point]; then one
 * invocation for each kept point goes through the subgroups. Only where all invocations hold the same kept points. The reference is
 * the first invocation's here too: another subgroup may hold nothing but what hangs over the edge.
 */
function mergeSubgroups({ side, schedule, workgroup, kept, reserved }: BlockReduction, merge: Merge, write: Write): void {
  const { builder } = workgroup
  invariant((schedule.group?.get(side.keptAxis) ?? 1) === 1, `subgroups hold several tiles of ${side.source.name}`)
  const moments = side.kind === 'moments'
  const references = moments ? workgroup.array('reference', kept.length) : -1
  if (moments) {
    workgroup.first(1, () => kept.forEach(([reference], i) => workgroup.store(references, index(i), reference!)))
    workgroup.barrier()
  }
  const count = kept[0]!.length - (moments ? 1 : 0)
  const { mostSubgroups } = workgroup
  const atOnce = keptAtOnce(side, kept.length, (many) => 4 * count * mostSubgroups * pitchOf(many) <= workgroup.bytesLeft - reserved)
  const pitch = pitchOf(atOnce)
  const array = workgroup.array('merge', count * mostSubgroups * pitch)
  const at = (k: number, subgroup: IndexLike, j: IndexLike): Index => plus(k * mostSubgroups * pitch, times(subgroup, pitch), j)
  for (let from = 0; from < kept.length; from += atOnce) {
    const round = kept.slice(from, from + atOnce)
    const merged = round.map((values, i) => {
      const held: Read = (_, k) => values[k]!
      return merge(bySubgroup(builder), moments ? aboutReference(builder, workgroup.load(references, index(from + i)), held) : held)
    })
    if (from > 0) workgroup.barrier()
    workgroup.firstOfSubgroup((subgroup) =>
      merged.forEach((values, i) => values.forEach((value, k) => workgroup.store(array, at(k, subgroup, i), value)))
    )
    workgroup.barrier()
    workgroup.fill(round.length, (slot) => () => {
      const reference = moments ? [workgroup.load(references, plus(slot, from))] : []
      const over = inTurn(builder, (inside) => workgroup.overSubgroups(inside))
      write(plus(slot, from), [...reference, ...merge(over, (subgroup, k) => workgroup.load(array, at(k, subgroup, slot)))])
    })
  }
}

/** Kept points in rounds, where all of them at once would not fit. */
function keptAtOnce({ source }: SideReduction, all: number, fits: (atOnce: number) => boolean): number {
  const atOnce = range(all).map((i) => all - i).find(fits)
  invariant(atOnce, `what is gathered of ${source.name} does not fit into a workgroup's memory`)
  return atOnce
}

/**
 * Runs of the same length, about as many as each has parts, of which each kept point has one invocation: the most that is read one after
 * the other is a run and then all runs. One run where that saves less than half, which has to pay for meeting once more.
 */
function runsOf(parts: number, slots: number, invocations: number): number {
  const chain = (runs: number): number => (runs === 1 ? parts : parts / runs + runs)
  const best = divisors(parts).filter((runs) => runs * slots <= invocations).reduce((a, b) => (chain(b) < chain(a) ? b : a), 1)
  return chain(best) <= parts / 2 ? best : 1
}

/** The number of an invocation among those of its kept tile, and that tile's number. */
function splitLocal(locals: readonly (readonly [Axis, Index])[], kept: Axis): [Index, Index] {
  let part = index(0)
  let tile = index(0)
  let size = 1
  for (const [a, at] of [...locals].reverse()) {
    if (a === kept) {
      tile = at
      continue
    }
    part = plus(part, times(at, size))
    size *= extentOf(at)
  }
  return [part, tile]
}

const extentOf = (at: Index): number => {
  const [term] = at.terms
  return term?.atom.kind === 'axis' ? term.atom.axis.extent as number : 1
}

/** Those who merge read side by side, those who write hit different banks. */
const pitchOf = (keptPoints: number): number => keptPoints | 1

/**
 * Bytes of shared memory without which what is gathered for these sides cannot be put together, in a workgroup of so many invocations that has
 * `tilesAlong` register tiles along an axis.
 */
export const leastMergeBytes = (sides: Equation['sides'], invocations: number, tilesAlong: (a: Axis) => number): number =>
  sides.reduce((sum, side) => {
    const tiles = tilesAlong(side.keptAxis)
    return sum + 4 * (side.partials.shape.at(-1) as number) * (invocations / tiles) * pitchOf(tiles)
  }, 0)
