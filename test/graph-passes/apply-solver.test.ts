import type { Graph } from '../../compiler/graph/graph.ts'
import { describe, expect, test } from 'vitest'
import { type Buffers, expectClose, freshBuffers, graphOf, net, nodeOf, noise, passed, programOf, read, run } from './nets.ts'

const BATCH = 2
const batch = (seed: number) => ({ x: noise(BATCH * 144, seed), label: [0, 2] })
const TEXT = net(
  'logits = x -> conv(2, 3, lr_mult: [1, 2], decay_mult: [1, 0]) as c -> tanh -> fc(3, lr_mult: [0, 1]) as ip\n loss = softmax_loss(logits, label)',
)
const base = graphOf(TEXT)
const NAMES = ['c.weight', 'c.bias', 'ip.weight', 'ip.bias']
const RATES: Record<string, [number, number]> = { 'c.weight': [1, 1], 'c.bias': [2, 0], 'ip.weight': [0, 1], 'ip.bias': [1, 1] }
const gradientsOf = (buffers: Buffers, seed: number): Record<string, number[]> =>
  run(passed(base, 'gradients').graph, buffers, { batch: BATCH, inputs: batch(seed) })
const sgd = (more: Record<string, number> = {}, accumulate = 1) => ({
  solver: { call: 'sgd', args: { momentum: 0, weight_decay: 0.1, ...more } },
  accumulate,
})

describe.each(['step', 'train'] as const)('%s', (program) => {
  test('moves every parameter by its own rate, against gradient and decay', () => {
    const buffers = freshBuffers(base, 1)
    const before = Object.fromEntries(NAMES.map((name) => [name, read(base, buffers, name)]))
    const grads = gradientsOf(freshBuffers(base, 1), 5)
    run(passed(base, program, { train: sgd() }).graph, buffers, { batch: BATCH, inputs: batch(5), rate: 0.5 })
    for (const name of NAMES) {
      const [rate, decay] = RATES[name]!
      expectClose(read(base, buffers, name), before[name]!.map((w, i) => w - 0.5 * rate * (grads[`grad/${name}`]![i]! + 0.1 * decay * w)))
    }
  })

  test('clips all gradients by their joint norm, of those that are trained', () => {
    const buffers = freshBuffers(base, 1)
    const before = Object.fromEntries(NAMES.map((name) => [name, read(base, buffers, name)]))
    const grads = gradientsOf(freshBuffers(base, 1), 5)
    const trained = NAMES.filter((name) => RATES[name]![0] !== 0)
    const norm = Math.hypot(...trained.flatMap((name) => grads[`grad/${name}`]!))
    const most = norm / 3
    run(passed(base, program, { train: sgd({ weight_decay: 0, clip_gradients: most }) }).graph, buffers, {
      batch: BATCH,
      inputs: batch(5),
      rate: 0.5,
    })
    for (const name of trained) {
      expectClose(read(base, buffers, name), before[name]!.map((w, i) => w - 0.5 * RATES[name]![0] * grads[`grad/${name}`]![i]! / 3))
    }
  })
})

test('gradients of several batches add up to one update, and the next starts over', () => {
  const train = sgd({}, 3)
  // All labels count: of three batches 3 BATCH, over three. A host writes it.
  const told = (graph: Graph): Graph => ({
    ...graph,
    constants: graph.constants!.map((
      c,
    ) => (c.value.storage?.slot?.startsWith('divisor.') ? { ...c, values: [{ times: 1, values: [BATCH] }] } : c)),
  })
  const accumulate = told(passed(base, 'accumulate', { train }).graph)
  const update = told(passed(base, 'train', { train }).graph)
  expect(accumulate.nodes.filter(({ op }) => op === 'loss_divisor')).toEqual([])
  const buffers = freshBuffers(base, 1)
  for (const first of [1, 4]) {
    const before = Object.fromEntries(NAMES.map((name) => [name, read(base, buffers, name)]))
    const parts = [0, 1, 2].map((i) => gradientsOf(new Map([...buffers].map(([name, data]) => [name, data.slice()])), first + i))
    run(accumulate, buffers, { batch: BATCH, inputs: batch(first), rate: 0.5 })
    run(accumulate, buffers, { batch: BATCH, inputs: batch(first + 1), rate: 0.5 })
    for (const name of NAMES) expect(read(base, buffers, name)).toEqual(before[name])
    run(update, buffers, { batch: BATCH, inputs: batch(first + 2), rate: 0.5 })
    for (const name of NAMES) {
      const [rate, decay] = RATES[name]!
      const mean = (i: number): number => parts.reduce((sum, grads) => sum + grads[`grad/${name}`]![i]!, 0) / 3
      expectClose(read(base, buffers, name), before[name]!.map((w, i) => w - 0.5 * rate * (mean(i) + 0.1 * decay * w)))
    }
  }
})

test('a step by itself is one batch, whatever training adds up', () => {
  const one = freshBuffers(base, 1)
  const many = freshBuffers(base, 1)
  run(passed(base, 'step', { train: sgd() }).graph, one, { batch: BATCH, inputs: batch(5), rate: 0.5 })
  run(passed(base, 'step', { train: sgd({}, 3) }).graph, many, { batch: BATCH, inputs: batch(5), rate: 0.5 })
  expect(many.get('parameters')).toEqual(one.get('parameters'))
})

test('statistics are kept once a batch, and not where nothing is updated', () => {
  const net2 = graphOf(
    net('logits = x -> conv(2, 3) -> batch_norm(stats: moving(newest: 0.5)) as b -> tanh -> fc(3)\n loss = softmax_loss(logits, label)'),
  )
  const buffers = freshBuffers(net2, 1)
  const before = read(net2, buffers, 'b.running_var')
  run(passed(net2, 'gradients').graph, buffers, { batch: BATCH, inputs: batch(1) })
  expect(read(net2, buffers, 'b.running_var')).toEqual(before)
  run(passed(net2, 'accumulate').graph, buffers, { batch: BATCH, inputs: batch(1) })
  expect(read(net2, buffers, 'b.running_var')).not.toEqual(before)
})

test('the update comes last, and a net without a train block is stepped plainly', () => {
  const { graph } = programOf(TEXT, 'train')
  expect(graph.nodes.at(-1)).toBe(nodeOf(graph, 'solver'))
  expect(graph.nodes.at(-1)!.op).toBe('sgd')
})

test('a net without parameters has nothing to update', () => {
  const { graph } = programOf(net('loss = sum(tanh(x))'), 'step')
  expect(nodeOf(graph, 'solver')).toBeUndefined()
})
