import { substitute } from '../../../ir/rewrite.ts'
import { tensor, type Tensor } from '../../../ir/tensor.ts'
import { freeAxes } from '../../../ir/analysis.ts'
import { type Axis, axis, type IndexLike, plus, times } from '../../../ir/affine.ts'
import { guard, type Guard, within } from '../../../ir/expression.ts'
import { mainOf } from '../contraction.ts'
import { CPU } from '../cost-model.ts'
import { packFactor, type PackedFactor } from '../packing.ts'
import { AxisNames, type FactorName, otherFactor, type WinogradGradientSchedule } from '../schedule.ts'
import type { Contraction } from '../simplify.ts'
import { cutTasks, innerAxis } from '../tasks.ts'
import { columnsOf } from './matrix.ts'
import { backwards, coverMap, endsInZeros, isDense, plane, TILE_SIZES, type Tiling, transformsOf } from './transforms.ts'
import { betweenPasses } from './two-passes.ts'

/** The roles of the axes of a filter's gradient. */
export interface WeightGradient {
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

/** Undefined where a contraction is no such gradient, or its filter is of another size. */
export function matchWeightGradient({ equation: e, main }: Contraction): WeightGradient | undefined {
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

/** Tiles that take each point of a map once, side by side; the last ones end behind a map that they do not divide. */
export const gradientTiling = ({ filterRow, row, column }: WeightGradient, m: number): Tiling | undefined =>
  coverMap(m, filterRow.extent as number, row.extent as number, column.extent as number, false, true)

/** The equation cut into blocks of channels, and the axes' roles in it. */
export function cutGradient(c: Contraction, shape: WeightGradient, schedule: WinogradGradientSchedule): {
  readonly contraction: Contraction
  readonly inTask: WeightGradient
} {
  const task = cutTasks(c.equation, new AxisNames(c.equation), schedule)
  const contraction = { equation: task.equation, main: mainOf(task.equation) }
  return { contraction, inTask: { ...shape, leading: task.grid, out: innerAxis(task, shape.out), channel: innerAxis(task, shape.channel) } }
}

/** What the stages hand on: tiles, packed factors, and scratch memory. */
export interface GradientPlan extends WeightGradient {
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
export function planGradient(
  { main: { body } }: Contraction,
  shape: WeightGradient,
  tiling: Tiling,
  { outputTile: m, rows, batchBlock }: WinogradGradientSchedule,
  overInputs: boolean,
): GradientPlan | undefined {
  const { leading, out, channel, filterRow, filterColumn, image, row, column, input } = shape
  const filterSize = filterRow.extent as number
  const { down, across } = tiling
  const [height, width] = [down * m, across * m]
  const [outputs, inputs] = [out.extent as number, channel.extent as number]
  if ((overInputs ? inputs : outputs) < CPU.lanes || outputs % CPU.lanes !== 0 || (!overInputs && across < CPU.lanes)) return undefined
  if (overInputs && inputs % CPU.lanes !== 0) return undefined
  if (backwards(body[input], filterRow, row) || backwards(body[input], filterColumn, column)) return undefined
  const size = m + filterSize - 1
  const transforms = transformsOf(m, filterSize)
  const rowBlocks = axis('row_block', height / rows)
  const [tileRow, tileColumn] = [axis('tile_h', rows / m), axis('tile_w', across)]
  const tilesOfImage = (tileRow.extent as number) * (tileColumn.extent as number)
  const images = batchBlock === undefined ? undefined
    : { blocks: axis(`${image.name}_block`, { chunks: batchBlock }), inner: axis(image.name, batchBlock), size: batchBlock }
  const tiles = tilesOfImage * (batchBlock ?? 1)
  const fixed = new Set<Axis>([...leading, ...(images ? [images.blocks, images.inner] : [image]), rowBlocks])
  // Both factors with their channels innermost: what is padded and normalized on the way is so once.
  const blockRow = axis('h', rows)
  const tiledColumn = tiling.isPadded ? axis(column.name, width) : column
  const tiledRow = rows === height ? blockRow : plus(times(rowBlocks, rows), blockRow)
  const block = new Map<Axis, IndexLike>([
    [row, tiledRow],
    [column, tiledColumn],
    ...(images ? [[image, plus(times(images.blocks, images.size), images.inner)] as const] : []),
  ])
  const inColumn = axis('w', m)
  const inTiles = new Map<Axis, IndexLike>([[tiledColumn, plus(times(tileColumn, m), inColumn)]])
  // Behind the map gradients are zero, so that nothing is added for tiles that end there; inputs are zero too, and not what lies behind them in memory.
  const behind = (margin: number): Guard[] =>
    tiling.isPadded ? ([[tiledRow, filterRow, row], [tiledColumn, filterColumn, column]] as const).map(([at, k, a]) =>
      within(plus(at, margin > 0 ? k : 0), (a.extent as number) + margin)
    ) : []
  const isGuarded = endsInZeros(body[input], row) && endsInZeros(body[input], column)
  const given = guard(isGuarded ? [] : behind(filterSize - 1), substitute(body[input], block))
  const packedInput = overInputs ? packFactor('picture', given, fixed, tiledColumn, channel)
    : packFactor('picture', substitute(given, inTiles), fixed, tileColumn)
  const packedGradient = packFactor('gradient', guard(behind(0), substitute(body[otherFactor(input)], block)), fixed, tiledColumn, out)
  if (!packedInput || !packedGradient) return undefined
  return {
    ...shape,
    column: tiledColumn,
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
    within: inColumn,
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
