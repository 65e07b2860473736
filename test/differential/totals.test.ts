import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile, check, interpreter } from '../../compiler/index.ts'
import { type AnyNet, arrays, type Dataset, type Device, type Inputs, type Net, open, type OpenOptions, type Precision,
  wasm } from '../../runtime/index.ts'
import { normals } from '../support/random-net.ts'

/** Losses and metrics of a set are one number, however it is cut into batches; an update of several batches is that of one of them all. Right values by plain loops over all samples. */
const exact = interpreter()
let cpu: Device
beforeAll(async () => {
  cpu = await wasm({ threads: 1 })
})
afterAll(() => cpu.close())

const COUNT = 6
const CLASSES = 3
const x = normals(COUNT * CLASSES * 2, 4)
/** Of each sample two positions; 9 is ignored. */
const label = Int32Array.of(0, 9, 2, 1, 9, 9, 1, 1, 9, 0, 9, 9)
const kind = Int32Array.of(0, 9, 2, 9, 1, 9)
const target = Float32Array.from(normals(COUNT * CLASSES * 2, 5), (v, i) => (i % 3 === 0 || i > 28 ? 7 : v > 0 ? 1 : 0))
const dataset: Dataset = arrays({
  x: { shape: [CLASSES, 2], type: 'f32', data: x },
  label: { shape: [2], type: 'i32', data: label },
  kind: { shape: [], type: 'i32', data: kind },
  target: { shape: [CLASSES, 2], type: 'f32', data: target },
})
const INPUTS = `input x: f32[3, 2]
  input label: class[3][2]
  input kind: class[3]
  input target: f32[3, 2]`

// ---- the same by plain loops -----------------------------------------------------------------------------------------

const at = (n: number, c: number, p: number): number => x[(n * CLASSES + c) * 2 + p]!
const samples = Array.from({ length: COUNT }, (_, n) => n)
const positions = samples.flatMap((n) => [0, 1].map((p) => ({ n, p, label: label[2 * n + p]! })))
const entropy = (scores: number[], wanted: number): number => Math.log(scores.reduce((sum, s) => sum + Math.exp(s), 0)) - scores[wanted]!
const scoresAt = (n: number, p: number): number[] => [0, 1, 2].map((c) => at(n, c, p))
const total = (terms: number[]): number => terms.reduce((a, b) => a + b, 0)
const seen = positions.filter((q) => q.label !== 9)
const mapLoss = total(seen.map((q) => entropy(scoresAt(q.n, q.p), q.label)))
const elements = Array.from(x, (v, i) => ({ v, t: target[i]! }))
const binary = total(elements.filter((e) => e.t !== 7).map(({ v, t }) => Math.max(v, 0) - v * t + Math.log1p(Math.exp(-Math.abs(v)))))
const squares = total(elements.map(({ v, t }) => (v - t) ** 2)) / (2 * COUNT)
const right = (q: { n: number; p: number; label: number }, top: number): boolean =>
  scoresAt(q.n, q.p).filter((s) => s >= at(q.n, q.label, q.p)).length <= top
const share = (top: number): number => seen.filter((q) => right(q, top)).length / seen.length
const first = (n: number): number[] => [0, 1, 2].map((c) => at(n, c, 0) + at(n, c, 1))
const labelled = samples.filter((n) => kind[n] !== 9)
const hinge = total(samples.flatMap((n) => first(n).map((s, c) => Math.max(0, 1 + (c === n % 3 ? -s : s)))))

const RESULTS: readonly (readonly [string, number])[] = [
  ['loss a = softmax_loss(x, label, ignore: 9)', mapLoss / seen.length],
  ['loss a = softmax_loss(x, label, ignore: 9, normalization: none)', mapLoss],
  [
    'loss a = sub(mul(softmax_loss(x, label, ignore: 9), 3), softmax_loss(x, label, ignore: 9) -> div(-2) -> neg)',
    2.5 * mapLoss / seen.length,
  ],
  ['loss a = softmax_loss(x, label, ignore: 9, normalization: full)', mapLoss / (2 * COUNT)],
  ['loss a = softmax_loss(x, label, ignore: 9, normalization: batch_size)', mapLoss / COUNT],
  ['loss a = softmax_loss(x, label, ignore: 9, weight: 3)', mapLoss / seen.length],
  ['loss a = sigmoid_loss(x, target, ignore: 7, normalization: valid)', binary / elements.filter((e) => e.t !== 7).length],
  ['loss a = sigmoid_loss(x, target, ignore: 7, normalization: none)', binary],
  ['loss a = sigmoid_loss(x, target, ignore: 7)', binary / COUNT],
  ['loss a = squared_loss(x, target)', squares],
  ['loss a = sum(x)', total([...x])],
  ['metric a = sum(mul(x, x))', total(Array.from(x, (v) => v * v))],
  ['metric a = accuracy(x, label, ignore: 9)', share(1)],
  ['metric a = accuracy(x, label, top: 2, ignore: 9)', share(2)],
  [
    'loss a = add(softmax_loss(x, label, ignore: 9), sum(x), squared_loss(x, target), coeff: [2, 0.5, -1])',
    2 * mapLoss / seen.length + 0.5 * total([...x]) - squares,
  ],
  [
    's = softmax_loss(x, label, ignore: 9)\n  metric a = add(s, add(s, accuracy(x, label, ignore: 9)))\n  loss b = s',
    2 * mapLoss / seen.length + share(1),
  ],
]

