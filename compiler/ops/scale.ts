import type { Node, Value } from '../graph/graph.ts'
import { add, type Expression, load, mul } from '../ir/expression.ts'
import { store } from '../ir/equation.ts'
import { channelProblems, labelProblems } from './diagnostics.ts'
import { fillerParameter } from './fillers.ts'
import { gradientOf } from './gradients.ts'
import type { GradientBuilder, Operator } from './operator.ts'
import { coefficients, rateParameters } from './shared-parameters.ts'
import { perChannel, pointwise } from './elementwise.ts'
import { sumsEquations } from './batch-reduction.ts'

/** y = weight x + bias, a coefficient a channel: the affine half of batch normalization in Caffe's spelling. */
const scale: Operator = {
  name: 'scale',
  signature: {
    name: 'scale',
    parameters: [
      { name: 'bias', type: { kind: 'boolean' }, default: true, doc: 'whether a bias is added' },
      fillerParameter('weight'),
      fillerParameter('bias'),
      ...rateParameters(2),
    ],
    mends: { bias: 'a factor that is not learned is mul(0.5)' },
    doc: 'multiplies each channel by a learned factor, and adds a learned bias',
  },
  traits: { initSeesThrough: true },
  shape: (q) => {
    const problems = [...labelProblems(q), ...channelProblems(q)]
    if (problems.length > 0) return problems
    const { shape } = q.inputs[0]!
    const channels = shape[1] as number
    const bias = q.attributes['bias'] === false ? [] : [coefficients(q, 'bias', channels, 0, 1)]
    return { shape, parameters: [coefficients(q, 'weight', channels, 1, 0), ...bias] }
  },
  equations: (node) => [pointwise(node, (at) => {
    const { weight, bias } = node.parameters
    const scaled = mul(load(node.inputs[0]!, ...at), perChannel(weight!, at))
    return bias ? add(scaled, perChannel(bias, at)) : scaled
  })],
  gradient: (node, dy, build) => {
    const x = node.inputs[0]!
    const { weight, bias } = node.parameters
    const dx = [gradientOf(x, 'dx', build, { op: 'scale', inputs: [dy], parameters: { weight: weight! } })]
    return { inputs: dx, parameters: coefficientGradients(node, dy, build, weight, bias) }
  },
}

/** dweight[c] = sum dy x;   dbias[c] = sum dy: one pass gives both. */
function coefficientGradients(
  node: Node,
  dy: Value,
  build: GradientBuilder,
  weight: Value | undefined,
  bias: Value | undefined,
): Record<string, Value | undefined> {
  const asked = [weight && ['weight', weight] as const, bias && ['bias', bias] as const]
    .filter((p) => p !== undefined).filter(([, p]) => build.needs(p))
  if (asked.length === 0) return {}
  const outputs = build.node({
    suffix: 'sums',
    op: 'scale_sums',
    inputs: weight && build.needs(weight) ? [dy, node.inputs[0]!] : [dy],
    attributes: { weight: asked.some(([role]) => role === 'weight'), bias: asked.some(([role]) => role === 'bias') },
    outputs: asked.map(([role, p]) => ({ name: `d${role}`, shape: p.shape })),
  })
  return Object.fromEntries(asked.map(([role], i) => [role, outputs[i]]))
}

/** Inputs: dy, and x where the weight's gradient is asked for. Outputs: those of dweight and dbias that are asked for. */
const scaleSums: Operator = {
  name: 'scale_sums',
  equations: (node) => {
    const [dy, x] = node.inputs as readonly [Value, Value | undefined]
    return sumsEquations({
      name: node.name,
      layers: [node.layer],
      shape: dy.shape,
      kept: [1],
      terms: (at) => {
        const given: Expression = load(dy, ...at)
        return [...(x ? [mul(given, load(x, ...at))] : []), ...(node.attributes['bias'] === true ? [given] : [])]
      },
      stores: (at, totals) => totals.map((total, i) => store(node.outputs[i]!, at, total)),
    })
  },
}

/** y = x + bias, a number a channel. */
const bias: Operator = {
  name: 'bias',
  signature: { name: 'bias', parameters: [fillerParameter('bias'), ...rateParameters(1)], doc: 'adds a learned number to each channel' },
  traits: { initSeesThrough: true },
  shape: (q) => {
    const problems = [...labelProblems(q), ...channelProblems(q)]
    const { shape } = q.inputs[0]!
    return problems.length > 0 ? problems : { shape, parameters: [coefficients(q, 'bias', shape[1] as number, 0, 0)] }
  },
  equations: (node) => [pointwise(node, (at) => add(load(node.inputs[0]!, ...at), perChannel(node.parameters['bias']!, at)))],
  gradient: (node, dy, build) => ({
    inputs: [build.needs(node.inputs[0]!) ? dy : undefined],
    parameters: coefficientGradients(node, dy, build, undefined, node.parameters['bias']),
  }),
}

export const scaleOperators: readonly Operator[] = [scale, scaleSums, bias]
