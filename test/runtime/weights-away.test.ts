import { afterAll, expect, test } from 'vitest'
import { compile } from '../../compiler/compile.ts'
import { interpreter } from '../../compiler/interpreter-device.ts'
import type { TensorData } from '../../bundle/format.ts'
import { open, wasm } from '../../runtime/index.ts'
import type { Net } from '../../runtime/net-api.ts'
import { ValuesAway } from '../../runtime/wasm/away.ts'

/*
 * A net that infers alone reads most of its parameters as `prepare` has packed them: they stay out of its memory, and all that asks for them gets them all
 * the same. A layer whose weight is not packed reads a part of the same buffer.
 */
const text = `
net away {
  input x: f32[8, 8, 8]
  input label: class[5]
  y = x -> conv(16, 3, pad: 1) -> batch_norm -> relu -> conv(16, 3, pad: 1) -> relu -> scale
  scores = y -> global_avg_pool -> flatten -> fc(5)
  output out = scores
  output map = y
  loss = softmax_loss(scores, label)
}
train { solver sgd(lr: 0.1) }`
const bundle = compile(text, { targets: ['wasm'] })
const devices = await Promise.all([1, 2].map((threads) => wasm({ threads })))
afterAll(() => devices.forEach((device) => device.close()))

const image = Float32Array.from({ length: 2 * 512 }, (_, i) => Math.sin(i))
const inferring = (device: (typeof devices)[number], given = bundle): Promise<Net> =>
  open(given, { device, batch: 2, seed: 5, programs: ['infer'] })
const valuesOf = async (net: Net): Promise<Map<string, readonly number[]>> =>
  new Map([...await net.parameters()].map(([name, { data }]) => [name, Array.from(data as Float32Array)]))
const outOf = async (net: Net): Promise<readonly number[]> => {
  const { out, map } = await net.run({ x: image })
  return [...out as Float32Array, ...map as Float32Array]
}

test.each(devices.map((device, i) => [i + 1, device] as const))(
  'a net that infers alone gives the same bits, %i threads',
  async (_, device) => {
    const [all, alone] = [await open(bundle, { device, batch: 2, seed: 5 }), await inferring(device)]
    expect(await outOf(alone)).toEqual(await outOf(all))
    expect(await valuesOf(alone)).toEqual(await valuesOf(all))
    // Some parameters, all of them, a snapshot, a fresh start: each is followed, before and after a run.
    const some = (factor: number): Map<string, TensorData> => {
      const [[name, { shape, data }]] = [...weights].filter(([n]) => n.includes('conv_2') && n.endsWith('weight')) as [[string, TensorData]]
      return new Map([[name, { shape, type: 'f32', data: Float32Array.from(data as Float32Array, (v) => factor * v) }]])
    }
    const weights = await all.parameters()
    const snapshot = await alone.snapshot()
    const before = await outOf(alone)
    for (const net of [all, alone]) await net.setParameters(some(3), { strict: false })
    expect(await outOf(alone)).toEqual(await outOf(all))
    expect(await outOf(alone)).not.toEqual(before)
    expect(await valuesOf(alone)).toEqual(await valuesOf(all))
    await alone.restore(snapshot)
    expect(await outOf(alone)).toEqual(before)
    for (const net of [all, alone]) await net.reset(9)
    expect(await outOf(alone)).toEqual(await outOf(all))
    const saved = await inferring(device, await alone.save())
    expect(await outOf(saved)).toEqual(await outOf(alone))
    for (const net of [all, alone, saved]) net.close()
  },
)

test('it needs less memory; a net that trains has its parameters and statistics in memory, and they follow', async () => {
  const [device] = devices
  const bytes: number[] = []
  for (const programs of [['infer'], ['infer', 'step']]) {
    const session = await device!.load(bundle, 2, programs)
    bytes.push(session.allocatedBytes)
    expect(session.lend === undefined).toBe(programs.length === 2)
    session.close()
  }
  expect(bytes[0]).toBeLessThan(bytes[1]!)
  const net = await open(bundle, { device: device!, batch: 2, seed: 5, programs: ['infer', 'step'] })
  const before = await valuesOf(net)
  await net.step({ x: image, label: Int32Array.of(0, 1) })
  const after = await valuesOf(net)
  for (const name of after.keys()) if (!/conv_1.bias|norm_1.beta/.test(name)) expect(after.get(name)).not.toEqual(before.get(name))
  net.close()
})

test('arrays of a bundle that is handed in may change: the net keeps what it was given', async () => {
  const weights = await (await open(bundle, { device: interpreter(), batch: 2, seed: 7 })).parameters()
  const own = new Map(
    [...weights].map(([name, t]) => [name, { shape: t.shape, type: 'f32' as const, data: Float32Array.from(t.data as Float64Array) }]),
  )
  const net = await inferring(devices[0]!, { ...bundle, weights: own })
  const [before, values] = [await outOf(net), await valuesOf(net)]
  for (const { data } of own.values()) data.fill(0)
  await net.setParameters(new Map(), { strict: false })
  expect(await outOf(net)).toEqual(before)
  expect(await valuesOf(net)).toEqual(values)
  net.close()
})

test('values that are away are what was written last, however it was cut', () => {
  const values = new ValuesAway()
  const all = (): number[] => {
    const into = new Float32Array(8).fill(9)
    values.copy(0, into)
    return [...into]
  }
  const first = Float32Array.of(1, 2, 3)
  values.set(2, first)
  expect(all()).toEqual([0, 0, 1, 2, 3, 0, 0, 0])
  values.set(3, Float32Array.of(7))
  expect(all()).toEqual([0, 0, 1, 7, 3, 0, 0, 0])
  expect([...first]).toEqual([1, 2, 3])
  values.set(4, Float32Array.of(4, 5, 6))
  expect(all()).toEqual([0, 0, 1, 7, 4, 5, 6, 0])
  values.set(0, new Float32Array(8).fill(2))
  expect(all()).toEqual(Array(8).fill(2))
})
