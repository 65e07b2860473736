import { describe, expect, test } from 'vitest'
import { frontEnd } from '../../compiler/front-end/front-end.ts'

const told = (call: string, input = 'f32[3, 64, 64]'): string[] =>
  frontEnd(`net t {\n  input x: ${input}\n  output o = ${call}\n}`, {}).diagnostics.map(({ severity, code, hint }) =>
    `${severity} ${code}; ${hint}`
  )

describe('channels in front, as PyTorch has them', () => {
  test.each([
    ['x -> conv(3, 6, 5)', 'conv(6, 5) has 6 filters of 5 x 5; write stride: 5'],
    ['x -> conv(3, 6, 3)', 'conv(6, 3) has 6 filters of 3 x 3'],
    ['x -> conv(3, 4, 3)', 'conv(4, 3) has 4 filters of 3 x 3'],
    ['x -> conv(3, 16, 1)', 'conv(16, 1) has 16 filters of 1 x 1'],
    ['x -> conv(3, 16, 3, 1)', 'conv(16, 3) has 16 filters of 3 x 3'],
    ['x -> conv(3, 2, 5)', 'conv(2, 5) has 2 filters of 5 x 5'],
    ['x -> deconv(3, 16, 3)', 'deconv(16, 3) has 16 filters of 3 x 3'],
  ])('%s is warned of', (call, hint) => {
    expect(told(call)).toEqual([
      expect.stringContaining(`warning argument/order; the channels that go in are known, and not said: ${hint}`),
    ])
  })
  test.each([
    'x -> conv(3, 3, 2)',
    'x -> conv(3, 5, 2)',
    'x -> conv(3, 4, 2)',
    'x -> conv(3, 8, 4)',
    'x -> conv(3, 1, 2)',
    'x -> conv(3, 3, 3)',
    'x -> conv(3, 16, 16)',
    // The names say that it is meant so.
    'x -> conv(3, 16, stride: 3)',
    'x -> conv(16, 16, 3)',
    'x -> deconv(3, 4, 2)',
    'x -> deconv(3, 6, 3)',
    'x -> deconv(3, 16, 8)',
  ])('%s is not', (call) => {
    expect(told(call)).toEqual([])
  })
})

describe('channels behind, as Keras has them', () => {
  const layers = 'x -> conv(8, 3, pad: 1)'
  test.each(['f32[28, 28, 1]', 'f32[32, 48, 3]', 'f32[64, 64, 4]'])('%s is warned of', (input) => {
    const [height, width, channels] = input.match(/\d+(?=[,\]])/g)!
    expect(told(layers, input)).toEqual([
      expect.stringContaining(`warning input/channels-last; channels come first: f32[${channels}, ${height}, ${width}]`),
    ])
  })
  test('where a convolution reads it alone', () => {
    for (const call of ['x -> transpose([0, 3, 1, 2]) -> conv(8, 3)', 'x -> fc(10)']) expect(told(call, 'f32[28, 28, 1]')).toEqual([])
    // Long sequences of many channels, and small maps.
    for (const input of ['f32[64, 100, 1]', 'f32[64, 4, 4]', 'f32[3, 32, 32]', 'f32[1, 128, 3]'])
      expect(told('x -> conv(8, 1)', input)).toEqual([])
  })
  test('where something does not fit behind it', () => {
    const warning = expect.stringContaining('warning input/channels-last')
    expect(told('x -> conv(32, 3) -> max_pool(2)', 'f32[32, 32, 3]')).toEqual([
      'error shape/max-pool-window; strides and pooling left 30 x 1 here: take fewer of them, larger inputs or a smaller window',
      warning,
    ])
    // What points at the input says it itself.
    expect(told('x -> conv(3, 16, 3)', 'f32[32, 32, 3]')).toEqual([
      'error shape/conv-window; channels come first: f32[3, 32, 32]; the channels that go in are known, and not said: conv(16, 3) has 16 filters of 3 x 3',
    ])
    expect(told('x -> max_pool(4)', 'f32[28, 28, 1]')).toEqual(['error shape/max-pool-window; channels come first: f32[1, 28, 28]'])
    expect(told('x -> conv(3, 128, 1)')).toEqual([expect.stringContaining('conv(128, 1) has 128 filters of 1 x 1')])
    expect(told('x -> conv(8, 99)')).toEqual(['error shape/conv-window; take a smaller window or write pad: 18'])
    expect(told('concat(conv(x, 4, 3), conv(x, 8, 3), axis: 3)')).toEqual([
      'error shape/concat-mismatch; channels are axis 1, which is taken where none is said',
    ])
    expect(told('concat(conv(x, 4, [1, 3]), conv(x, 4, 1))')).toEqual(['error shape/concat-mismatch; they differ along axis 3'])
    expect(told('concat(conv(x, 4, 1), conv(x, 8, 3), axis: 3)')).toEqual([
      'error shape/concat-mismatch; all dimensions but axis 3 must be equal',
    ])
  })
  test('a batch that is written is told', () => {
    expect(told(layers, 'f32[64, 3, 32, 32]')).toEqual(['error shape/conv-rank; the batch is not written: f32[3, 32, 32]'])
    expect(told(layers, 'f32[n, 3, 32, 32]')).toContain('error name/undefined; the batch is implied, and left out')
  })
})

