import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { TensorData } from '../../bundle/format.ts'
import { compile } from '../../compiler/index.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { exportOnnx } from '../../export/index.ts'
import { ROWS } from '../../export/onnx/operators/table.ts'
import { randomNet } from '../support/random-net.ts'
import { variedNet } from '../support/varied-net.ts'
import { compare, onnxRuntime, trained } from './onnx-runtime.ts'

const sample = (name: string): string => readFileSync(join(import.meta.dirname, `../../samples/${name}.net`), 'utf8')
const bundleOf = (text: string) => {
  const bundle = compile(text, { targets: [], programs: ['infer'] })
  return { ...bundle, weights: trained(bundle) }
}
const net = (layers: string, input = '4, 6, 6'): string => `net one {\n  input x: f32[${input}]\n  output y = x -> ${layers}\n}\n`
const graphOf = (text: string, options = {}) => exportOnnx(bundleOf(text), options).graph

/** It makes an initializer, no node. */
const LEFT_OUT: readonly string[] = ['parameter']

/** float32 in another order of additions. */
const CLOSE = 2e-5

describe.skipIf(!onnxRuntime())('onnxruntime computes what the float64 interpreter does', () => {
  test.each(['mnist', 'cifar10_quick_split', 'cifar10_full_sigmoid_bn'])('%s, as written and folded', async (name) => {
    expect((await compare(sample(name))).worst).toBeLessThan(CLOSE)
    expect((await compare(sample(name), { fold: true })).worst).toBeLessThan(CLOSE)
  })

  test.each(Array.from({ length: 8 }, (_, i) => i + 1))('random net %i', async (seed) => {
    const { worst } = await compare(randomNet(seed), { fold: seed % 2 === 0, opset: 13 + seed % 9 }, seed)
    expect(worst).toBeLessThan(CLOSE)
  })

  test.each([0, 1, 2, 3])('varied net %i', async (seed) => {
    const { worst } = await compare(variedNet(seed, 4), { opset: seed % 2 === 0 ? 13 : 20 }, seed + 1)
    expect(worst).toBeLessThan(CLOSE)
  })
})

/** Behind which a mean of float32 is further off than values are from each other. */
const far = (normal: number): number => 1000 + 0.01 * normal

test.skipIf(!onnxRuntime()).each(
  ['group_norm(2)', 'instance_norm', 'layer_norm', 'layer_norm(axis: 3)', 'layer_norm(axis: 1, end: 1)', 'batch_norm(stats: batch)'],
)('%s of values about 1000 loses no digits', async (layer) => {
  expect((await compare(net(layer), {}, 1, onnxRuntime()!, far)).worst).toBeLessThan(2e-6)
})

/** Statistics of such values. */
const farTrained: typeof trained = (bundle, seed) =>
  new Map([...trained(bundle, seed)].map(([name, tensor]): [string, TensorData] => {
    const value = name.endsWith('scale_factor') ? 2.5
      : name.endsWith('running_mean') ? 1000 : name.endsWith('running_var') ? 1e-4 : undefined
    const factor = /caffe/.test(name) && value !== undefined && !name.endsWith('scale_factor') ? 2.5 : 1
    return [name, value === undefined ? tensor : { ...tensor, data: new Float32Array(tensor.data.length).fill(value * factor) }]
  }))

test.skipIf(!onnxRuntime()).each([
  'batch_norm(eps: 1e-10)',
  'batch_norm(affine: false, eps: 1e-10)',
  'max_pool(2) -> batch_norm(eps: 1e-10)',
  'batch_norm(stats: caffe, eps: 1e-10) as caffe',
])('%s by statistics of values about 1000 loses no digits', async (layers) => {
  const { worst, exported } = await compare(net(layers), {}, 1, onnxRuntime()!, far, farTrained)
  expect(worst).toBeLessThan(2e-6)
  expect(exported.graph.nodes.map(({ op }) => op)).toContain('Sub')
})
test('batch_norm of values about 0, or behind a convolution, into which runtimes take it, is one node', () => {
  for (const [layers, weights] of [['batch_norm', trained], ['conv(3, 1) -> batch_norm', farTrained]] as const) {
    const bundle = compile(net(layers), { targets: [], programs: ['infer'] })
    const ops = exportOnnx({ ...bundle, weights: weights(bundle) }).graph.nodes.map(({ op }) => op)
    expect(ops).toContain('BatchNormalization')
    expect(ops).not.toContain('Sub')
  }
})

