import { beforeAll, describe, expect, test } from 'vitest'
import { create } from 'webgpu'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Bundle, bundleFiles, type Device, open, type Style, webgpu } from '../../runtime/index.ts'
import { bundleFrom } from '../../runtime/loading/read-bundle.ts'
import { kernelTexts } from '../support/kernel-texts.ts'
import { labels, normals } from '../support/random-net.ts'
import { weighedNet } from '../support/weighed-net.ts'
import { validateModules } from './validate-modules.ts'
import { softwareGpu } from './webgpu.ts'

/**
 * Kernels for devices with subgroups: those of the software adapter have four invocations. They give what the float64 interpreter gives,
 * and are left alone where they are switched off or where subgroups are not what they rely on.
 */

const exact = interpreter()
let plain: Device
let gpu: Device
/** Texts that `gpu` was given: what it had before it does not compile again. */
let compiled: readonly string[]
beforeAll(async () => {
  plain = await webgpu({ gpu: await softwareGpu(), subgroups: false })
  gpu = await webgpu({ gpu: await softwareGpu() })
  compiled = watched(gpu)
})

const raw = (device: Device): GPUDevice => (device as unknown as { gpu: GPUDevice }).gpu

/** Texts that a device is given from now on, each as `change` has it. */
function watched(device: Device, change = (code: string): string => code): string[] {
  const codes: string[] = []
  const make = raw(device).createShaderModule.bind(raw(device))
  raw(device).createShaderModule = (descriptor) => {
    codes.push(descriptor.code)
    return make({ ...descriptor, code: change(descriptor.code) })
  }
  return codes
}

type Results = Record<string, ArrayLike<number>>

/** Outputs, loss and gradients of a net whose inputs `x` are like these. */
async function results(bundle: Bundle, device: Device, batch: number, like: (normal: number) => number): Promise<Results> {
  const net = await open(bundle, { device, batch, seed: 3, programs: ['infer', 'gradients'] })
  const inputs = Object.fromEntries(bundle.manifest.inputs.map(({ name, shape, type, classes }, i) => {
    const count = batch * shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1)
    return [name, type === 'i32' ? labels(count, classes!, 7) : normals(count, i + 1).map((v) => (name === 'x' ? like(v) : v))]
  }))
  const { out } = await net.run({ x: inputs['x'] as Float32Array })
  const { grads, ...others } = await net.step(inputs, { update: false })
  net.close()
  const losses = Object.entries(others).filter(([, value]) => typeof value === 'number').map(([name, value]) => [name, [value as number]])
  return { out: out!, ...grads, ...Object.fromEntries(losses) } as Results
}

/** The largest difference of any result, in units of its scale: see `workgroups.test.ts`. */
function apart(got: Results, want: Results): number {
  const largest = (values: ArrayLike<number>, of: (v: number, i: number) => number): number =>
    Array.from(values, of).reduce((a, b) => (a >= b ? a : b), 0)
  return Math.max(
    ...Object.entries(want).map(([name, values]) =>
      largest(values, (v, i) => Math.abs(got[name]![i]! - v)) / Math.max(0.1, largest(values, Math.abs))
    ),
  )
}

const classifier = `
net one {
  input x: f32[3, 6, 7]
  input label: class[40]
  y = x -> fc(64) -> relu -> fc(40)
  output out = softmax(y)
  loss = softmax_loss(y, label)
}`
// A map of 42 x 36 is two blocks of 24 rows, the last quarter of which holds nothing: subgroups without a value.
const pooled = weighedNet([2, 43, 37], 'max_pool(2, stride: 1) -> batch_norm -> relu -> avg_pool(2, 2)', [2, 21, 18])
const convolved = weighedNet([2, 9, 11], 'conv(4, 3, pad: 1) -> batch_norm -> relu -> conv(4, 1) -> batch_norm', [4, 9, 11])

const unchanged = (v: number): number => v
const cases: readonly [name: string, text: string, batch: number, like: (v: number) => number, style: Style][] = [
  ['softmax and loss of one', classifier, 1, unchanged, 'merged'],
  ['softmax and loss of many', classifier, 37, unchanged, 'merged'],
  ['normalization behind a pooling, one image', pooled, 1, unchanged, 'merged'],
  ['normalization behind a pooling', pooled, 3, unchanged, 'merged'],
  ['values far from zero that differ little', pooled, 3, (v) => 1000 + 0.01 * v, 'merged'],
  ['normalization behind a convolution', convolved, 3, unchanged, 'merged'],
  ['layer by layer', pooled, 2, unchanged, 'split'],
]

