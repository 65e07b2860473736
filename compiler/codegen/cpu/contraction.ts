import { elementsPerSample } from '../../ir/tensor.ts'
import { divisors } from '../../ir/divisors.ts'
import { type Expression, walk } from '../../ir/expression.ts'
import { freeAxes, isContraction, reductions, steps, strideOf } from '../../ir/analysis.ts'
import { type Axis, linearIndex } from '../../ir/affine.ts'
import { channelAxesIn, type Equation } from '../../ir/equation.ts'
import { updatesInPlace } from '../../ir/regions.ts'
import { CPU, pointsOf, tailWaste } from './cost-model.ts'
import { cutBatchSum } from './batch-sum-tasks.ts'
import { type MicroTile, rankTiles, unrollSteps } from './micro-tile.ts'
import { packFactor } from './packing.ts'
import { AxisNames, type ContractionSchedule, type ContractionTile, type FactorName, otherFactor } from './schedule.ts'
import type { Contraction } from './simplify.ts'
import { cutTasks, hasStatisticsBlocks, innerAxis, statisticsBlockAlong, type TaskGrid, wantedTasks } from './tasks.ts'

/** Direct schedules of a convolution, a gradient of one, a matrix product: the `most` best register tiles, the best first. */
export function rankContractions(c: Contraction, most: number): readonly ContractionSchedule[] {
  const { equation, main } = c
  const names = new AxisNames(equation)
  const worthPacking = mayPack(c) ? (['a', 'b'] as const).filter((f) => needsPacking(main.body[f])) : []
  // A few more where some are no good: a factor cannot be packed, or statistics are of other blocks.
  return rankTiles(c, new Set(worthPacking), most + 4, mayPack(c)).flatMap((tile): ContractionSchedule[] => {
    const { tasks, blocks } = chooseTasks(c, tile)
    if (!hasStatisticsBlocks(equation, blocks)) return []
    const cut = { tasks: tasks.map((a) => names.of(a)), ...(blocks.size > 0 && { taskBlock: names.sizes(blocks) }) }
    const sharesSet = mayPack(c) && !tile.transposed && rowsShareSet(c, tile)
    const inOrder = [tile.vectorFactor, otherFactor(tile.vectorFactor)]
      .filter((f) => worthPacking.includes(f) || ((tile.transposed || sharesSet) && f === tile.vectorFactor))
    const packed = inOrder.length === 0 ? [] : paysToPack(c, cutTasks(equation, names, cut), tile, inOrder)
    if (tile.transposed && !packed.includes(tile.vectorFactor)) return []
    const batchBlock = chooseBatchBlock(c, tile, blocks)
    const packs = batchBlock === undefined ? packed : [tile.vectorFactor, otherFactor(tile.vectorFactor)]
    return [{
      algorithm: 'contraction',
      ...cut,
      ...tileSchedule(main, tile, packs, names),
      ...(batchBlock !== undefined && { batchBlock }),
    }]
  }).slice(0, most)
}

/** A tile as data. */
export function tileSchedule(
  main: Contraction['main'],
  tile: MicroTile,
  packed: readonly FactorName[],
  names: Pick<AxisNames, 'of' | 'sizes'>,
): ContractionTile {
  const sizes: (readonly [Axis, number])[] = [
    ...(tile.broadcastAxis ? [[tile.broadcastAxis, tile.broadcastCount] as const] : []),
    ...(tile.outerAxis ? [[tile.outerAxis, tile.outerCount] as const] : []),
    ...(tile.vectorAxis ? [[tile.vectorAxis, CPU.lanes * tile.vectorCount] as const] : []),
  ]
  return {
    vectorFactor: tile.vectorFactor,
    packed,
    ...(tile.transposed && { transposed: tile.vectorFactor }),
    registerTile: names.sizes(sizes),
    ...(tile.vectorAxis && { vectorAxis: names.of(tile.vectorAxis) }),
    ...(tile.vectorReduction && { vectorReduction: names.of(tile.vectorReduction) }),
    unroll: names.sizes(unrollSteps(main, tile)),
  }
}

