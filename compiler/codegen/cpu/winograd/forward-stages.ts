import { substitute, replaceNode } from '../../../ir/rewrite.ts'
import { tensor, type Tensor } from '../../../ir/tensor.ts'
import { add, type Expression, load, mul, sum } from '../../../ir/expression.ts'
import { type Axis, axis, divide, index, type IndexLike, linearIndex, minus, plus, remainder, substitute as substituteIndex,
  times } from '../../../ir/affine.ts'
import { strideOf } from '../../../ir/analysis.ts'
import { divisors } from '../../../ir/divisors.ts'
import { type Equation, equation, type Store, store } from '../../../ir/equation.ts'
import { mainOf } from '../contraction.ts'
import { CPU } from '../cost-model.ts'
import { type Loop, scalarLoops, type Stage, type StageGroup, vectorLoops } from '../loop-nest.ts'
import { flattenAxes, splitAxis } from '../../../ir/reshape.ts'
import { packFactor, type PackedFactor } from '../packing.ts'
import { AxisNames, otherFactor, type WinogradSchedule } from '../schedule.ts'
import type { Contraction } from '../simplify.ts'
import { cutTasks, innerAxis, type TaskBlock, type TaskGrid } from '../tasks.ts'
import type { Convolution } from './convolution.ts'
import { backwards, plane, type Tiling, transformsOf } from './transforms.ts'
import { betweenPasses, twoPasses } from './two-passes.ts'

/** What the stages of a convolution hand on: its equation cut into tasks and blocks of channels, its tiles, and scratch memory. */
export interface ForwardPlan extends Convolution {
  /** Cut into tasks, output channels into blocks. `row` and `out` count those of a task and a block. */
  readonly equation: Equation
  readonly main: Contraction['main']
  readonly task: TaskGrid
  readonly channelBlocks: Axis
  readonly blockOut: Axis
  readonly blockRow: Axis
  /** The rows and columns that tiles compute: those of a task, and more where tiles end behind the map. */
  readonly tiledRow: Axis
  readonly tiledColumn: Axis
  readonly keepsFilter: boolean
  /** The filter of all output channels, as `prepare` has transformed it. */
  readonly prepacked: Tensor | undefined
  /** Input channels, output channels of a block, tiles of a task. */
  readonly inputs: number
  readonly outputs: number
  readonly tiles: number
  readonly tiling: Tiling
  /** Side of a transformed tile. */
  readonly size: number
  /** The images of a task, where it has a block of them, and what counts them in lanes. */
  readonly images: TaskBlock | undefined
  readonly lane: Axis
  /** Whether four tiles of a row lie in lanes; else the same tile of four images, or any four, whose elements are gathered. */
  readonly inRows: boolean
  readonly tileRow: Axis
  readonly tileColumn: Axis
  readonly anyTile: Axis
  /** The axes that count tiles, and the tile's number. */
  readonly tileAxes: readonly Axis[]
  readonly tile: IndexLike
  /** Where the filter lies mirrored, by rows and columns: the gradient by an input reads it backwards. */
  readonly mirrored: readonly [boolean, boolean]
  readonly packed: PackedFactor
  /** A column within a tile, while the input is packed by rows of tiles. */
  readonly within: Axis
  /** Axes that stand still in every stage. */
  readonly fixed: ReadonlySet<Axis>
  readonly tensors: Readonly<
    Record<'transformed' | 'filter' | 'products' | 'results' | 'betweenInputs' | 'betweenFilters' | 'betweenResults', Tensor>
  >
}

