import { describe, expect, test } from 'vitest'
import { DeviceError } from '../../bundle/device.ts'
import { arrays, part } from '../../runtime/data/dataset.ts'
import type { LocalNet } from '../../runtime/net.ts'
import { openLocal as open } from '../../runtime/open.ts'
import type { OpenOptions } from '../../runtime/open-options.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture, type FixtureOptions } from './fixture.ts'

const opened = async (
  options: FixtureOptions = {},
  { batch = 4 }: Partial<OpenOptions> = {},
): Promise<{ net: LocalNet; device: FakeDevice }> => {
  const device = new FakeDevice()
  return { device, net: await open(fixture(options), { device, batch }) }
}
const samples = (count: number) =>
  arrays({
    x: { shape: [3], type: 'f32', data: Float32Array.from({ length: 3 * count }, (_, i) => ((i * 7) % 11) / 4) },
    label: { shape: [], type: 'i32', classes: 3, data: Int32Array.from({ length: count }, (_, i) => (i * 5) % 3) },
  })
const x = Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
const label = Int32Array.of(0, 1, 2, 0)
const w = (value: number) => new Map([['w', { shape: [3], type: 'f32' as const, data: Float32Array.of(value, value, value) }]])

describe('evaluate', () => {
  test.each([1, 3, 4, 5, 8, 11])('is exact over %s samples at batch 4', async (count) => {
    const data = samples(count)
    const { net } = await opened()
    const got = await net.evaluate(data)
    const { net: whole } = await opened({}, { batch: count })
    const want = await whole.evaluate(data)
    expect(got.count).toBe(count)
    expect(got.loss).toBeCloseTo(want.loss!, 12)
    expect(got.metrics['hit']).toBeCloseTo(want.metrics['hit']!, 12)
    expect(Object.keys(got.metrics)).toEqual(['loss', 'hit'])
  })

  test('the last samples see the parameters of now', async () => {
    const { net } = await opened()
    const data = samples(6)
    await net.evaluate(data)
    await net.setParameters(new Map([['w', { shape: [3], type: 'f32', data: Float32Array.of(1, 1, 1) }]]), { strict: false })
    const rest = await net.evaluate(part(data, 4, 6))
    const { net: small } = await opened({ initializer: { kind: 'constant', value: 1 } }, { batch: 2 })
    expect(rest.loss).toBe((await small.evaluate(part(data, 4, 6))).loss)
  })
})

describe('an evaluation that is not awaited', () => {
  test('leaves others alone, whatever is left over of a batch', async () => {
    const { net } = await opened()
    const sets = [5, 6, 11, 4, 6, 3].map(samples)
    const each = []
    for (const data of sets) each.push(await net.evaluate(data))
    expect(await Promise.all(sets.map((data) => net.evaluate(data)))).toEqual(each)
  })

  test.each(['trainStep', 'step', 'setParameters', 'reset', 'restore'] as const)(
    'is of the parameters before the %s behind it',
    async (name) => {
      const { net } = await opened()
      await net.trainStep({ x, label })
      const data = samples(14)
      const now = await net.evaluate(data)
      const snapshot = await net.snapshot()
      await net.setParameters(w(3), { strict: false })
      const other = await net.evaluate(data)
      expect(now.loss).not.toBe(other.loss)
      const calls = {
        trainStep: () => net.trainStep({ x, label }),
        step: () => net.step({ x, label }),
        setParameters: () => net.setParameters(w(5), { strict: false }),
        reset: () => net.reset(),
        restore: () => net.restore(snapshot),
      }
      const [evaluated, , answer] = await Promise.all([net.evaluate(data), calls[name](), net.run({ x })])
      expect(evaluated).toEqual(other)
      // Behind the change others see it.
      expect(answer).toEqual(await net.run({ x }))
      expect((await net.evaluate(data)).loss).not.toBe(other.loss)
    },
  )

  test('lets others infer meanwhile', async () => {
    const { net, device } = await opened()
    const done: string[] = []
    const evaluated = net.evaluate(samples(40), { onProgress: (count) => done.push(`evaluated ${count}`) })
    const { y } = await net.run({ x })
    done.push('run')
    await evaluated
    expect([...y!]).toEqual([...x].map((v) => v * 0.5))
    expect(done.indexOf('run')).toBeLessThan(done.indexOf('evaluated 40'))
    expect(device.log.filter((line) => line === 'infer').length).toBe(1)
  })

  test('fails with the net that is closed, and so does what waits for it', async () => {
    const { net } = await opened()
    const calls = [net.evaluate(samples(9)), net.trainStep({ x, label }), net.run({ x }), net.evaluate(samples(5))]
    net.close()
    for (const { status, reason } of (await Promise.allSettled(calls)) as { status: string; reason?: unknown }[]) {
      expect(status).toBe('rejected')
      expect(reason).toBeInstanceOf(DeviceError)
    }
  })

  test('that fails holds nothing back', async () => {
    const { net, device } = await opened()
    device.fail = 'lost'
    const evaluated = net.evaluate(samples(9))
    const step = net.trainStep({ x, label })
    await expect(evaluated).rejects.toThrow('lost')
    await expect(step).rejects.toThrow('lost')
    device.fail = undefined
    await expect(net.trainStep({ x, label })).resolves.toHaveProperty('step', 1)
  })
})
