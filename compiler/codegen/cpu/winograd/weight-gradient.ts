import { substitute } from '../../../ir/rewrite.ts'
import { tensor, type Tensor } from '../../../ir/tensor.ts'
import { divisors } from '../../../ir/divisors.ts'
import { freeAxes } from '../../../ir/analysis.ts'
import { add, constant, type Expression, guard, load, mul, sum, within } from '../../../ir/expression.ts'
import { type Axis, axis, type IndexLike, plus, substitute as substituteIndex, times } from '../../../ir/affine.ts'
import { type Equation, equation, store } from '../../../ir/equation.ts'
import { IN_A_ROW } from '../batch-block.ts'
import { mainOf } from '../contraction.ts'
import { CPU } from '../cost-model.ts'
import { type Loop, type LoopNest, scalarLoops, type Stage, type StageGroup, vectorLoops } from '../loop-nest.ts'
import { interiorOf } from '../pack-interior.ts'
import { packFactor, type PackedFactor } from '../packing.ts'
import { AxisNames, type FactorName, fits, otherFactor, type WinogradGradientSchedule } from '../schedule.ts'
import type { Contraction } from '../simplify.ts'
import { cutTasks, innerAxis } from '../tasks.ts'
import { type ChannelBlocks, chooseBlocks, inBlocks } from './channel-blocks.ts'
import { backwards, chooseTiling, columnsOf, isDense, type Matrix, plane, showElements, TILE_SIZES, type Tiling, tilingFor,
  transformsOf } from './transforms.ts'
import { betweenPasses, twoPasses } from './two-passes.ts'

/*
 * The gradient of a convolution's filter by the transformations of Winograd's algorithm, transposed: with tiles d of inputs and e of
 * output gradients,
 *
 *   dg = G' [ (B' d B) * (A e A') ] G
 *
 * summed over tiles and images before the last step. Channels lie innermost throughout.
 */

const MODEL = CPU.winograd

/** The roles of the axes of a filter's gradient. */
interface WeightGradient {
  /** Groups. */
  readonly leading: readonly Axis[]
  readonly out: Axis
  readonly channel: Axis
  readonly filterRow: Axis
  readonly filterColumn: Axis
  readonly image: Axis
  readonly row: Axis
  readonly column: Axis
  /** Which factor the layer's input is, over which the filter slides; the other one is the gradient of the output. */
  readonly input: FactorName
}

function matchWeightGradient({ equation: e, main }: Contraction): WeightGradient | undefined {
  if (e.stores.length !== 1 || e.stores[0]!.value !== main || main.axes.length !== 3) return undefined
  const image = main.axes.find((a) => typeof a.extent !== 'number')
  const [row, column] = main.axes.filter((a) => typeof a.extent === 'number')
  if (!image || !row || !column) return undefined
  for (const input of ['a', 'b'] as const) {
    const factor = main.body[input]
    const [p, q] = [freeAxes(factor), freeAxes(main.body[otherFactor(input)])]
    const leading = e.axes.filter((a) => p.has(a) && q.has(a))
    const inInput = e.axes.filter((a) => p.has(a) && !q.has(a))
    const outs = e.axes.filter((a) => q.has(a) && !p.has(a))
    if (outs.length !== 1 || inInput.length !== 3) continue
    const [channel, filterRow, filterColumn] = inInput as [Axis, Axis, Axis]
    if (!isDense(factor, row, filterRow) || !isDense(factor, column, filterColumn)) continue
    if (filterRow.extent !== filterColumn.extent || !TILE_SIZES[filterRow.extent as number]) continue
    return { leading, out: outs[0]!, channel, filterRow, filterColumn, image, row, column, input }
  }
  return undefined
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
  const [tiling] = (TILE_SIZES[filterSize] ?? []).map((m) => tilingFor(m, filterSize, height, width))
    .filter((t) => t !== undefined && !t.overlaps).sort((a, b) => products(a!) - products(b!))
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
    rows: height,
    vectorAxis: names.of(shape.channel),
    batchBlock: images,
  }
  const { contraction, inTask } = cutGradient(c, shape, schedule)
  return planGradient(contraction, inTask, schedule, true) ? schedule : undefined
}

