import { substitute } from '../../../ir/rewrite.ts'
import type { Tensor } from '../../../ir/tensor.ts'
import { add, constant, type Expression, guard, load, mul, sum, within } from '../../../ir/expression.ts'
import { type Axis, axis, type IndexLike, plus, substitute as substituteIndex, times } from '../../../ir/affine.ts'
import { type Equation, equation, store } from '../../../ir/equation.ts'
import { IN_A_ROW } from '../batch-block.ts'
import { CPU } from '../cost-model.ts'
import { type Loop, type Stage, type StageGroup, vectorLoops } from '../loop-nest.ts'
import { interiorOf } from '../pack-interior.ts'
import type { PackedFactor } from '../packing.ts'
import type { GradientPlan } from './gradient-plan.ts'
import { columnsOf, type Matrix } from './matrix.ts'
import { transformsOf } from './transforms.ts'
import { twoPasses } from './two-passes.ts'

/** Packs a factor, four neighbours in memory at a time. */
export function packStage({ fixed }: GradientPlan, packed: PackedFactor): Stage {
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
export function transformInput(p: GradientPlan): StageGroup {
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
export function transformGradient(p: GradientPlan): StageGroup {
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
export function multiply(p: GradientPlan): Stage {
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
export function multiplyImages(p: GradientPlan, { blocks, size: images }: NonNullable<GradientPlan['images']>): Stage {
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

export function clear(scratch: Tensor): Stage {
  const axes = scratch.shape.map((extent) => axis('i', extent as number))
  return { equation: equation('clear', [], axes, [store(scratch, axes, constant(0))]), loops: vectorLoops(axes), unroll: new Map() }
}

/** G' M G of the finished sums, column by column first: the gradient of the filter. */
export function transformBack(p: GradientPlan, given: Equation): StageGroup {
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
