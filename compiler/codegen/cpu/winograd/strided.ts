import { type Axis, axis, type IndexLike, plus, times } from '../../../ir/affine.ts'
import { freeAxes, strideOf } from '../../../ir/analysis.ts'
import { onceByNode } from '../../../ir/once-by-node.ts'
import { type Expression, guard, walk, within } from '../../../ir/expression.ts'
import { binaryOf, reductionOf } from '../../../ir/expression-node.ts'
import { replaceNode, substitute } from '../../../ir/rewrite.ts'
import { otherFactor } from '../schedule.ts'
import { CPU, pointsOf } from '../cost-model.ts'
import type { Contraction } from '../simplify.ts'
import { type Convolution, convolutionAxes, matchConvolution } from './convolution.ts'
import { endsInZeros, indicesOf, TILE_SIZES, type Tiling } from './transforms.ts'

/*
 * A convolution of stride 2 as one of stride 1 with half of the filter's sides (space to depth): elements k = 2 q + p of the filter meet rows 2 (h + q) + p, so that
 * with phases p counted as channels
 *
 *   y[h] = sum over c, p, q of x[c, 2 (h + q) + p] weight[c, 2 q + p]
 *
 * where what lies behind the end of an odd filter is zero. A 7 x 7 of 3 channels is a 4 x 4 of 12, by F(4x4, 4x4) 588 products of 2352 for a tile; a 3 x 3 is
 * a 2 x 2 of four times the channels, 100 of 144.
 */

/** A convolution for Winograd's algorithm, and the contraction whose axes it speaks of. */
export interface Found {
  readonly contraction: Contraction
  readonly shape: Convolution
}

/** A convolution of stride 1 as it is, one of stride 2 over its phases; undefined where a contraction is neither. */
export const findConvolution = onceByNode((c: Contraction): Found | undefined => {
  const shape = matchConvolution(c)
  return shape ? { contraction: c, shape } : inPhases(c)
})

const STRIDE = 2

/**
 * Whether tiles over phases are faster than direct sums. `prepared`: the filter is read as `prepare` has transformed it, from memory; else a thread keeps what it
 * has transformed itself.
 */
export function paysInPhases(
  { channels, out, row, column, filterSize, strided }: Convolution,
  { m, down, across }: Tiling,
  prepared = false,
): boolean {
  const { product, transformedElement, filterElement, direct } = CPU.winograd.phasePrices
  const [inputs, outputs, tiles] = [pointsOf(channels), out.extent as number, down * across]
  const directNs = pointsOf([row, column]) * inputs / STRIDE ** 2 * outputs * strided!.side ** 2 * direct
  const elements = (m + filterSize - 1) ** 2
  const ns = elements *
    (tiles * (inputs * outputs * product + (inputs + outputs) * transformedElement) + (prepared ? inputs * outputs * filterElement : 0))
  return ns < WORTH * directNs
}

/** A gain of less is within the error of the prices. */
const WORTH = 0.9

function inPhases({ equation: e, main }: Contraction): Found | undefined {
  for (const input of ['a', 'b'] as const) {
    const factor = main.body[input]
    const axes = convolutionAxes(e, main.body, input)
    if (!axes) continue
    const { leading, out, row, column } = axes
    const partner = (a: Axis): Axis | undefined => main.axes.find((k) => movesWindows(factor, a, k))
    const [filterRow, filterColumn] = [partner(row), partner(column)]
    if (!filterRow || !filterColumn || filterRow === filterColumn || filterRow.extent !== filterColumn.extent) continue
    const side = filterRow.extent as number
    const filterSize = Math.ceil(side / STRIDE)
    const given = main.axes.filter((a) => a !== filterRow && a !== filterColumn)
    if (!TILE_SIZES[filterSize] || given.length === 0 || given.some((a) => typeof a.extent !== 'number')) continue
    const filter = main.body[otherFactor(input)]
    const seen = withZerosBehind(factor, [row, column])
    if (!seen || [filterRow, filterColumn].some((k) => !freeAxes(filter).has(k))) continue
    const split = (k: Axis): readonly [Axis, Axis] => [axis(k.name, filterSize), axis(`${k.name}_phase`, STRIDE)]
    const [[ownRow, rowPhase], [ownColumn, columnPhase]] = [split(filterRow), split(filterColumn)]
    const places = new Map<Axis, IndexLike>([
      [filterRow, plus(times(ownRow, STRIDE), rowPhase)],
      [filterColumn, plus(times(ownColumn, STRIDE), columnPhase)],
    ])
    const isShort = side % STRIDE !== 0
    const moved = substitute(isShort ? guard([filterRow, filterColumn].map((k) => within(plus(k), side)), filter) : filter, places)
    const channels = [rowPhase, columnPhase, ...given]
    const own = substitute(seen, places)
    const body = binaryOf(main.body.op, ...(input === 'a' ? [own, moved] as const : [moved, own] as const))
    const sum = reductionOf(main.combine, [...channels, ownRow, ownColumn], body)
    const equation = { ...e, stores: e.stores.map((s) => ({ ...s, value: replaceNode(s.value, main, sum) })) }
    return {
      contraction: { equation, main: sum },
      shape: { leading, out, row, column, channels, filterRow: ownRow, filterColumn: ownColumn, filterSize, input, strided: { side } },
    }
  }
  return undefined
}

/** Whether `a` moves windows by the stride, and the filter's axis `k` their elements by one. */
function movesWindows(f: Expression, a: Axis, k: Axis): boolean {
  const moved = indicesOf(f).filter((at) => strideOf(at, a) !== 0 || strideOf(at, k) !== 0)
  return moved.length > 0 && moved.every((at) => strideOf(at, a) === STRIDE && strideOf(at, k) === 1)
}

/** A factor that is zero where the map is longer than what it loads; undefined where several loads end elsewhere. */
function withZerosBehind(f: Expression, map: readonly Axis[]): Expression | undefined {
  const open = map.filter((a) => !endsInZeros(f, a))
  if (open.length === 0) return f
  const guards = new Map<string, ReturnType<typeof within>>()
  for (const node of walk(f)) {
    if (node.kind !== 'load') continue
    node.at.forEach((at, i) => {
      if (open.some((a) => strideOf(at, a) !== 0))
        guards.set(`${at.key} ${JSON.stringify(node.tensor.shape[i])}`, within(at, node.tensor.shape[i]!))
    })
  }
  if (guards.size !== open.length) return undefined
  const closed = guard([...guards.values()], f)
  return open.every((a) => endsInZeros(closed, a)) ? closed : undefined
}
