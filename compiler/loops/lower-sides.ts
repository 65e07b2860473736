import { invariant } from '../invariant.ts'
import { type Axis, axis, divide, index, type Index, type IndexLike, plus, remainder, times } from './index-expression.ts'
import type { Equation, SideReduction } from './kernel.ts'
import type { Term } from './routine.ts'
import type { Schedule } from './schedule.ts'
import { float, range, type Terms } from './terms.ts'
import type { Workgroup } from './workgroup.ts'

/** A point that an invocation holds, and whether it lies in the block. */
export interface Member {
  readonly inside: Term
  readonly value: Term
}

/** The sum over points that an invocation holds. */
export const sumOf = (terms: Terms, members: readonly Member[]): Term =>
  terms.total(members.map(({ inside, value }) => terms.select(inside, value, float(0))))

/** Reference, mean - reference, M2 and count of points that an invocation holds. Where none is inside they count nothing: `guarded` says that this can be. */
export function momentsOf(terms: Terms, members: readonly Member[], guarded: boolean): Term[] {
  const zero = float(0)
  const masked = ({ inside }: Member, value: Term): Term => terms.select(inside, value, zero)
  const count = terms.total(members.map((m) => masked(m, float(1))))
  const first = members[0]!
  const reference = guarded ? masked(first, first.value) : first.value
  const differences = members.map((m) => masked(m, terms.op('rounded', [terms.op('sub', [m.value, reference])])))
  const mean = terms.op('div', [terms.total(differences), guarded ? terms.op('max', [count, float(1)]) : count])
  const squares = terms.total(members.map((m, i) => {
    const rest = terms.op('sub', [differences[i]!, mean])
    return masked(m, terms.op('mul', [rest, rest]))
  }))
  return [reference, mean, squares, count]
}

/** What invocations hold for one kept point each, of a tile of them. */
export interface SharedSide {
  readonly side: SideReduction
  readonly schedule: Schedule
  readonly workgroup: Workgroup
  /** In the order in which they count through the workgroup. */
  readonly locals: readonly (readonly [Axis, Index])[]
  /** What the invocation has of each of its tile's kept points. */
  readonly kept: readonly (readonly Term[])[]
}

/**
 * Invocations leave their values in shared memory; then one for each kept point puts together what all have of it, in the
 * order of the workgroup. `merge` reads value `k` of part `p` and gives the results, which `write` stores for a kept point,
 * counted from where the workgroup's block begins.
 */
export function mergeShared(
  { side, schedule, workgroup, locals, kept }: SharedSide,
  merge: (read: (part: IndexLike, k: number) => Term, parts: number) => readonly Term[],
  write: (kept: Index, results: readonly Term[]) => void,
): void {
  const tiles = schedule.group?.get(side.kept) ?? 1
  const parts = workgroup.size / tiles
  const count = kept[0]!.length
  // [value, part, kept point]
  const pitch = (atOnce: number): number => pitchOf(tiles * atOnce)
  // Kept points in rounds, where all of them at once would not fit.
  const fits = (atOnce: number): boolean => 4 * count * parts * pitch(atOnce) <= workgroup.bytesLeft
  const atOnce = range(kept.length).map((i) => kept.length - i).find(fits)
  invariant(atOnce, `what is gathered of ${side.source.name} does not fit into a workgroup's memory`)
  const [ofPart, ofTile] = splitLocal(locals, side.kept)
  const array = workgroup.array('merge', count * parts * pitch(atOnce))
  for (let from = 0; from < kept.length; from += atOnce) {
    const round = kept.slice(from, from + atOnce)
    const at = (k: number, part: IndexLike, j: IndexLike): Index => plus(k * parts * pitch(atOnce), times(part, pitch(atOnce)), j)
    if (from > 0) workgroup.barrier()
    round.forEach((values, member) => values.forEach((value, k) =>
      workgroup.store(array, at(k, ofPart, plus(times(ofTile, round.length), member)), value)))
    workgroup.barrier()
    workgroup.fill(tiles * round.length, (slot) => () => {
      const point = plus(times(divide(slot, round.length), kept.length), remainder(slot, round.length), from)
      write(point, merge((part, k) => workgroup.load(array, at(k, part, slot)), parts))
    })
  }
}

