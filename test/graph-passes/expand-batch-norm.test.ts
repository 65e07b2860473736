import { describe, expect, test } from 'vitest'
import type { Graph } from '../../compiler/graph/graph.ts'
import { expandBatchNorm } from '../../compiler/graph-passes/expand-batch-norm.ts'
import { verifyGraph } from '../../compiler/graph-passes/verify.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { graphOf, net, nodeOf, opsOf } from './nets.ts'

const chain = (stats: string): Graph => graphOf(net(`output o = x -> batch_norm(stats: ${stats}) as b -> relu`))
const train = { update: true, stats: 'train', apart: true } as const
const sound = (graph: Graph): Graph => {
  expect(verifyGraph(graph, operators)).toEqual([])
  return graph
}

describe('in training a layer is taken apart by its policy', () => {
  test.each([
    ['moving(0.9)', ['moments', 'batch_normalize', 'relu', 'update_statistics']],
    ['cumulative', ['moments', 'batch_normalize', 'relu', 'update_statistics', 'update_counts']],
    ['caffe', ['moments', 'batch_normalize', 'relu', 'update_statistics', 'update_counts']],
    ['batch', ['moments', 'batch_normalize', 'relu']],
    ['global', ['stored_statistics', 'batch_normalize', 'relu']],
  ])('%s: %o', (stats, ops) => expect(opsOf(sound(expandBatchNorm(chain(stats), train)))).toEqual(ops))
})

test('the value of the layer stays: what reads it is not touched', () => {
  const before = chain('moving')
  const after = expandBatchNorm(before, train)
  expect(nodeOf(after, 'b')!.outputs).toEqual(nodeOf(before, 'b')!.outputs)
  expect(after.nodes.find(({ op }) => op === 'relu')).toBe(before.nodes[1])
})

test('gamma and beta make two rows more of the statistics: 6 in place of 4', () => {
  const rows = (args: string): unknown => {
    const graph = expandBatchNorm(graphOf(net(`output o = x -> batch_norm${args} as b`)), train)
    return nodeOf(graph, 'b.moments')!.outputs[0]!.shape
  }
  expect([rows(''), rows('(affine: false)')]).toEqual([[6, 4], [4, 4]])
})

test('with stored statistics a layer stays one node, but for gradients', () => {
  const graph = chain('moving')
  expect(opsOf(expandBatchNorm(graph, { update: false, stats: 'global' }))).toEqual(['batch_norm', 'relu'])
  expect(opsOf(expandBatchNorm(graph, { update: false, stats: 'global', apart: true })))
    .toEqual(['stored_statistics', 'batch_normalize', 'relu'])
  // A layer that stores nothing always takes those of the batch.
  expect(opsOf(expandBatchNorm(chain('batch'), { update: false, stats: 'global' }))).toEqual(['moments', 'batch_normalize', 'relu'])
})

test('layers that share statistics: each counts behind the one before it', () => {
  const shared = graphOf(net(
    'a = x -> batch_norm(stats: cumulative) as b\n output o = a -> batch_norm(stats: cumulative, weights: b) as c',
  ))
  const ops = opsOf(sound(expandBatchNorm(shared, train)))
  expect(ops.slice(4)).toEqual(['update_statistics', 'update_counts', 'update_statistics', 'update_counts'])
})

test('counters of many layers are counted at most seven at a time', () => {
  const layers = Array.from({ length: 9 }, (_, i) => ` -> batch_norm(stats: cumulative) as b${i}`).join('')
  const graph = sound(expandBatchNorm(graphOf(net(`output o = x${layers}`)), train))
  expect(graph.nodes.filter(({ op }) => op === 'update_counts').map(({ outputs }) => outputs.length)).toEqual([7, 2])
})
