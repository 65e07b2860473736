import { describe, expect, test } from 'vitest'
import { bytesSource } from '../../../import/byte-source.ts'
import { readOnnx } from '../../../import/onnx/read.ts'
import { type Case, holds } from './holds.ts'
import { floats, node, oneInput, scalar } from './write-onnx.ts'

const initializers = {
  mean: floats([1, 3, 1, 1], [0.5, 0.25, 2]),
  std: floats([3, 1, 1], [0.5, 2, 4]),
  signs: floats([3, 1, 1], [0.5, -1, 2]),
  all: scalar(255),
}
const one = (nodes: Case['nodes'], f: (v: number, channel: number) => number): Case => ({
  nodes,
  more: { initializers },
  want: (x) => x.map((v, i) => f(v, Math.floor(i / 16) % 3)),
})
const read = ({ nodes }: Case) => readOnnx(bytesSource('m.onnx', oneInput(['n', 3, 4, 4], nodes, { initializers })), {})
const [mean, std, signs] = [initializers.mean.data, initializers.std.data, initializers.signs.data]

describe('mean and deviation of pictures are constants, as buffers of a module are', () => {
  test.each<[string, object, Case]>([
    [
      'both',
      { mean: [0.5, 0.25, 2], std: [0.5, 2, 4] },
      one([node('Sub', ['x', 'mean'], ['s']), node('Div', ['s', 'std'], ['y'])], (v, c) => (v - mean[c]!) / std[c]!),
    ],
    [
      'of 0..255',
      { mean: [0.5, 0.25, 2], std: 1 },
      one([node('Mul', ['x', 'all'], ['s']), node('Sub', ['s', 'mean'], ['y'])], (v, c) => 255 * v - mean[c]!),
    ],
  ])('%s', async (_, args, given) => {
    const { layers, notes } = read(given)
    expect(layers.at(-1)).toMatchObject({ op: 'normalize', arguments: args })
    expect(notes.map(({ text }) => text)).toEqual([expect.stringContaining('counts as constants')])
    await holds(given)
  })

  test.each<[string, string, Case]>([
    ['behind a layer', 'bias', one([node('Relu', ['x'], ['r']), node('Sub', ['r', 'mean'], ['y'])], (v, c) => Math.max(0, v) - mean[c]!)],
    ['a factor below 0', 'scale', one([node('Mul', ['x', 'signs'], ['y'])], (v, c) => v * signs[c]!)],
  ])('%s it is learned', async (_, op, given) => {
    const { layers, notes } = read(given)
    expect([layers.at(-1)!.op, notes]).toEqual([op, []])
    await holds(given)
  })
})

test('constant factors for each channel may be below 0', async () => {
  await holds(one([node('Constant', [], ['c'], { value: initializers.signs }), node('Div', ['x', 'c'], ['y'])], (v, c) => v / signs[c]!))
})
