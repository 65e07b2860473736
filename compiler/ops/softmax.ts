import type { Value } from '../graph/graph.ts'
import { div, exp, type Expression, load, log, maximum, mul, sub, sum } from '../ir/expression.ts'
import { axis, type Axis, type IndexLike } from '../ir/affine.ts'
import type { Tensor } from '../ir/tensor.ts'
import { channelProblems, labelProblems } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator } from './operator.ts'
import { pointwise } from './elementwise.ts'

/** The point at the same position in another channel. */
export const inChannel = (at: readonly IndexLike[], c: IndexLike): IndexLike[] => [at[0]!, c, ...at.slice(2)]
const channelAxis = (x: Tensor): Axis => axis('k', x.shape[1] as number)

/** The largest of all channels at a point: what is subtracted so that no exponential overflows. */
export function channelMaximum(x: Tensor, at: readonly IndexLike[]): Expression {
  const k = channelAxis(x)
  return maximum([k], load(x, ...inChannel(at, k)))
}

/** sum over channels of exp(x - most): between 1 and C. */
export function exponentialSum(x: Tensor, at: readonly IndexLike[], most: Expression): Expression {
  const k = channelAxis(x)
  return sum([k], exp(sub(load(x, ...inChannel(at, k)), most)))
}

const gradientBy = (op: string): Operator['gradient'] => (node, dy, build) =>
  firstInputGradient(node, build, { op, inputs: [dy, node.outputs[0]!] })

const shape: Operator['shape'] = (q) => {
  const problems = [...labelProblems(q), ...channelProblems(q)]
  return problems.length > 0 ? problems : { shape: q.inputs[0]!.shape }
}

/** y = exp(x - m) / sum exp(x - m), m the largest */
const softmax: Operator = {
  name: 'softmax',
  signature: { name: 'softmax', parameters: [], doc: 'probabilities over the channel axis' },
  traits: { keepsClasses: true },
  shape,
  equations: (node) => {
    const x = node.inputs[0]!
    return [pointwise(node, (at) => {
      const most = channelMaximum(x, at)
      return div(exp(sub(load(x, ...at), most)), exponentialSum(x, at, most))
    })]
  },
  gradient: gradientBy('softmax_dx'),
}

/** dx = y (dy - sum dy y) */
const softmaxDx: Operator = {
  name: 'softmax_dx',
  equations: (node) => {
    const [dy, y] = node.inputs as readonly [Value, Value]
    return [pointwise(node, (at) => {
      const k = channelAxis(y)
      const dot = sum([k], mul(load(dy, ...inChannel(at, k)), load(y, ...inChannel(at, k))))
      return mul(load(y, ...at), sub(load(dy, ...at), dot))
    })]
  },
}

/** y = x - m - log(sum exp(x - m)): exact where the probability is close to 0 or 1 */
const logSoftmax: Operator = {
  name: 'log_softmax',
  signature: { name: 'log_softmax', parameters: [], doc: 'logarithms of probabilities over the channel axis' },
  traits: { keepsClasses: true },
  shape,
  equations: (node) => {
    const x = node.inputs[0]!
    return [pointwise(node, (at) => {
      const most = channelMaximum(x, at)
      return sub(sub(load(x, ...at), most), log(exponentialSum(x, at, most)))
    })]
  },
  gradient: gradientBy('log_softmax_dx'),
}

/** dx = dy - exp(y) sum dy */
const logSoftmaxDx: Operator = {
  name: 'log_softmax_dx',
  equations: (node) => {
    const [dy, y] = node.inputs as readonly [Value, Value]
    return [pointwise(node, (at) => {
      const k = channelAxis(y)
      return sub(load(dy, ...at), mul(exp(load(y, ...at)), sum([k], load(dy, ...inChannel(at, k)))))
    })]
  },
}

export const softmaxOperators: readonly Operator[] = [softmax, softmaxDx, logSoftmax, logSoftmaxDx]
