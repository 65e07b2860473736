import type { ModelLayer } from '../model-net.ts'
import { call, match, tensor } from './match.ts'
import { type Axes, isOwned, named, ownerName, ownTensor, rates } from './owned.ts'
import { fromFront, nodesOf, type Pattern } from './pattern.ts'

const NORMS = ['layer_norm', 'instance_norm', 'group_norm', 'batch_norm']

const affine = call('add', [
  call('mul', [call(NORMS, ['x'], { as: 'norm', where: (a) => a['affine'] === false }), tensor('gamma')]),
  tensor('beta'),
])

/** The axes of gamma and beta. */
function ownAxes(norm: ModelLayer, rank: number): Axes {
  if (norm.op !== 'layer_norm') return [1, 1]
  return [fromFront(Number(norm.arguments['axis'] ?? 1), rank), fromFront(Number(norm.arguments['end'] ?? -1), rank)]
}

/**
 * A norm without gamma and beta, times a tensor, plus a tensor: one norm that owns both. Not where one of the two is missing, is read elsewhere
 * or has not the shape of the axes that a norm owns parameters over.
 */
export const affineNorm: Pattern = {
  name: 'affine-norm',
  ops: ['add'],
  rewrite: (graph, layer) => {
    const found = match(graph, layer, affine)
    const shape = graph.shape(layer.output)
    if (!found || !shape) return false
    const [norm, gamma, beta] = ['norm', 'gamma', 'beta'].map((name) => found.layers.get(name)!) as [ModelLayer, ModelLayer, ModelLayer]
    const axes = ownAxes(norm, shape.length + 1)
    const [ownGamma, ownBeta] = [gamma, beta].map((parameter) => ownTensor(graph.tensor(parameter.output), shape, axes))
    if (!ownGamma || !ownBeta || !isOwned(graph, gamma) || !isOwned(graph, beta)) return false
    const { affine: _, ...rest } = norm.arguments
    graph.replace(layer, [{
      ...norm,
      ...named(ownerName(gamma), norm),
      arguments: { ...rest, ...rates([gamma, beta]) },
      parameters: { ...norm.parameters, gamma: ownGamma, beta: ownBeta },
      output: layer.output,
      from: nodesOf(found.covered),
    }], found.covered)
    return true
  },
}
