import { expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { value } from '../../compiler/graph/graph.ts'
import { outputValues, producers, readers, readsOf, resolved } from '../../compiler/graph/query.ts'
import { a, b, graph, node, relu, scale, sound, weight, x } from './graphs.ts'

test('a node reads its inputs, then its parameters', () => expect(readsOf(scale)).toEqual([x, weight]))

test('what is made has one producer; inputs and parameters have none', () => {
  const makers = producers(sound)
  expect([makers.get(a), makers.get(b), makers.get(x), makers.get(weight)]).toEqual([scale, relu, undefined, undefined])
})

test('a node that reads a value twice is one reader; readers stand in the order of the nodes', () => {
  const twice = node('t', 'add', [a, a], value('c', ['n', 2], nowhere))
  const found = readers(graph([scale, relu, twice]))
  expect(found.get(a)).toEqual([relu, twice])
  expect(found.get(b)).toBeUndefined()
})

test('results are the values that the graph gives out', () => expect(outputValues(sound)).toEqual(new Set([b])))

test('a replacement may be replaced itself', () => {
  const replacements = new Map([['a', 'b'], ['b', 'c']])
  expect(['a', 'b', 'c', 'd'].map((name) => resolved(name, replacements))).toEqual(['c', 'c', 'c', 'd'])
})