const evaluated = async (text: string, batch: number, device = exact, options: Partial<OpenOptions> = {}) => {
  const net = await open(
    compile(`net n {\n  ${INPUTS}\n  ${text}\n  output o = relu(x)\n}`, {
      targets: device === exact ? [] : ['wasm'],
      programs: ['eval', 'infer'],
    }),
    { device, batch, programs: ['eval'], ...options },
  )
  const found = await net.evaluate(dataset)
  net.close()
  return found
}

describe('evaluation gives one number for any batch', () => {
  test.each(RESULTS)('%s', async (text, want) => {
    for (const batch of [1, 2, 3, 4, 6]) {
      const { metrics, loss, notes } = await evaluated(text, batch)
      expect(metrics['a'], `batch ${batch}`).toBeCloseTo(want, 10)
      if (text.startsWith('loss a')) expect(loss).toBeCloseTo(text.includes('weight: 3') ? 3 * want : want, 10)
      expect(notes).toBeUndefined()
    }
  })

  test('hinge, and labels of single samples on a device, all at once', async () => {
    const kinds = arrays({
      x: { shape: [3], type: 'f32', data: Float32Array.from(samples.flatMap(first)) },
      kind: { shape: [], type: 'i32', data: kind },
      other: { shape: [], type: 'i32', data: Int32Array.from(samples, (n) => n % 3) },
    })
    const text = `net n { input x: f32[3] input kind: class[3] input other: class[3]
      loss a = softmax_loss(x, kind, ignore: 9) loss b = hinge_loss(x, other, weight: 0.5) metric c = accuracy(x, kind, ignore: 9) metric d = accuracy(x, other) }`
    const a = total(labelled.map((n) => entropy(first(n), kind[n]!))) / labelled.length
    for (const batch of [1, 4, 5, 6]) {
      const net = await open(compile(text, { targets: ['wasm'], programs: ['eval'] }), { device: cpu, batch, programs: ['eval'] })
      const { loss, metrics } = await net.evaluate(kinds)
      expect(loss).toBeCloseTo(a + 0.5 * hinge / COUNT, 5)
      expect(metrics['a']).toBeCloseTo(a, 5)
      expect(metrics['b']).toBeCloseTo(hinge / COUNT, 5)
      expect(metrics['c']).toBeCloseTo(
        labelled.filter((n) => first(n).filter((s) => s >= first(n)[kind[n]!]!).length === 1).length / labelled.length,
        6,
      )
      net.close()
    }
  })

  test('where every label is ignored there is nothing, and that is said', async () => {
    const net = await open(
      compile(
        `net n {\n  ${INPUTS}\n  loss a = softmax_loss(x, label, ignore: 9)\n  metric c = accuracy(x, label, ignore: 9)\n  metric s = sum(x)\n}`,
        { targets: [] },
      ),
      { device: exact, batch: 4 },
    )
    const found = await net.evaluate(arrays({
      x: { shape: [3, 2], type: 'f32', data: x },
      label: { shape: [2], type: 'i32', data: new Int32Array(12).fill(9) },
      kind: { shape: [], type: 'i32', data: kind },
      target: { shape: [3, 2], type: 'f32', data: target },
    }))
    expect(found).toMatchObject({ loss: 0, metrics: { a: 0, c: 0 }, notes: ['a, c: every label is ignored, so there is nothing to count'] })
    expect(found.metrics['s']).toBeCloseTo(total([...x]), 10)
    net.close()
  })

  test('what is made of values of whole batches is told to be so', async () => {
    const text = 'metric a = mul(sum(x), sum(x))\n  loss b = sum(x)'
    expect((await evaluated(text, 6)).notes).toBeUndefined()
    expect((await evaluated(text, 6)).metrics['a']).toBeCloseTo(total([...x]) ** 2, 8)
    expect((await evaluated(text, 3)).notes).toEqual([
      'a: made of values of whole batches, so this mean over batches depends on how many samples they have',
    ])
  })

  test('labels that nothing ignores are refused', async () => {
    const net = await open(compile(`net n {\n  ${INPUTS}\n  loss a = softmax_loss(x, label, ignore: 9)\n}`, { targets: [] }), {
      device: exact,
      batch: 6,
    })
    await expect(net.step({ x, label: label.map((v) => (v === 9 ? -1 : v)) }, { update: false })).rejects.toThrow(
      'label -1 at 1 of the batch is not in 0..2',
    )
    net.close()
  })
})

