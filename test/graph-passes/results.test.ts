import { describe, expect, test } from 'vitest'
import type { PassContext } from '../../compiler/graph-passes/pass.ts'
import { graphOf, net, nodeOf, opsOf, programOf } from './nets.ts'

const BODY = net(`y = x -> fc(3) as f
 output o = softmax(y)
 loss = softmax_loss(y, label, ignore: 0) as s
 metric share = accuracy(y, label) as m`)
const given = (text: string, program: Parameters<typeof programOf>[1], accumulate = 1): string[] => {
  const train: PassContext['train'] = { solver: { call: 'sgd', args: { lr: 0.1 } }, accumulate }
  return programOf(text, program, { train }).graph.outputs.map(({ name, role }) => `${role} ${name}`)
}

describe('select-outputs and select-losses', () => {
  test('inference gives out outputs alone, a step of training losses alone', () => {
    expect(given(BODY, 'infer')).toEqual(['output o'])
    expect(given(BODY, 'train').filter((name) => !name.startsWith('count'))).toEqual(['loss loss'])
  })
  test('a single step and gradients give out all', () => {
    expect(given(BODY, 'gradients').filter((name) => !name.startsWith('gradient'))).toEqual(['output o', 'loss loss', 'metric share'])
  })
})

describe('total-results', () => {
  test('an evaluation gives out how many labels each mean counts', () => {
    const { graph } = programOf(BODY, 'eval')
    expect(graph.outputs.filter(({ role }) => role === 'count').map(({ name }) => name)).toEqual(['count/s', 'count/m'])
    // One store more of the node that divides by it.
    expect(nodeOf(graph, 's')!.outputs.map(({ shape }) => shape)).toEqual([[], []])
  })
  test('a mean over samples needs no count', () => {
    const plain = net('y = x -> fc(3)\n loss = softmax_loss(y, label, normalization: batch_size)')
    expect(given(plain, 'eval')).toEqual(['loss loss'])
  })
  test('a sum of results gives out each of them', () => {
    const sum = net('y = x -> fc(3)\n a = softmax_loss(y, label, ignore: 0) as a1\n b = sum(y) as b1\n loss = add(a, b)')
    expect(given(sum, 'eval')).toEqual(['loss loss', 'count part/a1', 'count count/a1', 'count part/b1'])
  })
  test('in training only where an update adds up several batches', () => {
    expect(given(BODY, 'train', 1)).not.toContain('count count/s')
    expect(given(BODY, 'train', 2)).toContain('count count/s')
  })
})

describe('given-divisors', () => {
  const train = (accumulate: number): PassContext['train'] => ({ solver: { call: 'sgd', args: { lr: 0.1 } }, accumulate })
  test('of one batch the device counts the labels itself', () => {
    const { graph } = programOf(BODY, 'train', { train: train(1) })
    expect(opsOf(graph)).toContain('loss_divisor')
  })
  test('of several batches the host counts: one number for each label input and ignored label, 1 until it is written', () => {
    const twice = net(`y = x -> fc(3)
 loss a = softmax_loss(y, label, ignore: 0)
 loss b = softmax_loss(y, label, ignore: 0)
 loss c = softmax_loss(y, label, ignore: 2)`)
    const { graph } = programOf(twice, 'train', { train: train(2) })
    expect(opsOf(graph)).not.toContain('loss_divisor')
    const divisors = graph.constants!.filter(({ value }) => value.storage!.slot!.startsWith('divisor'))
    expect(divisors.map(({ value, values }) => [value.storage!.slot, values])).toEqual([
      ['divisor.label.2', [{ times: 1, values: [1] }]],
      ['divisor.label.0', [{ times: 1, values: [1] }]],
    ])
  })
  test('the graph of the file knows nothing of them', () => expect(graphOf(BODY).constants).toBeUndefined())
})
