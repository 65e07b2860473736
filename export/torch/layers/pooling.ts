import { isSame, type Pair, pairOf, reach, type Slide, slidesOf } from '../../../compiler/ops/sliding-window.ts'
import { type Layer, numberOf, type Row } from '../layer.ts'
import { code, literal, option, type PythonValue } from '../python-code.ts'
import { framePad, frameOf, square } from './convolution.ts'

interface Window {
  readonly slides: readonly [Slide, Slide]
  /** Rows in front and behind, columns in front and behind, that windows reach. */
  readonly frames: readonly [Pair, Pair]
}

function windowOf(layer: Layer): Window {
  const { attributes, shapes, shape } = layer
  const kernel = pairOf(attributes, 'kernel', [shapes[0]![2] as number, shapes[0]![3] as number])
  const stride = pairOf(attributes, 'stride', kernel)
  const slides = slidesOf({ ...attributes, stride }, kernel, { dense: shapes[0]!, strided: shape })
  return {
    slides,
    frames: [0, 1].map((d) => frameOf(slides[d]!, shapes[0]![d + 2] as number, shape[d + 2] as number)) as unknown as [Pair, Pair],
  }
}

const both = (window: Window, of: (slide: Slide) => number): readonly [number, number] => [of(window.slides[0]), of(window.slides[1])]

/** How torch's pooling rounds to get as many windows; undefined where it has no such padding. */
function nativeRound(layer: Layer, { slides, frames }: Window): 'floor' | 'ceil' | undefined {
  const isEven = slides.every((s, d) => (isSame(layer.attributes) ? frames[d]![0] === frames[d]![1] : s.pad === s.end))
  if (!isEven || slides.some(({ pad, kernel }) => 2 * pad > kernel)) return undefined
  return (['floor', 'ceil'] as const).find((round) =>
    slides.every((s, d) => {
      const size = layer.shapes[0]![d + 2] as number
      const count = Math[round]((size + 2 * s.pad - reach(s)) / s.stride) + 1
      const windows = round === 'ceil' && (count - 1) * s.stride >= size + s.pad ? count - 1 : count
      return windows === layer.shape[d + 2]
    })
  )
}

const kernelOf = (window: Window) => literal(square(both(window, ({ kernel }) => kernel)), 'kernel')
const strideOption = (window: Window) =>
  option('stride', square(both(window, ({ stride }) => stride)), square(both(window, ({ kernel }) => kernel)))
const dilationOption = (window: Window) => option('dilation', square(both(window, ({ dilation }) => dilation)), 1)
const paddingOption = (window: Window) => option('padding', square(both(window, ({ pad }) => pad)), 0, 'pad')

const maxPool: Row = (layer) => {
  const window = windowOf(layer)
  const round = nativeRound(layer, window)
  if (round)
    return {
      value: code`F.max_pool2d(${0}, ${kernelOf(window)}${strideOption(window)}${paddingOption(window)}${dilationOption(window)}${
        option('ceil_mode', round === 'ceil', false)
      })`,
    }
  return {
    value: code`F.max_pool2d(F.pad(${0}, ${literal(framePad(window.frames), 'frame')}, value=-torch.inf), ${kernelOf(window)}${
      strideOption(window)
    }${dilationOption(window)})`,
  }
}

const avgPool: Row = (layer) => {
  const window = windowOf(layer)
  const count = String(layer.attributes['count'] ?? 'caffe')
  const round = nativeRound(layer, window)
  const isWhole = window.frames.flat().every((rows) => rows <= 0)
  const isDilated = window.slides.some(({ dilation }) => dilation > 1)
  if (round && !isDilated) {
    const padded = window.slides.some(({ pad }) => pad > 0)
    const divisor = count === 'padded' && !isWhole ? window.slides[0].kernel * window.slides[1].kernel : undefined
    return {
      value: code`F.avg_pool2d(${0}, ${kernelOf(window)}${strideOption(window)}${paddingOption(window)}${
        option('ceil_mode', round === 'ceil', false)
      }${option('count_include_pad', !(count === 'valid' && padded), true)}${option('divisor_override', divisor, undefined)})`,
    }
  }
  return {
    value: code`average_pool(${0}, ${literal(both(window, ({ kernel }) => kernel), 'kernel')}, ${
      literal(both(window, ({ stride }) => stride), 'stride')
    }, ${literal(framePad(window.frames), 'frame')}, ${literal(countsOf(layer, window, count), 'counts')}${
      option('dilation', both(window, ({ dilation }) => dilation), [1, 1])
    })`,
  }
}

/** How much of a frame counts in the divisor: the map alone, or as far as the padding goes. */
function countsOf(layer: Layer, { slides, frames }: Window, count: string): PythonValue {
  if (count === 'padded') return undefined
  const counts = frames.map(([front, behind], d): Pair => {
    // What is cut off of the map counts nothing in any case.
    if (count === 'valid') return [0, Math.min(0, behind)]
    return [front, isSame(layer.attributes) ? behind : Math.min(behind, slides[d]!.end)]
  })
  return framePad(counts as unknown as [Pair, Pair])
}

const lpPool: Row = (layer) => {
  const window = windowOf(layer)
  return {
    value: code`lp_pool(${0}, ${literal(numberOf(layer, 'p', 2), 'p')}, ${literal(both(window, ({ kernel }) => kernel), 'kernel')}, ${
      literal(both(window, ({ stride }) => stride), 'stride')
    }, ${literal(framePad(window.frames), 'frame')}${option('dilation', both(window, ({ dilation }) => dilation), [1, 1])})`,
  }
}

/** F.local_response_normalization is Caffe's across channels: alpha is divided by the size. It takes no matrix. */
const lrn: Row = (layer) => {
  const size = literal(numberOf(layer, 'size', 5), 'size')
  const alpha = literal(numberOf(layer, 'alpha', 1e-4), 'alpha')
  const beta = literal(numberOf(layer, 'beta', 0.75), 'beta')
  if (layer.attributes['region'] === 'within') return { value: code`lrn_within(${0}, ${size}, alpha=${alpha}, beta=${beta})` }
  const k = literal(numberOf(layer, 'k', 1), 'k')
  if (layer.shape.length === 2)
    return { value: code`F.local_response_norm(${0}.unsqueeze(2), ${size}, alpha=${alpha}, beta=${beta}, k=${k}).squeeze(2)` }
  return { value: code`F.local_response_norm(${0}, ${size}, alpha=${alpha}, beta=${beta}, k=${k})` }
}

export const poolingRows: ReadonlyMap<string, Row> = new Map([
  ['max_pool', maxPool],
  ['avg_pool', avgPool],
  ['lp_pool', lpPool],
  ['global_avg_pool', () => ({ value: code`F.adaptive_avg_pool2d(${0}, 1)` })],
  ['global_max_pool', () => ({ value: code`F.adaptive_max_pool2d(${0}, 1)` })],
  ['lrn', lrn],
])
