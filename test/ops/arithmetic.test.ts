import { describe, expect, test } from 'vitest'
import { check } from '../../compiler/check.ts'
import { backward, expectClose, expectGradients, forward } from './run-operator.ts'

const positive = [0.01, 0.3, 1, 1.7, 2.9, 30]
const all = [-30, -2.5, -1, -0.3, ...positive, 12, 7]
const functions: readonly { op: string; attributes?: Record<string, number>; data: readonly number[]; f: (x: number) => number }[] = [
  { op: 'neg', data: all, f: (x) => -x },
  { op: 'abs', data: all, f: Math.abs },
  { op: 'exp', data: all.map((x) => x / 10), f: Math.exp },
  { op: 'log', data: positive, f: Math.log },
  { op: 'sqrt', data: positive, f: Math.sqrt },
  { op: 'reciprocal', data: all.filter((x) => Math.abs(x) > 0.1), f: (x) => 1 / x },
  ...[0, 1, 2, 3, 7, -1, -2, 20, 21].map((exponent) => ({
    op: 'pow',
    attributes: { exponent },
    data: [-1.5, -1, -0.9, 0.8, 1, 1.25],
    f: (x: number) => x ** exponent,
  })),
  ...[0.5, -0.5, 1.5, 2.5, 1 / 3, -1.7].map((exponent) => ({
    op: 'pow',
    attributes: { exponent },
    data: positive.slice(1),
    f: (x: number) => x ** exponent,
  })),
]

test.each(functions)('$op $attributes', ({ op, attributes, data, f }) => {
  const call = { op, inputs: [{ shape: [1, data.length], data }], ...(attributes && { attributes }) }
  expectClose(forward(call), data.map(f), 1e-12)
  expectGradients(call)
})

test.each([
  ['floor', [-2, -2, -1, -1, -0, 0, 0, 0, 0, 1, 2, 2, Infinity, NaN]],
  ['ceil', [-2, -1, -0, -0, -0, 0, 1, 1, 1, 2, 2, 3, Infinity, NaN]],
  // Of two the even one.
  ['round', [-2, -2, -0, -0, -0, 0, 0, 0, 1, 2, 2, 2, Infinity, NaN]],
])('%s', (op, want) => {
  const data = [-2, -1.5, -0.5, -0.3, -0, 0, 0.49999997, 0.5, 0.50000006, 1.5, 2, 2.5, Infinity, NaN]
  const got = forward({ op, inputs: [{ shape: [1, data.length], data }] })
  // Zeros of both signs are equal.
  expect(Array.from(got, (v) => v + 0)).toEqual(want.map((v) => v + 0))
})

describe('where there is no number, and at kinks', () => {
  const value = (op: string, x: number, attributes = {}): number => forward({ op, inputs: [{ shape: [1, 1], data: [x] }], attributes })[0]!
  const slope = (op: string, x: number, attributes = {}): number =>
    backward({ op, inputs: [{ shape: [1, 1], data: [x] }], attributes }, [1]).inputs[0]![0]!
  test('as IEEE has it', () => {
    expect([value('log', 0), value('log', -1), value('sqrt', -1), value('reciprocal', 0)]).toEqual([-Infinity, NaN, NaN, Infinity])
    expect([value('pow', 0, { exponent: -2 }), value('pow', 0, { exponent: 0.3 }), value('pow', -2, { exponent: 0.3 })])
      .toEqual([Infinity, 0, NaN])
    expect(value('pow', 0, { exponent: 0 })).toBe(1)
  })
  test('the slopes of PyTorch', () => {
    expect([slope('abs', 0), slope('abs', -3), slope('sqrt', 0), slope('pow', 0, { exponent: 0 })]).toEqual([0, -1, Infinity, 0])
    expect([slope('pow', 0, { exponent: 2 }), slope('pow', 0, { exponent: 1 })]).toEqual([0, 1])
  })
})

describe('numbers as operands in a file', () => {
  const told = (line: string) => check(`net t {\n  input x: f32[4]\n  output y = ${line}\n}`).map(({ message, hint }) => [message, hint])
  test.each([
    'add(x, 1)',
    'x -> add(1)',
    'sub(1, x)',
    'x -> div(2)',
    '2 -> div(x)',
    'max(x, -0.5, 1 / 3)',
    'add(x, 1, coeff: [2, 3])',
    'x -> pow(2)',
  ])(
    '%s',
    (line) => expect(told(line)).toEqual([]),
  )
  test.each([
    ['add(1, 2)', 'add works on tensors, and all of these are numbers', 'numbers are joined by + - * / in place'],
    ['x -> add', 'add works on at least 2 operands, and here is one', 'write add(a, b)'],
    ['sub(x, 1, 2)', 'sub works on 2 operands, and here are 3', 'write sub(a, b)'],
    [
      'add(x, [1, 2, 3, 4])',
      'add works on tensors and numbers, not on a list of 4',
      'a number for each channel is learned by scale or bias, or given to normalize',
    ],
    ['mul(x, 1e39)', 'an operand of mul is a number that a computer can hold, not 1e+39', 'float32 ends at 3.4e38'],
    ['add(x, true)', 'add works on tensors and numbers, not on true', 'write add(a, b)'],
    ['1 - x', "'-' does not join 1 and a tensor", 'tensors are joined by layers: sub(1, x)'],
    ['x / 2', "'/' does not join a tensor and 2", 'tensors are joined by layers: div(x, 2)'],
    ['-x', "'-' goes before a number, not before a tensor", 'tensors are worked on by layers: neg(x)'],
    ['add(x, 1, y: 2)', 'add has no argument y', 'write add(coeff: ...)'],
  ])('%s', (line, message, hint) => expect(told(line)).toEqual([[message, hint]]))

  test.each([
    [[8, 24, 24], [8, 26, 26]],
    [[4, 16, 16], [8, 8, 8]],
    [[4, 7, 5], [8, 13, 15]],
    [[4, 9, 9], [8, 5, 9]],
    [[4, 6, 9], [8, 9, 6]],
  ])('what is proposed for maps %j and %j makes them equal', (a, b) => {
    const text = (join: string): string =>
      `net t {\n  input a: f32[${a.join(', ')}]\n  input b: f32[${b.join(', ')}]\n  output y = ${join}\n}`
    const [{ hint } = {}] = check(text('add(a, b)'))
    const [, call] = /e\.g\. (.*) on the larger one$/.exec(hint!)!
    const larger = a[1]! * a[2]! > b[1]! * b[2]! ? 'a' : 'b'
    const other = larger === 'a' ? b : a
    // resize leaves the channels as they are.
    const mended = call!.startsWith('resize') ? `${call} -> conv(${other[0]}, 1)` : call
    expect(check(text(larger === 'a' ? `add(a -> ${mended}, b)` : `add(a, b -> ${mended})`))).toEqual([])
  })
})
