import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { arrays, type Bundle, type Dataset, type Device, type Net, NonFiniteError, open, type OpenOptions, wasm,
  webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { targetsOf } from '../support/targets.ts'

/** A training meets a number that is none: it stops, says where, and has not written it anywhere. */
const BATCH = 5
const text = (train: string, layers = 'fc(8) as first -> batch_norm as norm -> clip(0, 6) -> fc(2) as last'): string =>
  `net n { input x: f32[4] input t: f32[2] y = x -> ${layers} output out = y loss = squared_loss(y, t) } train { ${train} batch ${BATCH} }`

const devices: Record<string, Device> = { interpreter: interpreter() }
beforeAll(async () => {
  devices['wasm'] = await wasm({ threads: 2 })
  devices['webgpu'] = await webgpu({ gpu: await softwareGpu() })
})
afterAll(() => {
  for (const device of Object.values(devices)) device.close()
})

/** Samples of sines, at `hole` something else. */
function samples(count: number, hole?: { readonly at: number; readonly value: number }): Dataset {
  const x = Float32Array.from({ length: 4 * count }, (_, i) => (i === hole?.at ? hole.value : Math.sin(1.7 * i)))
  return arrays({
    x: { type: 'f32', shape: [4], data: x },
    t: { type: 'f32', shape: [2], data: Float32Array.from({ length: 2 * count }, (_, i) => Math.cos(i)) },
  })
}

const compiled = new Map<string, Bundle>()
async function using<T>(
  device: Device,
  source: string,
  options: OpenOptions & { style?: 'merged' | 'split' },
  work: (net: Net) => Promise<T>,
): Promise<T> {
  const { style = 'merged', ...opened } = options
  const key = `${device.name} ${style} ${source}`
  const bundle = compiled.get(key) ?? compile(source, { style, targets: targetsOf(device), programs: ['infer', 'eval', 'step', 'train'] })
  compiled.set(key, bundle)
  const net = await open(bundle, { device, seed: 3, ...opened })
  try {
    return await work(net)
  } finally {
    net.close()
  }
}

async function endOf(net: Net, data: Dataset, options: Parameters<Net['train']>[1] = {}): Promise<{ losses: number[]; error?: unknown }> {
  const losses: number[] = []
  try {
    for await (const { loss } of net.train(data, options)) losses.push(loss)
    return { losses }
  } catch (error) {
    return { losses, error }
  }
}
const isFinite = async (net: Net): Promise<boolean> =>
  [...(await net.snapshot()).tensors.values()].every(({ data }) => Array.from(data as Float32Array).every(Number.isFinite))

describe.each(['interpreter', 'wasm', 'webgpu'])('on %s', (name) => {
  const device = (): Device => devices[name]!

  test.each(['merged', 'split'] as const)(
    'one NaN among the data, %s',
    (style) =>
      using(device(), text('solver adam(0.01)'), { style }, async (net) => {
        const { losses, error } = await endOf(net, samples(20, { at: 37, value: NaN }), { epochs: 1 })
        expect(error).toBeInstanceOf(NonFiniteError)
        const { step, layer, lastFiniteLoss, rate, message } = error as NonFiniteError
        // The state is that of the updates that were under way, and both are said.
        const { done } = error as NonFiniteError
        expect(done).toBe(net.steps)
        expect(done).toBeGreaterThan(step)
        expect(message).toContain(`training stops at update ${step}`)
        expect(message).toContain(`the net is that of update ${done}`)
        // The losses before are those of the updates before.
        expect(step).toBe(losses.length + 1)
        expect(losses.every(Number.isFinite)).toBe(true)
        expect(lastFiniteLoss).toBe(losses.at(-1))
        expect(rate).toBeCloseTo(0.01, 8)
        expect(layer).toBe('x')
        expect(message).toContain('it shows first in input x')
        expect(await isFinite(net)).toBe(true)
        expect((await net.evaluate(samples(5))).loss).toBeTypeOf('number')
      }),
  )

  test('keepGoing trains on, and a broken update leaves everything as it was', () =>
    using(device(), text('solver adam(0.01)'), {}, async (net) => {
      const broken = samples(5, { at: 7, value: NaN })
      const before = await net.snapshot()
      const { losses, error } = await endOf(net, broken, { steps: 2, keepGoing: true })
      expect(error).toBeUndefined()
      expect(losses).toHaveLength(2)
      expect(net.steps).toBe(2)
      const after = await net.snapshot()
      // All gradients in front of the normalization are NaN, and so are its statistics.
      for (const kept of ['first.weight', 'first.bias', 'norm.running_mean', 'norm.running_var', 'history/history.m/first.weight'])
        expect(after.tensors.get(kept)!.data, kept).toEqual(before.tensors.get(kept)!.data)
      expect(await isFinite(net)).toBe(true)
    }))

  test.each(['reset', 'restore'] as const)(
    'the last finite loss is none of before a %s',
    (way) =>
      using(device(), text('solver sgd(0.01)'), {}, async (net) => {
        const x = Float32Array.from({ length: 4 * BATCH }, (_, i) => Math.sin(i))
        const t = new Float32Array(2 * BATCH)
        const update = async (value?: number) => {
          if (value !== undefined) return (await net.trainStep({ x: x.slice().fill(value), t })).loss
          return (await net.trainStep({ x, t })).loss
        }
        const lastFiniteLoss = async () => ((await update(NaN).catch((error) => error)) as NonFiniteError).lastFiniteLoss
        const start = await net.snapshot()
        const loss = await update()
        expect(await lastFiniteLoss()).toBe(loss)
        // Called and not awaited, it is none of those behind either.
        const before = update()
        await (way === 'reset' ? net.reset() : net.restore(start))
        await before
        expect(await lastFiniteLoss()).toBeUndefined()
        const after = await update()
        expect(await lastFiniteLoss()).toBe(after)
      }),
  )

  // x = 1e20: values are some 1e20, their variance is beyond float32; x / infinity is 0, so that the loss and all gradients are finite.
  test('a variance beyond float32 stops it, though the loss is a number', () =>
    using(device(), text('solver sgd(lr: 0.01)'), {}, async (net) => {
      const wide = arrays({
        x: { type: 'f32', shape: [4], data: Float32Array.from({ length: 20 }, (_, i) => 1e20 * (i % 7)) },
        t: { type: 'f32', shape: [2], data: new Float32Array(10) },
      })
      const { error } = await endOf(net, wide, { steps: 1 })
      if (name === 'interpreter') expect(error).toBeUndefined()
      else {
        expect(error).toBeInstanceOf(NonFiniteError)
        expect((error as NonFiniteError).loss).toBeLessThan(1e6)
        expect((error as NonFiniteError).layer).toBe('norm')
      }
      expect(await isFinite(net)).toBe(true)
    }))

  // x = 1e10: the loss is some 1e20 and the gradient some 1e20, both finite; its square, 1e40, is beyond float32 and not beyond float64.
  test('a norm of gradients beyond float32 is no update of nothing', () =>
    using(device(), text('solver sgd(lr: 1e-25, clip_gradients: 1)', 'fc(2)'), {}, async (net) => {
      const large = arrays({
        x: { type: 'f32', shape: [4], data: new Float32Array(20).fill(1e10) },
        t: { type: 'f32', shape: [2], data: new Float32Array(10) },
      })
      const { losses, error } = await endOf(net, large, { steps: 1 })
      if (name === 'interpreter') expect(losses.every(Number.isFinite) && error === undefined).toBe(true)
      else expect(error).toBeInstanceOf(NonFiniteError)
      expect(await isFinite(net)).toBe(true)
    }))

  test('a rate that is far too high', () =>
    using(device(), text('solver sgd(lr: 3e38)'), {}, async (net) => {
      const { error } = await endOf(net, samples(50), { epochs: 10 })
      // In float64 it takes longer than in float32.
      if (name === 'interpreter') expect(error === undefined || error instanceof NonFiniteError).toBe(true)
      else {
        expect(error).toBeInstanceOf(NonFiniteError)
        expect((error as NonFiniteError).step).toBeLessThan(6)
      }
      expect(await isFinite(net)).toBe(true)
    }))

  test('step counts the elements, and a step without an update does not', () =>
    using(device(), text('solver sgd(0.1)', 'fc(3, bias: false) as only -> fc(2)'), {}, async (net) => {
      const x = Float32Array.from({ length: 4 * BATCH }, (_, i) => i / 10)
      const t = new Float32Array(2 * BATCH)
      expect((await net.step({ x, t })).nonFinite).toBe(0)
      x[6] = Infinity
      // The third feature of the second sample: all gradients of `only` see its sample's gradient, which is not finite.
      const { nonFinite, outputs } = await net.step({ x, t })
      expect(nonFinite).toBeGreaterThanOrEqual(12)
      expect(Object.keys(outputs)).toEqual(['out', 'loss'])
      expect((await net.step({ x: x.fill(1), t })).nonFinite).toBe(0)
    }))
})

describe('where it shows first', () => {
  const placeOf = (layers: string, x: number, device = devices['wasm']!, style: 'merged' | 'split' = 'split'): Promise<NonFiniteError> =>
    using(device, text('solver sgd(0.1)', layers), { style }, async (net) => {
      const values = Float32Array.from({ length: 4 * BATCH }, (_, i) => x * (1 + i / 100))
      return (await net.trainStep({ x: values, t: new Float32Array(2 * BATCH) })).loss.then(() => {
        throw new Error('all was finite')
      }, (error) => error as NonFiniteError)
    })
  test.each(['merged', 'split'] as const)('a layer whose values overflow, %s', async (style) => {
    // 1e30^2 is beyond float32.
    const error = await placeOf('relu as small -> mul(x) as large -> fc(2)', 1e30, devices['wasm']!, style)
    expect(error).toBeInstanceOf(NonFiniteError)
    // The CPU stores what an inner product would compute again for every output.
    expect(error.layer).toBe('large')
    expect(error.loss).not.toSatisfy(Number.isFinite)
    expect(error.lastFiniteLoss).toBeUndefined()
  })
  test('a weight that came so', () =>
    using(devices['wasm']!, text('solver sgd(0.1)'), {}, async (net) => {
      await net.setParameters(new Map([['last.bias', { type: 'f32', shape: [2], data: Float32Array.of(0, NaN) }]]), { strict: false })
      const error = await (await net.trainStep({ x: new Float32Array(4 * BATCH).fill(1), t: new Float32Array(2 * BATCH) })).loss.catch((
        e,
      ) => e)
      expect(error.layer).toBe('last')
      expect(error.message).toContain('parameter last.bias')
    }))
  test('a rate that no float32 holds is refused before it is used', () =>
    using(devices['wasm']!, text('solver sgd(lr: 1e38) schedule exp(gamma: 100)'), {}, async (net) => {
      const { error } = await endOf(net, samples(50), { epochs: 2, keepGoing: true })
      expect((error as Error).message).toContain('the rate of update 2 is 1e+40')
    }))
})
