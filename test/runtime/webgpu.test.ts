import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { LocalNet } from '../../runtime/net.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { arrays } from '../../runtime/data/dataset.ts'
import { type Device, DeviceError } from '../../bundle/device.ts'
import type { Bundle, Plan } from '../../bundle/format.ts'
import { openLocal as open } from '../../runtime/open.ts'
import { sectionsOf } from '../../bundle/sections.ts'
import { webgpu, withoutNames } from '../../runtime/webgpu/device.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'

let gpu: GPU
let device: Device
beforeAll(async () => {
  gpu = await softwareGpu()
  device = await webgpu({ gpu })
})
afterAll(() => device.close())

const x = Float32Array.from({ length: 12 }, (_, i) => i / 8)
const label = Int32Array.of(0, 1, 2, 1)
const data = arrays({
  x: { shape: [3], type: 'f32', data: Float32Array.from({ length: 3 * 30 }, (_, i) => ((i * 7) % 11) / 8) },
  label: { shape: [], type: 'i32', classes: 3, data: Int32Array.from({ length: 30 }, (_, i) => (i * 5) % 3) },
})

/** The fixture with another text for a kernel. */
function withKernel(name: string, change: (text: string) => string): Bundle {
  const bundle = fixture()
  const { file } = bundle.manifest.plans['webgpu']!.kernels.find((k) => k.name === name)!
  const whole = bundle.files.get(file!) as string
  const { text } = sectionsOf(whole).get(name)!
  return withPlan((plan) => plan, new Map([...bundle.files, [file!, whole.replace(text, () => change(text))]]))
}
function withPlan(change: (plan: Plan) => Plan, files = fixture().files): Bundle {
  const { manifest } = fixture()
  return { files, manifest: { ...manifest, plans: { webgpu: change(manifest.plans['webgpu']!) } } }
}

test('a device keeps the GPU object that it comes from until it is closed', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const made = { features: new Set(), limits: {}, lost: new Promise(() => {}), destroy() {} }
  const adapter = { features: new Set(), limits: {}, requestDevice: () => Promise.resolve(made) }
  const opened = async (): Promise<[Device, WeakRef<object>]> => {
    const gpu = { requestAdapter: () => Promise.resolve(adapter) }
    return [await webgpu({ gpu: gpu as unknown as GPU }), new WeakRef(gpu)]
  }
  const [device, gpu] = await opened()
  // What a promise or a WeakRef holds is let go of by the end of a task.
  const collected = async (): Promise<boolean> => {
    await new Promise((done) => setTimeout(done, 1))
    collect()
    return gpu.deref() === undefined
  }
  expect(await collected()).toBe(false)
  expect(await collected()).toBe(false)
  device.close()
  await expect.poll(collected).toBe(true)
})

test('kernels are one pipeline where they differ in comments and names of buffers alone', () => {
  const kernel = (first: string, second: string, body: string): string =>
    `// ${first}
@group(0) @binding(1) var<storage, read> ${first}: array<f32>;
@group(0) @binding(2) var<storage, read_write> ${second}: array<f32>;
${body}`
  const same = withoutNames(kernel('a', 'b', 'let y = v.x; b[0] = a[0];'))
  expect(withoutNames(kernel('x', 'conv1', 'let y = v.x; conv1[0] = x[0];'))).toBe(same)
  for (
    const other of [
      kernel('a', 'b', 'let y = v.x; a[0] = b[0];'),
      kernel('x', 'y', 'let y = v.x; y[0] = x[0];'),
      kernel('x', 'b', 'let y = v.y; b[0] = x[0];'),
      kernel('b', 'a', 'let y = v.x; b[0] = a[0];'),
    ]
  ) {
    expect(withoutNames(other)).not.toBe(same)
  }
})

test("arrays are the caller's again when the call returns", async () => {
  const net = await open(fixture(), { device, batch: 1, programs: ['infer'] })
  const frame = new Float32Array(3)
  const answers = [1, 2, 3, 4, 5].map((k) => net.run({ x: frame.fill(k) }))
  frame.fill(NaN)
  expect((await Promise.all(answers)).map(({ y }) => y![0])).toEqual([0.5, 1, 1.5, 2, 2.5])
  net.close()
})

test('an adapter on a CPU says so', () => {
  expect(device.software).toBe(true)
  expect(device.description).toMatch(/swiftshader|llvmpipe/i)
})

