import { divisors } from '../../../ir/divisors.ts'
import { times } from '../../../ir/affine.ts'
import { IN_A_ROW } from '../batch-block.ts'
import { CPU } from '../cost-model.ts'
import { type LoopNest, scalarLoops } from '../loop-nest.ts'
import { interiorOf } from '../pack-interior.ts'
import { AxisNames, fits, type WinogradGradientSchedule } from '../schedule.ts'
import type { Contraction } from '../simplify.ts'
import { type ChannelBlocks, chooseBlocks, inBlocks } from './channel-blocks.ts'
import { cutGradient, type GradientPlan, gradientTiling, matchWeightGradient, planGradient, type WeightGradient } from './gradient-plan.ts'
import { clear, multiply, multiplyImages, packStage, transformBack, transformGradient, transformInput } from './gradient-stages.ts'
import { lastTried } from './last-tried.ts'
import { showElements, TILE_SIZES, type Tiling } from './transforms.ts'

/*
 * The gradient of a convolution's filter by the transformations of Winograd's algorithm, transposed: with tiles d of inputs and e of
 * output gradients,
 *
 *   dg = G' [ (B' d B) * (A e A') ] G
 *
 * summed over tiles and images before the last step. Channels lie innermost throughout.
 */

const MODEL = CPU.winograd

/** An equation cut into blocks of channels by a schedule, and its plan where there is one. */
interface CutPlan extends ReturnType<typeof cutGradient> {
  readonly plan: GradientPlan | undefined
}
const planOnce = lastTried<CutPlan>()

function planCut(c: Contraction, shape: WeightGradient, tiling: Tiling, schedule: WinogradGradientSchedule): CutPlan {
  const cut = cutGradient(c, shape, schedule)
  const overInputs = schedule.vectorAxis === new AxisNames(c.equation).of(shape.channel)
  return { ...cut, plan: planGradient(cut.contraction, cut.inTask, tiling, schedule, overInputs) }
}

/**
 * The schedule of maps of a few tiles: those of a block of images are transformed, then multiplied together. Image by image all sums would be read and
 * written for a few products each. Undefined where an equation is no such gradient.
 */
export function chooseGradientOfImages(c: Contraction): WinogradGradientSchedule | undefined {
  const shape = matchWeightGradient(c)
  if (!shape || shape.image.extent !== 'n' || shape.leading.length > 0) return undefined
  const filterSize = shape.filterRow.extent as number
  const [height, width] = [shape.row.extent as number, shape.column.extent as number]
  const [outputs, inputs] = [shape.out.extent as number, shape.channel.extent as number]
  const products = ({ m, down, across }: Tiling): number => down * across * (m + filterSize - 1) ** 2
  const [tiling] = tilingsOf(shape).sort((a, b) => products(a) - products(b))
  if (!tiling || tiling.down * tiling.across > MODEL.fewGradientTiles || 2 * products(tiling) > height * width * filterSize ** 2)
    return undefined
  if (inputs < MODEL.leastLaneInputs || inputs % CPU.lanes !== 0 || outputs < MODEL.leastOutputs) return undefined
  const size = (tiling.m + filterSize - 1) ** 2
  const blocks = chooseBlocks(shape, true, ({ out, channel }) =>
    size * out * channel <= MODEL.goodTotals &&
    (out === MODEL.leastBlock || outputs / out * inputs / channel >= CPU.mostTasks || out * channel <= CPU.leastTask))
  const images = blocks &&
    [32, 16, 8].find((count) => count * products(tiling) * (blocks.channel + blocks.out) <= MODEL.goodTotals)
  if (!blocks || images === undefined) return undefined
  const names = new AxisNames(c.equation)
  const schedule: WinogradGradientSchedule = {
    algorithm: 'winograd-gradient',
    ...inBlocks(shape, blocks, names),
    outputTile: tiling.m,
    rows: tiling.down * tiling.m,
    vectorAxis: names.of(shape.channel),
    batchBlock: images,
  }
  return planOnce(c, schedule, () => planCut(c, shape, tiling, schedule)).plan ? schedule : undefined
}

/** Chooses a schedule; undefined where an equation is no such gradient, or too small for it to pay. */
export function chooseWeightGradient(c: Contraction): WinogradGradientSchedule | undefined {
  const shape = matchWeightGradient(c)
  if (!shape) return undefined
  const filterSize = shape.filterRow.extent as number
  const [outputs, inputs] = [shape.out.extent as number, shape.channel.extent as number]
  const tiling = chooseTiling(shape)
  if (!tiling || inputs < MODEL.leastInputs[filterSize]! || outputs < MODEL.leastOutputs) return undefined
  const { m, down, across } = tiling
  // Four input channels in the lanes; where there are few, four output channels, and four tiles of a row while inputs are transformed.
  const overInputs = inputs % CPU.lanes === 0 && (inputs >= MODEL.leastLaneInputs || outputs % CPU.lanes !== 0 || across < CPU.lanes)
  const size = m + filterSize - 1
  // Sums that would not stay in the cache are those of blocks of channels, where their numbers have blocks.
  const within = (limit: number): ChannelBlocks | undefined =>
    chooseBlocks(shape, overInputs, ({ out, channel }) => size ** 2 * out * channel <= limit)
  const blocks = within(MODEL.goodTask) ?? within(MODEL.goodTotals)
  if (!blocks) return undefined
  const elements = (rows: number): number => size ** 2 * (rows / m) * across * (blocks.channel + blocks.out)
  const rows = divisors(down * m).filter((d) => d % m === 0 && elements(d) <= MODEL.goodTask).at(-1)
  if (rows === undefined) return undefined
  const names = new AxisNames(c.equation)
  const schedule: WinogradGradientSchedule = {
    algorithm: 'winograd-gradient',
    ...inBlocks(shape, blocks, names),
    outputTile: m,
    rows,
    vectorAxis: names.of(overInputs ? shape.channel : shape.out),
  }
  return planOnce(c, schedule, () => planCut(c, shape, tiling, schedule)).plan ? schedule : undefined
}