/** Chooses a schedule; undefined where an equation is no such gradient, or too small for it to pay. */
export function chooseWeightGradient(c: Contraction): WinogradGradientSchedule | undefined {
  const shape = matchWeightGradient(c)
  if (!shape) return undefined
  const filterSize = shape.filterRow.extent as number
  const [height, width] = [shape.row.extent as number, shape.column.extent as number]
  const [outputs, inputs] = [shape.out.extent as number, shape.channel.extent as number]
  // Sums take every pixel once.
  const m = chooseTiling(filterSize, height, width, false)?.m
  if (m === undefined || inputs < MODEL.leastInputs[filterSize]! || outputs < MODEL.leastOutputs) return undefined
  // Four input channels in the lanes; where there are few, four output channels, and four tiles of a row while inputs are transformed.
  const overInputs = inputs % CPU.lanes === 0 && (inputs >= MODEL.leastLaneInputs || outputs % CPU.lanes !== 0 || width / m < CPU.lanes)
  const size = m + filterSize - 1
  // Sums that would not stay in the cache are those of blocks of channels, where their numbers have blocks.
  const within = (limit: number): ChannelBlocks | undefined =>
    chooseBlocks(shape, overInputs, ({ out, channel }) => size ** 2 * out * channel <= limit)
  const blocks = within(MODEL.goodTask) ?? within(MODEL.goodTotals)
  if (!blocks) return undefined
  const elements = (rows: number): number => size ** 2 * (rows / m) * (width / m) * (blocks.channel + blocks.out)
  const rows = divisors(height).filter((d) => d % m === 0 && elements(d) <= MODEL.goodTask).at(-1)
  if (rows === undefined) return undefined
  const names = new AxisNames(c.equation)
  const schedule: WinogradGradientSchedule = {
    algorithm: 'winograd-gradient',
    ...inBlocks(shape, blocks, names),
    outputTile: m,
    rows,
    vectorAxis: names.of(overInputs ? shape.channel : shape.out),
  }
  const { contraction, inTask } = cutGradient(c, shape, schedule)
  return planGradient(contraction, inTask, schedule, overInputs) ? schedule : undefined
}

/** The equation cut into blocks of channels, and the axes' roles in it. */
function cutGradient(c: Contraction, shape: WeightGradient, schedule: WinogradGradientSchedule): {
  readonly contraction: Contraction
  readonly inTask: WeightGradient
} {
  const task = cutTasks(c.equation, new AxisNames(c.equation), schedule)
  const contraction = { equation: task.equation, main: mainOf(task.equation) }
  return { contraction, inTask: { ...shape, leading: task.grid, out: innerAxis(task, shape.out), channel: innerAxis(task, shape.channel) } }
}

/** What the stages hand on: tiles, packed factors, and scratch memory. */
interface GradientPlan extends WeightGradient {
  readonly filterSize: number
  readonly m: number
  /** Side of a transformed tile. */
  readonly size: number
  readonly inputs: number
  readonly outputs: number
  readonly overInputs: boolean
  /** Blocks of rows of an image, and a row within one. */
  readonly rowBlocks: Axis
  readonly blockRow: Axis
  readonly tileRow: Axis
  readonly tileColumn: Axis
  /** Blocks of images that are multiplied together, and an image within one, where there are such. */
  readonly images: { readonly blocks: Axis; readonly inner: Axis; readonly size: number } | undefined
  /** Tiles of an image's block of rows, or of a block of images; of one image. */
  readonly tiles: number
  readonly tilesOfImage: number
  readonly tile: IndexLike
  /** A column within a tile, where the input is packed by rows of tiles. */
  readonly within: Axis
  /** Axes that stand still in every stage. */
  readonly fixed: ReadonlySet<Axis>
  readonly packedInput: PackedFactor
  readonly packedGradient: PackedFactor
  readonly tensors: Readonly<
    Record<'transformed' | 'gradients' | 'totals' | 'betweenInputs' | 'betweenGradients' | 'betweenTotals', Tensor>
  >
}

