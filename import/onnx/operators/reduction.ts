import { elementCount } from '../../../bundle/sizes.ts'
import type { OnnxNode } from '../node.ts'
import { constantOf, lazyConstant, numbersOf, rankOf, type Tensor } from '../value.ts'
import { INT64 } from '../element-type.ts'
import { foldReduce } from './constants.ts'
import type { OnnxOperator } from './operator.ts'
import { listOf } from './list-of.ts'

interface Over {
  readonly axes: readonly number[]
  readonly keep: boolean
  readonly dims: readonly number[]
}

/** Whether axes are all but that of channels, the batch among them: those of statistics of a batch. */
const isOfChannels = (axes: readonly number[], x: Tensor): boolean =>
  !x.bare && axes.length === rankOf(x) - 1 && axes.includes(0) && !axes.includes(1)

/**
 * The axes of a reduction and what it leaves; undefined where it has none. They are an attribute, and an input from opset `since` on. `isOfBatch`: it may
 * be over the batch, if that is a part of a normalization by a batch's own statistics: whoever made no such thing of it refuses it.
 */
function over(node: OnnxNode, x: Tensor, since: number, isOfBatch = false): Over | undefined {
  const given = listOf(node, 'axes', 1, since)
  if (!given?.length && node.int('noop_with_empty_axes', 0) !== 0) return undefined
  const rank = rankOf(x)
  const axes = given?.length ? given.map((axis) => node.axis(axis, rank)) : Array.from({ length: rank }, (_, d) => d)
  // All axes of a model of one sample: those of the sample, if the batch's stays as an axis.
  const asked = !x.bare && axes.includes(0) && node.net.declaredBatch === 1 && node.int('keepdims', 1) !== 0 ? axes.filter((d) => d !== 0)
    : axes
  const keep = node.int('keepdims', 1) !== 0
  const own = isOfBatch && keep && isOfChannels(asked, x) && node.net.declaredBatch === undefined ? asked
    : asked.map((axis) => node.sampleAxis(axis, x, 'it reduces'))
  return { axes: own.toSorted((a, b) => a - b), keep, dims: x.dims.flatMap((dim, d) => (!own.includes(d + 1) ? [dim] : keep ? [1] : [])) }
}

interface Steps {
  /** What is done to x, with all that it becomes in one layer. */
  readonly before?: (node: OnnxNode, x: Tensor) => Tensor
  readonly after?: string
}

const reduce = (layer: string, since: number, steps: Steps = {}) => (node: OnnxNode): void => {
  const x = node.tensor(0)
  const how = over(node, x, since, layer === 'reduce_mean' && !steps.before && !steps.after)
  const from = steps.before?.(node, x) ?? x
  if (!how) return node.give(steps.after ? node.emit(steps.after, [from], {}, x.dims) : from)
  const sum = node.emit(layer, [from], { axes: how.axes, keep: how.keep }, how.dims, { main: !steps.after, type: x.type })
  node.give(steps.after ? node.emit(steps.after, [sum], {}, how.dims) : sum)
}

const squared = (node: OnnxNode, x: Tensor): Tensor => node.emit('mul', [x, x], {}, x.dims, { main: false })
const exponential = (node: OnnxNode, x: Tensor): Tensor => node.emit('exp', [x], {}, x.dims, { main: false })

/** Softmax along an axis; before opset 13 of all axes from `axis` on together. */
const softmax = (layer: string) => (node: OnnxNode): void => {
  const x = node.tensor(0)
  if (node.opset >= 13) {
    const axis = node.sampleAxis(node.int('axis', -1), x, 'it normalizes')
    return node.give(node.emit(layer, [x], { axis }, x.dims))
  }
  const asked = node.axis(node.int('axis', 1), rankOf(x))
  const axis = !x.bare && asked === 0 && node.net.declaredBatch === 1 ? 1 : node.sampleAxis(asked, x, 'it normalizes')
  node.give(node.emit(layer, [x], { axis, ...(axis < x.dims.length && { end: -1 }) }, x.dims))
}

