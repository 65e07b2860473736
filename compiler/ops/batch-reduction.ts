import type { Node } from '../graph/graph.ts'
import { type Expression, guard, load, sum, within } from '../ir/expression.ts'
import { type Axis, axis, type IndexLike, plus, times } from '../ir/affine.ts'
import { type Equation, equation, store, type Store } from '../ir/equation.ts'
import { inStages } from '../ir/in-stages.ts'
import { type Shape, tensor, type Tensor } from '../ir/tensor.ts'
import { axisAlong, pointAxes } from './elementwise.ts'

export interface SumsRequest {
  readonly name: string
  readonly layers: readonly string[]
  /** Shape of what is summed. */
  readonly shape: Shape
  /** Dimensions that stay, ascending: [1] gives a sum for every channel, [] one of all. */
  readonly kept: readonly number[]
  /** The terms that are summed, at a point of the shape; several sums share one pass. */
  readonly terms: (at: readonly IndexLike[]) => readonly Expression[]
  /** The stores at each point that stays, made of the sums; these come in the order of the terms. */
  readonly stores: (at: readonly Axis[], sums: readonly Expression[]) => readonly Store[]
}

/** Partial sums of one result hold at most so many elements, whatever the batch. */
const MOST_PARTIALS = 4 * 1024 * 1024
/** This many partial sums keep any device busy: there are no more chunks than that takes, since those of a small batch are empty. */
const ENOUGH_PARTIALS = 32 * 1024
const LEAST_CHUNKS = 16
/** Chunks of the batch: as many images are summed at the same time. */
const CHUNKS_OF_IMAGES = 128
const CHUNKS_OF_ROWS = 256
const CHUNKS_OF_VECTORS = 16
/** An image with more values than this has its rows summed first, one by one: more invocations, shorter chains. */
const LONG_IMAGE = 4096

/**
 * Sums over the batch in a fixed order: first within chunks of images (image = chunk + chunks * round), then over the
 * chunks; where few sums take in much, once more in between, over rows. Long chains of additions lose digits in float32
 * and keep one invocation busy: both want short ones. Sums that keep the batch are one equation.
 */
export function sumsEquations(request: SumsRequest): Equation[] {
  const { shape, kept } = request
  const reduced = shape.map((_, d) => d).filter((d) => !kept.includes(d))
  if (!reduced.includes(0)) return [sumAtOnce(request, reduced)]
  const inner = reduced.filter((d) => d !== 0)
  const size = inner.reduce((product, d) => product * (shape[d] as number), 1)
  const rows = kept.length === 0 ? inner.slice(0, -1) : size > LONG_IMAGE ? inner.slice(0, Math.max(0, inner.length - 1)) : []
  const stays = shape.map((_, d) => d).filter((d) => kept.includes(d) || rows.includes(d))
  const chunks = chunkCount(request, stays)
  const first = partialSums(request, stays, inner.filter((d) => !rows.includes(d)), chunks)
  const whole = (): Equation => sumAtOnce(request, reduced)
  if (rows.length === 0)
    return inStages([movable(request, first.equation, 'partial', first.partials), total(request, first.partials)], whole)
  const merged = mergeRows(request, first.partials, stays, rows)
  return inStages([
    movable(request, first.equation, 'partial', merged.partials),
    movable(request, merged.equation, 'merge', merged.partials),
    total(request, merged.partials),
  ], whole)
}

/** The equations of a node that gives single numbers: of sums over all points of a shape, one result for each of the node's outputs. */
export function totalsEquations(
  node: Node,
  shape: Shape,
  terms: (at: readonly IndexLike[]) => readonly Expression[],
  results: (totals: readonly Expression[]) => readonly Expression[],
): Equation[] {
  return sumsEquations({
    name: node.name,
    layers: [node.layer],
    shape,
    kept: [],
    terms,
    // The count of labels is an output where somebody asks for it.
    stores: (_, totals) => results(totals).slice(0, node.outputs.length).map((result, i) => store(node.outputs[i]!, [], result)),
  })
}

