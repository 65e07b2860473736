import { elementCount } from '../../../bundle/sizes.ts'
import type { Argument } from '../../model-net.ts'
import { type Dimension, dimensionArithmetic, isNumber } from '../dimension.ts'
import { BOOL } from '../element-type.ts'
import type { OnnxNode } from '../node.ts'
import type { Numbers } from '../tensor-data.ts'
import { type Constant, dimensionsConstant, dimensionsOf, lazyConstant, parameterOf, rankOf, type Tensor, type Value } from '../value.ts'
import { masked } from './mask.ts'
import { alignedTo, broadcastDims, isPerChannel, numberIn, operandOf } from './operand.ts'
import { reshapedTensor } from './reshape.ts'
import { repeating } from './rearrange.ts'
import type { OnnxOperator } from './operator.ts'

type Kernel = (a: number, b: number) => number

/** Operands, all of the node or some, as the language takes them; the shape that they have together. */
export function joined(
  node: OnnxNode,
  values: readonly (Tensor | Constant)[] = node.inputs.map((_, i) => node.value(i)),
): { readonly operands: readonly (Tensor | number)[]; readonly dims: readonly number[]; readonly type: Tensor['type'] } {
  const tensors = values.filter((value): value is Tensor => value.kind === 'tensor')
  const widest = tensors.reduce((a, b) => (b.dims.length > a.dims.length ? b : a))
  const operands = values.map((value) => {
    if (value.kind === 'constant') return operandOf(node, value, widest)
    // Without a batch in front axes of one may be put there.
    return value.bare && value.dims.length < widest.dims.length
      ? { ...reshapedTensor(node, value, alignedTo(value.dims, widest.dims.length)) } : value
  })
  const dims = broadcastDims(
    node,
    operands.filter((operand): operand is Tensor => typeof operand !== 'number').map((operand) => operand.dims),
  )
  return { operands, dims, type: tensors.some((tensor) => tensor.type === 'float') ? 'float' : 'int' }
}

function join(op: string): (node: OnnxNode) => void {
  return (node) => {
    const { operands, dims, type } = joined(node)
    if (operands.length === 1) return node.give(operands[0] as Tensor)
    node.give(node.emit(op, operands, {}, dims, { type }))
  }
}

/** One operand is a number for each channel, or the same for all: a layer of its own, whose numbers are trained on. */
function byChannel(node: OnnxNode, op: 'add' | 'sub' | 'mul' | 'div'): Value | undefined {
  const values = node.inputs.map((_, i) => node.value(i))
  const x = values.find((value): value is Tensor => value.kind === 'tensor')!
  const c = values.find((value): value is Constant => value.kind === 'constant')
  if (!c || c.dimensions || values.indexOf(x) > values.indexOf(c) && op === 'div') return undefined
  if (!isPerChannel(c, x) || x.dims.length === 0 || numberIn(c) !== undefined) return undefined
  const channels = x.dims[0]!
  const change = (f: (v: number) => number) => (numbers: Numbers): Numbers => numbers.map(f)
  const swapped = values.indexOf(x) > values.indexOf(c)
  const ofPicture = c.learned && x.dims.length === 3 && isInput(node, x.name)
  if (!c.learned || ofPicture) {
    const constants = swapped && op === 'sub' ? undefined : normalizationBy(op, Array.from(c.values()))
    if (constants && ofPicture) node.noteOnce('changed', PICTURE)
    if (constants || !c.learned) return constants && node.emit('normalize', [x], constants, x.dims)
  }
  if (op === 'add' || op === 'sub') {
    const from = swapped && op === 'sub' ? node.emit('neg', [x], {}, x.dims, { main: false }) : x
    return node.emit('bias', [from], {}, x.dims, {
      parameters: { bias: parameterOf(c, [channels], op === 'sub' && !swapped ? change((v) => -v) : undefined) },
    })
  }
  return node.emit('scale', [x], { bias: false }, x.dims, {
    parameters: { weight: parameterOf(c, [channels], op === 'div' ? change((v) => 1 / v) : undefined) },
  })
}

const PICTURE = 'what is joined with each channel of an input counts as constants, normalize: training leaves them'

/** x joined with a number a channel as (x - mean) / std. Undefined where no std is above 0; a division by 0 is left as what it is. */
function normalizationBy(op: 'add' | 'sub' | 'mul' | 'div', list: readonly number[]): Readonly<Record<string, Argument>> | undefined {
  if (op === 'add' || op === 'sub') return { mean: op === 'add' ? list.map((v) => -v) : list, std: 1 }
  const std = op === 'mul' ? list.map((v) => 1 / v) : list
  return std.every((v) => v > 0 && Number.isFinite(v)) ? { mean: 0, std } : undefined
}

/** Whether a value is an input of the net, or numbers joined with one: its mean and deviation are initializers where they are buffers of a module. */
function isInput(node: OnnxNode, value: string): boolean {
  const maker = node.net.layers.find(({ output }) => output === value)
  if (!maker) return true
  const [x, ...rest] = maker.inputs
  return ['add', 'sub', 'mul', 'div', 'normalize'].includes(maker.op) && typeof x === 'string' &&
    !rest.some((each) => typeof each === 'string') &&
    isInput(node, x)
}

function arithmetic(op: 'add' | 'sub' | 'mul' | 'div'): (node: OnnxNode) => void {
  return (node) => {
    const same = neutral(node, op) ?? (op === 'mul' ? masked(node) : undefined)
    if (same) return node.give(same)
    const channel = byChannel(node, op)
    if (channel) return node.give(channel)
    const { operands, dims, type } = joined(node)
    if (op === 'div' && type !== 'float') return node.refuse('it divides whole numbers of the net, and rounds', 'cut it off with --outputs')
    node.give(node.emit(op, operands, {}, dims, { type }))
  }
}

