import { replaceNode } from '../../ir/rewrite.ts'
import { elementsPerSample, type Tensor } from '../../ir/tensor.ts'
import { add, constant, type Expression, load, walk } from '../../ir/expression.ts'
import { type Axis } from '../../ir/affine.ts'
import { freeAxes, memoryStride } from '../../ir/analysis.ts'
import type { Equation } from '../../ir/equation.ts'
import { type BatchBlocks, blockBatch, IN_A_ROW } from './batch-block.ts'
import { batchReduction, fixedWhilePacking, isTransposed, mainOf, mayPack, needsPacking } from './contraction.ts'
import type { SlidingSums } from '../reduction-loops.ts'
import { CPU } from './cost-model.ts'
import { epilogueStep } from './epilogue-steps.ts'
import { withStatistics } from './gathered-sums.ts'
import { type Loop, type LoopNest, pointStage, type Stage } from './loop-nest.ts'
import { accumulatorsOf, gemmAxes, mayBeVectorReduction, type MicroTile, mostAccumulators } from './micro-tile.ts'
import { slidesOf } from './depthwise.ts'
import { interiorOf } from './pack-interior.ts'
import { apart, fillsWay, inBlocks, inPanels, packFactor, type PackedFactor } from './packing.ts'
import { flattenAxes } from '../../ir/reshape.ts'
import { type AxisFinder, AxisNames, type ContractionSchedule, type ContractionTile, fits } from './schedule.ts'
import type { Contraction } from './simplify.ts'
import { cutTasks, imagesOf, innerAxis, type TaskGrid } from './tasks.ts'
import { binaryOf, reductionOf } from '../../ir/expression-node.ts'

/** The loop nest of a direct schedule: pack factors, multiply in register tiles, gather statistics. Throws ScheduleMismatch. */
export function contractionNest(given: Contraction, schedule: ContractionSchedule): LoopNest {
  const names = new AxisNames(given.equation)
  const tile = tileOf(given, names, schedule)
  const unroll = new Map(names.findSizes(schedule.unroll))
  const images = imageBlocks(given, tile, schedule)
  if (images) unroll.set(images.row, images.row.extent as number)
  const c = images?.contraction ?? given
  const task = cutTasks(c.equation, names, schedule, { blocksOfImages: true })
  const packed = packFactors(c, task, tile, schedule, images)
  const { equation, sum, outer } = readPacked(c, task, packed, images)
  const multiply: Stage = {
    equation,
    loops: loopsOf(equation, task, tile),
    unroll,
    slides: outer ? rowsOfGradient(sum, tile, schedule, unroll) : slidesOf(given, sum, tile, unroll),
    ...(tile.vectorReduction && { vectorReduction: tile.vectorReduction }),
    step: epilogueStep(equation, tile.vectorAxis && innerAxis(task, tile.vectorAxis), accumulatorsOf(tile)),
  }
  const own = packed.filter(({ isPrepared }) => !isPrepared)
  const scratch = own.map(({ into }) => into)
  const fixed = fixedWhilePacking(c, task)
  return {
    grid: task.grid,
    images: imagesOf(task),
    ...(outer && { outerReduction: { axis: outer, init: zeroStage(equation, task.grid) } }),
    stages: [
      // What is packed anew for each image, or block of them, is not what the task before left.
      ...own.map((p) => ({ ...packStage(p, fixed), ...(!outer && keptFrom(p.of, task)) })),
      ...withStatistics(multiply, { ...equation, sides: c.equation.sides }, task),
    ],
    scratch,
    ...zeroedOf(own, fixed),
    summary: `${describe(tile, scratch, sum.axes)}${own.length < packed.length ? '; weights prepared' : ''}`,
  }
}

/** How the sum of a filter's gradient is taken: where steps of several rows are written out, elements of the filter share rows of the packed map. */
function rowsOfGradient(
  sum: Contraction['main'],
  tile: MicroTile,
  { packed }: ContractionSchedule,
  unroll: ReadonlyMap<Axis, number>,
): SlidingSums | undefined {
  const row = sum.axes.find((a) => a !== tile.vectorReduction && (unroll.get(a) ?? 1) > 1)
  return tile.vectorReduction && row && packed.includes(tile.vectorFactor) ? new Map([[sum, { map: tile.vectorFactor, column: undefined }]])
    : undefined
}

