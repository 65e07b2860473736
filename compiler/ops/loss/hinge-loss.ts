import type { Value } from '../../graph/graph.ts'
import { add, div, type Expression, load, max, mul, position, select } from '../../ir/expression.ts'
import type { IndexLike } from '../../ir/affine.ts'
import { showShape, type Tensor } from '../../ir/tensor.ts'
import { totalsEquations } from '../batch-reduction.ts'
import { shapeProblem } from '../diagnostics.ts'
import { numberOf, pointwise } from '../elementwise.ts'
import { firstInputGradient } from '../gradients.ts'
import type { Operator } from '../operator.ts'
import { labelledProblems, lossSignature, scalarUnless } from './loss.ts'
import { batchOf } from './normalization.ts'

/** -1 for the labelled class, 1 for the others: every margin is max(0, 1 + side x). */
const sideOf = (labels: Tensor, at: readonly IndexLike[]): Expression => select('eq', position(at[1]!), load(labels, at[0]!), -1, 1)
const marginOf = (x: Tensor, labels: Tensor, at: readonly IndexLike[]): Expression =>
  max(0, add(1, mul(sideOf(labels, at), load(x, ...at))))

/** One against all: sum over classes of the margins (norm 1) or their squares (norm 2), over N. */
const hingeLoss: Operator = {
  name: 'hinge_loss',
  signature: lossSignature('hinge_loss', ['scores', 'label'], [
    { name: 'norm', type: { kind: 'integer', min: 1, max: 2 }, default: 1, doc: '2 squares the margins' },
  ], 'by how much scores miss their margin, one class against all others'),
  traits: { betterIs: 'lower', comparesLabels: true, wantsScores: [-1, 1] },
  shape: scalarUnless((q) => {
    const x = q.inputs[0]!
    const problems = labelledProblems(q)
    if (problems.length > 0 || x.shape.length === 2) return problems
    return [
      shapeProblem(
        q,
        'hinge-loss-rank',
        `hinge_loss compares one score a class, and ${showShape(x.shape)} is a map`,
        [x],
        'put flatten or fc in front',
      ),
    ]
  }),
  equations: (node) => {
    const [x, labels] = node.inputs as readonly [Value, Value]
    return totalsEquations(node, x.shape, (at) => {
      const margin = marginOf(x, labels, at)
      return [numberOf(node.attributes, 'norm', 1) === 2 ? mul(margin, margin) : margin]
    }, ([total]) => [div(total!, batchOf(x.shape))])
  },
  gradient: (node, dLoss, build) =>
    firstInputGradient(node, build, { op: 'hinge_loss_dx', inputs: [dLoss, ...node.inputs], attributes: node.attributes }),
  total: () => 'samples',
}

/** side dLoss / N where the margin is missed, else the margin, which is 0 (or NaN); 2 margin side dLoss / N for norm 2 */
const hingeLossDx: Operator = {
  name: 'hinge_loss_dx',
  equations: (node) => {
    const [dLoss, x, labels] = node.inputs as readonly [Value, Value, Value]
    return [pointwise(node, (at) => {
      const margin = marginOf(x, labels, at)
      const factor = mul(sideOf(labels, at), div(load(dLoss), batchOf(x.shape)))
      return numberOf(node.attributes, 'norm', 1) === 2 ? mul(mul(2, margin), factor) : select('lt', 0, margin, factor, margin)
    })]
  },
}

export const hingeLossOperators: readonly Operator[] = [hingeLoss, hingeLossDx]
