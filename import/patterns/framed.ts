import type { Argument, ModelLayer } from '../model-net.ts'
import type { LayerGraph } from './layer-graph.ts'
import { nodesOf, type Pattern } from './pattern.ts'

/** [top, bottom, left, right] of a `pad`: one number, [height, width], or all four. */
function frame(size: Argument | undefined): readonly number[] | undefined {
  if (size === undefined) return [0, 0, 0, 0]
  if (typeof size === 'number') return [size, size, size, size]
  if (!Array.isArray(size)) return undefined
  const [a, b, c, d] = size as readonly number[]
  if (size.length === 1) return [a!, a!, a!, a!]
  return size.length === 2 ? [a!, a!, b!, b!] : [a!, b!, c!, d!]
}

function kernelOf(layer: ModelLayer): readonly number[] {
  const kernel = layer.arguments['kernel']
  return Array.isArray(kernel) ? (kernel as readonly number[]) : [Number(kernel), Number(kernel)]
}

/** The shortest way to write a frame. */
const written = (sizes: readonly number[]): Argument => {
  const [top, bottom, left, right] = sizes
  if (top !== bottom || left !== right) return sizes
  return top === left ? top! : [top!, left!]
}

/** Whether a layer makes no negative number, so that a zero beside it is never above the maximum. */
const isAboveZero = (graph: LayerGraph, value: string | number): boolean => {
  const maker = graph.maker(value)
  if (maker?.op === 'relu' || maker?.op === 'sigmoid' || maker?.op === 'hard_sigmoid') return true
  return maker?.op === 'clip' && Number(maker.arguments['lo']) >= 0
}

/**
 * A frame of zeros in front of a convolution or a pooling, where that pads just so by itself: TensorFlow knows `same` and `valid` alone, so that Keras' nets
 * write every other padding as a layer.
 */
export const framed: Pattern = {
  name: 'framed',
  ops: ['conv', 'max_pool', 'avg_pool'],
  rewrite: (graph, layer) => {
    const pad = graph.maker(layer.inputs[0]!)
    if (pad?.op !== 'pad' || !graph.isInner(pad.output, new Set([layer]))) return false
    if ((pad.arguments['mode'] ?? 'constant') !== 'constant' || [pad.arguments['channels'] ?? 0].flat().some((size) => size !== 0))
      return false
    const value = Number(pad.arguments['value'] ?? 0)
    const [outer, own] = [frame(pad.arguments['size']), frame(layer.arguments['pad'])]
    if (!outer || !own || outer.some((size) => size < 0)) return false
    const all = outer.map((size, side) => size + own[side]!)
    const [height, width] = kernelOf(layer)
    let more = {}
    if (layer.op === 'conv') {
      if (value !== 0) return false
    } else {
      // Pools leave out what is padding; their frames are less than a window, and a rounded-up last window would begin elsewhere.
      if (layer.arguments['round'] === 'ceil' || own.some((size) => size !== 0)) return false
      if (Math.max(all[0]!, all[1]!) >= height! || Math.max(all[2]!, all[3]!) >= width!) return false
      if (layer.op === 'avg_pool') {
        if (value !== 0) return false
        more = { count: 'padded' }
      } else if (!(value === -Infinity || (value <= 0 && isAboveZero(graph, pad.inputs[0]!)))) return false
    }
    graph.replace(layer, [{
      ...layer,
      inputs: pad.inputs,
      arguments: { ...layer.arguments, pad: written(all), ...more },
      from: nodesOf([layer, pad]),
    }], [pad])
    return true
  },
}
