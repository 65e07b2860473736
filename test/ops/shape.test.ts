import { describe, expect, test } from 'vitest'
import { ask, codes, expectClose, expectGradients, fed, forward } from './run-operator.ts'
import { operators } from '../../compiler/ops/registry.ts'

describe('flatten', () => {
  test.each([
    [{}, ['n', 24]],
    [{ axis: 2 }, ['n', 2, 12]],
    [{ axis: 1, end: 2 }, ['n', 6, 4]],
    [{ axis: -2, end: -1 }, ['n', 2, 12]],
  ])('%j gives %j', (attributes, shape) => {
    const x = fed([5, 2, 3, 4])
    expect(ask({ op: 'flatten', inputs: [x], attributes })).toEqual({ shape })
    expectClose(forward({ op: 'flatten', inputs: [x], attributes }), x.data)
    expectGradients({ op: 'flatten', inputs: [x], attributes })
  })

  test('gives single numbers one feature', () => expect(ask({ op: 'flatten', inputs: [fed([5])] })).toEqual({ shape: ['n', 1] }))
  test('joins axis 0 where it is no batch', () => {
    expect(ask({ op: 'flatten', inputs: [fed([5, 2], 1, { whole: true })], attributes: { axis: 0 } })).toEqual({ shape: [10] })
    expect(codes({ op: 'flatten', inputs: [fed([5, 2])], attributes: { axis: 0 } })).toEqual(['argument/batch-axis'])
  })
  test('refuses ranges that are none', () => {
    expect(codes({ op: 'flatten', inputs: [fed([5, 2, 3])], attributes: { axis: 2, end: 1 } })).toEqual(['argument/flatten-range'])
    expect(codes({ op: 'flatten', inputs: [fed([5, 2, 3])], attributes: { axis: 3 } })).toEqual(['argument/axis'])
    expect(codes({ op: 'flatten', inputs: [fed([5, 2, 3])], attributes: { end: 3 } })).toEqual(['argument/flatten-range'])
  })
})

describe('reshape', () => {
  const x = fed([3, 4, 2, 3])
  test.each([
    [[-1, 2], ['n', 12, 2]],
    [[24], ['n', 24]],
    [[1, 6, 4], ['n', 1, 6, 4]],
    [[2, 3, 2, -1], ['n', 2, 3, 2, 2]],
  ])('[%s]', (dims, shape) => {
    expect(ask({ op: 'reshape', inputs: [x], attributes: { dims } })).toEqual({ shape })
    expectClose(forward({ op: 'reshape', inputs: [x], attributes: { dims } }), x.data)
    expectGradients({ op: 'reshape', inputs: [x], attributes: { dims } })
  })
  test('of a whole input', () => {
    const whole = fed([4, 6], 1, { whole: true })
    expect(ask({ op: 'reshape', inputs: [whole], attributes: { dims: [2, -1] } })).toEqual({ shape: [2, 12] })
    expectClose(forward({ op: 'reshape', inputs: [whole], attributes: { dims: [2, -1] } }), whole.data)
  })
  test('refuses what does not come out even', () => {
    expect(codes({ op: 'reshape', inputs: [x], attributes: { dims: [5, -1] } })).toEqual(['shape/reshape-mismatch'])
    expect(codes({ op: 'reshape', inputs: [x], attributes: { dims: [5, 5] } })).toEqual(['shape/reshape-mismatch'])
    expect(codes({ op: 'reshape', inputs: [x], attributes: { dims: [-1, -1] } })).toEqual(['argument/reshape-unknowns'])
    expect(codes({ op: 'reshape', inputs: [x], attributes: { dims: [0, 24] } })).toEqual(['argument/reshape-dimension'])
  })
})

test('both are views, which cost nothing', () => {
  expect(operators.get('flatten')!.traits?.view).toBe(true)
  expect(operators.get('reshape')!.traits?.view).toBe(true)
})

describe('slice', () => {
  const x = fed([2, 5, 3, 4])
  const element = (n: number, c: number, h: number, w: number): number => x.data[((n * 5 + c) * 3 + h) * 4 + w]!
  const all = (count: number): number[] => [...new Array<number>(count).keys()]

  test('takes channels', () => {
    const want = all(2).flatMap((n) => [1, 2, 3].flatMap((c) => all(3).flatMap((h) => all(4).map((w) => element(n, c, h, w)))))
    expectClose(forward({ op: 'slice', inputs: [x], attributes: { axis: 1, from: 1, to: 4 } }), want)
    expectClose(forward({ op: 'slice', inputs: [x], attributes: { axis: 1, from: -4, to: -1 } }), want)
    expectGradients({ op: 'slice', inputs: [x], attributes: { axis: 1, from: 1, to: 4 } })
  })
  test('takes columns, up to the end', () => {
    const want = all(2).flatMap((n) => all(5).flatMap((c) => all(3).flatMap((h) => [2, 3].map((w) => element(n, c, h, w)))))
    expectClose(forward({ op: 'slice', inputs: [x], attributes: { axis: -1, from: 2 } }), want)
    expectGradients({ op: 'slice', inputs: [x], attributes: { axis: -1, from: 2 } })
  })
  test('takes rows of a whole input', () => {
    const whole = fed([6, 2], 1, { whole: true })
    expectClose(forward({ op: 'slice', inputs: [whole], attributes: { axis: 0, from: 1, to: 3 } }), Array.from(whole.data).slice(2, 6))
    expectGradients({ op: 'slice', inputs: [whole], attributes: { axis: 0, from: 1, to: 3 } })
  })
  test('refuses the batch, what is not there, and nothing', () => {
    expect(codes({ op: 'slice', inputs: [x], attributes: { axis: 0, from: 0, to: 1 } })).toEqual(['argument/batch-axis'])
    expect(codes({ op: 'slice', inputs: [x], attributes: { axis: 4, from: 0, to: 1 } })).toEqual(['argument/axis'])
    expect(codes({ op: 'slice', inputs: [x], attributes: { axis: 1, from: 2, to: 6 } })).toEqual(['shape/slice-range'])
    expect(codes({ op: 'slice', inputs: [x], attributes: { axis: 1, from: 2, to: 2 } })).toEqual(['shape/slice-range'])
    expect(codes({ op: 'slice', inputs: [x], attributes: { axis: 1, from: -6, to: 2 } })).toEqual(['shape/slice-range'])
  })
})
