import { callText } from './train-text.ts'

/** A net with a parameter that starts as a case says. Filled blobs may have any shape; the language has those of its layers. */
export interface FillerText {
  readonly text: string
  readonly parameter: string
  /** The parameter's shape: the blob's own, or one with as many numbers and the same fans. */
  readonly shape: readonly number[]
}

export function fillerText(filler: Readonly<Record<string, any>>, blob: readonly number[]): FillerText {
  const { type, min, max, ...args } = filler
  const call = callText(type, type === 'uniform' ? { lo: min ?? 0, hi: max ?? 1 } : args)
  const net = (layer: string, input: readonly number[]): string =>
    `net fillers { input x: f32[${input.join(', ')}] y = ${layer} as layer output y = y }`
  const [out = 1, per, ...window] = blob
  if (per === undefined) return { text: net(`fc(x, ${out}, bias_init: ${call})`, [1]), parameter: 'layer.bias', shape: [out] }
  if (window.length === 0) return { text: net(`fc(x, ${out}, weight_init: ${call})`, [per]), parameter: 'layer.weight', shape: [out, per] }
  // Windows of one axis or three fill like those of two.
  const w = window.at(-1)!
  const h = window.slice(0, -1).reduce((a, b) => a * b, 1)
  return {
    text: net(`conv(x, ${out}, [${h}, ${w}], weight_init: ${call})`, [per, h, w]),
    parameter: 'layer.weight',
    shape: [out, per, h, w],
  }
}
