import { freeAxes, reductions } from '../../ir/analysis.ts'
import type { Axis } from '../../ir/affine.ts'
import { type BlockSizes, channelAxesOf, type Equation } from '../../ir/equation.ts'

/** Points of a block, at most: a workgroup of 256 covers it with tiles of four. */
const MOST_POINTS = 1024

/**
 * The block that a workgroup gathers statistics of: one image's whole map, or so many of its rows that a workgroup can cover them with
 * any tile. A side of more than a few points is rounded up to fours, so that it can be cut into tiles.
 */
export function statisticsBlock(e: Equation): BlockSizes | string {
  const [stored] = e.stores
  if (!stored || channelAxesOf(e, stored)?.groupAxis) return `${e.name} does not store ${stored?.tensor.name} channel by channel`
  const sums = e.stores.flatMap((s) => reductions(s.value))
  if (e.axes.some((a, i) => i > 0 && sums.some((r) => !freeAxes(r).has(a)))) return `${e.name} walks through its points in a loop`
  const sizes = new Map<Axis, number>([[e.axes[0]!, 1]])
  let left = MOST_POINTS
  for (const a of e.axes.slice(2).reverse()) {
    const whole = cut(a.extent as number)
    const most = left <= FEW ? Math.max(1, left) : left - left % 4
    // Parts of the same size, as few as will do.
    const parts = Math.ceil(whole / most)
    const size = parts === 1 ? whole : Math.min(most, cut(Math.ceil((a.extent as number) / parts)))
    sizes.set(a, size)
    left = Math.floor(left / size)
  }
  return (a) => sizes.get(a) ?? 1
}

/** Rows or columns that need no tile along them. */
const FEW = 16

const cut = (extent: number): number => (extent <= FEW ? extent : Math.ceil(extent / 4) * 4)

/** How long a block of an equation's statistics is along an axis; undefined along what is kept, or where there are none. */
export const blockAlong = (e: Equation, a: Axis): number | undefined => e.sides[0]?.blocks.find((b) => b.axis === a)?.size
