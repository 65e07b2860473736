import { type Pair, reach } from '../../../compiler/ops/sliding-window.ts'
import { float, type Layer, numberOf, type Row } from '../layer.ts'
import { framed, NO_PADS, type Pads, type Window, windowAttributes, windowOf } from './window.ts'

/** -FLT_MAX, which is less than any number of a map: what is around a map does not take part in a maximum. */
const LOWEST = -3.4028234663852886e38

/** Windows of pooling are as far apart as they are large, unless the text says otherwise. */
function poolWindow(layer: Layer): Window {
  const kernel = layer.attributes['kernel'] as unknown as Pair
  const stride = layer.attributes['stride'] ?? kernel
  return windowOf(layer, kernel, 'output', { ...layer.attributes, stride })
}

/** How far the last windows reach beyond the map and its padding, down and along. */
const overhang = (layer: Layer, { slides, pads }: Window): Pair =>
  ([0, 1] as const).map((d) => {
    const last = ((layer.shape[d + 2] as number) - 1) * slides[d].stride + reach(slides[d])
    return Math.max(0, last - (layer.shapes[0]![d + 2] as number) - pads[d] - pads[d + 2]!)
  }) as unknown as Pair

/**
 * How the windows of `round: ceil` are said: with ceil_mode, where every reading of it counts the same windows; else the last ones are
 * within padding at the end. `pads` then cover all windows, so that rounding down gives as many.
 */
function covered(layer: Layer, window: Window): { readonly pads: Pads; readonly ceil: boolean } {
  const [down, along] = overhang(layer, window)
  const [top, left, bottom, right] = window.pads
  const isCeil = layer.attributes['round'] === 'ceil'
  const counts = ([0, 1] as const).map((d) => {
    const { stride } = window.slides[d]
    const room = (layer.shapes[0]![d + 2] as number) + window.pads[d] + window.pads[d + 2]! - reach(window.slides[d])
    return Math.ceil(room / stride) + 1 === layer.shape[d + 2]
  })
  if (isCeil && down + along > 0 && counts.every((same) => same)) return { pads: window.pads, ceil: true }
  return { pads: cut(layer, window, [top, left, bottom + down, right + along]), ceil: false }
}

/** Pads at the end as far as the last window reaches: rounding down would count more windows where `round: ceil` drops the last one. */
const cut = (layer: Layer, { slides }: Window, [top, left, bottom, right]: Pads): Pads => {
  const end = (d: 0 | 1, front: number, given: number): number => {
    const needed = ((layer.shape[d + 2] as number) - 1) * slides[d].stride + reach(slides[d]) - front - (layer.shapes[0]![d + 2] as number)
    return Math.min(given, Math.max(0, needed))
  }
  return [top, left, end(0, top, bottom), end(1, left, right)]
}

/** Runtimes refuse padding as large as the window. */
const isLarge = ({ slides }: Window, pads: Pads): boolean => pads.some((pad, i) => pad >= slides[i % 2]!.kernel)

const maxPool: Row = (layer) => {
  const window = poolWindow(layer)
  const { pads, ceil } = covered(layer, window)
  const large = isLarge(window, pads)
  const x = large ? framed(layer, layer.input(), pads, LOWEST) : layer.input()
  layer.done('MaxPool', [x], { ...windowAttributes(window, large ? NO_PADS : pads), ...(ceil && { ceil_mode: 1 }) })
}

/**
 * The divisor: `valid` the elements of the map; `padded` the whole window; `caffe` those of the map and its padding. Padding that counts is a
 * layer of its own, which AveragePool takes for the map: not all runtimes look at count_include_pad, and of windows that reach beyond the
 * padding ONNX says nothing that they read alike.
 */
const avgPool: Row = (layer) => {
  const window = poolWindow(layer)
  const count = layer.attributes['count'] ?? 'caffe'
  const dilated = window.slides.some(({ dilation }) => dilation > 1)
  const { pads, ceil } = covered(layer, window)
  if (dilated || isLarge(window, pads)) return sumOfWindows(layer, window, String(count))
  if (count === 'valid' || (count === 'caffe' && window.pads.every((pad) => pad === 0))) {
    layer.done('AveragePool', [layer.input()], { ...windowAttributes(window, pads), ...(ceil && { ceil_mode: 1 }) })
    return
  }
  const [down, along] = overhang(layer, window)
  const counted = cut(layer, window, count === 'padded' ? coveredByPads(layer, window) : window.pads)
  const x = framed(layer, layer.input(), counted, 0)
  layer.done('AveragePool', [x], windowAttributes(window, count === 'padded' ? NO_PADS : [0, 0, down, along]))
}

const coveredByPads = (layer: Layer, window: Window): Pads => {
  const [down, along] = overhang(layer, window)
  return [window.pads[0], window.pads[1], window.pads[2] + down, window.pads[3] + along]
}

