import { freeAxes, reductions, steps, isContraction } from '../../ir/analysis.ts'
import { elementsPerSample, type Tensor } from '../../ir/tensor.ts'
import { bestTile, type MicroTile, unrollSteps } from './micro-tile.ts'
import { divisors } from '../../ir/divisors.ts'
import { add, constant, type Expression, guard, load, walk, type Reduction } from '../../ir/expression.ts'
import { type Axis, linearIndex } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Loop, LoopNest, NestChoice, Stage } from './loop-nest.ts'
import { pointStage } from './point-by-point.ts'
import { flattenAxes, replaceNode, splitAxis } from '../../ir/reshape.ts'
import { type TaskBlocks, statisticsStage } from './statistics-stage.ts'
import { packFactor, type PackedFactor } from './packing.ts'
import { winograd } from './winograd/forward.ts'
import { winogradGradient } from './winograd/weight-gradient.ts'

/** Elements that a thread prepares for an item: they should stay in the second cache. */
const GOOD_STAGE = 48 * 1024
const MOST_STAGE = 2 ** 20
/** A sample is cut into items of so many multiplications: there is work for several threads even for one sample. */
const ITEM = 1_000_000
const MOST_ITEMS = 8
/** Weights beyond this are kept in the cache over several samples. */
const BIG_WEIGHTS = 64 * 1024

/** A convolution, a gradient of one, a matrix product: by Winograd where that pays, else directly in register tiles. */
export function contraction(given: Equation, main: Reduction, choice: NestChoice = {}): LoopNest | undefined {
  const product = withoutSharedGuards(main.body as Extract<Expression, { kind: 'binary' }>)
  if (product !== main.body) {
    const lighter = { ...main, body: product }
    return contraction(
      { ...given, stores: given.stores.map((s) => ({ ...s, value: replaceNode(s.value, main, lighter) })) },
      lighter,
      choice,
    )
  }
  const fast = choice.winograd === false ? undefined
    : winograd(given, main, (e, split) => given.sides.map((side) => statisticsStage(side, e, split)))
  if (fast) return fast
  const fastGradient = choice.winograd === false ? undefined : winogradGradient(given, main)
  if (fastGradient) return fastGradient
  const rounds = main.axes.find((a) => typeof a.extent !== 'number')
  const factors = [product.a, product.b] as const
  const padded = factors.map(needsStaging)
  const mayStage = !rounds || given.stores.length === 1 && given.stores[0]!.value === main
  const tile = bestTile(given, main, factors, (f) => mayStage && padded[factors.indexOf(f)]!, choice.tile)
  if (!tile) return undefined
  const split = chooseSplit(given, main, tile)
  let { equation } = split
  const grid = [...split.grid]
  const total = equation.stores.map((s) => reductions(s.value)).flat().filter(isContraction).sort((a, b) => steps(b) - steps(a))[0]!
  const body = total.body as Extract<Expression, { kind: 'binary' }>
  const names = { vectors: tile.vectorFactor === product.a ? 'a' : 'b', others: tile.vectorFactor === product.a ? 'b' : 'a' } as const

  // What is normalized or padded on the way is prepared once for an item.
  const moved = (a: Axis | undefined): Axis | undefined => (a && split.moved.get(a)) ?? a
  const lanes = moved(tile.vectorAxis) ?? tile.vectorReduction!
  const wanted = [names.vectors, names.others].filter((f) => mayStage && padded[f === 'a' ? 0 : 1])
  const fixed = new Set<Axis>([...grid, ...(rounds ? [rounds] : [])])
  const staged: { of: Expression; made: PackedFactor }[] = []
  for (const f of wanted) {
    const made = packFactor(`staged_${f}`, body[f], fixed, lanes)
    if (made && elementsPerSample(made.into.shape) <= MOST_STAGE && usesOf(equation, total, body[f], fixed) >= 3)
      staged.push({ of: body[f], made })
  }
  const inRounds = staged.length > 0 && rounds !== undefined
  let sum: Reduction = total
  let value: Expression = body
  for (const { of, made } of staged) value = replaceNode(value, of, made.value)
  if (value !== body || inRounds) sum = { ...total, body: value, axes: inRounds ? total.axes.filter((a) => a !== rounds) : total.axes }
  if (sum !== total) {
    equation = {
      ...equation,
      stores: equation.stores.map((s) => ({
        ...s,
        value: inRounds ? add(load(s.tensor, ...s.at), sum) : replaceNode(s.value, total, sum),
      })),
    }
  }

  const acc = tile.vectorCount * tile.broadcastCount * tile.outerCount
  const near = moved(tile.broadcastAxis)
  const far = moved(tile.outerAxis)
  const own = equation.axes.filter((a) => !grid.includes(a))
  const order = [
    ...own.filter((a) => a === near),
    ...own.filter((a) => a !== near && a !== far && a !== lanes),
    ...own.filter((a) => a === far && a !== near),
    ...own.filter((a) => a === lanes),
  ]
  const loops = order.map((
    a,
  ): Loop => (a === lanes ? { axis: a, tile: tile.vectorCount, vectorized: true }
    : { axis: a, tile: a === near ? tile.broadcastCount : a === far ? tile.outerCount : 1 })
  )
  const mainPhase: Stage = {
    equation,
    loops,
    unroll: unrollSteps(sum, tile, acc),
    ...(tile.vectorReduction && { vectorReduction: tile.vectorReduction }),
  }
  const sides = given.sides.map((side) => statisticsStage(side, equation, split))
  return {
    grid,
    ...(inRounds && { outerReduction: { axis: rounds!, init: clearPhase(equation, grid) } }),
    stages: [...staged.map(({ made }) => pointStage(made.equation, [...fixed])), mainPhase, ...sides],
    scratch: staged.map(({ made }) => made.into),
    ...(split.rows !== undefined && { rows: split.rows }),
    summary: describe(tile, staged.map(({ made }) => made.into), sum),
  }
}

