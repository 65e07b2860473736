import { elementCount } from '../../../bundle/sizes.ts'
import { showDimensions } from '../dimension.ts'
import { ELEMENT_TYPES, type ElementType, FLOAT32 } from '../element-type.ts'
import { shortFloat32 } from '../float32.ts'
import type { OnnxNode } from '../node.ts'
import { type Constant, lazyConstant, numbersOf, type Tensor } from '../value.ts'
import type { OnnxOperator } from './operator.ts'
import { stepsOf } from './rearrange.ts'

/** The place of the scale of element i: one for all, one for each of an axis, or one for each block of `block_size` (opset 21). */
function scalePlace(node: OnnxNode, x: Constant, scale: Constant): (i: number) => number {
  if (elementCount(scale.shape) === 1) return () => 0
  const axis = node.axis(node.int('axis', 1), x.shape.length)
  const block = node.int('block_size', 0)
  const steps = stepsOf(x.shape)
  if (block === 0) {
    if (scale.shape.length !== 1 || scale.shape[0] !== x.shape[axis])
      return node.refuse(`scales ${showDimensions(scale.shape)} for axis ${axis} of ${showDimensions(x.shape)}`)
    return (i) => Math.floor(i / steps[axis]!) % x.shape[axis]!
  }
  if (
    scale.shape.length !== x.shape.length ||
    scale.shape.some((dim, d) => dim !== (d === axis ? Math.ceil(x.shape[d]! / block) : x.shape[d]))
  )
    return node.refuse(`scales ${showDimensions(scale.shape)} for blocks of ${block} of ${showDimensions(x.shape)}`)
  const own = stepsOf(scale.shape)
  return (i) =>
    x.shape.reduce(
      (at, dim, d) => at + (d === axis ? Math.floor(Math.floor(i / steps[d]!) % dim / block) : Math.floor(i / steps[d]!) % dim) * own[d]!,
      0,
    )
}

/** (x - zero point) scale, of constants. */
function foldDequantize(node: OnnxNode): void {
  const [x, scale] = [node.constant(0, 'its input'), node.constant(1, 'the scale')]
  const zero = node.has(2) ? node.constant(2, 'the zero point') : undefined
  const place = scalePlace(node, x, scale)
  node.give(lazyConstant(x, x.shape, () => {
    const [factors, offsets] = [scale.values(), zero?.values()]
    return Float32Array.from(x.values(), (v, i) => (v - (offsets?.[offsets.length === 1 ? 0 : place(i)] ?? 0)) * factors[place(i)]!)
  }, FLOAT32))
}

const range = (
  { bits, name }: ElementType,
): readonly [number, number] => (name.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1])

const halfToEven = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x))

function typeOf(node: OnnxNode): ElementType {
  const type = node.has(2) ? node.constant(2, 'the zero point').type
    : ELEMENT_TYPES.get(node.int('output_dtype', 2)) ?? ELEMENT_TYPES.get(2)!
  return type.kind === 'int' ? type : node.refuse(`it makes ${type.name}`, 'whole numbers can be dequantized')
}

function foldQuantize(node: OnnxNode): void {
  const [x, scale] = [node.constant(0, 'its input'), node.constant(1, 'the scale')]
  const zero = node.has(2) ? node.constant(2, 'the zero point') : undefined
  const type = typeOf(node)
  const [least, most] = range(type)
  const place = scalePlace(node, x, scale)
  node.give(lazyConstant(x, x.shape, () => {
    const [factors, offsets, values] = [scale.values(), zero?.values(), x.values()]
    return numbersOf(
      type,
      Array.from(values, (v, i) => {
        const offset = offsets?.[offsets.length === 1 ? 0 : place(i)] ?? 0
        return Math.min(most, Math.max(least, halfToEven(v / factors[place(i)]!) + offset))
      }),
    )
  }, type))
}

/**
 * What the net computes is kept as it is: only what the type cannot hold is cut off, which in many nets stands for a rectifier. The
 * difference is told: half a step.
 */
function quantize(node: OnnxNode): void {
  const x = node.tensor(0)
  const step = node.number(1, 'the scale')
  const zero = node.has(2) ? node.number(2, 'the zero point') : 0
  const [least, most] = range(typeOf(node)).map((bound) => shortFloat32(Math.fround((bound - zero) * step))) as [number, number]
  node.note(
    'differs',
    `values of ${node.proto.inputs[0]} are not rounded to steps of ${shortFloat32(step)}: up to half a step of difference`,
  )
  const y = node.emit('clip', [x], { lo: least, hi: most }, x.dims)
  node.give({ ...y, quantized: `${step} ${zero}` })
}

function dequantize(node: OnnxNode): void {
  const x = node.tensor(0)
  if (x.quantized === undefined && x.type !== 'float') return whole(node, x)
  const how = `${node.number(1, 'the scale')} ${node.has(2) ? node.number(2, 'the zero point') : 0}`
  if (x.quantized !== how)
    return node.refuse('its input was not quantized with the same scale and zero point', 'import the net before it was quantized')
  const { quantized: _, ...plain } = x
  node.give(plain satisfies Tensor)
}

/** (x - zero point) scale of whole numbers that are inputs of the net. */
function whole(node: OnnxNode, x: Tensor): void {
  const list = (input: number, what: string): number[] => node.numbers(input, what).map(shortFloat32)
  const scale = list(1, 'the scale')
  const zero = node.has(2) ? list(2, 'the zero point') : [0]
  if (scale.length === 1 && zero.length === 1) {
    const away = zero[0] === 0 ? x : node.emit('sub', [x, zero[0]!], {}, x.dims, { main: false })
    return node.give(node.emit('mul', [away, scale[0]!], {}, x.dims))
  }
  const axis = node.sampleAxis(node.int('axis', 1), x, 'it has scales')
  if (axis !== 1 || scale.length !== x.dims[0])
    return node.refuse(`it has ${scale.length} scales along axis ${axis}`, 'scales of channels can be said')
  node.give(node.emit('normalize', [x], { mean: zero.length === 1 ? zero[0]! : zero, std: scale.map((v) => 1 / v) }, x.dims))
}

export const quantizationOperators: readonly OnnxOperator[] = [
  { op: 'QuantizeLinear', map: quantize, fold: foldQuantize },
  { op: 'DequantizeLinear', map: dequantize, fold: foldDequantize },
]
