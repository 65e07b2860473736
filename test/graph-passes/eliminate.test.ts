import { expect, test } from 'vitest'
import { printGraph } from '../../compiler/graph/print.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { eliminateDead } from '../../compiler/graph-passes/eliminate-dead.ts'
import { graphOf, net, opsOf, programOf } from './nets.ts'

const BODY = net('y = x -> dropout(0.5) -> fc(3) -> dropout(0.2)\n output o = y -> dropout(0.1)\n loss = softmax_loss(y, label)')

test('dropout is not there when testing, an output behind it included', () => {
  expect(opsOf(programOf(BODY, 'infer').graph)).toEqual(['fc'])
  expect(opsOf(programOf(BODY, 'eval').graph)).toEqual(['fc', 'softmax_loss'])
})

test('dropout is there in training', () => {
  expect(opsOf(programOf(BODY, 'gradients').graph).filter((op) => op === 'dropout')).toHaveLength(3)
})

test('what nobody needs goes, what updates the outside stays', () => {
  const { graph } = programOf(net('output side = x -> conv(2, 3) -> batch_norm as b\n loss = softmax_loss(x -> fc(3), label)'), 'train')
  // The running statistics of b are wanted later, though no result of the step depends on them.
  expect(opsOf(graph)).toContain('update_statistics')
  expect(opsOf(graph)).not.toContain('batch_normalize')
  expect(opsOf(programOf(net('idle = x -> conv(2, 3) -> batch_norm\n output o = x -> relu'), 'infer').graph)).toEqual(['relu'])
})

test('a graph in which all is needed stays as it is', () => {
  const graph = graphOf(net('output o = x -> conv(2, 3) -> batch_norm -> relu'))
  expect(printGraph(eliminateDead.run(graph, { program: 'infer', operators }).graph)).toBe(printGraph(graph))
})
