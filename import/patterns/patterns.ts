import type { ModelLayer } from '../model-net.ts'
import { activations } from './activations.ts'
import { affineNorm } from './affine-norm.ts'
import { centredNorm, shiftedNorm } from './centred-norm.ts'
import { biasLayer, channelArithmetic, ownBias } from './channel-arithmetic.ts'
import { removeChannelsLast } from './channels-last.ts'
import { framed } from './framed.ts'
import { groupNorm } from './group-norm.ts'
import { LayerGraph } from './layer-graph.ts'
import { localResponseNorm } from './local-response-norm.ts'
import { normalization } from './normalization.ts'
import { normalizeChannels, normalizeInput } from './normalize.ts'
import { onePosition } from './one-position.ts'
import type { Pattern } from './pattern.ts'
import { flattenBeforeFc, globalPool, reshapes, transposes } from './shapes.ts'
import { stableLogs } from './stable-logs.ts'
import { upsample } from './upsample.ts'

/** What is looked for first: it reads arithmetic that the second list would give other names. */
const FIRST: readonly Pattern[] = [
  activations,
  stableLogs,
  normalization,
  localResponseNorm,
  centredNorm,
  shiftedNorm,
  groupNorm,
  // Behind the norms, whose gamma and beta it finds.
  affineNorm,
  ownBias,
  biasLayer,
  framed,
  upsample,
  normalizeChannels,
  normalizeInput,
  transposes,
  reshapes,
]
const SECOND: readonly Pattern[] = [globalPool, channelArithmetic, flattenBeforeFc, onePosition]

/** A sweep that changes something makes the net smaller or simpler: nets of real exporters need three. */
const MOST_SWEEPS = 50

/**
 * Makes of the arithmetic that exporters write out what a person would have written. The net computes the same, to rounding; every value in `kept`
 * (those that results name) stays, and so does every value that a layer outside of a pattern reads. `shapes` are those of one sample, without the
 * batch, by value: patterns that need one that is absent leave things as they are.
 */
export function applyPatterns(
  layers: readonly ModelLayer[],
  kept: ReadonlySet<string>,
  shapes: ReadonlyMap<string, readonly number[]>,
): readonly ModelLayer[] {
  const graph = new LayerGraph(layers, kept, shapes)
  sweep(graph, FIRST)
  if (removeChannelsLast(graph)) sweep(graph, FIRST)
  sweep(graph, [...FIRST, ...SECOND])
  removeUnread(graph)
  return graph.layers()
}

/** Tries the patterns from the last layer to the first: what is larger is found before its parts. */
function sweep(graph: LayerGraph, patterns: readonly Pattern[]): void {
  const byOp = new Map<string, Pattern[]>()
  for (const pattern of patterns) for (const op of pattern.ops) byOp.set(op, [...(byOp.get(op) ?? []), pattern])
  for (let sweeps = 0, changed = true; changed && sweeps < MOST_SWEEPS; sweeps++) {
    changed = false
    for (const layer of graph.layers().toReversed()) {
      if (graph.maker(layer.output) !== layer) continue
      if (byOp.get(layer.op)?.some((pattern) => pattern.rewrite(graph, layer))) changed = true
    }
  }
}

/** Tensors that layers own now, and what only removed layers read. */
function removeUnread(graph: LayerGraph): void {
  for (const layer of graph.layers().toReversed()) {
    if (graph.readers(layer.output).size === 0 && !graph.isKept(layer.output)) graph.remove(layer)
  }
}