/** Numbers below 0, where zeros in a frame are the largest. */
const below = (normal: number): number => -0.5 - Math.abs(normal)

test.skipIf(!onnxRuntime()).each([
  'pad(1) -> max_pool(2)',
  'pad(2) -> max_pool(2, stride: 1)',
  'pad([0, 1, 1, 0]) -> mul(1) -> max_pool(3, stride: 2, round: ceil)',
  'pad(1) -> pad(1) -> add(0) -> max_pool(2, stride: 1, dilation: 2)',
  'pad(1) -> avg_pool(3, stride: 1, pad: 1, count: valid)',
])('%s has its zeros where onnxruntime joins the two', async (layers) => {
  for (const opset of [13, 17, 18, 19, 21, 22, 23])
    expect((await compare(net(layers), { opset }, 1, onnxRuntime()!, below)).worst, `opset ${opset}`).toBeLessThan(CLOSE)
})

/** What the language allows up to the dilation, and onnxruntime below the stride alone. */
const MORE_ROWS: readonly string[] = [
  'deconv(3, 3, pad: 1, dilation: 2, output_pad: 1)',
  'deconv(3, 3, dilation: 2, output_pad: 1)',
  'deconv(3, 2, stride: [1, 2], pad: [0, 1, 2, 0], dilation: [3, 4], output_pad: [2, 3])',
  'deconv(4, [2, 3], stride: 2, dilation: 5, output_pad: [4, 1], groups: 2)',
]
test.skipIf(!onnxRuntime()).each(MORE_ROWS)('%s runs', async (layer) => {
  expect((await compare(net(`${layer} -> relu`))).worst).toBeLessThan(CLOSE)
})
test.each(MORE_ROWS)('%s adds fewer rows than its stride', (layer) => {
  const [node] = graphOf(net(layer)).nodes.filter(({ op }) => op === 'ConvTranspose')
  const { strides, output_padding = [0, 0] } = node!.attributes as Record<string, number[]>
  for (const d of [0, 1]) expect(output_padding[d]).toBeLessThan(strides![d]!)
})

test('a frame of zeros is of -0, which no runtime takes for padding, but in front of convolutions', () => {
  const values = (layers: string): unknown[] => {
    const { nodes } = graphOf(net(layers))
    const [value] = nodes.filter(({ op }) => op === 'Pad').map(({ inputs }) => inputs[2])
    return nodes.filter(({ outputs }) => outputs[0] === value).map(({ attributes }) => {
      const { tensor } = attributes['value'] as unknown as { tensor: { values(): ArrayLike<number> } }
      return tensor.values()[0]
    })
  }
  expect(values('pad(1) -> max_pool(2)')).toEqual([-0])
  expect(values('pad(1, value: 2) -> max_pool(2)')).toEqual([2])
  expect(values('pad(1) -> conv(2, 3)')).toEqual([])
})

test('names of inputs, outputs, layers and parameters stay; the batch is open', () => {
  const graph = graphOf(`net one {
    input image: f32[2, 5, 5]
    logits = image -> conv(3, 3) as conv1 -> batch_norm as bn1 -> relu -> fc(4) as head
    output prob = softmax(logits)
    output scores = logits
  }`)
  expect(graph.inputs).toEqual([{ name: 'image', type: 'f32', shape: ['N', 2, 5, 5] }])
  expect(graph.outputs).toEqual([{ name: 'prob', type: 'f32', shape: ['N', 4] }, { name: 'scores', type: 'f32', shape: ['N', 4] }])
  expect(graph.nodes.map(({ name, op }) => [name, op])).toEqual([
    ['conv1', 'Conv'],
    ['bn1', 'BatchNormalization'],
    ['relu_1', 'Relu'],
    ['head.flatten', 'Flatten'],
    ['head', 'Gemm'],
    ['softmax_1', 'Softmax'],
  ])
  expect(graph.initializers.map(({ name }) => name)).toEqual(
    ['conv1.weight', 'conv1.bias', 'bn1.gamma', 'bn1.beta', 'bn1.running_mean', 'bn1.running_var', 'head.weight', 'head.bias'],
  )
  expect(graph.nodes[1]!.outputs).toHaveLength(1)
})

