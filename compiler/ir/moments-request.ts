import { type Expression, add, div, load, mul, rounded, square, sub, sum } from './expression.ts'
import type { Axis, IndexLike } from './affine.ts'
import type { MomentsRole, SampleGroups } from './equation.ts'
import type { Tensor } from './tensor.ts'

/** What the statistics of a batch are taken of, and where they go. */
export interface MomentsRequest {
  readonly name: string
  readonly layers: readonly string[]
  /** [n, C, ...]: statistics over everything but axis 1. */
  readonly source: Tensor
  /**
   * [4, C]: m0, m1, variance (biased), 1 / sqrt(variance + eps). The mean is m0 + m1: one float32 is too coarse at eps 1e-10.
   * With `affine` [6, C]: the two of `affineRows` too, so that who normalizes reads one table.
   */
  readonly result: Tensor
  readonly affine?: { readonly gamma: Tensor; readonly beta: Tensor }
  readonly eps: number
  /** Statistics of each sample's groups of channels, in place of the batch's: `result` is then as `sample-moments.ts` has it. */
  readonly samples?: SampleGroups
}

/** The part that an equation has in the computation of statistics, without its stage. */
export const role = ({ source, result, affine, eps, samples }: MomentsRequest): Omit<MomentsRole, 'stage'> => ({
  source,
  result,
  ...(affine && { affine }),
  eps,
  ...(samples && { samples }),
})

/** The statistics of several parts together, about `reference`: Chan's merge, see `momentsEquations`. */
export function mergeBlocks(
  partials: Tensor,
  reference: Expression,
  at: (blocks: readonly Axis[]) => IndexLike[],
  blocks: () => Axis[],
): { mean: Expression; squares: Expression; count: Expression } {
  const part = (b: readonly Axis[], k: number): Expression => load(partials, ...at(b), k)
  const shift = (b: readonly Axis[]): Expression => add(rounded(sub(part(b, 0), reference)), part(b, 1))
  const b1 = blocks()
  const b2 = blocks()
  const b3 = blocks()
  const count = sum(b1, part(b1, 3))
  const mean = div(sum(b2, mul(part(b2, 3), shift(b2))), count)
  const squares = sum(b3, add(part(b3, 2), mul(part(b3, 3), square(sub(shift(b3), mean)))))
  return { mean, squares, count }
}
