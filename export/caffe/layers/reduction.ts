import { elementCount } from '../../../bundle/sizes.ts'
import { axesOf, axisRange } from '../../../compiler/ops/axes.ts'
import type { CaffeParams } from '../model.ts'
import { type Layer, power, reshapeTo, type Row } from '../layer.ts'
import { globalPool } from './pooling.ts'

/** What Caffe reduces: an axis and all behind it. Fails for others. */
function firstAxis(layer: Layer): number | undefined {
  const rank = layer.shapes[0]!.length
  const axes = axesOf(layer.attributes, rank)
  const [first] = axes as [number]
  if (axes.length === rank - first && first > 0) return first
  layer.fail(
    `Caffe reduces the last axes alone, and these are ${axes.join(', ')} of ${rank}`,
    'reduce up to the last axis, or write --to onnx',
  )
  return undefined
}

/** Reduction leaves no axes of 1; `after`: what it comes to. */
const reduce = (operation: 'SUM' | 'ASUM' | 'SUMSQ' | 'MEAN', root = false): Row => (layer) => {
  const axis = firstAxis(layer)
  if (axis === undefined) return
  const params = { reduction_param: { operation, axis } }
  const isWhole = layer.shape.length === axis
  if (isWhole && !root) return layer.done('Reduction', [layer.input()], params)
  const reduced = layer.add('', 'Reduction', [layer.input()], params)
  const rooted = !root ? reduced : isWhole ? undefined : layer.add('root', 'Power', [reduced], power({ power: 0.5 }))
  if (rooted === undefined) layer.done('Power', [reduced], power({ power: 0.5 }))
  else layer.done('Reshape', [rooted], reshapeTo(layer.shape))
}

/** The largest of whole maps, which are pooled; the smallest are the largest of what is negative. */
const extreme = (sign: 1 | -1): Row => (layer) => {
  const axis = firstAxis(layer)
  if (axis === undefined) return
  const shape = layer.shapes[0]!
  const x = sign === 1 ? layer.input() : layer.add('negative', 'Power', [layer.input()], power({ scale: -1 }))
  const map = [...shape.slice(0, axis), ...new Array<number>(Math.max(0, 2 - axis)).fill(1), elementCount(shape.slice(axis)), 1].slice(0, 4)
  if (axis > 2) return layer.fail('Caffe takes the largest of whole maps alone', 'reduce axes 2 and 3, or write --to onnx')
  const isMap = axis === 2 && shape.length === 4
  const y = layer.add('', 'Pooling', [isMap ? x : layer.add('map', 'Reshape', [x], reshapeTo(map))], globalPool('MAX'))
  const largest = sign === 1 ? y : layer.add('turned', 'Power', [y], power({ scale: -1 }))
  layer.done('Reshape', [largest], reshapeTo(layer.shape))
}

/** Writes arg_max. Of equal values Caffe takes the last. */
const argMax: Row = (layer) => {
  const [axis] = axisRange(layer.attributes, layer.shapes[0]!.length) as [number]
  if (layer.attributes['last'] !== true)
    return layer.fail('of equal numbers Caffe takes the last, and this the first', 'write arg_max(last: true)')
  const params = { argmax_param: { axis } }
  if (layer.attributes['keep'] !== false) return layer.done('ArgMax', [layer.input()], params)
  layer.done('Reshape', [layer.add('', 'ArgMax', [layer.input()], params)], reshapeTo(layer.shape))
}

/** Several axes are joined for it. */
const softmax: Row = (layer) => {
  const axes = axisRange(layer.attributes, layer.shape.length)
  const [axis] = axes as [number]
  const params: CaffeParams = axis === 1 ? {} : { softmax_param: { axis } }
  if (axes.length === 1) return layer.done('Softmax', [layer.input()], params)
  const joined = [...layer.shape.slice(0, axis), elementCount(axes.map((d) => layer.shape[d]!)), ...layer.shape.slice(axes.at(-1)! + 1)]
  const x = layer.add('joined', 'Reshape', [layer.input()], reshapeTo(joined))
  layer.done('Reshape', [layer.add('', 'Softmax', [x], params)], reshapeTo(layer.shape))
}

export const reductionRows: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['reduce_mean', reduce('MEAN')],
  ['reduce_sum', reduce('SUM')],
  ['reduce_l1', reduce('ASUM')],
  ['reduce_l2', reduce('SUMSQ', true)],
  ['reduce_max', extreme(1)],
  ['reduce_min', extreme(-1)],
  ['arg_max', argMax],
  ['softmax', softmax],
])
