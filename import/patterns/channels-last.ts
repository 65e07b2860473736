import type { Argument, ModelLayer, ModelTensor } from '../model-net.ts'
import type { LayerGraph } from './layer-graph.ts'
import { isOwned } from './owned.ts'
import { fromFront } from './pattern.ts'

const TO_LAST = '0,2,3,1'
const TO_FIRST = '0,3,1,2'
const orderOf = (layer: ModelLayer): string | undefined => (layer.op === 'transpose' ? String(layer.arguments['order']) : undefined)

/** Where an axis of [n, H, W, C] is in [n, C, H, W]. */
const moved = (axis: number): number => [0, 2, 3, 1][fromFront(axis, 4)]!

/** Functions of each element: the order of axes is nothing to them. */
const ELEMENTWISE = new Set([
  'relu',
  'leaky_relu',
  'elu',
  'sigmoid',
  'tanh',
  'softplus',
  'silu',
  'gelu',
  'hard_sigmoid',
  'hard_swish',
  'clip',
  'pow',
  'exp',
  'log',
  'sqrt',
  'abs',
  'neg',
  'reciprocal',
  'floor',
  'ceil',
  'round',
  'erf',
  'softsign',
  'selu',
  'celu',
  'mish',
  'thresholded_relu',
  'dropout',
  'add',
  'sub',
  'mul',
  'div',
  'max',
  'min',
  'mean',
  'where',
])
const AXIS = new Set(['concat', 'slice', 'softmax', 'log_softmax', 'arg_max'])

/** What a layer that reads [n, H, W, C] is for [n, C, H, W]: its operator, arguments and parameters. Undefined: it needs the order that it has. */
type Translation = Pick<ModelLayer, 'op' | 'arguments' | 'parameters'>

function translate(layer: ModelLayer): Translation | undefined {
  const { op, arguments: a, parameters } = layer
  if (ELEMENTWISE.has(op)) return { op, arguments: a, ...(parameters ? { parameters } : {}) }
  if (AXIS.has(op)) {
    if (a['end'] !== undefined && fromFront(Number(a['end']), 4) !== fromFront(Number(a['axis'] ?? 1), 4)) return undefined
    const axis = moved(Number(a['axis'] ?? 1))
    return { op, arguments: { ...a, axis, ...(a['end'] === undefined ? {} : { end: axis }) } }
  }
  if (op === 'layer_norm') {
    const [first, last] = [fromFront(Number(a['axis'] ?? 1), 4), fromFront(Number(a['end'] ?? -1), 4)]
    return first === 3 && last === 3 ? { op, arguments: { ...a, axis: 1, end: 1 }, ...(parameters ? { parameters } : {}) } : undefined
  }
  if (op === 'fc') {
    const weight = parameters?.['weight']
    if (!weight || fromFront(Number(a['axis'] ?? 1), 4) !== 3 || a['transpose'] === true || layer.sharesWith !== undefined) return undefined
    const { axis: _, transpose: __, ...rest } = a
    return {
      op: 'conv',
      arguments: { ...rest, kernel: 1 },
      parameters: { ...parameters, weight: { ...weight, shape: [...weight.shape, 1, 1] } },
    }
  }
  if (op.startsWith('reduce_') && (a['keep'] !== false || isOverMap(layer))) {
    return { op, arguments: { ...a, axes: axesOf(a['axes']).map(moved).toSorted((x, y) => x - y) } }
  }
  return undefined
}

const axesOf = (axes: Argument | undefined): readonly number[] => [axes ?? [2, 3]].flat() as readonly number[]
/** Over height and width, which leaves [n, C] in either order of axes. */
const isOverMap = (layer: ModelLayer): boolean =>
  layer.op.startsWith('reduce_') && layer.arguments['keep'] === false &&
  axesOf(layer.arguments['axes']).map(moved).toSorted().join() === '2,3'

/** A `parameter` of a number a channel, the last axis, as [C, 1, 1]. */
function channelTensor(tensor: ModelTensor): ModelTensor | undefined {
  return tensor.shape.slice(0, -1).every((size) => size === 1) ? { ...tensor, shape: [tensor.shape.at(-1) ?? 1, 1, 1] } : undefined
}

/**
 * Layers between a transpose to [n, H, W, C] and one back: PyTorch has its linear layers and its layer_norm on the last axis only, so that ConvNeXt turns every
 * map twice a block. On [n, C, H, W] the first is a 1x1 convolution, the second `layer_norm(axis: 1, end: 1)`, and nothing is turned. A part of
 * the net is left as it is where this would make more transposes than it saves.
 */
export function removeChannelsLast(graph: LayerGraph): boolean {
  const parts = findParts(graph)
  for (const part of parts) rewritePart(graph, part)
  return parts.length > 0
}

/** Layers that are connected by values [n, H, W, C]. */
interface Part {
  readonly layers: ReadonlySet<ModelLayer>
  /** Values [n, H, W, C]. */
  readonly values: ReadonlySet<string>
}

