import { describe, expect, test } from 'vitest'
import { expectClose, freshBuffers, graphOf, net, nodeOf, noise, passed, programOf, read, reasonsOf, run } from './nets.ts'

const inputs = { x: noise(3 * 144, 4), label: [1, 0, 2] }
const NETS = [
  ['conv', 'x -> conv(3, 3) as c -> batch_norm as b -> tanh -> fc(3)'],
  ['inner product', 'x -> fc(5) as c -> batch_norm as b -> tanh -> fc(3)'],
  ['transposed convolution', 'x -> deconv(3, 2, stride: 2) as c -> batch_norm as b -> tanh -> fc(3)'],
  ['cumulative', 'x -> conv(3, 3) as c -> batch_norm(stats: cumulative) as b -> tanh -> fc(3)'],
  ['Caffe', 'x -> conv(3, 3) as c -> batch_norm(affine: false, stats: caffe) as b -> scale -> tanh -> fc(3)'],
] as const
const whole = (chain: string): string => net(`logits = ${chain}\n output prob = softmax(logits)\n loss = softmax_loss(logits, label)`)
const biases = { 'c.bias': [2, -3, 5, 1, 4] }

describe.each(NETS)('%s', (_, chain) => {
  test('the bias is left out, and nothing changes: losses, gradients, running statistics', () => {
    const outcome = (without?: string): { values: Record<string, number[]>; states: number[] } => {
      const base = graphOf(whole(chain))
      const buffers = freshBuffers(base, 2, {
        'c.bias': biases['c.bias'].slice(0, base.parameters.find((p) => p.name === 'c.bias')!.value.shape[0] as number),
      })
      const { graph } = passed(base, 'step', without ? { without } : {})
      expect(nodeOf(graph, 'c')!.parameters['bias'] === undefined).toBe(without === undefined)
      const values = run(graph, buffers, { batch: 3, inputs })
      return { values, states: [...read(base, buffers, 'b.running_mean'), ...read(base, buffers, 'b.running_var')] }
    }
    const want = outcome('drop-cancelled-bias')
    const got = outcome()
    expect(Object.keys(got.values)).toEqual(Object.keys(want.values))
    for (const [name, values] of Object.entries(want.values)) expectClose(got.values[name]!, values)
    expectClose(got.states, want.states)
    expect(got.values['grad/c.bias']!.every((v) => v === 0)).toBe(true)
  })
})

test('a bias that layers share counts for those that do not cancel it', () => {
  const base = graphOf(whole('add(x -> conv(3, 3) as c -> batch_norm as b, x -> conv(3, 3, weights: c) as d) -> fc(3)'))
  const outcome = (without?: string): Record<string, number[]> =>
    run(passed(base, 'gradients', without ? { without } : {}).graph, freshBuffers(base, 2, { 'c.bias': [1, 2, 3] }), { batch: 3, inputs })
  expectClose(outcome()['grad/c.bias']!, outcome('drop-cancelled-bias')['grad/c.bias']!)
  expect(outcome()['grad/c.bias']!.some((v) => Math.abs(v) > 1e-3)).toBe(true)
})

describe('what it leaves alone', () => {
  const kept = (body: string, program: 'train' | 'infer' = 'train', style?: 'split'): string[] => {
    const result = programOf(net(`${body}\n loss = sum(tanh(y))`), program, style ? { style } : {})
    const conv = result.graph.nodes.find((node) => node.layer === 'c')!
    expect(conv.parameters['bias']).toBeDefined()
    return reasonsOf(result, 'b')
  }
  test('a value that is read elsewhere too', () => {
    expect(kept('c = x -> conv(3, 3) as c\n y = add(c -> batch_norm as b, c -> relu as r)')).toEqual(['c is read elsewhere too, by r'])
  })
  test('a value that is an output: every training program decides alike', () => {
    expect(kept('c = x -> conv(3, 3) as c\n output raw = c\n y = c -> batch_norm as b')).toEqual(['c is an output of the net'])
  })
  test('stored statistics', () => {
    expect(kept('y = x -> conv(3, 3) as c -> batch_norm(stats: global) as b')).toEqual([])
    expect(kept('y = x -> conv(3, 3) as c -> batch_norm as b\n output o = y', 'infer')).toEqual([])
  })
  test('pooling or an activation between', () => {
    expect(kept('y = x -> conv(3, 3) as c -> max_pool(2) -> batch_norm as b')).toEqual([])
    expect(kept('y = x -> conv(3, 3) as c -> tanh -> batch_norm as b')).toEqual([])
  })
  test('split style', () => expect(kept('y = x -> conv(3, 3) as c -> batch_norm as b', 'train', 'split')).toEqual([]))
})
