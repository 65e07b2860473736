import { describe, expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { type Graph, type Node, value, type Value } from '../../compiler/graph/graph.ts'
import { printGraph } from '../../compiler/graph/print.ts'
import { keep, replace, rewrite } from '../../compiler/graph/rewrite.ts'
import { overlap } from '../../compiler/ir/tensor.ts'
import { verifyGraph } from '../../compiler/graph-passes/verify.ts'
import { operators } from '../../compiler/ops/registry.ts'

const x = value('x', ['n', 2], nowhere, { storage: { role: 'input', slot: 'x', offset: 0 } })
const weight = value('s.weight', [2], nowhere, { storage: { role: 'parameters', offset: 0 } })
const a = value('a', ['n', 2], nowhere)
const b = value('b', ['n', 2], nowhere)
const node = (name: string, op: string, inputs: readonly Value[], output: Value, more: Partial<Node> = {}): Node => ({
  name,
  op,
  layer: 'l',
  inputs,
  outputs: [output],
  parameters: {},
  attributes: {},
  span: nowhere,
  ...more,
})
const entry = (of: Value, name = of.name): Graph['parameters'][number] => ({
  value: of,
  name,
  layer: 's',
  trainable: true,
  initializer: { kind: 'constant', value: 1 },
  rateMultiplier: 1,
  decayMultiplier: 1,
})
const graph = (nodes: readonly Node[], more: Partial<Graph> = {}): Graph => ({
  name: 'g',
  inputs: [x],
  parameters: [entry(weight)],
  nodes,
  outputs: [{ name: 'o', value: b, role: 'output' }],
  ...more,
})
const scale = node('s', 'scale', [x], a, { parameters: { weight } })
const relu = node('r', 'relu', [a], b)
const sound = graph([scale, relu])

test('a sound graph has no problems', () => expect(verifyGraph(sound, operators)).toEqual([]))

describe('says what is wrong', () => {
  const update = node('u', 'update_statistics', [], weight, { parameters: { weight } })
  test.each<[string, Graph, string]>([
    ['order', graph([relu, scale]), 'r reads a before s makes it'],
    ['nothing makes it', graph([relu]), 'r reads a, which nothing makes'],
    ['made twice', graph([scale, node('t', 'relu', [x], a), relu]), 'a is made twice, the second time by t'],
    ['same names', graph([scale, { ...relu, name: 's' }]), 'two nodes are called s'],
    ['unknown operator', graph([scale, { ...relu, op: 'rule' }]), 'r has the unknown operator rule'],
    ['update before a reader', graph([update, scale, relu]), 's reads s.weight after u has updated it'],
    ['output of nothing', graph([scale]), 'output o is b, which nothing makes'],
    [
      'a parameter that is none',
      graph([{ ...scale, parameters: { weight: value('w', [2], nowhere) } }, relu]),
      's has w as weight, which is no parameter',
    ],
    [
      'unaligned',
      graph([relu, scale], { parameters: [entry({ ...weight, storage: { role: 'parameters', offset: 32 } })] }),
      'parameter s.weight starts at 32, no multiple of 64',
    ],
    [
      'one place for two',
      graph([scale, relu], { parameters: [entry(weight), entry({ ...weight, name: 't.weight' })] }),
      's.weight and t.weight share a place in parameters',
    ],
    [
      'input and output of one name',
      graph([scale, relu], { outputs: [{ name: 'x', value: b, role: 'output' }] }),
      'two inputs or outputs are called x',
    ],
    [
      'shape by the rule',
      graph([scale, { ...node('l', 'relu', [a], value('b', ['n', 3], nowhere)) }], { outputs: [] }),
      'l gives [n, 2], and b is [n, 3]',
    ],
    [
      'gradient of another shape',
      graph([scale, relu], { outputs: [{ name: 'grad/s.weight', value: b, role: 'gradient' }] }),
      'grad/s.weight is [n, 2], and s.weight [2]',
    ],
    [
      'a view of another size',
      graph([node('v', 'reshape', [x], value('b', ['n', 3], nowhere))], { outputs: [] }),
      'v shows [n, 2] as [n, 3]',
    ],
  ])('%s', (_, wrong, problem) => expect(verifyGraph(wrong, operators)).toContain(problem))
})

test('packed values overlap where they share elements of one buffer', () => {
  const at = (offset: number, size: number, role: 'parameters' | 'gradients' = 'parameters'): Value =>
    value('v', [size], nowhere, { storage: { role, offset } })
  expect(overlap(at(0, 128), at(64, 10))).toBe(true)
  expect(overlap(at(0, 64), at(64, 10))).toBe(false)
  expect(overlap(at(0, 64), at(0, 64, 'gradients'))).toBe(false)
})

describe('rewriting', () => {
  test('a rule that declines leaves the graph and its reason', () => {
    const result = rewrite(sound, 'relu', () => keep('not today'))
    expect(result.graph).toBe(sound)
    expect(result.declined).toEqual([{ node: 'l', reason: 'not today' }])
  })
  test('a value that is replaced is replaced wherever it is read or given out', () => {
    const result = rewrite(sound, 'relu', (n) => replace([], { instead: new Map([[n.outputs[0]!, n.inputs[0]!]]) }))
    expect(result.graph.nodes.map((n) => n.name)).toEqual(['s'])
    expect(result.graph.outputs[0]!.value).toBe(a)
    expect(verifyGraph(result.graph, operators)).toEqual([])
  })
})

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
