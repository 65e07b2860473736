import { expect, test } from 'vitest'
import { nodeOf, net, opsOf, programOf } from './nets.ts'

const opsIn = (chain: string): string[] => opsOf(programOf(net(`output y = x -> ${chain}`), 'infer').graph)

test('two that undo each other are none, and what is computed between them keeps them apart', () => {
  expect(opsIn('relu -> transpose([0, 2, 3, 1]) -> transpose([0, 3, 1, 2]) -> tanh')).toEqual(['relu', 'tanh'])
  expect(opsIn('transpose([0, 2, 3, 1]) -> relu -> transpose([0, 3, 1, 2])')).toEqual(['transpose', 'relu', 'transpose'])
})

test('several in a row are one, of the order that they make together', () => {
  const { graph } = programOf(net('output y = x -> transpose([0, 2, 3, 1]) -> transpose([0, 1, 3, 2]) as last'), 'infer')
  expect(opsOf(graph)).toEqual(['transpose'])
  // [a, b, c] -> [b, c, a] -> [b, a, c]
  expect(nodeOf(graph, 'last')!.attributes['order']).toEqual([0, 2, 1, 3])
  expect(nodeOf(graph, 'last')!.inputs[0]!.name).toBe('x')
})

test('one that moves nothing goes, an output behind it included', () => {
  expect(opsIn('tanh -> transpose([0, 1, 2, 3])')).toEqual(['tanh'])
})

test('axes of one element move as a view', () => {
  expect(opsIn('global_avg_pool -> transpose([0, 2, 3, 1]) -> relu')).toEqual(['global_avg_pool', 'reshape', 'relu'])
  // Of [4, 6, 1] two long axes change places.
  expect(opsIn('avg_pool([1, 6]) -> transpose([0, 3, 2, 1])')).toEqual(['avg_pool', 'transpose'])
})

test('in training the gradients are as few', () => {
  const text = net('loss = softmax_loss(x -> conv(2, 3) -> transpose([0, 2, 3, 1]) -> transpose([0, 3, 1, 2]) -> fc(3), label)')
  expect(opsOf(programOf(text, 'gradients').graph)).not.toContain('transpose')
})

test('a value before both is read by others too', () => {
  const { graph } = programOf(
    net('a = x -> transpose([0, 2, 3, 1])\n output y = a -> relu\n output z = a -> transpose([0, 3, 1, 2]) -> tanh'),
    'infer',
  )
  expect(opsOf(graph)).toEqual(['transpose', 'relu', 'tanh'])
  expect(graph.nodes.find(({ op }) => op === 'tanh')!.inputs[0]!.name).toBe('x')
})
