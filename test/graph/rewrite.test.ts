import { describe, expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { value } from '../../compiler/graph/graph.ts'
import { decline, replace, rewrite, substituteValues } from '../../compiler/graph/rewrite.ts'
import { verifyGraph } from '../../compiler/graph-passes/verify.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { a, b, graph, node, relu, scale, sound, weight, x } from './graphs.ts'

const namesOf = (of: { readonly nodes: readonly { readonly name: string }[] }): string[] => of.nodes.map(({ name }) => name)

describe('rewriting', () => {
  test('a rule that declines leaves the graph and its reason', () => {
    const result = rewrite(sound, 'relu', () => decline('not today'))
    expect(result.graph).toBe(sound)
    expect(result.declined).toEqual([{ node: 'l', reason: 'not today' }])
  })

  test('a rule with nothing to say leaves no reason', () => {
    expect(rewrite(sound, 'relu', () => undefined)).toEqual({ graph: sound, declined: [] })
  })

  test('a rule is asked about nodes of its operator alone', () => {
    const asked: string[] = []
    rewrite(sound, 'scale', ({ name }) => {
      asked.push(name)
      return undefined
    })
    expect(asked).toEqual(['s'])
  })

  test('a value that is replaced is replaced wherever it is read or given out', () => {
    const result = rewrite(sound, 'relu', (n) => replace([], { replacements: new Map([[n.outputs[0]!, n.inputs[0]!]]) }))
    expect(namesOf(result.graph)).toEqual(['s'])
    expect(result.graph.outputs[0]!.value).toBe(a)
    expect(verifyGraph(result.graph, operators)).toEqual([])
  })

  test('nodes stand where the node stood; others go, and others change at their own places', () => {
    const c = value('c', ['n', 2], nowhere)
    const last = node('t', 'tanh', [b], c)
    const of = graph([scale, relu, last], { outputs: [{ name: 'o', value: c, role: 'output' }] })
    const [first, second] = [node('r1', 'sigmoid', [x], a), node('r2', 'sigmoid', [a], b)]
    const changed = { ...last, attributes: { changed: true } }
    const result = rewrite(of, 'relu', () => replace([first, second], { removed: [scale], changed: new Map([[last, changed]]) }))
    expect(namesOf(result.graph)).toEqual(['r1', 'r2', 't'])
    expect(result.graph.nodes[2]).toBe(changed)
    expect(verifyGraph(result.graph, operators)).toEqual([])
  })

  test('a rule sees the graph as the rules before it left it', () => {
    const c = value('c', ['n', 2], nowhere)
    const of = graph([relu, node('r2', 'relu', [b], c)].map((n, i) => (i === 0 ? { ...n, inputs: [x] } : n)), {
      outputs: [{ name: 'o', value: c, role: 'output' }],
    })
    const seen: unknown[] = []
    rewrite(of, 'relu', (n, uses) => {
      seen.push([n.inputs[0]!.name, uses.producerOf(n.inputs[0]!)?.name, uses.readersOf(x).map(({ name }) => name), uses.isOutput(c)])
      return n.name === 'r' ? replace([], { replacements: new Map([[b, x]]) }) : undefined
    })
    expect(seen).toEqual([['x', undefined, ['r'], true], ['x', undefined, ['r2'], true]])
  })

  test('prepared nodes gather in the order in which they came', () => {
    const one = node('p1', 'round_weight', [], value('p1', [2], nowhere), { parameters: { weight } })
    const two = { ...one, name: 'p2' }
    const { graph: first } = rewrite(sound, 'scale', (n) => replace([n], { prepare: [one] }))
    const { graph: second } = rewrite(first, 'relu', (n) => replace([n], { prepare: [two] }))
    expect(second.prepare).toEqual([one, two])
  })
})

test('substituting values leaves nodes that read none of them the same objects', () => {
  const result = substituteValues(sound, new Map([[a, x]]))
  expect(result.nodes[0]).toBe(scale)
  expect(result.nodes[1]!.inputs).toEqual([x])
})
