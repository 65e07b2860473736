import { type Axis, axis, type IndexLike, plus, times } from '../../../ir/affine.ts'
import { timesLoaded } from '../../../ir/analysis.ts'
import { equation, type Equation, store } from '../../../ir/equation.ts'
import type { Expression } from '../../../ir/expression.ts'
import { type IsConstant, packedTensor, type PrepackedKernel } from '../../../ir/prepack.ts'
import { substitute } from '../../../ir/rewrite.ts'
import { isBatched, type Tensor } from '../../../ir/tensor.ts'
import { CPU, pointsOf } from '../cost-model.ts'
import { otherFactor } from '../schedule.ts'
import type { Contraction } from '../simplify.ts'
import { type Convolution, matchConvolution } from './convolution.ts'
import { isOneTile, panelOf, preparedTiling } from './forward.ts'
import { flatIndex, mirroredOf, preparedPlace } from './forward-stages.ts'
import { plane, TILE_SIZES, type Tiling, transformed, transformsOf } from './transforms.ts'

/** A convolution whose filter `prepare` can transform, once for all runs. */
interface ConstantFilter extends Convolution {
  readonly weight: Tensor
  readonly filter: Expression
  readonly inputs: number
  readonly outputs: number
}

/**
 * A convolution of one image after the other whose filter `prepare` transforms: G g G' of every output and input channel, in the same order of sums as
 * `transformFilter`, so to the same bits. Undefined where an equation is no such convolution, its filter is not a weight that lies in memory as it is
 * multiplied. `isDirect`: it would be computed by direct sums else; `batch`: that the net trains with, or 1.
 */
export function prepackFilter(
  e: Equation,
  c: Contraction,
  isConstant: IsConstant,
  isDirect: boolean,
  batch: number,
): PrepackedKernel | undefined {
  const shape = constantFilter(c, isConstant)
  const panel = shape && panelOf(shape.outputs)
  if (!shape || panel === undefined) return undefined
  const { weight, filter, inputs, outputs, filterSize, out, channels, row, column } = shape
  // A map of one tile takes a block of images: where direct sums would take it one by one, or the batch is known to fill a block. A tile takes half of the
  // products of such sums, or it does not pay.
  const fits = (t: Tiling): boolean =>
    isOneTile(t) ? (isDirect || batch >= FILLED_BLOCK) && 2 * (t.m + filterSize - 1) ** 2 <= pointsOf([row, column]) * filterSize ** 2
      : !isDirect
  const tilings = (TILE_SIZES[filterSize] ?? []).map((m) => preparedTiling(c, shape, m)).filter((t) => t !== undefined).filter(fits)
  const [best] = tilings.map((tiling) => ({ tiling, ns: estimate(shape, tiling) })).sort((a, b) => a.ns - b.ns)
  if (!best) return undefined
  const { m } = best.tiling
  const mirrored = mirroredOf(c, shape)
  if (!mirrored) return undefined
  const size = m + filterSize - 1
  const form = `winograd${m}${mirrored.some((is) => is) ? `.mirrored${mirrored.map(Number).join('')}` : ''}`
  const packed = packedTensor(weight, form, [size ** 2, plane(outputs * inputs)])
  const [block, lane] = [axis('o_block', outputs / panel), axis('o', panel)]
  const sides = Array.from({ length: filterSize }, (_, i) => i)
  const element = (i: number, j: number): Expression => {
    const at = (k: number, isMirrored: boolean): number => (isMirrored ? filterSize - 1 - k : k)
    const place = new Map<Axis, IndexLike>([
      [out, plus(times(block, panel), lane)],
      [shape.filterRow, at(i, mirrored[0])],
      [shape.filterColumn, at(j, mirrored[1])],
    ])
    return substitute(filter, place)
  }
  const matrix = transformsOf(m, filterSize).weight
  const along = sides.map((i) => transformed(matrix, sides.map((j) => element(i, j))))
  const place = preparedPlace({ inputs, outputs: panel }, block, flatIndex(channels).at(channels), lane)
  const stores = Array.from({ length: size }, (_, j) => transformed(matrix, along.map((line) => line[j]!)))
    .flatMap((values, j) => values.map((value, i) => store(packed, [j + i * size, place], value)))
  return {
    equation: { ...e, prepacked: { weight, packed, form: 'winograd' } },
    preparation: equation(packed.name, e.layers, [block, ...channels, lane], stores),
  }
}

function constantFilter(c: Contraction, isConstant: IsConstant): ConstantFilter | undefined {
  const shape = matchConvolution(c)
  if (!shape || shape.leading.length !== 1 || c.equation.sides.length > 0) return undefined
  const filter = c.main.body[otherFactor(shape.input)]
  if (filter.kind !== 'load' || isBatched(filter.tensor.shape) || !isConstant(filter.tensor)) return undefined
  if (timesLoaded(c.equation, filter.tensor) !== 1) return undefined
  return { ...shape, weight: filter.tensor, filter, inputs: pointsOf(shape.channels), outputs: shape.out.extent as number }
}

/** Images of the smallest block, each of which pays for its part of what is read of the filter. */
const FILLED_BLOCK = 8

/** Nanoseconds of an image: products, what is transformed, and the filter, which is read whole. */
function estimate({ filterSize, inputs, outputs }: ConstantFilter, tiling: Tiling): number {
  const { m, down, across } = tiling
  const elements = (m + filterSize - 1) ** 2
  const tiles = down * across
  const { product, transformedElement, filterElement } = CPU.winograd.prices
  return elements *
    (tiles * inputs * outputs * product + tiles * (inputs + outputs) * transformedElement +
      inputs * outputs * filterElement / (isOneTile(tiling) ? FILLED_BLOCK : 1))
}
