import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Device, open, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { labels, normals } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

/** Normalizations of samples on the devices; of a batch's the gradient behind which a value is seen under another shape, and statistics that layers share. */
const exact = interpreter()
const devices: Device[] = []
beforeAll(async () => {
  devices.push(await wasm({ threads: 1 }), await webgpu({ gpu: await softwareGpu() }))
})
afterAll(() => {
  for (const device of [exact, ...devices]) device.close()
})

type Results = Readonly<Record<string, ArrayLike<number>>>

async function gradients(
  text: string,
  device: Device,
  inputs: Record<string, Float32Array | Int32Array>,
  style?: 'split',
): Promise<Results> {
  const bundle = compile(text, { targets: targetsOf(device), programs: ['gradients'], ...(style && { style }) })
  const net = await open(bundle, { device, batch: 2, seed: 7, programs: ['gradients'] })
  const { outputs, grads } = await net.step(inputs, { update: false })
  net.close()
  return { ...outputs, ...grads }
}

/** Differences in units of each tensor's scale. */
function expectClose(got: Results, want: Results, allowed: number): void {
  for (const [name, values] of Object.entries(want)) {
    const scale = Math.max(...Array.from(values, Math.abs))
    const apart = Math.max(...Array.from(values, (v, i) => Math.abs(got[name]![i]! - v)))
    expect(apart / scale, name).toBeLessThan(allowed)
  }
}

// E[x^2] - E[x]^2 would be off by more than the variance; a mean in one float32 by a thousandth of the deviation.
test.each(['group_norm(2, eps: 1e-10)', 'instance_norm(eps: 1e-10)', 'layer_norm(axis: 1, end: 1, eps: 1e-10)'])(
  '%s of values near 1000 with a deviation of 0.01',
  async (layer) => {
    const text = `net t {\n  input x: f32[4, 9, 8]\n  input t: f32[4, 9, 8]\n  output y = x -> ${layer}\n  loss = sum(mul(y, t))\n}\n`
    const inputs = { x: normals(576, 3).map((v) => 1000 + 0.01 * v), t: normals(576, 4) }
    const want = await gradients(text, exact, inputs)
    for (const device of devices) expectClose(await gradients(text, device, inputs), want, 1e-5)
  },
)

test.each(['flatten -> fc(3)', 'reshape([9, 4]) -> fc(2, axis: -1) -> fc(3)'])('conv -> batch_norm -> relu -> %s', async (chain) => {
  const text =
    `net t {\n  input x: f32[2, 8, 8]\n  input label: class[3]\n  y = x -> conv(1, 3, bias: false) -> batch_norm -> relu -> ${chain}\n  loss = softmax_loss(y, label)\n}\n`
  const inputs = { x: normals(256, 5), label: labels(2, 3, 6) }
  expectClose(await gradients(text, exact, inputs), await gradients(text, exact, inputs, 'split'), 1e-9)
})

// Of x the mean is m and the variance v, of 3 x they are 3 m and 9 v; what is kept starts with 0 and 1.
test.each(['moving', 'cumulative'])('layers that share statistics (%s) keep one batch after the other', async (stats) => {
  const text = `net t {
  input x: f32[2, 4, 4]
  a = x -> batch_norm(stats: ${stats}) as bn -> relu
  loss = sum(mul(add(a, batch_norm(mul(x, 3), stats: ${stats}, weights: bn)), 0.1))
}
train { solver sgd(lr: 0) }`
  const x = normals(2 * 2 * 16, 8)
  for (const device of [exact, ...devices]) {
    const net = await open(compile(text, { targets: targetsOf(device), programs: ['step'] }), { device, batch: 2, programs: ['step'] })
    await net.step({ x })
    const kept = await net.parameters()
    for (const channel of [0, 1]) {
      const values = Array.from(x).filter((_, i) => Math.floor(i / 16) % 2 === channel)
      const mean = values.reduce((a, b) => a + b) / 32
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / 32
      const two = (first: number, second: number, before: number): number =>
        stats === 'cumulative' ? (first + second) / 2 : 0.95 * second + 0.05 * (0.95 * first + 0.05 * before)
      expect(kept.get('bn.running_mean')!.data[channel]).toBeCloseTo(two(mean, 3 * mean, 0), 5)
      expect(kept.get('bn.running_var')!.data[channel]).toBeCloseTo(two(variance, 9 * variance, 1), 5)
    }
    net.close()
  }
})
