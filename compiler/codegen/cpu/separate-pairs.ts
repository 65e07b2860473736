import { lanesOf, type Operand } from '../kernel-function.ts'
import type { KernelBuilder } from '../builder.ts'
import { range } from '../range.ts'
import { type Tensor, tensor } from '../../ir/tensor.ts'
import type { Loop } from './loop-nest.ts'
import * as operands from '../operands.ts'
import { int } from '../operands.ts'
import * as statements from '../statements.ts'

/** Vectors of sums in the largest tile of pairs: see `widenNest`. */
export const MOST_SUMS = 16
/** V8 joins no stores to where the same block stores once more: tiles take turns. */
const PLACES = 4

/** Memory of a thread that pairs of sums go through. */
export const pairMemory = (): Tensor => tensor('pairs', [PLACES * MOST_SUMS * 4])

/**
 * Puts sums that were computed in pairs of vectors into single vectors: they are stored side by side and loaded again. An engine that joins
 * neighbouring vectors joins nothing at all where it cannot join all that leads to two stores, as far back as the sums. What is computed of
 * these sums, and where it is stored, may then be of any kind. `sums`: of a tile's points, in the order of its loops.
 */
export function separatePairs(
  builder: KernelBuilder,
  binding: number,
  sums: readonly Operand[],
  loops: readonly Loop[],
  turn: number,
): void {
  const along = loops.findIndex((l) => l.vectorized)
  const { tile } = loops[along]!
  const stride = loops.slice(along + 1).reduce((product, l) => product * l.tile, 1)
  // At an edge there may be fewer vectors than the tile has.
  if (sums.length % (tile * stride) === 0) separateAt(builder, binding, sums, stride, turn)
}

/** The same of sums that lie `stride` places apart. */
export function separateAt(builder: KernelBuilder, binding: number, sums: readonly Operand[], stride: number, turn: number): void {
  if (sums.length % (2 * stride) !== 0 || sums.length > MOST_SUMS) return
  const names = sums.map((sum) => (sum.kind === 'name' && lanesOf(sum) === 4 ? sum.name : undefined))
  const pairs = range(sums.length).filter((i) => Math.floor(i / stride) % 2 === 0).map((i) => [i, i + stride] as const)
  if (names.includes(undefined) || new Set(names).size < names.length) return
  const { statements: written } = builder.innermost
  const start = turn % PLACES * MOST_SUMS * 4
  const at = (pair: number, half: number): Operand => int(start + 8 * pair + 4 * half)
  pairs.forEach((pair, i) => pair.forEach((sum, half) => written.push(statements.store(binding, at(i, half), sums[sum]!, 4, 1))))
  pairs.forEach((pair, i) =>
    pair.forEach((sum, half) => written.push(statements.set(names[sum]!, operands.load(binding, at(i, half), 4, 1))))
  )
}
