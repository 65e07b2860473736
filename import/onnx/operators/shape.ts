import { elementCount } from '../../../bundle/sizes.ts'
import { type Dimension, isBatch, isNumber, sameDimension, showDimension, showDimensions } from '../dimension.ts'
import { INT64 } from '../element-type.ts'
import type { OnnxNode } from '../node.ts'
import { constantOf, dimensionsConstant, shapeOf, type Tensor, type Value } from '../value.ts'
import { listOf } from './list-of.ts'
import { broughtBack, movedBy } from './moved.ts'
import type { OnnxOperator } from './operator.ts'
import { reshapedTensor } from './reshape.ts'
import { placed, rearranged, reshaped, stepsOf } from './rearrange.ts'

const JOINS = 'samples are computed one by one: their numbers cannot go to another sample'

/** The one -1 of a list of sizes, worked out. */
function workedOut(node: OnnxNode, wanted: readonly number[], count: number): number[] {
  const known = wanted.reduce((product, dim) => (dim === -1 ? product : product * dim), 1)
  const sizes = wanted.map((dim) => (dim === -1 ? count / known : dim))
  if (elementCount(sizes) !== count || sizes.some((dim) => !Number.isInteger(dim) || dim < 0))
    return node.refuse(`${count} numbers do not go into ${showDimensions(wanted)}`)
  return sizes
}

/**
 * Reshape. The first size of what the net computes is the batch: n, or 1 (or what the model was exported for) in a model of a fixed
 * batch, or a -1 that comes out as n.
 */
function reshape(node: OnnxNode): void {
  const x = node.value(0)
  const asked = node.opset < 5 ? node.ints('shape') ?? [] : node.dimensions(1, 'the shape')
  const from = shapeOf(x)
  const keepsZero = node.int('allowzero', 0) !== 0
  const wanted = asked.map((
    dim,
    d,
  ): Dimension => (dim === 0 && !keepsZero ? from[d] ?? node.refuse(`0 for axis ${d}, which ${showDimensions(from)} has not`) : dim))
  if (x.kind === 'constant') {
    const sizes = wanted.map((dim) => (isNumber(dim) ? dim : node.refuse('a constant gets the size of the batch')))
    return node.give(reshaped(x, workedOut(node, sizes, elementCount(x.shape))))
  }
  // A model of one sample that has moved the batch may still say it.
  const one = node.net.declaredBatch === 1
  const whole = wanted.map((dim) => (x.bare && one && !isNumber(dim) ? dim.n + dim.plus : dim))
  const numbers = whole.every(isNumber) ? whole : undefined
  if (!x.bare) {
    const dims = sampleDims(node, x, wanted)
    if (dims) return node.give(reshapedTensor(node, x, dims))
    // A model of one sample may let go of the batch's axis.
    if (numbers && one)
      return node.give({ ...reshapedTensor(node, x, workedOut(node, numbers, elementCount(x.dims))), bare: true })
  }
  if (!x.bare || x.samples)
    return node.give(movedBy(node, x, wanted) ?? node.refuse(`it makes ${showDimensions(wanted)} of ${showDimensions(from)}`, JOINS))
  const dims = workedOut(
    node,
    numbers ?? node.refuse(`it makes ${showDimensions(wanted)} of ${showDimensions(from)}`),
    elementCount(x.dims),
  )
  // It takes it up again.
  if (one && dims[0] === 1 && dims.length > 1)
    return node.give({ ...reshapedTensor(node, x, dims.slice(1)), bare: false })
  node.give(reshapedTensor(node, x, dims))
}

/** The shape of a sample in a shape that is asked for; undefined where numbers of several samples meet in it. */
function sampleDims(node: OnnxNode, x: Tensor, wanted: readonly Dimension[]): number[] | undefined {
  const [first, ...rest] = wanted
  const count = elementCount(x.dims)
  if (first === undefined || rest.some((dim) => !isNumber(dim))) return undefined
  const sizes = rest as number[]
  if (isBatch(first)) return workedOut(node, sizes, count)
  if (first === -1) return elementCount(sizes) === count ? sizes : undefined
  const declared = node.net.declaredBatch
  if (isNumber(first) && (first === declared || first === 1)) {
    if (sizes.includes(-1)) {
      const known = sizes.reduce((product, dim) => (dim === -1 ? product : product * dim), 1)
      // [1, -1] of a batch of 1, and of a batch that was traced as 1.
      if (count % known === 0) return workedOut(node, sizes, count)
    } else if (elementCount(sizes) === count) return sizes
  }
  return undefined
}

