import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Bundle } from '../../bundle/format.ts'
import { compile, interpreter } from '../../compiler/index.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { REASONS, ROWS } from '../../export/caffe/layers/table.ts'
import { type CaffeOptions, exportCaffe } from '../../export/index.ts'
import { bytesSource } from '../../import/byte-source.ts'
import { readCaffe } from '../../import/caffe/read.ts'
import { writeNet } from '../../import/write/write-net.ts'
import { open, type TensorData } from '../../runtime/index.ts'
import { normals, randomNet } from '../support/random-net.ts'
import { trained } from './onnx-runtime.ts'

const BATCH = 2

const bundleOf = (text: string): Bundle => {
  const bundle = compile(text, { targets: [], programs: ['infer'] })
  return { ...bundle, weights: trained(bundle) }
}
const net = (layers: string, input = '4, 6, 6'): string => `net one {\n  input x: f32[${input}]\n  output y = x -> ${layers}\n}\n`
const layersOf = (text: string, options: CaffeOptions = {}) => exportCaffe(bundleOf(text), options).net.layers

async function outputsOf(bundle: Bundle, weights: ReadonlyMap<string, TensorData>, inputs: Readonly<Record<string, Float32Array>>) {
  const net = await open(bundle, { device: interpreter(), batch: BATCH, programs: ['infer'], weights: weights as never })
  try {
    return await net.run(inputs as never) as unknown as Record<string, Float64Array>
  } finally {
    net.close()
  }
}

/** How far the outputs of what an import reads from the two files are from those of the text, over the largest value; float64 interpreter. */
async function thereAndBack(text: string, options: CaffeOptions = {}): Promise<number> {
  const bundle = bundleOf(text)
  const exported = exportCaffe(bundle, { batch: BATCH, ...options })
  const weights = Buffer.concat([...exported.caffemodel.parts()])
  expect(weights.length).toBe(exported.caffemodel.bytes)
  const written = writeNet(readCaffe(bytesSource('net.prototxt', new TextEncoder().encode(exported.prototxt)), {
    weights: bytesSource('net.caffemodel', weights),
  }))
  const back = compile(written.text, { targets: [], programs: ['infer'] })
  const tensors = new Map(written.tensors.map(({ name, tensor }): [string, TensorData] => [
    name,
    { shape: tensor.shape, type: 'f32', data: tensor.values() },
  ]))
  const inputs = exported.inputs.map(({ name, shape }, i) => [name, normals(shape.reduce((a, b) => a * b, 1), 7 + i)] as const)
  const want = await outputsOf(bundle, bundle.weights!, Object.fromEntries(inputs))
  const got = await outputsOf(
    back,
    tensors,
    Object.fromEntries(inputs.map(([name, data]) => [written.inputs.find(({ model }) => model === name)!.name, data])),
  )
  // Nothing else may be an output: what no layer reads is one in Caffe.
  expect(written.outputs.map(({ model }) => model).sort()).toEqual([...exported.outputs].sort())
  return Math.max(...written.outputs.map(({ name, model }) => {
    const [a, b] = [got[name]!, want[model]!]
    if (a.length !== b.length) return Infinity
    return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) / b.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30)
  }))
}

/** Numbers of the text that float32 holds: they come back as they were. */
const exactly = (text: string): string =>
  text.replace(/mean: \[[^\]]*\], std: (\[[^\]]*\]|[\d.]+)/, 'mean: [0.5, 0.375, 0.25], std: [0.25, 0.5, 0.125]')
const sample = (name: string): string => readFileSync(join(import.meta.dirname, `../../samples/${name}.net`), 'utf8')

