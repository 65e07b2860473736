import { fromFront, nodesOf, type Pattern } from './pattern.ts'

/** Layers that read a sample as one row, whatever its shape. */
const SHAPELESS = new Set(['fc', 'flatten', 'reshape'])

/**
 * layer_norm of a map of one position that was turned to [1, 1, C]: where nothing behind it sees the shape, it is that of [C, 1, 1]. ConvNeXt's head
 * turns its mean so; to turn one position is a reshape, which `channels-last` does not see.
 */
export const onePosition: Pattern = {
  name: 'one-position',
  ops: ['layer_norm'],
  rewrite: (graph, layer) => {
    const turned = graph.maker(layer.inputs[0]!)
    if (turned?.op !== 'reshape' || graph.isKept(layer.output) || !graph.isInner(turned.output, new Set([layer]))) return false
    const [from, to] = [graph.shape(turned.inputs[0]!), graph.shape(turned.output)]
    if (from?.length !== 3 || to?.length !== 3 || from[1] !== 1 || from[2] !== 1 || to[0] !== 1 || to[1] !== 1) return false
    const axes = [layer.arguments['axis'] ?? 1, layer.arguments['end'] ?? -1].map((axis) => fromFront(Number(axis), 4))
    if (axes.join() !== '3,3') return false
    if (
      ![...graph.readers(layer.output)].every(({ op, arguments: a }) => SHAPELESS.has(op) && (op === 'reshape' || (a['axis'] ?? 1) === 1))
    ) return false
    graph.setShape(layer.output, from)
    graph.replace(layer, [{
      ...layer,
      inputs: turned.inputs,
      arguments: { ...layer.arguments, axis: 1, end: 1 },
      from: nodesOf([layer, turned]),
    }], [turned])
    return true
  },
}
