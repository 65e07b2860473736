import { describe, expect, test } from 'vitest'
import type { Graph } from '../../compiler/graph/graph.ts'
import { type Buffers, expectClose, freshBuffers, graphOf, net, noise, opsOf, passed, programOf, run } from './nets.ts'

const BATCH = 3
const inputs = { x: noise(BATCH * 144, 7), label: [1, 0, 2] }

/** The sum of all losses with their weights, by the net's own forward pass. */
function lossOf(graph: Graph, buffers: Buffers, given: typeof inputs): number {
  const values = run(graph, buffers, { batch: BATCH, inputs: given })
  return graph.outputs.filter((o) => o.role === 'loss').reduce((sum, o) => sum + (o.weight ?? 1) * values[o.name]![0]!, 0)
}

/** Compares gradients with (loss(p + h) - loss(p - h)) / 2h in float64, for some elements of each. */
function checkGradients(text: string): void {
  const base = graphOf(text)
  const { graph } = passed(base, 'gradients')
  const forward: Graph = { ...graph, outputs: graph.outputs.filter((o) => o.role !== 'gradient') }
  const set = Object.fromEntries(
    base.parameters.filter((p) => p.trainable && !p.name.endsWith('weight')).map((
      p,
      i,
    ) => [p.name, noise(p.value.shape[0] as number, i + 1)]),
  )
  const fresh = (): Buffers => freshBuffers(base, 11, set)
  const got = run(graph, fresh(), { batch: BATCH, inputs })
  const h = 1e-5
  const compare = (name: string, count: number, nudge: (i: number, by: number) => number): void => {
    expect(got[`grad/${name}`], `grad/${name}`).toHaveLength(count)
    for (const i of new Set([0, Math.floor(count / 3), Math.floor((2 * count) / 3), count - 1])) {
      const want = (nudge(i, h) - nudge(i, -h)) / (2 * h)
      expect(Math.abs(got[`grad/${name}`]![i]! - want), `grad/${name}[${i}]: ${got[`grad/${name}`]![i]} for ${want}`).toBeLessThan(
        1e-6 * Math.max(1, Math.abs(want)),
      )
    }
  }
  for (const { name, value, trainable } of base.parameters) {
    if (!trainable) continue
    const count = value.shape.reduce<number>((product, dim) => product * (dim as number), 1)
    compare(name, count, (i, by) => {
      const buffers = fresh()
      buffers.get('parameters')![value.storage!.offset + i]! += by
      return lossOf(forward, buffers, inputs)
    })
  }
  compare('x', inputs.x.length, (i, by) => lossOf(forward, fresh(), { ...inputs, x: inputs.x.map((v, k) => (k === i ? v + by : v)) }))
}

describe('gradients of parameters and inputs are those of central differences', () => {
  test.each([
    [
      'a chain with batch normalization',
      'logits = x -> conv(3, 3) -> batch_norm(eps: 1e-3) -> tanh -> fc(3)\n loss = softmax_loss(logits, label)',
    ],
    [
      "Caffe's spelling",
      'logits = x -> conv(3, 3) -> batch_norm(affine: false, eps: 1e-3) -> scale -> sigmoid -> fc(3)\n loss = softmax_loss(logits, label)',
    ],
    [
      'a residual',
      'a = x -> conv(4, 3, pad: 1) -> batch_norm(eps: 1e-3)\n logits = add(a, x) -> tanh -> fc(3)\n loss = softmax_loss(logits, label)',
    ],
    [
      'a value with six readers',
      'a = x -> conv(2, 3) -> tanh\n b = add(a, a -> sigmoid, a -> tanh, a -> softplus, a -> silu, a -> gelu)\n loss = sum(mul(b, b))',
    ],
    ['a value that one layer reads twice', 'a = x -> conv(2, 3)\n loss = sum(mul(a, a))'],
    [
      'two losses with weights',
      'logits = x -> fc(3) -> tanh\n loss first = softmax_loss(logits, label, weight: 0.3)\n loss second = squared_loss(logits, logits -> sigmoid, weight: 2)',
    ],
    ['one layer as two losses', 'logits = x -> fc(3)\n l = softmax_loss(logits, label, weight: 0.5)\n loss a = l\n loss b = l'],
    ['losses that are added up in the file', 'logits = x -> fc(3)\n loss = add(softmax_loss(logits, label), sum(tanh(logits)))'],
    [
      'shared parameters',
      'a = x -> conv(4, 3, pad: 1) as one -> tanh\n b = a -> conv(4, 3, pad: 1, weights: one) -> tanh -> conv(4, 3, pad: 1, weights: one)\n loss = sum(tanh(b))',
    ],
    ['views', 'a = x -> conv(2, 3) -> reshape([4, 8]) -> tanh -> flatten -> fc(3)\n loss = softmax_loss(a, label)'],
    ['normalization with stored statistics', 'a = x -> conv(2, 3) -> batch_norm(stats: global, eps: 0.1) -> tanh\n loss = sum(a)'],
    [
      'constants of the file in front, a number a channel and one for all',
      'a = x -> normalize(mean: [1, 2, 3, 4], std: [0.5, 2, 3, 0.1]) -> conv(2, 3, pad: 1) -> normalize(0.5, 0.25) -> tanh\n loss = sum(a)',
    ],
    ['a bias that is alone in front of a sum', 'a = x -> bias\n loss = sum(tanh(a))'],
  ])('%s', (_, body) => checkGradients(net(body)))
})