test('a folded net keeps the names of what is left', () => {
  const graph = graphOf(net('conv(3, 3) as conv1 -> batch_norm -> relu'), { fold: true })
  expect(graph.nodes.map(({ name }) => name)).toEqual(['conv1', 'relu_1'])
  expect(graph.initializers.map(({ name }) => name)).toEqual(['conv1.weight', 'conv1.bias'])
})

test('tells all layers at once that have no equal', () => {
  const text = `net one {
    input x: f32[4]
    input label: class[4]
    output a = softmax_loss(x, label)
    output b = accuracy(x, label)
  }`
  expect(() => exportOnnx(bundleOf(text))).toThrow(/softmax_loss_1: softmax_loss has no equal(.|\n)*accuracy_1: accuracy has no equal/)
})

test('tells every parameter that the weights lack', () => {
  const bundle = compile(net('conv(3, 3) as conv1'), { targets: [], programs: ['infer'] })
  expect(() => exportOnnx(bundle)).toThrow('conv1.weight: the bundle has no weights')
  const weights = new Map([['conv1.weight', { shape: [1], type: 'f32' as const, data: new Float32Array(1) }]])
  expect(() => exportOnnx({ ...bundle, weights })).toThrow(
    /weights have it as \[1\], the net as \[3, 4, 3, 3\]\nconv1.bias: the weights do not have it/,
  )
})

test('no two values and no two nodes have one name', () => {
  for (let seed = 20; seed < 40; seed++) {
    const { nodes, initializers, inputs } = graphOf(randomNet(seed))
    const values = [...inputs.map(({ name }) => name), ...initializers.map(({ name }) => name), ...nodes.flatMap(({ outputs }) => outputs)]
    expect(new Set(values).size).toBe(values.length)
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length)
  }
})

describe('pooling', () => {
  const attributes = (layers: string): object => graphOf(net(layers)).nodes.at(-1)!.attributes
  test('of windows that all readings of ceil_mode count alike says so', () => {
    expect(attributes('max_pool(3, stride: 2, round: ceil)')).toMatchObject({ ceil_mode: 1, pads: [0, 0, 0, 0] })
    // A last window that would lie in padding is dropped: rounding down counts as many.
    expect(attributes('max_pool(2, stride: 2, pad: 1, round: ceil)')).not.toHaveProperty('ceil_mode')
  })
  test('divides windows that hang over by what the text says', () => {
    expect(attributes('avg_pool(3, stride: 2, round: ceil, count: valid)')).toMatchObject({ ceil_mode: 1 })
  })
  test('has padding that counts in a layer of its own', () => {
    for (
      const counted of [
        '3, stride: 2, round: ceil, count: padded',
        '3, pad: 1',
        '2, stride: 1, pad: same, count: padded',
        '4, stride: 3, pad: 1, round: ceil',
      ]
    ) {
      const { nodes } = graphOf(net(`avg_pool(${counted})`, '4, 6, 6'))
      expect(nodes.map(({ op }) => op), counted).toEqual(['Constant', 'Pad', 'AveragePool'])
      expect(nodes.at(-1)!.attributes, counted).not.toHaveProperty('count_include_pad')
    }
  })
})

test('every layer of the language has a row; losses and metrics stay behind', () => {
  const layers = [...operators.values()].filter(({ signature, traits }) => signature && !signature.role && !traits?.identityAtTest)
  const missing = layers.map(({ name }) => name).filter((name) => !ROWS.has(name))
  expect(missing).toEqual(LEFT_OUT)
})