/** Undefined where the input cannot be packed, or the block does not divide a task's output channels. */
export function planForward(c: Contraction, shape: Convolution, tiling: Tiling, schedule: WinogradSchedule): ForwardPlan | undefined {
  const task = cutTasks(c.equation, new AxisNames(c.equation), schedule, { blocksOfImages: true })
  const images = [...task.cut].find(([a]) => a.extent === 'n')?.[1]
  const lane = axis('image', images?.size ?? 1)
  const taskOut = innerAxis(task, shape.out)
  if ((taskOut.extent as number) % schedule.channelBlock !== 0) return undefined
  const blocks = splitAxis(task.equation, taskOut, schedule.channelBlock)
  const main = mainOf(blocks.equation)
  const rows = task.cut.get(shape.row)?.size
  const blockRow = innerAxis(task, shape.row)
  const [tiledRow, tiledColumn] = tiling.isPadded
    ? [axis(shape.row.name, tiling.down * tiling.m), axis(shape.column.name, tiling.across * tiling.m)] : [blockRow, shape.column]
  const input = tiling.isPadded
    ? substitute(main.body[shape.input], new Map([[blockRow, tiledRow], [shape.column, tiledColumn]])) : main.body[shape.input]
  const down = rows === undefined ? tiling.down : rows / tiling.m
  const { m, across } = tiling
  const tiles = down * across * (images?.size ?? 1)
  const inRows = across >= 4 && !images
  const [tileRow, tileColumn, anyTile] = [axis('tile_h', down), axis('tile_w', across), axis('tile', tiles)] as const
  const firstColumn = times(inRows ? tileColumn : remainder(anyTile, across), tiling.stepAcross)
  const fixed = new Set<Axis>([...task.grid, blocks.outer])
  // Columns that the same element of neighbouring tiles falls on lie side by side.
  const within = axis('w', m)
  const cut = inRows ? substitute(input, new Map<Axis, IndexLike>([[tiledColumn, plus(firstColumn, within)]])) : input
  const packed = images ? packImages(cut, fixed, images, lane) : packFactor('picture', cut, fixed, inRows ? tileColumn : tiledColumn)
  if (!packed) return undefined
  const [inputs, outputs] = [flatIndex(shape.channels).size, schedule.channelBlock]
  const elements = (m + shape.filterSize - 1) ** 2
  const inLanes = images ? lane : inRows ? tileColumn : anyTile
  const { keepsFilter } = schedule
  const transforms = transformsOf(m, shape.filterSize)
  const prepacked = c.equation.prepacked?.packed
  const kept = flatIndex([...keptBlocks({ keepsFilter, prepacked, task, out: shape.out, channelBlocks: blocks.outer }), blocks.inner]).size
  return {
    ...shape,
    equation: blocks.equation,
    main,
    task,
    channelBlocks: blocks.outer,
    blockOut: blocks.inner,
    blockRow,
    tiledRow,
    tiledColumn,
    keepsFilter,
    prepacked,
    inputs,
    outputs,
    tiles,
    tiling: { ...tiling, down },
    size: m + shape.filterSize - 1,
    images,
    lane,
    inRows,
    tileRow,
    tileColumn,
    anyTile,
    tileAxes: images ? [tileRow, tileColumn, lane] : inRows ? [tileRow, tileColumn] : [anyTile],
    tile: images ? plus(times(plus(times(tileRow, across), tileColumn), images.size), lane)
      : inRows ? plus(times(tileRow, across), tileColumn) : anyTile,
    mirrored: mirrorsOf(input, shape.filterRow, shape.filterColumn, tiledColumn, packed),
    packed,
    within,
    fixed,
    tensors: {
      transformed: tensor('transformed', [elements, plane(inputs * tiles)]),
      filter: prepacked ?? tensor('windows', [elements, plane(kept * inputs)]),
      products: tensor('products', [elements, plane(outputs * tiles)]),
      results: images ? tensor('results', [images.size, plane(outputs * (tiledRow.extent as number) * (tiledColumn.extent as number))])
        : tensor('results', inRows ? [outputs, down * m, across * m] : [outputs, m, m, tiles]),
      betweenInputs: betweenPasses('halfway', transforms.input, inLanes),
      betweenFilters: betweenPasses('windows_halfway', transforms.weight, shape.channels.at(-1)!),
      betweenResults: betweenPasses('results_halfway', transforms.output, inLanes),
    },
  }
}

const mirrorsOf = (
  input: Expression,
  filterRow: Axis,
  filterColumn: Axis,
  column: Axis,
  { into, value }: PackedFactor,
): [boolean, boolean] => [
  strideOf(linearIndex(into, value.at), filterRow)! < 0,
  backwards(input, filterColumn, column),
]

/** Whether a filter lies mirrored, by rows and columns, in front of all blocks; undefined where the input cannot be packed. */
export function mirroredOf(c: Contraction, shape: Convolution): readonly [boolean, boolean] | undefined {
  const input = c.main.body[shape.input]
  const packed = packFactor('picture', input, new Set(shape.leading), shape.column)
  return packed && mirrorsOf(input, shape.filterRow, shape.filterColumn, shape.column, packed)
}

/** Packs the input of a block of images, which lie innermost: their lanes have the same place, whatever lies around it. */
function packImages(input: Expression, fixed: ReadonlySet<Axis>, { inner, size }: TaskBlock, lane: Axis): PackedFactor | undefined {
  const packed = packFactor('picture', input, new Set([...fixed, inner]), lane)
  if (!packed) return undefined
  const into = tensor(packed.into.name, [...packed.into.shape, size])
  const [stored] = packed.equation.stores as readonly [Store]
  return {
    ...packed,
    into,
    equation: { ...packed.equation, stores: [{ ...stored, tensor: into, at: [...stored.at, index(inner)] }] },
    value: load(into, ...packed.value.at, lane) as PackedFactor['value'],
  }
}

