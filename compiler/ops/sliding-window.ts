import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes, Parameter } from '../../dsl/signature.ts'
import type { Value } from '../graph/graph.ts'
import { type Index, type IndexLike, plus, times } from '../ir/affine.ts'
import { type Shape, showShape } from '../ir/tensor.ts'
import { labelProblems, shapeProblem } from './diagnostics.ts'
import type { ShapeQuestion } from './operator.ts'
import type { IdleArgument } from './traits.ts'

/*
 * Windows slide over maps [n, c, height, width]. The dense side is the map that windows cover (input of a convolution, output
 * of a transposed one), the strided side has one element a window: dense = strided * stride + k * dilation - pad.
 */

export type Pair = readonly [number, number]

/** One direction of a sliding window: down the rows, or along them. */
export interface Slide {
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  /** Elements of padding before the first element. */
  readonly pad: number
  /** Elements of padding behind the last element; 0 for `pad: same`, where it follows from the sizes. */
  readonly end: number
}

export const kernelParameter: Parameter = { name: 'kernel', type: { kind: 'window', min: 1 }, doc: 'height and width of the window' }

export const strideParameter: Parameter = {
  name: 'stride',
  type: { kind: 'window', min: 1 },
  default: [1, 1],
  doc: 'how far the window moves',
}

export const padParameter: Parameter = {
  name: 'pad',
  type: { kind: 'window', min: 0, words: ['same'], sides: true },
  default: [0, 0],
  doc:
    'zeros around the map, or [top, bottom, left, right]; same: as many outputs as inputs (divided by the stride), an odd one at the end',
}

export const dilationParameter: Parameter = {
  name: 'dilation',
  type: { kind: 'window', min: 1 },
  default: [1, 1],
  doc: 'distance of the elements of a window',
}

/** A window attribute, or what it is where it is not given. */
export function pairOf(attributes: Attributes, name: string, otherwise: Pair): Pair {
  const given = attributes[name]
  return Array.isArray(given) && given.length === 2 ? (given as unknown as Pair) : otherwise
}

/** The padding of both directions, in front and behind; 0 for `pad: same`. */
export function paddingOf(attributes: Attributes): readonly [Pair, Pair] {
  const given = attributes['pad']
  if (!Array.isArray(given)) return [[0, 0], [0, 0]]
  const [a, b, c, d] = given as readonly number[]
  return given.length === 4 ? [[a!, b!], [c!, d!]] : [[a!, a!], [b!, b!]]
}

export const isSame = (attributes: Attributes): boolean => attributes['pad'] === 'same'

/** Elements from the first to the last that a window touches. */
export const reach = ({ kernel, dilation }: Pick<Slide, 'kernel' | 'dilation'>): number => dilation * (kernel - 1) + 1

/** The whole padding of `pad: same` on the dense side; the smaller half of it, and so `pad`, comes first. */
const samePadding = (slide: Omit<Slide, 'pad' | 'end'>, dense: number, strided: number): number =>
  Math.max(0, (strided - 1) * slide.stride + reach(slide) - dense)

/** Both directions of a layer's window. What `pad: same` comes to is known with the shapes on either side, and 0 before. */
export function slidesOf(
  attributes: Attributes,
  kernel: Pair,
  sides?: { readonly dense: Shape; readonly strided: Shape },
): readonly [Slide, Slide] {
  const stride = pairOf(attributes, 'stride', [1, 1])
  const dilation = pairOf(attributes, 'dilation', [1, 1])
  const padding = paddingOf(attributes)
  const slide = (d: 0 | 1): Slide => {
    const open = { kernel: kernel[d], stride: stride[d], dilation: dilation[d] }
    if (!isSame(attributes)) return { ...open, pad: padding[d][0], end: padding[d][1] }
    const whole = sides ? samePadding(open, sides.dense[d + 2] as number, sides.strided[d + 2] as number) : 0
    return { ...open, pad: Math.floor(whole / 2), end: 0 }
  }
  return [slide(0), slide(1)]
}

/** Where on the dense side element k of a window lies. */
export const denseIndex = ({ stride, dilation, pad }: Slide, window: IndexLike, k: IndexLike): Index =>
  plus(times(window, stride), times(k, dilation), -pad)

/** Windows that fit into a map: floor((in + pad + end - reach) / stride) + 1, or ceil(in / stride) for `pad: same`. */
export function windowCount(size: number, slide: Slide, same: boolean, round: 'floor' | 'ceil' = 'floor'): number {
  if (same) return Math.ceil(size / slide.stride)
  const count = Math[round]((size + slide.pad + slide.end - reach(slide)) / slide.stride) + 1
  // Caffe drops a last window that starts in the padding behind the map, and this one also where there is no padding.
  return round === 'ceil' && (count - 1) * slide.stride >= size + slide.pad ? count - 1 : count
}