function flatten(node: OnnxNode): void {
  const x = node.value(0)
  const rank = shapeOf(x).length
  const axis = node.int('axis', 1)
  const at = axis < 0 ? axis + rank : axis
  if (!(at >= 0 && at <= rank)) node.refuse(`axis ${axis} of ${rank} axes`)
  if (x.kind === 'constant') return node.give(reshaped(x, [elementCount(x.shape.slice(0, at)), elementCount(x.shape.slice(at))]))
  if (x.bare) return node.give(reshapedTensor(node, x, [elementCount(x.dims.slice(0, at)), elementCount(x.dims.slice(at))]))
  if (at !== 1 && !(node.net.declaredBatch === 1 && (at === 0 || elementCount(x.dims.slice(0, at - 1)) === 1)))
    return node.refuse(`it joins axes 0 to ${at - 1} of ${showDimensions(shapeOf(x))}, the batch among them`, JOINS)
  node.give(reshapedTensor(node, x, [elementCount(x.dims)]))
}

function squeeze(node: OnnxNode): void {
  const x = node.value(0)
  const shape = shapeOf(x)
  const given = listOf(node, 'axes', 1, 13)
  const axes = given ? given.map((axis) => node.axis(axis, shape.length)) : shape.flatMap((dim, d) => (dim === 1 ? [d] : []))
  const bad = axes.find((d) => shape[d] !== 1)
  const drops = bad === 0 && x.kind === 'tensor' && !x.bare
  if (drops && node.net.declaredBatch !== 1) node.refuse('it takes the batch axis away', 'keep the batch as the first axis in the model')
  if (bad !== undefined && !drops) node.refuse(`axis ${bad} of ${showDimensions(shape)} is not one`)
  const left = (x.kind === 'tensor' && x.bare ? x.dims : shape).filter((_, d) => !axes.includes(d))
  if (x.kind === 'constant') return node.give(reshaped(x, left as number[]))
  if (drops) return node.give({ ...reshapedTensor(node, x, left as number[]), bare: true })
  node.give(reshapedTensor(node, x, left.slice(x.bare ? 0 : 1) as number[]))
}

function unsqueeze(node: OnnxNode): void {
  const x = node.value(0)
  const shape = shapeOf(x)
  const given = listOf(node, 'axes', 1, 13) ?? node.refuse('axes are missing')
  const rank = shape.length + given.length
  const axes = given.map((axis) => node.axis(axis, rank))
  if (x.kind === 'tensor' && !x.bare && axes.includes(0))
    node.refuse('it puts an axis in front of the batch', 'keep the batch as the first axis in the model')
  const rest: Dimension[] = [...(x.kind === 'tensor' && x.bare ? x.dims : shape)]
  const all = Array.from({ length: rank }, (_, d) => (axes.includes(d) ? 1 : rest.shift()!))
  if (x.kind === 'constant') return node.give(reshaped(x, all as number[]))
  if (!x.bare) return node.give(reshapedTensor(node, x, all.slice(1) as number[]))
  // The axis in front is the batch's again in a model of one sample.
  if (node.net.declaredBatch === 1 && axes.includes(0))
    return node.give({ ...reshapedTensor(node, x, all.slice(1) as number[]), bare: false })
  node.give(reshapedTensor(node, x, all as number[]))
}

function transpose(node: OnnxNode): void {
  const x = node.value(0)
  const shape = shapeOf(x)
  const asked = node.ints('perm') ?? shape.map((_, d) => shape.length - 1 - d)
  const order = x.kind === 'tensor' && x.bare ? [0, ...asked.map((d) => d + 1)] : asked
  if ([...asked].sort((a, b) => a - b).join() !== shape.map((_, d) => d).join())
    node.refuse(`perm ${showDimensions(asked)} of ${shape.length} axes`)
  if (x.kind === 'constant') {
    const to = order.map((d) => x.shape[d]!)
    const steps = stepsOf(x.shape)
    return node.give(rearranged(x, to, placed(to, order.map((d) => steps[d]!))))
  }
  if (order.every((d, i) => d === i)) return node.give(x)
  if (order[0] === 0) return node.give(broughtBack(node, turned(node, x, order)))
  // The batch goes to another place: what stands there is the one sample.
  const whole = { ...x, dims: [1, ...x.dims] }
  const axis = asked.indexOf(0)
  const y = { ...turned(node, whole, [0, ...asked.map((d) => d + 1)], x), bare: true }
  node.give(node.net.declaredBatch === 1 ? broughtBack(node, y) : { ...y, samples: { axis, before: 1 } })
}

