import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { arrays, type Dataset, part, select } from '../../runtime/data/dataset.ts'
import { sha256Of } from '../../bundle/digest.ts'
import type { Manifest } from '../../bundle/format.ts'
import { essence } from '../../bundle/training-identity.ts'
import type { LocalNet } from '../../runtime/net.ts'
import { openLocal as open } from '../../runtime/open.ts'
import type { OpenOptions } from '../../runtime/open-options.ts'
import { readSafetensors, writeSafetensors } from '../../runtime/loading/safetensors.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../../runtime/snapshot.ts'
import type { TrainEvent, TrainOptions } from '../../runtime/train-options.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture, type FixtureOptions } from './fixture.ts'

type Train = Partial<NonNullable<Manifest['train']>>
const opened = async (
  train: Train = {},
  options: Partial<OpenOptions> = {},
  change: (bundle: ReturnType<typeof fixture>) => ReturnType<typeof fixture> = (b) => b,
): Promise<LocalNet> => open(change(fixture({ train } as FixtureOptions)), { device: new FakeDevice(), batch: 4, ...options })
const samples = (count: number, add = 0): Dataset =>
  arrays({
    x: { shape: [3], type: 'f32', data: Float32Array.from({ length: 3 * count }, (_, i) => ((i * 7) % 11) / 4 + add) },
    label: { shape: [], type: 'i32', classes: 3, data: Int32Array.from({ length: count }, (_, i) => (i * 5) % 3) },
  })
async function train(net: LocalNet, data: Dataset, options: TrainOptions = {}): Promise<TrainEvent[]> {
  const all: TrainEvent[] = []
  for await (const event of net.train(data, options)) all.push(event)
  return all
}

test('SHA-256 as another implementation has it, around the ends of blocks', () => {
  for (const length of [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 4097]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 131) % 251)
    expect(sha256Of(bytes)).toBe(createHash('sha256').update(bytes).digest('hex'))
  }
})

describe('the essence of a text', () => {
  const net = 'net a { input x: f32[3] y = x -> fc(2) -> relu loss = sum(y) }'
  test.each([
    ['comments', 'net a { // one\n input x: f32[3] /* two\n } */ y = x -> fc(2) -> relu loss = sum(y) }'],
    ['layout', 'net a {\n  input x: f32[3]\n  y = x->fc(2)\n    ->relu\n  loss=sum(y) }'],
    ['the train block, wherever it stands', `train { solver sgd(lr: 0.1) epochs 3 augment [crop(3)] }\n${net}`],
    ['the style', `style split ${net}`],
  ])('%s change nothing', (_, text) => expect(essence(text)).toBe(essence(net)))

  test.each([
    ['another activation', net.replace('relu', 'tanh')],
    ['another number', net.replace('fc(2)', 'fc(3)')],
    ['names that run into one', net.replace('input x', 'inputx')],
    ['text in quotes that looks like a comment', `import "./a//b.net" ${net}`],
  ])('%s is another net', (_, text) => expect(essence(text)).not.toBe(essence(net)))
})

