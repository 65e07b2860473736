import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Device, open, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { targetsOf } from '../support/targets.ts'

/** `where` next to what is fused with it, on every device: a side that is not taken is NaN or infinite, and neither values nor gradients see it. */
const BATCH = 3
const SIZE = 5

const devices: Device[] = []
const exact = interpreter()
beforeAll(async () => {
  for (const threads of [1, 2]) devices.push(await wasm({ threads }))
  devices.push(await webgpu({ gpu: await softwareGpu() }))
})
afterAll(() => {
  for (const device of [exact, ...devices]) device.close()
})

const CHANNELS = 4
const noise = (i: number): number => ((i * 37) % 23) / 4 - 2.6
const x = Float32Array.from({ length: BATCH * CHANNELS * SIZE * SIZE }, (_, i) => noise(i))
const mask = Float32Array.from(x, (_, i) => [0, 1, -0, -3, 0.5, 0, 0][i % 7]!)
/** Finite where the mask is 0. */
const holes = Float32Array.from(x, (_, i) => (mask[i] === 0 ? noise(i + 5) : [NaN, Infinity, -Infinity][i % 3]!))

const NETS: readonly string[] = [
  'y = where(mask, x -> conv(4, 3, pad: 1), holes)',
  'y = where(mask, x -> conv(4, 1, bias: false) -> batch_norm -> relu, holes) -> conv(3, 3, pad: 1)',
  'y = where(mask, x, holes) -> conv(8, 1, bias: false) -> batch_norm',
  'y = where(mask, 0, holes) -> conv(8, 3) -> relu',
  'y = where(mask, -3.4028235e38, x -> conv(4, 1, bias: false)) -> softmax(axis: -1)',
  'y = where(mask, x -> global_avg_pool -> reshape([4, 1, 1]), holes) -> fc(6)',
  'y = where(mask -> slice(1, 0, 1), x -> slice(2, 0, 1) -> conv(4, 1), x -> slice(3, 0, 1) -> conv(4, 1)) -> fc(5)',
  'y = where(x -> relu, x -> relu -> max(1e-3) -> log, x -> scale) -> global_avg_pool',
  'y = where(parameter([4, 1, 1], init: gaussian(1), lr_mult: 0) -> relu, x -> fc(4) -> reshape([4, 1, 1]), x)',
  // Steps: the mask times 3 has halves.
  'y = add(mask -> round, mask -> mul(3) -> round, x -> floor, x -> ceil, x -> scale)',
  'a = x -> conv(4, 3, pad: 1)\n  y = add(where(mask, a, 0), where(mask, 1, a -> tanh)) -> reduce_sum([2, 3])',
]

test.each(NETS)('%s', async (body) => {
  const text =
    `net one {\n  input x: f32[4, 5, 5]\n  input mask: f32[4, 5, 5]\n  input holes: f32[4, 5, 5]\n  ${body}\n  output out = y\n  loss = sum(silu(y))\n}`
  const see = async (device: Device, style: 'merged' | 'split'): Promise<ReadonlyMap<string, ArrayLike<number>>> => {
    const bundle = compile(text, { targets: targetsOf(device), style, programs: ['infer', 'gradients'] })
    const net = await open(bundle, { device, batch: BATCH, seed: 3, programs: ['infer', 'gradients'] })
    try {
      const feeds = { x, mask, holes }
      const { out } = await net.run(feeds)
      const { outputs, grads } = await net.step(feeds, { update: false })
      return new Map([['inferred', out!], ['trained', outputs['out']!], ...Object.entries(grads)])
    } finally {
      net.close()
    }
  }
  const want = await see(exact, 'split')
  for (const values of want.values()) expect(Array.from(values).every(Number.isFinite)).toBe(true)
  for (const device of [exact, ...devices]) {
    for (const style of ['merged', 'split'] as const) {
      const got = await see(device, style)
      expect([...got.keys()]).toEqual([...want.keys()])
      for (const [name, values] of want) {
        const most = Array.from(values).reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3)
        Array.from(values).forEach((v, i) => expect(Math.abs(got.get(name)![i]! - v) / most, `${name} ${i}`).toBeLessThan(2e-5))
      }
    }
  }
})