/** Axes in front of a block's output channels in the transformed filter, where all of it is kept or prepared. */
const keptBlocks = (
  { keepsFilter, prepacked, task, out, channelBlocks }: Pick<ForwardPlan, 'keepsFilter' | 'prepacked' | 'task' | 'out' | 'channelBlocks'>,
): readonly Axis[] => {
  const channelTasks = task.cut.get(out)?.outer
  if (prepacked) return [...(channelTasks ? [channelTasks] : []), channelBlocks]
  // Of blocks that come before the images there is one at a time.
  return keepsFilter ? [...(channelTasks && channelTasks !== task.grid[0] ? [channelTasks] : []), channelBlocks] : []
}

/** Loops over tiles, the last one in lanes. */
const overTiles = ({ tileAxes }: ForwardPlan): Loop[] => vectorLoops(tileAxes)

/** The input with its padding and what is computed of it on the way. */
export function packInput({ packed, fixed }: ForwardPlan): Stage {
  return { equation: packed.equation, loops: vectorLoops(packed.equation.axes.filter((a) => !fixed.has(a))), unroll: new Map() }
}

/** B' d B of every tile, from the packed input, row by row first. It may lie mirrored. */
export function transformInput(p: ForwardPlan): StageGroup {
  const { images, inRows, tiling: { m, across, stepDown, stepAcross }, size, filterSize } = p
  const firstRow = times(images || inRows ? p.tileRow : divide(p.anyTile, across), stepDown)
  const firstColumn = times(images || inRows ? p.tileColumn : remainder(p.anyTile, across), stepAcross)
  const channel = flatIndex(p.channels).at(p.channels)
  return twoPasses({
    name: 'transform',
    matrix: transformsOf(m, filterSize).input,
    each: [...scalarLoops(p.channels), ...overTiles(p)],
    between: p.tensors.betweenInputs,
    element: (row, column) =>
      substitute(
        p.packed.value,
        new Map<Axis, IndexLike>([
          [p.tiledRow, plus(firstRow, row)],
          inRows ? [p.within, column] : [p.tiledColumn, plus(firstColumn, column)],
          [p.filterRow, p.mirrored[0] ? filterSize - 1 : 0],
          [p.filterColumn, p.mirrored[1] ? filterSize - 1 : 0],
        ]),
      ),
    stores: (column, values) =>
      values.map((value, row) => store(p.tensors.transformed, [plus(column, row * size), plus(times(channel, p.tiles), p.tile)], value)),
  })
}

/** Where the transformed filter of an output and an input channel lies. */
const filterPlace = (p: ForwardPlan, out: IndexLike, input: IndexLike): IndexLike => {
  const kept = keptBlocks(p)
  if (p.prepacked) return preparedPlace(p, flatIndex(kept).at(kept), input, out)
  return plus(times(flatIndex([...kept, p.blockOut]).at([...kept, out]), p.inputs), input)
}

/** The same where it is prepared: blocks of output channels, whose channels lie side by side for each input channel (BLIS: panels of B). */
export const preparedPlace = (
  { inputs, outputs }: Pick<ForwardPlan, 'inputs' | 'outputs'>,
  block: IndexLike,
  input: IndexLike,
  out: IndexLike,
): IndexLike => plus(times(plus(times(block, inputs), input), outputs), out)

/** G g G' of every output and input channel, row by row first. */
export function transformFilter(p: ForwardPlan): StageGroup {
  const { filterSize, mirrored } = p
  const filter = p.main.body[otherFactor(p.input)]
  const last = filterSize - 1
  const channel = flatIndex(p.channels).at(p.channels)
  return twoPasses({
    name: 'windows',
    matrix: transformsOf(p.tiling.m, filterSize).weight,
    each: vectorLoops([...(p.keepsFilter ? [p.channelBlocks] : []), p.blockOut, ...p.channels]),
    between: p.tensors.betweenFilters,
    element: (row, column) =>
      substitute(
        filter,
        new Map<Axis, IndexLike>([
          [p.filterRow, mirrored[0] ? minus(last, row) : row],
          [p.filterColumn, mirrored[1] ? last - column : column],
        ]),
      ),
    stores: (column, values) =>
      values.map((value, row) => store(p.tensors.filter, [plus(column, row * p.size), filterPlace(p, p.blockOut, channel)], value)),
  })
}

