import { elementCount } from '../../../bundle/sizes.ts'
import { type Pair, reach, slidesOf } from '../../../compiler/ops/sliding-window.ts'
import type { CaffeParams } from '../model.ts'
import { type Layer, numberOf, type Row } from '../layer.ts'
import { type CaffeSlide, floored, isWhole, pairOf, slidesOver, windowParams, windowsOfText } from './window.ts'

const blobsOf = (layer: Layer) => ({
  blobs: [layer.parameter('weight'), ...(layer.has('bias') ? [layer.parameter('bias')] : [])],
})

function paramsOf(layer: Layer, slides: readonly [CaffeSlide, CaffeSlide]): CaffeParams {
  const groups = numberOf(layer, 'groups', 1)
  const [down, along] = pairOf(slides, 'dilation')
  return {
    convolution_param: {
      num_output: layer.shape[1] as number,
      bias_term: layer.has('bias'),
      ...windowParams('kernel_size', 'kernel', pairOf(slides, 'kernel')),
      ...windowParams('stride', 'stride', pairOf(slides, 'stride'), 1),
      ...windowParams('pad', 'pad', pairOf(slides, 'pad'), 0),
      ...((down > 1 || along > 1) && { dilation: down === along ? down : [down, along] }),
      ...(groups > 1 && { group: groups }),
    },
  }
}

const kernelOf = (layer: Layer): Pair => layer.attributes['kernel'] as unknown as Pair

function convolved(layer: Layer, type: string, slides: readonly [CaffeSlide, CaffeSlide]): void {
  const params = paramsOf(layer, slides)
  if (isWhole(slides)) layer.done(type, [layer.input()], params, blobsOf(layer))
  else windowsOfText(layer, layer.add('', type, [layer.input()], params, blobsOf(layer)), slides, true)
}

const conv: Row = (layer) => convolved(layer, 'Convolution', slidesOver(layer, kernelOf(layer), floored)!)

/** stride (in - 1) + reach - 2 pad; where fewer rows are taken off in front or behind than on the other side, the rest is cut off. */
const deconv: Row = (layer) => {
  const both = slidesOf(layer.attributes, kernelOf(layer), { dense: layer.shape, strided: layer.shapes[0]! })
  const of = (d: 0 | 1): CaffeSlide | undefined => {
    const { kernel, stride, dilation, pad: front } = both[d]
    const count = layer.shape[d + 2] as number
    const all = stride * ((layer.shapes[0]![d + 2] as number) - 1) + reach(both[d])
    const pad = Math.min(front, all - count - front)
    return pad < 0 ? undefined : { kernel, stride, dilation, pad, made: all - 2 * pad, first: front - pad, count }
  }
  const [down, along] = [of(0), of(1)]
  if (!down || !along) {
    return layer.fail(
      'it is larger than what its windows reach, which a Deconvolution is not',
      'take a smaller pad and pad its input, or write --to onnx',
    )
  }
  convolved(layer, 'Deconvolution', [down, along])
}

/** InnerProduct flattens from its axis on. The weight is [out, in] always: a field `transpose` is not known to all who read such files. */
const fc: Row = (layer) => {
  const axis = layer.shape.length - 1
  const out = layer.shape[axis] as number
  if (layer.shape[0] !== 'n')
    return layer.fail('its input has no batch, which all blobs of Caffe have', 'compute it in another tool and make it a parameter')
  const inputs = elementCount(layer.shapes[0]!.slice(axis))
  const given = layer.parameter('weight', [out, inputs])
  const weight = layer.attributes['transpose'] === true ? { ...given, values: () => turned(layer.values('weight'), inputs, out) } : given
  layer.done('InnerProduct', [layer.input()], {
    inner_product_param: { num_output: out, bias_term: layer.has('bias'), ...(axis !== 1 && { axis }) },
  }, { blobs: [weight, ...(layer.has('bias') ? [layer.parameter('bias')] : [])] })
}

/** A matrix [rows, columns] as [columns, rows]. */
const turned = (from: Float32Array, rows: number, columns: number): Float32Array =>
  Float32Array.from(from, (_, i) => from[(i % rows) * columns + Math.floor(i / rows)]!)

export const convolutionRows: ReadonlyMap<string, Row> = new Map<string, Row>([['conv', conv], ['deconv', deconv], ['fc', fc]])
