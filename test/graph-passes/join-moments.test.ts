import { describe, expect, test } from 'vitest'
import { expectClose, freshBuffers, graphOf, net, noise, opsOf, passed, programOf, read, run } from './nets.ts'

const inputs = { x: noise(3 * 144, 4), label: [1, 0, 2] }
const whole = (body: string): string =>
  net(`${body}\n logits = y -> fc(3)\n output prob = softmax(logits)\n loss = softmax_loss(logits, label)`)
const NETS = [
  ['parts that nobody normalizes alone', 'y = concat(x -> conv(3, 3) as c, x -> conv(2, 3) as d) -> batch_norm as b -> tanh'],
  [
    'a part that is normalized alone too, with another eps',
    'c = x -> conv(3, 3) as c  e = c -> batch_norm(eps: 0.1) -> tanh  y = concat(c, e) -> batch_norm as b -> tanh',
  ],
  [
    'a concatenation of a concatenation',
    'u = concat(x -> conv(3, 3), x -> conv(2, 3)) v = u -> batch_norm -> tanh -> conv(2, 3, pad: 1) y = concat(u, v) -> batch_norm as b -> tanh',
  ],
  [
    'one value, two layers',
    'c = x -> conv(3, 3) as c  y = add(c -> batch_norm as b -> tanh, c -> batch_norm(eps: 0.5, affine: false) -> sigmoid)',
  ],
  [
    'statistics of every policy',
    'y = concat(x -> conv(3, 3), x -> conv(2, 3) -> batch_norm(stats: cumulative) -> tanh) -> batch_norm(stats: caffe(fraction: 0.9)) as b -> tanh',
  ],
] as const

describe.each(NETS)('%s', (_, body) => {
  test('nothing changes: losses, gradients, running statistics', () => {
    const base = graphOf(whole(body))
    const outcome = (without?: string) => {
      const buffers = freshBuffers(base, 2)
      const { graph } = passed(base, 'step', without ? { without } : {})
      expect(opsOf(graph).includes('join_moments')).toBe(without === undefined)
      return {
        values: run(graph, buffers, { batch: 3, inputs }),
        states: [...read(base, buffers, 'b.running_mean'), ...read(base, buffers, 'b.running_var')],
      }
    }
    const [got, want] = [outcome(), outcome('join-moments')]
    expect(Object.keys(got.values)).toEqual(Object.keys(want.values))
    for (const [name, values] of Object.entries(want.values)) expectClose(got.values[name]!, values)
    expectClose(got.states, want.states)
  })
})

describe('what it leaves alone', () => {
  const ops = (body: string, style?: 'split'): string[] => opsOf(programOf(whole(body), 'train', style ? { style } : {}).graph)
  test('a concatenation along rows', () => {
    expect(ops('y = concat(x -> conv(3, 3), x -> conv(3, 3), axis: 2) -> batch_norm -> tanh')).not.toContain('join_moments')
  })
  test('an image among the parts: no kernel makes it', () => {
    expect(ops('y = concat(x, x -> conv(3, 3, pad: 1)) -> batch_norm -> tanh')).not.toContain('join_moments')
  })
  test('split style', () => {
    expect(ops('y = concat(x -> conv(3, 3), x -> conv(2, 3)) -> batch_norm -> tanh', 'split')).not.toContain('join_moments')
  })
})
