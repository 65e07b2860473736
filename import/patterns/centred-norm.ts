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

const shifted = call('batch_norm', [call('bias', ['x'], { as: 'shift' })])

/** A batch_norm of x - mean whose own stored mean is 0: that of x, with that mean. So fusenet writes it where means are far from 0. */
export const shiftedNorm: Pattern = {
  name: 'shifted-norm',
  ops: ['batch_norm'],
  rewrite: (graph, layer) => {
    const found = match(graph, layer, shifted)
    const x = found?.values.get('x')
    const shift = found?.layers.get('shift')
    const [own, bias] = [layer.parameters?.['running_mean'], shift?.parameters?.['bias']]
    if (!found || x === undefined || !own || !bias || layer.sharesWith !== undefined || shift!.sharesWith !== undefined) return false
    const rank = (graph.shape(x)?.length ?? 0) + 1
    if (normalizedBy(layer, rank).length > 0 || own.values().some((value) => value !== 0)) return false
    const mean = { shape: own.shape, values: () => bias.values().map((value) => -value) }
    const moved = { ...layer, inputs: [x], parameters: { ...layer.parameters, running_mean: mean }, from: nodesOf(found.covered) }
    graph.replace(layer, [moved], found.covered)
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
