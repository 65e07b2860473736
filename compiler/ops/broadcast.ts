import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Node, Value } from '../graph/graph.ts'
import { type Expression, load } from '../ir/expression.ts'
import type { IndexLike } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { type Dim, sameShape, type Shape, showShape, tensor, type Tensor } from '../ir/tensor.ts'
import { sumsEquations } from './batch-reduction.ts'
import { labelProblems, shapeProblem } from './diagnostics.ts'
import { pointAxes, pointwise } from './elementwise.ts'
import type { ShapeAnswer, ShapeQuestion } from './operator.ts'

/*
 * Operands of different shapes under one joint shape (NumPy's broadcasting): their last dimensions meet, and dimensions of 1 are repeated.
 */

/** Where an operand is read for a point of the joint shape: its last dimensions meet the last ones; singletons repeat. */
const operandAt = (operand: Tensor, shape: Shape, at: readonly IndexLike[]): IndexLike[] => {
  const missing = shape.length - operand.shape.length
  return operand.shape.map((dim, i) => (dim === shape[i + missing] ? at[i + missing]! : 0))
}
const operand = (value: Tensor, shape: Shape, at: readonly IndexLike[]): Expression => load(value, ...operandAt(value, shape, at))

/** The joint shape: in each dimension all operands agree or are 1. Only what has no batch may lack leading dimensions. */
export function joinShapes(q: ShapeQuestion): ShapeAnswer | readonly Diagnostic[] {
  const problems = labelProblems(q)
  if (problems.length > 0) return problems
  const rank = Math.max(...q.inputs.map((v) => v.shape.length))
  const fits = q.inputs.every((v) => v.shape.length === rank || v.shape[0] !== 'n')
  const joint = new Array<Dim>(rank).fill(1)
  for (const v of fits ? q.inputs : []) {
    for (const [i, dim] of v.shape.entries()) {
      const at = i + rank - v.shape.length
      if (dim === 1 || dim === joint[at]) continue
      if (joint[at] !== 1) return [joinMismatch(q)]
      joint[at] = dim
    }
  }
  return fits ? { shape: joint } : [joinMismatch(q)]
}

function joinMismatch(q: ShapeQuestion): Diagnostic {
  const shapes = q.inputs.map((v) => showShape(v.shape))
  return shapeProblem(
    q,
    `${q.op}-mismatch`,
    `${q.op} cannot join ${shapes.join(' with ')}`,
    q.inputs,
    hintForJoin(q.inputs[0]!.shape, q.inputs.find((v) => !sameShape(v.shape, q.inputs[0]!.shape))!.shape),
  )
}

function hintForJoin(a: Shape, b: Shape): string {
  if (a.length !== b.length) {
    const [less, more] = a.length < b.length ? [a, b] : [b, a]
    const sizes = [...less.slice(1), ...new Array<number>(more.length - less.length).fill(1)]
    return `give ${showShape(less)} as many dimensions, e.g. reshape([${sizes.join(', ')}])`
  }
  if (a.length === 4 && a.some((dim, i) => i >= 2 && dim !== b[i])) return hintForMaps(a, b)
  if (a[1] !== b[1]) return `bring both to the same number of channels, e.g. conv(${a[1]}, 1) on the second, or join with concat`
  return 'dimensions must be equal, or 1 to be repeated'
}

/** What brings maps of two sizes together: a stride, else a window that has no more places than the smaller map. */
function hintForMaps(a: Shape, b: Shape): string {
  const area = (shape: Shape): number => Number(shape[2]) * Number(shape[3])
  const [less, more] = area(a) <= area(b) ? [a, b] : [b, a]
  const each = (by: (small: number, large: number) => number): readonly number[] => [2, 3].map((i) => by(Number(less[i]), Number(more[i])))
  const both = ([h, w]: readonly number[]): string => (h === w ? `${h}` : `[${h}, ${w}]`)
  const strides = each((small, large) => Math.max(1, Math.round(large / small)))
  if (strides.every((s, i) => Math.ceil(Number(more[i + 2]) / s) === less[i + 2]))
    return `bring both to one size, e.g. conv(${less[1]}, 1, stride: ${both(strides)}) on the larger one`
  const windows = each((small, large) => large - small + 1)
  return windows.every((k) => k >= 1)
    ? `bring both to one size, e.g. conv(${less[1]}, ${both(windows)}) on the larger one`
    : `bring both to one size, e.g. resize([${less[2]}, ${less[3]}]) on the larger one`
}

/**
 * The gradient of one operand: what each point of the joint shape gives, summed over the dimensions in which the operand
 * was repeated.
 */
export function operandGradient(node: Node, shape: Shape, term: (at: readonly IndexLike[]) => Expression): readonly Equation[] {
  const out = node.outputs[0]!
  if (sameShape(out.shape, shape)) return [pointwise(node, term)]
  const missing = shape.length - out.shape.length
  const kept = out.shape.flatMap((dim, i) => (dim === shape[i + missing] ? [i + missing] : []))
  return sumsEquations({
    name: node.name,
    layers: [node.layer],
    shape,
    kept,
    terms: (at) => [term(at)],
    stores: (at, [total]) => [store(out, out.shape.map((_, i) => at[kept.indexOf(i + missing)] ?? 0), total!)],
  })
}

/** An expression at each point of the joint shape. */
export type Term = (at: readonly IndexLike[]) => Expression

/** Operands of one equation, at most: with its result and what may be fused into it they stay within eight bindings. */
export const MOST_OPERANDS = 6

/** Joins terms from left to right; of many, the first ones are stored before the rest joins them. */
export function joinTerms(
  node: Node,
  shape: Shape,
  terms: readonly Term[],
  join: (a: Expression, b: Expression) => Expression,
): { before: readonly Equation[]; value: Term } {
  const valueOf = (some: readonly Term[]): Term => (at) => some.map((term) => term(at)).reduce(join)
  if (terms.length <= MOST_OPERANDS) return { before: [], value: valueOf(terms) }
  const first = tensor(`${node.name}.part`, shape)
  const { before, value } = joinTerms(node, shape, [(at) => load(first, ...at), ...terms.slice(MOST_OPERANDS)], join)
  return { before: [partEquation(node, shape, [[first, valueOf(terms.slice(0, MOST_OPERANDS))]]), ...before], value }
}

export function partEquation(node: Node, shape: Shape, parts: readonly (readonly [Tensor, Term])[]): Equation {
  const at = pointAxes(shape)
  return equation(`${node.name}.part`, [node.layer], at, parts.map(([into, term]) => store(into, at, term(at))))
}

/** The operands as terms over the joint shape. */
export const operandsOf = (values: readonly Value[], shape: Shape): Term[] => values.map((x) => (at) => operand(x, shape, at))

/** The equations of a node whose output joins terms element by element. */
export function joinedEquations(
  node: Node,
  terms: readonly Term[],
  join: (a: Expression, b: Expression) => Expression,
): readonly Equation[] {
  const { before, value } = joinTerms(node, node.outputs[0]!.shape, terms, join)
  return [...before, pointwise(node, value)]
}
