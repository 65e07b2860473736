import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes, Parameter } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import { add, argmax, constant, div, type Expression, guard, load, LOWEST, max, maximum, min, mul, position, select, sub, sum,
  within } from '../ir/expression.ts'
import { type Axis, axis, divide, type Index, minus, plus, remainder, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import type { Shape } from '../ir/tensor.ts'
import { argumentProblem } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { GradientBuilder, Gradients, Operator, ShapeQuestion } from './operator.ts'
import type { OperatorTraits } from './traits.ts'
import { pointAxes } from './elementwise.ts'
import { codeOf, denseIndex, fitProblems, isSame, kernelParameter, mapProblems, type Pair, pairOf, padParameter, type Slide, slidesOf,
  windowCount } from './sliding-window.ts'

type Round = 'floor' | 'ceil'
/** The divisor of an average. */
type Count = 'valid' | 'padded' | 'caffe'

const poolParameters: readonly Parameter[] = [
  kernelParameter,
  { name: 'stride', type: { kind: 'window', min: 1 }, optional: true, doc: 'how far the window moves; as large as the window' },
  { ...padParameter, doc: 'padding around the map, less than the window; same: as many outputs as inputs (divided by the stride)' },
  {
    name: 'round',
    type: { kind: 'word', words: ['floor', 'ceil'] },
    default: 'floor',
    named: true,
    doc: 'ceil: a last window may hang over the edge',
  },
]

const layersOf = (node: Node): readonly string[] => [node.layer, ...(node.absorbed ?? [])]

/** Kernel and stride of pooling; a global one has one window, the whole map. */
function poolSlides(attributes: Attributes, x: Shape, y?: Shape): readonly [Slide, Slide] {
  const whole: Pair = [x[2] as number, x[3] as number]
  const kernel = pairOf(attributes, 'kernel', whole)
  const stride = pairOf(attributes, 'stride', kernel)
  return slidesOf({ ...attributes, stride }, kernel, y && { dense: x, strided: y })
}

function poolShape(q: ShapeQuestion): { shape: Shape } | readonly Diagnostic[] {
  const rank = mapProblems(q)
  if (rank.length > 0) return rank
  const { shape } = q.inputs[0]!
  const slides = poolSlides(q.attributes, shape)
  const problems = [...padProblems(q, slides), ...fitProblems(q, slides)]
  if (problems.length > 0) return problems
  const count = (d: 0 | 1): number => windowCount(shape[d + 2] as number, slides[d], isSame(q.attributes), q.attributes['round'] as Round)
  return { shape: [shape[0]!, shape[1]!, count(0), count(1)] }
}

function padProblems(q: ShapeQuestion, slides: readonly [Slide, Slide]): Diagnostic[] {
  if (slides.every((s) => s.pad < s.kernel)) return []
  const [kernel, pad] = [slides.map((s) => s.kernel).join(' x '), slides.map((s) => s.pad)]
  return [
    argumentProblem(
      q,
      'pad',
      `${codeOf(q)}-pad`,
      `with a pad of ${pad[0] === pad[1] ? pad[0] : `[${pad.join(', ')}]`} some windows of ${kernel} see nothing of the map`,
      'a pad is smaller than the window',
    ),
  ]
}

const globalShape = (q: ShapeQuestion): { shape: Shape } | readonly Diagnostic[] => {
  const problems = mapProblems(q)
  const { shape } = q.inputs[0]!
  return problems.length > 0 ? problems : { shape: [shape[0]!, shape[1]!, 1, 1] }
}

// ---- forward -----------------------------------------------------------------------------------------------------------

/** The loops of pooling x to y, and the element of x that a window sees. */
interface Windows {
  readonly slides: readonly [Slide, Slide]
  readonly at: readonly Axis[]
  readonly kernel: readonly [Axis, Axis]
  /** Padding holds `otherwise`. */
  readonly seen: (otherwise: number) => Expression
}

function windowsOver(node: Node, x: Value, y: Value): Windows {
  const slides = poolSlides(node.attributes, x.shape, y.shape)
  const at = pointAxes(y.shape)
  const [n, c, h, w] = at as [Axis, Axis, Axis, Axis]
  const kernel = [axis('kh', slides[0].kernel), axis('kw', slides[1].kernel)] as const
  const row = denseIndex(slides[0], h, kernel[0])
  const column = denseIndex(slides[1], w, kernel[1])
  const inside = [within(row, x.shape[2]!), within(column, x.shape[3]!)]
  return { slides, at, kernel, seen: (otherwise) => guard(inside, load(x, n, c, row, column), otherwise) }
}

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

/** A window with more elements than this has its rows summed one by one: one chain of additions would lose digits. */
const LONG_WINDOW = 64

/**
 * The divisor of the average of a window: `valid` the elements within the map, `padded` kh kw, `caffe` the area within the
 * padded map, so that padding counts and what lies beyond it does not (Caffe's and PyTorch's reading).
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
    const { kernel, stride, pad } = slides[d]
    const size = x[d + 2] as number
    const last = ((y[d + 2] as number) - 1) * stride - pad + kernel
    // As much padding behind as in front, for `same` what it takes.
    const end = count === 'valid' ? size : Math.max(isSame(node.attributes) ? last : 0, size + pad)
    if (count === 'padded' || (last <= end && (count === 'caffe' || pad === 0))) return constant(kernel)
    const start = position(plus(times(window[d], stride), -pad))
    const stop = last > end ? min(add(start, kernel), end) : add(start, kernel)
    return sub(stop, count === 'valid' ? max(start, 0) : start)
  }
  return mul(along(0), along(1))
}

// ---- gradients ---------------------------------------------------------------------------------------------------------

/** The windows that an element of the map lies in, from the last to the first: ceil(kernel / stride) of them at most. */
interface Around {
  readonly loop: readonly Axis[]
  readonly window: Index
  /** Which element of that window it is. */
  readonly k: Index
  readonly guards: readonly ReturnType<typeof within>[]
}

/** Windows that do not overlap need no loop: the gradient is then point-wise and can ride along. */
function windowsAround({ kernel, stride, pad }: Slide, at: Axis, name: string, windows: number): Around {
  const most = Math.ceil(kernel / stride)
  const back = most > 1 ? axis(name, most) : undefined
  const k = plus(remainder(plus(at, pad), stride), times(back ?? 0, stride))
  const window = minus(divide(plus(at, pad), stride), back ?? 0)
  return { loop: back ? [back] : [], window, k, guards: [within(k, kernel), within(window, windows)] }
}

/** dx[n, c, h, w] = sum over the windows (i, j) around h, w of `handedBack`. */
function poolDx(
  node: Node,
  dy: Value,
  handedBack: (at: readonly [Axis, Axis, Index, Index], k: Index, slides: readonly [Slide, Slide]) => Expression,
): Equation {
  const dx = node.outputs[0]!
  const slides = poolSlides(node.attributes, dx.shape, dy.shape)
  const at = pointAxes(dx.shape)
  const [n, c, h, w] = at as [Axis, Axis, Axis, Axis]
  const rows = windowsAround(slides[0], h, 'i', dy.shape[2] as number)
  const columns = windowsAround(slides[1], w, 'j', dy.shape[3] as number)
  const value = handedBack([n, c, rows.window, columns.window], plus(times(rows.k, slides[1].kernel), columns.k), slides)
  return equation(node.name, layersOf(node), at, [
    store(dx, at, sum([...rows.loop, ...columns.loop], guard([...rows.guards, ...columns.guards], value))),
  ])
}

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

const poolAttributes = (attributes: Attributes): Attributes =>
  Object.fromEntries(
    ['kernel', 'stride', 'pad', 'count'].flatMap((name) => (attributes[name] === undefined ? [] : [[name, attributes[name]]])),
  )

function maxGradient(node: Node, dy: Value, build: GradientBuilder): Gradients {
  const x = node.inputs[0]!
  if (!build.needs(x)) return {}
  const attributes = poolAttributes(node.attributes)
  const taken = build.node({
    suffix: 'position',
    op: 'max_pool_position',
    inputs: [x],
    attributes,
    outputs: [{ name: 'position', shape: dy.shape }],
  })
  return firstInputGradient(node, build, { op: 'max_pool_dx', inputs: [dy, taken[0]!], attributes })
}

const averageGradient = (node: Node, dy: Value, build: GradientBuilder): Gradients =>
  firstInputGradient(node, build, { op: 'avg_pool_dx', inputs: [dy], attributes: poolAttributes(node.attributes) })

// ---- the layers --------------------------------------------------------------------------------------------------------

const POOLING: OperatorTraits = { pooling: true, initSeesThrough: true }

/** Diagnostics of all: shape/...-rank, shape/...-window, argument/...-pad. x [n, C, H, W], y [n, C, h, w]. */
const maxPool: Operator = {
  name: 'max_pool',
  signature: { name: 'max_pool', parameters: poolParameters, doc: 'the largest of each window; ties go to the first in row order' },
  traits: POOLING,
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
  traits: POOLING,
  shape: poolShape,
  equations: (node) => [averageEquation(node)],
  gradient: averageGradient,
}

const globalAvgPool: Operator = {
  name: 'global_avg_pool',
  signature: { name: 'global_avg_pool', parameters: [], doc: 'the mean of each channel: [n, c, 1, 1]' },
  traits: POOLING,
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

export const poolOperators: readonly Operator[] = [maxPool, maxPoolPosition, maxDx, avgPool, averageDx, globalAvgPool, globalMaxPool]
