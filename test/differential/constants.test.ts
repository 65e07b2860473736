import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Device, open, type Outputs, wasm, webgpu } from '../../runtime/index.ts'
import { emulateHalves } from '../devices/half.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { labels, normals } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

/** `normalize(mean, std)` on every device and in both styles, riding in front of a convolution that pads and folded into one that does not. */
const BATCH = 3
const BATCHED = { x: normals(BATCH * 3 * 64, 5).map((v) => 0.5 + 0.2 * v), label: labels(BATCH, 4, 6) }
const netOf = (front: string, pad: number): string => `
net n {
  input x: f32[3, 8, 8]
  input label: class[4]
  a = x -> ${front} -> conv(8, 3, pad: ${pad}) as c -> batch_norm as b -> relu
  logits = a -> conv(4, 3) -> relu -> fc(4)
  output raw = logits
  loss = softmax_loss(logits, label)
}`
const LIST = 'normalize(mean: [0.5, 0.4, 0.3], std: [0.25, 0.2, 0.3])'
/** The same by layers that learn, with their numbers set: (x - mean) / std = x weight + bias. */
const BY_SCALE = 'scale as s'

const exact = interpreter()
const devices: Device[] = []
beforeAll(async () => {
  devices.push(await wasm({ threads: 2 }), await webgpu({ gpu: await softwareGpu() }))
})
afterAll(() => {
  for (const device of devices) device.close()
})

interface Results {
  readonly raw: ArrayLike<number>
  readonly loss: number
  readonly grads: Outputs
}

async function results(text: string, device: Device, style: 'merged' | 'split' = 'merged', scale = false): Promise<Results> {
  const net = await open(compile(text, { style, targets: targetsOf(device), programs: ['infer', 'gradients'] }), {
    device,
    batch: BATCH,
    seed: 3,
  })
  if (scale) {
    const [mean, std] = [[0.5, 0.4, 0.3], [0.25, 0.2, 0.3]] as const
    const tensor = (values: number[]) => ({ shape: [3], type: 'f64', data: Float64Array.from(values) }) as const
    await net.setParameters(new Map([['s.weight', tensor(std.map((s) => 1 / s))], ['s.bias', tensor(mean.map((m, c) => -m / std[c]!))]]), {
      strict: false,
    })
  }
  const { raw } = await net.run({ x: BATCHED.x })
  const { loss, grads } = await net.step(BATCHED, { update: false })
  net.close()
  return { raw: raw!, loss, grads }
}

function expectClose(got: Results, want: Results, tolerance: number): void {
  const close = (what: string, a: ArrayLike<number>, b: ArrayLike<number>): void => {
    const scale = Math.max(1e-2, ...Array.from(b, Math.abs))
    expect(Math.max(...Array.from(b, (v, i) => Math.abs(a[i]! - v))) / scale, what).toBeLessThan(tolerance)
  }
  close('raw', got.raw, want.raw)
  close('loss', [got.loss], [want.loss])
  for (const name of Object.keys(want.grads)) if (!name.startsWith('s.')) close(name, got.grads[name]!, want.grads[name]!)
}

test.each([0, 1])('padding %i: what a scale with the same numbers computes, on every device and in both styles', async (pad) => {
  const want = await results(netOf(BY_SCALE, pad), exact, 'merged', true)
  expect(Math.max(...Array.from(want.grads['x']!, Math.abs))).toBeGreaterThan(1e-3)
  for (const style of ['merged', 'split'] as const) {
    expectClose(await results(netOf(LIST, pad), exact, style), want, 1e-9)
    for (const device of devices) expectClose(await results(netOf(LIST, pad), device, style), want, 2e-5)
  }
})

test('stored as f16, the image stays float32 and folded weights are rounded once', async () => {
  const gpu = devices[1]!
  for (const pad of [0, 1]) {
    const bundle = emulateHalves(compile(netOf(LIST, pad), { targets: ['webgpu-f16'], storage: 'f16', programs: ['infer', 'eval'] }))
    const net = await open(bundle, { device: gpu, batch: BATCH, seed: 3 })
    const { raw } = await net.run({ x: BATCHED.x })
    net.close()
    const want = (await results(netOf(LIST, pad), exact)).raw
    const scale = Math.max(...Array.from(want, Math.abs))
    Array.from(raw!, (v, i) => expect(Math.abs(v - want[i]!) / scale).toBeLessThan(8 * 2 ** -11))
  }
})