describe('snapshots', () => {
  const taken = async (): Promise<{ net: LocalNet; snapshot: Snapshot }> => {
    const net = await opened()
    await train(net, samples(12), { epochs: 1 })
    return { net, snapshot: await net.snapshot() }
  }

  test('say which training they are of, and keep what they are told', async () => {
    const { snapshot } = await taken()
    expect(snapshot.identity).toMatchObject({
      net: 'line',
      style: 'merged',
      solver: 'sgd(lr: 0.1, momentum: 0.9)',
      batch: 4,
      accumulate: 1,
      data: { samples: 12, from: 0 },
    })
    const about = { score: '0.5', 'é': '"\\' }
    expect(decodeSnapshot(encodeSnapshot({ ...snapshot, about }))).toEqual({ ...snapshot, about })
  })

  test('any flipped bit and any cut is noticed', async () => {
    const bytes = encodeSnapshot((await taken()).snapshot)
    for (let at = 0; at < bytes.length; at++) {
      const broken = Uint8Array.from(bytes)
      broken[at]! ^= 1 << (at % 8)
      expect(() => decodeSnapshot(broken, 's'), `byte ${at}`).toThrow(/^s: /)
      expect(() => decodeSnapshot(bytes.subarray(0, at), 's'), `${at} bytes`).toThrow(/^s: /)
    }
    const zeros = Uint8Array.from(bytes).fill(0, bytes.length - 16)
    expect(() => decodeSnapshot(zeros, 's')).toThrow('s: it is damaged: its checksum is another')
  })

  test('one without a checksum, and one that says nonsense about itself, are refused', async () => {
    const bytes = encodeSnapshot((await taken()).snapshot)
    const { tensors, metadata } = readSafetensors(bytes)
    const { sha256: _, ...rest } = metadata
    expect(() => decodeSnapshot(writeSafetensors(tensors, rest), 's')).toThrow('it carries no checksum')
    // As Python's json writes it: blanks behind commas and colons.
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + length)).trimEnd().replaceAll('":', '": ').replaceAll(',"', ', "')
    const anew = new Uint8Array(8 + header.length + bytes.length - 8 - length)
    new DataView(anew.buffer).setBigUint64(0, BigInt(header.length), true)
    anew.set(new TextEncoder().encode(header), 8)
    anew.set(bytes.subarray(8 + length), 8 + header.length)
    expect(() => decodeSnapshot(anew, 's')).toThrow(/^s: another program has written it anew .* take the file as it was/)
    const { snapshot } = await taken()
    for (const identity of [{}, { ...snapshot.identity, batch: 'x' }, { ...snapshot.identity, data: { samples: -1 } }, []]) {
      expect(() => decodeSnapshot(encodeSnapshot({ ...snapshot, identity: identity as never }), 's')).toThrow(
        'its identity is not one of a training',
      )
    }
  })

  test.each([
    ['batch', /batch is 2 here, and 4 in that training/, {}, { batch: 2 }],
    ['solver', /solver is sgd\(lr: 0.2, momentum: 0.9\) here, and sgd\(lr: 0.1, momentum: 0.9\) in that training/, {
      solver: { call: 'sgd', args: { lr: 0.2, momentum: 0.9 } },
    }, {}],
    [
      'schedule',
      /schedule is exp\(gamma: 0.9\) here, and none in that training/,
      { schedule: [{ call: 'exp', args: { gamma: 0.9 } }] },
      {},
    ],
    ['augment', /augment is mirror here, and none/, { augment: [{ call: 'mirror', args: {} }] }, {}],
  ] as [string, RegExp, Train, Partial<OpenOptions>][])('another %s is refused, naming both', async (_, says, changed, options) => {
    const { snapshot } = await taken()
    const other = await opened(changed, options)
    const before = await other.parameters()
    await expect(other.restore(snapshot)).rejects.toThrow(says)
    expect(await other.parameters()).toEqual(before)
    expect(other.steps).toBe(0)
  })

  test('another text of the same shapes is refused; other layout, length and days of tests are not', async () => {
    const { snapshot } = await taken()
    const withText = (change: (text: string) => string) =>
      opened({ epochs: 7, test: { count: 1, unit: 'epochs' } }, {}, (bundle) => ({
        ...bundle,
        manifest: {
          ...bundle.manifest,
          source: { ...bundle.manifest.source, files: bundle.manifest.source.files.map((file) => ({ ...file, text: change(file.text) })) },
        },
      }))
    await expect((await withText((text) => `${text} net`)).restore(snapshot)).rejects.toThrow(
      /text of the net is `.*net` here, and `[^`]*` in that training/,
    )
    const same = await withText((text) => `// said otherwise\n${text}  `)
    await same.restore(snapshot)
    expect(same.steps).toBe(3)
  })

  test('other data are refused when they come, in number or contents; the same ones read again are the same', async () => {
    const { snapshot } = await taken()
    for (
      const [data, says] of [[samples(16), /data is 16 samples here, and 12 samples in that training/], [
        samples(12, 0.5),
        /data is 12 samples with fingerprint \w+ here, and 12 samples with fingerprint \w+/,
      ]] as const
    ) {
      const net = await opened()
      await net.restore(snapshot)
      await expect(train(net, data, { epochs: 1 })).rejects.toThrow(says)
      expect(net.steps).toBe(3)
      expect(await train(net, samples(12), { epochs: 1 })).toHaveLength(3)
    }
  })

  test('one label of thousands tells data apart, whatever is made of them', async () => {
    const many = (change: number): Dataset =>
      arrays({
        x: { shape: [3], type: 'f32', data: new Float32Array(3 * 5000) },
        label: { shape: [], type: 'i32', classes: 3, data: Int32Array.from({ length: 5000 }, (_, i) => (i === 1234 ? change : i % 3)) },
      })
    for (
      const some of [
        (data: Dataset) => data,
        (data: Dataset) => part(data, 8, 4000),
        (data: Dataset) => select(data, Array.from({ length: 4000 }, (_, i) => i)),
      ]
    ) {
      const net = await opened()
      await train(net, some(many(0)), { steps: 1 })
      const other = await opened()
      await other.restore(await net.snapshot())
      await expect(train(other, some(many(2)), { steps: 1 })).rejects.toThrow('with fingerprint')
      await other.restore(await net.snapshot())
      expect(await train(other, some(many(0)), { steps: 1 })).toHaveLength(1)
    }
  })

  test('data that are never the same twice are told by their number alone', async () => {
    const wild = (count: number): Dataset => ({
      ...samples(count),
      read: (indices, into) => {
        into['x']?.forEach((_, i) => {
          into['x']![i] = Math.random()
        })
        into['label']?.fill(0, 0, indices.length)
      },
    })
    const net = await opened()
    await train(net, wild(12), { epochs: 1 })
    const again = await opened()
    await again.restore(await net.snapshot())
    expect(await train(again, wild(12), { epochs: 1 })).toHaveLength(3)
    await again.restore(await net.snapshot())
    await expect(train(again, wild(8), { epochs: 1 })).rejects.toThrow('data is 8 samples here')
  })
})

