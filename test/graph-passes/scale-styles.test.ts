import { describe, expect, test } from 'vitest'
import { printGraph } from '../../compiler/graph/print.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { mergeScale } from '../../compiler/graph-passes/merge-scale.ts'
import { splitScale } from '../../compiler/graph-passes/split-scale.ts'
import { expectClose, freshBuffers, graphOf, net, nodeOf, noise, opsOf, passed, read, run } from './nets.ts'

const context = { program: 'infer', operators } as const
const CAFFE = 'y = x -> conv(3, 3) as c -> batch_norm(affine: false) as b -> scale as s\n output o = y'
const DRAGON = 'y = x -> conv(3, 3) as c -> batch_norm as b\n output o = y'
const inputs = { x: noise(2 * 144), label: [0, 2] }
const LEARNED = { gamma: [0.5, -1.5, 2], beta: [0.25, 0, -1] }
const STATS = { 'b.running_mean': [0.1, -0.2, 0.3], 'b.running_var': [0.5, 1.5, 2.5] }

test("merged: Caffe's three layers become two, with the parameters under the names that they have", () => {
  const { graph, declined } = mergeScale.run(graphOf(net(CAFFE)), context)
  expect(opsOf(graph)).toEqual(['conv', 'batch_norm'])
  const bn = nodeOf(graph, 'b')!
  expect([bn.parameters['gamma']!.name, bn.parameters['beta']!.name]).toEqual(['s.weight', 's.bias'])
  expect(bn.absorbed).toEqual(['s'])
  expect(declined).toEqual([])
})

test('merged: a scale without bias gives a batch_norm without beta', () => {
  const { graph } = mergeScale.run(graphOf(net(CAFFE.replace('scale', 'scale(bias: false)'))), context)
  expect(Object.keys(nodeOf(graph, 'b')!.parameters)).not.toContain('beta')
})

test("split: Dragon's layer becomes two", () => {
  const { graph } = splitScale.run(graphOf(net(DRAGON), 'split'), context)
  expect(opsOf(graph)).toEqual(['conv', 'batch_norm', 'scale'])
  const scale = nodeOf(graph, 'b.scale')!
  expect([scale.parameters['weight']!.name, scale.parameters['bias']!.name]).toEqual(['b.gamma', 'b.beta'])
  expect(Object.keys(nodeOf(graph, 'b')!.parameters)).not.toContain('gamma')
})

describe.each(['infer', 'infer/batch', 'gradients'] as const)('%s gives the same numbers', (program) => {
  const results = (body: string, style: 'merged' | 'split', set: Record<string, readonly number[]>): Record<string, number[]> => {
    const base = graphOf(net(`${body}\n loss = sum(tanh(y))`), style)
    return run(passed(base, program).graph, freshBuffers(base, 3, { ...STATS, ...set }), { batch: 2, inputs })
  }
  const want = results(DRAGON, 'merged', { 'b.gamma': LEARNED.gamma, 'b.beta': LEARNED.beta })
  const renamed = (name: string): string => name.replace('b.gamma', 's.weight').replace('b.beta', 's.bias')
  test.each(
    [
      ["Dragon's spelling, split", DRAGON, 'split'],
      ["Caffe's spelling, merged", CAFFE, 'merged'],
      ["Caffe's spelling, split", CAFFE, 'split'],
    ] as const,
  )('%s', (_, body, style) => {
    const dragon = body === DRAGON
    const got = results(
      body,
      style,
      dragon ? { 'b.gamma': LEARNED.gamma, 'b.beta': LEARNED.beta } : { 's.weight': LEARNED.gamma, 's.bias': LEARNED.beta },
    )
    expect(Object.keys(got).sort()).toEqual(Object.keys(want).map((name) => (dragon ? name : renamed(name))).sort())
    for (const [name, values] of Object.entries(want)) expectClose(got[dragon ? name : renamed(name)]!, values)
  })
})

test('running statistics do not depend on the style either', () => {
  const after = (body: string, style: 'merged' | 'split'): number[] => {
    const base = graphOf(net(`${body}\n loss = sum(tanh(y))`), style)
    const buffers = freshBuffers(base, 3, { ...STATS, 'c.bias': [0.5, -0.5, 1] })
    run(passed(base, 'train').graph, buffers, { batch: 2, inputs })
    return [...read(base, buffers, 'b.running_mean'), ...read(base, buffers, 'b.running_var')]
  }
  const want = after(DRAGON, 'split')
  for (const [body, style] of [[DRAGON, 'merged'], [CAFFE, 'merged'], [CAFFE, 'split']] as const) expectClose(after(body, style), want)
})

describe('what merge-scale leaves alone', () => {
  const unchanged = (body: string, style?: 'split'): readonly { reason: string }[] => {
    const graph = graphOf(net(body), style)
    const result = mergeScale.run(graph, context)
    expect(printGraph(result.graph)).toBe(printGraph(graph))
    return result.declined
  }
  test('a normalized value that is read elsewhere too', () => {
    expect(unchanged('b = x -> batch_norm(affine: false) as b\n output o = add(b -> scale, b -> relu as r)')).toEqual([{
      node: 'b',
      reason: 'b is read elsewhere too, by r',
    }])
  })
  test('a normalized value that is an output', () => {
    expect(unchanged('b = x -> batch_norm(affine: false) as b\n output raw = b\n output o = b -> scale as s')).toEqual([{
      node: 'b',
      reason: 'b is an output of the net before s',
    }])
  })
  test('a batch_norm that owns gamma and beta already', () => {
    expect(unchanged('output o = x -> batch_norm as b -> scale as s')).toEqual([{
      node: 'b',
      reason: 'b owns gamma and beta already, s stays a layer of its own',
    }])
  })
  test('a scale behind something between', () =>
    expect(unchanged('output o = x -> batch_norm(affine: false) -> relu -> scale')).toEqual([]))
  test('split style', () => expect(unchanged(CAFFE, 'split')).toEqual([]))
})

test('split-scale leaves alone what is merged, and what owns no gamma', () => {
  for (const graph of [graphOf(net(DRAGON)), graphOf(net(CAFFE), 'split')])
    expect(printGraph(splitScale.run(graph, context).graph)).toBe(printGraph(graph))
})
