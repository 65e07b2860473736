import { expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { value } from '../../compiler/graph/graph.ts'
import { printGraph, showAttribute } from '../../compiler/graph/print.ts'
import { a, graph, node, relu, scale } from './graphs.ts'

test('prints as text that tells everything, values of one name apart', () => {
  const twin = value('a', ['n', 2], nowhere)
  expect(printGraph(graph([scale, node('t', 'relu', [a], twin), { ...relu, inputs: [twin], attributes: { slope: 0.5, window: [2, 3] } }])))
    .toBe(`graph g
input x: f32 [n, 2]
parameter s.weight: [2] in parameters at 0, starts 1

s: a [n, 2] = scale(x, weight: s.weight)
t: a#2 [n, 2] = relu(a)
r: b [n, 2] = relu(a#2; slope: 0.5, window: [2, 3])

output o = b
`)
})

test.each([
  [2, '2'],
  ['same', 'same'],
  [[1, 2], '[1, 2]'],
  [{ call: 'batch', args: {} }, 'batch'],
  [{ call: 'moving', args: { newest: 0.9 } }, 'moving(newest: 0.9)'],
  [{ count: 3, unit: 'epochs' as const }, '3 epochs'],
])('an attribute %o is written %s', (attribute, text) => expect(showAttribute(attribute)).toBe(text))
