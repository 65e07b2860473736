import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, CompileError, interpreter } from '../../compiler/index.ts'
import { arrays, type Device, type Net, open, type TensorData, wasm, webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { labels, normals } from '../support/random-net.ts'
import { targetsOf } from '../support/targets.ts'

/** Training with stored statistics: what is normalized is what evaluation normalizes, gradients are those of that, and nothing that is stored moves. */

const exact = interpreter()
const devices: Device[] = []
beforeAll(async () => {
  devices.push(await wasm({ threads: 2 }), await webgpu({ gpu: await softwareGpu() }))
})
afterAll(() => {
  for (const device of devices) device.close()
})

const GLOBAL = ['gradients/global', 'step/global', 'train/global'] as const
/** A bias in front of normalization, Caffe's spelling, an inner product that is normalized, two layers of one file's policy. */
const netOf = (stats: string, train = ''): string => `
net small {
  input x: f32[2, 5, 5]
  input label: class[3]
  a = x -> conv(3, 3) as c -> batch_norm(stats: ${stats}, eps: 1e-3) as b -> tanh
  d = a -> conv(4, 2) as e -> batch_norm(stats: ${stats}, affine: false, eps: 1e-3) as f -> scale as s -> relu
  logits = d -> fc(5) as g -> batch_norm(stats: ${stats}, eps: 1e-3) as h -> fc(3) as i
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
  metric hit = accuracy(logits, label)
}
train { solver sgd(lr: 0.05, momentum: 0.9, weight_decay: 0.01)${train} }`

/** Numbers for all parameters, none of them where it starts; variances and counts positive. */
function set({ manifest }: Pick<Net, 'manifest'>): Map<string, TensorData> {
  return new Map(manifest.parameters.map(({ name, shape }, i) => {
    const count = shape.reduce((product, dim) => product * dim, 1)
    const drawn = normals(count, 300 + i)
    const value = (v: number): number => (/running_var|count|scale_factor/.test(name) ? 0.5 + Math.abs(v) : 0.5 * v)
    return [name, { shape, type: 'f32', data: Float32Array.from(drawn, value) }]
  }))
}
const inputs = (batch: number, seed = 1) => ({ x: normals(50 * batch, seed), label: labels(batch, 3, seed + 50) })

async function opened(
  text: string,
  device: Device,
  options: { batch: number; style?: 'merged' | 'split'; programs?: readonly string[] },
): Promise<Net> {
  const programs = options.programs ?? [...GLOBAL, 'eval']
  const net = await open(compile(text, { style: options.style, targets: targetsOf(device), programs: [...programs, 'infer'] }), {
    device,
    batch: options.batch,
    programs,
  })
  await net.setParameters(set(net))
  return net
}
const valuesOf = async (net: Net): Promise<Map<string, number[]>> =>
  new Map([...await net.parameters()].map(([name, { data }]) => [name, Array.from(data as Float32Array)]))
const isStored = (name: string): boolean => /running_|count|scale_factor/.test(name)

const POLICIES = ['moving(newest: 0.9)', 'cumulative', 'caffe(fraction: 0.9)', 'global', 'global(scale_factor: true)']

describe.each(POLICIES)('%s', (stats) => {
  test.each(['merged', 'split'] as const)('%s: gradients are the slopes of what evaluation computes', async (style) => {
    // A file whose layers all say global has no other training.
    const net = await opened(netOf(stats), exact, { batch: 2, style, programs: ['gradients/global', 'eval'] })
    const given = inputs(2)
    const { grads, loss } = await net.step(given, { update: false, stats: 'global' })
    const evaluated = async (parameters: Map<string, TensorData>, x = given.x): Promise<number> => {
      await net.setParameters(parameters)
      return (await net.evaluate(
        arrays({ x: { shape: [2, 5, 5], type: 'f32', data: x }, label: { shape: [], type: 'i32', data: given.label } }),
      )).loss!
    }
    const at = set(net)
    expect(loss).toBeCloseTo(await evaluated(at), 9)
    const step = 2 ** -12
    for (const { name, trainable } of net.manifest.parameters) {
      if (!trainable) {
        expect(grads[name]).toBeUndefined()
        continue
      }
      const { data, ...rest } = at.get(name)!
      for (const i of new Set([0, data.length - 1])) {
        const moved = async (by: number): Promise<number> => {
          const values = Float64Array.from(data as Float32Array)
          values[i]! += by
          return evaluated(new Map([...at, [name, { ...rest, data: values }]]))
        }
        const slope = (await moved(step) - await moved(-step)) / (2 * step)
        expect(Math.abs(grads[name]![i]! - slope), `${name}[${i}]: ${grads[name]![i]} for ${slope}`).toBeLessThan(2e-6)
      }
    }
    const nudged = (by: number): Float32Array => given.x.map((v, i) => (i === 7 ? v + by : v))
    const slope = (await evaluated(at, nudged(step)) - await evaluated(at, nudged(-step))) / (nudged(step)[7]! - nudged(-step)[7]!)
    expect(grads['x']![7]).toBeCloseTo(slope, 5)
    expect(Math.abs(grads['c.bias']![0]!), 'a bias in front has a gradient').toBeGreaterThan(1e-4)
  })
})

test.each(['merged', 'split'] as const)(
  '%s: every device takes the step that the interpreter takes, at batch 1 too; what is stored keeps its bits',
  async (style) => {
    for (const batch of [1, 5]) {
      const outcome = async (
        device: Device,
      ): Promise<{ values: Map<string, number[]>; grads: Record<string, ArrayLike<number>>; losses: number[] }> => {
        const net = await opened(netOf('caffe(fraction: 0.9)'), device, { batch, style })
        const before = await valuesOf(net)
        const { loss, grads } = await net.step(inputs(batch), { stats: 'global' })
        const second = await (await net.trainStep(inputs(batch, 2), { stats: 'global' })).loss
        const values = await valuesOf(net)
        for (const [name, was] of before) {
          if (isStored(name)) expect(values.get(name), name).toEqual(was)
          else expect(values.get(name), name).not.toEqual(was)
        }
        net.close()
        return { values, grads, losses: [loss, second] }
      }
      const want = await outcome(exact)
      for (const device of devices) {
        const got = await outcome(device)
        const close = (what: string, a: ArrayLike<number>, b: ArrayLike<number>): void => {
          const scale = Math.max(1e-2, ...Array.from(b, Math.abs))
          expect(Math.max(...Array.from(b, (v, i) => Math.abs(a[i]! - v))) / scale, `${what} on ${device.name}, batch ${batch}`)
            .toBeLessThan(2e-5)
        }
        close('losses', got.losses, want.losses)
        for (const name of Object.keys(want.grads)) close(`grad/${name}`, got.grads[name]!, want.grads[name]!)
        for (const [name, values] of want.values) close(name, got.values.get(name)!, values)
      }
    }
  },
)

test('batches that are added up are one batch: with stored statistics no sample sees another', async () => {
  const parts = [inputs(2, 1), inputs(2, 2), inputs(2, 3)]
  const summed = await opened(netOf('moving', ' accumulate 3'), exact, { batch: 2, programs: ['train/global', 'accumulate/global'] })
  await summed.trainStep(parts, { stats: 'global' })
  const whole = await opened(netOf('moving'), exact, { batch: 6, programs: ['train/global'] })
  await whole.trainStep({
    x: Float32Array.from(parts.flatMap(({ x }) => [...x])),
    label: Int32Array.from(parts.flatMap(({ label }) => [...label])),
  }, { stats: 'global' })
  const want = await valuesOf(whole)
  for (const [name, values] of await valuesOf(summed))
    values.forEach((v, i) => expect(v, `${name}[${i}]`).toBeCloseTo(want.get(name)![i]!, 9))
})

/** Three kinds of pictures that differ in where they are bright, each with noise of its own. */
function pictures(count: number, seed: number): { x: Float32Array; label: Int32Array } {
  const label = Int32Array.from({ length: count }, (_, i) => i % 3)
  return { x: normals(50 * count, seed).map((v, i) => 0.5 * v + (i % 50 % 3 === label[Math.floor(i / 50)] ? 1 : 0)), label }
}
const dataset = ({ x, label }: { x: Float32Array; label: Int32Array }) =>
  arrays({ x: { shape: [2, 5, 5], type: 'f32', data: x }, label: { shape: [], type: 'i32', classes: 3, data: label } })

test('twenty steps of one sample each unlearn nothing', async () => {
  const [device] = devices as [Device]
  const bundle = compile(netOf('moving(newest: 0.1)'), { targets: ['wasm'], programs: ['default', 'step/global', 'train/global'] })
  const net = await open(bundle, { device, batch: 30, seed: 4 })
  for await (const _ of net.train(dataset(pictures(300, 8)), { epochs: 4 }));
  const unseen = dataset(pictures(300, 9))
  const before = await net.evaluate(unseen)
  expect(before.metrics['hit']).toBeGreaterThan(0.95)
  const one = await open(await net.save(), { device, batch: 1, programs: ['step/global', 'eval'] })
  const examples = pictures(20, 10)
  for (let i = 0; i < 20; i++)
    await one.step({ x: examples.x.slice(50 * i, 50 * (i + 1)), label: examples.label.slice(i, i + 1) }, { stats: 'global', rate: 0.05 })
  expect((await one.evaluate(unseen)).metrics['hit']).toBeGreaterThan(before.metrics['hit']! - 0.01)
  net.close()
  one.close()
})

test('train goes over a dataset; a snapshot of such a training has its histories', async () => {
  const [device] = devices as [Device]
  const options = { device, batch: 4, programs: ['train/global'] }
  const bundle = compile(netOf('cumulative'), { targets: ['wasm'], programs: ['train/global', 'eval', 'infer'] })
  const data = dataset(pictures(24, 3))
  const step = (net: Net, seed: number) => net.trainStep(inputs(4, seed), { stats: 'global' })
  const whole = await open(bundle, options)
  const stored = await valuesOf(whole)
  for await (const _ of whole.train(data, { epochs: 1, stats: 'global' }));
  const { steps } = whole
  expect(steps).toBe(6)
  for (const [name, was] of await valuesOf(whole)) (isStored(name) ? expect(was, name) : expect(was, name).not).toEqual(stored.get(name))
  const again = await open(bundle, options)
  await again.restore(await whole.snapshot())
  for (const net of [whole, again]) for (const seed of [8, 9]) await step(net, seed)
  expect(await valuesOf(again)).toEqual(await valuesOf(whole))
  whole.close()
  again.close()
})

describe('what a bundle holds', () => {
  const programsOf = (text: string, programs?: readonly string[]): string[] =>
    Object.keys(compile(text, { targets: ['wasm'], ...(programs && { programs }) }).manifest.plans['wasm']!.programs).sort()
  test('these programs where they are asked for alone, beside the usual ones or without', () => {
    const usual = programsOf(netOf('moving'))
    expect(usual.filter((name) => name.includes('global'))).toEqual([])
    expect(programsOf(netOf('moving'), ['default', 'step/global'])).toEqual([...usual, 'step/global'].sort())
    expect(programsOf(netOf('moving'), ['train/global'])).toEqual(['train/global'])
    expect(programsOf(netOf('moving', ' accumulate 2'), ['train/global'])).toEqual(['accumulate/global', 'train/global'])
  })
  test("a net that normalizes with no batch's statistics takes the plain step, and is told no other", async () => {
    for (const text of [netOf('global'), 'net n { input x: f32[3] loss = sum(x -> fc(2)) } train { solver sgd(lr: 0.1) }']) {
      expect(programsOf(text, ['step/global'])).toEqual(['step'])
      const net = await open(compile(text, { targets: ['wasm'] }), { device: devices[0]!, batch: 1, programs: ['step/global'] })
      const values: Record<string, Float32Array | Int32Array> = text === netOf('global') ? inputs(1) : { x: Float32Array.of(1, 2, 3) }
      expect((await net.step(values, { stats: 'global' })).loss).toBeTypeOf('number')
      net.close()
    }
  })
  test('layers that keep no statistics are named', () => {
    const refused = (): unknown => {
      try {
        return compile(netOf('batch'), { programs: ['default', 'train/global'] })
      } catch (error) {
        return error
      }
    }
    const error = refused() as CompileError
    expect(error).toBeInstanceOf(CompileError)
    expect(error.diagnostics.filter(({ severity }) => severity === 'error').map(({ code }) => code)).toEqual([
      'program/no-statistics',
      'program/no-statistics',
      'program/no-statistics',
    ])
    expect(error.diagnostics.find(({ severity }) => severity === 'error')!.message).toBe(
      'b keeps no statistics (stats: batch), so it cannot be trained with stored ones: train/global',
    )
  })
  test('a bundle without plans keeps its programs', async () => {
    const bundle = compile(netOf('moving'), { targets: [], programs: ['step/global'] })
    const net = await open(bundle, { device: exact, batch: 2 })
    await net.setParameters(set(net))
    expect((await net.step(inputs(2), { stats: 'global' })).loss).toBeGreaterThan(0)
    await expect(net.run({ x: inputs(2).x })).rejects.toThrow('infer')
    net.close()
  })
  test('a bundle without them says what to compile', async () => {
    const [device] = devices as [Device]
    const bundle = compile(netOf('moving'), { targets: ['wasm'] })
    await expect(open(bundle, { device, programs: ['train/global'] })).rejects.toThrow(
      "no program train/global: compile it with programs: ['default', 'train/global'] (fusenet compile small.net --programs default,train/global -o small)",
    )
    const net = await open(bundle, { device, batch: 1 })
    await expect(net.step(inputs(1), { stats: 'global' })).rejects.toThrow(
      "no program step/global: compile it with programs: ['default', 'step/global']",
    )
    await expect(net.step(inputs(1), { stats: 'globel' as 'global' })).rejects.toThrow(
      "step: stats \"globel\": 'batch' or 'global' is wanted",
    )
    await expect(net.train(dataset(pictures(6, 1)), { stats: 'global' }).next()).rejects.toThrow('no program train/global')
    net.close()
    const kept = await open(compile(netOf('batch'), { targets: ['wasm'] }), { device, batch: 2 })
    await expect(kept.step(inputs(2), { stats: 'global' })).rejects.toThrow(
      'b keeps no statistics (stats: batch) that could be trained with',
    )
    kept.close()
  })
})

/** A bias in front of a normalization has a gradient with stored statistics, and none with the batch's: there it moves values and their mean alike. */
describe.each(['merged', 'split'] as const)('%s: a step with stored statistics leaves nothing to one with the batch’s', (style) => {
  const programs = [...GLOBAL, 'gradients', 'step', 'train']
  const cancelled = ['c.bias', 'e.bias', 'g.bias']
  const text = netOf('moving').replace('weight_decay: 0.01', 'clip_gradients: 0.5')

  test.each([0, 1, 2])('on each device (%i)', async (which) => {
    const device = [exact, ...devices][which]!
    const net = await opened(text, device, { batch: 3, style, programs })
    const plain = await opened(text, device, { batch: 3, style, programs })
    const given = inputs(3)
    const { grads } = await net.step(given, { update: false, stats: 'global' })
    for (const name of cancelled) expect(Math.max(...Array.from(grads[name]!, Math.abs)), name).toBeGreaterThan(1e-3)
    const batch = await net.step(given, { update: false })
    for (const name of cancelled) expect(Math.max(...Array.from(batch.grads[name]!, Math.abs)), name).toBeLessThan(1e-5)
    // Nor does what is not finite stay there, and clipping counts what is there.
    await net.step({ ...given, x: given.x.map(() => NaN) }, { update: false, stats: 'global' })
    for (const each of [net, plain]) await (await each.trainStep(given)).loss
    expect(await valuesOf(net)).toEqual(await valuesOf(plain))
    for (const each of [net, plain]) each.close()
  })
})
