import type { Attributes } from '../../../dsl/signature.ts'
import type { Value } from '../../graph/graph.ts'
import { div, load, mul, sub } from '../../ir/expression.ts'
import { totalsEquations } from '../batch-reduction.ts'
import { pointwise } from '../elementwise.ts'
import { gradientOf } from '../gradients.ts'
import type { Operator } from '../operator.ts'
import { lossSignature, sameShapes, scalarUnless } from './loss.ts'
import { batchOf, divisorOf } from './normalization.ts'

const perSample: Attributes = { normalization: 'batch_size' }

/** sum (x - t)^2 / (2 N), N the batch */
const squaredLoss: Operator = {
  name: 'squared_loss',
  signature: lossSignature('squared_loss', ['x', 'target'], [], 'half the mean over the batch of the squared distance'),
  traits: { betterIs: 'lower' },
  shape: scalarUnless(sameShapes),
  equations: (node) => {
    const [x, target] = node.inputs as readonly [Value, Value]
    return totalsEquations(node, x.shape, (at) => {
      const difference = sub(load(x, ...at), load(target, ...at))
      return [mul(difference, difference)]
    }, ([total]) => [div(total!, mul(batchOf(x.shape), 2))])
  },
  gradient: (node, dLoss, build) => {
    const [x, target] = node.inputs as readonly [Value, Value]
    const op = 'squared_loss_dx'
    return {
      inputs: [
        gradientOf(x, 'dx', build, { op, inputs: [dLoss, x, target] }),
        gradientOf(target, 'dtarget', build, { op, inputs: [dLoss, target, x] }),
      ],
    }
  },
  total: () => 'samples',
}

/** (a - b) dLoss / N, of the loss' gradient, a and b */
const squaredLossDx: Operator = {
  name: 'squared_loss_dx',
  equations: (node) => {
    const [dLoss, a, b] = node.inputs as readonly [Value, Value, Value]
    return [pointwise(node, (at) => mul(sub(load(a, ...at), load(b, ...at)), div(load(dLoss), divisorOf(perSample, a.shape, undefined))))]
  },
}

export const squaredLossOperators: readonly Operator[] = [squaredLoss, squaredLossDx]
