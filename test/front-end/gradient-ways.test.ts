import { describe, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { open } from '../../runtime/index.ts'
import { built, codesOf, net } from '../graph-passes/nets.ts'

const told = (body: string): string[] => built(net(body)).diagnostics.map(({ severity, message }) => `${severity}: ${message}`)

describe('ways of gradients from losses to parameters', () => {
  test('a layer without a gradient is no way', () => {
    const { diagnostics, graph } = built(net('logits = x -> fc(3)\n loss = accuracy(logits, label)'))
    expect(codesOf(diagnostics)).toEqual(['graph/no-gradient'])
    expect(graph).toBeUndefined()
  })

  test.each([
    ['a mask', 'h = x -> fc(3) as f\n loss = softmax_loss(where(floor(h), h, -1), label)'],
    ['steps beside what is rounded', 'h = x -> fc(3) as f\n loss = sum(sub(h, floor(h)))'],
    ['steps of what nothing learns', 'loss = softmax_loss(x -> floor -> fc(3), label)'],
    ['steps in front of what does not learn', 'loss = softmax_loss(x -> fc(4, lr_mult: 0) -> ceil -> fc(3), label)'],
    ['steps that no loss reads', 'h = x -> fc(3) as f\n output o = h -> round\n loss = softmax_loss(h, label)'],
  ])('%s is no obstacle', (_, body) => expect(told(body)).toEqual([]))

  test.each([
    ['round', 'x -> fc(3) -> round', 'round changes in steps, so its gradient is 0'],
    ['where', 'where(x -> fc(3), 2, -1)', 'the mask of where has no gradient'],
  ])('a loss that comes to %s alone teaches nothing', (_, value, why) => {
    expect(told(`loss = softmax_loss(${value}, label)`)).toEqual([`error: nothing learns by loss loss: ${why}`])
  })

  test('what only steps and masks lead to is named', () => {
    expect(told('h = x -> fc(4) as first -> relu -> fc(5) as second\n loss = softmax_loss(h -> ceil -> fc(3), label)'))
      .toEqual(['warning: first, second never learn: ceil changes in steps, so its gradient is 0'])
    expect(told('h = x -> fc(3)\n loss = softmax_loss(where(x -> fc(1) as gate, h, 0), label)'))
      .toEqual(['warning: gate never learns: the mask of where has no gradient'])
  })
})

// d(h - floor(h)) is dh: the weights' gradient is that of h.
test('steps hand back nothing, and what stands beside them all of it', async () => {
  const gradient = async (loss: string): Promise<number[]> => {
    const text = `net n {\n input x: f32[3]\n h = x -> fc(2) as f\n loss = sum(${loss})\n}\ntrain { solver sgd(lr: 0.1) }`
    const opened = await open(compile(text, { targets: [], programs: ['gradients'] }), { device: interpreter(), batch: 2, seed: 1 })
    const { grads } = await opened.step({ x: Float32Array.of(1, -2, 0.5, 3, 0.25, -1) }, { update: false })
    opened.close()
    return [...grads['f.weight']!]
  }
  const whole = await gradient('h')
  expect(whole.some((v) => v !== 0)).toBe(true)
  expect(await gradient('sub(h, floor(h))')).toEqual(whole)
  expect(await gradient('where(h -> round, h, h)')).toEqual(whole)
})