function findParts(graph: LayerGraph): readonly Part[] {
  const partOf = new Map<string, { layers: Set<ModelLayer>; values: Set<string> }>()
  for (const layer of graph.layers()) {
    const read = layer.inputs.filter((input) => typeof input === 'string')
    const isEntry = orderOf(layer) === TO_LAST
    const isLast = !isEntry && orderOf(layer) === undefined && read.some((value) => partOf.has(value)) && translate(layer) !== undefined &&
      !graph.isShared(layer.output) &&
      (graph.shape(layer.output)?.length === 3 || isOverMap(layer)) && read.every((value) =>
        partOf.has(value) || isChannelParameter(graph, value)
      )
    if (!isEntry && !isLast) continue
    const joined = { layers: new Set([layer]), values: new Set(isOverMap(layer) ? [] : [layer.output]) }
    if (isLast) {
      for (const part of new Set(read.flatMap((value) => partOf.get(value) ?? []))) {
        for (const one of part.layers) joined.layers.add(one)
        for (const one of part.values) joined.values.add(one)
      }
    }
    for (const value of joined.values) partOf.set(value, joined)
  }
  return [...new Set(partOf.values())].filter((part) => {
    const saved = [...part.layers].filter((layer) => orderOf(layer) === TO_LAST && !graph.isKept(layer.output)).length +
      [...part.values].flatMap((value) => [...graph.readers(value)]).filter((reader) => orderOf(reader) === TO_FIRST).length
    const left = [...part.values].filter((value) => isReadOutside(graph, value, part))
    // Layers that only turn, and are read as they are, gain nothing.
    return saved > left.length && [...part.layers].some((layer) => orderOf(layer) === undefined)
  })
}

function isChannelParameter(graph: LayerGraph, value: string): boolean {
  const maker = graph.maker(value)
  const tensor = graph.tensor(value)
  return maker !== undefined && tensor !== undefined && isOwned(graph, maker) && channelTensor(tensor) !== undefined
}

function isReadOutside(graph: LayerGraph, value: string, part: Part): boolean {
  const back = backOf(graph, value)
  return graph.isKept(value) ||
    [...graph.readers(value)].some((reader) =>
      !part.layers.has(reader) && (orderOf(reader) !== TO_FIRST || (graph.isKept(reader.output) && reader !== back))
    )
}

/** The transpose back whose name the value gets: one that is a result, where there is such a one. */
function backOf(graph: LayerGraph, value: string): ModelLayer | undefined {
  const all = [...graph.readers(value)].filter((reader) => orderOf(reader) === TO_FIRST)
  return all.find((reader) => graph.isKept(reader.output)) ?? all[0]
}

function rewritePart(graph: LayerGraph, part: Part): void {
  /** The value [n, C, H, W] that stands for one [n, H, W, C]. */
  const first = new Map<string, string>()
  const inOrder = graph.layers().filter((layer) => part.layers.has(layer))
  for (const layer of inOrder) {
    if (orderOf(layer) === TO_LAST) {
      first.set(layer.output, layer.inputs[0] as string)
      continue
    }
    const shape = graph.shape(layer.output)
    const back = backOf(graph, layer.output)
    const outside = isReadOutside(graph, layer.output, part)
    const output = isOverMap(layer) ? layer.output : back ? back.output : outside ? `${layer.output} (channels first)` : layer.output
    if (!isOverMap(layer)) first.set(layer.output, output)
    if (shape?.length === 3) graph.setShape(output, [shape[2]!, shape[0]!, shape[1]!])
    for (const input of layer.inputs) {
      const parameter = first.has(String(input)) ? undefined : graph.maker(input)
      if (parameter) graph.replace(parameter, [turnParameter(graph, parameter)])
    }
    const by: ModelLayer = {
      ...layer,
      ...translate(layer)!,
      inputs: layer.inputs.map((input) => first.get(String(input)) ?? input),
      output,
    }
    if (back) graph.remove(back)
    const turned: ModelLayer = {
      op: 'transpose',
      inputs: [output],
      arguments: { order: [0, 2, 3, 1] },
      output: layer.output,
      from: layer.from,
    }
    if (outside && shape) graph.setShape(layer.output, shape)
    graph.replace(layer, outside && !isOverMap(layer) ? [by, turned] : [by])
  }
  for (const [last, value] of first) {
    for (const reader of graph.readers(last))
      if (orderOf(reader) === TO_FIRST && !graph.isKept(reader.output)) {
        graph.redirect(reader.output, value)
        graph.remove(reader)
      }
    const maker = graph.maker(last)
    if (maker && orderOf(maker) === TO_LAST && graph.readers(last).size === 0 && !graph.isKept(last)) graph.remove(maker)
  }
}

function turnParameter(graph: LayerGraph, parameter: ModelLayer): ModelLayer {
  const [role, tensor] = Object.entries(parameter.parameters!)[0]!
  const turned = channelTensor(tensor)!
  graph.setShape(parameter.output, turned.shape)
  return { ...parameter, arguments: { ...parameter.arguments, dims: turned.shape }, parameters: { [role]: turned } }
}
