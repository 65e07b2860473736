import { expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { InputError, matchWeights, open } from '../../runtime/index.ts'

/** Two nets that differ in their heads; the second calls a layer otherwise. */
const bundleOf = (classes: number, body = 'body') =>
  compile(
    `net n {
  input x: f32[3]
  input label: class[${classes}]
  logits = x -> fc(4) as ${body} -> relu -> fc(${classes}) as head
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { batch 2  solver sgd(lr: 0.1) }`,
    { targets: ['wasm'] },
  )
const [old, own, renamed] = [bundleOf(5), bundleOf(2), bundleOf(5, 'trunk')]
const filled = (shape: readonly number[], from: number) => ({
  shape,
  type: 'f32' as const,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => from + i),
})
const weights = new Map(old.manifest.parameters.map(({ name, shape }, i) => [name, filled(shape, 100 * i)]))

test('weights are taken by name and shape; all else is fresh or left over, with the reason', () => {
  const match = matchWeights(own, weights)
  expect(match.taken.map(({ name }) => name)).toEqual(['body.weight', 'body.bias'])
  expect(match.fresh).toEqual([{ name: 'head.weight', shape: [2, 4], why: 'it is [5, 4] there' }, {
    name: 'head.bias',
    shape: [2],
    why: 'it is [5] there',
  }])
  expect(match.left).toEqual([{ name: 'head.weight', shape: [5, 4], why: 'it is [2, 4] here' }, {
    name: 'head.bias',
    shape: [5],
    why: 'it is [2] here',
  }])
  expect(match.weights).toEqual(new Map([...weights].slice(0, 2)))
  // What is handed in stays the caller's.
  expect(match.weights.get('body.bias')!.data).not.toBe(weights.get('body.bias')!.data)
})
test('a head of the same shape starts fresh where that is asked for', () => {
  const match = matchWeights(old, weights, { fresh: ['head'] })
  expect(match.taken.map(({ name }) => name)).toEqual(['body.weight', 'body.bias'])
  expect(match.fresh.map(({ name, why }) => [name, why])).toEqual([['head.weight', 'asked for'], ['head.bias', 'asked for']])
})
test('renamed layers are pointed at', () => {
  const { fresh, left, taken } = matchWeights(renamed, weights)
  expect(taken.map(({ name }) => name)).toEqual(['head.weight', 'head.bias'])
  expect(fresh.map(({ name, why }) => [name, why])).toEqual([['trunk.weight', 'there is none (body.weight has this shape)'], [
    'trunk.bias',
    'there is none (body.bias has this shape)',
  ]])
  expect(left.map(({ name, why }) => [name, why])).toEqual([['body.weight', 'the net has none of this name'], [
    'body.bias',
    'the net has none of this name',
  ]])
})
test('open takes what fits, and its notes say what', async () => {
  await expect(open(own, { device: interpreter(), weights })).rejects.toThrow(InputError)
  const net = await open(own, { device: interpreter(), weights, partial: true })
  const parameters = await net.parameters()
  expect([...parameters.get('body.bias')!.data]).toEqual([100, 101, 102, 103])
  expect([...parameters.get('head.bias')!.data]).toEqual([0, 0])
  expect(net.notes).toEqual([
    'weights: 2 of 4 parameters are taken, 2 fresh (head.weight: it is [5, 4] there; head.bias: it is [5] there), 2 tensors left over (head.weight: it is [2, 4] here; head.bias: it is [2] here)',
  ])
  net.close()
})
test('weights of which nothing fits, and patterns that mean nothing, are refused', () => {
  expect(() => matchWeights(own, { other: filled([3], 0) })).toThrow(
    'none of these weights fits the net: it has body.weight [4, 3], body.bias [4], head.weight [2, 4], head.bias [2]; they are other [3]',
  )
  expect(() => matchWeights(own, weights, { fresh: ['haed'] })).toThrow('fresh: no parameter is called haed; did you mean head?')
})
test('names of PyTorch are told, and that nothing is left to take', () => {
  const { manifest } = compile('net n { input x: f32[3] output y = x -> fc(4) as a -> batch_norm as bn }', { targets: ['wasm'] })
  const { fresh } = matchWeights({ manifest }, {
    'a.weight': filled([4, 3], 0),
    'a.bias': filled([4], 0),
    'bn.weight': filled([4], 0),
    'bn.bias': filled([4], 0),
  })
  expect(fresh.slice(0, 2)).toEqual([
    { name: 'bn.gamma', shape: [4], why: 'there is none: PyTorch calls it bn.weight, which is to be renamed' },
    { name: 'bn.beta', shape: [4], why: 'there is none: PyTorch calls it bn.bias, which is to be renamed' },
  ])
  expect(() => matchWeights(old, weights, { fresh: ['*'] })).toThrow('fresh: nothing of these weights would be taken')
})

