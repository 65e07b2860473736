import { divisors } from '../../../ir/divisors.ts'
import { type Axis } from '../../../ir/affine.ts'
import type { Equation } from '../../../ir/equation.ts'
import { mayOverlap } from '../contraction.ts'
import { CPU, pointsOf } from '../cost-model.ts'
import { type LoopNest, scalarLoops, type StageGroup } from '../loop-nest.ts'
import type { Tensor } from '../../../ir/tensor.ts'
import { AxisNames, fits, type WinogradSchedule } from '../schedule.ts'
import type { Contraction } from '../simplify.ts'
import { statisticsStage } from '../statistics-stage.ts'
import { hasStatisticsBlocks, imagesOf, statisticsBlockAlong, wantedTasks } from '../tasks.ts'
import { type Convolution, matchConvolution } from './convolution.ts'
import { findConvolution, paysInPhases } from './strided.ts'
import { type ForwardPlan, planForward } from './forward-plan.ts'
import { multiply } from './forward-products.ts'
import { lastTried } from './last-tried.ts'
import { packInput, transformBack, transformFilter, transformInput } from './forward-stages.ts'
import { backwards, chooseTiling, coverMap, endsInZeros, showElements, TILE_SIZES, type Tiling } from './transforms.ts'

const MODEL = CPU.winograd

/** The schedule says the tiles, too. */
const planOnce = lastTried<ForwardPlan | undefined>()

/** Chooses a schedule; undefined where an equation is no convolution that Winograd's algorithm computes, or too small for it to pay. */
export function chooseWinograd(given: Contraction): WinogradSchedule | undefined {
  const found = findConvolution(given)
  if (!found) return undefined
  const { contraction: c, shape } = found
  const { leading, out, row, filterSize } = shape
  const e = c.equation
  const [height, outputs, inputs] = [row.extent as number, out.extent as number, pointsOf(shape.channels)]
  const prepacked = e.prepacked?.packed
  const tiling = prepacked ? tilingOf(c, shape, outputTileOf(prepacked, filterSize))
    : tilingFor(c, shape)
  if (!tiling || inputs < MODEL.leastInputs[filterSize]! || outputs < MODEL.leastOutputs) return undefined
  if (!prepacked && !paysPadded(shape, tiling)) return undefined
  const panel = e.prepacked?.panel
  if (prepacked && isOneTile(tiling)) return blocksOfImages(c, shape, tiling, panel)
  const rows = chooseRows(e, shape, tiling)
  if (rows === undefined) return undefined

  // Rows of a task, then output channels: enough tasks for several threads even for one image.
  const pieces = Math.floor(CPU.mostTasks / (height / rows) / pointsOf(leading))
  const wanted = divisors(outputs).find((d) => d % (panel || CPU.lanes) === 0 && d >= MODEL.leastTaskChannels && outputs / d <= pieces) ??
    outputs
  // A filter that is too large to be kept is so in blocks of its channels, each for all images.
  const perOutput = (tiling.m + filterSize - 1) ** 2 * inputs
  const block = !prepacked && leading.length === 1 && rows === height && perOutput * outputs > MODEL.mostKept
    ? divisors(outputs).filter((d) => d % CPU.lanes === 0 && perOutput * d <= MODEL.goodTask && d >= MODEL.leastOutputs).at(-1) : undefined
  const group = block ?? wanted
  const channelBlock = prepacked ? panel : panelOf(group)
  if (channelBlock === undefined) return undefined
  const blocks = new Map<Axis, number>([
    ...(rows < height ? [[row, rows] as const] : []),
    ...(group < outputs ? [[out, group] as const] : []),
  ])
  const names = new AxisNames(e)
  const schedule: WinogradSchedule = {
    algorithm: 'winograd',
    outputTile: tiling.m,
    tasks: (block !== undefined ? [out, ...leading] : [...leading, ...blocks.keys()]).map((a) => names.of(a)),
    ...(blocks.size > 0 && { taskBlock: names.sizes(blocks) }),
    channelBlock,
    keepsFilter: !prepacked && leading.length === 1 && (block !== undefined || perOutput * outputs <= MODEL.mostKept),
  }
  if (shape.strided && !prepacked && (!schedule.keepsFilter || block !== undefined || !paysInPhases(shape, tiling))) return undefined
  return hasStatisticsBlocks(e, blocks) && planOnce(c, schedule, () => planForward(c, shape, tiling, schedule)) ? schedule : undefined
}