const tilingsOf = (shape: WeightGradient): Tiling[] =>
  (TILE_SIZES[shape.filterRow.extent as number] ?? []).map((m) => gradientTiling(shape, m)).filter((t) => t !== undefined)

/** The tiles that take the least time: side by side, or ending behind the map. Undefined where direct sums take less. */
function chooseTiling(shape: WeightGradient): Tiling | undefined {
  const [inputs, outputs, filterSize] = [shape.channel, shape.out, shape.filterRow].map((a) => a.extent as number) as [
    number,
    number,
    number,
  ]
  const pixels = (shape.row.extent as number) * (shape.column.extent as number)
  /** As a number of products: an element of an input that is transformed takes as long as some of them, one of a gradient as long as fewer. */
  const timeOf = ({ m, down, across }: Tiling): number => {
    const elements = (m + filterSize - 1) ** 2
    const { input, gradient } = MODEL.gradientTransform
    return down * across * elements * (1 + elements / 36 * (input / outputs + gradient / inputs))
  }
  const [best] = tilingsOf(shape).filter((t) =>
    t.isPadded ? t.down > 1 && t.across > 1 && timeOf(t) <= MODEL.paddedShare * pixels * filterSize ** 2 : pixels >= MODEL.leastPixels
  ).sort((a, b) => timeOf(a) - timeOf(b))
  return best
}

/**
 * The loop nest of a schedule: for each image and block of rows both factors are packed and transformed, and their products added up in
 * memory; in the end the sums are transformed back. Throws ScheduleMismatch.
 */
export function weightGradientNest(c: Contraction, schedule: WinogradGradientSchedule): LoopNest {
  const shape = matchWeightGradient(c)
  fits(shape, "this is no gradient of a convolution's filter for Winograd")
  const names = new AxisNames(c.equation)
  const { leading, channel, out } = shape
  const { rows, outputTile: m, vectorAxis } = schedule
  const tiling = gradientTiling(shape, m)
  const height = (tiling?.down ?? 0) * m
  fits(tiling && height % rows === 0 && rows % m === 0, `tiles of ${m} in blocks of ${rows} rows do not cover the map`)
  const cut = [out, channel].filter((a) => schedule.taskBlock?.[names.of(a)] !== undefined)
  fits(schedule.tasks.join() === [...leading, ...cut].map((a) => names.of(a)).join(), 'tasks are groups, and blocks of channels')
  fits([channel, out].some((a) => names.of(a) === vectorAxis), `${vectorAxis} cannot be in lanes`)
  const { batchBlock } = schedule
  fits(
    batchBlock === undefined || (batchBlock % IN_A_ROW === 0 && rows === height && shape.image.extent === 'n'),
    `blocks of images have whole maps, and rows of ${IN_A_ROW}`,
  )
  const { contraction, inTask, plan } = planOnce(c, schedule, () => planCut(c, shape, tiling, schedule))
  fits(plan, 'channels do not fill vectors, or a factor cannot be packed')
  const { packedInput, packedGradient, tensors, filterSize, tiles, inputs, outputs, images } = plan
  const zeroed = [packedInput, packedGradient].filter((packed) => interiorOf(packed.equation, plan.fixed)).map(({ into }) => into)
  const transformed = [packStage(plan, packedInput), packStage(plan, packedGradient), transformInput(plan), transformGradient(plan)]
  return {
    grid: inTask.leading,
    ...(images && { images: { axis: images.inner, first: times(images.blocks, images.size) } }),
    outerReduction: {
      axis: images?.blocks ?? shape.image,
      init: clear(tensors.totals),
      epilogue: transformBack(plan, contraction.equation),
    },
    stages: images
      ? [
        // The last row of images may have fewer: nothing is added for those that are not there.
        clear(tensors.transformed),
        clear(tensors.gradients),
        { each: scalarLoops([plan.rowBlocks, images.inner]), stages: transformed },
        multiplyImages(plan, images),
      ]
      : [{ each: scalarLoops([plan.rowBlocks]), stages: [...transformed, multiply(plan)] }],
    scratch: [
      packedInput.into,
      packedGradient.into,
      tensors.transformed,
      tensors.gradients,
      tensors.totals,
      tensors.betweenInputs,
      tensors.betweenGradients,
      tensors.betweenTotals,
    ],
    ...(zeroed.length > 0 && { zeroed }),
    summary: `Winograd F(${filterSize}x${filterSize}, ${m}x${m}), ${tiles} tiles of ${inputs} and ${outputs} channels; prepares ${
      showElements([packedInput.into.shape, packedGradient.into.shape])
    }`,
  }
}
