import type { Node } from '../../compiler/graph/graph.ts'
import { type Pair, reach, type Slide, slidesOf } from '../../compiler/ops/sliding-window.ts'
import type { Shape } from '../../compiler/ir/tensor.ts'
import type { Attributes, StepNodes } from './step-nodes.ts'

/** [top, left, bottom, right] */
export type Pads = readonly [number, number, number, number]
export const NO_PADS: Pads = [0, 0, 0, 0]

/** Windows between a dense map and a strided one, with pads in numbers: see `compiler/ops/conv-equations.ts`. */
export interface Windows {
  readonly slides: readonly [Slide, Slide]
  /** The padding of the dense map, as far as windows reach. */
  readonly pads: Pads
  /** Rows and columns of the dense map that no window reaches. */
  readonly beyond: Pair
}

export function windowsOf({ attributes }: Pick<Node, 'attributes'>, kernel: Pair, dense: Shape, strided: Shape): Windows {
  const slides = slidesOf(attributes, kernel, { dense, strided })
  const reached = ([0, 1] as const).map((d) =>
    ((strided[d + 2] as number) - 1) * slides[d].stride + reach(slides[d]) - slides[d].pad - (dense[d + 2] as number)
  ) as [number, number]
  return {
    slides,
    pads: [slides[0].pad, slides[1].pad, Math.max(0, reached[0]), Math.max(0, reached[1])],
    beyond: [Math.max(0, -reached[0]), Math.max(0, -reached[1])],
  }
}

const attributesOf = (slides: readonly [Slide, Slide], pads: Pads): Attributes => ({
  kernel_shape: slides.map(({ kernel }) => kernel),
  strides: slides.map(({ stride }) => stride),
  ...(slides.some(({ dilation }) => dilation > 1) && { dilations: slides.map(({ dilation }) => dilation) }),
  ...(pads.some((pad) => pad > 0) && { pads }),
})

const grouped = (groups: number): Attributes => (groups === 1 ? {} : { group: groups })

/** Whether a window may lie in padding as a whole, which runtimes do not take from every layer. */
const isBlind = (slides: readonly [Slide, Slide], pads: Pads): boolean => pads.some((pad, i) => pad >= reach(slides[i % 2]!))

/** strided = windows over dense, times weight [S, D / groups, kh, kw]. */
export function convolve(
  nodes: StepNodes,
  { slides, pads }: Windows,
  [dense, ...weights]: readonly [dense: string, weight: string, bias?: string],
  groups: number,
): string {
  const framed = isBlind(slides, pads)
  const x = framed ? nodes.frame(dense, pads) : dense
  return nodes.add('Conv', [x, ...weights as string[]], { ...attributesOf(slides, framed ? NO_PADS : pads), ...grouped(groups) })
}

/** dense = what each element of strided gives to its window, by weight [S, D / groups, kh, kw]. */
export function convolveTransposed(
  nodes: StepNodes,
  { slides, pads, beyond }: Windows,
  inputs: readonly [strided: string, weight: string, bias?: string],
  groups: number,
): string {
  return nodes.add('ConvTranspose', inputs as readonly string[], {
    ...attributesOf(slides, pads),
    ...(beyond.some((rows) => rows > 0) && { output_padding: beyond }),
    ...grouped(groups),
  })
}

/**
 * The same where windows move by one, as a convolution with the weight turned round: onnxruntime takes half of the time for it. Undefined
 * where padding is larger than what windows reach.
 */
export function convolveTransposedByTurned(
  nodes: StepNodes,
  { slides, pads, beyond }: Windows,
  [strided, weight, ...bias]: readonly [strided: string, weight: string, bias?: string],
  [outer, inner, height, width]: readonly number[],
  groups: number,
): string | undefined {
  const room = pads.map((pad, i) => reach(slides[i % 2]!) - 1 - pad + (i < 2 ? 0 : beyond[i - 2]!)) as unknown as Pads
  if (slides.some(({ stride }) => stride !== 1) || room.some((pad, i) => pad < 0 || pad >= reach(slides[i % 2]!))) return undefined
  const ends = nodes.integers([-height! - 1, -width! - 1])
  const turned = nodes.add('Slice', [weight, nodes.integers([-1, -1]), ends, nodes.integers([2, 3]), nodes.integers([-1, -1])])
  const exchanged = groups === 1 ? nodes.transpose(turned, [1, 0, 2, 3]) : nodes.reshape(
    nodes.transpose(nodes.reshape(turned, [groups, outer! / groups, inner!, height!, width!]), [0, 2, 1, 3, 4]),
    [groups * inner!, outer! / groups, height!, width!],
  )
  return nodes.add('Conv', [strided, exchanged, ...bias as string[]], { ...attributesOf(slides, room), ...grouped(groups) })
}