/** a - b floor(a / b); with `fmod`, which has the sign of a, the quotient is rounded towards 0. */
function modulo(node: OnnxNode): void {
  const { operands: [a, b], dims, type } = joined(node)
  const inner = { main: false } as const
  const quotient = node.emit('div', [a!, b!], {}, dims, inner)
  const below = node.emit('floor', [quotient], {}, dims, inner)
  const whole = node.int('fmod', 0)
    ? node.emit(
      'where',
      [node.emit('relu', [quotient], {}, dims, inner), below, node.emit('ceil', [quotient], {}, dims, inner)],
      {},
      dims,
      inner,
    )
    : below
  node.give(node.emit('sub', [a!, node.emit('mul', [whole, b!], {}, dims, inner)], {}, dims, { type }))
}

/** x + 0, x - 0, x * 1 and x / 1. */
function neutral(node: OnnxNode, op: string): Tensor | undefined {
  const [a, b] = [node.value(0), node.value(1)]
  const does = op === 'add' || op === 'sub' ? 0 : 1
  const [x, c] = a.kind === 'tensor' ? [a, b] : op === 'add' || op === 'mul' ? [b, a] : [undefined, a]
  return x?.kind === 'tensor' && c.kind === 'constant' && elementCount(c.shape) === 1 && c.shape.length <= rankOf(x) &&
      numberIn(c) === does ? x : undefined
}

/** Element by element over constants, with the batch as an unknown where one has it. */
export function fold(op: string, f: Kernel, truth = false): (node: OnnxNode) => void {
  return (node) => {
    let result = node.constant(0, '')
    for (let i = 1; i < node.inputs.length; i++) result = foldTwo(node, op, f, result, node.constant(i, ''), truth)
    node.give(result)
  }
}

function foldTwo(node: OnnxNode, op: string, f: Kernel, a: Constant, b: Constant, truth: boolean): Constant {
  const shape = broadcastShape(node, a.shape, b.shape)
  const type = truth ? BOOL : a.type
  if (elementCount(shape) > node.net.mostFolded) return node.refuse(`${shape.join(' x ')} constant numbers are computed from smaller ones`)
  if (a.dimensions || b.dimensions) {
    const [left, right] = [dimensionsOf(a), dimensionsOf(b)]
    const [placeLeft, placeRight] = [repeating(a.shape, shape), repeating(b.shape, shape)]
    const each = Array.from({ length: elementCount(shape) }, (_, i): Dimension => {
      const [x, y] = [left[placeLeft(i)]!, right[placeRight(i)]!]
      return dimensionArithmetic[op]?.(x, y) ??
        (isNumber(x) && isNumber(y) ? f(x, y) : node.refuse(`arithmetic on shapes, ${op}, that is no multiple of the batch`))
    })
    return dimensionsConstant(each, shape, type)
  }
  const learned = a.learned || b.learned
  const whole = op === 'Div' && a.type.kind !== 'float'
  return {
    ...lazyConstant(a, shape, () => {
      const [left, right] = [a.values(), b.values()]
      const result = type.fitsFloat32 ? new Float32Array(elementCount(shape)) : new Float64Array(elementCount(shape))
      const [placeLeft, placeRight] = [repeating(a.shape, shape), repeating(b.shape, shape)]
      for (let i = 0; i < result.length; i++) {
        const value = f(left[placeLeft(i)]!, right[placeRight(i)]!)
        result[i] = whole ? Math.trunc(value) : value
      }
      return result
    }, type),
    learned,
  }
}

export function broadcastShape(node: OnnxNode, a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  const at = (shape: readonly number[], d: number): number => shape[d - rank + shape.length] ?? 1
  return Array.from({ length: rank }, (_, d) => {
    const [x, y] = [at(a, d), at(b, d)]
    return x === y || y === 1 ? x : x === 1 ? y : node.refuse(`[${a.join(', ')}] and [${b.join(', ')}] do not go together`)
  })
}

/** The mean of constants: their sum, divided. */
function foldMean(node: OnnxNode): void {
  fold('Add', (a, b) => a + b)(node)
  const sum = node.results[0] as Constant
  node.give(lazyConstant(sum, sum.shape, () => sum.values().map((v) => v / node.inputs.length)))
}

export const arithmeticOperators: readonly OnnxOperator[] = [
  { op: 'Add', map: arithmetic('add'), fold: fold('Add', (a, b) => a + b) },
  { op: 'Sub', map: arithmetic('sub'), fold: fold('Sub', (a, b) => a - b) },
  { op: 'Mul', map: arithmetic('mul'), fold: fold('Mul', (a, b) => a * b) },
  { op: 'Div', map: arithmetic('div'), fold: fold('Div', (a, b) => a / b) },
  { op: 'Max', map: join('max'), fold: fold('Max', Math.max) },
  { op: 'Min', map: join('min'), fold: fold('Min', Math.min) },
  { op: 'Sum', map: join('add'), fold: fold('Add', (a, b) => a + b) },
  { op: 'Mean', map: join('mean'), fold: foldMean },
  {
    op: 'Mod',
    map: modulo,
    fold: (node) => fold('Mod', node.int('fmod', 0) ? (a, b) => a % b : (a, b) => a - b * Math.floor(a / b))(node),
  },
]
