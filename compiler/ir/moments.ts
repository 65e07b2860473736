import { type Tensor, tensor } from './tensor.ts'
import { add, constant, div, type Expression, ifFinite, load, max, mul, rounded, scalar, sqrt, square, sub, sum } from './expression.ts'
import { type Axis, axis, type IndexLike, plus } from './affine.ts'
import { type BlockSizes, blocksAround, type ChannelAxes, channelCount, type Equation, equation, type SideMoments,
  store } from './equation.ts'
import { mergeBlocks, type MomentsRequest, role } from './moments-request.ts'
import { mergeSamples } from './sample-moments.ts'

export type { MomentsRequest } from './moments-request.ts'

/**
 * Mean and variance of every channel by Chan's merge (Chan, Golub & LeVeque 1983), never as E[x^2] - E[x]^2. Per image
 * and channel, with r the first value seen, l = mean(x - r) and M2 = sum((x - r - l)^2); then over the parts p with
 * K = the first part's r:
 *   E = sum(count_p * ((r_p - K) + l_p)) / N;   variance = sum(M2_p + count_p * ((r_p - K) + l_p - E)^2) / N
 * The differences are small where the values are close, so nothing cancels. m0 = float(K + E), m1 = (K - m0) + E.
 */
export function momentsEquations(request: MomentsRequest): Equation[] {
  const { source } = request
  if (source.shape.length <= 2) return [momentsOverBatch(request)]
  const [batch, channels, ...space] = source.shape
  const n = axis('n', batch!)
  const c = axis('c', channels!)
  const inner = (): Axis[] => space.map((extent, i) => axis(i === 0 ? 'h' : 'w', extent))
  const partials = tensor(`${request.name}.partials`, [batch!, ...space.map(() => 1), channels!, 4])
  const partial = partialEquation(request, {
    image: n,
    channel: c,
    axes: [n, c],
    inner,
    at: (axes) => axes,
    into: partials,
    place: [n, ...space.map(() => 0), c],
  })
  return [partial, ...mergeEquations(request, partials)]
}

interface Part {
  readonly image: IndexLike
  readonly channel: IndexLike
  /** The channel of the source that `channel` counts from. Absent: 0. */
  readonly from?: number
  readonly axes: readonly Axis[]
  /** New axes over the values of a part, and where these lie in the map. */
  readonly inner: () => Axis[]
  readonly at: (axes: readonly IndexLike[]) => readonly IndexLike[]
  readonly into: Tensor
  /** The place in `into`, all but the last index. */
  readonly place: readonly IndexLike[]
}

/** Reference, mean, M2 and count of one part of one image, for a channel. */
export function partialEquation(request: MomentsRequest, part: Part): Equation {
  const [first, second] = [part.inner(), part.inner()]
  const channel = plus(part.channel, part.from ?? 0)
  const reference = load(request.source, part.image, channel, ...part.at(first.map(() => 0)))
  const value = (axes: readonly Axis[]): Expression => rounded(sub(load(request.source, part.image, channel, ...part.at(axes)), reference))
  const count = first.reduce((product, a) => product * (a.extent as number), 1)
  const mean = div(sum(first, value(first)), count)
  const squares = sum(second, square(sub(value(second), mean)))
  const stores = [reference, mean, squares, constant(count)].map((value, k) => store(part.into, [...part.place, k], value))
  return { ...equation(request.name, request.layers, part.axes, stores), moments: { ...role(request), stage: 'partial' } }
}

/**
 * The same in one go over the values: with d = x - r, M2 = sum d^2 - l sum d (Chan, Golub & LeVeque 1983: shifted data). r is one of the values, so that sum d^2
 * is at most as many times M2 as there are values, and a few times where r is no outlier: what cancels is rounding of that size, whatever the mean is.
 */
export function shiftedEquation(
  request: Pick<MomentsRequest, 'name' | 'layers' | 'source'>,
  { image, channel, from = 0, axes, inner, at, into, place }: Part,
): Equation {
  const along = inner()
  const reference = load(request.source, image, plus(channel, from), ...at(along.map(() => 0)))
  const value = rounded(sub(load(request.source, image, plus(channel, from), ...at(along)), reference))
  const count = along.reduce((product, a) => product * (a.extent as number), 1)
  const [total, squares] = [sum(along, value), sum(along, square(value))]
  const mean = div(total, count)
  // Where squares overflow, M2 does.
  const aboutMean = ifFinite(squares, max(0, sub(squares, rounded(mul(mean, total)))), squares)
  const stores = [reference, mean, aboutMean, constant(count)].map((part, k) => store(into, [...place, k], part))
  return equation(request.name, request.layers, axes, stores)
}

