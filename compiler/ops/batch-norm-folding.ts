import type { Node } from '../graph/graph.ts'
import { add, constant, div, type Expression, load, mul, sqrt, sub } from '../ir/expression.ts'
import { axis, type IndexLike, plus, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { epsOf, storedStatistics } from './batch-norm/statistics-policy.ts'
import type { Operator } from './operator.ts'
import { numberOf, pointwise } from './elementwise.ts'

/*
 * What `prepare` computes once after weights are loaded, so that a batch_norm with stored statistics costs nothing behind a
 * convolution, and one multiplication and two additions an element anywhere else.
 * Parameters of these nodes: running_mean, running_var, scale_factor where sums are stored; gamma and beta where the layer
 * owns them; bias or weight of the layer in front.
 */

/** gamma / sqrt(variance + eps) of a channel, and its mean and beta. */
function coefficientsOf(node: Node, c: IndexLike): { mean: Expression; k: Expression; beta: Expression } {
  const { mean, variance } = storedStatistics(node, c)
  const { gamma, beta } = node.parameters
  return {
    mean,
    k: div(gamma ? load(gamma, c) : 1, sqrt(add(variance, epsOf(node.attributes)))),
    beta: beta ? load(beta, c) : constant(0),
  }
}

/** k[c] = gamma / sqrt(variance + eps);   b'[c] = (b - mean) k + beta. Outputs: k, b'. */
const foldCoefficients: Operator = {
  name: 'fold_coefficients',
  equations: (node) => {
    const [k, shift] = node.outputs
    const { bias } = node.parameters
    const c = axis('c', k!.shape[0]!)
    const of = coefficientsOf(node, c)
    const centre = sub(bias ? load(bias, c) : 0, of.mean)
    return [equation(node.name, [node.layer], [c], [store(k!, [c], of.k), store(shift!, [c], add(mul(centre, of.k), of.beta))])]
  },
}

/**
 * W' = W k, along the weight's output channels. Input: k. Attribute `layout`: `oihw` (conv [O, I/g, kh, kw], fc [O, I]) or
 * `iohw` (deconv [I, O/g, kh, kw]: output channel o = group * O/g + position, and the group is that of the input channel).
 */
const foldWeight: Operator = {
  name: 'fold_weight',
  equations: (node): readonly Equation[] => {
    const k = node.inputs[0]!
    const out = node.outputs[0]!
    const weight = node.parameters['weight']!
    if (node.attributes['layout'] !== 'iohw') return [pointwise(node, (at) => mul(load(weight, ...at), load(k, at[0]!)))]
    const groups = numberOf(node.attributes, 'groups', 1)
    const [inputs, perGroup, ...window] = weight.shape as readonly number[]
    const g = axis('g', groups)
    const i = axis('i', inputs! / groups)
    const o = axis('o', perGroup!)
    const rest = window.map((extent, d) => axis(d === 0 ? 'kh' : 'kw', extent))
    const at: IndexLike[] = [plus(times(g, inputs! / groups), i), o, ...rest]
    return [equation(node.name, [node.layer], [g, i, o, ...rest], [
      store(out, at, mul(load(weight, ...at), load(k, plus(times(g, perGroup!), o)))),
    ])]
  },
}

/** W as it is, for a copy that is stored with fewer digits. */
const roundWeight: Operator = {
  name: 'round_weight',
  equations: (node) => [pointwise(node, (at) => load(node.parameters['weight']!, ...at))],
}

/**
 * The coefficients of a batch_norm that stands alone: rows mean, k and beta of one tensor [3, C], so that it is one binding
 * wherever the normalization rides along. The mean stays apart: x k + (beta - mean k) would cancel where the mean is large.
 */
const foldStatistics: Operator = {
  name: 'fold_statistics',
  equations: (node) => {
    const out = node.outputs[0]!
    const c = axis('c', out.shape[1]!)
    const { mean, k, beta } = coefficientsOf(node, c)
    return [equation(node.name, [node.layer], [c], [mean, k, beta].map((row, r) => store(out, [r, c], row)))]
  },
}

/** y = (x - mean) k + beta. Inputs: x, rows [3, C] of `fold_statistics`. */
const normalizeFolded: Operator = {
  name: 'normalize_folded',
  equations: (node) => {
    const [x, rows] = node.inputs
    return [pointwise(node, (at) => add(mul(sub(load(x!, ...at), load(rows!, 0, at[1]!)), load(rows!, 1, at[1]!)), load(rows!, 2, at[1]!)))]
  },
}

export const foldOperators: readonly Operator[] = [foldCoefficients, foldWeight, roundWeight, foldStatistics, normalizeFolded]
