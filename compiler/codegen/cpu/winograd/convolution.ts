import { freeAxes } from '../../../ir/analysis.ts'
import type { Axis } from '../../../ir/affine.ts'
import { onceByNode } from '../../../ir/once-by-node.ts'
import { isRowAlong } from '../packing.ts'
import { type FactorName, otherFactor } from '../schedule.ts'
import type { Equation } from '../../../ir/equation.ts'
import type { Contraction, Product } from '../simplify.ts'
import { isDense, TILE_SIZES } from './transforms.ts'

/** The roles of the output axes of a convolution, or of the gradient by its input. */
interface ConvolutionAxes {
  /** The image, groups. */
  readonly leading: readonly Axis[]
  /** Output channels. */
  readonly out: Axis
  readonly row: Axis
  readonly column: Axis
}

/** A convolution of stride 1 with a square filter, or of stride 2 over its phases, or the gradient by its input: the roles of its axes. */
export interface Convolution extends ConvolutionAxes {
  /** Input channels, which are reduced, and the axes of the filter. */
  readonly channels: readonly Axis[]
  readonly filterRow: Axis
  readonly filterColumn: Axis
  /** Side of the filter. */
  readonly filterSize: number
  /** Which factor the input is; the other one is the filter. */
  readonly input: FactorName
  /** Where it stands for a convolution of stride 2: see `strided.ts`. */
  readonly strided?: {
    /** Side of that filter. */
    readonly side: number
  }
}

/** The roles of the output axes where `input` is the map; undefined where there are others. */
export function convolutionAxes(e: Equation, body: Product, input: FactorName): ConvolutionAxes | undefined {
  const [p, q] = [freeAxes(body[input]), freeAxes(body[otherFactor(input)])]
  const leading = e.axes.filter((a) => typeof a.extent !== 'number' || (p.has(a) && q.has(a)))
  const maps = e.axes.filter((a) => p.has(a) && !leading.includes(a))
  const outs = e.axes.filter((a) => q.has(a) && !leading.includes(a))
  if (maps.length !== 2 || outs.length !== 1 || leading.length + 3 !== e.axes.length) return undefined
  const [row, column] = maps as [Axis, Axis]
  return { leading, out: outs[0]!, row, column }
}

/** Undefined where a contraction is no such convolution. Several rules ask. */
export const matchConvolution = (c: Contraction): Convolution | undefined => matched(c) ?? undefined
const matched = onceByNode((c: Contraction) => match(c) ?? null)

function match({ equation: e, main }: Contraction): Convolution | undefined {
  const filterAxes = main.axes.filter((a) => TILE_SIZES[a.extent as number])
  if (filterAxes.length < 2) return undefined
  for (const input of ['a', 'b'] as const) {
    const factor = main.body[input]
    const axes = convolutionAxes(e, main.body, input)
    if (!axes) continue
    const { leading, out, row, column } = axes
    // The filter's axis that moves the same index as an axis of the map.
    const partner = (a: Axis): Axis | undefined =>
      filterAxes.find((k) => {
        const fixed = new Set([...leading, ...main.axes.filter((x) => x !== k), a === row ? column : row])
        return isRowAlong(factor, fixed, a, k)
      })
    const [filterRow, filterColumn] = [partner(row), partner(column)]
    if (!filterRow || !filterColumn || filterRow === filterColumn || filterRow.extent !== filterColumn.extent) continue
    if (!isDense(factor, row, filterRow) || !isDense(factor, column, filterColumn)) continue
    const channels = main.axes.filter((a) => a !== filterRow && a !== filterColumn)
    if (channels.length === 0 || channels.some((a) => typeof a.extent !== 'number')) continue
    return { leading, out, row, column, channels, filterRow, filterColumn, filterSize: filterRow.extent as number, input }
  }
  return undefined
}
