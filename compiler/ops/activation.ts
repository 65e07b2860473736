import type { Attributes } from '../../dsl/signature.ts'
import { abs, add, div, erf, exp, type Expression, log, max, min, mul, neg, rounded, select, sub, tanh } from '../ir/expression.ts'
import { argumentProblem } from './diagnostics.ts'
import { type ElementwiseFunction, elementwiseOperators } from './elementwise-function.ts'
import type { Operator } from './operator.ts'
import { numberOf } from './elementwise.ts'

const slopeOf = (a: Attributes): number => numberOf(a, 'slope', 0.01)
const alphaOf = (a: Attributes): number => numberOf(a, 'alpha', 1)

/** 1 / (1 + exp(-x)), of exp(-|x|) alone, which cannot overflow. */
export function sigmoidOf(x: Expression): Expression {
  const e = exp(neg(abs(x)))
  return div(select('lt', x, 0, e, 1), add(1, e))
}

/** log(1 + exp(x)) */
export const softplusOf = (x: Expression): Expression => add(max(x, 0), log(add(1, exp(neg(abs(x))))))

/** exp(x) - 1 for x <= 0, to the last digits near 0 too: 2 t / (1 - t) with t = tanh(x / 2). */
function expm1Of(x: Expression): Expression {
  const t = tanh(mul(0.5, x))
  return div(mul(2, t), sub(1, t))
}

/** alpha and scale of selu (Klambauer et al. 2017, equation 14). */
const SELU_ALPHA = 1.6732632423543772
const SELU_SCALE = 1.0507009873554805

/**
 * t = tanh(softplus(x)) and 1 - t^2, of e = exp(-|x|) alone: t = n / (n + 2) with n = exp(x) (exp(x) + 2), 1 - t^2 = 4 (n + 1) / (n + 2)^2;
 * on the right both numerator and denominator times e^2. Nothing cancels and nothing overflows.
 */
function mishGate(x: Expression): { gate: Expression; rest: Expression } {
  const e = exp(neg(abs(x)))
  const negative = mul(e, add(e, 2))
  const positive = add(1, mul(2, e))
  const below = select('lt', x, 0, add(negative, 2), add(positive, mul(2, mul(e, e))))
  const root = div(mul(2, mul(add(1, e), select('lt', x, 0, 1, e))), below)
  return { gate: div(select('lt', x, 0, negative, positive), below), rest: mul(root, root) }
}

/** The inner function of the tanh form of gelu: sqrt(2/pi) (x + 0.044715 x^3) (Hendrycks & Gimpel 2016). */
const ROOT = Math.sqrt(2 / Math.PI)
const CUBE = 0.044715
const geluTanh = (x: Expression): Expression => tanh(mul(ROOT, mul(x, add(1, mul(CUBE, mul(x, x))))))
/** Phi(x), the normal distribution. */
const normal = (x: Expression): Expression => mul(0.5, add(1, erf(mul(x, Math.SQRT1_2))))

/** A value, but NaN where `of` is none of the numbers: a comparison alone would make one of its two answers of it. */
export const orNaN = (of: Expression, value: Expression | number): Expression => select('eq', of, of, value, of)

const SIXTH = 1 / 6
/** alpha x; a sixth is a division, which is exact where the factor 1/6 is not. */
function hardSlope(x: Expression, a: Attributes): Expression {
  const alpha = numberOf(a, 'alpha', SIXTH)
  return Math.fround(alpha) === Math.fround(SIXTH) ? div(x, 6) : mul(alpha, x)
}

/**
 * Conventions at kinks are Caffe's: relu's derivative at 0 is the negative slope, clip passes gradients at its bounds. Where x
 * is NaN, so are the value and the gradient: comparisons are written so that neither turns into a number.
 */