describe('an update of several batches is that of one of them all', () => {
  const LOSSES = [
    ['one', 'loss a = softmax_loss(y, label, ignore: 9)'],
    [
      'two that count different labels, a mean over samples and one over targets',
      `loss a = softmax_loss(y, label, ignore: 9)
  loss b = softmax_loss(y -> flatten -> fc(3), kind, ignore: 9, weight: 0.5)
  loss c = squared_loss(y, target, weight: 0.1)
  loss d = sigmoid_loss(y, target, ignore: 7, normalization: valid)`,
    ],
    ['a sum of losses', 'loss a = add(softmax_loss(y, label, ignore: 9), squared_loss(y, target), coeff: [2, 0.1])'],
  ] as const
  const textOf = (losses: string, accumulate: number): string =>
    `net n {
  ${INPUTS}
  y = x -> reshape([3, 2, 1]) -> conv(3, 1) as c -> reshape([3, 2]) -> tanh
  ${losses}
}
train { solver sgd(lr: 0.3, momentum: 0.9, weight_decay: 0.05) accumulate ${accumulate} }`
  const batchOf = (from: number, to: number, losses: string): Inputs => ({
    x: x.slice(6 * from, 6 * to),
    label: label.slice(2 * from, 2 * to),
    ...(losses.includes('kind') && { kind: kind.slice(from, to) }),
    ...(losses.includes('target') && { target: target.slice(6 * from, 6 * to) }),
  })
  const state = async (net: Net<AnyNet, Precision>): Promise<number[]> =>
    [...await net.parameters()].flatMap(([, { data }]) => Array.from(data as Float32Array))

  test.each(LOSSES)('%s: parameters and the loss that is told, cut in any way', async (_, losses) => {
    for (const [device, digits] of [[exact, 10], [cpu, 5]] as const) {
      const targets = device === exact ? [] : ['wasm']
      const whole = await open(compile(textOf(losses, 1), { targets, programs: ['train', 'eval', 'infer'] }), {
        device,
        batch: 6,
        seed: 2,
        programs: ['train'],
      })
      const want = [await (await whole.trainStep(batchOf(0, 6, losses))).loss, await (await whole.trainStep(batchOf(0, 6, losses))).loss]
      const wanted = await state(whole)
      whole.close()
      for (const k of [2, 3, 6]) {
        const net = await open(compile(textOf(losses, k), { targets, programs: ['train', 'accumulate', 'eval', 'infer'] }), {
          device,
          batch: 6 / k,
          seed: 2,
          programs: ['train', 'accumulate'],
        })
        const parts = Array.from({ length: k }, (_, i) => batchOf(i * 6 / k, (i + 1) * 6 / k, losses))
        for (const loss of want) expect(await (await net.trainStep(parts)).loss, `loss of ${k}`).toBeCloseTo(loss, digits)
        ;(await state(net)).forEach((v, i) => expect(v, `parameter ${i} of ${k}`).toBeCloseTo(wanted[i]!, digits))
        net.close()
      }
    }
  })

  test('batches without a label, and an update without any', async () => {
    const net = await open(compile(textOf(LOSSES[0][1], 2), { targets: [] }), { device: exact, batch: 2, seed: 2 })
    const empty = { ...batchOf(0, 2, ''), label: Int32Array.of(9, 9, 9, 9) }
    const alone = await open(compile(textOf(LOSSES[0][1], 1), { targets: [] }), { device: exact, batch: 2, seed: 2 })
    const loss = await (await alone.trainStep(batchOf(2, 4, ''))).loss
    expect(await (await net.trainStep([empty, batchOf(2, 4, '')])).loss).toBeCloseTo(loss, 10)
    const wanted = await state(alone)
    ;(await state(net)).forEach((v, i) => expect(v).toBeCloseTo(wanted[i]!, 10))
    expect(await (await net.trainStep([empty, empty])).loss).toBe(0)
    net.close()
    alone.close()
  })

  test('targets that the net computes are refused, since nobody knows how many there are', () => {
    const text = textOf('loss a = sigmoid_loss(y, relu(target), ignore: 7, normalization: valid)', 2)
    expect(check(text).map(({ code }) => code)).toContain('train/accumulate-computed')
    expect(check(text.replace('accumulate 2', 'accumulate 1')).filter(({ severity }) => severity === 'error')).toEqual([])
    expect(check(text.replace(', normalization: valid', '')).filter(({ severity }) => severity === 'error')).toEqual([])
  })
})