/** A value with axes in another order. `given` is what it is of without axes of one. */
function turned(node: OnnxNode, x: Tensor, order: readonly number[], given = x): Tensor {
  const dims = order.slice(1).map((d) => x.dims[d - 1]!)
  // Only axes of one change places: nothing is moved.
  const long = order.filter((d) => d > 0 && x.dims[d - 1] !== 1)
  if (long.every((d, i) => i === 0 || d > long[i - 1]!)) return reshapedTensor(node, given, dims)
  const from = given === x ? x : node.emit('reshape', [given], { dims: x.dims }, x.dims, { main: false, type: x.type })
  return node.emit('transpose', [from], { order }, dims, { type: x.type })
}

/** Sizes of the parts: told, or equal ones of which the last is smaller (opset 18's num_outputs). */
function split(node: OnnxNode): void {
  const x = node.value(0)
  const shape = shapeOf(x)
  const axis = node.axis(node.int('axis', 0), shape.length)
  const own = x.kind === 'tensor' ? node.sampleAxis(axis, x, 'it splits') : axis
  const length = shape[axis] as number
  const parts = node.proto.outputs.length
  const chunk = node.opset >= 18 ? Math.ceil(length / parts) : length / parts
  const sizes = listOf(node, 'split', 1, 13) ?? Array.from({ length: parts }, (_, p) => Math.min(chunk, length - p * chunk))
  if (sizes.length !== parts || sizes.some((size) => !(Number.isInteger(size) && size >= 0)) || sizes.reduce((a, b) => a + b, 0) !== length)
    node.refuse(`parts of ${sizes.join(', ')} of ${length}`)
  let from = 0
  sizes.forEach((size, p) => {
    if (node.proto.outputs[p]) node.give(cut(node, x, own, from, from + size, p), p)
    from += size
  })
}

/** A part of a value along one axis, that of a tensor as the language counts. */
export function cut(node: OnnxNode, x: Tensor | Value & { kind: 'constant' }, axis: number, from: number, to: number, output = 0): Value {
  if (x.kind === 'constant') {
    const shape = x.shape.map((dim, d) => (d === axis ? to - from : dim))
    const steps = stepsOf(x.shape)
    return rearranged(x, shape, placed(shape, steps, from * (steps[axis] ?? 1)))
  }
  if (from === 0 && to === x.dims[axis - 1]) return x
  if (to <= from) return node.refuse('a part without numbers')
  return node.emit('slice', [x], { axis, from, to }, x.dims.map((dim, d) => (d === axis - 1 ? to - from : dim)), { type: x.type, output })
}

/** Slice: attributes up to opset 9, inputs from 10. */
function slice(node: OnnxNode): void {
  const x = node.value(0)
  const shape = shapeOf(x)
  const old = node.opset < 10
  const starts = old ? [...(node.ints('starts') ?? [])] : node.numbers(1, 'starts')
  const ends = old ? [...(node.ints('ends') ?? [])] : node.dimensions(2, 'ends')
  const axes = ((old ? node.ints('axes') : node.has(3) ? node.numbers(3, 'axes') : undefined) ?? starts.map((_, i) => i)).map((axis) =>
    node.axis(axis, shape.length)
  )
  const steps = old || !node.has(4) ? starts.map(() => 1) : node.numbers(4, 'steps')
  let value: Tensor | Value & { kind: 'constant' } = x
  axes.forEach((axis, i) => {
    const length = shape[axis]!
    const [start, end, step] = [starts[i]!, ends[i]!, steps[i]!]
    if (!isNumber(length)) {
      // The whole batch.
      if (start === 0 && step === 1 && (!isNumber(end) ? sameDimension(end, length) : end >= 2 ** 31 - 1)) return
      if (node.net.declaredBatch === 1 && start === 0 && step === 1 && isNumber(end) && end >= 1) return
      return node.refuse('it takes some samples of the batch', JOINS)
    }
    if (!isNumber(end)) return node.refuse(`it ends at ${showDimension(end)}, which depends on the batch`)
    if (step === 0) return node.refuse('a step of 0')
    value = strided(node, value, x.kind === 'tensor' && x.bare ? axis + 1 : axis, start, end, step, length)
  })
  node.give(value)
}

