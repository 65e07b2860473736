import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes, Signature } from '../../dsl/signature.ts'
import type { Axis } from '../ir/affine.ts'
import { type Index, index, type IndexLike, plus, times } from '../ir/affine.ts'
import { isBatched, type Shape, showShape } from '../ir/tensor.ts'
import { argumentProblem, axesThere, axisProblem, batchAxisProblem } from './diagnostics.ts'
import { fromEnd, numberOf } from './elementwise.ts'
import type { ShapeQuestion } from './operator.ts'

/*
 * Layers that work along axes of their choice: `axes: [2, 3]`, or `axis` to `end`. Axes count the batch as 0; negative ones from the end.
 */

/** The hints of a layer that joins operands, or all numbers, for axes that it is given: `mean(x, dim: [2, 3])`. */
export const reducedBy = (layer: string): NonNullable<Signature['mends']> =>
  Object.fromEntries(
    ['dim', 'dims', 'axis', 'axes'].map((
      name,
    ) => [name, `along axes, of which 0 is the batch, it is ${layer}, e.g. x -> ${layer}([2, 3], keep: false)`]),
  )

/** The axes that `axes` names, ascending. */
export const axesOf = (attributes: Attributes, rank: number): readonly number[] =>
  (attributes['axes'] as readonly number[]).map((axis) => fromEnd(axis, rank)).sort((a, b) => a - b)

/** The axes from `axis` to `end`, where that is left out `axis` alone. */
export function axisRange(attributes: Attributes, rank: number): readonly number[] {
  const from = fromEnd(numberOf(attributes, 'axis', 1), rank)
  const to = typeof attributes['end'] === 'number' ? fromEnd(attributes['end'], rank) : from
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
}

/** Problems of `axes`: none, one twice, one that is not there, the batch. */
export function axesProblems(q: ShapeQuestion): Diagnostic[] {
  const { shape } = q.inputs[0]!
  const written = q.attributes['axes'] as readonly number[]
  const axes = axesOf(q.attributes, shape.length)
  const missing = written.find((axis) => axis < -shape.length || axis >= shape.length)
  const wrong = (code: string, message: string, hint: string): Diagnostic[] => [argumentProblem(q, 'axes', code, message, hint)]
  if (missing !== undefined)
    return wrong('axis', `${showShape(shape)} has no axis ${missing}`, axesThere(shape))
  if (axes.length === 0) return wrong('axes', `${q.op} of no axis is its input`, 'name axes, e.g. axes: [2, 3], or leave the layer out')
  const twice = axes.find((axis, i) => axes[i + 1] === axis)
  if (twice !== undefined) return wrong('axes', `axis ${twice} is named twice`, 'name each once')
  if (isBatched(shape) && axes[0] === 0) return [{ ...batchAxisProblem(q), labels: argumentProblem(q, 'axes', '', '').labels }]
  return []
}

/** Problems of `axis` and `end`: one that is not there, the batch, the last before the first. */
export function axisRangeProblems(q: ShapeQuestion): Diagnostic[] {
  const x = q.inputs[0]!
  const rank = x.shape.length
  const from = fromEnd(numberOf(q.attributes, 'axis', 1), rank)
  if (from < 0 || from >= rank) return [axisProblem(q, x)]
  if (isBatched(x.shape) && from === 0) return [batchAxisProblem(q)]
  if (typeof q.attributes['end'] !== 'number') return []
  const to = fromEnd(q.attributes['end'], rank)
  if (to >= from && to < rank) return []
  const hint = `\`end\` must be between ${from} and ${rank - 1}, or -1 for the last`
  return [
    argumentProblem(
      q,
      'end',
      `${q.op.replaceAll('_', '-')}-range`,
      `axes ${from} to ${q.attributes['end']} of ${showShape(x.shape)} are none`,
      hint,
    ),
  ]
}

/** A shape without some of its axes, or with 1 in their places. */
export const keptShape = (shape: Shape, axes: readonly number[], keep: boolean): Shape =>
  keep ? shape.map((dim, d) => (axes.includes(d) ? 1 : dim)) : shape.filter((_, d) => !axes.includes(d))

/** The row-major position among some of a shape's axes. */
export const positionAlong = (shape: Shape, some: readonly number[], at: readonly IndexLike[]): Index =>
  some.reduce<Index>((position, d) => plus(times(position, shape[d] as number), at[d]!), index(0))

/** The axes at a list of dimensions. */
export const pick = (at: readonly Axis[], dimensions: readonly number[]): Axis[] => dimensions.map((d) => at[d]!)
