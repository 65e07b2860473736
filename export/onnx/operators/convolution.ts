import { type Pair, reach } from '../../../compiler/ops/sliding-window.ts'
import { type Layer, type NodeAttributes, numberOf, reshapeTo, type Row } from '../layer.ts'
import { framed, mayBeBlind, NO_PADS, windowAttributes, windowOf } from './window.ts'

const kernelOf = (layer: Layer): Pair => layer.attributes['kernel'] as unknown as Pair
const groupsOf = (layer: Layer): NodeAttributes => (numberOf(layer, 'groups', 1) === 1 ? {} : { group: numberOf(layer, 'groups', 1) })
const weights = (layer: Layer): string[] => [layer.parameter('weight'), ...(layer.has('bias') ? [layer.parameter('bias')] : [])]

const conv: Row = (layer) => {
  const window = windowOf(layer, kernelOf(layer))
  const isBlind = mayBeBlind(window, window.pads)
  const x = isBlind ? framed(layer, layer.input(), window.pads, 0) : layer.input()
  layer.done('Conv', [x, ...weights(layer)], { ...windowAttributes(window, isBlind ? NO_PADS : window.pads), ...groupsOf(layer) })
}

/**
 * stride (in - 1) + reach - pads + output_padding, as in the language; what `pad: same` lacks of its size is output_padding. Onnxruntime refuses one that is not less
 * than the stride, and ONNX' reference too, dilation or not: rows that are cut off at the end stay instead, and where those do not do, rows of zeros
 * behind the input reach stride rows further each.
 */
const deconv: Row = (layer) => {
  const window = windowOf(layer, kernelOf(layer), 'input')
  const pads: [number, number, number, number] = [...window.pads]
  const zeros: [number, number, number, number] = [0, 0, 0, 0]
  const more = window.slides.map((slide, d) => {
    const end = pads[d + 2]!
    const size = slide.stride * ((layer.shapes[0]![d + 2] as number) - 1) + reach(slide) - pads[d]! - end
    const rows = (layer.shape[d + 2] as number) - size
    if (rows < slide.stride) return rows
    zeros[d + 2] = Math.max(0, Math.ceil((rows - end) / slide.stride))
    pads[d + 2] = end - rows + zeros[d + 2]! * slide.stride
    return 0
  })
  layer.done('ConvTranspose', [framed(layer, layer.input(), zeros, 0), ...weights(layer)], {
    ...windowAttributes(window, pads),
    ...(more.some((rows) => rows > 0) && { output_padding: more }),
    ...groupsOf(layer),
  })
}

/** Gemm of what is flattened; where axes in front of the weight's stay, a product of matrices. */
const fc: Row = (layer) => {
  const [shape] = layer.shapes
  const rank = layer.shape.length
  const transposed = layer.attributes['transpose'] === true
  const inner = shape!.slice(rank - 1).reduce<number>((product, dim) => product * (dim as number), 1)
  if (rank === 2) {
    const x = shape!.length === 2 ? layer.input() : shape![0] === 'n' ? layer.add('flatten', 'Flatten', [layer.input()], { axis: 1 })
      : layer.add('flatten', 'Reshape', [layer.input(), layer.integers('shape', [shape![0] as number, inner])])
    layer.done('Gemm', [x, ...weights(layer)], transposed ? {} : { transB: 1 })
    return
  }
  const flat = [...shape!.slice(0, rank - 1), inner]
  const x = shape!.length === rank ? layer.input()
    : layer.add('flatten', 'Reshape', [layer.input(), layer.integers('shape', reshapeTo(flat))])
  const matrix = layer.parameter('weight', { transposed: !transposed })
  if (!layer.has('bias')) layer.done('MatMul', [x, matrix])
  else layer.done('Add', [layer.add('product', 'MatMul', [x, matrix], {}, true), layer.parameter('bias')])
}

export const convolutionRows: ReadonlyMap<string, Row> = new Map([['conv', conv], ['deconv', deconv], ['fc', fc]])