/**
 * The schedule of maps of a few tiles: a task has a block of images, whose tiles lie in lanes side by side, and what it transforms of the filter serves all of
 * them. For training alone: a single image would fill one lane of four. Undefined where an equation is no such convolution.
 */
export function chooseImages(c: Contraction): WinogradSchedule | undefined {
  const shape = matchConvolution(c)
  if (!shape) return undefined
  const { leading: [image, ...groups], out, row, column, filterSize } = shape
  if (image?.extent !== 'n' || groups.length > 0) return undefined
  const [height, width, outputs, inputs] = [row.extent as number, column.extent as number, out.extent as number, pointsOf(shape.channels)]
  const products = ({ m, down, across }: Tiling): number => down * across * (m + filterSize - 1) ** 2
  const [tiling] = (TILE_SIZES[filterSize] ?? []).map((m) => tilingOf(c, shape, m)).filter((t) => t !== undefined && paysPadded(shape, t))
    .sort((a, b) => products(a!) - products(b!))
  if (!tiling || 2 * products(tiling) > height * width * filterSize ** 2) return undefined
  if (inputs < MODEL.leastInputs[filterSize]! || outputs < MODEL.leastOutputs) return undefined
  // A thread keeps the filter of larger maps, where it can; with a filter that is too large it would transform each image for each block of channels.
  const isKept = (tiling.m + filterSize - 1) ** 2 * inputs * outputs <= MODEL.mostKept
  return isKept && tiling.down * tiling.across > MODEL.fewTiles ? undefined : blocksOfImages(c, shape, tiling)
}

/** Channels of a block where there are so many; undefined where they do not fill vectors. */
export const panelOf = (channels: number): number | undefined =>
  divisors(channels).filter((d) => d % CPU.lanes === 0 && d <= MODEL.channelBlock).at(-1)

/** Images of a block that fill vectors: with so many a block gains wherever a task may be so large (measured: 0.4 to 0.8 of the time image by image). */
const SMALLEST_BLOCK = 8

/**
 * Tasks of a block of images that are few: then blocks of maps of so many tiles are smaller, so that a batch of 32 is work for two threads, and the last
 * block of another batch leaves fewer without work. One thread was no slower with 12 to 64 channels.
 */
const FEW_TASKS = 4
const SHARING_TILES = 4

/** Whether a map is one tile: then several images are multiplied by what is read of the filter. */
export const isOneTile = ({ down, across }: Tiling): boolean => down * across === 1

/**
 * A task has a block of images, and of the output channels as many as leave work for all threads. `panel`: the channels of a block by which a filter was
 * prepared, which tasks keep whole. What is loaded of that filter comes from memory, so that a single image takes little longer than its part of a block
 * would. Undefined where a block of eight images is too large, or channels do not fill vectors.
 */
function blocksOfImages(c: Contraction, shape: Convolution, tiling: Tiling, panel?: number): WinogradSchedule | undefined {
  const { leading: [image], out, filterSize, channels } = shape
  const outputs = out.extent as number
  const perImage = tiling.down * tiling.across * (tiling.m + filterSize - 1) ** 2 * pointsOf(channels)
  const group =
    divisors(outputs).find((d) => d % (panel ?? CPU.lanes) === 0 && d >= MODEL.leastTaskChannels && outputs / d <= CPU.mostTasks) ?? outputs
  const isSmaller = outputs / group < FEW_TASKS && tiling.down * tiling.across >= SHARING_TILES
  const images = (isSmaller ? [16] : [32, 16]).find((count) => count * perImage <= MODEL.goodImages) ??
    (SMALLEST_BLOCK * perImage <= MODEL.mostTask ? SMALLEST_BLOCK : undefined)
  const channelBlock = panel ?? panelOf(group)
  if (image?.extent !== 'n' || images === undefined || channelBlock === undefined) return undefined
  const names = new AxisNames(c.equation)
  const schedule: WinogradSchedule = {
    algorithm: 'winograd',
    outputTile: tiling.m,
    tasks: [image, ...(group < outputs ? [out] : [])].map((a) => names.of(a)),
    taskBlock: names.sizes([[image, images], ...(group < outputs ? [[out, group] as const] : [])]),
    channelBlock,
    keepsFilter: false,
  }
  return hasStatisticsBlocks(c.equation, new Map()) && planOnce(c, schedule, () => planForward(c, shape, tiling, schedule)) ? schedule
    : undefined
}

