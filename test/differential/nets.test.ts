import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { interpreter } from '../../compiler/index.ts'
import { type Device, open, type Outputs, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { compiled } from '../support/compiled.ts'
import { labels, normals, randomNet } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'
import { variedNet } from '../support/varied-net.ts'

/**
 * Random nets: WGSL and WebAssembly against the float64 interpreter, merged against split, forward, gradients and four training steps. A
 * failing test names the seed; `randomNet(seed)` is its text.
 */
const SEEDS = [1, 2, 3, 5, 8, 13, 21, 34]
const BATCH = 5
const STEPS = 4
const PROGRAMS = ['gradients', 'train']

let gpu: Device
const cpus = new Map<number, Device>()
const exact = interpreter()
beforeAll(async () => {
  gpu = await webgpu({ gpu: await softwareGpu() })
  for (const threads of [1, 2]) cpus.set(threads, await wasm({ threads }))
})
afterAll(() => {
  for (const device of [gpu, exact, ...cpus.values()]) device.close()
})

interface Trace {
  readonly first: { readonly outputs: Outputs; readonly grads: Outputs; readonly loss: number }
  readonly losses: readonly number[]
  readonly parameters: ReadonlyMap<string, ArrayLike<number>>
}

async function trace(text: string, style: 'merged' | 'split', device: Device, steps = STEPS): Promise<Trace> {
  const bundle = compiled(text, { style, targets: targetsOf(device), programs: PROGRAMS })
  const net = await open(bundle, { device, batch: BATCH, seed: 7, programs: PROGRAMS })
  try {
    const [image, label] = bundle.manifest.inputs
    const size = image!.shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1)
    const inputs = (k: number) => ({ image: normals(BATCH * size, 100 + k), label: labels(BATCH, label!.classes!, 200 + k) })
    const first = await net.step(inputs(0), { update: false })
    const losses: number[] = []
    for (let k = 0; k < steps; k++) losses.push(await (await net.trainStep(inputs(k))).loss)
    const parameters = new Map([...await net.parameters()].map(([name, { data }]) => [name, data as Float32Array]))
    return { first, losses, parameters }
  } finally {
    net.close()
  }
}

/** Largest difference in units of the tensor's scale; tensors of rounding noise alone count against 1e-3. */
function apart(got: ArrayLike<number>, want: ArrayLike<number>): number {
  const scale = Math.max(1e-3, ...Array.from(want, Math.abs))
  return got.length === want.length ? Math.max(
    0,
    ...Array.from(want, (w, i) => {
      const d = Math.abs(got[i]! - w) / scale
      return d >= 0 ? d : Infinity
    }),
  ) : Infinity
}

function expectAlike(got: Trace, want: Trace, forward: number, later: number): void {
  const wrong: string[] = []
  const compare = (what: string, a: ArrayLike<number> | undefined, b: ArrayLike<number>, allowed: number): void => {
    const distance = a ? apart(a, b) : Infinity
    if (!(distance <= allowed)) wrong.push(`${what} is off by ${distance.toExponential(1)} of its scale`)
  }
  for (const [name, values] of Object.entries(want.first.outputs)) compare(name, got.first.outputs[name], values, forward)
  for (const [name, values] of Object.entries(want.first.grads))
    compare(`grad/${name}`, got.first.grads[name] ?? new Float64Array(values.length), values, forward)
  compare('losses', got.losses, want.losses, later)
  for (const [name, values] of want.parameters) compare(name, got.parameters.get(name), values, later)
  expect(wrong).toEqual([])
}

describe.each(SEEDS)('random net %i', (seed) => {
  const text = randomNet(seed)
  let merged: Trace

  test('merged is what split is, in float64', async () => {
    merged = await trace(text, 'merged', exact)
    // The same sums in another order: 1e-16 times the few thousand terms of a sum, amplified by small deviations.
    expectAlike(merged, await trace(text, 'split', exact), 1e-9, 1e-8)
  })

  // Split nets have a pass a layer, which golden/webgpu holds one by one: what is left are joints of tensors.
  const onGpu = SEEDS.indexOf(seed) < 4 ? (['merged', 'split'] as const) : (['merged'] as const)
  test.each(onGpu)('%s on WGSL is what the interpreter says', async (style) => {
    // Float32 through a dozen layers of small batches, whose normalization amplifies rounding; then four updates.
    expectAlike(await trace(text, style, gpu), merged, 2e-3, 1e-2)
  })

  test.each([['merged', 1], ['merged', 2], ['split', 1], ['split', 2]] as const)(
    '%s in WebAssembly by %i threads is what the interpreter says',
    async (style, threads) => {
      expectAlike(await trace(text, style, cpus.get(threads)!), merged, 2e-3, 1e-2)
    },
  )
})

/** Layers that the nets above have not, each in one of these. */
const VARIED = 5
describe.each(Array.from({ length: VARIED }, (_, i) => i))('varied net %i', (seed) => {
  test('WGSL and WebAssembly are what the interpreter says, merged as split', async () => {
    const text = variedNet(seed, VARIED)
    const want = await trace(text, 'split', exact, 1)
    expectAlike(await trace(text, 'merged', exact, 1), want, 1e-9, 1e-8)
    for (const device of [gpu, cpus.get(2)!]) expectAlike(await trace(text, 'merged', device, 1), want, 2e-3, 1e-2)
  })
})
