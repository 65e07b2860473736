import { children, type Expression, type Reduction, walk } from '../../ir/expression.ts'
import { divisors } from '../../ir/divisors.ts'
import { type Axis, axesOf, index, linearIndex } from '../../ir/affine.ts'
import { channelAxesIn, type Equation } from '../../ir/equation.ts'
import { costOfStride, CPU, pointsOf, stepsAtOnce, tailWaste } from './cost-model.ts'
import { withStatistics } from './gathered-sums.ts'
import type { Loop, LoopNest, Stage } from './loop-nest.ts'
import { isContraction, memoryStride, reductions, steps, strideOf } from '../../ir/analysis.ts'
import { onceAtWork } from '../../ir/once-by-node.ts'
import { updatesInPlace } from '../../ir/regions.ts'
import { pointsFrom, splitAxis, splitDivided, wholeAndRest } from '../../ir/reshape.ts'
import { AxisNames, type PointwiseSchedule, fits } from './schedule.ts'
import { range } from '../range.ts'
import { cutTasks, innerAxis } from './tasks.ts'

/** Chooses how points are computed one by one: element-wise work, windows, plain sums. One axis in lanes, a task an image and channel. */
export const choosePointwise = (given: Equation): PointwiseSchedule => choose(given, true) ?? choose(given, false)!

/** `leaves`: points behind the last multiple of a divisor have stages of their own; undefined where tasks would have to count these. */
function choose(given: Equation, leaves: boolean): PointwiseSchedule | undefined {
  const short = splitDivided(given, (by) => by <= CPU.splitPoints, leaves)
  // What neighbours share (a block of parameters its multipliers) is then loaded once for all of them, not lane by lane.
  const runs = short.inner.size > 0 ? undefined : splitDivided(given, (by) => by >= CPU.leastRun && by % CPU.lanes === 0)
  const { inner } = short
  const { equation: e } = runs ?? short
  const gone = given.axes.filter((a) => !e.axes.includes(a))
  const split = new AxisNames(given).sizes([...(runs ?? short).inner.values()].map((own, i) => [gone[i]!, own.extent as number]))
  const names = new AxisNames(e)
  const sums = reductionsOf(e)
  const channels = channelsOfSmallMap(e)
  const { vectorAxis, vectorReduction } = channels ? { vectorAxis: channels } : chooseVectors(e, sums, inner)
  const unroll = new Map<Axis, number>()
  const rows = rowsOfWindows(e, sums, vectorAxis)
  for (const r of sums) {
    const size = steps(r)
    if (rows || (Number.isFinite(size) && size <= (vectorAxis === e.axes.at(-1) ? CPU.unrolledWindow : CPU.unrolledTerms))) {
      for (const a of r.axes) if (a !== vectorReduction) unroll.set(a, a.extent as number)
    }
  }
  if (vectorReduction && (vectorReduction.extent as number) >= 32) unroll.set(vectorReduction, stepsAtOnce(vectorReduction))
  const { tasks, block, cut } = chooseTasks(e, vectorAxis, [...runs?.inner.keys() ?? []][0], rows?.axis)
  if (!short.isWhole && (rows || cut || !vectorAxis || !tasks.every((a) => given.axes.includes(a)))) return undefined
  // Two vectors at a time where nothing is summed up, and none overlaps one that has been updated in place.
  const isElementwise = sums.length === 0 && !updatesInPlace(e)
  const points = cut === vectorAxis && block !== undefined ? block : vectorAxis?.extent as number
  const tile = new Map<Axis, number>(vectorAxis ? [[vectorAxis, isElementwise && points >= 2 * CPU.lanes ? 2 * CPU.lanes : CPU.lanes]] : [])
  for (const own of inner.values()) tile.set(own, own.extent as number)
  if (rows) tile.set(rows.axis, rows.count)
  for (const a of smallMap(e, sums, vectorAxis)) (e.axes.includes(a) ? tile : unroll).set(a, a.extent as number)
  return {
    algorithm: 'pointwise',
    ...(Object.keys(split).length > 0 && { split }),
    tasks: tasks.map((a) => names.of(a)),
    ...(cut && block !== undefined && { taskBlock: names.sizes([[cut, block]]) }),
    registerTile: names.sizes(tile),
    ...(vectorAxis && { vectorAxis: names.of(vectorAxis) }),
    ...(vectorReduction && { vectorReduction: names.of(vectorReduction) }),
    unroll: names.sizes(unroll),
  }
}

