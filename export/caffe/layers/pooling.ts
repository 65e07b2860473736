import { type Pair, type Slide } from '../../../compiler/ops/sliding-window.ts'
import type { CaffeParams } from '../model.ts'
import { type Layer, numberOf, power, type Row } from '../layer.ts'
import { type CaffeSlide, isWhole, pairOf, slidesOver, windowParams, windowsOfText } from './window.ts'

/** Windows of Caffe, rounded up, without one that starts behind the map (`withinMap`). Undefined: padding as large as the window is refused. */
function caffeCount({ kernel, stride }: Slide, size: number, pad: number): number | undefined {
  if (pad >= kernel) return undefined
  const count = Math.ceil((size + 2 * pad - kernel) / stride) + 1
  return (count - 1) * stride >= size + pad ? count - 1 : count
}

/**
 * The map up to the end of its last window, where another window would start behind the map: Caffe has that one where there is no padding in
 * either direction, and some other Caffes drop it by each direction, or by the size of the window.
 */
function withinMap(layer: Layer, x: string, slides: readonly [CaffeSlide, CaffeSlide]): string {
  return slides.reduce((map, { kernel, stride, pad, made }, d) => {
    const size = layer.shapes[0]![d + 2] as number
    const isDropped = Math.ceil((size - kernel) / stride) + 1 > made
    return pad === 0 && isDropped ? layer.cut(d === 0 ? 'map_rows' : 'map_columns', map, d + 2, size, [0, (made - 1) * stride + kernel])
      : map
  }, x)
}

/** Windows of pooling are as far apart as they are large, unless the text says otherwise. */
function poolSlides(layer: Layer): readonly [CaffeSlide, CaffeSlide] | undefined {
  const kernel = layer.attributes['kernel'] as unknown as Pair
  const slides = slidesOver(layer, kernel, caffeCount, { ...layer.attributes, stride: layer.attributes['stride'] ?? kernel })
  if (!slides)
    layer.fail('its padding is as large as its window, which Caffe refuses', 'put a layer pad in front of it, or write --to onnx')
  else if (slides.some(({ dilation }) => dilation > 1))
    layer.fail('pooling in Caffe has no dilation', 'leave dilation out, or write --to onnx')
  else return slides
  return undefined
}

const poolParams = (pool: 'MAX' | 'AVE', slides: readonly [CaffeSlide, CaffeSlide]): CaffeParams => ({
  pooling_param: {
    pool,
    ...windowParams('kernel_size', 'kernel', pairOf(slides, 'kernel')),
    ...windowParams('stride', 'stride', pairOf(slides, 'stride'), 1),
    ...windowParams('pad', 'pad', pairOf(slides, 'pad'), 0),
  },
})

const maxPool: Row = (layer) => {
  const slides = poolSlides(layer)
  if (!slides) return
  const x = withinMap(layer, layer.input(), slides)
  if (isWhole(slides)) layer.done('Pooling', [x], poolParams('MAX', slides))
  else windowsOfText(layer, layer.add('', 'Pooling', [x], poolParams('MAX', slides)), slides, true)
}

type Count = 'valid' | 'padded' | 'caffe' | 'none'

/** The divisors of the windows of the text, in one direction: `none` by 1, as sums are. */
function divisors(layer: Layer, slide: CaffeSlide, count: Count, d: 0 | 1): number[] {
  const size = layer.shapes[0]![d + 2] as number
  const [front, end] = padsOfText(layer, d, slide)
  return Array.from({ length: slide.count }, (_, window) => {
    const from = window * slide.stride - front
    if (count === 'none') return 1
    if (count === 'padded') return slide.kernel
    const [low, high] = count === 'valid' ? [0, size] : [-front, size + end]
    return Math.min(from + slide.kernel, high) - Math.max(from, low)
  })
}

/** What lies in front of the first window of the text, and behind the map. */
function padsOfText(layer: Layer, d: 0 | 1, { pad, stride, first, kernel, count }: CaffeSlide): readonly [number, number] {
  const front = pad - first * stride
  const given = layer.attributes['pad']
  const size = layer.shapes[0]![d + 2] as number
  if (given === 'same') return [front, Math.max(0, (count - 1) * stride + kernel - size - front)]
  const list = (given as readonly number[] | undefined) ?? [0, 0]
  return [front, list.length === 4 ? list[2 * d + 1]! : list[d]!]
}

