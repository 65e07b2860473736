import { elementCount } from '../../../bundle/sizes.ts'
import { type Dimension, dimensionArithmetic, isNumber, sameDimension, showDimensions } from '../dimension.ts'
import { BOOL, ELEMENT_TYPES, type ElementType, FLOAT32, INT64 } from '../element-type.ts'
import type { OnnxNode } from '../node.ts'
import { type Constant, constantOf, dimensionsConstant, dimensionsOf, lazyConstant, shapeOf, numbersOf, type Tensor } from '../value.ts'
import { choose } from './comparison.ts'
import { broadcastShape } from './arithmetic.ts'
import { alignedTo, broadcastDims } from './operand.ts'
import type { OnnxOperator } from './operator.ts'
import { rearranged, repeating, stepsOf } from './rearrange.ts'
import { reshapedTensor } from './reshape.ts'
import { cut } from './shape.ts'

/** Constant: a tensor, numbers (opset 12), or a text, which no layer wants. */
function constant(node: OnnxNode): void {
  const tensor = node.tensorAttribute('value')
  if (tensor) return node.give({ ...node.net.tensorConstant(tensor), learned: false, name: '' })
  const whole = node.attribute('value_ints')?.ints ?? (node.hasAttribute('value_int') ? node.int('value_int', 0) : undefined)
  const float = node.attribute('value_floats')?.floats ?? (node.hasAttribute('value_float') ? node.attribute('value_float')!.f : undefined)
  const given = whole ?? float
  if (given === undefined) return node.refuse('it holds no numbers')
  const list = typeof given === 'number' ? [given] : given
  const values = whole === undefined ? Float32Array.from(list) : Float64Array.from(list)
  node.give(constantOf(values, typeof given === 'number' ? [] : [list.length], whole === undefined ? FLOAT32 : INT64))
}

function constantOfShape(node: OnnxNode): void {
  const dims = node.dimensions(0, 'the shape')
  const proto = node.tensorAttribute('value')
  const value = proto ? node.net.tensorConstant(proto) : constantOf(Float32Array.of(0), [1], FLOAT32)
  if (elementCount(value.shape) !== 1) node.refuse('its value is not one number')
  // A constant that is as long as the batch is the same for every sample, so one does.
  const shape = dims.map((dim, d) => (isNumber(dim) ? dim : d === 0 ? 1 : node.refuse(`a constant ${showDimensions(dims)}`)))
  node.give(filled(node, value, shape))
}

/** A constant of one number everywhere. */
function filled(node: OnnxNode, value: Constant, shape: readonly number[]): Constant {
  if (shape.some((dim) => dim < 0)) return node.refuse(`a constant ${showDimensions(shape)}`)
  if (elementCount(shape) > node.net.mostFolded) return node.refuse(`a constant ${showDimensions(shape)}, which is more than the model`)
  return { ...rearranged(value, shape, () => 0), learned: false }
}

/** Types do not change what the net computes, but for float to whole number and to truth. */
function castTo(node: OnnxNode, type: ElementType): void {
  const x = node.value(0)
  if (x.kind === 'constant') {
    if (x.dimensions) return node.give({ ...x, type })
    const convert = type.kind === 'bool' ? (v: number) => Number(v !== 0)
      : type.kind === 'int' && x.type.kind === 'float' ? Math.trunc : (v: number) => v
    return node.give(lazyConstant(x, x.shape, () => numbersOf(type, x.values(), convert), type))
  }
  if (type.kind === 'float') {
    if (type.bits < 32 && x.type === 'float') node.note('differs', `its numbers are not rounded to ${type.name}`)
    return node.give({ ...x, type: 'float' })
  }
  if (type.kind === 'bool') return node.give(x.type === 'bool' ? x : node.emit('where', [x, 1, 0], {}, x.dims, { type: 'bool' }))
  if (type.kind === 'int' && x.type !== 'float') return node.give({ ...x, type: 'int' })
  if (type.kind === 'int' && type.bits >= 32) return node.give(towardsZero(node, x))
  return node.refuse(
    `it makes ${type.name} of what the net computes, which wraps around`,
    'cut it off with --outputs, or make int32 of it in the model',
  )
}