/** Undefined where sizes do not fit, or a factor cannot be packed. */
function planGradient(
  { main: { body } }: Contraction,
  shape: WeightGradient,
  { outputTile: m, rows, batchBlock }: WinogradGradientSchedule,
  overInputs: boolean,
): GradientPlan | undefined {
  const { leading, out, channel, filterRow, filterColumn, image, row, column, input } = shape
  const filterSize = filterRow.extent as number
  const [height, width] = [row.extent as number, column.extent as number]
  const [outputs, inputs] = [out.extent as number, channel.extent as number]
  if ((overInputs ? inputs : outputs) < CPU.lanes || outputs % CPU.lanes !== 0 || (!overInputs && width / m < CPU.lanes)) return undefined
  if (overInputs && inputs % CPU.lanes !== 0) return undefined
  if (backwards(body[input], filterRow, row) || backwards(body[input], filterColumn, column)) return undefined
  const size = m + filterSize - 1
  const transforms = transformsOf(m, filterSize)
  const rowBlocks = axis('row_block', height / rows)
  const [tileRow, tileColumn] = [axis('tile_h', rows / m), axis('tile_w', width / m)]
  const tilesOfImage = (tileRow.extent as number) * (tileColumn.extent as number)
  const images = batchBlock === undefined ? undefined
    : { blocks: axis(`${image.name}_block`, { chunks: batchBlock }), inner: axis(image.name, batchBlock), size: batchBlock }
  const tiles = tilesOfImage * (batchBlock ?? 1)
  const fixed = new Set<Axis>([...leading, ...(images ? [images.blocks, images.inner] : [image]), rowBlocks])
  // Both factors with their channels innermost: what is padded and normalized on the way is so once.
  const blockRow = axis('h', rows)
  const block = new Map<Axis, IndexLike>([
    [row, plus(times(rowBlocks, rows), blockRow)],
    ...(images ? [[image, plus(times(images.blocks, images.size), images.inner)] as const] : []),
  ])
  const within = axis('w', m)
  const inTiles = new Map<Axis, IndexLike>([...block, [column, plus(times(tileColumn, m), within)]])
  const packedInput = overInputs ? packFactor('picture', substitute(body[input], block), fixed, column, channel)
    : packFactor('picture', substitute(body[input], inTiles), fixed, tileColumn)
  const packedGradient = packFactor('gradient', substitute(body[otherFactor(input)], block), fixed, column, out)
  if (!packedInput || !packedGradient) return undefined
  return {
    ...shape,
    filterSize,
    m,
    size,
    inputs,
    outputs,
    overInputs,
    rowBlocks,
    blockRow,
    tileRow,
    tileColumn,
    images,
    tiles,
    tilesOfImage,
    tile: plus(images ? times(images.inner, tilesOfImage) : 0, times(tileRow, tileColumn.extent as number), tileColumn),
    within,
    fixed,
    packedInput,
    packedGradient,
    tensors: {
      transformed: tensor('transformed', [size ** 2, plane(tiles * inputs)]),
      gradients: tensor('gradients', [size ** 2, plane(tiles * outputs)]),
      totals: tensor('totals', [size ** 2, plane(outputs * inputs)]),
      betweenInputs: betweenPasses('halfway', transforms.input, overInputs ? channel : tileColumn),
      betweenGradients: betweenPasses('gradient_halfway', columnsOf(transforms.output), out),
      betweenTotals: betweenPasses('totals_halfway', columnsOf(transforms.weight), overInputs ? channel : out),
    },
  }
}

/**
 * The loop nest of a schedule: for each image and block of rows both factors are packed and transformed, and their products added up in
 * memory; in the end the sums are transformed back. Throws ScheduleMismatch.
 */