/** Whether runtimes take as many rows behind the last window: less than its stride, or its dilation. */
export const reachesFar = ({ slides, beyond }: Windows): boolean =>
  beyond.some((rows, d) => rows >= Math.max(slides[d]!.stride, slides[d]!.dilation))

/** What lies under element [kh, kw] of each window, as large as the strided map. `framed`: the dense map with its padding. */
export function seenBy(
  nodes: StepNodes,
  slides: readonly [Slide, Slide],
  framed: string,
  strided: Shape,
  [kh, kw]: readonly [kh: number, kw: number],
): string {
  const first = [kh * slides[0].dilation, kw * slides[1].dilation]
  const steps = slides.map(({ stride }) => stride)
  const ends = first.map((from, d) => from + ((strided[d + 2] as number) - 1) * steps[d]! + 1)
  return nodes.add('Slice', [framed, ...[first, ends, [2, 3], steps].map((numbers) => nodes.integers(numbers))])
}

/**
 * The gradient of the weight [S, D / groups, kh, kw] that joins two maps: a product of matrices for each element of the window, of what
 * that element lies on, row by row, and the strided map. In groups, a convolution whose kernel is the strided map.
 */
export function weightGradient(
  nodes: StepNodes,
  windows: Windows,
  [dense, strided]: readonly [dense: string, strided: string],
  { weight, map }: { readonly weight: readonly number[]; readonly map: Shape },
  groups: number,
): string {
  if (groups > 1) return groupedWeightGradient(nodes, windows, [dense, strided], { weight, map }, groups)
  const { slides, pads } = windows
  const [outer, inner, height, width] = weight as [number, number, number, number]
  // Channels first, so that a row of a matrix is all that a channel has.
  const rowsOf = (map: string, channels: number): string => nodes.reshape(map, [channels, -1])
  const y = rowsOf(nodes.transpose(strided, [1, 0, 2, 3]), outer)
  const x = nodes.transpose(nodes.frame(dense, pads), [1, 0, 2, 3])
  const parts = Array.from({ length: height * width }, (_, k) => {
    const part = nodes.add('Gemm', [y, rowsOf(seenBy(nodes, slides, x, map, [Math.floor(k / width), k % width]), inner)], { transB: 1 })
    return nodes.reshape(part, [outer, inner, 1])
  })
  const all = parts.length === 1 ? parts[0]! : nodes.add('Concat', parts, { axis: 2 })
  return nodes.reshape(all, weight)
}

/**
 * weight[g s, d, kh, kw] = sum over n, h, w of dense[n, g d, h stride + kh dilation - pad, ...] strided[n, g s, h, w]: images are the channels
 * of this convolution, its stride is the other's dilation and its dilation the other's stride.
 */
function groupedWeightGradient(
  nodes: StepNodes,
  { slides, pads }: Windows,
  [dense, strided]: readonly [dense: string, strided: string],
  { weight, map }: { readonly weight: readonly number[]; readonly map: Shape },
  groups: number,
): string {
  const inner = weight[1]!
  const [rows, columns] = map.slice(2) as [number, number]
  const framed = nodes.frame(dense, pads)
  const [tall, wide] = [0, 1].map((d) => (slides[d]!.kernel - 1) * slides[d]!.dilation + ([rows, columns][d]! - 1) * slides[d]!.stride + 1)
  const cut = nodes.add('Slice', [framed, nodes.integers([0, 0]), nodes.integers([tall!, wide!]), nodes.integers([2, 3])])
  // [n, g d, H, W] to [d, g n, H, W]
  const apart = nodes.reshape(cut, [-1, groups, inner, tall!, wide!])
  const x = nodes.reshape(nodes.transpose(apart, [2, 1, 0, 3, 4]), [inner, -1, tall!, wide!])
  const y = nodes.transpose(strided, [1, 0, 2, 3])
  const made = nodes.add('Conv', [x, y], {
    kernel_shape: [rows, columns],
    strides: slides.map(({ dilation }) => dilation),
    dilations: slides.map(({ stride }) => stride),
    group: groups,
  })
  return nodes.transpose(made, [1, 0, 2, 3])
}