/** The loop nest of a schedule. Throws ScheduleMismatch. */
export function pointwiseNest(given: Equation, schedule: PointwiseSchedule): LoopNest {
  const { equation: e, rests } = splitInWhole(given, new AxisNames(given).findSizes(schedule.split ?? {}))
  const names = new AxisNames(e)
  const [vectorAxis, vectorReduction] = [schedule.vectorAxis, schedule.vectorReduction].map((name) =>
    name && names.find(name)
  ) as (Axis | undefined)[]
  const sums = reductionsOf(e)
  fits(!vectorAxis || !vectorReduction, 'one axis at most is in lanes')
  fits(!vectorAxis || mayBeVectorAxis(e, vectorAxis), `${vectorAxis?.name} cannot be in lanes`)
  fits(
    !vectorReduction || sums.some((r) => r.axes.includes(vectorReduction) && mayBeVectorReduction(sums, vectorReduction)),
    `${vectorReduction?.name} cannot be summed up in lanes`,
  )
  const tile = new Map(names.findSizes(schedule.registerTile))
  const unroll = new Map(names.findSizes(schedule.unroll))
  fits([...unroll.keys()].every((a) => !e.axes.includes(a)), 'reduced axes alone are unrolled')
  const task = cutTasks(e, names, schedule)
  const { equation, grid } = task
  const inLanes = vectorAxis && innerAxis(task, vectorAxis)
  const sizes = new Map([...tile].map(([a, size]) => [innerAxis(task, a), size]))
  const loops = equation.axes.filter((a) => !grid.includes(a)).map((a): Loop =>
    a === inLanes ? { axis: a, tile: Math.ceil((sizes.get(a) ?? CPU.lanes) / CPU.lanes), vectorized: true }
      : { axis: a, tile: sizes.get(a) ?? 1 }
  )
  fits(
    rests.length === 0 || (inLanes && task.cut.size === 0 && grid.every((a) => given.axes.includes(a))),
    'what is left of an axis that is split has the tasks of all',
  )
  const [multiples, ...statistics] = withStatistics(
    { equation, loops, unroll, ...(vectorReduction && { vectorReduction }) },
    { ...equation, sides: e.sides },
    task,
  )
  const how = inLanes ? `four points along ${inLanes.name} at a time`
    : vectorReduction ? `four terms along ${vectorReduction.name} at a time` : 'one point at a time'
  return {
    grid,
    stages: [multiples!, ...rests.map((rest): Stage => ({ equation: rest, loops: loopsOfRest(rest, grid), unroll })), ...statistics],
    scratch: [],
    summary: how,
  }
}

/** An equation with axes split where whole blocks of `size` points are, and one for what is left of each axis. */
function splitInWhole(
  given: Equation,
  sizes: readonly (readonly [Axis, number])[],
): { readonly equation: Equation; readonly rests: readonly Equation[] } {
  const rests: Equation[] = []
  let [equation, left] = [given, given]
  for (const [a, size] of sizes) {
    fits(equation.axes.includes(a) && typeof a.extent === 'number' && size <= a.extent, `${a.name} is not split by ${size}`)
    const { whole, rest } = wholeAndRest(a, size)
    if (rest > 0) rests.push(pointsFrom(left, a, whole, rest).equation)
    left = pointsFrom(left, a, 0, whole).equation
    const part = pointsFrom(equation, a, 0, whole)
    equation = splitAxis(part.equation, part.axis, size).equation
  }
  return { equation, rests }
}

/** Loops over what is left of an axis: the longest other one in lanes, where there may be one. */
function loopsOfRest(e: Equation, grid: readonly Axis[]): Loop[] {
  const own = e.axes.filter((a) => !grid.includes(a))
  const lanes = own.filter((a) => mayBeVectorAxis(e, a)).sort((a, b) => (b.extent as number) - (a.extent as number))[0]
  return own.map((a): Loop => ({ axis: a, tile: 1, ...(a === lanes && { vectorized: true }) }))
}

const reductionsOf = (e: Equation): Reduction[] => e.stores.flatMap((s) => reductions(s.value))

/** The axis in lanes that costs least: an output axis, a reduced one, or none. `split`: short axes between the multiples of a divisor. */
function chooseVectors(
  e: Equation,
  sums: readonly Reduction[],
  split: ReadonlyMap<Axis, Axis>,
): { readonly vectorAxis?: Axis; readonly vectorReduction?: Axis } {
  const loads = weighedLoads(e)
  const stores = indicesOfStores(e)
  const costs: { cost: number; vectorAxis?: Axis; vectorReduction?: Axis }[] = [
    { cost: loads.reduce((sum, l) => sum + 2 * l.weight, 2 * stores.length) },
  ]
  for (const vectorAxis of e.axes) {
    if (!mayBeVectorAxis(e, vectorAxis)) continue
    const each = loads.reduce((sum, l) => sum + l.weight * (1 + costOfStride(strideOf(l.form, vectorAxis))), 0) +
      stores.reduce(
        (sum, form) => sum + (strideOf(form, vectorAxis) === 1 ? 1 : split.has(vectorAxis) ? CPU.interleavedStore : CPU.scatteredStore),
        0,
      )
    costs.push({ cost: each / 4 * tailWaste(vectorAxis, CPU.lanes), vectorAxis })
  }
  for (const r of sums) {
    for (const vectorReduction of r.axes) {
      if (!mayBeVectorReduction(sums, vectorReduction)) continue
      const cost = loads.reduce(
        (sum, l) =>
          sum + l.weight * (l.inside.has(vectorReduction)
              ? (1 + costOfStride(strideOf(l.form, vectorReduction))) / 4 * tailWaste(vectorReduction, CPU.lanes) : 2),
        2 * stores.length + 6,
      )
      costs.push({ cost, vectorReduction })
    }
  }
  return costs.reduce((best, c) => (c.cost < best.cost ? c : best))
}

