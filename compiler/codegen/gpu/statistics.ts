import type { Term } from '../kernel-function.ts'
import { float, type Terms } from '../builder.ts'

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
