import type { Operand } from '../kernel-function.ts'
import type { KernelBuilder } from '../builder.ts'
import * as operands from '../operands.ts'
import { float } from '../operands.ts'

/** A point that an invocation holds, and whether it lies in the block. */
export interface Member {
  readonly inside: Operand
  readonly value: Operand
}

/** The sum over points that an invocation holds. */
export const sumOf = (builder: KernelBuilder, members: readonly Member[]): Operand =>
  builder.balancedSum(members.map(({ inside, value }) => builder.select(inside, value, float(0))))

/** Reference, mean - reference, M2 and count of points that an invocation holds. Where none is inside they count nothing: `guarded` says that this can be. */
export function momentsOf(builder: KernelBuilder, members: readonly Member[], guarded: boolean): Operand[] {
  const zero = float(0)
  const masked = ({ inside }: Member, value: Operand): Operand => builder.select(inside, value, zero)
  const count = builder.balancedSum(members.map((m) => masked(m, float(1))))
  const first = members[0]!
  const reference = guarded ? masked(first, first.value) : first.value
  const differences = members.map((m) => masked(m, builder.op('rounded', [builder.op('sub', [m.value, reference])])))
  const mean = builder.op('div', [builder.balancedSum(differences), guarded ? builder.op('max', [count, float(1)]) : count])
  const squares = builder.balancedSum(members.map((m, i) => {
    const rest = builder.op('sub', [differences[i]!, mean])
    return masked(m, builder.op('mul', [rest, rest]))
  }))
  return [reference, mean, squares, count]
}

/** Adds what a tile has to what the tiles before it had, variables of the same invocation. */
export function addSums(builder: KernelBuilder, before: readonly Operand[], tile: readonly Operand[]): void {
  tile.forEach((value, i) => builder.set(before[i]!, operands.operation('add', [before[i]!, value], 'f32', 1)))
}

/**
 * The same for moments: Chan's merge of two parts, about the reference K of the first tile:
 *   d = ((r - K) + l) - E;   E += d * n / (N + n);   M2 += m2 + d^2 * N * n / (N + n);   N += n
 */
export function addMoments(builder: KernelBuilder, before: readonly Operand[], tile: readonly Operand[]): void {
  const [reference, mean, squares, count] = before as [Operand, Operand, Operand, Operand]
  const [ofTile, meanOfTile, squaresOfTile, countOfTile] = tile as [Operand, Operand, Operand, Operand]
  const isFirst = builder.evaluateHere('eq', [count, float(0)], 'bool')
  const about = builder.evaluateHere('select', [isFirst, ofTile, reference])
  const shift = builder.evaluateHere('add', [builder.evaluateHere('rounded', [builder.evaluateHere('sub', [ofTile, about])]), meanOfTile])
  const moved = builder.evaluateHere('sub', [shift, mean])
  const total = builder.evaluateHere('add', [count, countOfTile])
  const share = builder.evaluateHere('div', [countOfTile, builder.evaluateHere('max', [total, float(1)])])
  const between = builder.evaluateHere('mul', [builder.evaluateHere('mul', [moved, moved]), builder.evaluateHere('mul', [count, share])])
  builder.set(squares, operands.operation('add', [squares, builder.evaluateHere('add', [squaresOfTile, between])], 'f32', 1))
  builder.set(mean, operands.operation('add', [mean, builder.evaluateHere('mul', [moved, share])], 'f32', 1))
  builder.set(count, total)
  builder.set(reference, about)
}
