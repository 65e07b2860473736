import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { check, compile, CompileError, interpreter } from '../../compiler/index.ts'
import { arrays, type Bundle, type Device, InputError, type Net, open, type OpenOptions, wasm } from '../../runtime/index.ts'

/** Nets whose `norm` sees so many values a channel at batch 1; `t` is what it should give. */
const net = (layers: string, train = '', size = '4'): string =>
  `net one {
  input x: f32[${size}]  input t: f32[2]
  y = x -> ${layers} -> flatten -> fc(2)
  output out = y
  loss = squared_loss(y, t)
} ${train}`
const BEHIND_FC = 'fc(3) -> batch_norm as norm -> relu'
const ONE_PIXEL = 'conv(3, 2) -> batch_norm as norm -> relu'
const MAP = 'conv(3, 1) -> batch_norm as norm -> relu'

let cpu: Device
beforeAll(async () => {
  cpu = await wasm({ threads: 1 })
})
afterAll(() => cpu.close())

async function using<T>(bundle: Bundle, options: OpenOptions, work: (net: Net) => Promise<T>): Promise<T> {
  const opened = await open(bundle, { device: cpu, ...options })
  try {
    return await work(opened)
  } finally {
    opened.close()
  }
}
const told = (message: string): RegExp => new RegExp(`^InputError: ${message}`)
const problem = (layers = 'norm'): RegExp =>
  told(`${layers} normalizes each channel with the statistics of the batch, and at batch 1 those rest on one value`)
const failure = async (work: () => Promise<unknown>): Promise<string> =>
  work().then(() => 'nothing', (error) => `${(error as Error).name}: ${(error as Error).message}`)

describe('check', () => {
  const codes = (text: string): string[] => check(text).map(({ severity, code }) => `${severity} ${code}`)
  test('a batch of 1 that is written is an error, one that nobody wrote a warning', () => {
    expect(codes(net(BEHIND_FC, 'train { solver sgd(0.1) batch 1 }'))).toEqual(['error train/one-value'])
    expect(codes(net(BEHIND_FC, 'train { solver sgd(0.1) }'))).toEqual(['warning train/one-value'])
    expect(codes(net(ONE_PIXEL, 'train { solver sgd(0.1) batch 1 accumulate 4 }', '1, 2, 2'))).toEqual(['error train/one-value'])
    expect(codes(net('fc(3) -> batch_norm(unbiased: true, style: split)', 'train { solver sgd(0.1) batch 1 }'))).toEqual([
      'error train/one-value',
    ])
    expect(codes(net('fc(3) -> batch_norm(stats: batch)', 'train { solver sgd(0.1) batch 1 }'))).toEqual(['error train/one-value'])
    expect(codes(net('fc(3) -> batch_norm(affine: false) -> scale(bias: true)', 'train { solver sgd(0.1) batch 1 }'))).toEqual([
      'error train/one-value',
    ])
  })
  test('names all layers and the ways out', () => {
    const [only] = check(net('fc(3) -> batch_norm as a -> relu -> fc(3) -> batch_norm as b', 'train { solver sgd(0.1) batch 1 }'))
    expect(only!.message).toBe('a, b normalize one value a channel at batch 1, so nothing in front of them can learn')
    expect(only!.hint).toContain('batch 32')
    expect(only!.hint).toContain('stats: global')
    expect(only!.labels.map(({ span }) => span.source.text.slice(span.start, span.end))).toEqual(['batch_norm', 'batch_norm', 'batch 1'])
  })
  test('nothing is wrong with two values, with stored statistics, and where nobody trains', () => {
    expect(codes(net(BEHIND_FC, 'train { solver sgd(0.1) batch 2 }'))).toEqual([])
    expect(codes(net(MAP, 'train { solver sgd(0.1) batch 1 }', '1, 2, 1'))).toEqual([])
    expect(codes(net('fc(3) -> batch_norm(stats: global)', 'train { solver sgd(0.1) batch 1 }'))).toEqual([])
    expect(codes(net(BEHIND_FC))).toEqual([])
  })
  test('another batch in the place of what is written is asked about', () => {
    const written = net(BEHIND_FC, 'train { solver sgd(0.1) batch 1 }')
    expect(check(written, { batch: 8 })).toEqual([])
    expect(check(net(BEHIND_FC, 'train { solver sgd(0.1) batch 8 }'), { batch: 1 })[0]!.severity).toBe('error')
    expect(() => compile(written)).toThrow(CompileError)
    expect(compile(written, { allowOneValue: true, targets: ['wasm'], programs: ['infer'] }).manifest.name).toBe('one')
  })
})

