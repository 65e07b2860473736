import { type Axis, axis, type IndexLike, minus, plus, times } from '../../../ir/affine.ts'
import { isLoadedOnceIn } from '../../../ir/analysis.ts'
import { equation, type Equation, store } from '../../../ir/equation.ts'
import { type Expression, load } from '../../../ir/expression.ts'
import { type IsConstant, packedTensor, type PrepackedKernel } from '../../../ir/prepack.ts'
import { substitute } from '../../../ir/rewrite.ts'
import { isBatched, tensor, type Tensor } from '../../../ir/tensor.ts'
import { CPU, pointsOf } from '../cost-model.ts'
import { otherFactor } from '../schedule.ts'
import type { Contraction } from '../simplify.ts'
import type { Convolution } from './convolution.ts'
import { findConvolution, type Found, paysInPhases } from './strided.ts'
import { isOneTile, panelOf, tilingOf } from './forward.ts'
import { flatIndex, mirroredOf, preparedPlace } from './forward-plan.ts'
import { type Matrix, transformed } from './matrix.ts'
import { plane, TILE_SIZES, type Tiling, transformsOf } from './transforms.ts'

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
 * multiplied. `isDirect`: it would be computed by direct sums else; `batch`: that the net trains with, or 1; `wide`: the kernel has a form with vectors of twice the width.
 */
export function prepackFilter(
  e: Equation,
  given: Contraction,
  isConstant: IsConstant,
  { isDirect, batch, wide }: { readonly isDirect: boolean; readonly batch: number; readonly wide: boolean },
): PrepackedKernel | undefined {
  const found = findConvolution(given)
  const shape = found && constantFilter(found, isConstant)
  if (!shape) return undefined
  const c = found.contraction
  const { weight, inputs, outputs, filterSize, row, column } = shape
  // A map of one tile takes a block of images: where direct sums would take it one by one, or the batch is known to fill a block. A tile takes half of the
  // products of such sums, or it does not pay.
  const fits = (t: Tiling): boolean =>
    isOneTile(t) ? (isDirect || batch >= FILLED_BLOCK) && 2 * (t.m + filterSize - 1) ** 2 <= pointsOf([row, column]) * filterSize ** 2
      : shape.strided ? paysInPhases(shape, t, true) : !isDirect || paysOnSmallMap(shape, t)
  const tilings = (TILE_SIZES[filterSize] ?? []).map((m) => tilingOf(c, shape, m)).filter((t) => t !== undefined).filter(fits)
  const [best] = tilings.map((tiling) => ({ tiling, ns: estimate(shape, tiling) })).sort((a, b) => a.ns - b.ns)
  if (!best) return undefined
  const panel = preparedPanel(outputs, best.tiling, wide)
  if (panel === undefined) return undefined
  const { m } = best.tiling
  const mirrored = mirroredOf(c, shape)
  if (!mirrored) return undefined
  const size = m + filterSize - 1
  const form = `winograd${m}.${panel}${mirrored.some((is) => is) ? `.mirrored${mirrored.map(Number).join('')}` : ''}`
  const packed = packedTensor(weight, form, [size ** 2, plane(outputs * inputs)])
  return {
    equation: { ...e, prepacked: { weight, packed, form: 'winograd', panel } },
    preparation: transformation(shape, mirrored, panel, transformsOf(m, filterSize).weight, packed).map((each) => ({
      ...each,
      layers: e.layers,
    })),
  }
}

/**
 * G g G' for every output and input channel in two passes, along the rows of g first: all elements at once would be long code for what is done once. A pass is a loop
 * over rows, or over columns of what the first one made.
 */
function transformation(
  { out, channels, filterRow, filterColumn, filterSize, filter, inputs, outputs }: ConstantFilter,
  mirrored: readonly [boolean, boolean],
  panel: number,
  matrix: Matrix,
  packed: Tensor,
): readonly [Equation, Equation] {
  const size = matrix.length
  const sides = Array.from({ length: filterSize }, (_, i) => i)
  const between = tensor(`${packed.name}.rows`, [filterSize * size, plane(outputs * inputs)])
  const pass = (
    name: string,
    line: Axis,
    elements: (block: Axis, lane: Axis) => readonly Expression[],
    into: Tensor,
    at: (k: number) => IndexLike,
  ): Equation => {
    const [block, lane] = [axis('o_block', outputs / panel), axis('o', panel)]
    const place = preparedPlace({ inputs, outputs: panel }, block, flatIndex(channels).at(channels), lane)
    const stores = transformed(matrix, elements(block, lane)).map((value, k) => store(into, [at(k), place], value))
    return equation(name, [], [line, block, ...channels, lane], stores)
  }
  const [row, column] = [axis('row', filterSize), axis('column', size)]
  const along = pass(
    between.name,
    row,
    (block, lane) =>
      sides.map((k) =>
        substitute(
          filter,
          new Map<Axis, IndexLike>([
            [out, plus(times(block, panel), lane)],
            [filterRow, mirrored[0] ? minus(filterSize - 1, row) : row],
            [filterColumn, mirrored[1] ? filterSize - 1 - k : k],
          ]),
        )
      ),
    between,
    (k) => plus(times(row, size), k),
  )
  const across = pass(
    packed.name,
    column,
    (block, lane) =>
      sides.map((k) =>
        load(between, plus(column, k * size), preparedPlace({ inputs, outputs: panel }, block, flatIndex(channels).at(channels), lane))
      ),
    packed,
    (k) => plus(column, k * size),
  )
  return [along, across]
}

function constantFilter({ contraction: c, shape }: Found, isConstant: IsConstant): ConstantFilter | undefined {
  if (shape.leading.length !== 1 || c.equation.sides.length > 0) return undefined
  const filter = c.main.body[otherFactor(shape.input)]
  // An odd filter in phases has zeros behind its end.
  const weight = shape.strided && filter.kind === 'guard' ? filter.value : filter
  if (weight.kind !== 'load' || isBatched(weight.tensor.shape) || !isConstant(weight.tensor)) return undefined
  if (!isLoadedOnceIn(c.equation, c.main, weight.tensor)) return undefined
  return { ...shape, weight: weight.tensor, filter, inputs: pointsOf(shape.channels), outputs: shape.out.extent as number }
}

/**
 * Output channels that lie side by side in the prepared filter; undefined where they do not fill vectors. Few tiles walk a panel a few times over, while it comes
 * from memory: the channels of one register tile are a panel then, so that the first walk reads half as much in its time.
 */
function preparedPanel(outputs: number, tiling: Tiling, wide: boolean): number | undefined {
  const isStream = !isOneTile(tiling) && tiling.down * tiling.across <= CPU.winograd.streamedTiles
  const tile = 2 * CPU.lanes
  return isStream && !wide && outputs % tile === 0 ? tile : panelOf(outputs)
}

/**
 * Whether a few tiles are faster than direct sums, though they save less than half of their products: of many channels, whose sums are long. Less than a register
 * tile of tiles waits for the filter.
 */
function paysOnSmallMap({ inputs, outputs, row, column, filterSize }: ConstantFilter, { m, down, across }: Tiling): boolean {
  const { leastTiles, leastWeights, productShare } = CPU.winograd.smallMaps
  return down * across >= leastTiles && inputs * outputs >= leastWeights &&
    down * across * (m + filterSize - 1) ** 2 <= productShare * pointsOf([row, column]) * filterSize ** 2
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
