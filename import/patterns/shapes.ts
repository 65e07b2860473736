import type { LayerGraph } from './layer-graph.ts'
import type { ModelLayer } from '../model-net.ts'
import { axesOf, nodesOf, type Pattern } from './pattern.ts'

const RESHAPES = ['reshape', 'flatten']

/** Only this layer reads what the one before it makes. */
const readsAlone = (graph: LayerGraph, before: ModelLayer | undefined, layer: ModelLayer): before is ModelLayer =>
  before !== undefined && graph.isInner(before.output, new Set([layer]))

/** Several changes of shape in a row: the last says it all. One that changes nothing vanishes; one of all axes together is `flatten`. */
export const reshapes: Pattern = {
  name: 'reshapes',
  ops: RESHAPES,
  rewrite: (graph, layer) => {
    const before = graph.maker(layer.inputs[0]!)
    if (before && RESHAPES.includes(before.op) && !graph.isKept(before.output)) {
      const shape = graph.shape(layer.output)
      if (shape && readsAlone(graph, before, layer)) {
        graph.replace(layer, [{
          ...layer,
          ...(layer.op === 'flatten' ? { op: 'reshape', arguments: { dims: shape } } : {}),
          inputs: before.inputs,
          from: nodesOf([layer, before]),
        }], [before])
        return true
      }
    }
    const [from, to] = [graph.shape(layer.inputs[0]!), graph.shape(layer.output)]
    if (!from || !to) return false
    if (from.join() === to.join() && !graph.isKept(layer.output)) {
      graph.redirect(layer.output, layer.inputs[0] as string)
      graph.remove(layer)
      return true
    }
    if (layer.op === 'reshape' && to.length === 1 && from.length > 1) {
      graph.replace(layer, [{ ...layer, op: 'flatten', arguments: {} }])
      return true
    }
    return false
  },
}

/** fc flattens by itself. */
export const flattenBeforeFc: Pattern = {
  name: 'flatten-before-fc',
  ops: ['fc'],
  rewrite: (graph, layer) => {
    const before = graph.maker(layer.inputs[0]!)
    if (
      before?.op !== 'flatten' || graph.isKept(before.output) || (layer.arguments['axis'] ?? 1) !== 1 ||
      graph.shape(before.output)?.length !== 1
    ) return false
    if ([...graph.readers(before.output)].some((reader) => reader.op !== 'fc')) return false
    const last = graph.readers(before.output).size === 1
    graph.replace(layer, [{ ...layer, inputs: before.inputs, from: last ? nodesOf([layer, before]) : layer.from }], last ? [before] : [])
    return true
  },
}

/** The mean, or the largest, of all positions of a map: `global_avg_pool`, `global_max_pool`; with a flatten where it left no dimensions of 1. */
export const globalPool: Pattern = {
  name: 'global-pool',
  ops: ['reduce_mean', 'reduce_max'],
  rewrite: (graph, layer) => {
    const shape = graph.shape(layer.inputs[0]!)
    if (shape?.length !== 3 || axesOf(layer, 4).join() !== '2,3') return false
    const op = layer.op === 'reduce_mean' ? 'global_avg_pool' : 'global_max_pool'
    if (layer.arguments['keep'] !== false) {
      graph.replace(layer, [{ ...layer, op, arguments: {} }])
      return true
    }
    const map = `${layer.output} (map)`
    graph.setShape(map, [shape[0]!, 1, 1])
    graph.replace(layer, [
      { ...layer, op, arguments: {}, output: map },
      { op: 'flatten', inputs: [map], arguments: {}, output: layer.output, from: layer.from },
    ])
    return true
  },
}

/** A transpose of a transpose is one; one that moves nothing vanishes. */
export const transposes: Pattern = {
  name: 'transposes',
  ops: ['transpose'],
  rewrite: (graph, layer) => {
    const order = layer.arguments['order'] as readonly number[]
    const before = graph.maker(layer.inputs[0]!)
    if (order.every((axis, position) => axis === position) && !graph.isKept(layer.output)) {
      graph.redirect(layer.output, layer.inputs[0] as string)
      graph.remove(layer)
      return true
    }
    if (before?.op !== 'transpose') return false
    const inner = before.arguments['order'] as readonly number[]
    const both = order.map((axis) => inner[axis]!)
    const alone = readsAlone(graph, before, layer)
    graph.replace(layer, [{
      ...layer,
      inputs: before.inputs,
      arguments: { order: both },
      from: alone ? nodesOf([layer, before]) : layer.from,
    }], alone ? [before] : [])
    return true
  },
}