test('computes what the kernels say: outputs, gradients, training, evaluation', async () => {
  const nets = await Promise.all([device, new FakeDevice()].map((d) => open(fixture(), { device: d, batch: 4 })))
  const all = await Promise.all(nets.map(async (net) => {
    const steps = [await net.run({ x }), await net.step({ x, label }, { update: false }), await net.step({ x, label })]
    const losses: number[] = []
    for await (const { loss } of net.train(data, { steps: 40 })) losses.push(loss)
    return {
      steps,
      losses,
      evaluation: await net.evaluate(data),
      w: (await net.parameters()).get('w')!.data,
      seen: (await net.parameters()).get('seen')!.data,
    }
  }))
  const flat = (value: unknown): number[] => typeof value === 'number' ? [value] : Object.values(value as object).flatMap(flat)
  const [got, want] = all.map(flat)
  expect(got!.length).toBe(want!.length)
  // Sums of at most 30 float32 products, and 40 contracting steps of them.
  got!.forEach((v, i) => expect(Math.abs(v - want![i]!)).toBeLessThan(1e-5 * Math.max(1, Math.abs(want![i]!))))
  nets.forEach((net) => net.close())
})

test('the same seed gives the same bits, stopped and resumed or not', async () => {
  const train = async (stops: readonly number[]): Promise<unknown> => {
    let snapshot
    for (const steps of [...stops, 23]) {
      const net = await open(fixture(), { device, batch: 4 })
      if (snapshot) await net.restore(snapshot)
      for await (const _ of net.train(data, { steps, total: true })) { /* on */ }
      snapshot = await net.snapshot()
      net.close()
    }
    return snapshot
  }
  expect(await train([9, 14])).toEqual(await train([]))
})

test('one submit a step; nothing is allocated and no bind group is made', async () => {
  const own = await webgpu({ gpu })
  const net = await open(fixture(), { device: own, batch: 4 })
  await (await net.trainStep({ x, label })).loss
  const raw = (own as unknown as { gpu: GPUDevice }).gpu
  const calls: string[] = []
  for (const name of ['createBuffer', 'createBindGroup', 'createComputePipelineAsync', 'createShaderModule'] as const) {
    const original = raw[name].bind(raw) as (...a: unknown[]) => unknown
    Object.defineProperty(raw, name, {
      value: (...a: unknown[]) => {
        calls.push(name)
        return original(...a)
      },
      configurable: true,
    })
  }
  const submit = raw.queue.submit.bind(raw.queue)
  Object.defineProperty(raw.queue, 'submit', {
    value: (c: GPUCommandBuffer[]) => {
      calls.push(`submit ${c.length}`)
      return submit(c)
    },
    configurable: true,
  })
  const { loss } = await net.trainStep({ x, label })
  expect(calls).toEqual(['submit 1', 'submit 1']) // the step, and the copy of its loss
  await loss
  await net.trainStep({ x, label })
  expect(calls.filter((c) => !c.startsWith('submit'))).toEqual([])
  own.close()
})

test('many steps under way keep their own losses', async () => {
  const nets = await Promise.all([device, new FakeDevice()].map((d) => open(fixture(), { device: d, batch: 4 })))
  const [got, want] = await Promise.all(nets.map(async (net) => {
    const started = []
    for (let i = 0; i < 30; i++) started.push(await net.trainStep({ x, label }))
    return Promise.all(started.map((s) => s.loss))
  }))
  got!.forEach((v, i) => expect(v).toBeCloseTo(want![i]!, 5))
  nets.forEach((net) => net.close())
})

test('more invocations than a row of workgroups holds', async () => {
  const batch = 1_000_000 // 3 million invocations: 46875 workgroups, two rows
  const net = await open(fixture(), { device, batch, programs: ['infer'] })
  const large = Float32Array.from({ length: 3 * batch }, (_, i) => i % 1000)
  const { y } = await net.run({ x: large })
  expect(y!.every((v, i) => v === large[i]! * 0.5)).toBe(true)
  net.close()
})

test('programs that are not loaded take no memory', async () => {
  const all = await open(fixture(), { device, batch: 1000 })
  const infer = await open(fixture(), { device, batch: 1000, programs: ['infer'] })
  expect(LocalNet.executorOf(infer).session.allocatedBytes).toBeLessThan(LocalNet.executorOf(all).session.allocatedBytes - 3 * 4 * 1000)
  await expect(infer.step({ x: new Float32Array(3000), label: new Int32Array(1000) })).rejects.toThrow(/program step was not loaded/)
  all.close()
  infer.close()
})

test('profiles each dispatch where the adapter has a clock', async () => {
  const net = await open(fixture(), { device, batch: 4 })
  const times = await LocalNet.executorOf(net).session.profile!('train', { step: 0, seed: 0, rate: 0, correction1: 1, correction2: 1 })
  if (times) {
    expect(times.length).toBe(5)
    expect(times.every((t) => t >= 0)).toBe(true)
  }
  net.close()
})

