import { abs, add, constant, div, exp, type Expression, floor, log, mul, neg, pow, select, sqrt, sub } from '../ir/expression.ts'
import { orNaN } from './activation.ts'
import { type ElementwiseFunction, elementwiseOperators } from './elementwise-function.ts'
import { numberOf } from './elementwise.ts'
import type { Operator } from './operator.ts'

/** Products of more factors than this are powers by logarithms: their rounding is no smaller any more, and texts stay short. */
const MOST_FACTORS = 16

/** x^n of a whole n >= 1, by halves: the errors of a dozen products are below those of exp and log. */
function product(x: Expression, n: number): Expression {
  if (n === 1) return x
  const half = product(x, Math.floor(n / 2))
  return n % 2 === 0 ? mul(half, half) : mul(mul(half, half), x)
}

/** x^p for p > 0. WGSL's pow has no negative bases; those of whole exponents have the sign of the parity, others are NaN (square root of x). */
function positivePower(x: Expression, p: number): Expression {
  const whole = Math.floor(p)
  if (whole <= MOST_FACTORS && p === whole) return product(x, p)
  if (whole <= MOST_FACTORS && p === whole + 0.5) return whole === 0 ? sqrt(x) : mul(product(x, whole), sqrt(x))
  const size = abs(x)
  // log(0) is not told what it is on every device.
  const power = select('lt', 0, size, pow(size, p), size)
  if (p !== whole) return select('le', 0, x, power, sqrt(x))
  return p % 2 === 0 ? power : select('lt', x, 0, neg(power), power)
}

/** x^p; 1 where p is 0, whatever x. */
export function powerOf(x: Expression, p: number): Expression {
  if (p === 0) return constant(1)
  return p > 0 ? positivePower(x, p) : div(1, positivePower(x, -p))
}

/** The nearest whole number, of two the even one. x - floor(x) has no rounding, so that one half is told from what is near it. */
function nearest(x: Expression): Expression {
  const below = floor(x)
  const rest = sub(x, below)
  const even = mul(2, floor(mul(0.5, add(below, 1))))
  return select('lt', 0.5, rest, add(below, 1), select('eq', rest, 0.5, even, below))
}

/** Functions of each value that are no activations. As IEEE has them where the device does: 1 / 0 and log(0) may be any number in WGSL. */
const FUNCTIONS: readonly ElementwiseFunction[] = [
  { name: 'neg', doc: '-x', value: neg, from: () => 'y', gradient: (dy) => neg(dy) },
  {
    name: 'abs',
    doc: '|x|',
    bounds: () => [0, Infinity],
    value: abs,
    from: () => 'x',
    // 0 at 0, as Caffe and PyTorch have it.
    gradient: (dy, x) => select('lt', 0, x, dy, select('lt', x, 0, neg(dy), orNaN(x, 0))),
  },
  { name: 'exp', doc: 'e to the power of x', bounds: () => [0, Infinity], value: exp, from: () => 'y', gradient: (dy, y) => mul(dy, y) },
  { name: 'log', doc: 'the natural logarithm of x', value: log, from: () => 'x', gradient: (dy, x) => div(dy, x) },
  {
    name: 'sqrt',
    doc: 'the square root of x',
    bounds: () => [0, Infinity],
    value: sqrt,
    from: () => 'y',
    gradient: (dy, y) => div(mul(0.5, dy), y),
  },
  {
    name: 'reciprocal',
    doc: '1 / x',
    value: (x) => div(1, x),
    from: () => 'y',
    gradient: (dy, y) => neg(mul(dy, mul(y, y))),
  },
  { name: 'floor', doc: 'the largest whole number that is not above x', value: floor },
  { name: 'ceil', doc: 'the smallest whole number that is not below x', value: (x) => neg(floor(neg(x))) },
  { name: 'round', doc: 'the whole number nearest to x, of two the even one', value: nearest },
  {
    name: 'pow',
    doc: 'x to the power of a number; negative x have powers to whole numbers alone',
    parameters: [{ name: 'exponent', type: { kind: 'number' }, doc: 'the power; 2 squares' }],
    bounds: (a) => [numberOf(a, 'exponent', 1) % 2 === 0 ? 0 : -Infinity, Infinity],
    value: (x, a) => powerOf(x, numberOf(a, 'exponent', 1)),
    from: () => 'x',
    gradient: (dy, x, a) => {
      const p = numberOf(a, 'exponent', 1)
      return p === 0 ? constant(0) : mul(dy, mul(p, powerOf(x, p - 1)))
    },
  },
]

export const arithmeticOperators: readonly Operator[] = FUNCTIONS.flatMap(elementwiseOperators)