type Given = Tensor | Value & { kind: 'constant' }

function strided(node: OnnxNode, x: Given, axis: number, start: number, end: number, step: number, length: number): Given {
  const within = (at: number, least: number, most: number): number => Math.min(most, Math.max(least, at < 0 ? at + length : at))
  const from = step > 0 ? within(start, 0, length) : within(start, 0, length - 1)
  const to = step > 0 ? within(end, 0, length) : within(end, -1, length - 1)
  const count = Math.max(0, Math.ceil((to - from) / step))
  if (x.kind === 'constant') {
    const shape = x.shape.map((dim, d) => (d === axis ? count : dim))
    const steps = stepsOf(x.shape)
    const own = steps[axis]!
    return rearranged(x, shape, placed(shape, steps.map((s, d) => (d === axis ? s * step : s)), from * own))
  }
  if (step === 1) return cut(node, x, axis, from, to) as Given
  if (count === 0) return node.refuse('a part without numbers')
  return stridedTensor(node, x, axis, from, step, count)
}

/**
 * Every step-th element. Slices of one element, joined: the language has no strides.
 * Where it fits, rows of `step` elements whose first is taken: reshape [count, step], slice, reshape.
 */
function stridedTensor(node: OnnxNode, x: Tensor, axis: number, from: number, step: number, count: number): Tensor {
  const length = x.dims[axis - 1]!
  const around = (size: number[]): number[] => [...x.dims.slice(0, axis - 1), ...size, ...x.dims.slice(axis)]
  if (step > 1 && from + count * step <= length) {
    const part = cut(node, x, axis, from, from + count * step) as Tensor
    const rows = node.emit('reshape', [part], { dims: around([count, step]) }, around([count, step]), { main: false, type: x.type })
    const taken = node.emit('slice', [rows], { axis: axis + 1, from: 0, to: 1 }, around([count, 1]), { main: false, type: x.type })
    return node.emit('reshape', [taken], { dims: around([count]) }, around([count]), { type: x.type })
  }
  if (count > 64)
    return node.refuse(`every ${step}th of ${length} elements, ${count} of them, from ${from} on`, 'make the size a multiple of the step')
  const parts = Array.from(
    { length: count },
    (_, i) => node.emit('slice', [x], { axis, from: from + i * step, to: from + i * step + 1 }, around([1]), { main: false, type: x.type }),
  )
  return parts.length === 1 ? parts[0]! : node.emit('concat', parts, { axis }, around([count]), { type: x.type })
}

/** Shape, from `start` to `end` (opset 15). */
function shape(node: OnnxNode): void {
  const dims = node.shape(0)
  node.give(dimensionsConstant(dims.slice(node.int('start', 0), node.hasAttribute('end') ? node.int('end', 0) : dims.length)))
}

function size(node: OnnxNode): void {
  const dims = node.shape(0)
  const rest = elementCount(dims.map((dim) => (isNumber(dim) ? dim : dim.n)))
  node.give(!dims.every(isNumber) ? dimensionsConstant([{ n: rest, plus: 0 }], [], INT64) : constantOf(Float64Array.of(rest), [], INT64))
}

export const shapeOperators: readonly OnnxOperator[] = [
  { op: 'Reshape', map: reshape, fold: reshape },
  { op: 'Flatten', map: flatten, fold: flatten },
  { op: 'Squeeze', map: squeeze, fold: squeeze },
  { op: 'Unsqueeze', map: unsqueeze, fold: unsqueeze },
  { op: 'Transpose', map: transpose, fold: transpose },
  { op: 'Split', map: split, fold: split },
  { op: 'Slice', map: slice, fold: slice },
  { op: 'Shape', map: shape, fold: shape },
  { op: 'Size', map: size, fold: size },
]