describe('refuses, as DeviceError that says where', () => {
  const refusal = async (bundle: Bundle, batch = 4): Promise<string> => {
    const error = await open(bundle, { device, batch }).then(() => undefined, (e: unknown) => e)
    expect(error).toBeInstanceOf(DeviceError)
    // The device is still good.
    const net = await open(fixture(), { device, batch: 4 })
    await net.run({ x })
    net.close()
    return (error as Error).message
  }

  test('a kernel that does not compile', async () => {
    const message = await refusal(withKernel('scale', (text) => text.replace('y[i] =', 'yy[i] =')))
    expect(message).toMatch(
      /kernel scale does not compile:\n {2}webgpu\/infer\.wgsl:23:3: unresolved value 'yy'\n {4}yy\[i\] = x\[i\] \* w2\[i % 3u\];/,
    )
  })

  test('bindings that are not those of the text', async () => {
    const message = await refusal(
      withPlan((plan) => ({
        ...plan,
        kernels: plan.kernels.map((k) =>
          k.name === 'scale' ? { ...k, bindings: k.bindings.map((b) => ({ ...b, access: 'read' as const })) } : k
        ),
      })),
    )
    expect(message).toMatch(/kernel scale: /)
  })

  test('a workgroup larger than the device runs', async () => {
    expect(await refusal(withKernel('scale', (text) => text.replace('@workgroup_size(64)', '@workgroup_size(4096)')))).toMatch(
      /kernel scale: /,
    )
  })

  test('writing one range twice in a dispatch', async () => {
    const message = await refusal(
      withPlan((plan) => ({ ...plan, tensors: plan.tensors.map((t) => t.name === 'hit' ? { ...t, behind: [] } : t) })),
    )
    expect(message).toMatch(/kernel loss of program eval is refused/)
  })

  test('a net that is too large, before anything is allocated', async () => {
    const most = (device as unknown as { gpu: GPUDevice }).gpu.limits
    const limit = Math.min(most.maxStorageBufferBindingSize, most.maxBufferSize)
    const batch = Math.floor(limit / 12) + 1
    // The gradient of x, three numbers a sample, lies behind the loss and the hits, which take 64 each.
    const fits = Math.floor((limit / 4 - 2 * 64) / 3)
    expect(await refusal(fixture(), batch)).toMatch(
      new RegExp(`at batch ${batch} this device cannot hold the net: .* MiB of .* MiB.*: use a batch of at most ${fits}`),
    )
  })

  test('parameters that fit at no batch', async () => {
    // Of what a bundle may say at most, twice; no adapter binds 8 GiB.
    const elements = { fixed: 2 ** 30, perSample: 2 ** 30 }
    const message = await refusal(
      withPlan((plan) => ({ ...plan, buffers: plan.buffers.map((b) => b.role === 'parameters' ? { ...b, elements } : b) })),
    )
    expect(message).toMatch(/buffer parameters needs 20480\.0 MiB of .*: no batch is small enough/)
  })

  test('no adapter, no WebGPU', async () => {
    await expect(webgpu({ gpu: { requestAdapter: async () => null } as unknown as GPU })).rejects.toThrow(/no adapter/)
    await expect(webgpu({ gpu: undefined })).rejects.toThrow(/create\(\[\]\)/)
  })

  test('a device that was closed', async () => {
    const own = await webgpu({ gpu })
    const net = await open(fixture(), { device: own, batch: 4 })
    own.close()
    await expect(net.run({ x })).rejects.toThrow(DeviceError)
    await expect(net.run({ x })).rejects.toThrow(/closed/)
  })

  test('a device that is lost while a result is awaited', async () => {
    const own = await webgpu({ gpu })
    const net = await open(fixture(), { device: own, batch: 4 })
    const { loss } = await net.trainStep({ x, label })
    own.close()
    await expect(loss).rejects.toThrow(DeviceError)
  })

  test('a GPU device that somebody else destroys while a result is awaited, and ever after', async () => {
    const own = await webgpu({ gpu })
    const net = await open(fixture(), { device: own, batch: 4 })
    const { loss } = await net.trainStep({ x, label })
    ;(own as unknown as { gpu: { destroy(): void } }).gpu.destroy()
    await expect(loss).rejects.toThrow(/GPU device was destroyed.*open the net again/)
    await expect(net.run({ x })).rejects.toThrow(/GPU device was destroyed/)
    own.close()
  })

  test('a net that was closed', async () => {
    const net = await open(fixture(), { device, batch: 4 })
    net.close()
    net.close()
    await expect(net.run({ x })).rejects.toThrow(/this net was closed/)
  })
})