/** m of the tiles for which a filter was prepared. */
const outputTileOf = ({ shape: [elements] }: Tensor, filterSize: number): number => Math.sqrt(elements as number) - filterSize + 1

/**
 * Tiles of a map: side by side or evenly where that covers the map, else such that the last ones end behind it. Undefined where the
 * input cannot be zero there.
 */
export const tilingOf = (c: Contraction, shape: Convolution, m: number): Tiling | undefined =>
  coverMap(m, shape.filterSize, shape.row.extent as number, shape.column.extent as number, mayOverlap(c.equation), mayPad(c, shape))

/** The tiles of an equation whose filter is not prepared: of those that cover the map, and those that end behind it, the ones of the least time. */
function tilingFor(c: Contraction, shape: Convolution): Tiling | undefined {
  const { filterSize, row, column, channels, out } = shape
  const mayEndBehind = mayPad(c, shape)
  const tiling = chooseTiling(filterSize, row.extent as number, column.extent as number, mayOverlap(c.equation), mayEndBehind)
  if (!tiling || !mayEndBehind) return tiling
  const larger = (TILE_SIZES[filterSize] ?? []).filter((m) => m > tiling.m).map((m) => tilingOf(c, shape, m))
    .filter((t) => t !== undefined && t.down > 1 && t.across > 1 && paysPadded(shape, t))
  const timeOf = ({ m, down, across }: Tiling): number => {
    const elements = (m + filterSize - 1) ** 2
    return down * across * elements * (1 + elements / 36 * MODEL.tileTransform * (1 / pointsOf(channels) + 1 / (out.extent as number)))
  }
  return larger.find((t) => timeOf(t!) < timeOf(tiling)) ?? tiling
}

/**
 * Whether tiles that end behind the map take less time than direct sums: of few channels transformations take more than they save. What lies within the map
 * is not asked.
 */
function paysPadded({ channels, out, row, column, filterSize }: Convolution, { m, down, across, isPadded }: Tiling): boolean {
  if (!isPadded) return true
  const products = down * across * (m + filterSize - 1) ** 2 *
    (1 + MODEL.paddedTransform * (1 / pointsOf(channels) + 1 / (out.extent as number)))
  return products <= MODEL.paddedShare * pointsOf([row, column]) * filterSize ** 2
}

/** Whether the input is zero behind the map, or can be made so: by what windows of the map reach, which are not mirrored. */
const mayPad = ({ main }: Contraction, { row, column, filterRow, filterColumn, input, strided }: Convolution): boolean =>
  ([[row, filterRow], [column, filterColumn]] as const).every(([a, k]) =>
    endsInZeros(main.body[input], a) || (!strided && !backwards(main.body[input], k, a))
  )

/** Transformed elements of a task of so many rows. */
function taskElements({ filterSize, channels, row }: Convolution, { m, down, across }: Tiling, rows: number): number {
  return (m + filterSize - 1) ** 2 * pointsOf(channels) * (rows === row.extent ? down : rows / m) * across
}

/** Rows of a task: as many as keep to the second cache, or those of the statistics that are gathered. */
function chooseRows(e: Equation, shape: Convolution, tiling: Tiling): number | undefined {
  const height = shape.row.extent as number
  const { m, across } = tiling
  // Half of the products are left, and are dearer.
  const wanted = Math.max(1, wantedTasks(e, pointsOf([shape.row, shape.column, shape.out, ...shape.channels]) * shape.filterSize ** 2 / 2))
  const sizes = tiling.stepDown === m && !tiling.isPadded ? divisors(height).filter((d) => d % m === 0) : [height]
  const elements = (rows: number): number => taskElements(shape, tiling, rows)
  const least = e.images === 'one' ? MODEL.leastImageTiles : MODEL.leastTaskTiles
  const isWorth = (rows: number): boolean => rows === height || rows / m * across >= least
  const block = statisticsBlockAlong(e, shape.row)
  const good = sizes.filter((d) => elements(d) <= MODEL.goodTask && isWorth(d))
  const rows = block !== undefined ? sizes.find((d) => d === block)
    : (e.images === 'one' ? good.find((d) => height / d <= wanted) : undefined) ?? good.at(-1) ?? sizes.find(isWorth)
  return rows === undefined || elements(rows) > MODEL.mostTask ? undefined : rows
}

/**
 * The loop nest of a schedule: a task packs its input, transforms it, and for each block of output channels transforms the filter,
 * multiplies and transforms back. Throws ScheduleMismatch.
 */
