import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test, vi } from 'vitest'
import { InputError } from '../../bundle/errors.ts'
import { arrays } from '../../runtime/data/dataset.ts'
import type { LocalNet } from '../../runtime/net.ts'
import { decodeSnapshot, encodeSnapshot } from '../../runtime/snapshot.ts'
import type { TrainEvent } from '../../runtime/train-options.ts'
import { collect, label, opened, samples, x } from './opened.ts'

describe('a loop that nobody begins', () => {
  const LOOP = 'net.train is a loop: for await (const { loss } of net.train(data)) {}'
  /** The warnings that a piece of work makes. */
  const warnings = async (work: (net: LocalNet) => Promise<unknown>): Promise<string[]> => {
    const { net } = await opened()
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    try {
      await work(net)
      return warn.mock.calls.map(([text]) => String(text))
    } finally {
      warn.mockRestore()
    }
  }
  const data = samples(8)

  test.each<[string, (net: LocalNet) => unknown]>([
    ['run', (net) => net.run({ x })],
    ['evaluate', (net) => net.evaluate(data)],
    ['save', (net) => net.save()],
    ['parameters', (net) => net.parameters()],
  ])('is told, once, at %s', async (_, use) => {
    expect(
      await warnings(async (net) => {
        await net.train(data)
        await use(net)
        await use(net)
      }),
    ).toEqual([LOOP])
  })

  test.each<[string, (net: LocalNet) => Promise<unknown>]>([
    ['that an async function gives', async (net) => {
      const made = async () => net.train(data, { steps: 2 })
      await collect(await made())
    }],
    ['of an awaited train', async (net) => {
      for await (const { step } of await net.train(data, { steps: 2 })) void step
    }],
    ['that is broken off', async (net) => {
      for await (const { step } of net.train(data)) if (step > 0) break
    }],
    ['that is told to end before it begins', async (net) => net.train(data).return()],
    ['that is under way', async (net) => {
      const loop = net.train(data)
      await loop.next()
      await net.evaluate(data)
      await loop.return()
    }],
  ])('nothing is said of one %s', async (_, work) => {
    expect(
      await warnings(async (net) => {
        await work(net)
        await net.evaluate(data)
        net.close()
      }),
    ).toEqual([])
  })
})

