import { elementCount } from '../../../bundle/sizes.ts'
import type { Argument } from '../../model-net.ts'
import { isNumber, showDimensions } from '../dimension.ts'
import { shortFloat32 } from '../float32.ts'
import type { OnnxNode } from '../node.ts'
import { dimensionsConstant, lazyConstant, parameterOf, shapeOf } from '../value.ts'
import { fold } from './arithmetic.ts'
import { isPerChannel, operandOf, withinSample } from './operand.ts'
import type { OnnxOperator } from './operator.ts'

/** A row of an activation that the language has. `f` is its formula, for constants. */
function row(
  op: string,
  layer: string,
  f?: (x: number, node: OnnxNode) => number,
  args: (node: OnnxNode) => Record<string, Argument> = () => ({}),
): OnnxOperator {
  return {
    op,
    map: (node) => node.pointwise(layer, args(node)),
    ...(f && { fold: (node: OnnxNode) => foldElements(node, (x) => f(x, node)) }),
  }
}

/** Applies a function to each element of a constant. `keepsWhole`: a whole number stays what it is, and so does the batch. */
export function foldElements(node: OnnxNode, f: (x: number) => number, keepsWhole = false): void {
  const c = node.constant(0, 'its input')
  if (c.dimensions) {
    const each = c.dimensions.map((dim) =>
      isNumber(dim) ? f(dim)
        : keepsWhole && Number.isInteger(dim.n) && Number.isInteger(dim.plus) ? dim : node.refuse('its input depends on the batch')
    )
    return node.give(dimensionsConstant(each, c.shape, c.type))
  }
  node.give(lazyConstant(c, c.shape, () => c.values().map(f)))
}

/** x where positive, slope x elsewhere; the slope is a constant that is broadcast. */
function prelu(node: OnnxNode): void {
  const x = node.tensor(0)
  const slope = node.constant(1, 'the slope')
  const channels = x.dims[0]!
  // [C, 1, 1] and [1, C, 1, 1]; [C] before opset 7, where it was not broadcast from the last axis.
  const perChannel = isPerChannel(slope, x) || (node.opset < 7 && slope.shape.length === 1 && slope.shape[0] === channels)
  if (elementCount(slope.shape) === 1 || perChannel) {
    const shared = elementCount(slope.shape) === 1
    return node.give(node.emit('prelu', [x], { shared }, x.dims, { parameters: { slope: parameterOf(slope, [shared ? 1 : channels]) } }))
  }
  const positive = node.emit('relu', [x], {}, x.dims, { main: false })
  const negative = node.emit('min', [x, 0], {}, x.dims, { main: false })
  const scaled = node.emit('mul', [negative, operandOf(node, slope, x)], {}, x.dims, { main: false })
  node.give(node.emit('add', [positive, scaled], {}, x.dims))
}

/** gamma (x where positive, alpha (exp(x) - 1) elsewhere). */
function selu(node: OnnxNode): void {
  const [alpha, gamma] = [1.67326319217681884765625, 1.05070102214813232421875].map(Math.fround)
  const x = node.tensor(0)
  const [a, g] = [node.float('alpha', alpha!), node.float('gamma', gamma!)]
  if (Math.fround(a) === alpha && Math.fround(g) === gamma) return node.pointwise('selu')
  const elu = node.emit('elu', [x], { alpha: a }, x.dims, { main: false })
  node.give(node.emit('mul', [elu, g], {}, x.dims))
}

/** x sigmoid(alpha x). */
function swish(node: OnnxNode): void {
  const x = node.tensor(0)
  const alpha = node.float('alpha', 1)
  if (alpha === 1) return node.pointwise('silu')
  const scaled = node.emit('mul', [x, alpha], {}, x.dims, { main: false })
  const gate = node.emit('sigmoid', [scaled], {}, x.dims, { main: false })
  node.give(node.emit('mul', [x, gate], {}, x.dims))
}

/** Bounds of Clip: attributes up to opset 10, inputs from 11. Where min > max, max everywhere (the specification from 11 on). */
function bounds(node: OnnxNode): { lo: number | undefined; hi: number | undefined } {
  const largest = Math.fround(3.402823466e38)
  const one = (input: number, name: string): number | undefined => {
    if (node.opset < 11) return node.hasAttribute(name) ? node.float(name, 0) : undefined
    return node.has(input) ? shortFloat32(node.number(input, name)) : undefined
  }
  const [lo, hi] = [one(1, 'min'), one(2, 'max')]
  return { lo: lo !== undefined && lo <= -largest ? undefined : lo, hi: hi !== undefined && hi >= largest ? undefined : hi }
}

function clip(node: OnnxNode): void {
  const x = node.tensor(0)
  const { lo, hi } = bounds(node)
  if (lo === undefined && hi === undefined) return node.give(x)
  if (lo !== undefined && hi !== undefined && lo > hi) {
    node.note('changed', `its bounds ${lo} and ${hi} cross: ${hi} everywhere, as the specification says`)
    const below = node.emit('min', [x, hi], {}, x.dims, { main: false })
    return node.give(node.emit('max', [below, hi], {}, x.dims))
  }
  if (hi === undefined)
    return node.give(lo === 0 ? node.emit('relu', [x], {}, x.dims) : node.emit('max', [x, lo!], {}, x.dims, { type: x.type }))
  if (lo === undefined) return node.give(node.emit('min', [x, hi], {}, x.dims, { type: x.type }))
  node.give(node.emit('clip', [x], { lo, hi }, x.dims, { type: x.type }))
}

