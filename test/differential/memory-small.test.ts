import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, inspect, interpreter } from '../../compiler/index.ts'
import { type Device, type Memory, open, type Style, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { BATCH, EVERYTHING } from '../support/everything-net.ts'
import { labels, normals, randomNet } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

/** What a net computes again to save memory is what it would have kept: on all devices, in both styles. `test/plan/rematerialize.test.ts` asks what that is. */
const STEPS = 2
const PROGRAMS = ['gradients', 'train']

const withBatch = (text: string): string => text.replace('train {', `train {\n  batch ${BATCH}\n`)

/** What a step gives without an update, and what two steps leave. */
async function trace(text: string, style: Style, memory: Memory, device: Device): Promise<Map<string, ArrayLike<number>>> {
  const bundle = compile(text, { style, memory, targets: targetsOf(device), programs: PROGRAMS })
  const net = await open(bundle, { device, batch: BATCH, seed: 7, programs: PROGRAMS })
  try {
    const [image, label] = bundle.manifest.inputs
    const size = image!.shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1)
    const inputs = (k: number) => ({ image: normals(BATCH * size, 100 + k), label: labels(BATCH, label!.classes!, 200 + k) })
    const { outputs, grads } = await net.step(inputs(0), { update: false })
    const losses: number[] = []
    for (let k = 0; k < STEPS; k++) losses.push(await (await net.trainStep(inputs(k))).loss)
    return new Map<string, ArrayLike<number>>([
      ...Object.entries(outputs),
      ...Object.entries(grads).map(([name, values]) => [`grad/${name}`, values] as const),
      ['losses', losses],
      ...[...await net.parameters()].map(([name, { data }]) => [`new/${name}`, data as Float32Array] as const),
    ])
  } finally {
    net.close()
  }
}

/**
 * Largest difference in units of the tensor's scale, by name. The scale of a mean is that of the values that it is the mean of: their deviation,
 * where the mean itself is near 0.
 */
function distances(got: ReadonlyMap<string, ArrayLike<number>>, want: ReadonlyMap<string, ArrayLike<number>>): Map<string, number> {
  return new Map([...want].map(([name, values]) => {
    const other = got.get(name)!
    const variance = name.endsWith('running_mean') ? want.get(name.replace(/mean$/, 'var'))! : []
    const scale = Math.max(1e-3, ...Array.from(values, Math.abs), ...Array.from(variance, Math.sqrt))
    return [name, Math.max(0, ...Array.from(values, (v, i) => Math.abs(other[i]! - v) / scale))]
  }))
}

/** What is further off than it may be. */
function apart(found: ReadonlyMap<string, number>, allowed: (name: string) => number): string[] {
  return [...found].flatMap(([name, distance]) =>
    distance <= allowed(name) ? [] : [`${name} is off by ${distance.toExponential(1)} of its scale`]
  )
}

describe('memory small gives what memory fast gives', () => {
  const exact = interpreter()
  let gpu: Device
  let cpu: Device
  beforeAll(async () => {
    gpu = await webgpu({ gpu: await softwareGpu() })
    cpu = await wasm({ threads: 2 })
  })
  afterAll(() => {
    for (const device of [exact, gpu, cpu]) device.close()
  })

  const nets: [string, string][] = [
    ['everything', EVERYTHING],
    ...[2].map((seed): [string, string] => [`random net ${seed}`, withBatch(randomNet(seed))]),
  ]
  describe.each(['merged', 'split'] as const)('%s', { timeout: 300_000 }, (style) => {
    test.each(nets)('%s: something is computed again, and in float64 all is the same to the last bit', async (_, text) => {
      expect(inspect(text, { style, memory: 'small', batch: BATCH, programs: ['train'] }).programs['train']!.kernels.some((k) => k.again))
        .toBe(true)
      expect(apart(distances(await trace(text, style, 'small', exact), await trace(text, style, 'fast', exact)), () => 0)).toEqual([])
    })

    // What runs again gathers no statistics, so it may be tiled otherwise: rounding of float32, through two steps. It is no further from
    // float64 than what is kept; a gradient that is 0 in exact arithmetic is nothing but rounding either way.
    test.each(nets)('%s in WebAssembly, to rounding', async (_, text) => {
      const want = await trace(text, style, 'fast', exact)
      const kept = distances(await trace(text, style, 'fast', cpu), want)
      expect(apart(distances(await trace(text, style, 'small', cpu), want), (name) => Math.max(1e-4, 2 * kept.get(name)!))).toEqual([])
    })

    // Split has the same kernels, more of them: one style is enough for a software adapter.
    test.runIf(style === 'merged').each(nets.slice(0, 1))('%s on WGSL, to rounding', async (_, text) => {
      expect(apart(distances(await trace(text, style, 'small', gpu), await trace(text, style, 'fast', gpu)), () => 1e-4)).toEqual([])
    })
  })
})