export function weightGradientNest(c: Contraction, schedule: WinogradGradientSchedule): LoopNest {
  const shape = matchWeightGradient(c)
  fits(shape, "this is no gradient of a convolution's filter for Winograd")
  const names = new AxisNames(c.equation)
  const { row, column, leading, channel, out, filterRow } = shape
  const [height, { rows, outputTile: m, vectorAxis }] = [row.extent as number, schedule]
  const tiling = tilingFor(m, filterRow.extent as number, height, column.extent as number)
  fits(tiling && !tiling.overlaps && height % rows === 0 && rows % m === 0, `tiles of ${m} in blocks of ${rows} rows do not cover the map`)
  const cut = [out, channel].filter((a) => schedule.taskBlock?.[names.of(a)] !== undefined)
  fits(schedule.tasks.join() === [...leading, ...cut].map((a) => names.of(a)).join(), 'tasks are groups, and blocks of channels')
  fits([channel, out].some((a) => names.of(a) === vectorAxis), `${vectorAxis} cannot be in lanes`)
  const { contraction, inTask } = cutGradient(c, shape, schedule)
  const { batchBlock } = schedule
  fits(
    batchBlock === undefined || (batchBlock % IN_A_ROW === 0 && rows === height && shape.image.extent === 'n'),
    `blocks of images have whole maps, and rows of ${IN_A_ROW}`,
  )
  const plan = planGradient(contraction, inTask, schedule, vectorAxis === names.of(channel))
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

/** Packs a factor, four neighbours in memory at a time. */
function packStage({ fixed }: GradientPlan, packed: PackedFactor): Stage {
  const interior = interiorOf(packed.equation, fixed)
  const equation = interior?.equation ?? packed.equation
  const along = interior?.axes.get(packed.along) ?? packed.along
  const own = equation.axes.filter((a) => !fixed.has(a))
  // A vector of a shorter row would be stored over what lies behind the last one.
  const inVectors = (along.extent as number) >= CPU.lanes
  const loop = (a: Axis): Loop => ({ axis: a, tile: 1, ...(a === along && inVectors && { vectorized: true }) })
  // Four columns of four channels are transposed, channels outermost: their maps often lie a power of two apart, so that few of them
  // fit into the first cache together.
  const channels = own.at(-1)!
  const transposes = channels !== along && (channels.extent as number) % CPU.lanes === 0
  const loops = transposes ? [{ axis: channels, tile: CPU.lanes }, ...own.slice(0, -1).map(loop)] : own.map(loop)
  return { equation, loops, unroll: new Map() }
}

/** M x M' of every tile of a packed factor, for each of its channels `a`, row by row first. */
function transformTiles(
  p: GradientPlan,
  { name, matrix, from, each, between, into, a }: {
    readonly name: string
    readonly matrix: Matrix
    readonly from: Expression
    readonly each: readonly Loop[]
    readonly between: Tensor
    readonly into: Tensor
    readonly a: Axis
  },
): StageGroup {
  return twoPasses({
    name,
    matrix,
    each,
    between,
    element: (row, column) =>
      substitute(
        from,
        new Map<Axis, IndexLike>([
          [p.blockRow, plus(times(p.tileRow, p.m), row)],
          [p.column, plus(times(p.tileColumn, p.m), column)],
          [p.within, column],
          [p.filterRow, 0],
          [p.filterColumn, 0],
        ]),
      ),
    stores: (column, values) =>
      values.map((value, row) => store(into, [plus(column, row * p.size), plus(times(p.tile, a.extent as number), a)], value)),
  })
}

/** B' d B of every tile of inputs. */
function transformInput(p: GradientPlan): StageGroup {
  const { m, filterSize, channel: a, tileRow, tileColumn, tensors: { betweenInputs: between, transformed: into } } = p
  return transformTiles(p, {
    name: 'transform',
    matrix: transformsOf(m, filterSize).input,
    from: p.packedInput.value,
    each: vectorLoops(p.overInputs ? [tileRow, tileColumn, a] : [a, tileRow, tileColumn]),
    between,
    into,
    a,
  })
}

/** A e A' of every tile of output gradients. */
function transformGradient(p: GradientPlan): StageGroup {
  const { m, filterSize, out: a, tileRow, tileColumn, tensors: { betweenGradients: between, gradients: into } } = p
  return transformTiles(p, {
    name: 'transform_gradient',
    matrix: columnsOf(transformsOf(m, filterSize).output),
    from: p.packedGradient.value,
    each: vectorLoops([tileRow, tileColumn, a]),
    between,
    into,
    a,
  })
}

/** Where the sum of an output and an input channel lies: what is in the lanes runs fastest. */
const placeOf = ({ overInputs, inputs, outputs }: GradientPlan, o: IndexLike, c: IndexLike): IndexLike =>
  overInputs ? plus(times(o, inputs), c) : plus(times(c, outputs), o)

/** One matrix product for each element of a transformed tile, added to the sums so far. */
function multiply(p: GradientPlan): Stage {
  const { size, inputs, outputs, tiles, tensors: { transformed, gradients, totals }, overInputs } = p
  const [f, o, c, t] = [axis('f', size ** 2), axis('o', outputs), axis('c', inputs), axis('tile', tiles)]
  const total = [f, placeOf(p, o, c)] as const
  const product = mul(load(transformed, f, plus(times(t, inputs), c)), load(gradients, f, plus(times(t, outputs), o)))
  return {
    equation: equation('multiply', [], [f, o, c], [store(totals, total, add(load(totals, ...total), sum([t], product)))]),
    loops: overInputs
      ? [{ axis: f, tile: 1 }, { axis: o, tile: 4 }, { axis: c, tile: 2, vectorized: true }]
      : [{ axis: f, tile: 1 }, { axis: c, tile: Math.min(4, inputs) }, { axis: o, tile: 2, vectorized: true }],
    unroll: new Map([[t, [8, 7, 4, 2].find((d) => tiles % d === 0) ?? 1]]),
  }
}

/** The same for the tiles of a block of images, whole rows of them. */
function multiplyImages(p: GradientPlan, { blocks, size: images }: NonNullable<GradientPlan['images']>): Stage {
  const { size, inputs, outputs, tilesOfImage, tensors: { transformed, gradients, totals } } = p
  const [f, o, c] = [axis('f', size ** 2), axis('o', outputs), axis('c', inputs)]
  const [row, t] = [axis('row', images / IN_A_ROW), axis('tile', IN_A_ROW * tilesOfImage)]
  const tile = plus(times(row, IN_A_ROW * tilesOfImage), t)
  const total = [f, placeOf(p, o, c)] as const
  const isThere = within(plus(times(blocks, images), times(row, IN_A_ROW)), 'n')
  const product = mul(
    guard([isThere], load(transformed, f, plus(times(tile, inputs), c))),
    load(gradients, f, plus(times(tile, outputs), o)),
  )
  return {
    equation: equation('multiply', [], [f, o, c], [store(totals, total, add(load(totals, ...total), sum([row, t], product)))]),
    loops: [{ axis: f, tile: 1 }, { axis: o, tile: 4 }, { axis: c, tile: 2, vectorized: true }],
    unroll: new Map([[t, [8, 4].find((d) => (IN_A_ROW * tilesOfImage) % d === 0)!]]),
  }
}

function clear(scratch: Tensor): Stage {
  const axes = scratch.shape.map((extent) => axis('i', extent as number))
  return { equation: equation('clear', [], axes, [store(scratch, axes, constant(0))]), loops: vectorLoops(axes), unroll: new Map() }
}

/** G' M G of the finished sums, column by column first: the gradient of the filter. */
function transformBack(p: GradientPlan, given: Equation): StageGroup {
  const { size, m, filterSize, filterRow, filterColumn, out, channel, tensors: { totals, betweenTotals } } = p
  const [stored] = given.stores as readonly [Equation['stores'][number]]
  return twoPasses({
    name: given.name,
    matrix: columnsOf(transformsOf(m, filterSize).weight),
    each: vectorLoops(p.overInputs ? [out, channel] : [channel, out]),
    between: betweenTotals,
    element: (column, row) => load(totals, plus(column, row * size), placeOf(p, out, channel)),
    stores: (row, values) =>
      values.map((value, column) => {
        const place = new Map<Axis, IndexLike>([[filterRow, row], [filterColumn, column]])
        return { ...stored, at: stored.at.map((index) => substituteIndex(index, place)), value }
      }),
  })
}