/** The whole part. */
function towardsZero(node: OnnxNode, x: Tensor): Tensor {
  const inner = (op: string): Tensor => node.emit(op, [x], {}, x.dims, { main: false })
  return node.emit('where', [inner('relu'), inner('floor'), inner('ceil')], {}, x.dims, { type: 'int' })
}

const cast = (node: OnnxNode): void =>
  castTo(node, ELEMENT_TYPES.get(node.int('to', 0)) ?? node.refuse(`it makes type ${node.int('to', 0)} of numbers`))

function castLike(node: OnnxNode): void {
  const like = node.value(1)
  castTo(node, like.kind === 'constant' ? like.type : like.type === 'float' ? FLOAT32 : like.type === 'bool' ? BOOL : INT64)
}

const identity = (node: OnnxNode): void => node.give(node.value(0))

/** Reads `Dropout`. At test time it does nothing; a net that is trained on drops again. */
function dropout(node: OnnxNode): void {
  const ratio = node.opset < 12 ? node.float('ratio', 0.5) : node.has(1) ? node.number(1, 'the ratio') : 0.5
  if (ratio === 0) return identity(node)
  const x = node.tensor(0)
  node.give(node.emit('dropout', [x], { p: Number(ratio.toPrecision(7)) }, x.dims))
}

/** Gather along one axis: the parts of constants, and of what the net computes one part or a row of neighbours. */
function gather(node: OnnxNode): void {
  const x = node.value(0)
  const indices = node.constant(1, 'the indices')
  const shape = shapeOf(x)
  const axis = node.axis(node.int('axis', 0), shape.length)
  if (indices.dimensions || elementCount(indices.shape) > node.net.mostFolded) node.refuse('its indices are no constants')
  const length = shape[axis]!
  const list = Array.from(indices.values(), (i) => (i < 0 && isNumber(length) ? i + length : i))
  if (isNumber(length) && list.some((i) => !(i >= 0 && i < length))) node.refuse(`an index beyond the ${length} of axis ${axis}`)
  if (x.kind === 'constant') {
    const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)]
    const inner = elementCount(after)
    const count = list.length
    const whole = [...before, ...indices.shape, ...after]
    if (elementCount(whole) > Math.max(node.net.mostFolded, elementCount(x.shape))) node.refuse('more constants than the model has')
    return node.give(
      rearranged(
        x,
        whole,
        (i) => (Math.floor(i / (inner * count)) * (length as number) + list[Math.floor(i / inner) % count]!) * inner + i % inner,
      ),
    )
  }
  const own = node.sampleAxis(axis, x, 'it picks')
  const dims = [...x.dims.slice(0, own - 1), ...indices.shape, ...x.dims.slice(own)]
  const runs = list.every((i, at) => at === 0 || i === list[at - 1]! + 1)
  if (runs && list.length > 0) {
    const part = cut(node, x, own, list[0]!, list[0]! + list.length) as Tensor
    if (indices.shape.length === 1) return node.give(part)
    if (dims.length === 0)
      return node.refuse('it leaves one number of each sample, without an axis', 'Gather with indices of one axis keeps it')
    return node.give(reshapedTensor(node, part, dims))
  }
  if (list.length === 0 || list.length > 256) return node.refuse(`it picks ${list.length} parts in an order of their own`)
  const parts = list.map((i) =>
    node.emit('slice', [x], { axis: own, from: i, to: i + 1 }, x.dims.map((dim, d) => (d === own - 1 ? 1 : dim)), {
      main: false,
      type: x.type,
    })
  )
  const all = node.emit('concat', parts, { axis: own }, x.dims.map((dim, d) => (d === own - 1 ? list.length : dim)), {
    main: indices.shape.length === 1,
    type: x.type,
  })
  node.give(indices.shape.length === 1 ? all : reshapedTensor(node, all, dims))
}

function range(node: OnnxNode): void {
  const [start, limit, delta] = [0, 1, 2].map((i) => node.number(i, 'a bound')) as [number, number, number]
  const count = Math.max(0, Math.ceil((limit - start) / delta))
  if (!Number.isFinite(count) || count > node.net.mostFolded) node.refuse(`${count} numbers from ${start} to ${limit}`)
  node.give(constantOf(Float64Array.from({ length: count }, (_, i) => start + i * delta), [count], node.constant(0, '').type))
}

