import { type Pair, reach, type Slide, slidesOf } from '../../../compiler/ops/sliding-window.ts'
import type { Layer } from '../layer.ts'

/** Padding in numbers as ONNX has it: [top, left, bottom, right]. */
export type Pads = readonly [number, number, number, number]

/** A window down the rows and along them, with its padding in numbers. */
export interface Window {
  readonly slides: readonly [Slide, Slide]
  readonly pads: Pads
}

export const NO_PADS: Pads = [0, 0, 0, 0]

/** The window of a layer that slides over its input, or (`strided: 'input'`) over its output. What `pad: same` comes to stands in its pads. */
export function windowOf(layer: Layer, kernel: Pair, strided: 'output' | 'input' = 'output', attributes = layer.attributes): Window {
  const [x] = layer.shapes
  const [dense, thin] = strided === 'output' ? [x!, layer.shape] : [layer.shape, x!]
  const slides = slidesOf(attributes, kernel, { dense, strided: thin })
  const end = (d: 0 | 1): number => {
    const { stride, pad, end } = slides[d]
    if (attributes['pad'] !== 'same') return end
    return Math.max(0, ((thin[d + 2] as number) - 1) * stride + reach(slides[d]) - (dense[d + 2] as number) - pad)
  }
  return { slides, pads: [slides[0].pad, slides[1].pad, end(0), end(1)] }
}

/** Attributes of ONNX that every window has. Pads are numbers always: what SAME_UPPER comes to differs between runtimes. */
export const windowAttributes = ({ slides }: Window, pads: Pads) => ({
  kernel_shape: slides.map(({ kernel }) => kernel),
  strides: slides.map(({ stride }) => stride),
  pads,
  ...(slides.some(({ dilation }) => dilation > 1) && { dilations: slides.map(({ dilation }) => dilation) }),
})

/** Whether a window may lie in padding as a whole, which runtimes do not take from every layer. */
export const mayBeBlind = ({ slides }: Window, pads: Pads): boolean =>
  slides.some((slide, d) => pads[d]! >= reach(slide) || pads[d + 2]! >= reach(slide))

/** The input in a frame of one value. */
export function framed(layer: Layer, x: string, [top, left, bottom, right]: Pads, value: number): string {
  if (top + left + bottom + right === 0) return x
  return layer.add('pad', 'Pad', [
    x,
    layer.integers('pads', [0, 0, top, left, 0, 0, bottom, right]),
    ...(value === 0 ? [] : [layer.numbers('frame', [value])]),
  ])
}