/** The sum of each window, as a convolution of each channel by itself with ones; divided by what counts, a number a position. */
function sumOfWindows(layer: Layer, window: Window, count: string): void {
  const total = layer.add('sum', 'Conv', sumInputs(layer, window, layer.input()), sumAttributes(layer, window))
  const [rows, columns] = ([0, 1] as const).map((d) => counts(layer, window, d, count)) as [number[], number[]]
  const divisors = rows.flatMap((row) => columns.map((column) => row * column))
  const same = divisors.every((divisor) => divisor === divisors[0])
  layer.done('Div', [
    total,
    same ? layer.numbers('count', [divisors[0]!]) : layer.numbers('count', divisors, [rows.length, columns.length]),
  ])
}

function sumInputs(layer: Layer, window: Window, x: string): string[] {
  const pads = cut(layer, window, coveredByPads(layer, window))
  const channels = layer.shape[1] as number
  const kernel = window.slides.map(({ kernel }) => kernel) as [number, number]
  return [
    framed(layer, x, pads, 0),
    layer.numbers('ones', new Array<number>(channels * kernel[0] * kernel[1]).fill(1), [channels, 1, ...kernel]),
  ]
}

const sumAttributes = (layer: Layer, window: Window) => ({ ...windowAttributes(window, NO_PADS), group: layer.shape[1] as number })

/** How many elements count of the window at each position, in one direction. */
function counts(layer: Layer, { slides, pads }: Window, d: 0 | 1, count: string): number[] {
  const { kernel, stride, dilation, pad } = slides[d]
  const size = layer.shapes[0]![d + 2] as number
  const [from, to] = count === 'valid' ? [0, size] : count === 'padded' ? [-Infinity, Infinity] : [-pad, size + pads[d + 2]!]
  return Array.from({ length: layer.shape[d + 2] as number }, (_, window) => {
    const places = Array.from({ length: kernel }, (_, k) => window * stride + k * dilation - pad)
    return places.filter((place) => place >= from && place < to).length
  })
}

/** (sum of |x|^p)^(1/p): ONNX's own has whole p alone, and no dilation before opset 18. */
const lpPool: Row = (layer) => {
  const window = poolWindow(layer)
  const p = numberOf(layer, 'p', 2)
  const pads = cut(layer, window, coveredByPads(layer, window))
  if (Number.isInteger(p) && window.slides.every(({ dilation }) => dilation === 1) && !isLarge(window, pads)) {
    layer.done('LpPool', [layer.input()], { ...windowAttributes(window, pads), p })
    return
  }
  const size = layer.add('abs', 'Abs', [layer.input()])
  const power = p === 1 ? size : layer.add('power', 'Pow', [size, layer.numbers('p', [p])])
  const total = sumInputs(layer, window, power)
  if (p === 1) layer.done('Conv', total, sumAttributes(layer, window))
  else layer.done('Pow', [layer.add('sum', 'Conv', total, sumAttributes(layer, window)), layer.numbers('root', [1 / p])])
}

/** Local response normalization; within a channel it is a mean of squares. */
const lrn: Row = (layer) => {
  const [size, alpha, beta] = [numberOf(layer, 'size', 5), numberOf(layer, 'alpha', 1e-4), numberOf(layer, 'beta', 0.75)]
  const x = layer.input()
  if (layer.attributes['region'] === 'within') {
    const pad = (size - 1) / 2
    const square = layer.add('square', 'Mul', [x, x])
    const pooled = { kernel_shape: [size, size], strides: [1, 1], pads: [pad, pad, pad, pad], count_include_pad: 1 }
    const mean = layer.add('mean', 'AveragePool', [square], pooled)
    const share = layer.add('share', 'Mul', [mean, layer.numbers('alpha', [alpha])])
    const scale = layer.add('scale', 'Add', [share, layer.numbers('k', [1])])
    layer.done('Div', [x, layer.add('power', 'Pow', [scale, layer.numbers('beta', [beta])])])
    return
  }
  const attributes = { size, alpha: float(alpha), beta: float(beta), bias: float(numberOf(layer, 'k', 1)) }
  const [batch, channels, ...rest] = layer.shape
  if (layer.shape.length === 4) return layer.done('LRN', [x], attributes)
  // Runtimes take maps alone.
  const area = rest.reduce<number>((product, dim) => product * (dim as number), 1)
  const map = layer.add('map', 'Reshape', [x, layer.integers('as_map', [batch === 'n' ? 0 : batch as number, channels as number, area, 1])])
  const back = layer.shape.map((dim) => (dim === 'n' ? 0 : dim as number))
  layer.done('Reshape', [layer.add('lrn', 'LRN', [map], attributes), layer.integers('shape', back)])
}

const global = (op: string): Row => (layer) => layer.done(op, [layer.input()])

export const poolingRows: ReadonlyMap<string, Row> = new Map([
  ['max_pool', maxPool],
  ['avg_pool', avgPool],
  ['lp_pool', lpPool],
  ['global_avg_pool', global('GlobalAveragePool')],
  ['global_max_pool', global('GlobalMaxPool')],
  ['lrn', lrn],
])