/**
 * The axis of the channels of a small map, each of which has a filter of its own: where all of the map is written out, gathering channels in lanes costs
 * less than conditions on its padding. Undefined where an equation is no such convolution.
 */
function channelsOfSmallMap(e: Equation): Axis | undefined {
  const sums = reductionsOf(e)
  return e.axes.find((a) => smallMap(e, sums, a).length > 0 && mayBeVectorAxis(e, a))
}

/** Whether such a map has rows that are shorter than a vector, so that register tiles would have channels, or a filter's elements, in lanes in any case. */
export function isNarrowMap(e: Equation): boolean {
  if (!channelsOfSmallMap(e)) return false
  const [sum] = reductionsOf(e)
  const isGradient = sum!.axes.some((a) => typeof a.extent !== 'number')
  const rows = [e.axes.at(-1)!, ...(isGradient ? [sum!.axes.at(-1)!] : [])]
  return rows.every((a) => typeof a.extent === 'number' && a.extent < CPU.lanes)
}

/**
 * The axes of a small map and of the window that slides over it (of a filter and of the map, in its gradient), where all of them are written out: what
 * neighbours share is loaded once, which is dear where channels lie in lanes, and no condition on the padding is left. Empty where that does not pay.
 */
function smallMap(e: Equation, sums: readonly Reduction[], vectorAxis: Axis | undefined): readonly Axis[] {
  const [sum] = sums
  if (!vectorAxis || sums.length !== 1 || !sum || !isContraction(sum)) return []
  const map = e.axes.slice(e.axes.indexOf(vectorAxis) + 1)
  const window = sum.axes.filter((a) => typeof a.extent === 'number')
  const points = pointsOf(map)
  if (points === 1 || points > CPU.smallMap || points * pointsOf(window) > CPU.bodyProducts) return []
  const loads = walk(sum).filter((node) => node.kind === 'load')
  // Windows at a stride hardly overlap; what is the same for all channels needs no gathering.
  const isDense = loads.every(({ tensor, at }) =>
    memoryStride(tensor, at, vectorAxis) !== 0 && at.every((index) => map.every((a) => Math.abs(strideOf(index, a) ?? 0) <= 1))
  )
  return isDense ? [...map, ...window] : []
}

/**
 * Rows of a map that are computed together where windows of rows overlap that are written out: what two of them load, and mask in the padding, is there once.
 * Undefined where that would spare less than a quarter of the loads, or no axis of rows lies in front of the one in lanes.
 */
function rowsOfWindows(
  e: Equation,
  sums: readonly Reduction[],
  vectorAxis: Axis | undefined,
): { readonly axis: Axis; readonly count: number } | undefined {
  const [axis, last] = e.axes.slice(-2)
  const [sum, ...others] = sums
  if (!sum || others.some((other) => other.body !== sum.body) || last !== vectorAxis || typeof axis?.extent !== 'number') return undefined
  if (updatesInPlace(e) || !Number.isFinite(steps(sum))) return undefined
  const indices = walk(sum.body).flatMap((node) => (node.kind === 'load' ? node.at.filter((at) => strideOf(at, axis) !== 0) : []))
  const [down] = sum.axes.filter((a) => indices.length > 0 && indices.every((at) => strideOf(at, a)))
  const step = indices[0] && strideOf(indices[0], axis)
  const along = down && strideOf(indices[0]!, down)!
  if (!step || step < 0 || !along || indices.some((at) => strideOf(at, axis) !== step || strideOf(at, down) !== along)) return undefined
  const [size, extent] = [down.extent as number, axis.extent]
  const columns = steps(sum) / size
  // What depends on the row of a window, as the gradient of a maximum does, is computed for each window that has the row.
  const isShared = sum.combine !== 'sum' || !(isContraction(sum) || walk(sum.body).some((node) => node.kind === 'position'))
  if (isContraction(sum) && steps(sum) > CPU.unrolledWindow) return undefined
  const found = [4, 3, 2].map((count) => {
    const shared = new Set(range(count).flatMap((row) => range(size).map((k) => row * step + k * along))).size
    return { count, loads: shared * Math.ceil(extent / count), products: columns * (isShared ? shared : count * size) }
  }).filter(({ loads, products }) => products <= CPU.bodyProducts && 4 * loads <= 3 * size * extent)
  const best = found.reduce<(typeof found)[number] | undefined>((a, b) => (a && a.loads <= b.loads ? a : b), undefined)
  return best && { axis, count: best.count }
}

