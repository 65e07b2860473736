import type { ModelLayer } from '../model-net.ts'
import type { LayerGraph } from './layer-graph.ts'

/** One habit of exporters, and what a person would have written. */
export interface Pattern {
  readonly name: string
  /** The operators of the layers that it looks at: of the last layer of what it replaces. */
  readonly ops: readonly string[]
  /** Rewrites the graph at a layer and says whether it did. The layer's output stays under its name, made by another layer. */
  readonly rewrite: (graph: LayerGraph, layer: ModelLayer) => boolean
}

/** The nodes of the model that layers stand for together. */
export const nodesOf = (
  layers: readonly ModelLayer[],
): readonly string[] => [...new Set(layers.toReversed().flatMap((layer) => layer.from))]

/** An axis counted from the front, the batch as 0: -1 is the last of `rank`. */
export const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

/** The axes of a reduction from the front, ascending; `rank` counts the batch. */
export function axesOf(layer: ModelLayer, rank: number): readonly number[] {
  const axes = layer.arguments['axes'] ?? [2, 3]
  return (Array.isArray(axes) ? axes : [axes]).map((axis) => fromFront(Number(axis), rank)).toSorted((a, b) => a - b)
}