/** Nets that differ in how a normalization stores its statistics: means, or sums over a factor. */
const statistics = (stats: string) =>
  compile(`net n { input x: f32[3] output y = x -> fc(4) as a -> batch_norm(stats: ${stats}) as bn }`, { targets: ['wasm'] })
const stored = (stats: string, factor: number, of = factor) =>
  new Map(
    statistics(stats).manifest.parameters.map(({ name, shape }) => {
      const from = { weight: -5, bias: 1, gamma: 2, beta: -1, running_mean: 3, running_var: 7 }[name.split('.')[1]!] ?? 0
      const { data } = filled(shape, from)
      return [name, {
        shape,
        type: 'f32' as const,
        data: name.endsWith('scale_factor') ? Float32Array.of(factor) : name.includes('running') ? data.map((value) => value * of) : data,
      }]
    }),
  )
const outputs = async (stats: string, given: ReturnType<typeof stored>) => {
  const net = await open(statistics(stats), { device: interpreter(), batch: 1, weights: given, partial: true })
  const { y } = await net.run({ x: Float32Array.of(1, -2, 3) })
  const { notes } = net
  net.close()
  return { y: Array.from(y as unknown as ArrayLike<number>), notes }
}

test.each([
  ['caffe', 'moving'],
  ['caffe', 'cumulative'],
  ['caffe', 'global'],
  ['global(scale_factor: true)', 'moving'],
  ['moving', 'caffe'],
  ['cumulative', 'caffe'],
  ['moving', 'global(scale_factor: true)'],
  ['caffe', 'global(scale_factor: true)'],
  ['cumulative', 'moving'],
])('statistics of %s are the same ones for %s: sums are divided, and the other way round', async (from, to) => {
  const sums = from === 'caffe' || from.includes('factor')
  // 3, 4, 5, 6 are the means, 7, 8, 9, 10 the variances: a power of two divides without rounding.
  const want = await outputs('moving', stored('moving', 1))
  const got = await outputs(to, stored(from, 8, sums ? 8 : 1))
  expect(got.y).toEqual(want.y)
})

test('what is converted is said; sums over 0 are no statistics', async () => {
  const match = matchWeights(statistics('moving'), stored('caffe', 8))
  expect(match.taken.filter(({ why }) => why !== undefined)).toEqual(
    ['bn.running_mean', 'bn.running_var'].map((name) => ({ name, shape: [4], why: 'a sum there, divided by bn.scale_factor, 8' })),
  )
  expect([...match.weights.get('bn.running_var')!.data]).toEqual([7, 8, 9, 10])
  expect((await outputs('moving', stored('caffe', 8))).notes[0]).toMatch(/of which are converted: bn.running_mean: a sum there, divided by/)
  const none = matchWeights(statistics('moving'), stored('caffe', 0))
  expect(none.fresh).toEqual(
    ['bn.running_mean', 'bn.running_var'].map((name) => ({
      name,
      shape: [4],
      why: 'a sum there, and bn.scale_factor is 0: there are no statistics yet',
    })),
  )
})
