import type { ModelLayer } from '../model-net.ts'
import type { LayerGraph } from './layer-graph.ts'
import { call, type Match, match, oneOf, tensor } from './match.ts'
import { type Axes, isOwned, named, ownerName, ownTensor, rates } from './owned.ts'
import { fromFront, nodesOf, type Pattern } from './pattern.ts'

const NORMS = ['layer_norm', 'instance_norm', 'group_norm', 'batch_norm']

const norm = call(NORMS, ['x'], { as: 'norm', where: (a) => a['affine'] === false })
const inArithmetic = call('add', [call('mul', [norm, tensor('gamma')]), tensor('beta')])
const inLayers = oneOf(
  call('bias', [call('scale', [norm], { as: 'gamma', where: (a) => a['bias'] === false })], { as: 'beta' }),
  call('scale', [norm], { as: 'both', where: (a) => a['bias'] !== false }),
)

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
  ops: ['add', 'bias', 'scale'],
  rewrite: (graph, layer) => {
    const found = match(graph, layer, layer.op === 'add' ? inArithmetic : inLayers)
    const shape = graph.shape(layer.output)
    if (!found || !shape) return false
    const norm = found.layers.get('norm')!
    const own = (layer.op === 'add' ? ofTensors : ofLayers)(graph, found, shape, ownAxes(norm, shape.length + 1))
    if (!own) return false
    const { affine: _, ...rest } = norm.arguments
    graph.replace(layer, [{
      ...norm,
      ...named(own.name, norm),
      arguments: { ...rest, ...own.rates },
      parameters: { ...norm.parameters, ...own.parameters },
      output: layer.output,
      from: nodesOf(found.covered),
    }], found.covered)
    return true
  },
}

interface Own {
  readonly name: string | undefined
  readonly rates: ReturnType<typeof rates>
  readonly parameters: NonNullable<ModelLayer['parameters']>
}

function ofTensors(graph: LayerGraph, found: Match, shape: readonly number[], axes: Axes): Own | undefined {
  const owners = [found.layers.get('gamma')!, found.layers.get('beta')!]
  const [gamma, beta] = owners.map((owner) => (isOwned(graph, owner) ? ownTensor(graph.tensor(owner.output), shape, axes) : undefined))
  return gamma && beta && { name: ownerName(owners[0]), rates: rates(owners), parameters: { gamma, beta } }
}

/** The parameters of `scale` and `bias`, which have a number a channel. */
function ofLayers(_graph: LayerGraph, found: Match, _shape: readonly number[], [first, last]: Axes): Own | undefined {
  const layers = [found.layers.get('both') ?? found.layers.get('gamma')!, found.layers.get('both') ?? found.layers.get('beta')!]
  const [gamma, beta] = [layers[0]!.parameters?.['weight'], layers[1]!.parameters?.['bias']]
  if (
    first !== 1 || last !== 1 || !gamma || !beta || layers.some((layer) => layer.sharesWith !== undefined || 'lr_mult' in layer.arguments)
  ) return undefined
  return { name: layers[0]!.name, rates: {}, parameters: { gamma, beta } }
}
