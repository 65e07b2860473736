import type { Attributes, Parameter } from '../../dsl/signature.ts'
import type { Value } from '../graph/graph.ts'
import { abs, add, div, erf, exp, type Expression, load, log, max, min, mul, neg, select, sub, tanh } from '../ir/expression.ts'
import { type Equation, store } from '../ir/equation.ts'
import { argumentProblem, channelProblems, labelProblems } from './diagnostics.ts'
import { firstInputGradient, gradientOf } from './gradients.ts'
import type { Operator } from './operator.ts'
import { coefficients, rateParameters } from './shared-parameters.ts'
import { numberOf, perChannel, pointwise } from './elementwise.ts'
import { sumsEquations } from './batch-reduction.ts'

interface Activation {
  readonly name: string
  readonly doc: string
  readonly parameters?: readonly Parameter[]
  readonly rectifier?: boolean
  readonly value: (x: Expression, a: Attributes) => Expression
  /** The value that the gradient is computed from: the output where that tells enough, so that the input need not be kept. */
  readonly from: (a: Attributes) => 'x' | 'y'
  /** dx, of the output's gradient and the value that `from` names. */
  readonly gradient: (dy: Expression, v: Expression, a: Attributes) => Expression
}

const slopeOf = (a: Attributes): number => numberOf(a, 'slope', 0.01)
const alphaOf = (a: Attributes): number => numberOf(a, 'alpha', 1)

/** 1 / (1 + exp(-x)), of exp(-|x|) alone, which cannot overflow. */
export function sigmoidOf(x: Expression): Expression {
  const e = exp(neg(abs(x)))
  return div(select('lt', x, 0, e, 1), add(1, e))
}

/** log(1 + exp(x)) */
export const softplusOf = (x: Expression): Expression => add(max(x, 0), log(add(1, exp(neg(abs(x))))))

/** The inner function of the tanh form of gelu: sqrt(2/pi) (x + 0.044715 x^3) (Hendrycks & Gimpel 2016). */
const ROOT = Math.sqrt(2 / Math.PI)
const CUBE = 0.044715
const geluTanh = (x: Expression): Expression => tanh(mul(ROOT, mul(x, add(1, mul(CUBE, mul(x, x))))))
/** Phi(x), the normal distribution. */
const normal = (x: Expression): Expression => mul(0.5, add(1, erf(mul(x, Math.SQRT1_2))))

/** A value, but NaN where `of` is none of the numbers: a comparison alone would make one of its two answers of it. */
const orNaN = (of: Expression, value: Expression | number): Expression => select('eq', of, of, value, of)

/**
 * Conventions at kinks are Caffe's: relu's derivative at 0 is the negative slope, clip passes gradients at its bounds. Where x
 * is NaN, so are the value and the gradient: comparisons are written so that neither turns into a number.
 */
