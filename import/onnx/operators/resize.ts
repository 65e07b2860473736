import { elementCount } from '../../../bundle/sizes.ts'
import type { Argument } from '../../model-net.ts'
import { isBatch } from '../dimension.ts'
import { shortFloat32 } from '../float32.ts'
import type { OnnxNode } from '../node.ts'
import { type Tensor } from '../value.ts'
import type { OnnxOperator } from './operator.ts'
import { mapOf } from './window.ts'

/** Factors or sizes, one an axis of x, the batch's among them. */
interface Wanted {
  readonly scales?: readonly number[]
  readonly sizes?: readonly number[]
}

/** A list that has numbers only for `axes` (opset 18), with `absent(d)` for the others. */
function overAxes(node: OnnxNode, given: readonly number[], rank: number, absent: (d: number) => number): number[] {
  const axes = node.ints('axes')
  if (!axes) return given.length === rank ? [...given] : node.refuse(`${given.length} numbers for ${rank} axes`)
  if (axes.length !== given.length) return node.refuse(`${given.length} numbers for ${axes.length} axes`)
  const all = Array.from({ length: rank }, (_, d) => absent(d))
  axes.forEach((axis, i) => (all[node.axis(axis, rank)] = given[i]!))
  return all
}

/** Sizes of one shape that keep the proportions: the smallest (or largest) factor for all (opset 18). */
function proportioned(node: OnnxNode, x: Tensor, sizes: readonly number[]): Wanted {
  const policy = node.text('keep_aspect_ratio_policy', 'stretch')
  if (policy === 'stretch') return { sizes }
  const axes = (node.ints('axes') ?? [...x.dims.keys()].map((d) => d + 1)).map((axis) => node.axis(axis, x.dims.length + 1)).filter((d) =>
    d > 0
  )
  const factors = axes.map((d) => sizes[d]! / x.dims[d - 1]!)
  const factor = policy === 'not_larger' ? Math.min(...factors) : Math.max(...factors)
  const exact = axes.map((d) => factor * x.dims[d - 1]!)
  const rounded = exact.map((size) => Math.floor(size + 0.5))
  if (rounded.every((size, i) => Math.abs(size - exact[i]!) < 1e-9))
    return { sizes: sizes.map((size, d) => (axes.includes(d) ? rounded[axes.indexOf(d)]! : size)) }
  if (exact.some((size, i) => Math.floor(size) !== rounded[i]))
    return node.refuse(`keep_aspect_ratio_policy rounds ${exact.join(' x ')} up`, 'give sizes of the same proportions')
  return { scales: sizes.map((_, d) => (axes.includes(d) ? factor : 1)) }
}

function wantedOf(node: OnnxNode, x: Tensor): Wanted {
  const rank = x.dims.length + 1
  if (node.proto.opType === 'Upsample') {
    const scales = node.opset < 9 ? node.floats('scales') : node.numbers(1, 'the scales')
    return { scales: overAxes(node, (scales ?? node.refuse('scales are missing')).map(shortFloat32), rank, () => 1) }
  }
  const at = node.opset < 11 ? 1 : 2
  const isThere = (input: number): boolean => node.has(input) && elementCount(node.shape(input) as number[]) > 0
  if (isThere(at)) return { scales: overAxes(node, node.numbers(at, 'the scales').map(shortFloat32), rank, () => 1) }
  if (node.opset < 11 || !isThere(3)) return node.refuse('it has neither scales nor sizes')
  const given = node.dimensions(3, 'the sizes').map((
    dim,
    d,
  ) => (typeof dim === 'number' ? dim : d === 0 && isBatch(dim) && !node.ints('axes') ? 1 : node.refuse('its sizes depend on the batch')))
  const sizes = overAxes(node, given, rank, (d) => (d === 0 ? 1 : x.dims[d - 1]!))
  const [samples] = sizes
  if (!node.ints('axes') && samples !== 1 && samples !== node.net.declaredBatch) {
    if (node.net.declaredBatch !== undefined) node.refuse(`it makes ${samples} samples`)
    // With another number of samples the model would draw them larger too, which nobody means.
    node.note('changed', `its sizes hold a batch of ${samples}; here any batch is resized sample by sample`)
  }
  return proportioned(node, x, [1, ...sizes.slice(1)])
}

const MODES: Readonly<Record<string, string>> = { nearest: 'nearest', linear: 'linear', bilinear: 'linear', cubic: 'cubic' }
const COORDINATES = ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'asymmetric', 'align_corners']