/** Sums for each channel of maps may be gathered by the kernel that stores what is summed. */
function movable(request: SumsRequest, e: Equation, stage: 'partial' | 'merge', into: Tensor): Equation {
  const { shape, kept: [kept, ...others] } = request
  if (kept !== 1 || others.length > 0 || shape.length < 3 || shape[0] !== 'n') return e
  const at = pointAxes(shape)
  return { ...e, sums: { at, terms: request.terms(at), into, kept, stage } }
}

function sumAtOnce(request: SumsRequest, reduced: readonly number[]): Equation {
  const at = pointAxes(request.shape)
  const kept = request.kept.map((d) => at[d]!)
  const totals = request.terms(at).map((term) => nested(reduced.map((d) => at[d]!), term))
  return equation(request.name, request.layers, kept, request.stores(kept, totals))
}

/** Rows are summed before they are added up: chains of h + w instead of h * w. */
const nested = (axes: readonly Axis[], term: Expression): Expression => sum(axes.slice(0, -1), sum(axes.slice(-1), term))

function chunkCount({ shape, terms, kept }: SumsRequest, stays: readonly number[]): number {
  const [batch] = shape
  if (typeof batch === 'number') return batch
  const count = terms(shape.map(() => 0)).length
  const perChunk = stays.reduce((product, d) => product * (shape[d] as number), count)
  const wanted = kept.length === 0 && shape.length === 1 ? CHUNKS_OF_ROWS
    : stays.length === shape.length - 1 ? CHUNKS_OF_VECTORS : CHUNKS_OF_IMAGES
  const enough = Math.max(LEAST_CHUNKS, Math.floor(ENOUGH_PARTIALS / perChunk))
  return Math.max(1, Math.min(wanted, enough, Math.floor(MOST_PARTIALS / perChunk)))
}

/** partials[term, chunk, ...what stays] */
function partialSums(
  request: SumsRequest,
  stays: readonly number[],
  inner: readonly number[],
  chunks: number,
): { equation: Equation; partials: Tensor } {
  const { shape, name } = request
  const chunk = axis('chunk', chunks)
  const round = typeof shape[0] === 'number' ? undefined : axis('round', { chunks })
  const image = round ? plus(chunk, times(round, chunks)) : chunk
  const at: IndexLike[] = shape.map((_, d) => (d === 0 ? image : axisAlong(shape, d)))
  const kept = stays.map((d) => at[d] as Axis)
  const summed = inner.map((d) => at[d] as Axis)
  const terms = request.terms(at)
  const partials = tensor(`${name}.partials`, [terms.length, chunks, ...stays.map((d) => shape[d]!)])
  const totals = terms.map((term) => {
    const row = sum(summed.slice(-1), term)
    return sum([...(round ? [round] : []), ...summed.slice(0, -1)], round ? guard([within(image, 'n')], row) : row)
  })
  const stores = totals.map((value, k) => store(partials, [k, chunk, ...kept], value))
  return { equation: equation(`${name}.partial`, request.layers, [chunk, ...kept], stores), partials }
}

function mergeRows(
  request: SumsRequest,
  partials: Tensor,
  stays: readonly number[],
  rows: readonly number[],
): { equation: Equation; partials: Tensor } {
  const { name, kept, shape } = request
  const [terms, chunks] = partials.shape as readonly number[]
  const merged = tensor(`${name}.merged`, [terms!, chunks!, ...kept.map((d) => shape[d]!)])
  const chunk = axis('chunk', chunks!)
  const at = stays.map((d) => axisAlong(shape, d))
  const summed = at.filter((_, i) => rows.includes(stays[i]!))
  const left = at.filter((_, i) => !rows.includes(stays[i]!))
  const stores = Array.from(
    { length: terms! },
    (_, k) => store(merged, [k, chunk, ...left], nested(summed, load(partials, k, chunk, ...at))),
  )
  return { equation: equation(`${name}.rows`, request.layers, [chunk, ...left], stores), partials: merged }
}

function total(request: SumsRequest, partials: Tensor): Equation {
  const { shape, kept } = request
  const [terms, chunks] = partials.shape as readonly number[]
  const at = kept.map((d) => axisAlong(shape, d))
  const totals = Array.from({ length: terms! }, (_, k) => {
    const chunk = axis('chunk', chunks!)
    return sum([chunk], load(partials, k, chunk, ...at))
  })
  return equation(request.name, request.layers, at, request.stores(at, totals))
}
