import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { compile, inspect, interpreter } from '../../compiler/index.ts'
import { bundleFiles, type Bundle, type Device, webgpu } from '../../runtime/index.ts'
import { planFor } from '../../bundle/plans.ts'
import { LocalNet } from '../../runtime/net.ts'
import { openLocal as open } from '../../runtime/open.ts'
import { normals } from '../support/random-net.ts'
import { softwareGpu } from './webgpu.ts'

/** An adapter that a CPU pretends to be has a plan of its own, where a bundle holds one, and runs the usual one where it does not. */

const text = `
net one {
  input x: f32[3, 12, 10]
  input label: class[4]
  y = x -> conv(6, 3, pad: 1) -> batch_norm -> relu -> max_pool(2, 2) -> conv(8, 3, pad: 1) -> batch_norm -> relu -> fc(4)
  loss = softmax_loss(y, label)
  output prob = softmax(y)
}
train { solver sgd(lr: 0.1) batch 5 }`

let gpu: GPU
let device: Device
beforeAll(async () => {
  gpu = await softwareGpu()
  device = await webgpu({ gpu })
})
afterAll(() => {
  device.close()
  vi.unstubAllGlobals()
})

const inputs = { x: normals(5 * 3 * 12 * 10, 1), label: Int32Array.of(0, 3, 1, 2, 3) }

async function losses(bundle: Bundle, on: Device): Promise<{ plan: string | undefined; losses: number[] }> {
  const net = await open(bundle, { device: on, seed: 2, programs: ['train'] })
  const found: number[] = []
  for (let i = 0; i < 5; i++) found.push(await (await net.trainStep(inputs)).loss)
  const plan = planOf(net)
  net.close()
  return { plan, losses: found }
}

const planOf = (net: LocalNet): string | undefined => (LocalNet.executorOf(net).session as { plan?: { target: string } }).plan?.target

describe('which plan is run', () => {
  test('by name: the software one on WebGPU alone', () => {
    expect(planFor({ name: 'webgpu', software: true })).toBe('webgpu-software')
    expect(planFor({ name: 'webgpu', software: false })).toBe('webgpu')
    expect(planFor({ name: 'wasm', software: false })).toBe('wasm')
    expect(planFor({ name: 'interpreter', software: true })).toBe('interpreter')
  })

  test('its own where there is one, else the usual; both train as the reference does', async () => {
    const { losses: want } = await losses(compile(text, { targets: [] }), interpreter())
    for (
      const [targets, expected] of [[['webgpu', 'webgpu-software'], 'webgpu-software'], [['webgpu', 'wasm'], 'webgpu'], [[
        'webgpu-software',
      ], 'webgpu-software']] as const
    ) {
      const got = await losses(compile(text, { targets }), device)
      expect(got.plan).toBe(expected)
      // Five steps of a net of ten sums of products in a row.
      got.losses.forEach((loss, i) => expect(Math.abs(loss - want[i]!)).toBeLessThan(2e-5))
    }
  })

  test('a bundle for the CPU alone is refused', async () => {
    await expect(open(compile(text, { targets: ['wasm'] }), { device })).rejects.toThrow(/no plan for webgpu/)
  })

  test('of a folder only that one is fetched', async () => {
    vi.stubGlobal('navigator', { gpu })
    const stored = await bundleFiles(compile(text, { software: true }))
    const asked: string[] = []
    vi.stubGlobal('fetch', async (url: string) => {
      const name = new URL(url).pathname.replace(/^\/net\//, '')
      asked.push(name)
      const data = stored.get(name)
      return data ? new Response(data as BodyInit) : new Response('', { status: 404 })
    })
    const net = await open('http://localhost/net/', { device: 'webgpu', programs: ['infer'] })
    expect(planOf(net)).toBe('webgpu-software')
    expect(asked.sort()).toEqual(['bundle.json', 'webgpu-software/infer.json', 'webgpu-software/infer.wgsl'])
    net.close()
  })
})

describe('what it is made for', () => {
  test('the gradient of a normalization is stored, where a convolution would load two maps for one', () => {
    const kernelsOf = (target: string): readonly { name: string; why: readonly string[] }[] =>
      inspect(text, { target }).programs['train']!.kernels
    expect(kernelsOf('webgpu').map((k) => k.name)).toContain('batch_norm_2.dx+conv_2.dx')
    const own = kernelsOf('webgpu-software').find((k) => k.name === 'batch_norm_2.dx')
    expect(own?.why.join()).toMatch(/too dear to repeat in conv_2\.d/)
  })

  test('no kernel uses workgroup memory', () => {
    for (const [file, code] of compile(text, { targets: ['webgpu-software'] }).files) expect(code, file).not.toMatch(/var<workgroup>/)
  })
})
