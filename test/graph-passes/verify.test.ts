import { describe, expect, test } from 'vitest'
import { nowhere } from '../../dsl/source.ts'
import { type Graph, value } from '../../compiler/graph/graph.ts'
import { verifyGraph } from '../../compiler/graph-passes/verify.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { a, b, entry, graph, node, relu, scale, sound, weight, x } from '../graph/graphs.ts'

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