const argMax = (negated: boolean) => (node: OnnxNode): void => {
  const x = node.tensor(0)
  const axis = node.sampleAxis(node.int('axis', 0), x, 'it compares')
  const keep = node.int('keepdims', 1) !== 0
  const dims = x.dims.flatMap((dim, d) => (d !== axis - 1 ? [dim] : keep ? [1] : []))
  const from = negated ? node.emit('neg', [x], {}, x.dims, { main: false }) : x
  node.give(node.emit('arg_max', [from], { axis, keep, last: node.int('select_last_index', 0) !== 0 }, dims, { type: 'int' }))
}

/** The sum of f of constants, and what is made of it. */
const foldSum = (f = (v: number): number => v, end = (v: number): number => v) => (node: OnnxNode): void =>
  foldReduce(node, (a, b) => a + f(b), 0, end)

/** Softmax of constants, and its logarithm: along one axis, or before opset 13 over all axes from `axis` on. */
const foldSoftmax = (log: boolean) => (node: OnnxNode): void => {
  const c = node.constant(0, 'its input')
  const axis = node.axis(node.int('axis', node.opset >= 13 ? -1 : 1), c.shape.length)
  const count = node.opset >= 13 ? c.shape[axis]! : elementCount(c.shape.slice(axis))
  const step = node.opset >= 13 ? elementCount(c.shape.slice(axis + 1)) : 1
  node.give(lazyConstant(c, c.shape, () => {
    const x = c.values()
    return numbersOf(
      c.type,
      Array.from(x, (v, i) => {
        const start = i - Math.floor(i / step) % count * step
        let [largest, sum] = [-Infinity, 0]
        for (let k = 0; k < count; k++) largest = Math.max(largest, x[start + k * step]!)
        for (let k = 0; k < count; k++) sum += Math.exp(x[start + k * step]! - largest)
        return log ? v - largest - Math.log(sum) : Math.exp(v - largest) / sum
      }),
    )
  }))
}

/** The greatest index is a whole number. */
function foldArgMax(node: OnnxNode): void {
  const c = node.constant(0, '')
  if (c.shape.length !== 1) return node.refuse('the largest of constants of several axes')
  const values = c.values()
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  node.give(constantOf(Float64Array.of(best), node.int('keepdims', 1) ? [1] : [], INT64))
}

export const reductionOperators: readonly OnnxOperator[] = [
  { op: 'ReduceMean', map: reduce('reduce_mean', 18), fold: (node) => foldReduce(node, (a, b) => a + b, 0, (v, count) => v / count) },
  { op: 'ReduceSum', map: reduce('reduce_sum', 13), fold: foldSum() },
  { op: 'ReduceMax', map: reduce('reduce_max', 18), fold: (node) => foldReduce(node, Math.max, -Infinity) },
  { op: 'ReduceMin', map: reduce('reduce_min', 18), fold: (node) => foldReduce(node, Math.min, Infinity) },
  { op: 'ReduceL1', map: reduce('reduce_l1', 18), fold: foldSum(Math.abs) },
  { op: 'ReduceL2', map: reduce('reduce_l2', 18), fold: foldSum((v) => v * v, Math.sqrt) },
  { op: 'ReduceSumSquare', map: reduce('reduce_sum', 18, { before: squared }), fold: foldSum((v) => v * v) },
  { op: 'ReduceLogSum', map: reduce('reduce_sum', 18, { after: 'log' }), fold: foldSum(undefined, Math.log) },
  { op: 'ReduceLogSumExp', map: reduce('reduce_sum', 18, { before: exponential, after: 'log' }), fold: foldSum(Math.exp, Math.log) },
  { op: 'Softmax', map: softmax('softmax'), fold: foldSoftmax(false) },
  { op: 'LogSoftmax', map: softmax('log_softmax'), fold: foldSoftmax(true) },
  { op: 'ArgMax', map: argMax(false), fold: foldArgMax },
  { op: 'ArgMin', map: argMax(true) },
]
