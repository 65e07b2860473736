import type { ModelLayer } from '../model-net.ts'
import type { LayerGraph } from './layer-graph.ts'
import { call, type Match, match, numberAs, oneOf, square, type Term } from './match.ts'
import { named } from './owned.ts'
import { axesOf, nodesOf, type Pattern } from './pattern.ts'

const mean = (x: Term, as: string): Term =>
  oneOf(call('reduce_mean', [x], { as, where: (a) => a['keep'] !== false }), call('global_avg_pool', [x], { as }))
const centred = call('sub', ['x', mean('x', 'mean')])
/** sqrt(mean((x - mean)^2) + eps) */
const deviation = call('sqrt', [call('add', [mean(square(centred), 'variance'), numberAs('eps')])])

const normalized = oneOf(call('div', [centred, deviation]), call('mul', [centred, call('reciprocal', [deviation])]))

/**
 * (x - mean) / sqrt(mean((x - mean)^2) + eps): what exporters make of layer_norm before opset 17, and of instance_norm where they have
 * reductions alone, or of batch_norm with a batch's own statistics. The axes of the means say which of them it is.
 */
export const normalization: Pattern = {
  name: 'normalization',
  ops: ['div', 'mul'],
  rewrite: (graph, layer) => {
    const found = match(graph, layer, normalized)
    const norm = found && normOf(graph, found, layer)
    if (!norm) return false
    graph.replace(layer, [norm], found.covered)
    return true
  },
}

function normOf(graph: LayerGraph, found: Match, layer: ModelLayer): ModelLayer | undefined {
  const x = found.values.get('x')!
  const shape = graph.shape(x)
  if (!shape) return undefined
  const rank = shape.length + 1
  const axes = axesOf(found.layers.get('mean')!, rank)
  if (axesOf(found.layers.get('variance')!, rank).join() !== axes.join()) return undefined
  const [first, last] = [axes[0] ?? 0, axes.at(-1) ?? 0]
  // All but the channels, the batch among them: a batch's own statistics.
  const isOfBatch = first === 0 && axes.length === rank - 1 && !axes.includes(1)
  // Other means over the batch are of another kind, and axes with a hole between them have no name.
  if (!isOfBatch && (first < 1 || axes.length !== last - first + 1)) return undefined
  const eps = found.numbers.get('eps')!
  const common = { ...named(layer), inputs: [x], output: layer.output, from: nodesOf(found.covered) }
  if (isOfBatch) return { ...common, op: 'batch_norm', arguments: { stats: { call: 'batch', arguments: {} }, eps, affine: false } }
  // The last axis of [n, L, C] is that of features.
  if (first === 2 && last === rank - 1 && rank > 3) return { ...common, op: 'instance_norm', arguments: { eps, affine: false } }
  return { ...common, op: 'layer_norm', arguments: { axis: first, end: last === rank - 1 ? -1 : last, eps, affine: false } }
}