/** The number of an invocation among those of its kept tile, and that tile's number. */
function splitLocal(locals: readonly (readonly [Axis, Index])[], kept: Axis): [Index, Index] {
  let part = index(0)
  let tile = index(0)
  let size = 1
  for (const [a, at] of [...locals].reverse()) {
    if (a === kept) { tile = at; continue }
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

/** Bytes of shared memory without which what an equation gathers cannot be put together. */
export const leastMergeBytes = (e: Equation, group: ReadonlyMap<Axis, number>): number => e.sides.reduce((sum, side) => {
  const tiles = group.get(side.kept) ?? 1
  const parts = [...group.values()].reduce((product, by) => product * by, 1) / tiles
  return sum + 4 * (side.into.shape.at(-1) as number) * parts * pitchOf(tiles)
}, 0)

/** The sums of each value over all parts, one after the other. */
export const mergeSums = (terms: Terms, read: (part: IndexLike, k: number) => Term, parts: number, count: number): readonly Term[] =>
  overParts(terms, parts, count, (part) => range(count).map((k) => read(part, k)))

function overParts(terms: Terms, parts: number, count: number, inside: (part: Index) => readonly Term[]): readonly Term[] {
  const sums = range(count).map(() => terms.declare('merged', float(0), 1))
  terms.loop(axis('part', parts), 1, (part) => {
    addSums(terms, sums, inside(part))
  })
  return sums
}

/** Adds what a tile has to what the tiles before it had, variables of the same invocation. */
export function addSums(terms: Terms, before: readonly Term[], tile: readonly Term[]): void {
  tile.forEach((value, i) => terms.set(before[i]!, terms.raw('add', [before[i]!, value], 'f32', 1)))
}

/**
 * The same for moments: Chan's merge of two parts, about the reference K of the first tile:
 *   d = ((r - K) + l) - E;   E += d * n / (N + n);   M2 += m2 + d^2 * N * n / (N + n);   N += n
 */
export function addMoments(terms: Terms, before: readonly Term[], tile: readonly Term[]): void {
  const [reference, mean, squares, count] = before as [Term, Term, Term, Term]
  const [ofTile, meanOfTile, squaresOfTile, countOfTile] = tile as [Term, Term, Term, Term]
  const isFirst = terms.now('eq', [count, float(0)], 'bool')
  const about = terms.now('select', [isFirst, ofTile, reference])
  const shift = terms.now('add', [terms.now('rounded', [terms.now('sub', [ofTile, about])]), meanOfTile])
  const moved = terms.now('sub', [shift, mean])
  const total = terms.now('add', [count, countOfTile])
  const share = terms.now('div', [countOfTile, terms.now('max', [total, float(1)])])
  const between = terms.now('mul', [terms.now('mul', [moved, moved]), terms.now('mul', [count, share])])
  terms.set(squares, terms.raw('add', [squares, terms.now('add', [squaresOfTile, between])], 'f32', 1))
  terms.set(mean, terms.raw('add', [mean, terms.now('mul', [moved, share])], 'f32', 1))
  terms.set(count, total)
  terms.set(reference, about)
}

/**
 * Chan's merge over all parts (Chan, Golub & LeVeque 1983), with K = the first part's reference:
 *   E = sum(count_p * ((r_p - K) + l_p)) / N;   M2 = sum(M2_p + count_p * ((r_p - K) + l_p - E)^2)
 * A part that holds nothing has count 0 and adds nothing. Gives K, E, M2, N.
 */
export function mergeMoments(terms: Terms, read: (part: IndexLike, k: number) => Term, parts: number): readonly Term[] {
  const add = (a: Term, b: Term): Term => terms.op('add', [a, b])
  const mul = (a: Term, b: Term): Term => terms.op('mul', [a, b])
  const reference = read(0, 0)
  const shift = (part: IndexLike): Term => add(terms.op('rounded', [terms.op('sub', [read(part, 0), reference])]), read(part, 1))
  const [total, moved] = overParts(terms, parts, 2, (p) => [read(p, 3), mul(read(p, 3), shift(p))])
  const mean = terms.op('div', [moved!, total!])
  const [squares] = overParts(terms, parts, 1, (p) => {
    const rest = terms.op('sub', [shift(p), mean])
    return [add(read(p, 2), mul(read(p, 3), mul(rest, rest)))]
  })
  return [reference, mean, squares!, total!]
}