describe('lengths count from where the net is', () => {
  /** Which samples each update saw, by what the device was given. */
  const cosine: Train = { epochs: 3, schedule: [{ call: 'cosine', args: {} }] }

  test('one epoch three times is three epochs: the same order, rates and bits', async () => {
    const whole = await opened(cosine)
    const want = await train(whole, samples(15), { epochs: 3 })
    const parts = await opened(cosine)
    const got = [
      ...await train(parts, samples(15), { epochs: 1 }),
      ...await train(parts, samples(15), { epochs: 1 }),
      ...await train(parts, samples(15), { epochs: 1 }),
    ]
    expect(got.map(({ steps: _, ...event }) => event)).toEqual(want.map(({ steps: _, ...event }) => event))
    expect(got.map((event) => event.steps)).toEqual([3, 3, 3, 6, 6, 6, 9, 9, 9])
    // b (1 + cos(pi t / T)) / 2 with T = 9.
    got.forEach((event, t) => expect(event.rate).toBeCloseTo(0.1 * (1 + Math.cos((Math.PI * t) / 9)) / 2, 12))
    expect((await parts.snapshot()).tensors).toEqual((await whole.snapshot()).tensors)
  })

  test('steps likewise; beyond the length of the file a schedule ends where the training does', async () => {
    const net = await opened(cosine)
    await train(net, samples(12), { steps: 4 })
    const more = await train(net, samples(12), { steps: 8 })
    expect(more.map((event) => event.step)).toEqual([5, 6, 7, 8, 9, 10, 11, 12])
    expect(more[0]!.rate).toBeCloseTo(0.1 * (1 + Math.cos((Math.PI * 4) / 12)) / 2, 12)
  })

  test('without a length the rest of what the file says; then that nothing is left', async () => {
    const net = await opened({ epochs: 2 })
    await train(net, samples(12), { steps: 2 })
    expect((await train(net, samples(12))).map((event) => event.step)).toEqual([3, 4, 5, 6])
    await expect(train(net, samples(12))).rejects.toThrow('nothing is left to do: 6 updates are done, of 6 in all')
    await expect(train(net, samples(12), { epochs: 1, total: true })).rejects.toThrow(
      'nothing is left to do: 6 updates are done, of 3 in all',
    )
    expect(await train(net, samples(12), { epochs: 3, total: true })).toHaveLength(3)
    await expect(train(net, samples(12), { epochs: 2, steps: 5 })).rejects.toThrow(
      'epochs 2 and steps 5 both say how long it trains: leave out one of them',
    )
    // A file without a length: one epoch more each time.
    const endless = await opened()
    for (const steps of [3, 6]) expect((await train(endless, samples(12))).at(-1)!.step).toBe(steps)
  })

  test('epochs of data begin with them: after single steps, and where others follow', async () => {
    const net = await opened()
    await net.step({ x: new Float32Array(12), label: new Int32Array(4) })
    const first = await train(net, samples(12), { epochs: 1 })
    expect(first.map((event) => [event.step, event.epoch, event.epochEnd])).toEqual([[2, 0, false], [3, 0, false], [4, 0, true]])
    const other = await train(net, samples(8), { epochs: 1 })
    expect(other.map((event) => [event.step, event.epoch, event.epochEnd])).toEqual([[5, 0, false], [6, 0, true]])
    expect((await net.snapshot()).identity!.data).toMatchObject({ samples: 8, from: 4 })
  })
})