describe('comes back from both files and computes the same', () => {
  test.each(['mnist', 'cifar10_quick', 'cifar10_quick_split', 'cifar10_full_sigmoid_bn', 'resnet20'])('%s', async (name) => {
    const small = exactly(sample(name)).replace('f32[1, 28, 28]', 'f32[1, 16, 16]').replace('f32[3, 32, 32]', 'f32[3, 12, 12]')
    expect(await thereAndBack(small)).toBeLessThan(1e-9)
  })

  // The error function has no equal.
  test.each(Array.from({ length: 12 }, (_, i) => i + 1))('random net %i', async (seed) => {
    const text = randomNet(seed).replaceAll('-> gelu', '-> gelu(approximate: tanh)')
    expect(await thereAndBack(text)).toBeLessThan(1e-9)
  })

  test('a net whose batch normalizations are folded, rounded once', async () => {
    expect(await thereAndBack(randomNet(8), { fold: true })).toBeLessThan(1e-6)
  })

  test.each([
    'normalize(mean: 0.3, std: 0.7)',
    'selu -> celu(alpha: 0.7) -> mish -> softsign -> hard_sigmoid(alpha: 0.2) -> add(1.5) -> log',
    'clip(-0.5, 0.75) -> neg -> exp -> sqrt -> reciprocal -> pow(1.5)',
    'gelu(approximate: tanh) -> hard_swish -> abs -> prelu(shared: true)',
    'conv(4, 3, pad: [2, 0, 1, 1]) -> conv(4, 3, stride: 2, pad: [0, 1, 1, 0])',
    'conv(4, 4, pad: same) -> conv(4, [2, 3], dilation: [2, 1], stride: [1, 2], pad: [1, 0])',
    'deconv(3, 3, stride: 2, pad: [0, 1, 1, 0]) -> deconv(6, 2, stride: 2, groups: 3, bias: false)',
    'max_pool(3, stride: 2) -> conv(3, 1)',
    'max_pool([2, 40], stride: [2, 40], pad: same, round: ceil)',
    'avg_pool([2, 30], stride: [2, 30], pad: same)',
    'max_pool(3, stride: 2, pad: [1, 0, 0, 1])',
    'max_pool(2, stride: 3, pad: 1, round: ceil)',
    'max_pool(2, stride: 3)',
    'max_pool(2, stride: [3, 1], pad: [0, 1])',
    'avg_pool([1, 2], stride: [2, 3], round: ceil) -> conv(3, 1)',
    'avg_pool(3, stride: 2, pad: 1, count: valid)',
    'avg_pool(3, stride: 2, round: ceil, count: padded)',
    'avg_pool(3, stride: 1, pad: [1, 0, 0, 1], count: valid)',
    'avg_pool(4, stride: 3, pad: 1, round: ceil, count: caffe)',
    'avg_pool(2, pad: same, stride: 1)',
    'lp_pool(3, stride: 2, p: 3)',
    'lrn(size: 3, alpha: 0.5, k: 2) -> lrn(size: 3, alpha: 0.5, region: within)',
    'group_norm(2) -> instance_norm -> layer_norm(axis: 2) -> layer_norm',
    'batch_norm(stats: caffe) -> scale(bias: false) -> bias -> batch_norm(affine: false)',
    'batch_norm(stats: batch, affine: false)',
    'upsample(2) -> slice(axis: 1, from: 1, to: 3) -> pad([1, 0, 2, 1], channels: [1, 5], value: 0.5)',
    'pad(1) -> pad([0, 1, 0, 0])',
    'pad([0, 1, 0, 0])',
    'depth_to_space(2) -> space_to_depth(2) -> space_to_depth(2, order: crd) -> depth_to_space(2, order: crd)',
    'reduce_max([2, 3]) -> conv(4, 1)',
    'reduce_l2([2, 3], keep: false) -> fc(4)',
    'reduce_mean([3]) -> reduce_min([1, 2, 3])',
    'softmax(axis: 1, end: 2) -> arg_max(axis: 1, last: true)',
    'reshape([4, 36]) -> fc(5, axis: 2) -> flatten(axis: 2)',
  ])('%s', async (layers) => {
    expect(await thereAndBack(net(layers))).toBeLessThan(1e-6)
  })

  test('sums, products and extremes of tensors, numbers and learned tensors of other shapes', async () => {
    const text = `net joined {
      input x: f32[4, 5, 5]
      input y: f32[4, 5, 5]
      gate = x -> global_avg_pool -> conv(4, 1) -> sigmoid
      one = x -> conv(1, 1)
      p = parameter([4, 1, 1], init: gaussian(0.5))
      q = parameter([5, 5], init: gaussian(0.5))
      a = mul(x, gate, p)
      b = add(a, gate, q, 1.5, coeff: [1, 0.5, 2, 1])
      c = sub(1, b)
      k = parameter([1], init: gaussian(0.5))
      each = x -> fc(1) -> reshape([1, 1, 1])
      d = div(mul(c, one, k, each), add(abs(y), 1))
      e = max(d, one, 0.25)
      f = min(e, y, 0.5)
      output mean_of = mean(f, x, 2)
      output doubled = add(f, f)
      output f_itself = f
      output input_itself = x
      output ratio = div(2, add(abs(one), 1)) -> div(4)
    }`
    expect(await thereAndBack(text)).toBeLessThan(1e-6)
  })
})

