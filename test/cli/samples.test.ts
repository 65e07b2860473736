import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readImport, readSource } from '../../cli/source.ts'
import { check, compile } from '../../compiler/index.ts'
import { fusenet, json } from './helper.ts'

const names = (await readdir('samples')).filter((name) => name.endsWith('.net')).sort()

test('the samples are these', () => {
  expect(names).toEqual([
    'cifar10_full_sigmoid_bn.net',
    'cifar10_quick.net',
    'cifar10_quick_split.net',
    'densenet40.net',
    'mnist.net',
    'mobilenet_v2.net',
    'resnet18.net',
    'resnet20.net',
  ])
})

describe.each(names)('%s', (name) => {
  const file = join('samples', name)
  test('has neither errors nor warnings', async () => {
    expect(check(await readSource(file), { readImport }).map(({ code, message }) => ({ code, message }))).toEqual([])
  })

  // Every kernel of every program in both styles is asked of compilers in `end-to-end/written-code.test.ts`.
  test.each(['merged', 'split'] as const)('compiles in style %s', async (style) => {
    const { manifest } = compile(await readSource(file), { readImport, style, targets: [] })
    expect(manifest.style).toBe(style)
    expect(manifest.train).toBeDefined()
  })
})

/** Learned parameters, gamma and beta included. ResNet-18 and MobileNetV2: as torchvision documents them. */
const conv = (out: number, input: number, kernel: number): number => out * input * kernel * kernel
const bn = (channels: number): number => 2 * channels
const RESNET20 = conv(16, 3, 3) + bn(16)
  + 3 * 2 * (conv(16, 16, 3) + bn(16))
  + [[32, 16], [64, 32]].reduce(
    (sum, [out, from]) => sum + conv(out!, from!, 3) + conv(out!, from!, 1) + 5 * conv(out!, out!, 3) + 7 * bn(out!),
    0,
  )
  + 64 * 10 + 10
/** 36 layers of 12 channels in three blocks, each behind a normalization of all that came before; the paper says 1.0 M. */
const DENSENET40 = conv(16, 3, 3)
  + Array.from({ length: 36 }, (_, i) => 16 + 12 * i).reduce((sum, from) => sum + bn(from) + conv(12, from, 3), 0)
  + [160, 304].reduce((sum, from) => sum + bn(from) + conv(from, from, 1), 0)
  + bn(448) + 448 * 10 + 10
test.each([
  ['resnet18.net', 11_689_512],
  ['mobilenet_v2.net', 3_504_872],
  ['resnet20.net', RESNET20],
  ['densenet40.net', DENSENET40],
  // conv1, conv2, conv3 with bias, three normalizations, 1024 -> 64 -> 10.
  [
    'cifar10_quick.net',
    conv(32, 3, 5) + 32 + bn(32) + conv(32, 32, 5) + 32 + bn(32) + conv(64, 32, 5) + 64 + bn(64) + 1024 * 64 + 64 + 64 * 10 + 10,
  ],
  [
    'cifar10_quick_split.net',
    conv(32, 3, 5) + bn(32) + conv(32, 32, 5) + bn(32) + conv(64, 32, 5) + bn(64) + 1024 * 64 + 64 + 64 * 10 + 10,
  ],
  ['cifar10_full_sigmoid_bn.net', conv(32, 3, 5) + conv(32, 32, 5) + conv(64, 32, 5) + 1024 * 10 + 10],
  ['mnist.net', conv(20, 1, 5) + 20 + bn(20) + conv(50, 20, 5) + 50 + bn(50) + 800 * 500 + 500 + bn(500) + 500 * 10 + 10],
])('%s learns %d numbers', async (name, count) => {
  const { manifest } = compile(await readSource(join('samples', name)), { readImport, targets: [] })
  expect(manifest.parameters.filter((p) => p.trainable).reduce((sum, p) => sum + p.shape.reduce((product, dim) => product * dim, 1), 0))
    .toBe(count)
})

describe('what fusion makes of cifar10_quick.net', () => {
  const kernels = async (file: string, style: string): Promise<{ layers: string[] }[]> =>
    json(await fusenet(['inspect', file, '--style', style, '--json'])).programs.infer.kernels

  test('merged: three convolutions, three poolings, two inner products and a softmax, nothing else', async () => {
    const found = await kernels('samples/cifar10_quick.net', 'merged')
    expect(found.length).toBeLessThanOrEqual(9)
    const layers = found.flatMap((kernel) => kernel.layers)
    for (const layer of ['conv1', 'bn1', 'pool1', 'relu1', 'conv3', 'bn3', 'relu3', 'pool3', 'ip1', 'ip2', 'softmax_1'])
      expect(layers).toContain(layer)
  })

  test("Caffe's spelling merges to the same", async () => {
    const merged = await kernels('samples/cifar10_quick.net', 'merged')
    expect((await kernels('samples/cifar10_quick_split.net', 'merged')).length).toBe(merged.length)
  })

  test('split: one a layer', async () => {
    const found = await kernels('samples/cifar10_quick_split.net', 'split')
    expect(found.every((kernel) => kernel.layers.length === 1)).toBe(true)
    // The constants, 3 of (conv, batch_norm, scale, relu, pool), 2 fc, softmax.
    expect(found).toHaveLength(1 + 3 * 5 + 3)
  })

  test('the work is that of the literature', async () => {
    const { lowerBound } = json(await fusenet(['inspect', 'samples/cifar10_quick.net', '--batch', '100', '--json'])).programs.infer
    // Per image: conv1 32x32x32 x 75, conv2 32x16x16 x 800, conv3 64x8x8 x 800, 1024 x 64, 64 x 10; a product and a sum each.
    expect(lowerBound.flops).toBe(100 * 2 * (32 * 32 * 32 * 75 + 32 * 16 * 16 * 800 + 64 * 8 * 8 * 800 + 1024 * 64 + 640))
  })
})
