import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes, Parameter } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import { divides, type Expression, guard, load, sum, within } from '../ir/expression.ts'
import { type Axis, axis, divide, type Index, index, minus, plus, remainder, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import type { Shape } from '../ir/tensor.ts'
import { argumentProblem } from './diagnostics.ts'
import type { ShapeQuestion } from './operator.ts'
import { pointAxes } from './elementwise.ts'
import type { IdleArgument } from './traits.ts'
import { codeOf, denseIndex, dilationParameter, fitProblems, idleDilation, isSame, kernelParameter, mapProblems, type Pair, pairOf,
  padParameter, type Slide, slidesOf, windowCount } from './sliding-window.ts'

/* What all pooling shares: its arguments, its sizes, the windows over a map and the windows around an element. */

type Round = 'floor' | 'ceil'

export const poolParameters: readonly Parameter[] = [
  kernelParameter,
  { name: 'stride', type: { kind: 'window', min: 1 }, optional: true, doc: 'how far the window moves; as large as the window' },
  {
    ...padParameter,
    doc:
      'padding around the map, less than the window, or [top, bottom, left, right]; same: as many outputs as inputs (divided by the stride)',
  },
  {
    name: 'round',
    type: { kind: 'word', words: ['floor', 'ceil'] },
    default: 'floor',
    named: true,
    doc: 'ceil: a last window may hang over the edge',
  },
  { ...dilationParameter, named: true },
]

/** The trait `idle` of pooling. Windows that move by one element end at the end of the map, so that none hangs over. */
export function idleOfPooling(attributes: Attributes): readonly IdleArgument[] {
  const kernel = pairOf(attributes, 'kernel', [2, 2])
  const isDense = pairOf(attributes, 'stride', kernel).every((stride) => stride === 1)
  return [
    ...idleDilation(attributes),
    ...(isDense && attributes['round'] === 'ceil' && Array.isArray(attributes['stride'])
      ? [{ name: 'round', by: 'stride', value: '1', why: 'windows that move by one leave nothing to round' }]
      : []),
    ...(isSame(attributes) ? [{ name: 'round', by: 'pad', value: 'same', why: 'pad: same says how many windows there are' }] : []),
  ]
}

export const layersOf = (node: Node): readonly string[] => [node.layer, ...(node.absorbed ?? [])]

/** Kernel and stride of pooling; a global one has one window, the whole map. */
export function poolSlides(attributes: Attributes, x: Shape, y?: Shape): readonly [Slide, Slide] {
  const whole: Pair = [x[2] as number, x[3] as number]
  const kernel = pairOf(attributes, 'kernel', whole)
  const stride = pairOf(attributes, 'stride', kernel)
  return slidesOf({ ...attributes, stride }, kernel, y && { dense: x, strided: y })
}

export function poolShape(q: ShapeQuestion): { shape: Shape } | readonly Diagnostic[] {
  const rank = mapProblems(q)
  if (rank.length > 0) return rank
  const { shape } = q.inputs[0]!
  const slides = poolSlides(q.attributes, shape)
  const problems = [...padProblems(q, slides), ...fitProblems(q, slides)]
  if (problems.length > 0) return problems
  const count = (d: 0 | 1): number => windowCount(shape[d + 2] as number, slides[d], isSame(q.attributes), q.attributes['round'] as Round)
  return { shape: [shape[0]!, shape[1]!, count(0), count(1)] }
}

/** Every window must see something of the map. */
function padProblems(q: ShapeQuestion, slides: readonly [Slide, Slide]): Diagnostic[] {
  const { shape } = q.inputs[0]!
  const blind = slides.some((s, d) => !isSame(q.attributes) && seesNothing(s, shape[d + 2] as number, q.attributes['round'] as Round))
  if (!blind) return []
  const kernel = slides.map((s) => s.kernel).join(' x ')
  const dilated = slides.some((s) => s.dilation > 1)
  const pad = slides.flatMap((s) => [s.pad, s.end])
  const shown = pad.every((side) => side === pad[0]) ? pad[0]
    : `[${(pad[0] === pad[1] && pad[2] === pad[3] ? [pad[0], pad[2]] : pad).join(', ')}]`
  return [
    argumentProblem(
      q,
      'pad',
      `${codeOf(q)}-pad`,
      `with a pad of ${shown} some windows of ${kernel}${dilated ? ' (with its dilation)' : ''} see nothing of the map`,
      dilated ? 'take a smaller pad or a smaller dilation' : 'a pad is smaller than the window',
    ),
  ]
}

/** Whether a window has all its elements in the padding. */
function seesNothing(slide: Slide, size: number, round: Round): boolean {
  const { kernel, stride, dilation, pad, end } = slide
  if (pad >= kernel * dilation || end >= kernel * dilation) return true
  if (pad + end === 0 || (dilation === 1 && pad < kernel && end < kernel)) return false
  const windows = windowCount(size, slide, false, round)
  return Array.from({ length: windows }, (_, i) => i * stride - pad)
    .some((start) => !Array.from({ length: kernel }, (_, k) => start + k * dilation).some((at) => at >= 0 && at < size))
}

/** The loops of pooling x to y, and the element of x that a window sees. */
export interface Windows {
  readonly slides: readonly [Slide, Slide]
  readonly at: readonly Axis[]
  readonly kernel: readonly [Axis, Axis]
  /** Padding holds `otherwise`. */
  readonly seen: (otherwise: number) => Expression
}

export function windowsOver(node: Node, x: Value, y: Value): Windows {
  const slides = poolSlides(node.attributes, x.shape, y.shape)
  const at = pointAxes(y.shape)
  const [n, c, h, w] = at as [Axis, Axis, Axis, Axis]
  const kernel = [axis('kh', slides[0].kernel), axis('kw', slides[1].kernel)] as const
  const row = denseIndex(slides[0], h, kernel[0])
  const column = denseIndex(slides[1], w, kernel[1])
  const inside = [within(row, x.shape[2]!), within(column, x.shape[3]!)]
  return { slides, at, kernel, seen: (otherwise) => guard(inside, load(x, n, c, row, column), otherwise) }
}

/** A window with more elements than this has its rows summed one by one: one chain of additions would lose digits. */
export const LONG_WINDOW = 64

/** The windows that an element of the map lies in, from the last to the first: ceil(kernel / stride) of them at most. */
export interface Around {
  readonly loop: readonly Axis[]
  readonly window: Index
  /** Which element of that window it is. */
  readonly k: Index
  readonly guards: readonly ReturnType<typeof within>[]
}

/** Windows that do not overlap need no loop: the gradient is then point-wise and can ride along. */
function windowsAround({ kernel, stride, dilation, pad }: Slide, at: Axis, name: string, windows: number): Around {
  if (dilation > 1) {
    const k = axis(name, kernel)
    const from = minus(plus(at, pad), times(k, dilation))
    const window = divide(from, stride)
    return { loop: [k], window, k: index(k), guards: [...(stride > 1 ? [divides(from, stride)] : []), within(window, windows)] }
  }
  const most = Math.ceil(kernel / stride)
  const back = most > 1 ? axis(name, most) : undefined
  const k = plus(remainder(plus(at, pad), stride), times(back ?? 0, stride))
  const window = minus(divide(plus(at, pad), stride), back ?? 0)
  return { loop: back ? [back] : [], window, k, guards: [within(k, kernel), within(window, windows)] }
}

/** dx[n, c, h, w] = sum over the windows (i, j) around h, w of `handedBack`. */
export function poolDx(
  node: Node,
  dy: Value,
  handedBack: (at: readonly [Axis, Axis, Index, Index], k: Index, slides: readonly [Slide, Slide], here: readonly Axis[]) => Expression,
): Equation {
  const dx = node.outputs[0]!
  const slides = poolSlides(node.attributes, dx.shape, dy.shape)
  const at = pointAxes(dx.shape)
  const [n, c, h, w] = at as [Axis, Axis, Axis, Axis]
  const rows = windowsAround(slides[0], h, 'i', dy.shape[2] as number)
  const columns = windowsAround(slides[1], w, 'j', dy.shape[3] as number)
  const value = handedBack([n, c, rows.window, columns.window], plus(times(rows.k, slides[1].kernel), columns.k), slides, at)
  return equation(node.name, layersOf(node), at, [
    store(dx, at, sum([...rows.loop, ...columns.loop], guard([...rows.guards, ...columns.guards], value))),
  ])
}

export const poolAttributes = (attributes: Attributes): Attributes =>
  Object.fromEntries(
    ['kernel', 'stride', 'pad', 'dilation', 'count', 'p'].flatMap((
      name,
    ) => (attributes[name] === undefined ? [] : [[name, attributes[name]]])),
  )
