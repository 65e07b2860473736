import { type Expression, load, maximum, sum } from '../ir/expression.ts'
import { axis, type Axis, type IndexLike, plus, times } from '../ir/affine.ts'
import { divisors } from '../ir/divisors.ts'
import { type Equation, equation, store, type Store } from '../ir/equation.ts'
import { type Shape, tensor } from '../ir/tensor.ts'
import { axisAlong } from './elementwise.ts'

export interface SampleReductionRequest {
  readonly name: string
  readonly layers: readonly string[]
  /** The shape of what is reduced. */
  readonly shape: Shape
  /** The dimensions that are reduced, ascending; the batch is none of them. */
  readonly reduced: readonly number[]
  readonly combine: 'sum' | 'max'
  /** What is reduced, at a point of the shape; several reductions share one pass. */
  readonly terms: (at: readonly IndexLike[]) => readonly Expression[]
  /** The stores at each point that stays, made of the totals in the order of the terms. `at`: an axis for each dimension that stays. */
  readonly stores: (at: readonly (Axis | undefined)[], totals: readonly Expression[]) => readonly Store[]
}

/** What one kernel reduces into one number, at most: of more, parts come first, which are more points at the same time and shorter chains. */
const LONG = 4096
/** A sum of more terms has its rows summed one by one: one chain of additions would lose digits. */
const LONG_SUM = 64

/** Reduces some dimensions within each sample: at once, or where these are long in two steps, the last dimensions first. */
export function sampleReduction(request: SampleReductionRequest): Equation[] {
  const { shape, reduced, combine } = request
  const sizeOf = (some: readonly number[]): number => some.reduce((product, d) => product * (shape[d] as number), 1)
  let first = 0
  while (first < reduced.length - 1 && sizeOf(reduced.slice(first)) > LONG) first++
  const [later, now] = [reduced.slice(0, first), reduced.slice(first)]
  const kept = shape.map((_, d) => d).filter((d) => !now.includes(d))
  const keptAxes = shape.map((_, d) => (now.includes(d) ? undefined : axisAlong(shape, d)))
  const totals = totalsAt(request, keptAxes, now)
  const axes = kept.map((d) => keptAxes[d]!)
  if (later.length === 0) return [equation(request.name, request.layers, axes, request.stores(keptAxes, totals))]

  const partials = tensor(`${request.name}.partials`, [...kept.map((d) => shape[d]!), totals.length])
  const parts = totals.map((total, k) => store(partials, [...axes, k], total))
  const left = shape.map((_, d) => (reduced.includes(d) ? undefined : axisAlong(shape, d)))
  const inner = new Map(later.map((d) => [d, axisAlong(shape, d)]))
  const merged = totals.map((_, k) => nested(combine, [...inner.values()], load(partials, ...kept.map((d) => left[d] ?? inner.get(d)!), k)))
  return [
    equation(`${request.name}.partial`, request.layers, axes, parts),
    equation(request.name, request.layers, left.filter((a) => a !== undefined), request.stores(left, merged)),
  ]
}

/** The reductions over some dimensions at a point of the others. */
function totalsAt(
  { shape, combine, terms }: SampleReductionRequest,
  kept: readonly (Axis | undefined)[],
  now: readonly number[],
): readonly Expression[] {
  const axes: Axis[] = []
  const at = kept.map((a, d): IndexLike => {
    if (a) return a
    const extent = shape[d] as number
    const row = combine === 'sum' && now.length === 1 && extent > LONG ? rowOf(extent) : 1
    if (row === 1) return axes[axes.push(axisAlong(shape, d)) - 1]!
    const [block, inner] = [axis('block', extent / row), axis('i', row)]
    axes.push(block, inner)
    return plus(times(block, row), inner)
  })
  return terms(at).map((term) => nested(combine, axes, term))
}

/** The row that a long dimension is cut into: what divides it next to its root. 1: nothing does. */
const rowOf = (extent: number): number => divisors(extent).filter((d) => d * d <= extent && d >= 16).map((d) => extent / d).at(-1) ?? 1

/** A reduction over several axes, a sum of many terms row by row: chains of a + b in place of a b. */
function nested(combine: 'sum' | 'max', axes: readonly Axis[], term: Expression): Expression {
  if (combine === 'max') return maximum(axes, term)
  const count = axes.reduce((product, a) => product * (a.extent as number), 1)
  return count > LONG_SUM ? [...axes].reverse().reduce((inner, a) => sum([a], inner), term) : sum(axes, term)
}
