import { replaceNode, substitute } from '../../../ir/rewrite.ts'
import { tensor, type Tensor } from '../../../ir/tensor.ts'
import { constant, type Expression, guard, load, within } from '../../../ir/expression.ts'
import { type Axis, axis, index, type IndexLike, plus, remainder, times } from '../../../ir/affine.ts'
import { freeAxes, memoryStride } from '../../../ir/analysis.ts'
import type { Equation, Store } from '../../../ir/equation.ts'
import { mainOf } from '../contraction.ts'
import { CPU } from '../cost-model.ts'
import { splitAxis } from '../../../ir/reshape.ts'
import { type Interior, interiorOf } from '../pack-interior.ts'
import { packFactor, type PackedFactor } from '../packing.ts'
import { AxisNames, type WinogradSchedule } from '../schedule.ts'
import type { Contraction } from '../simplify.ts'
import { cutTasks, innerAxis, type TaskBlock, type TaskGrid } from '../tasks.ts'
import type { Convolution } from './convolution.ts'
import { backwards, endsInZeros, plane, type Tiling, transformsOf } from './transforms.ts'
import { betweenPasses } from './two-passes.ts'

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
  /**
   * Whether a task multiplies all of its output channels before it transforms any of them back: an element of all tiles stays in the first cache, and what a
   * task reads of a prepared filter follows each other in memory. A stream from memory takes less than half of the time of panels that lie apart.
   */
  readonly multipliesAll: boolean
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
  /**
   * Whether tiles in rows leave the results of one channel in scratch memory, from where they are stored row by row: tiles end behind the map, or lie
   * side by side and maps are loaded where results are stored. Four tiles in lanes would load these element by element.
   */
  readonly storesByRows: boolean
  readonly tileRow: Axis
  readonly tileColumn: Axis
  readonly anyTile: Axis
  /** The axes that count tiles, and the tile's number. */
  readonly tileAxes: readonly Axis[]
  readonly tile: IndexLike
  /** Where the filter lies mirrored, by rows and columns: the gradient by an input reads it backwards. */
  readonly mirrored: readonly [boolean, boolean]
  readonly packed: PackedFactor
  /** What is packed of it in every task, where its border is zero. */
  readonly interior: Interior | undefined
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
  const input = tiling.isPadded ? endedByZeros(main.body[shape.input], { ...shape, row: blockRow }, [tiledRow, tiledColumn])
    : main.body[shape.input]
  const down = rows === undefined ? tiling.down : rows / tiling.m
  const { m, across } = tiling
  const tiles = down * across * (images?.size ?? 1)
  const inRows = across >= 4 && !images
  const [tileRow, tileColumn, anyTile] = [axis('tile_h', down), axis('tile_w', across), axis('tile', tiles)] as const
  const meetsMaps = blocks.equation.stores.some((s) => loadsMaps(s.value, main, shape.column))
  // Rows of scratch memory are made of tiles side by side.
  const storesByRows = inRows && (tiling.isPadded === true || (meetsMaps && !tiling.overlaps))
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
  const blockCount = blocks.outer.extent as number
  const multipliesAll = prepacked !== undefined && elements * blockCount * outputs * tiles <= CPU.winograd.goodTask
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
    multipliesAll,
    inputs,
    outputs,
    tiles,
    tiling: { ...tiling, down },
    size: m + shape.filterSize - 1,
    images,
    lane,
    inRows,
    storesByRows,
    tileRow,
    tileColumn,
    anyTile,
    tileAxes: images ? [tileRow, tileColumn, lane] : inRows ? [tileRow, tileColumn] : [anyTile],
    tile: images ? plus(times(plus(times(tileRow, across), tileColumn), images.size), lane)
      : inRows ? plus(times(tileRow, across), tileColumn) : anyTile,
    mirrored: mirrorsOf(input, shape.filterRow, shape.filterColumn, tiledColumn, packed),
    packed,
    interior: interiorOf(packed.equation, fixed),
    within,
    fixed,
    tensors: {
      transformed: tensor('transformed', [elements, plane(inputs * tiles)]),
      filter: prepacked ?? tensor('windows', [elements, plane(kept * inputs)]),
      products: tensor('products', [elements, plane((multipliesAll ? blockCount : 1) * outputs * tiles)]),
      results: images ? tensor('results', [images.size, plane(resultsOf(outputs, blockRow, shape.column, { ...tiling, down }))])
        : tensor('results', storesByRows ? [down * m, across * m] : [outputs, m, m, tiles]),
      betweenInputs: betweenPasses('halfway', transforms.input, inLanes),
      betweenFilters: betweenPasses('windows_halfway', transforms.weight, shape.channels.at(-1)!),
      betweenResults: betweenPasses('results_halfway', transforms.output, inLanes),
    },
  }
}