const indicesOfStores = (e: Equation): ReturnType<typeof linearIndex>[] =>
  e.stores.filter((s) => !s.counts).map((s) => linearIndex(s.tensor, s.at))

/** Whether an output axis may lie in lanes: its neighbours are stored at even distances. */
const mayBeVectorAxis = (e: Equation, a: Axis): boolean =>
  e.axes.includes(a) && typeof a.extent === 'number' && a.extent >= CPU.lanes &&
  e.stores.every((s) => s.counts || (memoryStride(s.tensor, s.at, a) ?? 0) >= 1) && !countingImages(e).has(a)

/** Axes that tell images apart of which there may be none: four at a time would be loaded one by one. */
const countingImages = onceAtWork((e: Equation): ReadonlySet<Axis> =>
  new Set(
    e.stores.flatMap((s) =>
      walk(s.value).flatMap((node) =>
        node.kind === 'guard' ? node.guards.flatMap((g) => (g.kind === 'within' && typeof g.extent !== 'number' ? axesOf(g.at) : [])) : []
      )
    ),
  )
)

const mayBeVectorReduction = (sums: readonly Reduction[], a: Axis): boolean =>
  typeof a.extent === 'number' && a.extent >= CPU.lanes && !sums.some((s) => s.combine === 'argmax')

/** The axes that count tasks, none of them `rows`, and where that makes too few, the axis that is `cut`, into how many points: the one in lanes, or `runs`, which counts runs of it. */
function chooseTasks(e: Equation, vectorAxis: Axis | undefined, runs: Axis | undefined, rows: Axis | undefined): {
  readonly tasks: readonly Axis[]
  readonly cut?: Axis
  readonly block?: number
} {
  const terms = Math.max(
    1,
    ...e.stores.map((s) => reductions(s.value).reduce((sum, r) => sum + pointsOf(r.axes, CPU.batchSteps), 0)),
  )
  const tasks: Axis[] = []
  for (const [i, a] of e.axes.entries()) {
    if (typeof a.extent === 'number') {
      const points = pointsOf(e.axes.slice(i + 1))
      // Sums of one channel read what they are of in the order of memory, while it is in the first cache.
      const isOwnMap = e.sides.length > 0 && points >= CPU.leastMap
      if (a === vectorAxis || a === rows || (points * terms < CPU.leastTask && !isOwnMap)) break
      // Statistics are of whole maps.
      if (e.sides.some((side) => !channelAxesIn(side).includes(a))) break
    }
    tasks.push(a)
  }
  const cut = runs && e.axes[tasks.length] === runs ? runs : vectorAxis
  const each = (cut === runs ? pointsOf(e.axes.slice(tasks.length + 1)) : 1) * terms
  const isLong = cut && e.sides.length === 0 && (cut.extent as number) * each > 4 * CPU.goodTask
  if (!isLong || tasks.some((a) => typeof a.extent !== 'number') || pointsOf(tasks) >= CPU.enoughTasks) return { tasks }
  const block = divisors(cut.extent as number).filter((d) => (cut === runs || d % CPU.lanes === 0) && d * each <= CPU.goodTask).at(-1)
  if (block === undefined || (cut !== runs && block < 16)) return { tasks }
  return { tasks: [...tasks, cut], cut, block }
}

interface WeighedLoad {
  readonly form: ReturnType<typeof linearIndex>
  readonly weight: number
  /** Axes of the sums around it. */
  readonly inside: ReadonlySet<Axis>
}

/** Loads, and how often each is done for one point. */
function weighedLoads(e: Equation): WeighedLoad[] {
  const found: WeighedLoad[] = []
  const seen = new Set<Expression>()
  const visit = (node: Expression, weight: number, inside: ReadonlySet<Axis>): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind === 'load') found.push({ form: linearIndex(node.tensor, node.at), weight, inside })
    // A function is worth several loads: it costs as much for one lane as for four.
    if (node.kind === 'unary' && ['exp', 'log', 'tanh', 'erf'].includes(node.op))
      found.push({ form: index(0), weight: CPU.functionLoads * weight, inside })
    const [here, axes] = node.kind === 'reduce'
      ? [weight * pointsOf(node.axes, CPU.batchSteps), new Set([...inside, ...node.axes])]
      : [weight, inside]
    for (const child of children(node)) visit(child, here, axes)
  }
  for (const s of e.stores) visit(s.value, 1, new Set())
  return found
}
