import type { Value } from '../../graph/graph.ts'
import { abs, add, exp, load, log, max, mul, neg, sub } from '../../ir/expression.ts'
import { sigmoidOf } from '../activation.ts'
import { pointwise } from '../elementwise.ts'
import type { Operator } from '../operator.ts'
import { lossEquations, lossGradient, lossSignature, sameShapes, scalarUnless } from './loss.ts'
import { factorOf, lossTotal, normalization, unlessIgnored } from './normalization.ts'

/** -(t log s(x) + (1 - t) log(1 - s(x))) = max(x, 0) - x t + log(1 + exp(-|x|)) */
const sigmoidLoss: Operator = {
  name: 'sigmoid_loss',
  signature: {
    ...lossSignature('sigmoid_loss', ['scores', 'target'], [
      { name: 'ignore', type: { kind: 'number' }, optional: true, named: true, doc: 'elements with this target do not count' },
      normalization('batch_size'),
    ], 'the cross entropy of a sigmoid of each score with its target between 0 and 1'),
    mends: {
      pos_weight:
        'a target of 1 counts w times by two losses: this one, and sum(mul(target, scores -> neg -> softplus), weight: (w - 1) / D), D as in fusenet help sigmoid_loss',
    },
  },
  traits: { betterIs: 'lower', applies: 'sigmoid', wantsScores: [-2, 2] },
  shape: scalarUnless(sameShapes),
  equations: (node) => {
    const [x, target] = node.inputs as readonly [Value, Value]
    return lossEquations(node, target, (at) => {
      const score = load(x, ...at)
      return add(sub(max(score, 0), mul(score, load(target, ...at))), log(add(1, exp(neg(abs(score))))))
    })
  },
  gradient: (node, dLoss, build) => ({
    inputs: [lossGradient(node, dLoss, build, 0), lossGradient(node, dLoss, build, 1, 'sigmoid_loss_dtarget')],
  }),
  total: (node) => lossTotal(node.attributes, node.inputs[1]!),
}

/** dx = (s(x) - t) dLoss / divisor */
const sigmoidLossDx: Operator = {
  name: 'sigmoid_loss_dx',
  equations: (node) => {
    const [, x, target] = node.inputs as readonly [Value, Value, Value]
    return [
      pointwise(
        node,
        (at) => unlessIgnored(target, at, node.attributes, mul(sub(sigmoidOf(load(x, ...at)), load(target, ...at)), factorOf(node))),
      ),
    ]
  },
}

/** dt = -x dLoss / divisor */
const sigmoidLossDTarget: Operator = {
  name: 'sigmoid_loss_dtarget',
  equations: (node) => {
    const [, x, target] = node.inputs as readonly [Value, Value, Value]
    return [pointwise(node, (at) => unlessIgnored(target, at, node.attributes, mul(neg(load(x, ...at)), factorOf(node))))]
  },
}

export const sigmoidLossOperators: readonly Operator[] = [sigmoidLoss, sigmoidLossDx, sigmoidLossDTarget]
