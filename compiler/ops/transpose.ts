import type { Attributes } from '../../dsl/signature.ts'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import { load } from '../ir/expression.ts'
import { isBatched, showShape } from '../ir/tensor.ts'
import { argumentProblem, labelProblems } from './diagnostics.ts'
import { fromEnd, pointwise } from './elementwise.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator, ShapeQuestion } from './operator.ts'

/** The axis of the input that each axis of the output is, counted from the front. */
export const orderOf = (attributes: Attributes, rank: number): readonly number[] =>
  (attributes['order'] as readonly number[]).map((axis) => fromEnd(axis, rank))

/** The order that undoes another: where each axis of the input went. */
export const inverseOrder = (order: readonly number[]): readonly number[] => order.map((_, axis) => order.indexOf(axis))

function orderProblems(q: ShapeQuestion): Diagnostic[] {
  const { shape } = q.inputs[0]!
  const written = q.attributes['order'] as readonly number[]
  const order = orderOf(q.attributes, shape.length)
  const wrong = (message: string, hint: string): Diagnostic[] => [argumentProblem(q, 'order', 'transpose-order', message, hint)]
  const isOrder = order.length === shape.length && shape.every((_, axis) => order.includes(axis))
  if (!isOrder) {
    const reversed = isBatched(shape) ? [0, ...shape.slice(1).map((_, d) => shape.length - 1 - d)] : shape.map((_, d) =>
      shape.length - 1 - d
    )
    return wrong(
      `[${written.join(', ')}] is no order of the ${shape.length} axes of ${showShape(shape)}`,
      `every axis from 0 to ${shape.length - 1} is named once, e.g. transpose([${reversed.join(', ')}])`,
    )
  }
  if (isBatched(shape) && order[0] !== 0) {
    return wrong(
      `transpose([${written.join(', ')}]) would move the batch to axis ${order.indexOf(0)}`,
      'axis 0 stays the first: the batch is chosen when the net is opened',
    )
  }
  return []
}

/** y[i_order[0], i_order[1], ...] = x[i_0, i_1, ...]; the gradient is the transposition that undoes it. Diagnostics: argument/transpose-order. */
const transpose: Operator = {
  name: 'transpose',
  signature: {
    name: 'transpose',
    parameters: [{
      name: 'order',
      type: { kind: 'numbers', integer: true },
      doc: 'for each axis of the result the axis of the input that it is; 0, the batch, comes first',
    }],
    doc: 'exchanges axes',
  },
  shape: (q) => {
    const problems = [...labelProblems(q), ...orderProblems(q)]
    if (problems.length > 0) return problems
    const { shape } = q.inputs[0]!
    return { shape: orderOf(q.attributes, shape.length).map((axis) => shape[axis]!) }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    const place = inverseOrder(orderOf(node.attributes, x.shape.length))
    return [pointwise(node, (at) => load(x, ...place.map((d) => at[d]!)))]
  },
  gradient: (node, dy, build) =>
    firstInputGradient(node, build, {
      op: 'transpose',
      inputs: [dy],
      attributes: { order: inverseOrder(orderOf(node.attributes, dy.shape.length)) },
    }),
}

export const transposeOperators: readonly Operator[] = [transpose]