/** The reduced axis whose length the batch decides: it becomes a loop around packing, and the sum goes on in memory. */
export const batchReduction = ({ main }: Contraction): Axis | undefined => main.axes.find((a) => typeof a.extent !== 'number')

/** Whether factors may be packed: a sum that goes on in memory must be all that is stored. */
export const mayPack = (c: Contraction): boolean =>
  !batchReduction(c) || (c.equation.stores.length === 1 && c.equation.stores[0]!.value === c.main)

/** Whether what a factor gives differs from what lies in memory: padding, normalization. */
export function needsPacking(f: Expression): boolean {
  // Images beyond the batch are skipped, not masked.
  const plainly = f.kind === 'guard' && f.guards.every((g) => g.kind === 'within' && typeof g.extent !== 'number') ? f.value : f
  return walk(plainly).some((node) => node.kind !== 'load' && node.kind !== 'constant')
    || walk(f).some((node) => node.kind === 'load' && linearIndex(node.tensor, node.at).terms.some(({ atom }) => atom.kind !== 'axis'))
}

/**
 * Whether the rows that a tile goes through while it sums up all lie in one set of the first cache, and are more than it holds: the channels of a map of
 * 32 x 32 in a convolution of 1 x 1. Read as they lie, each vector comes from the second cache: 160 channels at 25 GFLOP/s, packed at 45. Channels of 16 x 16,
 * which have four sets, lost a few percent by packing.
 */
function rowsShareSet({ main }: Contraction, { vectorFactor, vectorAxis }: MicroTile): boolean {
  const factor = main.body[vectorFactor]
  const [terms, ...others] = main.axes.filter((a) => a.extent !== 1)
  if (!vectorAxis || !terms || others.length > 0 || factor.kind !== 'load' || typeof terms.extent !== 'number') return false
  const form = linearIndex(factor.tensor, factor.at)
  const bytes = 4 * (strideOf(form, terms) ?? 0)
  return strideOf(form, vectorAxis) === 1 && bytes > 0 && bytes % CPU.wayBytes === 0 && terms.extent > CPU.ways
}

/** Axes that stand still while a factor is packed. */
export const fixedWhilePacking = (c: Contraction, { grid }: TaskGrid): ReadonlySet<Axis> => {
  const batch = batchReduction(c)
  return new Set([...grid, ...(batch ? [batch] : [])])
}

export const isTransposed = (tile: MicroTile, f: FactorName): boolean => tile.transposed === true && f === tile.vectorFactor

/**
 * Images that are packed together where nothing but the batch is summed up over: the gradient of an inner product's weights. Both factors of a block keep
 * to the second cache.
 */
function chooseBatchBlock(c: Contraction, tile: MicroTile, blocks: ReadonlyMap<Axis, number>): number | undefined {
  const [batch, ...others] = c.main.axes
  if (batch?.extent !== 'n' || others.length > 0 || !mayPack(c) || !tile.vectorAxis || tile.transposed) return undefined
  const { a, b } = c.main.body
  const inBlock = (f: Expression): number =>
    c.equation.axes.reduce((points, axis) => (freeAxes(f).has(axis) ? points * (blocks.get(axis) ?? (axis.extent as number)) : points), 1)
  const perImage = inBlock(a) + inBlock(b)
  return [32, 16, 8].find((images) => images * perImage <= CPU.goodPack) ?? (8 * perImage <= CPU.mostPack ? 8 : undefined)
}

/** The factors that fit into a thread's memory when they are packed, and are used often enough. */
function paysToPack(c: Contraction, task: TaskGrid, tile: MicroTile, factors: readonly FactorName[]): FactorName[] {
  const fixed = fixedWhilePacking(c, task)
  const main = mainOf(task.equation)
  const lanes = tile.vectorAxis ? innerAxis(task, tile.vectorAxis) : tile.vectorReduction!
  return factors.filter((f) => {
    const made = packFactor(`staged_${f}`, main.body[f], fixed, lanes, isTransposed(tile, f) ? lanes : undefined)
    if (!made) return false
    const elements = elementsPerSample(made.into.shape)
    return elements <= CPU.mostPack && usesOf(task.equation, main, main.body[f], elements, fixed) >= CPU.leastUses
  })
}

