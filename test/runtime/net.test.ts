import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { arrays } from '../../runtime/data/dataset.ts'
import { InputError } from '../../bundle/errors.ts'
import { decodeSnapshot, encodeSnapshot } from '../../runtime/snapshot.ts'
import type { TensorData } from '../../bundle/format.ts'
import { LocalNet } from '../../runtime/net.ts'
import { openLocal as open } from '../../runtime/open.ts'
import type { OpenOptions } from '../../runtime/open-options.ts'
import type { TrainEvent } from '../../runtime/train-options.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture, type FixtureOptions } from './fixture.ts'

const opened = async (
  fixtureOptions: FixtureOptions = {},
  options: Partial<OpenOptions> = {},
): Promise<{ net: LocalNet; device: FakeDevice }> => {
  const device = new FakeDevice()
  return { device, net: await open(fixture(fixtureOptions), { device, batch: 4, ...options }) }
}
const samples = (count: number) =>
  arrays({
    x: { shape: [3], type: 'f32', data: Float32Array.from({ length: 3 * count }, (_, i) => ((i * 7) % 11) / 4) },
    label: { shape: [], type: 'i32', classes: 3, data: Int32Array.from({ length: count }, (_, i) => (i * 5) % 3) },
  })
const x = Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
const label = Int32Array.of(0, 1, 2, 0)