/** The register tile, by the roles of its axes. */
export function tileOf(c: Contraction, names: AxisFinder, schedule: ContractionTile & Pick<ContractionSchedule, 'taskBlock'>): MicroTile {
  const { vectorFactor } = schedule
  const { vector, broadcast } = gemmAxes(c, vectorFactor)
  const [vectorAxis, vectorReduction] = [schedule.vectorAxis, schedule.vectorReduction].map((name) =>
    name && names.find(name)
  ) as (Axis | undefined)[]
  fits(!vectorAxis !== !vectorReduction, 'a contraction has one axis in lanes')
  fits(!vectorAxis || (vector.includes(vectorAxis) && (vectorAxis.extent as number) >= CPU.lanes), `${vectorAxis?.name} cannot be in lanes`)
  fits(
    !vectorReduction || (c.main.axes.includes(vectorReduction) && mayBeVectorReduction(vectorReduction)),
    `${vectorReduction?.name} cannot be summed up in lanes`,
  )
  const sizes = names.findSizes(schedule.registerTile)
  // Images are points of the broadcast factor where tasks have blocks of them.
  const images = names.findSizes(schedule.taskBlock ?? {}).map(([a]) => a).filter((a) => a.extent === 'n')
  fits(
    images.every((a) => !freeAxes(c.main.body[vectorFactor]).has(a)),
    'tasks have blocks of images where the factor in vectors is the same for all of them',
  )
  const broadcastAxes = [...images, ...broadcast]
  const [broadcasts, outers] = [
    sizes.filter(([a]) => broadcastAxes.includes(a)),
    sizes.filter(([a]) => vector.includes(a) && a !== vectorAxis),
  ]
  fits(
    broadcasts.length <= 1 && outers.length <= (vectorReduction ? 2 : 1) &&
      sizes.every(([a]) => broadcastAxes.includes(a) || vector.includes(a)),
    'a register tile has one axis of each factor, and one more of the one in vectors, two where a sum is in lanes',
  )
  fits(names.findSizes(schedule.unroll).every(([a]) => c.main.axes.includes(a)), 'reduced axes alone are unrolled')
  fits(
    schedule.transposed === undefined || (schedule.transposed === vectorFactor && vectorAxis && schedule.packed.includes(vectorFactor)),
    'the factor in vectors is transposed, and packed',
  )
  const tile: MicroTile = {
    vectorFactor,
    ...(schedule.transposed && { transposed: true }),
    ...(vectorAxis && { vectorAxis }),
    ...(vectorReduction && { vectorReduction }),
    vectorCount: Math.ceil((sizes.find(([a]) => a === vectorAxis)?.[1] ?? CPU.lanes) / CPU.lanes),
    broadcastAxis: broadcasts[0]?.[0],
    broadcastCount: broadcasts[0]?.[1] ?? 1,
    outerAxis: outers[0]?.[0],
    outerCount: outers[0]?.[1] ?? 1,
    ...(outers[1] && { innerAxis: outers[1][0], innerCount: outers[1][1] }),
  }
  fits(
    accumulatorsOf(tile) <= (tile.vectorReduction ? CPU.sumsInLanes : mostAccumulators(c)),
    `a register tile of ${accumulatorsOf(tile)} vectors is too large`,
  )
  return tile
}

/** The sum over the batch in blocks of images, where the schedule says so. */
function imageBlocks(c: Contraction, tile: MicroTile, { batchBlock, packed }: ContractionSchedule): BatchBlocks | undefined {
  if (batchBlock === undefined) return undefined
  const batch = batchReduction(c)
  fits(batch && packed.length === 2 && tile.vectorAxis, 'blocks of images are packed whole, for a sum over the batch')
  fits(batchBlock % IN_A_ROW === 0, `a block of images has whole rows of ${IN_A_ROW}`)
  const blocks = blockBatch(c, batch, batchBlock)
  fits(blocks, 'nothing says which images are there')
  return blocks
}