/** The power with a constant exponent: one for all, or one for each place of a short axis, whose parts are taken apart. */
function pow(node: OnnxNode): void {
  const x = node.tensor(0)
  const exponent = node.constant(1, 'the exponent')
  const values = elementCount(exponent.shape) > 0 && elementCount(exponent.shape) <= 4096 ? exponent.values() : []
  const dims = withinSample(exponent, x)
  if (!dims || values.length === 0) return node.refuse(`an exponent ${showDimensions(exponent.shape)} for ${showDimensions(shapeOf(x))}`)
  if (values.every((v) => v === values[0])) return node.give(node.emit('pow', [x], { exponent: shortFloat32(values[0]!) }, x.dims))
  const long = dims.flatMap((dim, d) => (dim === 1 ? [] : [d]))
  const [d] = long
  if (long.length !== 1 || values.length !== x.dims[d!] || values.length > 64)
    return node.refuse(`its exponents, ${showDimensions(exponent.shape)}, differ along several axes`, 'one exponent can be said: pow(x, 2)')
  const part = x.dims.map((dim, e) => (e === d ? 1 : dim))
  const parts = Array.from(values, (v, i) => {
    const one = node.emit('slice', [x], { axis: d! + 1, from: i, to: i + 1 }, part, { main: false })
    return node.emit('pow', [one], { exponent: shortFloat32(v) }, part, { main: false })
  })
  node.give(node.emit('concat', parts, { axis: d! + 1 }, x.dims))
}

/** The error function by its series and its continued fraction: 1e-15 (Abramowitz & Stegun 7.1.5, 7.1.14). */
export function erf(x: number): number {
  if (Math.abs(x) < 3) {
    let [term, sum] = [x, x]
    for (let k = 1; k < 60; k++) sum += (term *= -x * x / k) / (2 * k + 1)
    return 2 / Math.sqrt(Math.PI) * sum
  }
  let fraction = 0
  for (let k = 60; k > 0; k--) fraction = k / 2 / (Math.abs(x) + fraction)
  return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * (Math.abs(x) + fraction)))
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
const hardSigmoid = (x: number, alpha: number, beta: number): number => Math.min(1, Math.max(0, alpha * x + beta))

export const activationOperators: readonly OnnxOperator[] = [
  row('Relu', 'relu', (x) => Math.max(x, 0)),
  row(
    'LeakyRelu',
    'leaky_relu',
    (x, node) => (x < 0 ? node.float('alpha', 0.01) * x : x),
    (node) => ({ slope: node.float('alpha', 0.01) }),
  ),
  { op: 'PRelu', map: prelu },
  row('Elu', 'elu', (x, node) => (x < 0 ? node.float('alpha', 1) * Math.expm1(x) : x), (node) => ({ alpha: node.float('alpha', 1) })),
  { op: 'Selu', map: selu },
  row('Celu', 'celu', undefined, (node) => ({ alpha: node.float('alpha', 1) })),
  row('Sigmoid', 'sigmoid', sigmoid),
  row('HardSigmoid', 'hard_sigmoid', (x, node) => hardSigmoid(x, node.float('alpha', 0.2), node.float('beta', 0.5)), (node) => ({
    alpha: node.float('alpha', 0.2),
    beta: node.float('beta', 0.5),
  })),
  row('HardSwish', 'hard_swish', (x) => x * hardSigmoid(x, 1 / 6, 0.5)),
  row('Tanh', 'tanh', Math.tanh),
  row('Softplus', 'softplus', softplus),
  row('Softsign', 'softsign', (x) => x / (1 + Math.abs(x))),
  row('Mish', 'mish', (x) => x * Math.tanh(softplus(x))),
  row(
    'Gelu',
    'gelu',
    undefined,
    (node): Record<string, Argument> => (node.text('approximate', 'none') === 'tanh' ? { approximate: 'tanh' } : {}),
  ),
  { op: 'Swish', map: swish },
  row('ThresholdedRelu', 'thresholded_relu', undefined, (node) => ({ alpha: node.float('alpha', 1) })),
  {
    op: 'Clip',
    map: clip,
    fold: (node) => {
      const { lo, hi } = bounds(node)
      foldElements(node, (x) => Math.min(hi ?? Infinity, Math.max(lo ?? -Infinity, x)))
    },
  },
  row('Exp', 'exp', Math.exp),
  row('Log', 'log', Math.log),
  row('Sqrt', 'sqrt', Math.sqrt),
  row('Abs', 'abs', Math.abs),
  row('Neg', 'neg', (x) => -x),
  row('Reciprocal', 'reciprocal', (x) => 1 / x),
  row('Erf', 'erf', erf),
  { op: 'Pow', map: pow, fold: fold('Pow', (a, b) => a ** b) },
  { op: 'Floor', map: (node) => node.pointwise('floor'), fold: (node) => foldElements(node, Math.floor, true) },
  { op: 'Ceil', map: (node) => node.pointwise('ceil'), fold: (node) => foldElements(node, Math.ceil, true) },
  // Half to even.
  {
    op: 'Round',
    map: (node) => node.pointwise('round'),
    fold: (node) => foldElements(node, (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)), true),
  },
]
