import type { Attributes } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import { divisors } from '../ir/divisors.ts'
import { add, divides, type Expression, guard, type Guard, load, mul, sum, within } from '../ir/expression.ts'
import { type Axis, axis, divide, type Index, index, type IndexLike, minus, plus, remainder, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { type Shape, tensor } from '../ir/tensor.ts'
import { allChannels, channelsIn, groupsOf } from './channel-groups.ts'
import { denseIndex, type Pair, type Slide, slidesOf } from './sliding-window.ts'

/*
 * The three equations of convolution. A weight [S, D / groups, kh, kw] joins a dense map [n, D, H, W] with a strided one
 * [n, S, h, w]: row H of the dense map lies under element kh of window h where H = h * stride + kh * dilation - pad.
 *
 *   convolution             strided[n, s, h, w] = sum over d, kh, kw of dense[n, d, H(h, kh), W(w, kw)] weight[s, d, kh, kw]
 *   transposed convolution  dense[n, d, H, W] = sum over s, kh, kw of strided[n, s, h, w] weight[s, d, kh, kw], for each kh that has an h
 *   weight gradient         weight[s, d, kh, kw] = sum over n, h, w of dense[n, d, H(h, kh), W(w, kw)] strided[n, s, h, w]
 *
 * The dx of a convolution is a transposed convolution, and the other way round; dweight is the same for both.
 */

const layersOf = (node: Node): readonly string[] => [node.layer, ...(node.absorbed ?? [])]
const windowOf = (weight: Shape): Pair => weight.slice(2) as unknown as Pair
const groupCount = (attributes: Attributes): number => (attributes['groups'] as number | undefined) ?? 1

const addBias = (value: Expression, bias: Value | undefined, channel: Index): Expression => (bias ? add(value, load(bias, channel)) : value)

/** Input: dense; parameters: weight, bias or none; output: strided. */
export function convolutionEquation(node: Node): Equation {
  const dense = node.inputs[0]!
  const strided = node.outputs[0]!
  const { weight, bias } = node.parameters
  const [kernelHeight, kernelWidth] = windowOf(weight!.shape)
  const [rows, columns] = slidesOf(node.attributes, [kernelHeight, kernelWidth], { dense: dense.shape, strided: strided.shape })
  const groups = groupsOf(groupCount(node.attributes))
  const out = channelsIn(groups, 'o', (strided.shape[1] as number) / groups.count)
  const inner = channelsIn(groups, 'c', weight!.shape[1] as number)
  const [n, h, w] = [axis('n', strided.shape[0]!), axis('h', strided.shape[2]!), axis('w', strided.shape[3]!)]
  const [kh, kw] = [axis('kh', kernelHeight), axis('kw', kernelWidth)]
  const y = denseIndex(rows, h, kh)
  const x = denseIndex(columns, w, kw)
  const seen = guard([within(y, dense.shape[2]!), within(x, dense.shape[3]!)], load(dense, n, inner.inAll, y, x))
  const total = sum([...inner.own, kh, kw], mul(seen, load(weight!, out.inAll, inner.inGroup, kh, kw)))
  return equation(node.name, layersOf(node), [n, ...allChannels(groups, out), h, w], [
    store(strided, [n, out.inAll, h, w], addBias(total, bias, out.inAll)),
  ])
}

/** Input: strided; parameters: weight, bias or none; output: dense. A gather: every element looks for the windows it is in. */
export function transposedConvolutionEquation(node: Node): Equation {
  const strided = node.inputs[0]!
  const dense = node.outputs[0]!
  const { weight, bias } = node.parameters
  const [kernelHeight, kernelWidth] = windowOf(weight!.shape)
  const [rows, columns] = slidesOf(node.attributes, [kernelHeight, kernelWidth], { dense: dense.shape, strided: strided.shape })
  const groups = groupsOf(groupCount(node.attributes))
  const out = channelsIn(groups, 'c', (dense.shape[1] as number) / groups.count)
  const inner = channelsIn(groups, 'o', (strided.shape[1] as number) / groups.count)
  const [n, h, w] = [axis('n', dense.shape[0]!), axis('h', dense.shape[2]!), axis('w', dense.shape[3]!)]
  const vertical = rowsCovering(rows, h, strided.shape[2] as number)
  const horizontal = windowsCovering(columns, w, axis('kw', kernelWidth), strided.shape[3] as number)
  const seen = guard([...vertical.guards, ...horizontal.guards], load(strided, n, inner.inAll, vertical.window, horizontal.window))
  const taken = load(weight!, inner.inAll, out.inGroup, vertical.k, horizontal.k)
  const total = sum(
    [...inner.own, vertical.loop, horizontal.loop],
    mul(seen, vertical.weightGuards.length > 0 ? guard(vertical.weightGuards, taken) : taken),
  )
  return equation(node.name, layersOf(node), [n, ...allChannels(groups, out), h, w], [
    store(dense, [n, out.inAll, h, w], addBias(total, bias, out.inAll)),
  ])
}

/** The windows that a dense row or column lies in: under element `k` of window `window`, where the guards hold. */
interface Covering {
  readonly loop: Axis
  readonly k: Index
  readonly window: Index
  readonly guards: readonly Guard[]
  /** The conditions under which the weight has the element that is read. */
  readonly weightGuards: readonly Guard[]
}

/** Tries every element of the window. Where a tile has several columns, the ones that no window has drop out of the text. */
function windowsCovering(slide: Slide, at: IndexLike, k: Axis, windows: number): Covering {
  const from = minus(plus(at, slide.pad), times(k, slide.dilation))
  const window = divide(from, slide.stride)
  const guards = [...(slide.stride > 1 ? [divides(from, slide.stride)] : []), within(window, windows)]
  return { loop: k, k: index(k), window, guards, weightGuards: [] }
}

/**
 * Rows step from window to window instead: a row h lies under elements k = (h + pad) mod stride + stride j, so that only one
 * of `stride` elements is tried. Columns cannot do that: weights that depend on the column could not be shared in a tile.
 */
function rowsCovering(slide: Slide, at: IndexLike, windows: number): Covering {
  const { kernel, stride, dilation, pad } = slide
  if (stride === 1 || kernel === 1 || dilation > 1) return windowsCovering(slide, at, axis('kh', kernel), windows)
  const j = axis('kh', Math.ceil(kernel / stride))
  const k = plus(remainder(plus(at, pad), stride), times(j, stride))
  const window = minus(divide(plus(at, pad), stride), j)
  const short = kernel % stride === 0 ? [] : [within(k, kernel)]
  return { loop: j, k, window, guards: [...short, within(window, windows)], weightGuards: short }
}

/** Images are summed up in so many chunks at most: a net is trained with batches of a few dozen. */
const MOST_IMAGE_CHUNKS = 16
/** A device is kept busy by this many points. */
const WANTED_POINTS = 131072
/** Partial sums hold no more elements than this, whatever the batch. */
const MOST_PARTIALS = 4 * 1024 * 1024
/** The same where a few tasks keep it busy: a thread of a CPU or two for each chunk. */
const MOST_TASK_CHUNKS = 8
/** Elements of both maps, of one group, up to which a task takes all rows of an image: they keep to a second-level cache (192 KiB). */
const GOOD_ROWS = 48 * 1024

interface Chunks {
  readonly images: number
  readonly rows: number
}

/** What is summed up: elements of the weight, of both maps of an image, of those of one group; the batch, and rows of windows. */
interface Summed {
  readonly weights: number
  readonly perImage: number
  readonly perGroup: number
  readonly batch: Shape[number]
  readonly rows: number
}

/**
 * How a sum over images and rows of windows is cut. Partial sums are written and read once: they should stay small beside what
 * a batch of a few dozen images brings along, but there must be work for all.
 */
function chunksOf({ weights, perImage, batch, rows }: Summed): Chunks {
  const total = chunksWanted(weights, perImage)
  const images = Math.min(total, MOST_IMAGE_CHUNKS, typeof batch === 'number' ? batch : Infinity)
  return { images, rows: evenChunks(rows, Math.floor(total / images)) }
}

/**
 * The same where a few tasks keep a machine busy: rows are cut for a cache alone, since each sum begins and ends in every chunk. Images are dealt out to a power
 * of two of chunks, so that those of usual batches get as many each, and these fill blocks: six chunks of a batch of 32 left a third of theirs empty.
 */
function chunksOfTasks({ weights, perImage, perGroup, batch, rows }: Summed): Chunks {
  const total = chunksWanted(weights, perImage)
  const images = Math.min(2 ** Math.floor(Math.log2(Math.min(total, MOST_TASK_CHUNKS))), typeof batch === 'number' ? batch : Infinity)
  const most = Math.floor(total / Math.min(total, MOST_IMAGE_CHUNKS))
  return { images, rows: evenChunks(rows, Math.min(most, Math.ceil(perGroup / GOOD_ROWS))) }
}

function chunksWanted(weights: number, perImage: number): number {
  const wanted = Math.max(WANTED_POINTS / weights, (4 * perImage) / weights)
  return Math.max(1, Math.min(Math.ceil(wanted), Math.floor(MOST_PARTIALS / weights)))
}

/** Chunks of rows, `most` of them: even blocks need no masks, and can be covered with tiles. */
function evenChunks(rows: number, most: number): number {
  const least = Math.ceil(rows / Math.min(rows, most))
  return Math.ceil(rows / (divisors(rows).find((d) => d >= least && d < 2 * least) ?? least))
}

/** Inputs: dense, strided; output: the gradient of the weight that couples them. */
export const coupleEquations = (node: Node): readonly Equation[] => couple(node, chunksOf)

/** The same for machines that a few tasks keep busy. */
export const coupleInTasks = (node: Node): readonly Equation[] => couple(node, chunksOfTasks)

function couple(node: Node, cutSum: (summed: Summed) => Chunks): readonly Equation[] {
  const [dense, strided] = node.inputs
  const out = node.outputs[0]!
  const [outer, perGroup, kernelHeight, kernelWidth] = out.shape as readonly number[]
  const [batch, , height, width] = strided!.shape
  const [rows, columns] = slidesOf(node.attributes, [kernelHeight!, kernelWidth!], { dense: dense!.shape, strided: strided!.shape })
  const elements = (shape: Shape): number => shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1)
  const groups = groupsOf(groupCount(node.attributes))
  const perImage = elements(dense!.shape) + elements(strided!.shape)
  const chunks = cutSum({
    weights: elements([1, ...out.shape]),
    perImage,
    perGroup: perImage / groups.count,
    batch: batch!,
    rows: height as number,
  })
  const parts = chunks.images * chunks.rows

  const o = channelsIn(groups, 'o', outer! / groups.count)
  const c = channelsIn(groups, 'c', perGroup!)
  const [kh, kw] = [axis('kh', kernelHeight!), axis('kw', kernelWidth!)]
  const w = axis('w', width!)
  const image = cut('image', batch!, chunks.images)
  const row = cut('h', height as number, chunks.rows)
  const y = denseIndex(rows, row.at, kh)
  const x = denseIndex(columns, w, kw)
  const seen = guard(
    [...image.guards, ...row.guards, within(y, dense!.shape[2]!), within(x, dense!.shape[3]!)],
    load(dense!, image.at, c.inAll, y, x),
  )
  const from = guard([...image.guards, ...row.guards], load(strided!, image.at, o.inAll, row.at, w))
  const total = sum([image.inner, row.inner, w], mul(seen, from))
  const channels = [...(groups.axis ? [groups.axis] : []), ...o.own, ...c.own]
  const place = [o.inAll, c.inGroup, kh, kw]
  if (parts === 1) return [equation(node.name, layersOf(node), [...channels, kh, kw], [store(out, place, total)])]

  const partials = tensor(`${node.name}.partials`, [parts, ...out.shape])
  const chunk = plus(times(image.chunk, chunks.rows), row.chunk)
  const outerAxes = [image, row].filter((c) => c.chunks > 1).map((c) => c.axis)
  const part = axis('part', parts)
  const at = out.shape.map((extent, d) => axis(['o', 'c', 'kh', 'kw'][d]!, extent))
  return [
    equation(`${node.name}.partial`, layersOf(node), [...outerAxes, ...channels, kh, kw], [store(partials, [chunk, ...place], total)]),
    equation(node.name, layersOf(node), at, [store(out, at, sum([part], load(partials, part, ...at)))]),
  ]
}

interface Cut {
  readonly chunks: number
  readonly axis: Axis
  /** Which chunk, 0 where there is one only. */
  readonly chunk: IndexLike
  readonly inner: Axis
  readonly at: Index
  /** Chunks may be uneven. */
  readonly guards: readonly Guard[]
}

/** Images are dealt out in turn (image = chunk + chunks * round), rows in blocks, so that neighbours share what they read. */
function cut(name: 'image' | 'h', extent: Shape[number], chunks: number): Cut {
  const outer = axis(name === 'image' ? 'chunk' : 'rows', chunks)
  const chunk = chunks === 1 ? 0 : outer
  if (extent === 'n') {
    const inner = axis('image', chunks === 1 ? 'n' : { chunks })
    const at = plus(chunk, times(inner, chunks))
    return { chunks, axis: outer, chunk, inner, at, guards: chunks === 1 ? [] : [within(at, 'n')] }
  }
  const size = Math.ceil(extent / chunks)
  const inner = axis(name, size)
  const at = plus(times(chunk, size), inner)
  return { chunks, axis: outer, chunk, inner, at, guards: size * chunks === extent ? [] : [within(at, extent)] }
}