/** The input for tiles that end behind the map: zero, where windows of the map do not reach it. */
function endedByZeros(
  f: Expression,
  { row, column, filterRow, filterColumn, filterSize }: Convolution,
  [down, across]: readonly [Axis, Axis],
): Expression {
  const longer = substitute(f, new Map([[row, down], [column, across]]))
  if ([row, column].every((a) => endsInZeros(f, a))) return longer
  const seen = ([[row, down, filterRow], [column, across, filterColumn]] as const).map(([a, tiled, k]) =>
    within(plus(tiled, k), (a.extent as number) + filterSize - 1)
  )
  return guard(seen, longer)
}

/** Whether a value loads maps beside the sums of products: what changes along `column`. */
const loadsMaps = (value: Expression, main: Expression, column: Axis): boolean =>
  freeAxes(replaceNode(value, main, constant(0))).has(column)

const mirrorsOf = (
  input: Expression,
  filterRow: Axis,
  filterColumn: Axis,
  column: Axis,
  { into, value }: PackedFactor,
): [boolean, boolean] => [
  memoryStride(into, value.at, filterRow)! < 0,
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
  // Blocks that come before the images are computed one at a time.
  return keepsFilter ? [...(channelTasks && channelTasks !== task.grid[0] ? [channelTasks] : []), channelBlocks] : []
}

/** Where the transformed filter of an output and an input channel lies. */
export const filterPlace = (p: ForwardPlan, out: IndexLike, input: IndexLike): IndexLike => {
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

/** Where the product of an output channel of a block and a tile lies, of each element. */
export const productPlace = (p: ForwardPlan, out: IndexLike, tile: IndexLike): IndexLike =>
  plus(times(p.multipliesAll ? plus(times(p.channelBlocks, p.outputs), out) : out, p.tiles), tile)

/** Where a result of a block of images lies, of an output channel of a block: rows follow each other, whatever tiles compute behind their ends. */
export const placeOfResult = ({ blockOut, blockRow, column }: ForwardPlan, row: IndexLike, at: IndexLike): IndexLike =>
  plus(times(plus(times(blockOut, blockRow.extent as number), row), column.extent as number), at)

/** Elements of these, with those that the last tile computes behind the end. */
const resultsOf = (outputs: number, row: Axis, column: Axis, { m, down, across, isPadded }: Tiling): number =>
  isPadded ? ((outputs - 1) * (row.extent as number) + down * m - 1) * (column.extent as number) + across * m
    : outputs * (row.extent as number) * (column.extent as number)

/** Several axes counted through as one. */
export function flatIndex(axes: readonly Axis[]): { size: number; at: (axes: readonly IndexLike[]) => IndexLike } {
  const sizes = axes.map((a) => a.extent as number)
  return {
    size: sizes.reduce((p, s) => p * s, 1),
    at: (index) => index.reduce<IndexLike>((whole, i, d) => (d === 0 ? i : plus(times(whole, sizes[d]!), i)), 0),
  }
}