describe('train', () => {
  test('counts from behind calls that were not awaited', async () => {
    const { net } = await opened()
    const step = net.trainStep({ x, label })
    expect((await collect(net.train(samples(8), { steps: 2 }))).map((event) => event.step)).toEqual([2, 3])
    await step
    const reset = net.reset()
    expect((await collect(net.train(samples(8), { steps: 2 }))).map((event) => event.step)).toEqual([1, 2])
    await reset
  })

  test('an event an update, in order, with the loss before it', async () => {
    const { net, device } = await opened()
    const events = await collect(net.train(samples(11), { epochs: 3 }))
    expect(events.map((e) => [e.step, e.steps, e.epoch, e.epochEnd])).toEqual(
      [[1, 6, 0, false], [2, 6, 0, true], [3, 6, 1, false], [4, 6, 1, true], [5, 6, 2, false], [6, 6, 2, true]],
    )
    expect(device.scalars.map((s) => s.step)).toEqual([0, 1, 2, 3, 4, 5])
    expect(device.scalars.every((s) => s.rate === 0.1 && s.seed === 7)).toBe(true)
    expect(events.every((e) => Number.isFinite(e.loss))).toBe(true)
  })

  test('the same with anything under way', async () => {
    const losses = async (ahead: number) =>
      (await collect((await opened()).net.train(samples(40), { ahead, epochs: 2 }))).map((e) => e.loss)
    expect(await losses(0)).toEqual(await losses(8))
  })

  test('one loop at a time: what began goes on, and a loop that was left makes place', async () => {
    const data = samples(40)
    const { net } = await opened()
    const [alone, want] = [await opened(), [] as TrainEvent[]]
    for await (const event of alone.net.train(data, { steps: 6, ahead: 0 })) want.push(event)
    const got: TrainEvent[] = []
    for await (const event of net.train(data, { steps: 6, ahead: 0 })) {
      got.push(event)
      await expect(net.train(data).next()).rejects.toThrow(/this net is being trained: end that first/)
    }
    expect(got).toEqual(want)
    const left = net.train(data, { steps: 3 })
    await left.next()
    await left.return()
    expect(await collect(net.train(data, { steps: 1 }))).toHaveLength(1)
    // One that was told to end, and has not yet.
    const [ending, pending] = [net.train(data, { steps: 30 }), net.train(data, { steps: 30, ahead: 0 })]
    await ending.next()
    void ending.return()
    void pending.next()
    void pending.return()
    expect(await collect(net.train(data, { steps: 1 }))).toHaveLength(1)
    // A loop that failed has ended, too.
    await expect(collect(net.train(samples(3)))).rejects.toThrow(/3 samples/)
    expect(await collect(net.train(data, { steps: 1 }))).toHaveLength(1)
  })

  test('a loop that nobody holds any more makes place when memory is collected, one that somebody holds does not', async () => {
    setFlagsFromString('--expose_gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const data = samples(40)
    const { net } = await opened()
    const forget = async (): Promise<void> => {
      const loop = net.train(data, { steps: 30 })
      await loop.next()
      await loop.next()
    }
    await forget()
    /** Whether a training of `other` can begin now. It ends by itself. */
    const begins = async (other: LocalNet): Promise<boolean> => {
      collectGarbage()
      await new Promise((resolve) => setTimeout(resolve, 5))
      return collect(other.train(data, { steps: 1 })).then(() => true, () => false)
    }
    await expect.poll(() => begins(net), { interval: 1 }).toBe(true)
    const { net: busy } = await opened()
    const held = busy.train(data, { steps: 30 })
    await held.next()
    for (let i = 0; i < 5; i++) expect(await begins(busy)).toBe(false)
    expect((await held.next()).done).toBe(false)
  })

  test('stopped, written down, restored elsewhere: the same bits as without a stop', async () => {
    const data = samples(23)
    const { net: whole } = await opened()
    const want = await collect(whole.train(data, { steps: 17 }))
    const { net: first } = await opened()
    const got: TrainEvent[] = []
    for await (const event of first.train(data, { steps: 17, ahead: 0 })) {
      got.push(event)
      if (event.step === 8) break
    }
    const bytes = encodeSnapshot(await first.snapshot())
    const { net: second } = await opened({ initializer: { kind: 'constant', value: 9 } }, { seed: 99 })
    await second.restore(decodeSnapshot(bytes))
    got.push(...await collect(second.train(data, { steps: 17, total: true })))
    expect(got).toEqual(want)
    expect(await second.snapshot()).toEqual(await whole.snapshot())
  })

  test('a snapshot of another net is refused', async () => {
    const { net } = await opened()
    const snapshot = await net.snapshot()
    const tensors = new Map([...snapshot.tensors].filter(([name]) => !name.startsWith('history/')))
    await expect(net.restore({ ...snapshot, tensors })).rejects.toThrow(/history\/history\.h\/w is missing/)
  })

  test('the file says when to test and to snapshot; then nothing is under way', async () => {
    const { net } = await opened({ train: { test: { count: 2, unit: 'steps' }, snapshot: { count: 1, unit: 'epochs' } } })
    for await (const e of net.train(samples(12), { epochs: 2 })) {
      expect([e.testDue, e.snapshotDue]).toEqual([e.step % 2 === 0, e.step % 3 === 0])
      if (e.testDue || e.snapshotDue || e.epochEnd) expect(net.steps).toBe(e.step)
    }
  })

  test('durations in epochs follow the dataset', async () => {
    const every = { count: 1, unit: 'epochs' }
    const { net, device } = await opened({ train: { schedule: [{ call: 'step', args: { gamma: 0.5, every } }] } })
    await collect(net.train(samples(8), { epochs: 3 }))
    expect(device.scalars.map((s) => s.rate)).toEqual([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])
  })

  test('accumulated batches are one update, as one batch of them all', async () => {
    const data = samples(8)
    const { net, device } = await opened({ accumulate: 2 })
    const events = await collect(net.train(data, { steps: 1 }))
    expect(device.log).toEqual(['load 4', 'accumulate', 'train'])
    expect(new Set(device.scalars.map((s) => s.seed)).size).toBe(2)
    const { net: large } = await opened({}, { batch: 8 })
    const [one] = await collect(large.train(data, { steps: 1 }))
    expect(events[0]!.loss).toBeCloseTo(one!.loss, 12)
    const [got, want] = [await net.parameters(), await large.parameters()].map((p) => [...p.get('w')!.data as Float64Array])
    got!.forEach((v, i) => expect(v).toBeCloseTo(want![i]!, 12))
  })

  test('adam has its corrections', async () => {
    const { net, device } = await opened({ train: { solver: { call: 'adam', args: { lr: 0.1, beta1: 0.5, beta2: 0.75 } } } })
    await collect(net.train(samples(8), { epochs: 1 }))
    expect(device.scalars.map((s) => [s.correction1, s.correction2])).toEqual([[0.5, 0.25], [0.75, 0.4375]])
  })

  test('too few samples, or of another shape', async () => {
    const { net } = await opened()
    await expect(collect(net.train(samples(3)))).rejects.toThrow(/3 samples, an update takes 4/)
    const wide = arrays({
      image: { shape: [5], type: 'f32', data: new Float32Array(40) },
      label: { shape: [], type: 'i32', classes: 3, data: new Int32Array(8) },
    })
    await expect(collect(net.train(wide))).rejects.toThrow(/nothing in it fits input x: f32 \[n, 3\]/)
    const many = arrays({
      x: { shape: [3], type: 'f32', data: new Float32Array(24) },
      label: { shape: [], type: 'i32', classes: 10, data: new Int32Array(8) },
    })
    await expect(collect(net.train(many))).rejects.toThrow(/class\[10\] \[\] does not fit input label: class\[3\]/)
  })
})

describe('options of train and evaluate', () => {
  test.each<[string, unknown, RegExp]>([
    ...[0, -3, 1.5, NaN, Infinity, '2', null].flatMap((n): [string, unknown, RegExp][] => [
      [`epochs ${String(n)}`, { epochs: n }, /train: epochs .*: a positive integer is wanted/],
      [`steps ${String(n)}`, { steps: n }, /train: steps .*: a positive integer is wanted/],
    ]),
    ...[-1, 0.5, NaN, Infinity, '4'].map((
      n,
    ): [string, unknown, RegExp] => [`ahead ${String(n)}`, { ahead: n }, /train: ahead .*: a whole number from 0 on/]),
    ['stats', { stats: 'batchh' }, /train: stats "batchh": 'batch' or 'global' is wanted/],
    ['a name with a slip', { epoch: 3 }, /train has no option epoch; did you mean epochs\?/],
    ...['lr', 'learningRate', 'batchSize', 'batch_size', 'optimizer'].map((
      name,
    ): [string, unknown, RegExp] => [
      `${name}, which is said elsewhere`,
      { [name]: 3 },
      /it has epochs, .*; open has batch, the net's text lr and solver\)/,
    ]),
    ['null', null, /train takes its options as an object, here is null/],
    ['a number', 3, /train takes its options as an object, here is 3/],
  ])('train: %s', async (_, options, message) => {
    const { net, device } = await opened()
    const all = collect(net.train(samples(8), options as never))
    await expect(all).rejects.toThrow(message)
    await expect(all).rejects.toBeInstanceOf(InputError)
    expect(device.log).toEqual(['load 4'])
  })

  test.each<[string, unknown, RegExp]>([
    ['stats', { stats: 'local' }, /evaluate: stats "local": 'global' or 'batch' is wanted/],
    ['progress', { onProgress: 3 }, /evaluate: onProgress 3: a function is wanted/],
    ['null', null, /evaluate takes its options as an object/],
  ])('evaluate: %s', async (_, options, message) => {
    const { net } = await opened()
    await expect(net.evaluate(samples(8), options as never)).rejects.toThrow(message)
  })

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /a dataset is wanted, \{ length, fields, read \}, .*; here is undefined/],
    ['arrays alone', { x, label }, /here is an object/],
    ['a promise', Promise.resolve(samples(8)), /here is a promise that was not awaited/],
    ['no length', { ...samples(8), length: NaN }, /here is an object/],
  ])('what is no dataset: %s', async (_, dataset, message) => {
    const { net } = await opened()
    await expect(collect(net.train(dataset as never))).rejects.toThrow(message)
    await expect(net.evaluate(dataset as never)).rejects.toThrow(message)
  })
})
