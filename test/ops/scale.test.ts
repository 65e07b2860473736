import { describe, expect, test } from 'vitest'
import { ask, codes, expectClose, expectGradients, fed, forward } from './run-operator.ts'

const weight = [0.5, -2, 1.5]
const bias = [0.1, 0.2, -0.7]

describe.each([[[4, 3, 2, 5]], [[40, 3]], [[2, 3, 6]]])('on %j', (shape) => {
  const x = fed(shape)
  const rest = shape.slice(2).reduce((a, b) => a * b, 1)
  const channel = (i: number): number => Math.floor(i / rest) % 3

  test('scale multiplies and adds', () => {
    const call = { op: 'scale', inputs: [x], parameters: { weight, bias } }
    expectClose(forward(call), Array.from(x.data, (v, i) => v * weight[channel(i)]! + bias[channel(i)]!))
    expectGradients(call)
  })
  test('scale without bias', () => {
    const call = { op: 'scale', inputs: [x], attributes: { bias: false }, parameters: { weight } }
    expectClose(forward(call), Array.from(x.data, (v, i) => v * weight[channel(i)]!))
    expectGradients(call)
  })
  test('bias adds', () => {
    const call = { op: 'bias', inputs: [x], parameters: { bias } }
    expectClose(forward(call), Array.from(x.data, (v, i) => v + bias[channel(i)]!))
    expectGradients(call)
  })
})

test('both start as the identity', () => {
  const x = fed([2, 3])
  expectClose(forward({ op: 'scale', inputs: [x] }), x.data)
  expectClose(forward({ op: 'bias', inputs: [x] }), x.data)
})

test('what is written is what they start with', () => {
  const filler = { call: 'gaussian', args: { std: 0.5, mean: 1 } }
  expect(ask({ op: 'scale', inputs: [fed([2, 3])], attributes: { weight_init: filler, lr_mult: [1, 2], decay_mult: [0] } })).toMatchObject({
    parameters: [
      { role: 'weight', shape: [3], filler: { filler }, rateMultiplier: 1, decayMultiplier: 0 },
      { role: 'bias', shape: [3], filler: { value: 0 }, rateMultiplier: 2, decayMultiplier: 0 },
    ],
  })
})

test('both need channels', () => {
  expect(codes({ op: 'scale', inputs: [fed([3])] })).toEqual(['shape/scale-rank'])
  expect(codes({ op: 'bias', inputs: [fed([3])] })).toEqual(['shape/bias-rank'])
})