test('what no loss depends on has gradient zero', () => {
  const base = graphOf(net('a = x -> fc(3) as used\n b = x -> fc(2) as idle\n output o = b\n loss = sum(a)'))
  const got = run(passed(base, 'gradients').graph, freshBuffers(base, 1), { batch: BATCH, inputs })
  expect(got['grad/idle.weight']!.every((v) => v === 0)).toBe(true)
  expect(got['grad/used.bias']).toEqual([BATCH, BATCH, BATCH])
  const apart = graphOf('net two {\n input x: f32[4]\n input y: f32[2]\n output o = y -> relu\n loss = sum(tanh(x))\n}\n')
  expect(run(passed(apart, 'gradients').graph, freshBuffers(apart, 1), { batch: 2, inputs: { x: noise(8), y: noise(4) } })['grad/y'])
    .toEqual([0, 0, 0, 0])
})

describe('what nobody asks for is not computed', () => {
  const FROZEN = net('a = x -> conv(2, 3, lr_mult: [0, 0]) as frozen -> tanh\n loss = a -> fc(3) as learned -> sum')
  test('train: neither inputs nor frozen layers have a backward pass', () => {
    const { graph } = programOf(FROZEN, 'train')
    expect(graph.nodes.filter((node) => node.layer === 'frozen').map((node) => node.op)).toEqual(['conv'])
    expect(graph.nodes.filter((node) => node.layer === 'tanh_1').map((node) => node.op)).toEqual(['tanh'])
    expect(graph.outputs.map((o) => o.name)).toEqual(['loss', 'count/non_finite'])
  })
  test("gradients: both have, and what is frozen stays out of the solver's buffer", () => {
    const base = graphOf(FROZEN)
    const { graph } = passed(base, 'gradients')
    const frozen = graph.outputs.find((o) => o.name === 'grad/frozen.weight')!
    expect(frozen.value.storage).toBeUndefined()
    const learned = graph.outputs.find((o) => o.name === 'grad/learned.weight')!
    expect(learned.value.storage).toEqual({
      role: 'gradients',
      offset: base.parameters.find((p) => p.name === 'learned.weight')!.value.storage!.offset,
    })
    expect(graph.outputs.map((o) => o.name)).toContain('grad/x')
  })
  test('labels have no gradient', () => {
    const { graph } = programOf(net('loss = softmax_loss(fc(x, 3), label)'), 'gradients')
    expect(graph.outputs.map((o) => o.name)).not.toContain('grad/label')
  })
  test('a loss of weight 0', () => {
    const { graph } = programOf(net('loss = sum(fc(x, 3), weight: 0)'), 'train')
    expect(opsOf(graph)).not.toContain('repeat')
  })
  test('outputs and metrics while training', () => {
    const { graph } = programOf(
      net('y = x -> fc(3)\n output prob = softmax(y)\n loss = softmax_loss(y, label)\n metric right = accuracy(y, label)'),
      'train',
    )
    expect(opsOf(graph)).not.toContain('softmax')
    expect(opsOf(graph)).not.toContain('accuracy')
  })
})

test('at most four gradients are added at once', () => {
  const { graph } = programOf(
    net('a = x -> tanh\n b = add(a, a -> sigmoid, a -> tanh, a -> softplus, a -> silu, a -> gelu)\n loss = sum(b)'),
    'gradients',
  )
  const sums = graph.nodes.filter((node) => node.op === 'add' && node.name.startsWith('tanh_1.d'))
  expect(sums.map((node) => node.inputs.length)).toEqual([4, 3])
})

test('gradients of one batch twice are those of one batch: nothing is left over', () => {
  const base = graphOf(net('loss = x -> conv(2, 3) -> tanh -> conv(2, 3) -> sum'))
  const { graph } = passed(base, 'gradients')
  const buffers = freshBuffers(base, 1)
  const first = run(graph, buffers, { batch: BATCH, inputs })
  const second = run(graph, buffers, { batch: BATCH, inputs })
  for (const [name, values] of Object.entries(first)) expectClose(second[name]!, values, 0)
})
