import type { Node, Value } from '../graph/graph.ts'
import { add, argmax, constant, div, type Expression, load, LOWEST, max, maximum, min, mul, position, select, sub,
  sum } from '../ir/expression.ts'
import { type Axis, divide, type Index, minus, plus, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import type { Shape } from '../ir/tensor.ts'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes } from '../../dsl/signature.ts'
import { firstInputGradient, positionGradient } from './gradients.ts'
import type { GradientBuilder, Gradients, Operator, ShapeQuestion } from './operator.ts'
import type { IdleArgument, OperatorTraits } from './traits.ts'
import { idleOfPooling, layersOf, LONG_WINDOW, poolAttributes, poolDx, poolParameters, poolShape, poolSlides,
  windowsOver } from './pool-windows.ts'
import { isSame, mapProblems, paddingOf, reach, type Slide } from './sliding-window.ts'

/** The divisor of an average. */
type Count = 'valid' | 'padded' | 'caffe'

const globalShape = (q: ShapeQuestion): { shape: Shape } | readonly Diagnostic[] => {
  const problems = mapProblems(q)
  const { shape } = q.inputs[0]!
  return problems.length > 0 ? problems : { shape: [shape[0]!, shape[1]!, 1, 1] }
}

// ---- forward -----------------------------------------------------------------------------------------------------------

/** y = max over the window of x; padding never takes part. */
function maxEquation(node: Node): Equation {
  const y = node.outputs[0]!
  const { at, kernel, seen } = windowsOver(node, node.inputs[0]!, y)
  return equation(node.name, layersOf(node), at, [store(y, at, maximum(kernel, seen(LOWEST)))])
}

/** Position within the window of the first largest in row order. The same loops as the maximum's. */
function positionEquation(node: Node): Equation {
  const out = node.outputs[0]!
  const { at, kernel, seen } = windowsOver(node, node.inputs[0]!, out)
  return equation(node.name, layersOf(node), at, [store(out, at, argmax(kernel, seen(LOWEST)))])
}

/** y = sum over the window of x / what counts; rows are summed first, so that chains of additions are short. */
function averageEquation(node: Node): Equation {
  const x = node.inputs[0]!
  const y = node.outputs[0]!
  const { slides, at, kernel, seen } = windowsOver(node, x, y)
  const total = sum([kernel[0]], sum([kernel[1]], seen(0)))
  const whole = slides[0].kernel * slides[1].kernel
  const sums = whole > LONG_WINDOW ? total : sum(kernel, seen(0))
  return equation(node.name, layersOf(node), at, [store(y, at, div(sums, counted(node, slides, x.shape, y.shape, [at[2]!, at[3]!])))])
}

/**
 * The divisor of the average of a window: `valid` the elements within the map, `padded` kh kw, `caffe` those within the padded map, so
 * that padding counts and what lies beyond it does not (Caffe's and PyTorch's reading).
 */
function counted(
  node: Node,
  slides: readonly [Slide, Slide],
  x: Shape,
  y: Shape,
  window: readonly [Index | Axis, Index | Axis],
): Expression {
  const count = (node.attributes['count'] as Count | undefined) ?? 'caffe'
  const along = (d: 0 | 1): Expression => {
    const { kernel, stride, dilation, pad, end: behind } = slides[d]
    const size = x[d + 2] as number
    const last = ((y[d + 2] as number) - 1) * stride - pad + reach(slides[d])
    // What `same` takes behind the map follows from the last window.
    const end = count === 'valid' ? size : Math.max(isSame(node.attributes) ? last : 0, size + behind)
    if (count === 'padded' || (last <= end && (count === 'caffe' || pad === 0))) return constant(kernel)
    const first = plus(times(window[d], stride), -pad)
    if (dilation > 1) {
      // Elements k with 0 <= first + k dilation < end.
      const stop = min(position(divide(minus(end + dilation - 1, first), dilation)), kernel)
      return count === 'valid' ? sub(stop, max(position(divide(minus(dilation - 1, first), dilation)), 0)) : stop
    }
    const start = position(first)
    const stop = last > end ? min(add(start, kernel), end) : add(start, kernel)
    return sub(stop, count === 'valid' ? max(start, 0) : start)
  }
  return mul(along(0), along(1))
}

