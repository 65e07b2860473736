import { freeAxes } from '../../ir/analysis.ts'
import { type Axis, axesOf } from '../../ir/affine.ts'
import { type Expression, walk } from '../../ir/expression.ts'
import { elementsPerSample } from '../../ir/tensor.ts'
import { batchReduction, mayPack, needsPacking } from './contraction.ts'
import { CPU, pointsOf, stepsAtOnce, tailWaste } from './cost-model.ts'
import { packFactor } from './packing.ts'
import { AxisNames, type ContractionSchedule, otherFactor } from './schedule.ts'
import type { Contraction } from './simplify.ts'

/**
 * The schedule of the gradient of a depthwise filter: a task has a channel and takes the whole map of one image after the other. The input is packed with
 * its padding, and elements of the filter are added up in lanes along rows of the map. Tasks of some rows each would do little more than begin,
 * and mask every vector anew for each element of the filter. Undefined where an equation is no such gradient, its rows do not fill a vector, or its maps have
 * too few points.
 */
export function chooseDepthwiseGradient(c: Contraction): ContractionSchedule | undefined {
  const { equation: e, main } = c
  const batch = batchReduction(c)
  const column = main.axes.at(-1)!
  if (!batch || !mayPack(c) || e.sides.length > 0 || batch === column) return undefined
  const columns = column.extent as number
  if (columns < CPU.lanes || pointsOf(main.axes.filter(isCounted)) < LEAST_POINTS) return undefined
  for (const input of ['a', 'b'] as const) {
    const [inputs, gradients] = [main.body[input], main.body[otherFactor(input)]]
    const [p, q] = [freeAxes(inputs), freeAxes(gradients)]
    const filter = e.axes.filter((a) => p.has(a) && !q.has(a))
    // Every other axis tells channels, images or rows of both apart: there is one output channel for each of the input.
    if (filter.length !== 2 || e.axes.some((a) => !p.has(a)) || !q.has(column)) continue
    const [filterRow, filterColumn] = filter as [Axis, Axis]
    if (!moveTogether(inputs, filterColumn, column)) continue
    const rows = e.axes.filter((a) => q.has(a) && moveTogether(inputs, filterRow, a))
    const packed = [input, ...(needsPacking(gradients) ? [otherFactor(input)] : [])]
    // All rows of a map, where they keep to the cache.
    const tasks = [e.axes.filter((a) => q.has(a) && !rows.includes(a)), e.axes.filter((a) => q.has(a))]
      .find((each) => packed.every((f) => fitsInCache(main.body[f], new Set([...each, batch]), column)))
    if (!tasks) return undefined
    const names = new AxisNames(e)
    return {
      algorithm: 'contraction',
      tasks: tasks.map((a) => names.of(a)),
      vectorFactor: input,
      packed,
      registerTile: names.sizes(tileOf(filterRow, filterColumn)),
      vectorReduction: names.of(column),
      unroll: names.sizes(unrolled(main.axes.find((a) => moveTogether(inputs, filterRow, a)), column)),
    }
  }
  return undefined
}

/** Steps that are written out: of some rows, where those divide a map, so that what windows of neighbouring rows share is loaded once; else of columns. */
function unrolled(row: Axis | undefined, column: Axis): [Axis, number][] {
  const count = row && [4, 7, 5, 6, 3, 2].find((d) => (row.extent as number) % d === 0)
  return count === undefined ? [[column, stepsAtOnce(column)]] : [[row!, count]]
}

/** Points of a map below which it is not worth packing: 3 x 4 takes 2.5 times the time of channels in lanes, 3 x 5 and 2 x 8 gain. */
const LEAST_POINTS = 15

const isCounted = (a: Axis): boolean => typeof a.extent === 'number'

function fitsInCache(f: Expression, fixed: ReadonlySet<Axis>, lanes: Axis): boolean {
  const packed = packFactor('map', f, fixed, lanes)
  return packed !== undefined && elementsPerSample(packed.into.shape) <= CPU.goodPack
}

/** Whether an index of what is loaded moves with both axes. */
const moveTogether = (f: Expression, a: Axis, b: Axis): boolean =>
  walk(f).some((node) => node.kind === 'load' && node.at.some((at) => axesOf(at).includes(a) && axesOf(at).includes(b)))

/**
 * Elements of the filter that are summed up at once: the block of rows and columns that costs least. A step loads one vector of output gradients for all of
 * them, and one of the input for each.
 */
function tileOf(row: Axis, column: Axis): [Axis, number][] {
  let best: [number, number] = [1, 1]
  let least = Infinity
  for (let rows = Math.min(row.extent as number, CPU.sumsInLanes); rows > 0; rows--) {
    for (let columns = 1; columns <= Math.min(column.extent as number, CPU.sumsInLanes / rows); columns++) {
      const cost = tailWaste(row, rows) * tailWaste(column, columns) * (2 + 1 / (rows * columns))
      if (cost < least) [best, least] = [[rows, columns], cost]
    }
  }
  const sizes: [Axis, number][] = [[row, best[0]], [column, best[1]]]
  return sizes.filter(([, size]) => size > 1)
}