/** One matrix product for each element of a transformed tile. */
export function multiply(p: ForwardPlan): Stage[] {
  if (p.prepacked) return multiplyPrepared(p)
  const { inputs, outputs, tiles, tensors, images } = p
  if (images) return [multiplyImages(p, images.size)]
  const [f, o, t, k] = [axis('f', p.size ** 2), axis('o', outputs), axis('tile', tiles), axis('c', inputs)]
  const product = mul(load(tensors.transformed, f, plus(times(k, tiles), t)), load(tensors.filter, f, filterPlace(p, o, k)))
  return [{
    equation: equation('multiply', [], [f, o, t], [store(tensors.products, [f, plus(times(o, tiles), t)], sum([k], product))]),
    loops: [
      { axis: f, tile: 1 },
      { axis: o, tile: Math.min(tiles >= 8 ? 4 : 8, outputs) },
      { axis: t, tile: tiles >= 8 ? 2 : 1, vectorized: tiles >= 4 },
    ],
    unroll: new Map([[k, [8, 4, 2].find((d) => inputs % d === 0) ?? 1]]),
  }]
}

/**
 * The same with a prepared filter: its panels are loaded in vectors, tiles are broadcast. A panel and all tiles are walked several times over, so input channels
 * are taken in as many blocks (BLIS: blocks of K) as let both keep to the first cache; sums go on in memory from block to block.
 */
function multiplyPrepared(p: ForwardPlan): Stage[] {
  const { inputs, outputs, tiles, tensors, images, lane } = p
  const most = Math.max(CPU.lanes, CPU.winograd.goodPanels / (outputs + tiles))
  const size = divisors(inputs).filter((d) => d <= most).at(-1)!
  // Many short sums would do little but begin.
  const block = size >= Math.min(inputs, LEAST_BLOCK) ? size : inputs
  return Array.from({ length: inputs / block }, (_, i): Stage => {
    const [f, o, k] = [axis('f', p.size ** 2), axis('o', outputs), axis('c', block)]
    const place = axis('tile', images ? tiles / images.size : tiles)
    const t = images ? plus(times(place, images.size), lane) : place
    const channel = plus(k, i * block)
    const product = mul(load(tensors.transformed, f, plus(times(channel, tiles), t)), load(tensors.filter, f, filterPlace(p, o, channel)))
    const total = [f, plus(times(o, tiles), t)] as const
    const value = i === 0 ? sum([k], product) : add(load(tensors.products, ...total), sum([k], product))
    const inVectors = outputs / CPU.lanes
    return {
      equation: equation('multiply', [], [f, o, place, ...(images ? [lane] : [])], [store(tensors.products, total, value)]),
      loops: [
        { axis: f, tile: 1 },
        { axis: o, tile: Math.min(2, inVectors), vectorized: true },
        ...(images ? [{ axis: place, tile: 1 }, { axis: lane, tile: CPU.lanes }]
          : [{ axis: place, tile: Math.min(inVectors > 1 ? 4 : 8, tiles) }]),
      ],
      unroll: new Map([[k, [8, 4, 2].find((d) => block % d === 0) ?? 1]]),
    }
  })
}

/** Input channels of a block of a sum, at least. */
const LEAST_BLOCK = 64

/** The same where tiles of the images of a block lie side by side. */
function multiplyImages(p: ForwardPlan, images: number): Stage {
  const { inputs, outputs, tiles, tensors, lane } = p
  const [f, o, place, k] = [axis('f', p.size ** 2), axis('o', outputs), axis('tile', tiles / images), axis('c', inputs)]
  const tile = plus(times(place, images), lane)
  const product = mul(load(tensors.transformed, f, plus(times(k, tiles), tile)), load(tensors.filter, f, filterPlace(p, o, k)))
  return {
    equation: equation('multiply', [], [f, o, place, lane], [store(tensors.products, [f, plus(times(o, tiles), tile)], sum([k], product))]),
    loops: [{ axis: f, tile: 1 }, { axis: place, tile: 1 }, { axis: o, tile: 4 }, { axis: lane, tile: 2, vectorized: true }],
    unroll: new Map([[k, [8, 4, 2].find((d) => inputs % d === 0) ?? 1]]),
  }
}

/**
 * A' m A, column by column first, and whatever follows the convolution: a row of its results at a time lies side by side. Tiles that do not
 * lie in rows are transformed to scratch memory first.
 */