describe.each(cases)('%s', (_, text, batch, like, style) => {
  // As `workgroups.test.ts` has it.
  const near = 3e-5
  const bundle = compile(text, { style, targets: ['webgpu'], programs: ['infer', 'gradients'] })

  const variants = bundle.manifest.plans['webgpu']!.kernels.flatMap((
    { subgroups },
  ) => (subgroups ? [kernelTexts(bundle, 'webgpu').get(subgroups)!] : []))

  test('the same with subgroups and without, to the same bits whenever it runs', async () => {
    const want = await results(bundle, exact, batch, like)
    const got = await results(bundle, gpu, batch, like)
    expect(variants.filter((code) => compiled.includes(code)).length).toBeGreaterThan(0)
    expect(apart(got, want)).toBeLessThan(near)
    expect(await results(bundle, gpu, batch, like)).toEqual(got)
    const without = await results(bundle, plain, batch, like)
    expect(apart(without, want)).toBeLessThan(near)
    expect(await results(bundle, plain, batch, like)).toEqual(without)
  })
})

describe('where subgroups are not what kernels rely on', () => {
  const bundle = compile(classifier, { targets: ['webgpu'], programs: ['infer', 'gradients'] })

  test.each([
    ['count otherwise', 'lane == local % size', 'lane == (local + 1u) % size'],
    ['are mixed', 'first == local - lane', 'first == local'],
    ['add up wrongly', 'sum == ', 'sum + 1.0 == '],
    ['do not compile', 'subgroupBroadcastFirst', 'subgroupBroadcastLast'],
  ])('they %s', async (_, what, instead) => {
    const device = await webgpu({ gpu: await softwareGpu() })
    const codes = watched(device, (code) => code.replace(what, instead))
    const got = await results(bundle, device, 2, unchanged)
    device.close()
    const variants = codes.filter((code) => code.includes('enable subgroups;'))
    expect(variants.map((code) => code.includes(what))).toEqual([true])
    expect(got).toEqual(await results(bundle, plain, 2, unchanged))
  })

  test('a device is asked once; one that is told to leave them alone never', async () => {
    const device = await webgpu({ gpu: await softwareGpu() })
    const codes = watched(device)
    const asked = (): number => codes.filter((code) => code.includes('holds[local]')).length
    await Promise.all([results(bundle, device, 2, unchanged), results(bundle, device, 3, unchanged)])
    expect(asked()).toBe(1)
    device.close()
    expect(raw(plain).features.has('subgroups')).toBe(false)
  })
})

describe('the bundle', () => {
  const bundle = compile(classifier, { targets: ['webgpu', 'wasm', 'webgpu-software', 'webgpu-f16'] })
  const variantsOf = (target: string): string[] => bundle.manifest.plans[target]!.kernels.flatMap(({ subgroups }) => subgroups ?? [])

  test('has second texts for graphics hardware alone', () => {
    expect(variantsOf('webgpu')).toContain('softmax_loss_1.subgroups')
    expect(variantsOf('webgpu-f16').length).toBeGreaterThan(0)
    expect([...variantsOf('wasm'), ...variantsOf('webgpu-software')]).toEqual([])
  })

  test('is written and read with them', async () => {
    const files = await bundleFiles(bundle)
    const { bundle: back } = await bundleFrom(async (name) => files.get(name))
    expect(back.files).toEqual(bundle.files)
    expect(variantsOf('webgpu').filter((name) => !kernelTexts(back, 'webgpu').has(name))).toEqual([])
  })

  test('Tint takes those with f16 too', async () => {
    // Dawn's null backend has every feature and computes nothing.
    const everything = create(['backend=null'])
    const device = await (await everything.requestAdapter())!.requestDevice({ requiredFeatures: ['shader-f16', 'subgroups'] })
    const texts = variantsOf('webgpu-f16').map((name) => ({ name, code: kernelTexts(bundle, 'webgpu-f16').get(name)!, pipeline: false }))
    expect(texts.some(({ code }) => code.includes('enable f16;'))).toBe(true)
    for await (const { name, errors } of validateModules(device, texts)) expect(errors, name).toEqual([])
    device.destroy()
  })
})