/** Where both factors are zero under the same condition, one of them is enough. */
function withoutSharedGuards(product: Extract<Expression, { kind: 'binary' }>): Extract<Expression, { kind: 'binary' }> {
  const { a, b } = product
  if (a.kind !== 'guard' || b.kind !== 'guard' || a.otherwise !== 0 || b.otherwise !== 0) return product
  const shared = a.guards.filter((g) =>
    g.kind === 'within' && typeof g.extent === 'number' &&
    b.guards.some((other) => other.kind === 'within' && other.extent === g.extent && other.at.key === g.at.key)
  )
  return shared.length === 0 ? product : { ...product, a: guard(a.guards.filter((g) => !shared.includes(g)), a.value) }
}

/** Whether what a factor gives differs from what lies in memory: padding, normalization. */
function needsStaging(f: Expression): boolean {
  // Images beyond the batch are skipped, not masked.
  const plainly = f.kind === 'guard' && f.guards.every((g) => g.kind === 'within' && typeof g.extent !== 'number') ? f.value : f
  return walk(plainly).some((node) => node.kind !== 'load' && node.kind !== 'constant')
    || walk(f).some((node) => node.kind === 'load' && linearIndex(node.tensor, node.at).terms.some(({ atom }) => atom.kind !== 'axis'))
}

/** How often an element that was prepared is used in one item. */
function usesOf(e: Equation, sum: Reduction, factor: Expression, fixed: ReadonlySet<Axis>): number {
  const count = (axes: Iterable<Axis>): number =>
    [...axes].filter((a) => !fixed.has(a) && typeof a.extent === 'number').reduce((p, a) => p * (a.extent as number), 1)
  const elements = Math.max(1, ...walk(factor).map((node) => (node.kind === 'load' ? elementsPerSample(node.tensor.shape) : 1)))
  return count([...e.axes, ...sum.axes]) / Math.min(elements, count(freeAxes(factor)))
}

/** Sets what will be summed up in memory to zero. */
function clearPhase(e: Equation, grid: readonly Axis[]): Stage {
  const equation = flattenAxes({ ...e, stores: e.stores.map((s) => ({ ...s, value: constant(0) })) }, grid)
  return pointStage(equation, grid)
}

interface Split extends TaskBlocks {
  readonly equation: Equation
  /** What stands for an axis that was cut into blocks: the axis inside a block. */
  readonly moved: ReadonlyMap<Axis, Axis>
}

