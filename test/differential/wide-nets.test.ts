import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Device, open, wasm, webgpu } from '../../runtime/index.ts'
import { withoutNames } from '../../runtime/webgpu/device.ts'
import { validateWithTint } from '../devices/naga.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { kernelTexts } from '../support/kernel-texts.ts'
import { normalInputs } from '../support/normal-inputs.ts'
import { targetsOf } from '../support/targets.ts'
import { wideNet } from '../support/wide-net.ts'

/**
 * Layers wide enough that an image is cut into items, a map into workgroups: gradients against the float64 interpreter. A failing test names
 * the seed.
 */

const PROGRAMS = ['gradients']

let cpu: Device
let gpu: Device
const exact = interpreter()
beforeAll(async () => {
  cpu = await wasm({ threads: 2 })
  gpu = await webgpu({ gpu: await softwareGpu() })
})
afterAll(() => {
  for (const device of [cpu, gpu, exact]) device.close()
})

async function gradients(text: string, device: Device, batch: number): Promise<Record<string, ArrayLike<number>>> {
  const bundle = compile(text, { targets: targetsOf(device), programs: PROGRAMS })
  const net = await open(bundle, { device, batch, seed: 3, programs: PROGRAMS })
  const inputs = normalInputs(bundle, batch)
  const { grads } = await net.step(inputs, { update: false })
  net.close()
  return grads
}

/** Differences in units of each tensor's scale: those that are more than rounding. What cancels in a normalization has no scale of its own. */
function wrong(got: Record<string, ArrayLike<number>>, want: Record<string, ArrayLike<number>>): string[] {
  const largest = (values: ArrayLike<number>, of: (v: number, i: number) => number): number =>
    Array.from(values, of).reduce((a, b) => (a >= b ? a : b), 0)
  return Object.entries(want).flatMap(([name, values]) => {
    const apart = largest(values, (v, i) => Math.abs(got[name]![i]! - v)) / Math.max(1, largest(values, Math.abs))
    return apart <= 3e-4 ? [] : [`${name} is off by ${apart.toExponential(1)} of its scale`]
  })
}

const seeds = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i)

test.each(seeds(1, 16))('WebAssembly on two threads, seed %i', async (seed) => {
  const text = wideNet(seed, 1.2e7)
  // One image is cut, three are shared out: half of the nets each, since float64 takes most of the time.
  const batch = seed % 2 ? 1 : 3
  expect(wrong(await gradients(text, cpu, batch), await gradients(text, exact, batch)), text).toEqual([])
})

test.each(seeds(101, 6))('WGSL as graphics hardware is given, seed %i', async (seed) => {
  const text = wideNet(seed, 6e5)
  expect(wrong(await gradients(text, gpu, 2), await gradients(text, exact, 2)), text).toEqual([])
})

test.each(seeds(201, 12))('WGSL of wide layers can be written, and Tint accepts it, seed %i', async (seed) => {
  const text = wideNet(seed, 3e7)
  const targets = ['webgpu', 'webgpu-software']
  const bundle = compile(text, { targets, programs: ['infer', 'eval', 'gradients'] })
  const texts = targets.flatMap((target) => [...kernelTexts(bundle, target)].map(([name, code]) => ({ name: `${target} ${name}`, code })))
  // As `written-code.test.ts` has it: names of buffers apart, many are one kernel.
  const kernels = [...new Map(texts.map((kernel) => [withoutNames(kernel.code), { ...kernel, pipeline: false }])).values()]
  expect(kernels.length).toBeGreaterThan(3)
  expect((await validateWithTint(kernels)).filter(({ errors }) => errors.length > 0), text).toEqual([])
})
