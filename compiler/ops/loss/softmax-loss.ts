import type { Value } from '../../graph/graph.ts'
import { div, exp, type Expression, load, log, mul, position, select, sub, sum } from '../../ir/expression.ts'
import { axis, type IndexLike } from '../../ir/affine.ts'
import type { Tensor } from '../../ir/tensor.ts'
import { pointwise } from '../elementwise.ts'
import type { Operator } from '../operator.ts'
import { channelMaximum, exponentialSum, inChannel } from '../softmax.ts'
import { labelledProblems, lossEquations, lossGradient, lossSignature, scalarUnless } from './loss.ts'
import { factorOf, lossTotal, normalization, unlessIgnored } from './normalization.ts'

const atPosition = (at: readonly IndexLike[], c: IndexLike): IndexLike[] => [at[0]!, c, ...at.slice(1)]

/** The score of the labelled class at a position. No gather: the others add 0. */
export function labelledScore(x: Tensor, labels: Tensor, at: readonly IndexLike[]): Expression {
  const k = axis('k', x.shape[1] as number)
  return sum([k], select('eq', position(k), load(labels, ...at), load(x, ...atPosition(at, k)), 0))
}

/** Weights of classes: w L + (1 - w) (L - L_k) = L + (w - 1) L_k, where L_k is what labels k add to L. */
const CLASS_WEIGHTS =
  'weight is one number; labels k count w times by two losses: this one with normalization: full, weight: w, and it again with ignore: k, normalization: full, weight: 1 - w'

/** -log softmax(x)[label] = log(sum exp(x - m)) - (x[label] - m) */
const softmaxLoss: Operator = {
  name: 'softmax_loss',
  signature: {
    ...lossSignature('softmax_loss', ['scores', 'label'], [
      { name: 'ignore', type: { kind: 'integer' }, default: -1, doc: 'positions with this label do not count' },
      normalization('valid'),
    ], "minus the logarithm of the labelled class' probability"),
    mends: {
      label_smoothing:
        'smoothing by s is two losses: this one with weight: 1 - s, and sum(scores -> log_softmax, weight: -s / (classes * batch))',
      ...Object.fromEntries(['weight', 'weights', 'class_weight', 'class_weights'].map((name) => [name, CLASS_WEIGHTS])),
    },
  },
  traits: { betterIs: 'lower', comparesLabels: true, applies: 'softmax', wantsScores: [-2, -Infinity] },
  shape: scalarUnless(labelledProblems),
  equations: (node) => {
    const [x, labels] = node.inputs as readonly [Value, Value]
    return lossEquations(node, labels, (at) => {
      const point = atPosition(at, 0)
      const most = channelMaximum(x, point)
      return sub(log(exponentialSum(x, point, most)), sub(labelledScore(x, labels, at), most))
    })
  },
  gradient: (node, dLoss, build) => ({ inputs: [lossGradient(node, dLoss, build, 0), undefined] }),
  total: (node) => lossTotal(node.attributes, node.inputs[1]!),
}

/** dx[c] = (softmax(x)[c] - (c is the label)) dLoss / divisor; 0 where the label is ignored */
const softmaxLossDx: Operator = {
  name: 'softmax_loss_dx',
  equations: (node) => {
    const [, x, labels] = node.inputs as readonly [Value, Value, Value]
    return [pointwise(node, (at) => {
      const labelAt = [at[0]!, ...at.slice(2)]
      const most = channelMaximum(x, inChannel(at, 0))
      const probability = div(exp(sub(load(x, ...at), most)), exponentialSum(x, at, most))
      const wanted = select('eq', position(at[1]!), load(labels, ...labelAt), 1, 0)
      return unlessIgnored(labels, labelAt, node.attributes, mul(sub(probability, wanted), factorOf(node)))
    })]
  },
}

export const softmaxLossOperators: readonly Operator[] = [softmaxLoss, softmaxLossDx]
