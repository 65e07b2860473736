import type { Attributes } from '../../dsl/signature.ts'
import type { Fed } from './run-operator.ts'

/*
 * Layers that slide windows over maps, written down as a textbook has them: loops over everything, an `if` for the padding.
 * They share nothing with the compiler.
 */

export interface Window {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly pad: readonly number[] | 'same'
  readonly groups: number
}

export function windowOf(a: Attributes): Window {
  const kernel = a['kernel'] as readonly number[]
  return {
    kernel,
    stride: (a['stride'] as readonly number[] | undefined) ?? [1, 1],
    dilation: (a['dilation'] as readonly number[] | undefined) ?? [1, 1],
    pad: (a['pad'] as readonly number[] | 'same' | undefined) ?? [0, 0],
    groups: (a['groups'] as number | undefined) ?? 1,
  }
}

/** Rows (d = 0) or columns of padding in front and behind: [height, width] or [top, bottom, left, right]. */
export const sidesOf = (pad: readonly number[], d: number): readonly [number, number] =>
  pad.length === 4 ? [pad[2 * d]!, pad[2 * d + 1]!] : [pad[d]!, pad[d]!]

export interface Made {
  readonly y: Float64Array
  readonly shape: readonly number[]
}

/** Rows (or columns) that come out, and the padding in front of the first. */
function sizeAndPad({ kernel, stride, dilation, pad }: Window, size: number, d: number): [number, number] {
  const touched = dilation[d]! * (kernel[d]! - 1) + 1
  if (pad !== 'same') {
    const [front, behind] = sidesOf(pad, d)
    return [Math.floor((size + front + behind - touched) / stride[d]!) + 1, front]
  }
  const out = Math.ceil(size / stride[d]!)
  let around = 0
  while (size + around < (out - 1) * stride[d]! + touched) around++
  return [out, Math.floor(around / 2)]
}

export function convolution(x: Fed, weight: ArrayLike<number>, bias: ArrayLike<number> | undefined, attributes: Attributes): Made {
  const window = windowOf(attributes)
  const { kernel, stride, dilation, groups } = window
  const [N, C, H, W] = x.shape as [number, number, number, number]
  const O = attributes['out'] as number
  const [OH, top] = sizeAndPad(window, H, 0)
  const [OW, left] = sizeAndPad(window, W, 1)
  const [KH, KW] = kernel as [number, number]
  const [perGroup, outPerGroup] = [C / groups, O / groups]
  const y = new Float64Array(N * O * OH * OW)
  for (let n = 0; n < N; n++)
    for (let o = 0; o < O; o++)
      for (let h = 0; h < OH; h++)
        for (let w = 0; w < OW; w++) {
          let total = bias ? bias[o]! : 0
          const first = Math.floor(o / outPerGroup) * perGroup
          for (let c = 0; c < perGroup; c++)
            for (let i = 0; i < KH; i++)
              for (let j = 0; j < KW; j++) {
                const row = h * stride[0]! - top + i * dilation[0]!
                const column = w * stride[1]! - left + j * dilation[1]!
                if (row < 0 || row >= H || column < 0 || column >= W) continue
                total += x.data[((n * C + first + c) * H + row) * W + column]! * weight[((o * perGroup + c) * KH + i) * KW + j]!
              }
          y[((n * O + o) * OH + h) * OW + w] = total
        }
  return { y, shape: [N, O, OH, OW] }
}

/** A scatter: every input adds its window to the output. */
export function transposedConvolution(
  x: Fed,
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | undefined,
  attributes: Attributes,
): Made {
  const { kernel, stride, dilation, pad, groups } = windowOf(attributes)
  const outputPad = (attributes['output_pad'] as readonly number[] | undefined) ?? [0, 0]
  const [N, C, H, W] = x.shape as [number, number, number, number]
  const O = attributes['out'] as number
  const [KH, KW] = kernel as [number, number]
  const size = (extent: number, d: number): [number, number] => {
    const touched = dilation[d]! * (kernel[d]! - 1) + 1
    if (pad === 'same') return [extent * stride[d]!, Math.max(0, Math.floor((touched - stride[d]!) / 2))]
    const [front, behind] = sidesOf(pad, d)
    return [stride[d]! * (extent - 1) + touched - front - behind + outputPad[d]!, front]
  }
  const [OH, top] = size(H, 0)
  const [OW, left] = size(W, 1)
  const [perGroup, outPerGroup] = [C / groups, O / groups]
  const y = new Float64Array(N * O * OH * OW)
  if (bias)
    y.forEach((_, i) => {
      y[i] = bias[Math.floor(i / (OH * OW)) % O]!
    })
  for (let n = 0; n < N; n++)
    for (let c = 0; c < C; c++)
      for (let h = 0; h < H; h++)
        for (let w = 0; w < W; w++) {
          const from = x.data[((n * C + c) * H + h) * W + w]!
          for (let q = 0; q < outPerGroup; q++)
            for (let i = 0; i < KH; i++)
              for (let j = 0; j < KW; j++) {
                const row = h * stride[0]! - top + i * dilation[0]!
                const column = w * stride[1]! - left + j * dilation[1]!
                if (row < 0 || row >= OH || column < 0 || column >= OW) continue
                const o = Math.floor(c / perGroup) * outPerGroup + q
                y[((n * O + o) * OH + row) * OW + column]! += from * weight[((c * outPerGroup + q) * KH + i) * KW + j]!
              }
        }
  return { y, shape: [N, O, OH, OW] }
}