function packFactors(
  c: Contraction,
  task: TaskGrid,
  tile: MicroTile,
  { packed }: ContractionSchedule,
  images: BatchBlocks | undefined,
): Packed[] {
  fits(packed.length === 0 || mayPack(c), 'a sum over the batch is part of what is stored: nothing can be packed')
  const fixed = fixedWhilePacking(c, task)
  const { body } = mainOf(task.equation)
  const lanes = tile.vectorAxis ? innerAxis(task, tile.vectorAxis) : tile.vectorReduction!
  // The terms of a sum lie side by side: images, where maps are summed up, too.
  const terms = images && tile.transposed ? images.row : undefined
  return packed.map((f) => {
    const innermost = isTransposed(tile, f) ? lanes : terms
    const made = packFactor(`staged_${f}`, body[f], fixed, innermost ?? lanes, innermost)
    fits(made && elementsPerSample(made.into.shape) <= CPU.mostPack, `factor ${f} cannot be packed`)
    const prepared = c.equation.prepacked
    const transposed = innermost !== undefined
    if (transposed && prepared) return { ...inBlocks(made, fixed, prepared.packed), of: body[f], transposed, isPrepared: true }
    const inTiles = images ? isTransposed(tile, f) : f === tile.vectorFactor && !transposed && tile.vectorAxis && !needsPacking(body[f])
    const placed = inTiles ? inPanels(made, CPU.lanes * tile.vectorCount) : images || transposed ? apart(made) : made
    return { ...placed, of: body[f], transposed, isInPanels: !transposed && placed !== made && inTiles === true }
  })
}

/** `isPrepared`: by another kernel, so that this one only reads it. */
export type Packed = PackedFactor & {
  readonly of: Expression
  readonly transposed: boolean
  readonly isInPanels?: boolean
  readonly isPrepared?: boolean
}

/** Packs a factor, four neighbours at a time; where it is transposed, four by four. */
export function packStage({ equation: whole, transposed, isInPanels }: Packed, fixed: ReadonlySet<Axis>): Stage {
  const given = interiorOf(whole, fixed)?.equation ?? whole
  if (!transposed) return isInPanels ? packPanels(given, fixed) : pointStage(given, [...fixed])
  const equation = flattenAxes(given, [...fixed, given.axes.at(-1)!])
  const own = equation.axes.filter((a) => !fixed.has(a))
  const innermost = own.at(-1)!
  const along = own.find((a) => a !== innermost && (a.extent as number) >= CPU.lanes && runsAlong(equation, a))
  if (!along || (innermost.extent as number) < CPU.lanes) return pointStage(equation, [...fixed])
  // Channels outermost: their maps often lie a power of two apart, so that few of them fit into the first cache together.
  const loops = [innermost, ...own.slice(0, -1)].map((a): Loop =>
    a === along ? { axis: a, tile: 1, vectorized: true } : { axis: a, tile: a === innermost ? CPU.lanes : 1 }
  )
  return { equation, loops, unroll: new Map() }
}

/**
 * Fills panels row by row of the map, short rows two at a time: what they have in a panel is a line of the caches. Panel by panel each line of the map would
 * be loaded twice, by steps of a row, which lie in one set of the first cache: `rowsShareSet`. Two long rows at a time share sets with all that they are
 * computed from: 1.2 times the time where a gradient is made on the way.
 */
function packPanels(given: Equation, fixed: ReadonlySet<Axis>): Stage {
  const { loops, ...stage } = pointStage(given, [...fixed])
  const [panel, row, ...others] = loops
  if (!panel || !row || others.length === 0) return { ...stage, loops }
  const inPanel = others.map((l): Loop => (l.vectorized ? { ...l, tile: (l.axis.extent as number) / CPU.lanes } : l))
  const isLong = fillsWay((panel.axis.extent as number) * (others.at(-1)!.axis.extent as number))
  return { ...stage, loops: [{ ...row, tile: isLong ? 1 : 2 }, panel, ...inPanel] }
}

/** Factors whose border is zero in every task. */
export function zeroedOf(packed: readonly Packed[], fixed: ReadonlySet<Axis>): Pick<LoopNest, 'zeroed'> {
  const zeroed = packed.filter(({ equation }) => interiorOf(equation, fixed)).map(({ into }) => into)
  return zeroed.length > 0 ? { zeroed } : {}
}

/** Whether neighbours along an axis lie side by side wherever they are loaded. */
const runsAlong = (e: Equation, a: Axis): boolean =>
  e.stores.every((s) =>
    walk(s.value).every((node) => {
      const stride = node.kind === 'load' ? memoryStride(node.tensor, node.at, a) : 0
      return stride === 0 || stride === 1
    }) && walk(s.value).some((node) => node.kind === 'load' && memoryStride(node.tensor, node.at, a) === 1)
  )

/** A thread that goes on to a task for which a factor is the same keeps what it has packed. */
export function keptFrom(factor: Expression, { grid }: Pick<TaskGrid, 'grid'>): Pick<Stage, 'invariantOver' | 'perImage'> {
  const free = freeAxes(factor)
  const used = grid.filter((a) => free.has(a))
  if (used.length === 1 && used[0]!.extent === 'n' && used[0] !== grid[0]) return { perImage: true }
  return used.length < grid.length && used.every((a, i) => a === grid[i]) ? { invariantOver: used } : {}
}

