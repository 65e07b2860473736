import { nowhere } from '../../dsl/source.ts'
import { type Graph, type Node, value, type Value } from '../../compiler/graph/graph.ts'

/*
 * A graph of two nodes, made by hand: x -> s (scale with a weight) -> a -> r (relu) -> b, which is the output.
 */

export const x = value('x', ['n', 2], nowhere, { storage: { role: 'input', slot: 'x', offset: 0 } })
export const weight = value('s.weight', [2], nowhere, { storage: { role: 'parameters', offset: 0 } })
export const a = value('a', ['n', 2], nowhere)
export const b = value('b', ['n', 2], nowhere)

export const node = (name: string, op: string, inputs: readonly Value[], output: Value, more: Partial<Node> = {}): Node => ({
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

export const entry = (of: Value, name = of.name): Graph['parameters'][number] => ({
  value: of,
  name,
  layer: 's',
  trainable: true,
  initializer: { kind: 'constant', value: 1 },
  rateMultiplier: 1,
  decayMultiplier: 1,
})

export const graph = (nodes: readonly Node[], more: Partial<Graph> = {}): Graph => ({
  name: 'g',
  inputs: [x],
  parameters: [entry(weight)],
  nodes,
  outputs: [{ name: 'o', value: b, role: 'output' }],
  ...more,
})

export const scale = node('s', 'scale', [x], a, { parameters: { weight } })
export const relu = node('r', 'relu', [a], b)
export const sound = graph([scale, relu])
