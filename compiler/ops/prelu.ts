import type { Value } from '../graph/graph.ts'
import { load, min, mul, select } from '../ir/expression.ts'
import { type Equation, store } from '../ir/equation.ts'
import { orNaN } from './activation.ts'
import { sumsEquations } from './batch-reduction.ts'
import { channelProblems, labelProblems } from './diagnostics.ts'
import { numberOf, perChannel, pointwise } from './elementwise.ts'
import { gradientOf } from './gradients.ts'
import type { Operator } from './operator.ts'
import { coefficients, rateParameters } from './shared-parameters.ts'

/** x where positive, slope x elsewhere, with a learned slope a channel, or one for all (He et al. 2015, section 2.1). */
const prelu: Operator = {
  name: 'prelu',
  signature: {
    name: 'prelu',
    parameters: [
      { name: 'shared', type: { kind: 'boolean' }, default: false, doc: 'one slope for all channels' },
      { name: 'slope', type: { kind: 'number' }, default: 0.25, doc: 'what the slopes start with' },
      ...rateParameters(1),
    ],
    doc: 'x where positive, slope x elsewhere; the slopes are learned, one a channel',
  },
  shape: (q) => {
    const shared = q.attributes['shared'] === true
    const problems = [...labelProblems(q), ...(shared ? [] : channelProblems(q))]
    if (problems.length > 0) return problems
    const x = q.inputs[0]!
    return {
      shape: x.shape,
      parameters: [coefficients(q, 'slope', shared ? 1 : (x.shape[1] as number), numberOf(q.attributes, 'slope', 0.25), 0)],
    }
  },
  traits: { rectifier: true },
  equations: (node) => [pointwise(node, (at) => {
    const x = load(node.inputs[0]!, ...at)
    return select('lt', 0, x, x, mul(perChannel(node.parameters['slope']!, at), x))
  })],
  gradient: (node, dy, build) => {
    const x = node.inputs[0]!
    const slope = node.parameters['slope']!
    return {
      inputs: [gradientOf(x, 'dx', build, { op: 'prelu_dx', inputs: [dy, x], parameters: { slope } })],
      parameters: { slope: gradientOf(slope, 'dslope', build, { op: 'prelu_dslope', inputs: [dy, x] }) },
    }
  },
}

const preluDx: Operator = {
  name: 'prelu_dx',
  equations: (node) => [pointwise(node, (at) => {
    const dy = load(node.inputs[0]!, ...at)
    const x = load(node.inputs[1]!, ...at)
    return select('lt', 0, x, dy, orNaN(x, mul(perChannel(node.parameters['slope']!, at), dy)))
  })],
}

/** dslope[c] = sum over n, h, w of dy x where x <= 0 */
const preluDSlope: Operator = {
  name: 'prelu_dslope',
  equations: (node): readonly Equation[] => {
    const [dy, x] = node.inputs as readonly [Value, Value]
    const out = node.outputs[0]!
    const shared = out.shape[0] === 1
    return sumsEquations({
      name: node.name,
      layers: [node.layer],
      shape: x.shape,
      kept: shared ? [] : [1],
      terms: (at) => [mul(load(dy, ...at), min(load(x, ...at), 0))],
      stores: (at, [total]) => [store(out, shared ? [0] : at, total!)],
    })
  },
}

export const preluOperators: readonly Operator[] = [prelu, preluDx, preluDSlope]