/** The divisors of the same windows in Caffe: the elements of the map and of its padding. */
const caffeDivisors = (layer: Layer, { kernel, stride, pad, first, count }: CaffeSlide, d: 0 | 1): number[] =>
  Array.from({ length: count }, (_, window) => {
    const from = (window + first) * stride - pad
    return Math.min(from + kernel, (layer.shapes[0]![d + 2] as number) + pad) - from
  })

/** Averages of Caffe, times what its divisor is over that of the text. */
function averages(layer: Layer, x: string, count: Count, finish: boolean): string | undefined {
  const slides = poolSlides(layer)
  if (!slides) return undefined
  const factors = ([0, 1] as const).map((d) => {
    const wanted = divisors(layer, slides[d], count, d)
    return caffeDivisors(layer, slides[d], d).map((divisor, i) => divisor / wanted[i]!)
  }) as [number[], number[]]
  const all = factors[0].flatMap((row) => factors[1].map((column) => row * column))
  const isExact = all.every((factor) => factor === 1)
  const isLast = finish && isExact
  const params = poolParams('AVE', slides)
  const map = withinMap(layer, x, slides)
  if (isLast && isWhole(slides)) {
    layer.done('Pooling', [map], params)
    return ''
  }
  const kept = windowsOfText(layer, layer.add('', 'Pooling', [map], params), slides, isLast)
  if (isExact) return kept
  const isOne = all.every((factor) => factor === all[0])
  const [type, scaling, more] = isOne ? ['Power', power({ scale: all[0]! }), {}] as const
    : [
      'Scale',
      { scale_param: { axis: 2, num_axes: 2 } },
      { blobs: [layer.numbers(all, [slides[0].count, slides[1].count])], constant: true },
    ] as const
  if (!finish) return layer.add('counted', type, [kept], scaling, more)
  layer.done(type, [kept], scaling, more)
  return ''
}

const avgPool: Row = (layer) => {
  averages(layer, layer.input(), (layer.attributes['count'] as Count | undefined) ?? 'caffe', true)
}

/** (sum of |x|^p)^(1/p): the sum is the average without its divisor. */
const lpPool: Row = (layer) => {
  const p = numberOf(layer, 'p', 2)
  const size = layer.add('size', 'AbsVal', [layer.input()])
  if (p === 1) return void averages(layer, size, 'none', true)
  const sums = averages(layer, layer.add('power', 'Power', [size], power({ power: p })), 'none', false)
  if (sums !== undefined) layer.done('Power', [sums], power({ power: 1 / p }))
}

const global = (pool: 'MAX' | 'AVE'): Row => (layer) => layer.done('Pooling', [layer.input()], globalPool(pool))

export const globalPool = (pool: 'MAX' | 'AVE'): CaffeParams => ({ pooling_param: { pool, global_pooling: true } })

/** Within a channel Caffe adds 1 whatever k says, as the language does. */
const lrn: Row = (layer) => {
  const isWithin = layer.attributes['region'] === 'within'
  if (layer.shape.length !== 4) return layer.fail('LRN in Caffe takes maps alone', 'reshape to [channels, positions, 1] in front of it')
  const k = numberOf(layer, 'k', 1)
  layer.done('LRN', [layer.input()], {
    lrn_param: {
      local_size: numberOf(layer, 'size', 5),
      alpha: numberOf(layer, 'alpha', 1e-4),
      beta: numberOf(layer, 'beta', 0.75),
      ...(isWithin ? { norm_region: 'WITHIN_CHANNEL' } : k !== 1 ? { k } : {}),
    },
  })
}

export const poolingRows: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['max_pool', maxPool],
  ['avg_pool', avgPool],
  ['lp_pool', lpPool],
  ['global_avg_pool', global('AVE')],
  ['global_max_pool', global('MAX')],
  ['lrn', lrn],
])
