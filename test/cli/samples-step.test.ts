import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readImport, readSource } from '../../cli/source.ts'
import { compile, interpreter } from '../../compiler/index.ts'
import type { Device, Numbers } from '../../bundle/device.ts'
import type { Bundle, Style } from '../../bundle/format.ts'
import { open } from '../../runtime/open.ts'
import { webgpu } from '../../runtime/webgpu/device.ts'
import { softwareGpu } from '../devices/webgpu.ts'

/**
 * One training step of each sample on WebGPU, in both styles, against float64 one layer at a time. The deep nets are made
 * smaller and repeat less, so that neither the reference nor a software adapter's shader compiler takes minutes: the kinds
 * of layers and joints are the same.
 */
const SMALLER: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'resnet20.net': [['f32[3, 32, 32]', 'f32[3, 16, 16]'], ['[16, 32, 64]', '[8, 12]'], ['conv(16, 3, pad: 1', 'conv(8, 3, pad: 1'], [
    '0..3',
    '0..2',
  ]],
  'resnet18.net': [
    ['f32[3, 224, 224]', 'f32[3, 40, 40]'],
    ['conv_bn(64, 7', 'conv_bn(8, 7'],
    // resnet20.net has blocks behind such blocks.
    [' -> basic(planes) as block1', ''],
    ['stage(64)', 'stage(8)'],
    ['stage(128', 'stage(12'],
    ['    -> stage(256, stride: 2)             as layer3\n', ''],
    ['    -> stage(512, stride: 2)             as layer4\n', ''],
    ['class[1000]', 'class[10]'],
    ['fc(1000)', 'fc(10)'],
  ],
  'densenet40.net': [['f32[3, 32, 32]', 'f32[3, 16, 16]'], ['0..12', '0..(2 - i)'], ['12 * 12', '12 * 2'], ['0..3', '0..2'], [
    'i < 2',
    'i < 1',
  ]],
  'mobilenet_v2.net': [
    ['f32[3, 224, 224]', 'f32[3, 40, 40]'],
    ['class[1000]', 'class[10]'],
    ['fc(1000)', 'fc(10)'],
    ['conv_bn(1280, 1)', 'conv_bn(40, 1)'],
    ['    -> stage(24, 32, 3, 2, expand: 6)   as stage3\n', ''],
    ['    -> stage(32, 64, 4, 2, expand: 6)   as stage4\n', ''],
    ['    -> stage(64, 96, 3, 1, expand: 6)   as stage5\n', ''],
    ['    -> stage(96, 160, 3, 2, expand: 6)  as stage6\n', ''],
    // A block in front of another width, without a stride: stage1 is one.
    ['    -> stage(160, 320, 1, 1, expand: 6) as stage7\n', ''],
  ],
}
/**
 * Nets of few layers: pictures and windows are smaller. What writes a window of 5 out takes a software adapter seconds a kernel: mnist.net has it
 * forward and backward, `devices/half.test.ts` cifar10_quick.net as it stands.
 */
const SMALLER_CIFAR = [['f32[3, 32, 32]', 'f32[3, 16, 16]'], ['5, pad: 2', '3, pad: 1']] as const
const SHALLOW: typeof SMALLER = {
  'cifar10_quick.net': SMALLER_CIFAR,
  'cifar10_quick_split.net': SMALLER_CIFAR,
  'cifar10_full_sigmoid_bn.net': SMALLER_CIFAR,
}
const BATCH = 3

/**
 * Of a tensor's norm. Deep nets: where float32 rounds the input of a rectifier to the other side of its kink, gradients move
 * by a percent; what is wrong moves them by their own size.
 */
const tolerance = (name: string): number => (name in SMALLER ? 2e-2 : 1e-4)

let gpu: Device
beforeAll(async () => {
  gpu = await webgpu({ gpu: await softwareGpu() })
})
afterAll(() => gpu.close())

async function bundleOf(name: string, style: Style, ...targets: string[]): Promise<Bundle> {
  const { file, text } = await readSource(join('samples', name))
  let smaller = text
  for (const [from, to] of SMALLER[name] ?? SHALLOW[name] ?? []) {
    expect(smaller).toContain(from)
    smaller = smaller.replaceAll(from, to)
  }
  return compile({ file, text: smaller }, { readImport, style, targets, programs: ['step'] })
}

/** Numbers between -1 and 1 that depend on their place alone. */
const noise = (count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1)) * 43758.5453 % 1)

async function step(bundle: Bundle, device: Device): Promise<Map<string, Numbers>> {
  const net = await open(bundle, { device, batch: BATCH, seed: 5, programs: ['step'] })
  try {
    const [image, label] = bundle.manifest.inputs
    const count = (image!.shape.slice(1) as number[]).reduce((product, dim) => product * dim, BATCH)
    const { outputs, grads } = await net.step({
      [image!.name]: noise(count),
      [label!.name]: Int32Array.from({ length: BATCH }, (_, i) => (3 * i + 1) % 10),
    })
    const found = new Map<string, Numbers>(Object.entries(outputs))
    for (const [name, values] of Object.entries(grads)) found.set(`grad/${name}`, values)
    for (const [name, tensor] of await net.parameters()) found.set(`new/${name}`, tensor.data as Numbers)
    return found
  } finally {
    net.close()
  }
}

const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, v) => sum + v * v, 0))

describe.each([
  'mnist.net',
  'cifar10_quick.net',
  'cifar10_quick_split.net',
  'cifar10_full_sigmoid_bn.net',
  'resnet20.net',
  'resnet18.net',
  'mobilenet_v2.net',
  'densenet40.net',
])('%s', (name) => {
  let want: Map<string, Numbers>
  beforeAll(async () => {
    want = await step(await bundleOf(name, 'split'), interpreter())
  }, 300_000)

  test.each([['merged', 'webgpu'], ['split', 'webgpu-software']] as const)(
    'a step in style %s, plan %s, is that of float64',
    async (style, plan) => {
      const got = await step(await bundleOf(name, style, plan), gpu)
      expect([...got.keys()].sort()).toEqual([...want.keys()].sort())
      // Gradients that cancel (a bias in front of a normalization) are noise in float32: measured against the largest.
      const largest = Math.max(...[...want].filter(([key]) => key.startsWith('grad/')).map(([, values]) => norm(values)))
      const wrong: string[] = []
      for (const [key, reference] of want) {
        const values = got.get(key)!
        const difference = norm(Array.from(reference, (v, i) => v - values[i]!))
        // Means behind a normalization cancel as well, among values of size 1.
        const scale = Math.max(norm(reference), key.startsWith('grad/') ? 1e-3 * largest : 1e-2)
        if (!(difference <= tolerance(name) * scale)) wrong.push(`${key}: off by ${difference} at scale ${scale}`)
      }
      expect(wrong).toEqual([])
    },
    300_000,
  )
})
