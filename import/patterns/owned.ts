import type { ModelLayer, ModelTensor } from '../model-net.ts'
import type { LayerGraph } from './layer-graph.ts'

/** The first and the last of some axes, counted with the batch as 0. */
export type Axes = readonly [first: number, last: number]

/**
 * The tensor as a layer's own parameter over some axes of values of a shape (one sample, without the batch); undefined where arithmetic would repeat
 * it along one of these axes, or not along all others.
 */
export function ownTensor(tensor: ModelTensor | undefined, shape: readonly number[], axes: Axes): ModelTensor | undefined {
  if (!tensor) return undefined
  const missing = shape.length - tensor.shape.length
  // Leading dimensions of 1, the batch's among them.
  if (missing < 0 && tensor.shape.slice(0, -missing).some((size) => size !== 1)) return undefined
  for (const [position, size] of shape.entries()) {
    const given = position < missing ? 1 : tensor.shape[position - missing]
    if (given !== (position + 1 >= axes[0] && position + 1 <= axes[1] ? size : 1)) return undefined
  }
  return { shape: shape.slice(axes[0] - 1, axes[1]), values: tensor.values }
}

/** The name of a layer by that of its parameter: `layer1.0.bn1.weight` belongs to `layer1.0.bn1`. */
export function ownerName(parameter: ModelLayer | undefined): string | undefined {
  return parameter?.name?.replace(/[./_](weight|bias|gamma|beta|scale|shift|slope)$/, '')
}

/** The name part of a layer: that of its parameters, or else another layer's. */
export function named(...candidates: readonly (ModelLayer | string | undefined)[]): { name?: string } {
  for (const candidate of candidates) {
    const name = typeof candidate === 'string' ? candidate : candidate?.name
    if (name !== undefined) return { name }
  }
  return {}
}

/** `lr_mult` of a layer that takes over tensors which nothing learned: constants stay constants. */
export function rates(parameters: readonly ModelLayer[]): { lr_mult?: number | readonly number[] } {
  const factors = parameters.map((parameter) => Number(parameter.arguments['lr_mult'] ?? 1))
  return factors.every((factor) => factor === 1) ? {} : { lr_mult: factors }
}

/** Whether nobody but one layer reads a parameter: only then a layer may own it. */
export const isOwned = (graph: LayerGraph, parameter: ModelLayer): boolean =>
  graph.readers(parameter.output).size === 1 && !graph.isKept(parameter.output)