async function collect(events: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const all: TrainEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

describe('run and step', () => {
  test.each([
    ['names', ['a', 'b', 'c', 'a'], /holds "a" at 0, where a number is wanted; a label is the number of its class, 0\.\.2/],
    ['one-hot', [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], /here are lists of \[4, 3\]; a label is the number of its class/],
    ['from 1', [1, 2, 3, 1], /label 3 at 2 is not in 0\.\.2: these count from 1, and labels count from 0/],
    ['one too large', [0, 2, 3, 1], /label 3 at 2 is not in 0\.\.2$/],
  ])('labels that are %s are told what labels are', async (_, given, why) => {
    const { net } = await opened()
    await expect(net.step({ x, label: given as never })).rejects.toThrow(why)
  })

  test('run infers and needs no label', async () => {
    const { net } = await opened()
    const { y } = await net.run({ x })
    expect([...y!]).toEqual([...x].map((v) => v * 0.5)) // 2 * the constant initializer 0.25
  })

  test('prepare runs when parameters changed, and only then', async () => {
    const { net, device } = await opened()
    await net.run({ x })
    await net.run({ x })
    await net.step({ x, label })
    await net.run({ x })
    expect(device.log).toEqual(['load 4', 'prepare', 'infer', 'infer', 'step', 'prepare', 'infer'])
  })

  test('step gives loss, outputs and gradients; without update nothing changes', async () => {
    const { net } = await opened()
    const before = await net.parameters()
    const { loss, outputs, grads } = await net.step({ x, label }, { update: false })
    // y[label] = 0.5, 2.5, 4.5, 5: half the mean of (y - 1)^2.
    expect(loss).toBeCloseTo((0.25 + 2.25 + 12.25 + 16) / 8, 12)
    expect(Object.keys(outputs)).toEqual(['y', 'loss', 'hit'])
    expect(outputs['hit']![0]).toBe(3 / 4)
    expect([...grads['w']!]).toEqual([(-0.5 * 2 * 1 + 4 * 2 * 10) / 4, (1.5 * 2 * 5) / 4, (3.5 * 2 * 9) / 4])
    expect(grads['x']!.length).toBe(12)
    expect(await net.parameters()).toEqual(before)
    expect(net.steps).toBe(0)
  })

  test('calls that are not awaited do not mix', async () => {
    const { net } = await opened()
    const many = await Promise.all([1, 2, 3, 4].map((k) => net.run({ x: x.map((v) => v * k) })))
    many.forEach(({ y }, i) => expect([...y!]).toEqual([...x].map((v) => v * (i + 1) * 0.5)))
  })

  test('a device that fails is an error, and the next call works', async () => {
    const { net, device } = await opened()
    device.fail = 'lost'
    await expect(net.run({ x })).rejects.toThrow('lost')
    device.fail = undefined
    await expect(net.run({ x })).resolves.toHaveProperty('y')
  })

  test('several losses add up with their weights', async () => {
    const plain = fixture()
    const bundle = {
      ...plain,
      manifest: { ...plain.manifest, outputs: plain.manifest.outputs.map((o) => o.role === 'loss' ? { ...o, weight: 3 } : o) },
    }
    const net = await open(bundle, { device: new FakeDevice(), batch: 4 })
    expect((await net.step({ x, label })).loss).toBeCloseTo((3 * (0.25 + 2.25 + 12.25 + 16)) / 8, 12)
  })
})

describe('what is handed in is checked first', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['an unknown name', { x, label, image: x }, /no input image; the net has x, label/],
    ['a missing input', { x }, /input label \[n\] is missing/],
    ['a wrong length', { x: x.subarray(1), label }, /takes 12 numbers at batch 4, here are 11 numbers/],
    ['another batch', { x: x.subarray(0, 6), label }, /here are 2 samples: open the net with batch 2/],
    ['a wrong type', { x: Int32Array.from(x), label }, /x holds float32: give a Float32Array, not Int32Array/],
    ['fractional labels', { x, label: [0, 1.5, 2, 0] }, /label holds integers/],
    ['a text', { x: 'abc', label }, /not "abc"/],
    ['a label out of range', { x, label: [0, 1, 3, 0] }, /label 3 at 2 is not in 0\.\.2/],
    ['a label below', { x, label: [0, -2, 1, 0] }, /label -2 at 1/],
    ['a label that is 1 in 32 bits', { x, label: [0, 4294967297, 2, 0] }, /label 4294967297 at 1 is not in 0\.\.2/],
    ['a label that is no number', { x, label: [0, NaN, 1, 0] }, /label holds NaN at 1, where a number is wanted/],
    ['a hole', { x: [1, , 3, ...new Array<number>(9).fill(1)], label }, /x holds nothing at 1, where a number is wanted/],
    ['a number that is none', { x: [...x].fill(NaN, 5, 6), label }, /x holds NaN at 5/],
    [
      'lists of another shape',
      { x: [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], label },
      /x \[n, 3\] at batch 4 is \[4, 3\], here are lists of \[3, 4\]/,
    ],
    [
      'lists that are not equally long',
      { x: [[1, 2, 3], [4, 5], [6, 7, 8], [9, 10, 11]], label },
      /x holds a list of 2 at 1, where a list of 3 is wanted/,
    ],
    ['a name with a slip', { x, labels: label }, /no input labels; did you mean label\?; the net has x, label/],
    ['null for an input', { x: null, label }, /x holds float32: give a Float32Array, not null/],
  ])('%s', async (_, inputs, message) => {
    const { net, device } = await opened()
    expect(() => LocalNet.executorOf(net).execute('step', inputs as never)).toThrow(message)
    await expect(net.step(inputs as never)).rejects.toThrow(message)
    expect(device.log).toEqual(['load 4'])
  })

  test.each([null, undefined, [x, label], x, 'x', 3])('inputs that are no object: %s', async (inputs) => {
    const { net } = await opened()
    for (const call of [net.run(inputs as never), net.step(inputs as never), net.trainStep([inputs] as never)])
      await expect(call).rejects.toThrow(/inputs are wanted as an object, \{ x, label \}/)
  })

  test('lists in the shape of an input are taken', async () => {
    const { net } = await opened()
    const { y } = await net.run({ x: [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]] })
    expect([...y!]).toEqual([...x].map((v) => v * 0.5))
  })

  test.each<[string, (net: LocalNet) => Promise<unknown>, RegExp]>([
    ['a way to normalize', (net) => net.run({ x }, { stats: 'batchh' as never }), /run: stats "batchh": 'global' or 'batch' is wanted/],
    ['a name', (net) => net.run({ x }, { stat: 'batch' } as never), /run has no option stat; did you mean stats\?/],
    ['no object', (net) => net.run({ x }, null as never), /run takes its options as an object, here is null/],
    ['a list', (net) => net.step({ x, label }, [] as never), /step takes its options as an object, here is a list of 0/],
    ['a rate that is no number', (net) => net.step({ x, label }, { rate: NaN }), /step: rate NaN: a finite number from 0 on is wanted/],
    ['an endless rate', (net) => net.trainStep({ x, label }, { rate: Infinity }), /trainStep: rate Infinity/],
    ['a rate below 0', (net) => net.trainStep({ x, label }, { rate: -0.1 }), /rate -0\.1/],
    ['a rate as a text', (net) => net.trainStep({ x, label }, { rate: '0.1' as never }), /rate "0\.1"/],
    [
      'what is neither true nor false',
      (net) => net.step({ x, label }, { update: 'no' as never }),
      /step: update "no": true or false is wanted/,
    ],
  ])('options: %s', async (_, call, message) => {
    const { net, device } = await opened()
    await expect(call(net)).rejects.toThrow(message)
    await expect(call(net)).rejects.toThrow(InputError)
    expect(device.log).toEqual(['load 4'])
  })

  test('every mistake is told at once', async () => {
    const { net } = await opened()
    await expect(net.step({ x: [1], lable: [0] })).rejects.toThrow(/no input lable[^]*x \[n, 3\] takes 12[^]*label \[n\] is missing/)
  })

  test('plain numbers and an ignored label are fine', async () => {
    const { net } = await opened()
    await expect(net.step({ x: [...x], label: [0, -1, 2, 0] })).resolves.toHaveProperty('loss')
  })

  test('a program that the net lacks', async () => {
    const { net } = await opened()
    await expect(net.run({ x }, { stats: 'batch' })).rejects.toThrow(/no program infer\/batch/)
  })

  test.each([0, -1, 1.5, NaN, 1e10])('batch %s', async (batch) => {
    await expect(opened({}, { batch })).rejects.toThrow(/a positive integer/)
  })
})

