import { substitute, replaceNode } from '../../../ir/rewrite.ts'
import { strideOf } from '../../../ir/analysis.ts'
import { type Equation, type Store, store } from '../../../ir/equation.ts'
import { type Expression, load, walk } from '../../../ir/expression.ts'
import { type Axis, axis, divide, index, type IndexLike, linearIndex, minus, plus, remainder, substitute as substituteIndex,
  times } from '../../../ir/affine.ts'
import { CPU } from '../cost-model.ts'
import { withStatistics } from '../gathered-sums.ts'
import { type Loop, scalarLoops, type Stage, type StageGroup, vectorLoops } from '../loop-nest.ts'
import { flattenAxes } from '../../../ir/reshape.ts'
import { otherFactor } from '../schedule.ts'
import type { TaskBlock } from '../tasks.ts'
import { transformsOf } from './transforms.ts'
import { twoPasses } from './two-passes.ts'
import { filterPlace, flatIndex, type ForwardPlan, placeOfResult, productPlace } from './forward-plan.ts'

/** Loops over tiles, the last one in lanes. */
const overTiles = ({ tileAxes }: ForwardPlan): Loop[] => vectorLoops(tileAxes)

/**
 * The input with its padding and what is computed of it on the way. Four columns of a tile that go to rows of their own are loaded as they lie, and four
 * tiles of them transposed: lane by lane each vector would take four loads, of every map that a prologue reads.
 */
export function packInput({ packed: { equation: whole, along: lanes }, interior, fixed }: ForwardPlan): Stage {
  const equation = interior?.equation ?? whole
  const along = interior?.axes.get(lanes) ?? lanes
  const own = equation.axes.filter((a) => !fixed.has(a))
  const phase = own.at(-2)
  const isCut = own.at(-1) === along && phase && (phase.extent as number) % CPU.lanes === 0 && isPhaseOf(equation, phase, along)
  const loops: Loop[] = isCut
    ? [...scalarLoops(own.slice(0, -2)), { axis: along, tile: CPU.lanes }, { axis: phase, tile: 1, vectorized: true }] : vectorLoops(own)
  return { equation, loops, unroll: new Map() }
}

/** Whether neighbours along `phase` lie side by side in memory wherever they are loaded, and those of the other axis behind all of them. */
const isPhaseOf = (e: Equation, phase: Axis, along: Axis): boolean =>
  e.stores.every((s) =>
    walk(s.value).every((node) => {
      if (node.kind !== 'load') return true
      const form = linearIndex(node.tensor, node.at)
      return strideOf(form, phase) === 0 ? strideOf(form, along) === 0
        : strideOf(form, phase) === 1 && strideOf(form, along) === phase.extent
    })
  )

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
    each: [...(p.storesByRows ? [] : scalarLoops([p.blockOut])), ...overTiles(p)],
    between: p.tensors.betweenResults,
    element: (column, row) => load(tensors.products, plus(column, row * size), productPlace(p, p.blockOut, p.tile)),
    stores: (row, values) =>
      values.flatMap((value, column) =>
        p.storesByRows ? [store(tensors.results, tiled(row, column), value)]
          : p.inRows ? stored(row, column, value) : [store(tensors.results, [p.blockOut, row, column, p.anyTile], value)]
      ),
  })
  if (p.storesByRows) {
    const channel = plus(times(p.channelBlocks, p.outputs), p.blockOut)
    return [{ each: scalarLoops([p.blockOut]), stages: [back, ...withStatistics(storeRows(p), e, p.task, channel)] }]
  }
  if (p.tiling.isPadded) return [back, storeRows(p)]
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

/** Stores what tiles have computed of the map, row by row: tiles that end behind it compute more. */
function storeRows(p: ForwardPlan): Stage {
  const { blockOut, blockRow: row, column, tiling: { m, across }, tensors: { results }, equation: e } = p
  const inTile = (a: Axis): IndexLike => remainder(a, m)
  const result = p.storesByRows ? load(results, row, column)
    : load(results, blockOut, inTile(row), inTile(column), plus(times(divide(row, m), across), divide(column, m)))
  const stores = e.stores.map((s) => ({ ...s, value: replaceNode(s.value, p.main, result) }))
  const equation = { ...e, sides: [], stores }
  if (!p.storesByRows) return { equation, loops: vectorLoops([blockOut, row, column]), unroll: new Map() }
  const vectors = (column.extent as number) / CPU.lanes
  const tile = [4, 3, 2].find((d) => vectors % d === 0) ?? 1
  return { equation, loops: [{ axis: row, tile: 1 }, { axis: column, tile, vectorized: true }], unroll: new Map() }
}

/**
 * The same for a block of images: the results of each are put together in scratch memory, then stored image by image. Maps lie there without gaps, so that vectors
 * go on from row to row. What a tile computes behind the end of a row falls on places that are written later: tiles of a row come from right to left, rows of
 * a tile and channels in order.
 */
function transformImagesBack(p: ForwardPlan, { inner }: TaskBlock): (Stage | StageGroup)[] {
  const { tiling: { m, across, stepDown, stepAcross, isPadded }, size, tensors, equation: e } = p
  const place = (row: IndexLike, column: IndexLike): IndexLike => placeOfResult(p, row, column)
  const leftwards = new Map<Axis, IndexLike>(isPadded ? [[p.tileColumn, minus(across - 1, p.tileColumn)]] : [])
  const tileColumn = substituteIndex(index(p.tileColumn), leftwards)
  const back = twoPasses({
    name: e.name,
    matrix: transformsOf(m, p.filterSize).output,
    each: [...scalarLoops([p.blockOut]), ...overTiles(p)],
    between: p.tensors.betweenResults,
    element: (column, row) =>
      load(tensors.products, plus(column, row * size), productPlace(p, p.blockOut, substituteIndex(index(p.tile), leftwards))),
    stores: (row, values) =>
      values.map((value, column) =>
        store(tensors.results, [p.lane, place(plus(times(p.tileRow, stepDown), row), plus(times(tileColumn, stepAcross), column))], value)
      ),
  })
  const result = load(tensors.results, inner, place(p.blockRow, p.column))
  const stored = { ...e, sides: [], stores: e.stores.map((s) => ({ ...s, value: replaceNode(s.value, p.main, result) })) }
  const flat = flattenAxes(stored, [...p.fixed, inner, p.blockOut])
  return [back, { equation: flat, loops: vectorLoops(flat.axes.filter((a) => !p.fixed.has(a))), unroll: new Map() }]
}
