import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inspect, interpreter } from '../../compiler/index.ts'
import { type Device, open, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { compiled } from '../support/compiled.ts'
import { normalInputs } from '../support/normal-inputs.ts'
import { targetsOf } from '../support/targets.ts'

/**
 * What several read is computed and stored by the first of them, a convolution, as it loads it. The same results as the float64
 * interpreter gives in split style, which stores everything by passes of its own.
 */

let gpu: Device
const cpus: Device[] = []
const exact = interpreter()
beforeAll(async () => {
  gpu = await webgpu({ gpu: await softwareGpu() })
  for (const threads of [1, 2]) cpus.push(await wasm({ threads }))
})
afterAll(() => {
  for (const device of [gpu, exact, ...cpus]) device.close()
})

type Map3 = readonly [channels: number, height: number, width: number]

/** A residual sum z, its first reader, and what follows. The gradient of t is y. */
const residual = ([channels, height, width]: Map3, next: string, [outputs, below, beside]: Map3): string => `
net one {
  input x: f32[3, ${height}, ${width}]
  input t: f32[${outputs}, ${below}, ${beside}]
  a = x -> conv(${channels}, 1) -> batch_norm -> relu
  z = add(a, a -> conv(${channels}, 3, pad: 1) -> batch_norm) -> relu
  ${next}
  loss = sum(mul(y, t))
  output out = relu(z)
}`

const PROGRAMS = ['gradients']

async function gradients(
  text: string,
  style: 'merged' | 'split',
  device: Device,
  batch: number,
): Promise<Record<string, ArrayLike<number>>> {
  const bundle = compiled(text, { style, targets: device === gpu ? ['webgpu'] : targetsOf(device), programs: PROGRAMS })
  const net = await open(bundle, { device, batch, seed: 3, programs: PROGRAMS })
  const inputs = normalInputs(bundle, batch)
  const { grads } = await net.step(inputs, { update: false })
  net.close()
  return grads
}

/** The largest difference of any result, in units of its scale; a bias in front of a normalization, whose gradient cancels, has none. */
function apart(got: Record<string, ArrayLike<number>>, want: Record<string, ArrayLike<number>>): number {
  return Math.max(
    ...Object.entries(want).map(([name, values]) => {
      const largest = (of: (v: number, i: number) => number): number => Array.from(values, of).reduce((a, b) => (a >= b ? a : b), 0)
      const scale = Math.max(0.1, largest(Math.abs))
      return largest((v, i) => Math.abs(got[name]![i]! - v) / scale)
    }),
  )
}

const madeOnLoad = (text: string, target: string): boolean =>
  inspect(text, { target, programs: ['gradients'] }).programs['gradients']!.kernels.some((k) =>
    k.why.some((why) => /is computed and stored as it is loaded/.test(why))
  )

/** On a CPU an item makes its whole image first; a workgroup makes what its windows own, so they must cover the map. */
const cases: readonly [name: string, text: string, batch: number, onGpu: boolean][] = [
  ['a second residual block', residual([8, 12, 12], 'y = add(z, z -> conv(8, 3, pad: 1) -> batch_norm) -> relu', [8, 12, 12]), 3, true],
  [
    'maps that workgroups do not divide',
    residual([8, 13, 11], 'y = add(z, z -> conv(8, 3, pad: 1) -> batch_norm) -> relu', [8, 13, 11]),
    3,
    true,
  ],
  ['a map of several blocks', residual([4, 40, 36], 'y = add(z, z -> conv(4, 3, pad: 1) -> batch_norm)', [4, 40, 36]), 2, true],
  ['workgroups for other channels', residual([8, 12, 12], 'y = z -> conv(160, 3, pad: 1) -> batch_norm', [160, 12, 12]), 2, true],
  ['images that a workgroup joins', residual([8, 4, 4], 'y = z -> conv(8, 3, pad: 1)', [8, 4, 4]), 5, true],
  ['windows of 5', residual([4, 9, 10], 'y = z -> conv(8, 5, pad: 2) -> batch_norm', [8, 9, 10]), 3, true],
  ['windows of 1', residual([4, 9, 10], 'y = z -> conv(8, 1) -> batch_norm', [8, 9, 10]), 3, true],
  ['a stride', residual([8, 12, 12], 'y = z -> conv(16, 3, stride: 2, pad: 1) -> batch_norm', [16, 6, 6]), 3, true],
  ['a stride over odd sizes', residual([8, 13, 11], 'y = z -> conv(16, 3, stride: 2, pad: 1) -> batch_norm', [16, 7, 6]), 3, true],
  [
    'a stride, and a shortcut',
    residual([8, 12, 12], 'y = add(z -> conv(16, 3, stride: 2, pad: 1) -> batch_norm, z -> conv(16, 1, stride: 2) -> batch_norm) -> relu', [
      16,
      6,
      6,
    ]),
    3,
    true,
  ],
  [
    'a sigmoid between',
    residual([4, 9, 10], 'y = z -> conv(6, 1) -> batch_norm -> sigmoid -> conv(8, 3, pad: 1) -> batch_norm', [8, 9, 10]),
    3,
    true,
  ],
  ['a stride that leaves elements out', residual([8, 12, 12], 'y = z -> conv(16, 1, stride: 2) -> batch_norm', [16, 6, 6]), 3, false],
  ['no padding', residual([8, 9, 9], 'y = z -> conv(8, 3) -> batch_norm', [8, 7, 7]), 3, false],
  ['dilation', residual([8, 12, 12], 'y = z -> conv(8, 3, dilation: 2, pad: 2) -> batch_norm', [8, 12, 12]), 2, false],
  ['groups', residual([8, 12, 12], 'y = z -> conv(8, 3, groups: 2, pad: 1) -> batch_norm', [8, 12, 12]), 2, true],
]

describe.each(cases)('%s', (_, text, batch, onGpu) => {
  test('is made on load where it can be, and is right', async () => {
    expect(madeOnLoad(text, 'wasm')).toBe(true)
    expect(madeOnLoad(text, 'webgpu')).toBe(onGpu)
    // A software adapter's loads are dear.
    expect(madeOnLoad(text, 'webgpu-software')).toBe(false)
    const want = await gradients(text, 'split', exact, batch)
    for (const device of [...cpus, ...(onGpu ? [gpu] : [])])
      expect(apart(await gradients(text, 'merged', device, batch), want), device.description).toBeLessThan(3e-5)
    expect(apart(await gradients(text, 'merged', exact, batch), want)).toBeLessThan(1e-9)
  })
})

test('items of one image in several threads: the same bits', async () => {
  const text = residual([16, 24, 24], 'y = add(z, z -> conv(64, 3, pad: 1) -> conv(16, 1) -> batch_norm) -> relu', [16, 24, 24])
  expect(madeOnLoad(text, 'wasm')).toBe(true)
  const [one, ...more] = await Promise.all([cpus[0]!, cpus[1]!, cpus[1]!].map((device) => gradients(text, 'merged', device, 1)))
  for (const other of more) expect(other).toEqual(one)
})

test('a net that saves memory stores it by a pass of its own: it is made again where that is cheaper', () => {
  const text = residual([8, 12, 12], 'y = add(z, z -> conv(8, 3, pad: 1) -> batch_norm) -> relu', [8, 12, 12])
  for (const target of ['wasm', 'webgpu']) {
    const { kernels } = inspect(text, { target, memory: 'small', programs: ['gradients'] }).programs['gradients']!
    expect(kernels.flatMap((k) => k.why).join()).not.toMatch(/stored as it is loaded/)
  }
})

describe('inference, whose filters are prepared', () => {
  const text = (channels: number, side: number): string => `
    net one {
      input x: f32[${channels}, ${side}, ${side}]
      y = x -> batch_norm -> tanh -> conv(${channels}, 3, pad: 1)
      loss = sum(y)
      output out = y
    }
    train { batch 16 solver sgd(lr: 0.1) }`
  test.each([
    ['by tiles of one image: so is that of what is made first', 16, 12, true],
    ['by tiles of blocks of images: what would be made image by image is a pass', 32, 4, false],
  ])('%s', async (_, channels, side, isFused) => {
    const batch = 9
    const runs: ArrayLike<number>[] = []
    for (const device of [exact, ...cpus]) {
      const bundle = compiled(text(channels, side), { targets: ['wasm'], programs: ['infer'] })
      const net = await open(bundle, { device, batch, seed: 3 })
      runs.push((await net.run(normalInputs(bundle, batch)))['out']!)
      net.close()
    }
    const [want, one, two] = runs
    expect(two).toEqual(one)
    for (let i = 0; i < want!.length; i++) expect(one![i]).toBeCloseTo(want![i]!, 4)
    const { kernels } = inspect(text(channels, side), { target: 'wasm', programs: ['infer'] }).programs['infer']!
    const how = kernels.map((k) => k.how).join()
    expect(how).toContain('filter prepared')
    expect(how.includes('first; ')).toBe(isFused)
  })
})