/** Which axes count items. */
function chooseSplit(e: Equation, main: Reduction, tile: MicroTile): Split {
  const [vectors, others] = [freeAxes(tile.vectorFactor), freeAxes(tile.broadcastFactor)]
  // The image, groups, chunks of a batch: what both factors depend on, or what has no end.
  const leading = e.axes.filter((a) =>
    typeof a.extent !== 'number' || (vectors.has(a) && others.has(a) && e.sides.every((side) => side.kept === a))
  )
  const work = e.axes.filter((a) => !leading.includes(a)).reduce((p, a) => p * (a.extent as number), 1) *
    main.axes.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 64), 1)
  const already = leading.reduce((p, a) => p * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const pieces = Math.max(1, Math.floor(Math.min(MOST_ITEMS, work / ITEM) / already))
  let equation = e
  const moved = new Map<Axis, Axis>()
  const blocks: Axis[] = []
  let channelBlocks: Axis | undefined
  let rowBlocks: Axis | undefined
  let rows: number | undefined
  // Rows of the picture, where all of it would not stay in the cache.
  const row = tile.vectorAxis &&
    e.axes.find((a) =>
      a !== tile.vectorAxis && a !== tile.outerAxis && vectors.has(a) && !others.has(a) && typeof a.extent === 'number' && a.extent > 1
    )
  const picture = Math.max(...walk(tile.vectorFactor).map((node) => (node.kind === 'load' ? elementsPerSample(node.tensor.shape) : 1)))
  const wanted = Math.ceil(picture / GOOD_STAGE)
  if (row && needsStaging(tile.vectorFactor) && wanted > 1 && e.sides.every((s) => s.kept !== row)) {
    const size = divisors(row.extent as number).filter((d) => d <= Math.max(4, (row.extent as number) / wanted)).at(-1)
    if (size !== undefined && size >= 4 && size < (row.extent as number)) {
      const cut = splitAxis(equation, row, size)
      equation = cut.equation
      moved.set(row, cut.inner)
      rowBlocks = cut.outer
      rows = size
      blocks.push(cut.outer)
    }
  }
  const left = Math.ceil(pieces / (rowBlocks ? rowBlocks.extent as number : 1))
  const { broadcastAxis: near } = tile
  // Statistics are of whole maps, or of rows that were cut above.
  if (near && left > 1 && e.sides.every((side) => side.kept === near)) {
    const extent = near.extent as number
    const size = divisors(extent).filter((d) => d % tile.broadcastCount === 0 && extent / d <= left)[0]
    if (size !== undefined && size < extent) {
      const cut = splitAxis(equation, near, size)
      equation = cut.equation
      moved.set(near, cut.inner)
      channelBlocks = cut.outer
      blocks.push(cut.outer)
    }
  }
  const weights = Math.max(...walk(tile.broadcastFactor).map((node) => (node.kind === 'load' ? elementsPerSample(node.tensor.shape) : 1)))
  const batchFirst = weights < BIG_WEIGHTS || !channelBlocks
  const grid = batchFirst ? [...leading, ...blocks] : [channelBlocks!, ...leading, ...blocks.filter((b) => b !== channelBlocks)]
  return {
    equation,
    grid,
    moved,
    ...(rows !== undefined && { rows }),
    ...(row && { row }),
    ...(rowBlocks && { rowBlocks }),
    ...(channelBlocks && { channelBlocks }),
  }
}

function describe(tile: MicroTile, staged: readonly Tensor[], sum: Reduction): string {
  const parts = [
    ...(tile.broadcastAxis && tile.broadcastCount > 1 ? [`${tile.broadcastAxis.name} ${tile.broadcastCount}`] : []),
    ...(tile.outerAxis && tile.outerCount > 1 ? [`${tile.outerAxis.name} ${tile.outerCount}`] : []),
    ...(tile.vectorAxis ? [`${tile.vectorAxis.name} ${4 * tile.vectorCount}`] : []),
  ]
  const how = tile.vectorAxis ? 'direct' : `four terms along ${tile.vectorReduction!.name} at a time`
  const prepared = staged.length > 0 ? `; prepares ${staged.map((t) => t.shape.join('x')).join(' and ')}` : ''
  return `${how}, a tile of ${parts.join(' x ') || 'one point'} over ${sum.axes.map((a) => a.name).join(', ')}${prepared}`
}