const ACTIVATIONS: readonly ElementwiseFunction[] = [
  {
    name: 'relu',
    doc: 'max(x, 0)',
    rectifier: true,
    bounds: () => [0, Infinity],
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
    bounds: (a) => [slopeOf(a) > 0 ? -Infinity : 0, Infinity],
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
    bounds: (a) => [Math.min(0, -alphaOf(a)), Infinity],
    value: (x, a) => select('lt', 0, x, x, mul(alphaOf(a), sub(exp(min(x, 0)), 1))),
    from: (a) => (alphaOf(a) > 0 ? 'y' : 'x'),
    // alpha exp(x) = y + alpha
    gradient: (dy, v, a) => select('lt', 0, v, dy, mul(dy, alphaOf(a) > 0 ? add(v, alphaOf(a)) : mul(alphaOf(a), exp(min(v, 0))))),
  },
  {
    name: 'sigmoid',
    doc: '1 / (1 + exp(-x))',
    bounds: () => [0, 1],
    value: sigmoidOf,
    from: () => 'y',
    gradient: (dy, y) => mul(dy, mul(y, sub(1, y))),
  },
  {
    name: 'tanh',
    doc: 'the hyperbolic tangent',
    bounds: () => [-1, 1],
    value: tanh,
    from: () => 'y',
    gradient: (dy, y) => mul(dy, sub(1, mul(y, y))),
  },
  {
    name: 'softplus',
    doc: "log(1 + exp(x)), Caffe's BNLL",
    rectifier: true,
    bounds: () => [0, Infinity],
    value: (x) => {
      // log(1 + e) of e <= 1: where 1 + e is not exact, e / ((1 + e) - 1) makes good what was lost (Kahan).
      const e = exp(neg(abs(x)))
      const u = rounded(add(1, e))
      return add(max(x, 0), select('eq', u, 1, e, mul(log(u), div(e, sub(u, 1)))))
    },
    // 1 - exp(-y) would lose the small gradients of negative inputs.
    from: () => 'x',
    gradient: (dy, x) => mul(dy, sigmoidOf(x)),
  },
  {
    name: 'silu',
    doc: 'x sigmoid(x), also called swish',
    rectifier: true,
    bounds: () => [-0.28, Infinity],
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
    bounds: () => [-0.171, Infinity],
    value: (x, a) => (a['approximate'] === 'tanh' ? mul(mul(0.5, x), add(1, geluTanh(x))) : mul(x, normal(x))),
    from: () => 'x',
    gradient: (dy, x, a) => {
      // (x Phi)' = Phi + x phi, phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
      if (a['approximate'] !== 'tanh') return mul(dy, add(normal(x), mul(x, mul(1 / Math.sqrt(2 * Math.PI), exp(mul(-0.5, mul(x, x)))))))
      // With t = tanh(u): (x (1 + t) / 2)' = (1 + t) / 2 + x (1 - t^2) u' / 2, u' = sqrt(2/pi) (1 + 3 * 0.044715 x^2). Where t is 1 or -1, so is
      // q = x (1 - t^2) zero: it is multiplied by x twice, since x^2 may be infinite.
      const t = geluTanh(x)
      const q = mul(x, sub(1, mul(t, t)))
      return mul(dy, add(mul(0.5, add(1, t)), mul(0.5 * ROOT, add(q, mul(mul(mul(3 * CUBE, q), x), x)))))
    },
  },
  {
    name: 'mish',
    doc: 'x tanh(softplus(x))',
    rectifier: true,
    bounds: () => [-0.31, Infinity],
    value: (x) => mul(x, mishGate(x).gate),
    from: () => 'x',
    // (x t)' = t + x (1 - t^2) sigmoid(x)
    gradient: (dy, x) => {
      const { gate, rest } = mishGate(x)
      return mul(dy, add(gate, mul(x, mul(rest, sigmoidOf(x)))))
    },
  },
  {
    name: 'selu',
    doc: '1.0507 times elu with alpha 1.6733: keeps mean 0 and variance 1 (Klambauer et al. 2017)',
    bounds: () => [-1.76, Infinity],
    value: (x) => mul(SELU_SCALE, select('lt', 0, x, x, mul(SELU_ALPHA, expm1Of(min(x, 0))))),
    from: () => 'x',
    gradient: (dy, x) => mul(dy, select('lt', 0, x, SELU_SCALE, mul(SELU_SCALE * SELU_ALPHA, exp(min(x, 0))))),
  },
  {
    name: 'celu',
    doc: 'x where positive, alpha (exp(x / alpha) - 1) elsewhere: elu whose slope has no jump (Barron 2017)',
    rectifier: true,
    parameters: [{ name: 'alpha', type: { kind: 'number', above: 0 }, default: 1, doc: 'minus the limit on the left' }],
    bounds: (a) => [-alphaOf(a), Infinity],
    value: (x, a) => select('lt', 0, x, x, mul(alphaOf(a), expm1Of(div(min(x, 0), alphaOf(a))))),
    from: () => 'x',
    gradient: (dy, x, a) => select('lt', 0, x, dy, mul(dy, exp(div(min(x, 0), alphaOf(a))))),
  },
  {
    name: 'softsign',
    doc: 'x / (1 + |x|)',
    bounds: () => [-1, 1],
    value: (x) => div(x, add(1, abs(x))),
    from: () => 'x',
    // 1 / (1 + |x|)^2, in two steps, neither of which overflows.
    gradient: (dy, x) => div(div(dy, add(1, abs(x))), add(1, abs(x))),
  },
  {
    name: 'erf',
    doc: 'the error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x',
    bounds: () => [-1, 1],
    value: erf,
    from: () => 'x',
    gradient: (dy, x) => mul(dy, mul(2 / Math.sqrt(Math.PI), exp(neg(mul(x, x))))),
  },
  {
    name: 'thresholded_relu',
    doc: 'x where it is above alpha, 0 elsewhere',
    rectifier: true,
    parameters: [{ name: 'alpha', type: { kind: 'number' }, default: 1, doc: 'what x must exceed' }],
    bounds: (a) => [Math.min(0, alphaOf(a)), Infinity],
    value: (x, a) => select('lt', alphaOf(a), x, x, orNaN(x, 0)),
    from: () => 'x',
    gradient: (dy, x, a) => select('lt', alphaOf(a), x, dy, orNaN(x, 0)),
  },
  {
    name: 'hard_sigmoid',
    doc: 'alpha x + beta, kept within 0 and 1',
    parameters: [
      { name: 'alpha', type: { kind: 'number' }, default: SIXTH, named: true, doc: 'the slope in the middle; 1/6' },
      { name: 'beta', type: { kind: 'number' }, default: 0.5, named: true, doc: 'the value at 0' },
    ],
    bounds: () => [0, 1],
    value: (x, a) => max(0, min(1, add(hardSlope(x, a), numberOf(a, 'beta', 0.5)))),
    from: () => 'y',
    gradient: (dy, y, a) => select('lt', 0, y, select('lt', y, 1, hardSlope(dy, a), 0), y),
  },
  {
    name: 'hard_swish',
    doc: 'x hard_sigmoid(x)',
    rectifier: true,
    bounds: () => [-0.375, Infinity],
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
    bounds: (a) => [numberOf(a, 'lo', 0), numberOf(a, 'hi', 6)],
    value: (x, a) => max(numberOf(a, 'lo', 0), min(numberOf(a, 'hi', 6), x)),
    // At a bound the output does not tell whether the input was cut off.
    from: () => 'x',
    gradient: (dy, x, a) => select('lt', x, numberOf(a, 'lo', 0), 0, select('le', x, numberOf(a, 'hi', 6), dy, orNaN(x, 0))),
    problems: (q) =>
      numberOf(q.attributes, 'lo', 0) <= numberOf(q.attributes, 'hi', 0) ? []
        : [
          argumentProblem(
            q,
            'lo',
            'clip-order',
            `clip's lower bound ${q.attributes['lo']} is above its upper bound ${q.attributes['hi']}`,
            `write clip(${q.attributes['hi']}, ${q.attributes['lo']})`,
          ),
        ],
  },
]

export const activationOperators: readonly Operator[] = ACTIVATIONS.flatMap(elementwiseOperators)
