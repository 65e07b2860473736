import { describe, expect, test } from 'vitest'
import { InputError } from '../../bundle/errors.ts'
import type { TensorData } from '../../bundle/format.ts'
import { LocalNet } from '../../runtime/net.ts'
import { openLocal as open } from '../../runtime/open.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture } from './fixture.ts'
import { collect, label, opened, samples, x } from './opened.ts'

describe('run and step', () => {
  test.each([
    ['names', ['a', 'b', 'c', 'a'], /holds "a" at 0, where a number is wanted; a label is the number of its class, 0\.\.2/],
    ['one-hot', [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], /here are lists of \[4, 3\]; a label is the number of its class/],
    [
      'from 1',
      [1, 2, 3, 1],
      /label 3 at 2 of the batch is not in 0\.\.2: labels count from 0, and none here is 0; if yours count from 1, subtract 1/,
    ],
    ['one too large', [0, 2, 3, 1], /label 3 at 2 of the batch is not in 0\.\.2$/],
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
    ['a wrong type', { x: Int32Array.from(x), label }, /x holds float32: give a Float32Array, not an Int32Array/],
    ['fractional labels', { x, label: [0, 1.5, 2, 0] }, /label holds integers/],
    ['a text', { x: 'abc', label }, /not "abc"/],
    ['a label out of range', { x, label: [0, 1, 3, 0] }, /label 3 at 2 of the batch is not in 0\.\.2/],
    ['a label below', { x, label: [0, -2, 1, 0] }, /label -2 at 1/],
    ['a label that is 1 in 32 bits', { x, label: [0, 4294967297, 2, 0] }, /label 4294967297 at 1 of the batch is not in 0\.\.2/],
    ['a label that is no number', { x, label: [0, NaN, 1, 0] }, /label holds NaN at 1, where a number is wanted/],
    ['bigints', { x, label: [0n, 1n, 2n, 0n] }, /label holds 0n at 0, where a number is wanted: Number\(value\)/],
    ['bigints for numbers', { x: [0, 5n], label }, /x holds 5n at 1, where a number is wanted/],
    [
      'an array of bigints',
      { x, label: new BigInt64Array(4) },
      /give an Int32Array, not a BigInt64Array: Int32Array\.from\(values, Number\)/,
    ],
    [
      'another one',
      { x: new BigUint64Array(12), label },
      /give a Float32Array, not a BigUint64Array: Float32Array\.from\(values, Number\)/,
    ],
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

  test.each([null, undefined, [x, label], x, 'x', 3, new Map([['x', x]]), Promise.resolve({ x, label })])(
    'inputs that are no object: %s',
    async (inputs) => {
      const { net } = await opened()
      for (const call of [net.run(inputs as never), net.step(inputs as never), net.trainStep([inputs] as never)])
        await expect(call).rejects.toThrow(/inputs are wanted as an object, \{ x, label \}/)
    },
  )

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

  test.each([0.5, NaN, Infinity, '3', null])('reset with seed %s', async (seed) => {
    const { net } = await opened()
    await expect(net.reset(seed as number)).rejects.toThrow(InputError)
  })
})