export function winogradNest(given: Contraction, schedule: WinogradSchedule): LoopNest {
  const found = findConvolution(given)
  fits(found, 'this is no convolution for Winograd')
  const { contraction: c, shape } = found
  const { row, filterSize, leading, out } = shape
  const tiling = tilingOf(c, shape, schedule.outputTile)
  fits(tiling, `tiles of ${schedule.outputTile} do not cover the map`)
  const { prepacked } = c.equation
  fits(
    !prepacked || schedule.channelBlock === c.equation.prepacked?.panel,
    'the filter was prepared for other blocks of channels',
  )
  fits(
    !prepacked || (schedule.outputTile === outputTileOf(prepacked.packed, filterSize) && leading.length === 1 && !schedule.keepsFilter),
    'the filter was prepared for other tiles',
  )
  fits(!schedule.keepsFilter || leading.length === 1, 'the filter is kept where images alone come first')
  const names = new AxisNames(c.equation)
  const cut = [row, out].map((a) => names.of(a)).filter((name) => schedule.taskBlock?.[name] !== undefined)
  const inOrder = [[...leading.map((a) => names.of(a)), ...cut], [...cut, ...leading.map((a) => names.of(a))]]
    .slice(0, schedule.keepsFilter && cut.join() === names.of(out) ? 2 : 1)
  fits(inOrder.some((order) => schedule.tasks.join() === order.join()), 'tasks are images, groups, rows, channels')
  const rows = schedule.taskBlock?.[names.of(row)]
  fits(
    rows === undefined || (rows % tiling.m === 0 && tiling.stepDown === tiling.m && !tiling.isPadded),
    `tasks of ${rows} rows are no rows of tiles`,
  )
  const images = leading.map((a) => schedule.taskBlock?.[names.of(a)]).find((size) => size !== undefined) ?? 1
  fits(images === 1 || [8, 16, 32].includes(images), `a task of ${images} images does not fill its vectors`)
  fits(
    images === 1 || (leading.length === 1 && rows === undefined && !schedule.keepsFilter),
    'blocks of images have whole maps, one filter at a time',
  )
  fits(images * taskElements(shape, tiling, rows ?? row.extent as number) <= MODEL.mostTask, 'a task has too many tiles')
  const plan = planOnce(c, schedule, () => planForward(c, shape, tiling, schedule))
  fits(plan, 'the input cannot be packed, or channels are not divided by their block')
  return nestOf(plan, c.equation)
}

function nestOf(plan: ForwardPlan, given: Equation): LoopNest {
  const { keepsFilter, prepacked, task, tensors, tiles, inputs, tiling: { m }, filterSize, channelBlocks } = plan
  const channelTasks = task.cut.get(plan.out)?.outer
  // A thread goes from the channels of an image to the next ones: its input is the same.
  const sameInput = channelTasks && channelTasks !== task.grid[0] && { invariantOver: task.grid.slice(0, -1) }
  const filter: StageGroup[] = prepacked ? [] : [
    { ...transformFilter(plan), ...(keepsFilter && { invariantOver: channelTasks ? [channelTasks] : [] }) },
  ]
  const images = imagesOf(task)
  return {
    grid: task.grid,
    ...(images && { images: { ...images, lanes: plan.lane } }),
    stages: [
      ...(keepsFilter ? filter : []),
      { ...packInput(plan), ...sameInput },
      { ...transformInput(plan), ...sameInput },
      ...(plan.multipliesAll ? multiply(plan) : []),
      {
        each: scalarLoops([channelBlocks]),
        stages: [...(keepsFilter ? [] : filter), ...(plan.multipliesAll ? [] : multiply(plan)), ...transformBack(plan)],
      },
      ...(plan.storesByRows ? [] : given.sides).map((side) => statisticsStage(side, plan.equation, task)),
    ],
    scratch: [
      plan.packed.into,
      tensors.transformed,
      ...(prepacked ? [] : [tensors.filter]),
      tensors.products,
      ...(plan.inRows && !plan.storesByRows ? [] : [tensors.results]),
      tensors.betweenInputs,
      ...(prepacked ? [] : [tensors.betweenFilters]),
      tensors.betweenResults,
    ],
    ...(plan.interior && { zeroed: [plan.packed.into] }),
    summary: `Winograd F(${m}x${m}, ${filterSize}x${filterSize}), ${tiles} tiles of ${inputs} channels${
      prepacked ? ', filter prepared' : ''
    }; prepares ${showElements([plan.packed.into.shape, tensors.transformed.shape])}`,
  }
}
