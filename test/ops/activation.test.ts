import { describe, expect, test } from 'vitest'
import { erf } from '../../compiler/targets/interpreter/erf.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { backward, codes, expectClose, expectGradients, fed, forward } from './run-operator.ts'

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** Each activation as its textbook has it. */
const FORMULAS: readonly { op: string; attributes?: Record<string, number | string>; f: (x: number) => number }[] = [
  { op: 'relu', f: (x) => (x > 0 ? x : 0) },
  { op: 'leaky_relu', f: (x) => (x > 0 ? x : 0.01 * x) },
  { op: 'leaky_relu', attributes: { slope: 0.3 }, f: (x) => (x > 0 ? x : 0.3 * x) },
  { op: 'leaky_relu', attributes: { slope: -0.5 }, f: (x) => (x > 0 ? x : -0.5 * x) },
  { op: 'elu', f: (x) => (x > 0 ? x : Math.expm1(x)) },
  { op: 'elu', attributes: { alpha: 0.7 }, f: (x) => (x > 0 ? x : 0.7 * Math.expm1(x)) },
  { op: 'elu', attributes: { alpha: -0.7 }, f: (x) => (x > 0 ? x : -0.7 * Math.expm1(x)) },
  { op: 'sigmoid', f: sigmoid },
  { op: 'tanh', f: Math.tanh },
  { op: 'softplus', f: (x) => Math.log1p(Math.exp(x)) },
  { op: 'silu', f: (x) => x * sigmoid(x) },
  { op: 'gelu', f: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2 },
  {
    op: 'gelu',
    attributes: { approximate: 'tanh' },
    f: (x) => (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2,
  },
  { op: 'hard_sigmoid', f: (x) => Math.min(1, Math.max(0, x / 6 + 0.5)) },
  { op: 'hard_sigmoid', attributes: { alpha: 0.2, beta: 0.3 }, f: (x) => Math.min(1, Math.max(0, 0.2 * x + 0.3)) },
  { op: 'mish', f: (x) => x * Math.tanh(Math.log1p(Math.exp(x))) },
  { op: 'selu', f: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)) },
  { op: 'celu', f: (x) => (x > 0 ? x : Math.expm1(x)) },
  { op: 'celu', attributes: { alpha: 0.7 }, f: (x) => (x > 0 ? x : 0.7 * Math.expm1(x / 0.7)) },
  { op: 'softsign', f: (x) => x / (1 + Math.abs(x)) },
  { op: 'erf', f: erf },
  { op: 'thresholded_relu', attributes: { alpha: 0.5 }, f: (x) => (x > 0.5 ? x : 0) },
  { op: 'hard_swish', f: (x) => (x * Math.min(6, Math.max(0, x + 3))) / 6 },
  { op: 'clip', attributes: { lo: -0.5, hi: 0.75 }, f: (x) => Math.min(0.75, Math.max(-0.5, x)) },
]

describe.each(FORMULAS)('$op $attributes', ({ op, attributes, f }) => {
  const data = [-30, -3.5, -2, -0.4, -1e-3, 1e-3, 0.3, 0.9, 1.7, 2.9, 4, 30]
  const call = { op, inputs: [{ shape: [2, 3, 2], data }], ...(attributes && { attributes }) }

  test('gives its formula', () => expectClose(forward(call), data.map(f), 1e-12))
  test('has the slope of its formula', () => expectGradients(call))
  test('has the bounds of its formula', () => {
    const values = Array.from({ length: 8001 }, (_, i) => f((i - 4000) / 100))
    const [least, most] = operators.get(op)!.traits!.bounds?.(attributes ?? {}) ?? [-Infinity, Infinity]
    for (const [bound, end] of [[least, Math.min(...values)], [most, Math.max(...values)]] as const) {
      if (Number.isFinite(bound)) expect(Math.abs(bound - end)).toBeLessThan(op === 'softsign' ? 0.03 : 0.01)
      else expect(Math.abs(end)).toBeGreaterThan(0.3)
    }
    expect(least <= Math.min(...values) && most >= Math.max(...values)).toBe(true)
  })
  test('of a whole input', () => expectClose(forward({ ...call, inputs: [{ shape: [12], data, whole: true }] }), data.map(f), 1e-12))
})