const ACTIVATIONS: readonly Activation[] = [
  {
    name: 'relu',
    doc: 'max(x, 0)',
    rectifier: true,
    value: (x) => max(x, 0),
    from: () => 'y',
    // What is not positive is 0 or NaN.
    gradient: (dy, y) => select('lt', 0, y, dy, y),
  },
  {
    name: 'leaky_relu',
    doc: 'x where positive, slope x elsewhere',
    rectifier: true,
    parameters: [{ name: 'slope', type: { kind: 'number' }, default: 0.01, doc: 'what negative values are multiplied by' }],
    value: (x, a) => select('lt', 0, x, x, mul(slopeOf(a), x)),
    // A negative slope turns signs, so that the output's says nothing about the input's.
    from: (a) => (slopeOf(a) >= 0 ? 'y' : 'x'),
    gradient: (dy, v, a) => select('lt', 0, v, dy, orNaN(v, mul(slopeOf(a), dy))),
  },
  {
    name: 'elu',
    doc: 'x where positive, alpha (exp(x) - 1) elsewhere',
    rectifier: true,
    parameters: [{ name: 'alpha', type: { kind: 'number' }, default: 1, doc: 'minus the limit on the left' }],
    value: (x, a) => select('lt', 0, x, x, mul(alphaOf(a), sub(exp(min(x, 0)), 1))),
    from: (a) => (alphaOf(a) > 0 ? 'y' : 'x'),
    // alpha exp(x) = y + alpha
    gradient: (dy, v, a) => select('lt', 0, v, dy, mul(dy, alphaOf(a) > 0 ? add(v, alphaOf(a)) : mul(alphaOf(a), exp(min(v, 0))))),
  },
  {
    name: 'sigmoid',
    doc: '1 / (1 + exp(-x))',
    value: sigmoidOf,
    from: () => 'y',
    gradient: (dy, y) => mul(dy, mul(y, sub(1, y))),
  },
  {
    name: 'tanh',
    doc: 'the hyperbolic tangent',
    value: tanh,
    from: () => 'y',
    gradient: (dy, y) => mul(dy, sub(1, mul(y, y))),
  },
  {
    name: 'softplus',
    doc: "log(1 + exp(x)), Caffe's BNLL",
    rectifier: true,
    value: softplusOf,
    // 1 - exp(-y) would lose the small gradients of negative inputs.
    from: () => 'x',
    gradient: (dy, x) => mul(dy, sigmoidOf(x)),
  },
  {
    name: 'silu',
    doc: 'x sigmoid(x), also called swish',
    rectifier: true,
    value: (x) => mul(x, sigmoidOf(x)),
    from: () => 'x',
    // (x s)' = s + x s (1 - s)
    gradient: (dy, x) => {
      const s = sigmoidOf(x)
      return mul(dy, mul(s, add(1, mul(x, sub(1, s)))))
    },
  },
  {
    name: 'gelu',
    doc: 'x times the normal distribution at x; approximate: tanh for the older form',
    rectifier: true,
    parameters: [{
      name: 'approximate',
      type: { kind: 'word', words: ['none', 'tanh'] },
      default: 'none',
      doc: 'tanh: the older form, an approximation',
    }],
    value: (x, a) => (a['approximate'] === 'tanh' ? mul(mul(0.5, x), add(1, geluTanh(x))) : mul(x, normal(x))),
    from: () => 'x',
    gradient: (dy, x, a) => {
      // (x Phi)' = Phi + x phi, phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
      if (a['approximate'] !== 'tanh') return mul(dy, add(normal(x), mul(x, mul(1 / Math.sqrt(2 * Math.PI), exp(mul(-0.5, mul(x, x)))))))
      // With t = tanh(u): (x (1 + t) / 2)' = (1 + t) / 2 + x (1 - t^2) u' / 2, u' = sqrt(2/pi) (1 + 3 * 0.044715 x^2)
      const t = geluTanh(x)
      const slope = mul(ROOT, add(1, mul(3 * CUBE, mul(x, x))))
      return mul(dy, add(mul(0.5, add(1, t)), mul(mul(0.5, x), mul(sub(1, mul(t, t)), slope))))
    },
  },
  {
    name: 'hard_sigmoid',
    doc: 'x / 6 + 1/2, kept within 0 and 1',
    value: (x) => max(0, min(1, add(div(x, 6), 0.5))),
    from: () => 'y',
    gradient: (dy, y) => select('lt', 0, y, select('lt', y, 1, div(dy, 6), 0), y),
  },
  {
    name: 'hard_swish',
    doc: 'x hard_sigmoid(x)',
    rectifier: true,
    value: (x) => div(mul(x, max(0, min(6, add(x, 3)))), 6),
    from: () => 'x',
    gradient: (dy, x) => mul(dy, select('le', x, -3, 0, select('le', 3, x, 1, add(div(x, 3), 0.5)))),
  },
  {
    name: 'clip',
    doc: 'x kept within lo and hi: clip(0, 6) is relu6',
    rectifier: true,
    parameters: [
      { name: 'lo', type: { kind: 'number' }, doc: 'the smallest value' },
      { name: 'hi', type: { kind: 'number' }, doc: 'the largest value' },
    ],
    value: (x, a) => max(numberOf(a, 'lo', 0), min(numberOf(a, 'hi', 6), x)),
    // At a bound the output does not tell whether the input was cut off.
    from: () => 'x',
    gradient: (dy, x, a) => select('lt', x, numberOf(a, 'lo', 0), 0, select('le', x, numberOf(a, 'hi', 6), dy, orNaN(x, 0))),
  },
]

function operatorsOf(activation: Activation): Operator[] {
  const { name } = activation
  return [
    {
      name,
      signature: { name, parameters: activation.parameters ?? [], doc: activation.doc },
      shape: (q) => {
        const problems = labelProblems(q)
        if (name === 'clip' && numberOf(q.attributes, 'lo', 0) > numberOf(q.attributes, 'hi', 0)) {
          problems.push(
            argumentProblem(
              q,
              'lo',
              'clip-order',
              `clip's lower bound ${q.attributes['lo']} is above its upper bound ${q.attributes['hi']}`,
              `write clip(${q.attributes['hi']}, ${q.attributes['lo']})`,
            ),
          )
        }
        return problems.length > 0 ? problems : { shape: q.inputs[0]!.shape }
      },
      ...(activation.rectifier && { traits: { rectifier: true } }),
      equations: (node) => [pointwise(node, (at) => activation.value(load(node.inputs[0]!, ...at), node.attributes))],
      gradient: (node, dy, build) => {
        const kept = activation.from(node.attributes) === 'y' ? node.outputs[0]! : node.inputs[0]!
        return firstInputGradient(node, build, { op: `${name}_dx`, inputs: [dy, kept], attributes: node.attributes })
      },
    },
    {
      name: `${name}_dx`,
      equations: (node) => {
        const [dy, kept] = node.inputs as readonly [Value, Value]
        return [pointwise(node, (at) => activation.gradient(load(dy, ...at), load(kept, ...at), node.attributes))]
      },
    },
  ]
}

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

export const activationOperators: readonly Operator[] = [...ACTIVATIONS.flatMap(operatorsOf), prelu, preluDx, preluDSlope]
