import type { Equation } from '../../ir/equation.ts'
import { AxisNames, type PointwiseSchedule } from './schedule.ts'

/**
 * The schedule that every equation has: one point after the other, as the equation says. Tasks are images, and rows where the equation gathers statistics of
 * blocks of them. It is what is left where all that is faster does not fit.
 */
export function choosePlain(e: Equation): PointwiseSchedule {
  const names = new AxisNames(e)
  const rows = e.sides.flatMap((side) => side.blocks).find(({ axis: a, size }) => typeof a.extent === 'number' && size < a.extent)
  return {
    algorithm: 'pointwise',
    tasks: e.axes.filter((a) => typeof a.extent !== 'number' || a === rows?.axis).map((a) => names.of(a)),
    ...(rows && { taskBlock: names.sizes([[rows.axis, rows.size]]) }),
    registerTile: {},
    unroll: {},
  }
}