describe('parameters', () => {
  test('start by seed and name, not by order', async () => {
    const initializer = { kind: 'gaussian', mean: 0, deviation: 1 } as const
    const w = async (seed: number) => (await (await opened({ initializer }, { seed })).net.parameters()).get('w')!.data
    expect(await w(1)).toEqual(await w(1))
    expect(await w(1)).not.toEqual(await w(2))
  })

  test('come out and go in; a strict set tells all mismatches and sets nothing', async () => {
    const { net } = await opened()
    const w = { shape: [3], type: 'f32', data: Float32Array.of(1, 2, 3) } as const
    await net.setParameters(new Map([['w', w]]), { strict: false })
    expect([...(await net.parameters()).get('w')!.data]).toEqual([1, 2, 3])
    const wrong = new Map<string, TensorData>([['w', { ...w, shape: [3, 1] }], ['v', w]])
    await expect(net.setParameters(wrong)).rejects.toThrow(/w is \[3\], not \[3, 1\][^]*no parameter v[^]*seen is missing/)
    await expect(net.setParameters(wrong, { strict: false })).rejects.toThrow(/w is \[3\]/)
    expect([...(await net.parameters()).get('w')!.data]).toEqual([1, 2, 3])
  })

  test('are taken from a Map or a plain object, as tensors or as numbers whose shape is known', async () => {
    const { net } = await opened()
    for (
      const w of [Float32Array.of(1, 2, 3), [1, 2, 3], { shape: [3], data: [1, 2, 3] }, {
        shape: [3],
        type: 'i64',
        data: BigInt64Array.of(1n, 2n, 3n),
      }] as const
    ) {
      await net.reset()
      await net.setParameters({ w, seen: [5] })
      expect([...(await net.parameters())].map(([name, { data }]) => [name, ...data])).toEqual([['w', 1, 2, 3], ['seen', 5]])
      await net.setParameters(new Map([['w', w]]), { strict: false })
    }
  })

  test.each<[string, unknown, RegExp]>([
    ['null', null, /parameters are wanted as a Map or an object, \{ name: \{ shape, data \} \}; here is null/],
    ['a list', [1, 2], /here is a list of 2/],
    ['a text', 'w', /here is "w"/],
    ['numbers alone', Float32Array.of(1), /are wanted as a Map/],
    ['a number for a tensor', { w: 3 }, /w is wanted as \{ shape, data \} with a typed array/],
    ['null for a tensor', { w: null }, /w is wanted as .*, here is null/],
    ['data that are no numbers', { w: { shape: [3], data: 'abc' } }, /w is wanted as/],
    ['a view of another kind', { w: { shape: [3], data: new Uint16Array(3) } }, /w is wanted as/],
    ['a hole', { w: [1, , 3] }, /w holds nothing at 1/],
    ['too few numbers', { w: { shape: [3], data: Float32Array.of(1) } }, /w \[3\] takes 3 numbers, here are 1/],
    ['a shape that is none', { w: { shape: 'x', data: Float32Array.of(1, 2, 3) } }, /shape that is no list of counts: "x"/],
    ['a number for a name', new Map([[3, Float32Array.of(1)]]), /3 is no name/],
  ])('are refused as InputError: %s', async (_, values, message) => {
    const { net } = await opened()
    await expect(net.setParameters(values as never)).rejects.toThrow(message)
    await expect(net.setParameters(values as never)).rejects.toThrow(InputError)
    expect([...(await net.parameters()).get('w')!.data]).toEqual([0.25, 0.25, 0.25])
  })

  test('options are checked', async () => {
    const { net } = await opened()
    await expect(net.setParameters({ w: [1, 2, 3] }, { strict: 'no' as never })).rejects.toThrow(
      /setParameters: strict "no": true or false/,
    )
    await expect(net.setParameters({ w: [1, 2, 3] }, { stict: false } as never)).rejects.toThrow(/no option stict; did you mean strict\?/)
  })

  test.each<[string, (s: Record<string, unknown>) => unknown, RegExp]>([
    ['a step that is no number', (s) => ({ ...s, step: NaN }), /a snapshot has a step from 0 on, .* step NaN/],
    ['a step below 0', (s) => ({ ...s, step: -1 }), /step -1/],
    ['half a step', (s) => ({ ...s, step: 0.5 }), /step 0\.5/],
    ['no seed', (s) => ({ ...s, seed: undefined }), /seed undefined/],
    ['no tensors', ({ step, seed }) => ({ step, seed }), /tensors of a snapshot are wanted as a Map/],
    ['nothing', () => undefined, /a snapshot has a step/],
    ['null', () => null, /a snapshot has a step/],
  ])('a snapshot with %s is refused', async (_, change, message) => {
    const { net } = await opened()
    const snapshot = await net.snapshot()
    await expect(net.restore(change({ ...snapshot }) as never)).rejects.toThrow(message)
    await expect(net.restore(change({ ...snapshot }) as never)).rejects.toThrow(InputError)
  })

  test('of a layer that nothing reads are kept without being made before they are wanted', async () => {
    const plain = fixture()
    // As many as a bundle may say; made, they would take 4 GiB.
    const idle = {
      name: 'idle',
      shape: [2 ** 30 - 64],
      offset: 0,
      trainable: true,
      layer: 'idle',
      initializer: { kind: 'gaussian', mean: 0, deviation: 1 },
    } as const
    const manifest = {
      ...plain.manifest,
      parameters: plain.manifest.parameters.map((p) => (p.name === 'seen' ? { ...idle, name: 'seen', trainable: false } : p)),
    }
    const states = {
      ...manifest.plans['webgpu']!,
      buffers: manifest.plans['webgpu']!.buffers.map((b) => (b.role === 'states' ? { ...b, role: 'prepared' as const } : b)),
    }
    const net = await open({ ...plain, manifest: { ...manifest, plans: { webgpu: states } } }, { device: new FakeDevice(), batch: 4 })
    expect([...(await net.run({ x }))['y']!]).toEqual([...x].map((v) => v * 0.5))
  })

  test('are in what is saved, and open again with it', async () => {
    const { net } = await opened()
    await net.step({ x, label })
    const saved = await net.save()
    const again = await open(saved, { device: new FakeDevice(), batch: 4 })
    expect((await again.parameters()).get('w')!.data).toEqual(Float64Array.from(saved.weights!.get('w')!.data as Float32Array))
    expect([...saved.weights!.keys()]).toEqual(['w', 'seen'])
  })

  test('weights of another net are refused', async () => {
    const weights = new Map([['v', { shape: [1], type: 'f32', data: Float32Array.of(1) } as const]])
    await expect(opened({}, { weights })).rejects.toThrow(/not of this net: v/)
  })

  test('reset forgets the training', async () => {
    const { net } = await opened()
    const first = await net.step({ x, label })
    await net.reset()
    expect(await net.step({ x, label })).toEqual(first)
    expect(net.steps).toBe(1)
  })

  test('reset forgets how long a training was, in updates and in epochs', async () => {
    const schedule = [{ call: 'poly', args: { power: 1 } }, { call: 'step', args: { gamma: 0.5, every: { count: 1, unit: 'epochs' } } }]
    const { net } = await opened({ train: { solver: { call: 'sgd', args: { lr: 8 } }, schedule, steps: 8 } })
    // Of 16 updates, 2 an epoch: the one behind 4 of them has 3/4 of the rate, halved twice.
    await collect(net.train(samples(8), { steps: 16, keepGoing: true }))
    expect(net.rateAt(4)).toBe(8 * 3 / 4 / 4)
    await net.reset()
    expect(net.rateAt(4)).toBe(8 / 2)
    expect((await net.trainStep({ x, label })).rate).toBe(8)
    expect((await net.trainStep({ x, label })).rate).toBe(7)
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

  test.each([0.5, NaN, Infinity, '3', null])('reset with seed %s', async (seed) => {
    const { net } = await opened()
    await expect(net.reset(seed as number)).rejects.toThrow(InputError)
  })
})