describe('open at batch 1', () => {
  const x = [1, -2, 3, 0.5]
  const inputs = { x: Float32Array.from(x), t: Float32Array.of(1, -1) }
  const bundle = compile(net(BEHIND_FC, 'train { solver sgd(0.1) }'), { targets: ['wasm'] })

  test('infers and evaluates, and refuses what would train', () =>
    using(bundle, {}, async (one) => {
      expect(one.batch).toBe(1)
      expect((await one.run({ x: inputs.x }))['out']).toHaveLength(2)
      expect(
        (await one.evaluate(arrays({ x: { type: 'f32', shape: [4], data: inputs.x }, t: { type: 'f32', shape: [2], data: inputs.t } })))
          .loss,
      ).toBeGreaterThan(0)
      for (
        const work of [
          () => one.step(inputs),
          () => one.step(inputs, { update: false }),
          () => one.trainStep(inputs),
          () => one.run({ x: inputs.x }, { stats: 'batch' }),
          () =>
            one.evaluate(arrays({ x: { type: 'f32', shape: [4], data: inputs.x }, t: { type: 'f32', shape: [2], data: inputs.t } }), {
              stats: 'batch',
            }),
          () =>
            one.train(arrays({ x: { type: 'f32', shape: [4], data: inputs.x }, t: { type: 'f32', shape: [2], data: inputs.t } })).next(),
        ]
      ) expect(await failure(work)).toMatch(problem())
      expect(one.steps).toBe(0)
    }))
  test('says which layer, and what to do', async () => {
    const message = await using(bundle, {}, (one) => failure(() => one.step(inputs)))
    expect(message).toContain('larger batch')
    expect(message).toContain("stats: 'global'")
  })
  test('refuses at once what is asked for by name', async () => {
    for (const programs of [['train', 'eval'], ['step'], ['gradients'], ['infer/batch']])
      expect(await failure(() => open(bundle, { device: cpu, batch: 1, programs }))).toMatch(problem())
    await using(
      bundle,
      { batch: 1, programs: ['infer', 'eval'] },
      async (one) => expect((await one.run({ x: inputs.x }))['out']).toHaveLength(2),
    )
    await using(bundle, { batch: 2, programs: ['train'] }, async (two) => expect(two.batch).toBe(2))
  })
  test('runs it where that is meant: the layer gives its beta, and what is in front of it gets no gradient', async () => {
    for (const device of [cpu, interpreter()]) {
      await using(bundle, { device, allowOneValue: true }, async (one) => {
        const { grads } = await one.step(inputs, { update: false })
        for (const value of grads['fc_1.weight']!) expect(value).toBeCloseTo(0, 12)
      })
    }
  })
  test('trains with stored statistics', () =>
    using(compile(net(BEHIND_FC), { targets: ['wasm'], programs: ['default', 'step/global'] }), {}, async (one) => {
      const { grads } = await one.step(inputs, { stats: 'global' })
      expect(Math.max(...grads['fc_1.weight']!.map(Math.abs))).toBeGreaterThan(1e-4)
      expect(await failure(() => one.step(inputs))).toMatch(problem())
    }))
  test('a layer that keeps no statistics infers with none', () =>
    using(
      compile(net('fc(3) -> batch_norm(stats: batch) as norm'), { targets: ['wasm'], programs: ['infer', 'eval'] }),
      {},
      async (one) => {
        expect(await failure(() => one.run({ x: inputs.x }))).toMatch(problem())
      },
    ))
  test('a channel of two pixels has two values', () =>
    using(compile(net(MAP, '', '1, 2, 1'), { targets: ['wasm'], programs: ['step', 'infer', 'eval'] }), {}, async (one) => {
      expect((await one.step({ x: Float32Array.of(1, 2), t: inputs.t })).loss).toBeGreaterThan(0)
    }))
})

describe('a last batch of one', () => {
  const bundle = compile(net(BEHIND_FC), { targets: ['wasm'], programs: ['eval', 'eval/batch', 'infer', 'infer/batch'] })
  const samples = (count: number) =>
    arrays({
      x: { type: 'f32', shape: [4], data: Float32Array.from({ length: 4 * count }, (_, i) => Math.sin(i) * (i % 5)) },
      t: { type: 'f32', shape: [2], data: Float32Array.from({ length: 2 * count }, (_, i) => Math.cos(i)) },
    })
  test('joins the one before it, and that is said', async () => {
    const lossOf = (batch: number, count: number) =>
      using(bundle, { batch }, (opened) => opened.evaluate(samples(count), { stats: 'batch' }))
    // Four samples at batch 3 are one batch of four.
    const joined = await lossOf(3, 4)
    expect(joined.loss).toBeCloseTo((await lossOf(4, 4)).loss!, 6)
    expect(joined.notes).toEqual([expect.stringContaining('as a batch of 4')])
    expect((await lossOf(3, 5)).notes).toBeUndefined()
    expect(await failure(() => lossOf(3, 1))).toMatch(problem())
  })
  test('stands alone with stored statistics', () =>
    using(bundle, { batch: 3 }, async (opened) => {
      expect((await opened.evaluate(samples(4))).notes).toBeUndefined()
    }))
})

test('the refusal is one of the input', () => expect(new InputError('').name).toBe('InputError'))