/** The contraction's sum in an equation that was cut into tasks. */
export const mainOf = (e: Equation): Contraction['main'] =>
  e.stores.flatMap((s) => reductions(s.value)).filter(isContraction).sort((a, b) => steps(b) - steps(a))[0] as Contraction['main']

/**
 * How often one of so many packed elements is used in one task. Where nothing but padding differs from memory, windows that overlap are no
 * reason: a mask costs no more than to store an element and load it again.
 */
function usesOf(e: Equation, sum: Contraction['main'], factor: Expression, packed: number, fixed: ReadonlySet<Axis>): number {
  const count = (axes: Iterable<Axis>): number => pointsOf([...axes].filter((a) => !fixed.has(a)))
  const isComputed = walk(factor).some((node) => node.kind === 'unary' || node.kind === 'binary' || node.kind === 'select')
  return count([...e.axes, ...sum.axes]) / (isComputed ? packed : Math.min(largestLoad(factor), count(freeAxes(factor))))
}

/** Elements of the largest tensor that a factor loads. */
export const largestLoad = (f: Expression): number =>
  Math.max(...walk(f).map((node) => (node.kind === 'load' ? elementsPerSample(node.tensor.shape) : 1)))

/** Which axes count tasks, outermost first, and how many points of those that are cut a task has. */
export function chooseTasks(
  c: Contraction,
  tile: MicroTile,
): { readonly tasks: readonly Axis[]; readonly blocks: ReadonlyMap<Axis, number> } {
  const { equation: e, main } = c
  const [vectors, others] = [main.body[tile.vectorFactor], main.body[otherFactor(tile.vectorFactor)]]
  const [inVectors, inOthers] = [freeAxes(vectors), freeAxes(others)]
  // The image, groups, chunks of a batch: what both factors depend on, or what has no end.
  const leading = e.axes.filter((a) =>
    typeof a.extent !== 'number' || (inVectors.has(a) && inOthers.has(a) && e.sides.every((side) => channelAxesIn(side).includes(a)))
  )
  const products = pointsOf(e.axes.filter((a) => !leading.includes(a))) * pointsOf(main.axes, CPU.batchProducts)
  if (isOfBatch(c) && leading.length === 0 && e.axes.length === 2 && e.sides.length === 0) {
    const block = cutBatchSum(tile, wantedTasks(e, products))
    return { tasks: block ? [block[0]] : [], blocks: new Map(block && [block]) }
  }
  const pieces = Math.max(1, Math.floor(wantedTasks(e, products) / pointsOf(leading)))
  const blocks = new Map<Axis, number>()
  const row = tile.vectorAxis &&
    e.axes.find((a) =>
      a !== tile.vectorAxis && a !== tile.outerAxis && inVectors.has(a) && !inOthers.has(a) && typeof a.extent === 'number' && a.extent > 1
    )
  const rows = row && rowsOfTask(e, row, vectors)
  if (row && rows !== undefined) blocks.set(row, rows)
  const left = Math.ceil(pieces / (row && rows !== undefined ? (row.extent as number) / rows : 1))
  // Where weights are transposed, or are more than stay in the cache, a thread keeps its block of them for all images.
  const keepsWeights = tile.vectorAxis !== undefined && !leading.some((a) => inVectors.has(a)) &&
    (tile.transposed === true || largestLoad(vectors) > CPU.goodKept)
  const inVectorAxis = [tile.vectorAxis, CPU.lanes * tile.vectorCount] as const
  // Columns of what is read as it lies are as far apart as all of them are wide.
  const most = keepsWeights ? Math.max(left, Math.ceil(largestLoad(vectors) / (tile.transposed ? CPU.goodKept : CPU.bigWeights))) : left
  const ofOneImage = e.images === 'one' && !keepsWeights && blocks.size === 0 ? cutOfOneImage(c, tile, pieces, row) : undefined
  // Statistics are of whole maps, or of the rows above.
  const [channel, channels] = ofOneImage ??
    (keepsWeights ? [inVectorAxis] : [[tile.broadcastAxis, tile.broadcastCount] as const, ...(isOfBatch(c) ? [inVectorAxis] : [])])
      .flatMap(([a, size]): (readonly [Axis, number])[] => {
        const channels = a && most > 1 && e.sides.every((side) => side.keptAxis === a) ? channelsOfTask(a, size, most) : undefined
        return a && channels !== undefined ? [[a, channels]] : []
      })[0] ??
    []
  const cutsChannels = channel && channels !== undefined
  if (cutsChannels) blocks.set(channel, channels)
  const inner = [...blocks.keys()]
  const weightsStay = cutsChannels && (keepsWeights || largestLoad(others) >= CPU.bigWeights)
  const tasks = weightsStay ? [channel, ...leading, ...inner.filter((a) => a !== channel)] : [...leading, ...inner]
  return { tasks, blocks }
}

