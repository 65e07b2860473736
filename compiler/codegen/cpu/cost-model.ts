import { strideOf } from '../../ir/analysis.ts'
import { pointCost } from '../../ir/cost.ts'
import { type Expression, walk } from '../../ir/expression.ts'
import { type Axis, linearIndex } from '../../ir/affine.ts'

/** What a load of four lanes costs where they lie two apart, and where they lie anywhere. */
const EVERY_OTHER = 3
const SCATTERED = 7

/** Tiles that do not divide an axis overlap: the share that is computed. */
export const tailWaste = (a: Axis | undefined, size: number): number => {
  if (!a) return 1
  const extent = a.extent as number
  // An axis that is shorter than a tile has as many fours as it needs.
  return extent < size ? Math.ceil(extent / 4) * 4 / extent : Math.ceil(extent / size) * size / extent
}

/** Whether neighbours along an axis lie side by side, or at the distance of a window's steps. */
export const isInnermost = (f: Expression, a: Axis): boolean =>
  walk(f).every((node) => node.kind !== 'load' || (strideOf(linearIndex(node.tensor, node.at), a) ?? Infinity) <= 4)

/** Instructions for four lanes of a factor along an axis. */
export function loadCost(f: Expression, a: Axis, staged: boolean): number {
  if (staged) return 1
  let cost = pointCost(f)
  for (const node of walk(f)) if (node.kind === 'load') cost += costOfStride(strideOf(linearIndex(node.tensor, node.at), a))
  return cost
}

export const costOfStride = (stride: number | undefined): number =>
  stride === 0 || stride === 1 ? 1 : stride === 2 ? EVERY_OTHER : SCATTERED
