import { axesOf, axisRange } from '../../../compiler/ops/axes.ts'
import { type Layer, type Row } from '../layer.ts'
import { type Code, code, literal, option } from '../python-code.ts'

const axes = (layer: Layer): readonly number[] => axesOf(layer.attributes, layer.shapes[0]!.length)
const keeps = (layer: Layer): boolean => layer.attributes['keep'] !== false
/** `(2, 3), keepdim=True`. */
const along = (layer: Layer): Code => [literal(axes(layer), 'axes'), option('keepdim', keeps(layer), false)]

const reduce = (name: string): Row => (layer) => ({ value: code`${0}.${name}(${along(layer)})` })
const taken = (sign: number): Row => (layer) => ({
  value: code`reduce_extreme(${0}, ${literal(axes(layer), 'axes')}, keep=${literal(keeps(layer), 'keep')}, sign=${String(sign)})`,
})

const argMax: Row = (layer) => {
  const [axis] = axisRange(layer.attributes, layer.shapes[0]!.length)
  return {
    value: code`arg_max(${0}, ${literal(axis, 'axis')}, keep=${literal(keeps(layer), 'keep')}${
      option('last', layer.attributes['last'] === true, false)
    })`,
  }
}

const softmax = (log: boolean): Row => (layer) => {
  const along = axisRange(layer.attributes, layer.shape.length)
  if (along.length === 1) return { value: code`torch.${log ? 'log_softmax' : 'softmax'}(${0}, ${literal(along[0], 'axis')})` }
  return {
    value: code`softmax_together(${0}, ${literal(along[0], 'axis')}, ${literal(along.at(-1), 'end')}, log=${log ? 'True' : 'False'})`,
  }
}

export const reductionRows: ReadonlyMap<string, Row> = new Map([
  ['reduce_mean', reduce('mean')],
  ['reduce_sum', reduce('sum')],
  ['reduce_max', taken(1)],
  ['reduce_min', taken(-1)],
  ['reduce_l1', (layer) => ({ value: code`${0}.abs().sum(${along(layer)})` })],
  ['reduce_l2', (layer) => ({ value: code`torch.linalg.vector_norm(${0}, dim=${along(layer)})` })],
  ['arg_max', argMax],
  ['softmax', softmax(false)],
  ['log_softmax', softmax(true)],
])