test('names stay; batch normalization is split; what comes in says its batch', () => {
  const layers = layersOf(
    `net one {
    input image: f32[2, 5, 5]
    logits = image -> normalize(mean: [0.5, 0.1], std: [1, 2]) as norm -> conv(3, 3) as conv1 -> batch_norm as bn1 -> relu -> dropout(0.5) -> fc(4) as head
    output prob = softmax(logits)
    output scores = logits
  }`,
    { batch: 3 },
  )
  expect(layers.map(({ name, type, bottoms, tops, blobs }) => [name, type, bottoms.join(), tops.join(), blobs.length])).toEqual([
    ['image', 'Input', '', 'image', 0],
    ['norm', 'Scale', 'image', 'norm', 2],
    ['conv1', 'Convolution', 'norm', 'conv1', 2],
    ['bn1', 'BatchNorm', 'conv1', 'bn1', 3],
    ['bn1.scale', 'Scale', 'bn1', 'bn1.scale', 2],
    ['relu_1', 'ReLU', 'bn1.scale', 'relu_1', 0],
    ['head', 'InnerProduct', 'relu_1', 'head', 2],
    ['prob', 'Softmax', 'head', 'prob', 0],
    ['scores', 'Split', 'head', 'scores', 0],
  ])
  expect(layers[0]!.params).toEqual({ input_param: { shape: { dim: [3, 2, 5, 5] } } })
  expect(layers[3]!.params).toEqual({ batch_norm_param: { use_global_stats: true, eps: 1e-10 } })
})

test('the layer that makes an output has its name, where pooling is several layers', () => {
  for (
    const pooling of [
      'max_pool(3, stride: 2)',
      'avg_pool(2, stride: 2, pad: 1, count: valid)',
      'lp_pool(3, stride: 1)',
      'avg_pool(3, pad: same)',
    ]
  ) {
    const { name, tops } = layersOf(net(pooling, '3, 10, 9')).filter(({ type }) => type !== 'Silence').at(-1)!
    expect([name, tops[0]], pooling).toEqual(['y', 'y'])
  }
})

test('tells all layers at once that have no equal, and what to do', () => {
  const text = net('gelu -> transpose([0, 2, 3, 1]) -> avg_pool(2, dilation: 2) -> arg_max(axis: 1)')
  expect(() => exportCaffe(bundleOf(text))).toThrow(
    /gelu_1: Caffe has no error function(.|\n)*transpose_1: axes of Caffe(.|\n)*avg_pool_1: pooling in Caffe has no dilation(.|\n)*arg_max_1: .*\n.*last: true/,
  )
})

test('every layer of the language has a row or a reason; losses and metrics stay behind', () => {
  const layers = [...operators.values()].filter(({ signature, traits }) => signature && !signature.role && !traits?.identityAtTest)
  expect(layers.map(({ name }) => name).filter((name) => !ROWS.has(name) && !REASONS.has(name))).toEqual(['parameter'])
})
