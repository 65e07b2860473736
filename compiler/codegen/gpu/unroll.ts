import { children, type Expression, type Reduction } from '../../ir/expression.ts'
import { type Axis, axesOf } from '../../ir/affine.ts'

/** Numbers loaded along an axis for one step, when the window that slides along it is written out. */
export function loadsAlong(picture: Expression, main: Reduction, a: Axis | undefined, size: number): number {
  if (!a) return 1
  const partner = main.axes.find((r) => typeof r.extent === 'number' && sharesIndex(picture, r, a))
  if (!partner) return size
  const steps = unrolledSteps(partner)
  return (size + steps - 1) / steps
}

/** Longest side of a filter that is unrolled whole. */
export const MOST_UNROLLED = 7

const unrolledSteps = (a: Axis): number =>
  (a.extent as number) <= MOST_UNROLLED ? (a.extent as number) : ([4, 3, 2].find((t) => (a.extent as number) % t === 0) ?? 1)

/** Windows that slide along a tiled axis are written out, so neighbours share what they load; then a little of the innermost loop. */
export function chooseUnroll(
  product: Expression,
  main: Reduction,
  tile: ReadonlyMap<Axis, number>,
  mostProducts: number,
): Map<Axis, number> {
  const unroll = new Map<Axis, number>()
  let products = [...tile.values()].reduce((p, t) => p * t, 1)
  const add = (a: Axis, size: number): void => {
    if (size <= 1 && a.extent !== 1) return
    if (products * size > mostProducts) return
    unroll.set(a, size)
    products *= size
  }
  const fixed = [...main.axes].reverse().filter((a) => typeof a.extent === 'number')
  for (const a of fixed) {
    if (a.extent === 1 || [...tile].some(([t, size]) => size > 1 && sharesIndex(product, a, t))) add(a, unrolledSteps(a))
  }
  const innermost = fixed.find((a) => !unroll.has(a))
  if (innermost && unroll.size === 0) add(innermost, [4, 3, 2].find((t) => (innermost.extent as number) % t === 0) ?? 1)
  return unroll
}

/** Whether some index adds the two axes, as windows do. */
export const sharesIndex = (e: Expression, a: Axis, b: Axis): boolean => added(e).some((axes) => axes.includes(a) && axes.includes(b))

/** Schedules ask of one value again and again, for every tile. */
const known = new WeakMap<Expression, readonly (readonly Axis[])[]>()

/** What indices of a value add: the axes of each that has several. */
function added(e: Expression): readonly (readonly Axis[])[] {
  let found = known.get(e)
  if (!found)
    known.set(
      e,
      found = e.kind === 'load' ? e.at.map(axesOf).filter((axes) => axes.length > 1) : [...new Set(children(e).flatMap(added))],
    )
  return found
}