/** What a fused producer asks for: the side reduction, and the equations that merge its partials. */
export function sideMoments(request: MomentsRequest, axes: readonly Axis[], channels: ChannelAxes, blockOf: BlockSizes): {
  side: SideMoments
  merge: Equation[]
} {
  const { blocks, counts } = blocksAround(channels, axes, blockOf)
  const partials = tensor(`${request.name}.partials`, [...counts, channelCount(channels), 4])
  return { side: { kind: 'moments', source: request.source, ...channels, blocks, partials }, merge: mergeEquations(request, partials) }
}

/** Merges partials [n, b1, b2, ..., C, 4] into the result: first those of one image, where there are many, then all. */
function mergeEquations(request: MomentsRequest, partials: Tensor): Equation[] {
  const { shape } = partials
  const inner = shape.slice(1, -2)
  if (request.samples && partsOfGroup(request, partials) <= PARTS_AT_ONCE) return [mergeSamples(request, partials)]
  if (inner.reduce<number>((product, extent) => product * (extent as number), 1) === 1) return [mergeLast(request, partials)]
  const perImage = tensor(`${request.name}.image_partials`, [shape[0]!, ...inner.map(() => 1), shape.at(-2)!, 4])
  const n = axis('n', shape[0]!)
  const c = axis('c', shape.at(-2)!)
  const blocks = (): Axis[] => inner.map((extent, i) => axis(`b${i + 1}`, extent))
  const reference = load(partials, n, ...inner.map(() => 0), c, 0)
  const merged = mergeBlocks(partials, reference, (b) => [n, ...b, c], blocks)
  const mergeImage: Equation = {
    ...equation(
      `${request.name}.merge_images`,
      request.layers,
      [n, c],
      [reference, merged.mean, merged.squares, merged.count].map((part, k) => store(perImage, [n, ...inner.map(() => 0), c, k], part)),
    ),
    moments: { ...role(request), stage: 'merge' },
  }
  return [mergeImage, mergeLast(request, perImage)]
}

/** So many parts of a sample's group are merged by one equation. */
const PARTS_AT_ONCE = 256

const partsOfGroup = ({ samples }: MomentsRequest, { shape }: Tensor): number =>
  shape.slice(1, -1).reduce<number>((product, extent) => product * (extent as number), 1) / samples!.groups

const mergeLast = (request: MomentsRequest, partials: Tensor): Equation =>
  request.samples ? mergeSamples(request, partials) : mergeAll(request, partials)

function mergeAll(request: MomentsRequest, partials: Tensor): Equation {
  const { shape } = partials
  const c = axis('c', shape.at(-2)!)
  const zeros = shape.slice(1, -2).map(() => 0)
  const reference = load(partials, 0, ...zeros, c, 0)
  const merged = mergeBlocks(partials, reference, ([n]) => [n!, ...zeros, c], () => [axis('n', shape[0]!)])
  return finish(request, c, reference, merged.mean, div(merged.squares, merged.count))
}

/** [n, F]: one value an image and feature, so one equation over the features does it all. */
function momentsOverBatch(request: MomentsRequest): Equation {
  const { source } = request
  const [batch, features] = source.shape
  const c = axis('c', features!)
  const count = batch === 'n' ? scalar('batch') : constant(batch as number)
  const reference = load(source, 0, c)
  const n = axis('n', batch!)
  const mean = div(sum([n], sub(load(source, n, c), reference)), count)
  const again = axis('n', batch!)
  const squares = sum([again], square(sub(rounded(sub(load(source, again, c), reference)), mean)))
  return finish(request, c, reference, mean, div(squares, count))
}

function finish(request: MomentsRequest, c: Axis, reference: Expression, mean: Expression, variance: Expression): Equation {
  const m0 = rounded(add(reference, mean))
  const inverse = div(1, sqrt(add(variance, request.eps)))
  const m1 = add(rounded(sub(reference, m0)), mean)
  const coefficients = request.affine ? affineRows(request.affine, c, m1, inverse) : []
  const stores = [m0, m1, variance, inverse, ...coefficients].map((part, k) => store(request.result, [k, c], part))
  return { ...equation(`${request.name}.statistics`, request.layers, [c], stores), moments: { ...role(request), stage: 'merge' } }
}

/** k = gamma / deviation and beta - m1 k: with them y = (x - m0) k + (beta - m1 k), one operation less a value than with the mean in two numbers. */
export function affineRows(
  { gamma, beta }: NonNullable<MomentsRequest['affine']>,
  c: IndexLike,
  m1: Expression,
  inverse: Expression,
): [Expression, Expression] {
  const k = mul(load(gamma, c), inverse)
  return [k, sub(load(beta, c), mul(m1, k))]
}