/**
 * What cuts one image into at most so many tasks: rows of the map, or pixels where all lie in one axis, which nothing is packed twice for but the border of
 * rows; channels where it has neither. `row`: that tiles do not count.
 */
function cutOfOneImage(
  { equation: e, main }: Contraction,
  tile: MicroTile,
  pieces: number,
  row: Axis | undefined,
): readonly [Axis, number] | undefined {
  if (pieces < 2 || e.sides.length > 0 || main.axes.some((a) => a.extent === 'n')) return undefined
  const { vectorAxis, outerAxis, broadcastAxis } = tile
  const isWhole = !row && !outerAxis && vectorAxis !== undefined
  const axes: readonly (readonly [Axis | undefined, number])[] = [
    [row, LEAST_ROWS],
    [outerAxis, tile.outerCount],
    [isWhole ? vectorAxis : undefined, CPU.lanes * tile.vectorCount],
    [broadcastAxis, tile.broadcastCount],
  ]
  for (const [a, unit] of axes) {
    const size = a && channelsOfTask(a, unit, pieces)
    if (a && size !== undefined) return [a, size]
  }
  return undefined
}

/** Whether a single image is work for several threads. */
export function isWorthTasks({ equation: e, main }: Contraction): boolean {
  const products = pointsOf([...e.axes, ...main.axes].filter((a) => typeof a.extent === 'number'))
  return !main.axes.some((a) => a.extent === 'n') && wantedTasks({ images: 'one' }, products) >= 2
}

/** Whether nothing but the batch is summed up over: the gradient of an inner product's weights, whose factors are alike, so that either may be cut. */
const isOfBatch = ({ main }: Contraction): boolean => main.axes.length === 1 && main.axes[0]!.extent === 'n'

/**
 * The fewest channels (rows, pixels) of a task that make at most so many tasks: whole tiles, or where no such number divides them (tiles of three in 512 channels)
 * blocks whose last tile ends behind them and costs little.
 */
function channelsOfTask(channel: Axis, tile: number, most: number): number | undefined {
  const all = channel.extent as number
  const sizes = divisors(all).filter((d) => d < all && all / d <= most)
  return sizes.find((d) => d % tile === 0) ?? sizes.find((d) => tailWaste({ extent: d }, tile) <= MOST_WASTE)
}

/** Points that tiles of a task may compute for each of its points. */
const MOST_WASTE = 1.02
/** Rows of a task, whose borders are packed twice. */
const LEAST_ROWS = 4

/** Rows of the map in a task, where all of it would not stay in the cache, or where its statistics are of blocks of rows. */
function rowsOfTask(e: Equation, row: Axis, factor: Expression): number | undefined {
  const height = row.extent as number
  if (e.sides.some((side) => side.keptAxis === row)) return undefined
  const block = statisticsBlockAlong(e, row)
  if (block !== undefined) return block < height ? block : undefined
  const wanted = Math.ceil(largestLoad(factor) / CPU.goodPack)
  if (wanted <= 1 || !needsPacking(factor)) return undefined
  const rows = divisors(height).filter((d) => d <= Math.max(4, height / wanted)).at(-1)
  return rows !== undefined && rows >= 4 && rows < height ? rows : undefined
}

/** Whether points may be computed twice, as where tiles overlap: what updates in place must not. */
export const mayOverlap = (e: Equation): boolean => !updatesInPlace(e)