test.each(['sigmoid', 'softplus', 'silu', 'tanh', 'elu', 'mish', 'selu', 'celu', 'softsign', 'erf', 'log_softmax', 'softmax'])(
  '%s stays finite far out',
  (op) => {
    const call = { op, inputs: [{ shape: [1, 4], data: [-1e4, -800, 800, 1e4] }] }
    expect([...forward(call)].every(Number.isFinite)).toBe(true)
    expect([...backward(call, [1, 1, 1, 1]).inputs[0]!].every(Number.isFinite)).toBe(true)
  },
)

test.each(FORMULAS)('$op $attributes has the slope of its asymptote where squares are infinite', ({ op, attributes, f }) => {
  const data = [-1e300, -2e154, 2e154, 1e300]
  const given = [...backward({ op, inputs: [{ shape: [1, 4], data }], ...(attributes && { attributes }) }, [1, 1, 1, 1]).inputs[0]!]
  // Straight lines from 30 on, to 1e-12; softsign is flat from far further out.
  const slopes = data.map((x) => (op === 'softsign' ? 0 : (f(Math.sign(x) * 64) - f(Math.sign(x) * 32)) / (Math.sign(x) * 32)))
  expectClose(given, slopes, 1e-9)
})

describe('at a kink', () => {
  const at = (op: string, x: number, attributes = {}): number =>
    backward({ op, inputs: [{ shape: [1, 1], data: [x] }], attributes }, [1]).inputs[0]![0]!
  test('relu has its negative slope', () => {
    expect(at('relu', 0)).toBe(0)
    expect(at('leaky_relu', 0, { slope: 0.3 })).toBe(0.3)
  })
  test('clip passes the gradient at its bounds', () => {
    expect(at('clip', 0, { lo: 0, hi: 6 })).toBe(1)
    expect(at('clip', 6, { lo: 0, hi: 6 })).toBe(1)
    expect(at('clip', -1e-9, { lo: 0, hi: 6 })).toBe(0)
  })
})

describe('prelu', () => {
  const slope = [0.25, -0.5, 2]
  const x = fed([2, 3, 4, 5])
  test('has a slope a channel', () => {
    const want = Array.from(x.data, (v, i) => (v > 0 ? v : v * slope[Math.floor(i / 20) % 3]!))
    expectClose(forward({ op: 'prelu', inputs: [x], parameters: { slope } }), want)
  })
  test('starts with 0.25 everywhere', () =>
    expectClose(forward({ op: 'prelu', inputs: [x] }), Array.from(x.data, (v) => (v > 0 ? v : 0.25 * v))))
  test('gradients', () => expectGradients({ op: 'prelu', inputs: [x], parameters: { slope } }))
  test('gradients, one slope for all', () =>
    expectGradients({ op: 'prelu', inputs: [x], attributes: { shared: true }, parameters: { slope: [0.1] } }))
  test('gradients of a matrix', () => expectGradients({ op: 'prelu', inputs: [fed([7, 3])], parameters: { slope } }))
})

test('refuses what makes no sense', () => {
  expect(codes({ op: 'clip', inputs: [fed([2, 3])], attributes: { lo: 6, hi: 0 } })).toEqual(['argument/clip-order'])
  expect(codes({ op: 'relu', inputs: [fed([2], 1, { labels: true })] })).toEqual(['shape/label-as-numbers'])
  expect(codes({ op: 'prelu', inputs: [fed([2])] })).toEqual(['shape/prelu-rank'])
  expect(codes({ op: 'prelu', inputs: [fed([2])], attributes: { shared: true } })).toEqual([])
})