/** The trait `idle` of windows: elements of one alone have no distance. */
export function idleDilation(attributes: Attributes): readonly IdleArgument[] {
  const kernel = pairOf(attributes, 'kernel', [2, 2])
  const dilation = pairOf(attributes, 'dilation', [1, 1])
  if (dilation.every((step) => step === 1) || dilation.some((step, d) => step > 1 && kernel[d]! > 1)) return []
  return [{ name: 'dilation', by: 'kernel', value: '1', why: 'the window has one element in this direction' }]
}

// ---- what is wrong with a call -----------------------------------------------------------------------------------------

/** The problems of a layer that slides over maps: it reads numbers [n, c, height, width]. */
export function mapProblems(q: ShapeQuestion): Diagnostic[] {
  const x = q.inputs[0]!
  const labels = labelProblems(q)
  if (labels.length > 0 || x.shape.length === 4) return labels
  return [
    shapeProblem(
      q,
      `${codeOf(q)}-rank`,
      `${q.op} works on maps [n, channels, height, width], and this is ${showShape(x.shape)}`,
      [x],
      mapHint(q, x),
    ),
  ]
}

function mapHint(q: ShapeQuestion, { shape }: Value): string {
  if (shape[0] !== 'n')
    return shape.length === 3 ? 'declare the input without `whole`, and the batch is implied'
      : 'the batch, channels, height and width are wanted'
  if (shape.length === 3) return `give it a channel first, e.g. reshape([1, ${shape[1]}, ${shape[2]}])`
  if (shape.length === 2)
    return `${q.op} comes before what flattens; fc works on [n, ${shape[1]}], and reshape([${shape[1]}, 1, 1]) makes a map of it`
  if (shape.length === 5) return `the batch is not written: f32[${shape.slice(2).join(', ')}]`
  return 'bring it to a map with reshape'
}

/** The hint for `conv(3, 64, 3)` of 3 channels: elsewhere the channels that go in are said first. */
function channelsFirst(
  { op, attributes, attributeSpans }: ShapeQuestion,
  channels: Shape[number],
  { kernel, stride }: Slide,
): string | undefined {
  if (!op.endsWith('conv') || attributes['out'] !== channels || (stride < 2 && !attributeSpans['stride'])) return undefined
  return `the channels that go in are known, and not said: ${op}(${kernel}, ${stride}) has ${kernel} filters of ${stride} x ${stride}`
}

/** The sides of a picture, from which on a last axis of one, three or four values is no width. */
const LEAST_SIDE = 8

/** The sizes [channels, height, width] of an input that has its channels last: Keras, TensorFlow.js. Undefined where it has not. */
export function channelsLast([, height = 0, width = 0, channels = 0]: Shape): readonly Shape[number][] | undefined {
  if (![1, 3, 4].includes(channels as number) || Math.min(height as number, width as number) < LEAST_SIDE) return undefined
  return channels === 1 && height !== width ? undefined : [channels, height, width]
}

/** Which mistake a window that is too large comes from as a rule. `grow`: the pad by which it would fit, as a part of a sentence. */
function likelyCause(q: ShapeQuestion, first: Slide, grow: string): string {
  const { shape, storage } = q.inputs[0]!
  const isInput = storage?.role === 'input'
  const turned = isInput ? channelsLast(shape) : undefined
  const order = channelsFirst(q, turned ? turned[0]! : shape[1]!, first)
  if (turned) return `channels come first: f32[${turned.join(', ')}]${order === undefined ? '' : `; ${order}`}`
  if (order !== undefined || isInput || grow !== '') return order ?? `take a smaller window${grow}`
  return `strides and pooling left ${shape[2]} x ${shape[3]} here: take fewer of them, larger inputs or a smaller window`
}

/** A window must fit into the map and its padding. */
export function fitProblems(q: ShapeQuestion, slides: readonly [Slide, Slide]): Diagnostic[] {
  const x = q.inputs[0]!
  if (isSame(q.attributes)) return []
  const size = slides.map((s, d) => (x.shape[d + 2] as number) + s.pad + s.end)
  if (slides.every((s, d) => reach(s) <= size[d]!)) return []
  const [first, second] = slides
  const dilated = first.dilation > 1 || second.dilation > 1 ? ' (with its dilation)' : ''
  const padded = slides.some((s) => s.pad + s.end > 0) ? ` of ${showShape(x.shape)} with its padding` : ` of ${showShape(x.shape)}`
  const pads = slides.map((s, d) => Math.max(s.pad, Math.ceil((reach(s) - (x.shape[d + 2] as number)) / 2)))
  const grow = q.op.endsWith('conv') && slides.every((s, d) => pads[d]! < s.kernel)
    ? ` or write pad: ${pads[0] === pads[1] ? pads[0] : `[${pads.join(', ')}]`}` : ''
  return [
    shapeProblem(
      q,
      `${codeOf(q)}-window`,
      `a window of ${reach(first)} x ${reach(second)}${dilated} does not fit into the ${size.join(' x ')}${padded}`,
      [x],
      likelyCause(q, first, grow),
    ),
  ]
}

/** `max-pool`, as codes of diagnostics have it. */
export const codeOf = (q: ShapeQuestion): string => q.op.replaceAll('_', '-')