export function transformBack(p: ForwardPlan): (Stage | StageGroup)[] {
  if (p.images) return transformImagesBack(p, p.images)
  const { tiling: { m, across, stepDown, stepAcross }, size, tensors, equation: e } = p
  const others = e.axes.filter((a) => a !== p.blockRow && a !== p.column)
  const stored = (i: IndexLike, j: IndexLike, value: Expression): readonly Store[] => {
    const map = new Map<Axis, IndexLike>([[p.blockRow, plus(times(p.tileRow, stepDown), i)], [
      p.column,
      plus(times(p.tileColumn, stepAcross), j),
    ]])
    return e.stores.map((s) => ({
      tensor: s.tensor,
      at: s.at.map((index) => substituteIndex(index, map)),
      value: substitute(replaceNode(s.value, p.main, value), map),
    }))
  }
  const tiled = (i: IndexLike, j: IndexLike): IndexLike[] => [plus(times(p.tileRow, m), i), plus(times(p.tileColumn, m), j)]
  const back = twoPasses({
    name: e.name,
    matrix: transformsOf(m, p.filterSize).output,
    each: [...scalarLoops([p.blockOut]), ...overTiles(p)],
    between: p.tensors.betweenResults,
    element: (column, row) => load(tensors.products, plus(column, row * size), plus(times(p.blockOut, p.tiles), p.tile)),
    stores: (row, values) =>
      values.flatMap((value, column) =>
        p.tiling.isPadded && p.inRows ? [store(tensors.results, [p.blockOut, ...tiled(row, column)], value)]
          : p.inRows ? stored(row, column, value) : [store(tensors.results, [p.blockOut, row, column, p.anyTile], value)]
      ),
  })
  if (p.tiling.isPadded) return [back, storePadded(p)]
  if (p.inRows) return [back]
  const [i, j] = [axis('h', m), axis('w', m)]
  const result = load(tensors.results, p.blockOut, i, j, plus(times(p.tileRow, across), p.tileColumn))
  return [
    back,
    {
      equation: { ...e, sides: [], axes: [...others, p.tileRow, i, p.tileColumn, j], stores: stored(i, j, result) },
      loops: vectorLoops([p.blockOut, p.tileRow, i, p.tileColumn, j]),
      unroll: new Map(),
    },
  ]
}

/** Stores what tiles that end behind the map have computed of it. */
function storePadded(p: ForwardPlan): Stage {
  const { blockOut, blockRow: row, column, tiling: { m, across }, tensors: { results }, equation: e } = p
  const inTile = (a: Axis): IndexLike => remainder(a, m)
  const result = p.inRows ? load(results, blockOut, row, column)
    : load(results, blockOut, inTile(row), inTile(column), plus(times(divide(row, m), across), divide(column, m)))
  const stores = e.stores.map((s) => ({ ...s, value: replaceNode(s.value, p.main, result) }))
  return { equation: { ...e, sides: [], stores }, loops: vectorLoops([blockOut, row, column]), unroll: new Map() }
}

/** The same for a block of images: the results of each are put together in scratch memory, then stored image by image. */
function transformImagesBack(p: ForwardPlan, { inner }: TaskBlock): (Stage | StageGroup)[] {
  const { tiling: { m, stepDown, stepAcross }, size, tensors, equation: e } = p
  const place = (row: IndexLike, column: IndexLike): IndexLike =>
    plus(times(plus(times(p.blockOut, p.tiledRow.extent as number), row), p.tiledColumn.extent as number), column)
  const back = twoPasses({
    name: e.name,
    matrix: transformsOf(m, p.filterSize).output,
    each: [...scalarLoops([p.blockOut]), ...overTiles(p)],
    between: p.tensors.betweenResults,
    element: (column, row) => load(tensors.products, plus(column, row * size), plus(times(p.blockOut, p.tiles), p.tile)),
    stores: (row, values) =>
      values.map((value, column) =>
        store(tensors.results, [p.lane, place(plus(times(p.tileRow, stepDown), row), plus(times(p.tileColumn, stepAcross), column))], value)
      ),
  })
  const result = load(tensors.results, inner, place(p.blockRow, p.column))
  const stored = { ...e, sides: [], stores: e.stores.map((s) => ({ ...s, value: replaceNode(s.value, p.main, result) })) }
  const flat = flattenAxes(stored, [...p.fixed, inner, p.blockOut])
  return [back, { equation: flat, loops: vectorLoops(flat.axes.filter((a) => !p.fixed.has(a))), unroll: new Map() }]
}

/** Several axes counted through as one. */
export function flatIndex(axes: readonly Axis[]): { size: number; at: (axes: readonly IndexLike[]) => IndexLike } {
  const sizes = axes.map((a) => a.extent as number)
  return {
    size: sizes.reduce((p, s) => p * s, 1),
    at: (index) => index.reduce<IndexLike>((whole, i, d) => (d === 0 ? i : plus(times(whole, sizes[d]!), i)), 0),
  }
}
