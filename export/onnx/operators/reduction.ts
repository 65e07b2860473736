import { axesOf, axisRange } from '../../../compiler/ops/axes.ts'
import { type Layer, type NodeAttributes, reshapeTo, type Row } from '../layer.ts'

/** The opset from which reductions read their axes as an input; ReduceSum has since 13. */
const AXES_AS_INPUT = 18

/** Inputs and attributes of a reduction along axes. */
function reducing(
  layer: Layer,
  suffix: string,
  op: string,
  x: string,
  axes: readonly number[],
  keep: boolean,
): { readonly inputs: readonly string[]; readonly attributes: NodeAttributes } {
  const keepdims = keep ? 1 : 0
  return layer.opset >= AXES_AS_INPUT || op === 'ReduceSum' ? { inputs: [x, layer.integers(suffix, axes)], attributes: { keepdims } }
    : { inputs: [x], attributes: { axes, keepdims } }
}

/** A reduction that leaves axes of one element; gives the name of its value. */
export function reduced(layer: Layer, suffix: string, op: string, x: string, axes: readonly number[]): string {
  const { inputs, attributes } = reducing(layer, `${suffix}_axes`, op, x, axes, true)
  return layer.add(suffix, op, inputs, attributes)
}

const reduce = (op: string): Row => (layer) => {
  const axes = axesOf(layer.attributes, layer.shapes[0]!.length)
  const { inputs, attributes } = reducing(layer, 'axes', op, layer.input(), axes, layer.attributes['keep'] !== false)
  layer.done(op, inputs, attributes)
}

/** The position comes as a whole number, and is a number like all others here. */
const argMax: Row = (layer) => {
  const [axis] = axisRange(layer.attributes, layer.shapes[0]!.length) as [number]
  const attributes = {
    axis,
    keepdims: layer.attributes['keep'] === false ? 0 : 1,
    ...(layer.attributes['last'] === true && { select_last_index: 1 }),
  }
  layer.done('Cast', [layer.add('position', 'ArgMax', [layer.input()], attributes)], { to: 1 })
}

/** Its axis is always said: it is another one before opset 13. Several axes are joined for it. */
const softmax = (op: string): Row => (layer) => {
  const axes = axisRange(layer.attributes, layer.shape.length)
  const [axis] = axes as [number]
  if (axes.length === 1) return layer.done(op, [layer.input()], { axis })
  const joined = axes.reduce((product, d) => product * (layer.shape[d] as number), 1)
  const flat = [...layer.shape.slice(0, axis), joined, ...layer.shape.slice(axes.at(-1)! + 1)]
  const x = layer.add('joined', 'Reshape', [layer.input(), layer.integers('as_one', reshapeTo(flat))])
  layer.done('Reshape', [layer.add('softmax', op, [x], { axis }), layer.integers('shape', reshapeTo(layer.shape))])
}

export const reductionRows: ReadonlyMap<string, Row> = new Map([
  ['reduce_mean', reduce('ReduceMean')],
  ['reduce_sum', reduce('ReduceSum')],
  ['reduce_max', reduce('ReduceMax')],
  ['reduce_min', reduce('ReduceMin')],
  ['reduce_l1', reduce('ReduceL1')],
  ['reduce_l2', reduce('ReduceL2')],
  ['arg_max', argMax],
  ['softmax', softmax('Softmax')],
  ['log_softmax', softmax('LogSoftmax')],
])