/** The equation with packed factors in the place of what they were packed from; `outer`: the reduced axis that becomes a loop around. */
function readPacked(
  c: Contraction,
  task: TaskGrid,
  packed: readonly Packed[],
  images: BatchBlocks | undefined,
): { readonly equation: Equation; readonly sum: Contraction['main']; readonly outer: Axis | undefined } {
  const { equation } = task
  const main = mainOf(equation)
  if (packed.length === 0) return { equation, sum: main, outer: undefined }
  const outer = batchReduction(c)
  const read = packed.reduce<Expression>((value, { of, value: by }) => replaceNode(value, of, by), main.body) as Contraction['main']['body']
  const body = images ? binaryOf(read.op, images.isThere(read.a), read.b) : read
  const sum = reductionOf(main.combine, main.axes.filter((a) => a !== outer), body) as Contraction['main']
  const stores = equation.stores.map((s) => ({
    ...s,
    value: outer ? add(load(s.tensor, ...s.at), sum) : replaceNode(s.value, main, sum),
  }))
  return { equation: { ...equation, stores }, sum, outer }
}

/** Sets what will be summed up in memory to zero. */
export const zeroStage = (e: Equation, grid: readonly Axis[]): Stage =>
  pointStage(flattenAxes({ ...e, stores: e.stores.map((s) => ({ ...s, value: constant(0) })) }, grid), grid)

/** Loops of a task, outermost first: the broadcast axis, others, the outer axis of the vectors, vectors. */
export function loopsOf(e: Equation, task: TaskGrid, tile: MicroTile): Loop[] {
  const [broadcast, outer, inner, lanes] = [tile.broadcastAxis, tile.outerAxis, tile.innerAxis, tile.vectorAxis ?? tile.vectorReduction]
    .map((a) => a && innerAxis(task, a))
  const own = e.axes.filter((a) => !task.grid.includes(a))
  // A slab of what was transposed serves all others before the next one; so does what a tile reads more of.
  const first = tile.transposed ? lanes : tile.vectorReduction && tile.outerCount > tile.broadcastCount ? outer : undefined
  const order = first ? [...own.filter((a) => a === first), ...own.filter((a) => a !== first)] : [
    ...own.filter((a) => a === broadcast),
    ...own.filter((a) => a !== broadcast && a !== outer && a !== inner && a !== lanes),
    ...own.filter((a) => a === outer && a !== broadcast),
    ...own.filter((a) => a === inner),
    ...own.filter((a) => a === lanes),
  ]
  return order.map((a): Loop => {
    if (a === lanes) return { axis: a, tile: tile.vectorCount, vectorized: true }
    const points = a === broadcast ? tile.broadcastCount : a === outer ? tile.outerCount : a === inner ? tile.innerCount! : 1
    return tile.vectorReduction && isStoredInFours(e, a, points) ? { axis: a, tile: points / CPU.lanes, vectorized: true }
      : { axis: a, tile: points }
  })
}

/** Whether so many sums along an axis become whole vectors that are stored as they are: what follows the sums is computed of four at a time. */
const isStoredInFours = (e: Equation, a: Axis, points: number): boolean =>
  points % CPU.lanes === 0 && (a.extent as number) >= points && e.stores.every((s) => memoryStride(s.tensor, s.at, a) === 1)

export function describe(tile: MicroTile, scratch: readonly Tensor[], reduced: readonly Axis[]): string {
  const parts = [
    ...(tile.broadcastAxis && tile.broadcastCount > 1 ? [`${tile.broadcastAxis.name} ${tile.broadcastCount}`] : []),
    ...(tile.outerAxis && tile.outerCount > 1 ? [`${tile.outerAxis.name} ${tile.outerCount}`] : []),
    ...(tile.innerAxis ? [`${tile.innerAxis.name} ${tile.innerCount}`] : []),
    ...(tile.vectorAxis ? [`${tile.vectorAxis.name} ${CPU.lanes * tile.vectorCount}`] : []),
  ]
  const how = tile.vectorAxis ? 'direct' : `four terms along ${tile.vectorReduction!.name} at a time`
  const prepared = scratch.length > 0 ? `; prepares ${scratch.map((t) => t.shape.join('x')).join(' and ')}` : ''
  return `${how}, a tile of ${parts.join(' x ') || 'one point'} over ${reduced.map((a) => a.name).join(', ')}${prepared}`
}
