import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { type Device, NonFiniteError, open, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { targetsOf } from '../support/targets.ts'

/** A NaN in one pixel of one image, in training: which layers hide it on a GPU (docs/numbers.md), and that no training in front of them misses it. */
const BATCH = 4
const HIDING = [
  'relu',
  'clip(0, 6)',
  'hard_sigmoid',
  'elu',
  'selu',
  'celu',
  'sigmoid',
  'tanh',
  'erf',
  'log',
  'max(1)',
  'min(1)',
  'max_pool(2)',
  'global_max_pool',
  'reduce_max([2])',
  'reduce_min([2])',
]
const KEEPING = [
  'leaky_relu',
  'prelu',
  'softplus',
  'silu',
  'gelu',
  'mish',
  'softsign',
  'thresholded_relu',
  'hard_swish',
  'neg',
  'abs',
  'exp',
  'sqrt',
  'pow(2)',
  'reciprocal',
  'avg_pool(2)',
  'lp_pool(2)',
  'global_avg_pool',
  'softmax',
  'log_softmax',
  'lrn(3)',
  'layer_norm',
  'group_norm(1)',
  'instance_norm',
  'batch_norm',
  'batch_norm(stats: global)',
  'resize(8)',
]

const devices: Record<string, Device> = {}
beforeAll(async () => {
  devices['wasm'] = await wasm({ threads: 1 })
  devices['webgpu'] = await webgpu({ gpu: await softwareGpu() })
})
afterAll(() => {
  for (const device of Object.values(devices)) device.close()
})

/** What ends an update; undefined where it takes the NaN for a number. */
async function endOf(device: Device, layers: string, loss = 'squared_loss(z, y)', frozen: readonly string[] = []): Promise<unknown> {
  const given = loss.includes('z, t') ? 'input t: class[3]' : 'input y: f32[3]'
  const text = `net n { input x: f32[2, 4, 4] ${given} z = x -> ${layers} -> fc(3) as last output out = z loss = ${loss} }
    train { solver sgd(0.1) batch ${BATCH} }`
  const net = await open(compile(text, { targets: targetsOf(device), programs: ['train'] }), { device, batch: BATCH, seed: 1 })
  try {
    await net.freeze(frozen)
    const x = Float32Array.from({ length: 32 * BATCH }, (_, i) => 1.5 + Math.sin(7.3 * i))
    x[5] = NaN
    // The first image has the NaN, and counts.
    const labels: Record<string, Int32Array | Float32Array> = given.includes('t:') ? { t: Int32Array.of(0, 2, 1, 1) }
      : { y: new Float32Array(3 * BATCH).fill(1) }
    return await (await net.trainStep({ x, ...labels })).loss.then(() => undefined, (error) => error)
  } finally {
    net.close()
  }
}

test.each([...HIDING, ...KEEPING])('on the CPU training stops where %s reads it', async (layer) => {
  const error = await endOf(devices['wasm']!, layer)
  expect(error).toBeInstanceOf(NonFiniteError)
  expect((error as NonFiniteError).loss).toBeNaN()
})

describe('on a GPU training stops', () => {
  const device = (): Device => devices['webgpu']!
  test.each(KEEPING)('where %s reads it', async (layer) => {
    expect(await endOf(device(), layer)).toBeInstanceOf(NonFiniteError)
  })
  test.each(HIDING)('where %s reads what a layer that learns made of it, whatever the loss', async (layer) => {
    expect(await endOf(device(), `conv(2, 3, pad: 1) -> ${layer}`)).toBeInstanceOf(NonFiniteError)
  })
  test.each(['squared_loss(z, y)', 'sigmoid_loss(z, y)', 'hinge_loss(z, t)', 'softmax_loss(z, t)', 'softmax_loss(z, t, ignore: 1)'])(
    'with %s',
    async (loss) => {
      for (const layers of ['flatten', 'conv(2, 3, pad: 1) -> relu', 'conv(2, 3, bias: false) -> batch_norm -> tanh'])
        expect(await endOf(device(), layers, loss), layers).toBeInstanceOf(NonFiniteError)
    },
  )
})

/** Who mends this mends docs/numbers.md. */
test('on a GPU relu hides it from what learns behind', async () => {
  const device = devices['webgpu']!
  expect(await endOf(device, 'relu')).toBeUndefined()
  expect(await endOf(device, 'conv(2, 3, pad: 1) as first -> relu', undefined, ['first'])).toBeUndefined()
  expect(await endOf(devices['wasm']!, 'conv(2, 3, pad: 1) as first -> relu', undefined, ['first'])).toBeInstanceOf(NonFiniteError)
})
