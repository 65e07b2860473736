import { describe, expect, test } from 'vitest'
import { holds, numbers, outputOf } from './holds.ts'
import { floats, ints, node, type Node } from './write-onnx.ts'

/** Samples, channels, and points of a map of x. */
const [N, C, P] = [2, 3, 16]

/** (v - mean) / sqrt(variance + eps) of the numbers that `groupOf` puts together. */
function normalized(x: readonly number[], groupOf: (i: number) => number, eps: number): number[] {
  const groups = new Map<number, number[]>()
  x.forEach((v, i) => groups.set(groupOf(i), [...(groups.get(groupOf(i)) ?? []), v]))
  return x.map((v, i) => {
    const group = groups.get(groupOf(i))!
    const mean = group.reduce((a, b) => a + b, 0) / group.length
    return (v - mean) / Math.sqrt(group.reduce((sum, w) => sum + (w - mean) ** 2, 0) / group.length + eps)
  })
}
const channel = (i: number): number => Math.floor(i / P) % C

describe('BatchNormalization of track_running_stats=False', () => {
  const nodes = ({ of = 'x', perm = [0, 2, 1], square = 'd' } = {}): Node[] => [
    node('Reshape', [of, 'shape'], ['r']),
    node('Transpose', ['r'], ['t'], { perm }),
    node('ReduceMean', ['t'], ['mean'], { axes: [0, 1], keepdims: 0 }),
    node('ReduceMean', ['t'], ['kept'], { axes: [0, 1], keepdims: 1 }),
    node('Sub', ['t', 'kept'], ['d']),
    node('Mul', ['d', square], ['dd']),
    node('ReduceMean', ['dd'], ['variance'], { axes: [0, 1], keepdims: 0 }),
    node('BatchNormalization', ['x', 'gamma', 'beta', 'mean', 'variance'], ['y'], { epsilon: 0.25 }),
  ]
  const initializers = { shape: ints(N, C, -1), gamma: floats([3], [1, 2, -1]), beta: floats([3], [0.5, 0, 1]) }

  test('is batch_norm(stats: batch)', async () => {
    await holds({
      sizes: [N, C, 4, 4],
      nodes: nodes(),
      more: { opset: 13, initializers },
      want: (x) =>
        normalized(x, channel, 0.25).map((v, i) => v * initializers.gamma.data[channel(i)]! + initializers.beta.data[channel(i)]!),
    })
  })
  test.each([
    ['another value', { of: 'other' }],
    ['other axes', { perm: [1, 2, 0] }],
    ['no square', { square: 't' }],
  ])('statistics of %s are refused', async (_what, change) => {
    const one = [node('Relu', ['x'], ['other']), ...nodes(change)]
    await expect(outputOf({ sizes: [N, C, 4, 4], nodes: one, more: { opset: 13, initializers }, want: [] })).rejects.toThrow('the batch')
  })
})

test.each([
  ['without axes: of the batch', {}, channel],
  ['of each map', { axes: [2, 3] }, (i: number) => Math.floor(i / P)],
  ['of each sample', { axes: [-1, 1, 2] }, (i: number) => Math.floor(i / P / C)],
  ['along the channels', { axes: [1] }, (i: number) => Math.floor(i / P / C) * P + i % P],
])('MeanVarianceNormalization %s', async (_name, attributes, group) => {
  await holds({
    nodes: [node('MeanVarianceNormalization', ['x'], ['y'], attributes)],
    more: { opset: 13 },
    want: (x) => normalized(x, group, 0),
  })
})

test('MeanVarianceNormalization of axes with a hole, or of the batch alone, is refused', async () => {
  const along = (...axes: number[]) =>
    outputOf({ nodes: [node('MeanVarianceNormalization', ['x'], ['y'], { axes })], more: { opset: 13 }, want: [] })
  await expect(along(1, 3)).rejects.toThrow('it normalizes along axes 1, 3')
  await expect(along(0)).rejects.toThrow('the batch')
})

test.each([1, 2])('LpNormalization: p = %i, and 0 of nothing', async (p) => {
  const data = numbers(N * C * P).map((v, i) => (i % P === 5 ? 0 : v))
  const norm = (i: number): number => {
    const all = Array.from({ length: C }, (_, c) => Math.abs(data[Math.floor(i / P / C) * P * C + c * P + i % P]!) ** p)
    return all.reduce((a, b) => a + b, 0) ** (1 / p)
  }
  await holds({
    data,
    nodes: [node('LpNormalization', ['x'], ['y'], { axis: 1, p })],
    want: data.map((v, i) => (v === 0 ? 0 : v / norm(i))),
  })
})

test('Resize whose sizes hold a batch', async () => {
  const one = (sizes: (number | string)[]) => ({
    sizes,
    nodes: [
      node('Resize', ['x', '', '', 'sizes'], ['y'], {
        mode: 'nearest',
        nearest_mode: 'floor',
        coordinate_transformation_mode: 'asymmetric',
      }),
    ],
    more: { opset: 13, initializers: { sizes: ints(N, C, 8, 4) } },
  })
  const want = (x: readonly number[]): number[] =>
    Array.from({ length: 2 * x.length }, (_, i) => x[Math.floor(i / 32) * 16 + Math.floor(i % 32 / 8) * 4 + i % 4]!)
  await holds({ ...one(['n', C, 4, 4]), want })
  await holds({ ...one([N, C, 4, 4]), want })
  await expect(outputOf({ ...one([5, C, 4, 4]), want: [] })).rejects.toThrow('it makes 2 samples')
})