/** Reads `Where`: of constants it is computed, and a constant condition that is the same everywhere takes a side. */
function where(node: OnnxNode): void {
  const [condition, a, b] = [node.value(0), node.value(1), node.value(2)]
  if (condition.kind === 'tensor') return choose(node)
  if (condition.dimensions) node.refuse('its condition depends on the batch')
  if (a.kind === 'constant' && b.kind === 'constant') {
    const shape = broadcastShape(node, broadcastShape(node, condition.shape, a.shape), b.shape)
    if (elementCount(shape) > node.net.mostFolded) node.refuse('more constants than the model has')
    const [which, left, right] = [condition, a, b].map((c) => repeating(c.shape, shape)) as [
      (i: number) => number,
      (i: number) => number,
      (i: number) => number,
    ]
    const pick = <T>(truth: ArrayLike<number>, x: ArrayLike<T>, y: ArrayLike<T>): T[] =>
      Array.from({ length: elementCount(shape) }, (_, i) => (truth[which(i)] ? x[left(i)]! : y[right(i)]!))
    if (a.dimensions || b.dimensions)
      return node.give(dimensionsConstant(pick<Dimension>(condition.values(), dimensionsOf(a), dimensionsOf(b)), shape, a.type))
    return node.give(lazyConstant(a, shape, () => numbersOf(a.type, pick(condition.values(), a.values(), b.values()))))
  }
  const truth = condition.values()
  if (truth.length > 0 && truth.every((v) => v === truth[0])) return node.give(truth[0] ? a : b)
  choose(node)
}

/** Repeats axes of one; `expand` of ONNX also keeps an axis where the shape says one. */
function expand(node: OnnxNode): void {
  const x = node.value(0)
  const wanted = node.dimensions(1, 'the shape')
  if (x.kind === 'constant') {
    // The batch of a constant is one: it is the same for all samples.
    const sizes = wanted.map((dim, d) => (isNumber(dim) ? dim : d === 0 ? 1 : node.refuse(`a constant ${showDimensions(wanted)}`)))
    const shape = broadcastShape(node, x.shape, sizes)
    if (elementCount(shape) > Math.max(node.net.mostFolded, elementCount(x.shape))) node.refuse('more constants than the model has')
    return node.give(rearranged(x, shape, repeating(x.shape, shape)))
  }
  const from = shapeOf(x)
  if (x.bare) {
    const dims = broadcastShape(node, x.dims, wanted.map((dim) => (isNumber(dim) ? dim : node.refuse('it repeats by the batch'))))
    return node.give(repeated(node, reshapedTensor(node, x, alignedTo(x.dims, dims.length)), dims))
  }
  if (wanted.length > from.length)
    return node.refuse(`it makes ${showDimensions(wanted)} of ${showDimensions(from)}: an axis in front of the batch`)
  const rest = wanted.slice(-x.dims.length || wanted.length).map((dim) => (isNumber(dim) ? dim : node.refuse('it repeats by the batch')))
  const first = wanted.length === from.length ? wanted[0]! : 1
  if (!(first === 1 || first === node.net.declaredBatch || sameDimension(first, from[0]!))) node.refuse('it repeats samples')
  const ones = wanted.length === from.length ? rest : [...new Array<number>(x.dims.length - wanted.length).fill(1), ...wanted as number[]]
  const dims = broadcastDims(node, [x.dims, ones])
  node.give(repeated(node, x, dims))
}

/** x with axes of one repeated: joined with a zero of the larger shape. */
function repeated(node: OnnxNode, x: Tensor, dims: readonly number[]): Tensor {
  if (dims.join() === x.dims.join()) return x
  if (elementCount(dims) > node.net.mostFolded) return node.refuse(`it repeats ${showDimensions(x.dims)} to ${showDimensions(dims)}`)
  const zeros = node.emit('parameter', [], { dims, init: 0, lr_mult: 0 }, dims, {
    main: false,
    parameters: { weight: { shape: dims, values: () => new Float32Array(elementCount(dims)) } },
  })
  return node.emit('add', [x, zeros], {}, dims, { type: x.type })
}

