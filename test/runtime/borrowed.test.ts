import { expect, test } from 'vitest'
import type { InputEntry } from '../../bundle/format.ts'
import { KeptInputs } from '../../runtime/kept-inputs.ts'
import { open } from '../../runtime/open.ts'
import { wasm } from '../../runtime/wasm/device.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'
import { wasmFixture } from './wasm-fixture.ts'

/** Arrays that are handed in are the caller's again when the call returns. */

test('a camera loop that writes into one array and does not wait', async () => {
  const device = await wasm({ threads: 1 })
  const net = await open(wasmFixture(), { device, batch: 1 })
  const frame = new Float32Array(4)
  for (let round = 0; round < 3; round++) {
    const answers = [1, 2, 3, 4, 5].map((k) => {
      const answer = net.run({ x: frame.fill(k) })
      frame.fill(NaN)
      return answer
    })
    expect((await Promise.all(answers)).map(({ y }) => y![0])).toEqual([16, 32, 48, 64, 80])
  }
  net.close()
  device.close()
})

test('also in float64, where lists and bytes are given, and behind other work', async () => {
  const net = await open(fixture(), { device: new FakeDevice(), batch: 1 })
  const list = [1, 2, 3]
  const waiting = [net.parameters(), net.run({ x: list })] as const
  list.fill(9)
  const more = Float64Array.of(4, 5, 6)
  const last = net.run({ x: more })
  more.fill(9)
  expect([...(await waiting[1])['y']!]).toEqual([0.5, 1, 1.5])
  expect([...(await last)['y']!]).toEqual([2, 2.5, 3])
})

test('labels cannot be changed behind their check', async () => {
  const net = await open(fixture(), { device: new FakeDevice(), batch: 2 })
  const x = Float32Array.of(1, 2, 3, 4, 5, 6)
  const want = await net.step({ x, label: [0, 2] }, { update: false })
  for (const label of [Int32Array.of(0, 2), Uint8Array.of(0, 2), [0, 2], new Int32Array(new SharedArrayBuffer(8))]) {
    label[1] = 2
    const [first, second] = [0, 1].map(() => {
      const step = net.step({ x, label }, { update: false })
      label.fill(99)
      const result = step.then(({ loss }) => loss)
      label[0] = 0
      label[1] = 2
      return result
    })
    expect([await first, await second]).toEqual([want.loss, want.loss])
  }
})

test('every batch of an update is taken when the call is made, and checked before any of them runs', async () => {
  const run = async (spoil: boolean): Promise<number[]> => {
    const device = new FakeDevice()
    const net = await open(fixture({ accumulate: 2 }), { device, batch: 1 })
    const parts = [0, 1].map((k) => ({ x: Float32Array.of(1 + k, 2, 3), label: Int32Array.of(k) }))
    const steps = [0, 1].map(() => {
      const step = net.trainStep(parts)
      if (spoil)
        parts.forEach(({ x, label }) => {
          x.fill(7)
          label.fill(2)
        })
      else return step
      parts.forEach(({ x, label }, k) => {
        x.set([1 + k, 2, 3])
        label.fill(k)
      })
      return step
    })
    await expect(net.trainStep([parts[0]!, { ...parts[1]!, label: Int32Array.of(3) }])).rejects.toThrow(/label 3/)
    expect((await Promise.all(steps)).map((s) => s.step)).toEqual([1, 2])
    expect(device.log.filter((line) => line === 'accumulate@1')).toHaveLength(2)
    return [...(await net.parameters()).get('w')!.data as Float64Array]
  }
  expect(await run(true)).toEqual(await run(false))
})

test('of an update whose first batch fails, none is made', async () => {
  const device = new FakeDevice()
  const net = await open(fixture({ accumulate: 2 }), { device, batch: 1 })
  const part = { x: [1, 2, 3], label: [0] }
  device.fail = 'lost'
  const failed = net.trainStep([part, part])
  await expect(failed).rejects.toThrow('lost')
  device.fail = undefined
  expect(net.steps).toBe(0)
})

test('what waits is held in the same arrays again and again', () => {
  const kept = new KeptInputs()
  const input: InputEntry = { name: 'x', type: 'f32', shape: ['n', 3] }
  const given = Float32Array.of(1, 2, 3)
  const first = kept.keep(new Map([[input, { data: given, borrowed: true }]]))
  expect(first.get(input)!.data).not.toBe(given)
  kept.release(first)
  const second = kept.keep(new Map([[input, { data: Float32Array.of(4, 5, 6), borrowed: true }]]))
  expect(second.get(input)!.data).toBe(first.get(input)!.data)
  expect([...second.get(input)!.data]).toEqual([4, 5, 6])
  // Of another kind or length: another array.
  kept.release(second)
  expect(kept.keep(new Map([[input, { data: Float64Array.of(1, 2, 3), borrowed: true }]])).get(input)!.data).toBeInstanceOf(Float64Array)
})

test('parameters and snapshots are copied when the call is made', async () => {
  const net = await open(fixture(), { device: new FakeDevice(), batch: 1 })
  for (const data of [Float32Array.of(1, 2, 3), Float64Array.of(1, 2, 3), Int32Array.of(1, 2, 3), Uint8Array.of(1, 2, 3)]) {
    const set = net.setParameters({ w: { shape: [3], data } }, { strict: false })
    data.fill(9)
    await set
    expect([...(await net.parameters()).get('w')!.data]).toEqual([1, 2, 3])
  }
  const snapshot = await net.snapshot()
  const restored = net.restore(snapshot)
  for (const { data } of snapshot.tensors.values()) (data as Float64Array).fill(9)
  await restored
  expect([...(await net.parameters()).get('w')!.data]).toEqual([1, 2, 3]) // And what is given out is no view of what is inside.
  ;((await net.parameters()).get('w')!.data as Float64Array).fill(9)
  expect([...(await net.run({ x: [1, 1, 1] }))['y']!]).toEqual([2, 4, 6])
})

test('steps that were asked for behind a restore are steps of what was restored', async () => {
  const device = new FakeDevice()
  const net = await open(fixture(), { device, batch: 1 })
  const { tensors } = await net.snapshot()
  const part = { x: [1, 2, 3], label: [0] }
  void net.restore({ step: 7, seed: 3, tensors })
  expect((await net.trainStep(part)).step).toBe(8)
  expect(device.scalars.at(-1)).toMatchObject({ step: 7, seed: 3 })
})
