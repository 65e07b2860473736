import type { ModelLayer } from '../model-net.ts'
import { call, match, oneOf } from './match.ts'
import { axesOf, fromFront, nodesOf, type Pattern } from './pattern.ts'

const mean = oneOf(
  call('reduce_mean', ['x'], { as: 'mean', where: ({ keep }) => keep !== false }),
  call('global_avg_pool', ['x'], { as: 'mean' }),
)
const centred = call(['instance_norm', 'layer_norm', 'batch_norm'], [call('sub', ['x', mean])])

/**
 * A normalization of x - mean(x), along the axes that it normalizes itself: that of x, which takes the mean in two parts by itself. So fusenet
 * writes it for runtimes that lose digits where a mean is large.
 */
export const centredNorm: Pattern = {
  name: 'centred-norm',
  ops: ['instance_norm', 'layer_norm', 'batch_norm'],
  rewrite: (graph, layer) => {
    const found = match(graph, layer, centred)
    const x = found?.values.get('x')
    const shape = x === undefined ? undefined : graph.shape(x)
    if (!found || x === undefined || !shape) return false
    const rank = shape.length + 1
    if (axesOf(found.layers.get('mean')!, rank).join() !== normalizedBy(layer, rank).join()) return false
    graph.replace(layer, [{ ...layer, inputs: [x], from: nodesOf(found.covered) }], found.covered)
    return true
  },
}

/** The axes that a layer normalizes, ascending: with stored statistics none. */
function normalizedBy({ op, arguments: { axis = 1, end = -1, stats } }: ModelLayer, rank: number): readonly number[] {
  if (op === 'batch_norm')
    return (stats as { call?: string } | undefined)?.call === 'batch' ? [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)] : []
  const [first, last] = op === 'instance_norm' ? [2, rank - 1] : [fromFront(Number(axis), rank), fromFront(Number(end), rank)]
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i)
}