/** The trait `averages`: shares come to one where padding counts in none of the windows. */
const averagesOf: NonNullable<OperatorTraits['averages']> = ({ attributes, inputs: [x], outputs: [y] }) => {
  const count = attributes['count'] ?? 'caffe'
  const slides = poolSlides(attributes, x!.shape, y!.shape)
  const isWithin = (d: 0 | 1): boolean => {
    const { pad, end, stride } = slides[d]
    const last = ((y!.shape[d + 2] as number) - 1) * stride + reach(slides[d])
    return pad === 0 && (last <= (x!.shape[d + 2] as number) || (count === 'caffe' && end === 0 && !isSame(attributes)))
  }
  const isWhole = count === 'valid' || (isWithin(0) && isWithin(1))
  return { shares: isWhole ? 'whole' : 'partial', taps: slides[0].kernel * slides[1].kernel }
}

// ---- gradients ---------------------------------------------------------------------------------------------------------

/** dx gets dy where it is the element that its window took. Inputs: dy, positions. */
const maxDx: Operator = {
  name: 'max_pool_dx',
  equations: (node) => {
    const [dy, taken] = node.inputs
    return [poolDx(node, dy!, (at, k) => select('eq', load(taken!, ...at), position(k), load(dy!, ...at), 0))]
  },
}

/** dx gets its share of each dy. Input: dy. */
const averageDx: Operator = {
  name: 'avg_pool_dx',
  equations: (node) => {
    const dy = node.inputs[0]!
    const dx = node.outputs[0]!
    return [poolDx(node, dy, (at, _, slides) => div(load(dy, ...at), counted(node, slides, dx.shape, dy.shape, [at[2], at[3]])))]
  },
}

const maxGradient = (node: Node, dy: Value, build: GradientBuilder): Gradients =>
  positionGradient(node, dy, build, { position: 'max_pool_position', dx: 'max_pool_dx', attributes: poolAttributes(node.attributes) })

const averageGradient = (node: Node, dy: Value, build: GradientBuilder): Gradients =>
  firstInputGradient(node, build, { op: 'avg_pool_dx', inputs: [dy], attributes: poolAttributes(node.attributes) })

// ---- the layers --------------------------------------------------------------------------------------------------------

/** Without padding, and without windows that hang over, all that is divided by is the window. */
const idleOfAverages = (attributes: Attributes): readonly IdleArgument[] => [
  ...idleOfPooling(attributes),
  ...(!isSame(attributes) && attributes['round'] !== 'ceil' && paddingOf(attributes).flat().every((pad) => pad === 0)
    ? [{ name: 'count', by: 'pad', value: '0', why: 'without padding every window lies within the map' }]
    : []),
]

const POOLING: OperatorTraits = { pooling: true, initSeesThrough: true }
const AVERAGING: OperatorTraits = { ...POOLING, averages: averagesOf }

/** Diagnostics of all: shape/...-rank, shape/...-window, argument/...-pad. x [n, C, H, W], y [n, C, h, w]. */
const maxPool: Operator = {
  name: 'max_pool',
  signature: { name: 'max_pool', parameters: poolParameters, doc: 'the largest of each window; ties go to the first in row order' },
  traits: { ...POOLING, idle: idleOfPooling },
  shape: poolShape,
  equations: (node) => [maxEquation(node)],
  gradient: maxGradient,
}

const maxPoolPosition: Operator = { name: 'max_pool_position', equations: (node) => [positionEquation(node)] }

const avgPool: Operator = {
  name: 'avg_pool',
  signature: {
    name: 'avg_pool',
    parameters: [...poolParameters, {
      name: 'count',
      type: { kind: 'word', words: ['valid', 'padded', 'caffe'] },
      default: 'caffe',
      named: true,
      doc: 'what is divided by: the elements of the map alone, the whole window, or the window as far as the padding goes',
    }],
    doc: 'the mean of each window',
  },
  traits: { ...AVERAGING, idle: idleOfAverages },
  shape: poolShape,
  equations: (node) => [averageEquation(node)],
  gradient: averageGradient,
}

const globalAvgPool: Operator = {
  name: 'global_avg_pool',
  signature: { name: 'global_avg_pool', parameters: [], doc: 'the mean of each channel: [n, c, 1, 1]' },
  traits: AVERAGING,
  shape: globalShape,
  equations: (node) => [averageEquation(node)],
  gradient: averageGradient,
}

const globalMaxPool: Operator = {
  name: 'global_max_pool',
  signature: { name: 'global_max_pool', parameters: [], doc: 'the largest of each channel: [n, c, 1, 1]' },
  traits: POOLING,
  shape: globalShape,
  equations: (node) => [maxEquation(node)],
  gradient: maxGradient,
}

export const poolOperators: readonly Operator[] = [
  maxPool,
  maxPoolPosition,
  maxDx,
  avgPool,
  averageDx,
  globalAvgPool,
  globalMaxPool,
]