/** How places of the result are read off x. Upsample, and Resize of opset 10: asymmetric, and the pixel to the left of it. */
function howOf(node: OnnxNode, scales: readonly number[]): Record<string, Argument> {
  const mode = MODES[node.text('mode', 'nearest')] ?? node.refuse(`its mode is ${node.text('mode', '')}`)
  if (node.opset < 11 || node.proto.opType === 'Upsample')
    return { mode, coordinates: 'asymmetric', ...(mode === 'nearest' && { rounding: 'floor' }) }
  const coordinates = node.text('coordinate_transformation_mode', 'half_pixel')
  if (coordinates === 'tf_half_pixel_for_nn' && mode === 'nearest') {
    // It is half_pixel without its - 1/2: floor(v + 1/2) is v rounded, and round(v + 1/2) is v rounded up.
    const rounding = { floor: 'round_prefer_ceil', round_prefer_floor: 'ceil' }[node.text('nearest_mode', 'round_prefer_floor')]
    return {
      mode,
      coordinates: 'half_pixel',
      rounding: rounding ?? node.refuse(`its coordinates are ${coordinates}, and its nearest_mode ${node.text('nearest_mode', '')}`),
    }
  }
  if (!COORDINATES.includes(coordinates)) node.refuse(`its coordinates are ${coordinates}`, `${COORDINATES.join(', ')} can be said`)
  // Without making it smaller, antialiasing changes nothing.
  if (node.int('antialias', 0) !== 0 && mode !== 'nearest' && scales.some((scale) => scale < 1))
    node.refuse('it makes a map smaller with antialiasing', 'avg_pool in front of it is close')
  return {
    mode,
    coordinates,
    ...(mode === 'nearest' && { rounding: node.text('nearest_mode', 'round_prefer_floor') }),
    ...(mode === 'cubic' &&
      { cubic_coefficient: node.float('cubic_coeff_a', -0.75), exclude_outside: node.int('exclude_outside', 0) !== 0 }),
  }
}

function resize(node: OnnxNode): void {
  const input = node.tensor(0)
  const { scales, sizes } = wantedOf(node, input)
  const { x, back, flat } = mapOf(node, input)
  const pick = (list: readonly number[], one: number): [number, number] => (flat ? [one, list[2]!] : [list[2]!, list[3]!])
  const [height, width] = [x.dims[1]!, x.dims[2]!]
  if (scales ? scales[0] !== 1 || scales[1] !== 1 : sizes![1] !== x.dims[0])
    node.refuse('it resizes the batch or the channels', 'maps alone can be resized: the last two axes')
  const own = scales && pick(scales, 1)
  if (own?.some((scale) => !(scale > 0))) node.refuse(`its scales are ${own.join(' and ')}`)
  // float32, as the numbers are given: 0.6 of 5 is 3 (onnx's reference computes with float32 too).
  const size = own ? [Math.floor(Math.fround(Math.fround(own[0]) * height)), Math.floor(Math.fround(Math.fround(own[1]) * width))]
    : pick(sizes!, 1)
  if (size.some((n) => n < 1)) node.refuse(`it leaves a map of ${size.join(' x ')}`)
  const factors = own ?? [size[0]! / height, size[1]! / width]
  const how = howOf(node, factors)
  const exact = own && size[0] === own[0] * height && size[1] === own[1] * width
  const by: Record<string, Argument> = own && !exact ? { scale: own } : { size }
  node.give(back(node.emit('resize', [x], { ...by, ...how }, [x.dims[0]!, ...size], { main: !flat })))
}

/** Blocks of block x block pixels from channels. */
function depthToSpace(node: OnnxNode): void {
  const x = node.tensor(0)
  const block = node.int('blocksize', 0)
  const [channels, height, width] = x.dims as [number, number, number]
  if (x.dims.length !== 3 || block < 1 || channels % (block * block)) node.refuse(`blocks of ${block} x ${block} from ${channels} channels`)
  node.give(
    node.emit('depth_to_space', [x], { block, order: node.text('mode', 'DCR').toLowerCase() }, [
      channels / block / block,
      height * block,
      width * block,
    ]),
  )
}

function spaceToDepth(node: OnnxNode): void {
  const x = node.tensor(0)
  const block = node.int('blocksize', 0)
  const [channels, height, width] = x.dims as [number, number, number]
  if (x.dims.length !== 3 || block < 1 || height % block || width % block)
    node.refuse(`blocks of ${block} x ${block} of a map of ${height} x ${width}`)
  node.give(node.emit('space_to_depth', [x], { block }, [channels * block * block, height / block, width / block]))
}

export const resizeOperators: readonly OnnxOperator[] = [
  { op: 'Resize', batched: true, map: resize },
  { op: 'Upsample', batched: true, map: resize },
  { op: 'DepthToSpace', batched: true, map: depthToSpace },
  { op: 'SpaceToDepth', batched: true, map: spaceToDepth },
]
