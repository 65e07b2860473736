import { reducedBy } from '../axes.ts'
import { constant, load } from '../../ir/expression.ts'
import { totalsEquations } from '../batch-reduction.ts'
import { labelProblems } from '../diagnostics.ts'
import { numberOf, pointwise } from '../elementwise.ts'
import { firstInputGradient } from '../gradients.ts'
import type { Operator } from '../operator.ts'
import { lossSignature, scalarUnless } from './loss.ts'

const sumOperator: Operator = {
  name: 'sum',
  signature: { ...lossSignature('sum', ['x'], [], 'the sum of all elements, batch and all'), mends: reducedBy('reduce_sum') },
  shape: scalarUnless((q) => labelProblems(q)),
  equations: (node) => {
    const x = node.inputs[0]!
    return totalsEquations(node, x.shape, (at) => [load(x, ...at)], (totals) => totals)
  },
  gradient: (node, dLoss, build) => firstInputGradient(node, build, { op: 'repeat', inputs: [dLoss] }),
  total: (node) => (node.inputs[0]!.shape[0] === 'n' ? 'sum' : 'samples'),
}

/** One number at every point: the gradient of a sum. */
const repeat: Operator = {
  name: 'repeat',
  equations: (node) => [pointwise(node, () => load(node.inputs[0]!))],
}

/** The number `value` at every point: what a gradient starts with. */
const constantOperator: Operator = {
  name: 'constant',
  equations: (node) => [pointwise(node, () => constant(numberOf(node.attributes, 'value', 0)))],
}

export const sumOperators: readonly Operator[] = [sumOperator, repeat, constantOperator]