function tile(node: OnnxNode): void {
  const x = node.value(0)
  const times = node.numbers(1, 'the repeats')
  if (x.kind === 'constant') {
    const shape = x.shape.map((dim, d) => dim * times[d]!)
    if (elementCount(shape) > Math.max(node.net.mostFolded, elementCount(x.shape))) node.refuse('more constants than the model has')
    const steps = stepsOf(x.shape)
    const place = (i: number): number => {
      let at = 0
      for (let d = shape.length - 1; d >= 0; d--) {
        at += i % shape[d]! % x.shape[d]! * steps[d]!
        i = Math.floor(i / shape[d]!)
      }
      return at
    }
    return node.give(rearranged(x, shape, place))
  }
  if (!x.bare && times[0] !== 1) return node.refuse('it repeats samples')
  let value = x
  times.slice(x.bare ? 0 : 1).forEach((count, d) => {
    if (count === 1) return
    if (count < 1 || count > 256) return node.refuse(`it repeats an axis ${count} times`)
    const dims = value.dims.map((dim, e) => (e === d ? dim * count : dim))
    value = value.dims[d] === 1 ? repeated(node, value, dims)
      : node.emit('concat', new Array<Tensor>(count).fill(value), { axis: d + 1 }, dims, { type: x.type })
  })
  node.give(value)
}

/** Positions of what is not 0, an axis a row. */
function nonZero(node: OnnxNode): void {
  const c = node.constant(0, 'its input')
  if (c.dimensions || elementCount(c.shape) > node.net.mostFolded) node.refuse('its input is no constant')
  const steps = stepsOf(c.shape)
  const found = Array.from(c.values(), (v, i) => (v === 0 ? -1 : i)).filter((i) => i >= 0)
  node.give(
    constantOf(Float64Array.from(c.shape.flatMap((dim, d) => found.map((i) => Math.floor(i / steps[d]!) % dim))), [
      c.shape.length,
      found.length,
    ], INT64),
  )
}

/** The product, sum, largest, smallest or mean over axes of constants. */
export function foldReduce(
  node: OnnxNode,
  f: (a: number, b: number) => number,
  start: number,
  end: (v: number, count: number) => number = (v) => v,
): void {
  const c = node.constant(0, 'its input')
  const given = node.has(1) ? node.numbers(1, 'the axes') : node.ints('axes')
  if (given?.length === 0 && node.int('noop_with_empty_axes', 0)) return node.give(c)
  const axes = given?.length ? given.map((axis) => node.axis(axis, c.shape.length)) : c.shape.map((_, d) => d)
  const kept = c.shape.map((dim, d) => (axes.includes(d) ? 1 : dim))
  const shape = node.int('keepdims', 1) ? kept : kept.filter((_, d) => !axes.includes(d))
  const count = elementCount(c.shape) / elementCount(kept)
  if (c.dimensions) {
    if (f !== MULTIPLY || elementCount(kept) !== 1) return node.refuse('a reduction of a shape that is no product')
    const product = c.dimensions.reduce<Dimension>((a, b) => dimensionArithmetic['Mul']!(a, b) ?? node.refuse('the batch times itself'), 1)
    return node.give(dimensionsConstant([product], shape, c.type))
  }
  const place = repeating(kept, c.shape)
  node.give(lazyConstant(c, shape, () => {
    // Sums are made in float64: thousands of numbers added in float32 lose digits.
    const result = new Float64Array(elementCount(kept)).fill(start)
    c.values().forEach((v, i) => (result[place(i)] = f(result[place(i)]!, v)))
    return numbersOf(c.type, result, (v) => end(v, count))
  }))
}

export const MULTIPLY = (a: number, b: number): number => a * b

export const constantOperators: readonly OnnxOperator[] = [
  { op: 'Constant', map: constant },
  { op: 'ConstantOfShape', map: constantOfShape, fold: constantOfShape },
  { op: 'Identity', map: identity, fold: identity },
  { op: 'Cast', map: cast, fold: cast },
  { op: 'CastLike', map: castLike, fold: castLike },
  { op: 'Dropout', map: dropout, fold: identity },
  { op: 'Gather', map: gather, fold: gather },
  { op: 'Range', fold: range },
  { op: 'Where', map: where, fold: where },
  { op: 'Expand', map: expand, fold: expand },
  { op: 'Tile', map: tile, fold: tile },
  { op: 'NonZero', fold: nonZero },
  { op: 'ReduceProd', fold: (node) => foldReduce(node, MULTIPLY, 1) },
]
