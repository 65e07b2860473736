import { type Pair, reach, type Slide, slidesOf } from '../../../compiler/ops/sliding-window.ts'
import type { CaffeParams } from '../model.ts'
import type { Layer } from '../layer.ts'

/*
 * Caffe pads as much behind a map as in front of it. Other padding is made of a larger one: the windows of the text are among those that
 * Caffe then has, and the others are cut off.
 */

/** One direction of a window, as Caffe says it: it makes `made` numbers, of which those of the text are `count` from `first` on. */
export interface CaffeSlide {
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  readonly pad: number
  readonly made: number
  readonly first: number
  readonly count: number
}

const sizeOf = (layer: Layer, d: 0 | 1): number => layer.shapes[0]![d + 2] as number
const countOf = (layer: Layer, d: 0 | 1): number => layer.shape[d + 2] as number

/** Both directions of a window over the input. `counts`: how many windows Caffe makes of a size; undefined where no padding will do. */
export function slidesOver(
  layer: Layer,
  kernel: Pair,
  counts: (slide: Slide, size: number, pad: number) => number | undefined,
  attributes = layer.attributes,
): readonly [CaffeSlide, CaffeSlide] | undefined {
  const both = slidesOf(attributes, kernel, { dense: layer.shapes[0]!, strided: layer.shape })
  const of = (d: 0 | 1): CaffeSlide | undefined => {
    const { stride, dilation, pad: front } = both[d]
    for (let pad = front, first = 0;; pad += stride, first++) {
      const made = counts(both[d], sizeOf(layer, d), pad)
      if (made === undefined) return undefined
      if (made >= first + countOf(layer, d)) return { kernel: both[d].kernel, stride, dilation, pad, made, first, count: countOf(layer, d) }
    }
  }
  const [down, along] = [of(0), of(1)]
  return down && along && [down, along]
}

/** Windows that lie within the map and its padding. */
export const floored = (slide: Slide, size: number, pad: number): number => Math.floor((size + 2 * pad - reach(slide)) / slide.stride) + 1

/** Fields of a window: one number where both directions agree. */
export function windowParams(name: string, short: string, [down, along]: Pair, otherwise?: number): CaffeParams {
  if (down === otherwise && along === otherwise) return {}
  return down === along ? { [name]: down } : { [`${short}_h`]: down, [`${short}_w`]: along }
}

export const pairOf = (slides: readonly [CaffeSlide, CaffeSlide], name: 'kernel' | 'stride' | 'pad' | 'dilation'): Pair => [
  slides[0][name],
  slides[1][name],
]

/** Whether all windows that Caffe makes are those of the text. */
export const isWhole = (slides: readonly CaffeSlide[]): boolean => slides.every(({ made, count }) => made === count)

/** Cuts a map down to the windows of the text; the last cut makes the layer's output unless more follows. */
export function windowsOfText(layer: Layer, x: string, slides: readonly CaffeSlide[], isLast: boolean): string {
  const cuts = slides.flatMap(({ made, first, count }, d) => (made === count ? [] : [{ axis: d + 2, made, first, count }]))
  return cuts.reduce(
    (y, { axis, made, first, count }, i) =>
      layer.cut(axis === 2 ? 'rows' : 'columns', y, axis, made, [first, first + count], isLast && i === cuts.length - 1),
    x,
  )
}