test('a batch of -1 in front of a shape is warned of, and a channel that is worked out is not', () => {
  expect(told('x -> reshape([-1, 10])', 'f32[10]')).toEqual([
    'warning argument/batch; the batch is not written: reshape([10]); write reshape([1, 10]) where it is meant so',
  ])
  expect(told('x -> reshape([-1, 2, 5])', 'f32[10]')).toEqual([expect.stringContaining('reshape([2, 5])')])
  expect(told('x -> reshape([64, 10])', 'f32[10]')).toEqual(['error shape/reshape-mismatch; the batch is not written: reshape([10])'])
  for (const dims of ['[-1, 5]', '-1', '[1, 10]', '[2, -1]', '[10, -1]']) expect(told(`x -> reshape(${dims})`, 'f32[10]')).toEqual([])
})

describe('a batch of -1 that would have grown', () => {
  test.each([
    ['x -> reshape([-1, 400]) -> fc(10)', '[n, 4, 400]'],
    ['x -> reshape([-1, 400]) -> relu', '[n, 4, 400]'],
    // In front of what takes all numbers of a sample, it changes nothing here.
    ['x -> reshape([-1, 100]) -> fc(10)', '[n, 16, 100]'],
    ['x -> reshape([-1, 4, 10, 10]) -> fc(10)', '[n, 4, 4, 10, 10]'],
  ])('%s is warned of', (call) => {
    expect(told(call, 'f32[16, 10, 10]')).toEqual([
      expect.stringMatching(
        /^warning argument\/batch; the batch is not written: flatten takes all 1600 of a sample; write reshape\(\[\d+, /,
      ),
    ])
  })
  test.each([
    'x -> reshape([-1, 100]) -> relu',
    'x -> reshape([-1, 10]) -> relu',
    'x -> reshape([-1, 4, 10, 10]) -> transpose([0, 2, 1, 3, 4])',
    'x -> reshape([16, -1]) -> fc(10)',
    'x -> reshape([4, 400]) -> fc(10)',
    'x -> reshape([-1, 100]) -> fc(10, axis: 2)',
  ])('%s is not', (call) => {
    expect(told(call, 'f32[16, 10, 10]')).toEqual([])
  })
})

test('axes that mean reads as numbers are warned of', () => {
  expect(told('x -> mean(2, 3)')).toEqual([expect.stringContaining('reduce_mean([2, 3], keep: false)')])
  expect(told('mean(x, x)')).toEqual([])
})

test('the last axis of maps is warned of where it is counted from the end', () => {
  const of = (call: string, input?: string): string[] => told(call, input)
  for (const call of ['x -> conv(8, 1) -> softmax(axis: -1)', 'concat(x, x, axis: -1)', 'x -> arg_max(-1)'])
    expect(of(call)).toEqual([expect.stringMatching(/^warning argument\/last-axis; channels are axis 1/)])
  for (
    const call of [
      'x -> softmax(axis: 3)',
      'x -> transpose([0, 2, 3, 1]) -> softmax(axis: -1)',
      'x -> layer_norm(axis: -1)',
      'x -> fc(4, axis: -1)',
    ]
  )
    expect(of(call)).toEqual([])
  expect(of('x -> softmax(axis: -1)', 'f32[10]')).toEqual([])
})
