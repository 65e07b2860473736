import type { Argument } from '../../model-net.ts'
import type { OnnxNode } from '../node.ts'
import type { Tensor } from '../value.ts'

/** How a window slides over the two axes of a map, [rows, columns] each. */
export interface Sliding {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly dilation: readonly number[]
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** Spatial attributes of Conv, ConvTranspose and the pools, of as many axes as `kernel` has. Padding by `auto_pad` is left to the caller. */
export function slidingOf(node: OnnxNode, kernel: readonly number[]): Sliding {
  const rank = kernel.length
  const list = (name: string, length: number, absent: number, least: number): readonly number[] => {
    const given = node.ints(name) ?? new Array<number>(length).fill(absent)
    if (given.length !== length) return node.refuse(`${name} has ${given.length} numbers, ${length} are wanted`)
    const bad = given.find((n) => n < least || !Number.isSafeInteger(n))
    return bad === undefined ? given : node.refuse(`${name} has ${bad}`)
  }
  const pads = list('pads', 2 * rank, 0, 0)
  return {
    kernel,
    stride: list('strides', rank, 1, 1),
    dilation: list('dilations', rank, 1, 1),
    before: pads.slice(0, rank),
    after: pads.slice(rank),
  }
}

export const reach = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1

/** `auto_pad` as numbers: SAME gives ceil(size / stride) outputs, an odd row goes to the end (UPPER) or the front (LOWER). */
export function autoPadded(node: OnnxNode, sliding: Sliding, sizes: readonly number[]): Sliding {
  const way = node.text('auto_pad', 'NOTSET')
  if (way === 'NOTSET' || way === '') return sliding
  const none = sizes.map(() => 0)
  if (way === 'VALID') return { ...sliding, before: none, after: none }
  if (way !== 'SAME_UPPER' && way !== 'SAME_LOWER') return node.refuse(`auto_pad is ${JSON.stringify(way)}`)
  const totals = sizes.map((size, d) => {
    const count = Math.ceil(size / sliding.stride[d]!)
    return Math.max(0, (count - 1) * sliding.stride[d]! + reach(sliding.kernel[d]!, sliding.dilation[d]!) - size)
  })
  const less = totals.map((total) => Math.floor(total / 2))
  const more = totals.map((total, d) => total - less[d]!)
  return { ...sliding, ...(way === 'SAME_UPPER' ? { before: less, after: more } : { before: more, after: less }) }
}

/** Windows along an axis. With `ceil` a last one hangs over the edge, unless it would lie wholly in the padding. */
export function windowCount(sliding: Sliding, sizes: readonly number[], d: number, ceil = false): number {
  const room = sizes[d]! + sliding.before[d]! + sliding.after[d]! - reach(sliding.kernel[d]!, sliding.dilation[d]!)
  const stride = sliding.stride[d]!
  const count = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1
  return ceil && (count - 1) * stride >= sizes[d]! + sliding.before[d]! ? count - 1 : count
}

/** Refuses windows that are larger than the map with its padding. */
export function windowCounts(node: OnnxNode, sliding: Sliding, sizes: readonly number[], ceil = false): number[] {
  return sizes.map((size, d) => {
    const count = windowCount(sliding, sizes, d, ceil)
    return count >= 1 ? count
      : node.refuse(
        `a window of ${reach(sliding.kernel[d]!, sliding.dilation[d]!)} is larger than the ${size} of the map with its padding`,
        'give a larger input with --shape',
      )
  })
}

/** The same windows where one is larger than the map with its padding, as pools that round up have it: the one window, cut off at the end. */
export function cutOff(sliding: Sliding, sizes: readonly number[]): Sliding {
  const padded = sizes.map((size, d) => size + sliding.before[d]! + sliding.after[d]!)
  const isLarge = padded.map((size, d) => reach(sliding.kernel[d]!, sliding.dilation[d]!) > size)
  if (!isLarge.includes(true)) return sliding
  return {
    ...sliding,
    kernel: sliding.kernel.map((kernel, d) => (isLarge[d] ? Math.floor((padded[d]! - 1) / sliding.dilation[d]!) + 1 : kernel)),
    stride: sliding.stride.map((stride, d) => (isLarge[d] ? padded[d]! : stride)),
  }
}

const pair = (numbers: readonly number[]): Argument => (numbers[0] === numbers[1] ? numbers[0]! : numbers)

/** The arguments `kernel`, `stride`, `pad`, `dilation` of the language. */
export function windowArguments({ kernel, stride, dilation, before, after }: Sliding): Record<string, Argument> {
  const [top, left] = before
  const [bottom, right] = after
  const pad = top === bottom && left === right ? pair(before) : [top!, bottom!, left!, right!]
  // One element has no distance to another.
  const apart = dilation.map((distance, d) => (kernel[d] === 1 ? 1 : distance))
  return {
    kernel: pair(kernel),
    stride: pair(stride),
    pad,
    ...(apart.some((d) => d !== 1) && { dilation: pair(apart) }),
  }
}

/**
 * The map that windows of two axes slide over. A signal [C, L] is a map of one row; `back` takes the row away again.
 * More than two axes are refused.
 */
export function mapOf(node: OnnxNode, x: Tensor): { readonly x: Tensor; readonly back: (y: Tensor) => Tensor; readonly flat: boolean } {
  if (x.dims.length === 3) return { x, back: (y) => y, flat: false }
  if (x.dims.length === 2) {
    const [channels, length] = x.dims as [number, number]
    const map = node.emit('reshape', [x], { dims: [channels, 1, length] }, [channels, 1, length], { main: false })
    return {
      x: map,
      back: (y) => node.emit('reshape', [y], { dims: [y.dims[0]!, y.dims[2]!] }, [y.dims[0]!, y.dims[2]!]),
      flat: true,
    }
  }
  return node.refuse(`${x.dims.length - 1} spatial axes`, 'maps of the language have two: [channels, height, width]')
}

/** The same for a map of one row. */
export const withRow = (sliding: Sliding): Sliding => ({
  kernel: [1, ...sliding.kernel],
  stride: [1, ...sliding.stride],
  dilation: [1, ...sliding.dilation],
  before: [0, ...sliding.before],
  after: [0, ...sliding.after],
})
