import { instead, type Made, type NetBuilder } from '../net-builder.ts'
import type { Options } from '../options.ts'

/**
 * `[maxpool]`: out = (H + padding - size) / stride + 1, the first window floor(padding / 2) outside of the map, padding size - 1 unless the
 * section says otherwise. What lies outside takes no part.
 */
export function maxpool(net: NetBuilder, options: Options, x: Made): Made {
  const stride = options.count('stride', 1)
  const strides = [options.count('stride_y', stride), options.count('stride_x', stride)] as const
  const size = options.count('size', stride)
  const padding = options.count('padding', size - 1, 0)
  if (options.int('maxpool_depth', 0) !== 0) options.problem('maxpool_depth=1: the largest of neighbouring channels is no layer here')
  if (options.int('antialiasing', 0) !== 0) options.problem('antialiasing=1 of later Darknets is not read')
  options.take('out_channels', 'maxpool_zero_nonmax')
  const input = net.asMap(options, x)
  if (!input) return instead(x)
  const [c, h, w] = input.map
  const before = Math.floor(padding / 2)
  const sides = [h, w].map((d, i) => {
    // Darknet divides whole numbers towards 0.
    const out = Math.trunc((d + padding - size) / strides[i]!) + 1
    // How far the last window hangs over the end of the map; the rest of the padding is not looked at.
    return { out, after: Math.max(0, (out - 1) * strides[i]! + size - before - d) }
  })
  const [top, left] = sides as [(typeof sides)[0], (typeof sides)[0]]
  const map = [c, top.out, left.out] as [number, number, number]
  if (before >= size || top.after >= size || left.after >= size) {
    options.problem(
      `padding=${padding} puts whole windows of ${size} outside of the map, and Darknet gives -3.4e38 there`,
      'padding must be less than twice the size',
    )
    return instead(x, map)
  }
  const y = net.layer(options, 'max_pool', [input.value], {
    kernel: size,
    stride: strides[0] === strides[1] ? strides[0] : strides,
    ...paddingOf([h, w], size, strides, before, sides),
  })
  return net.give(options, { value: y, shape: map, map })
}

/** The padding as briefly as it can be said. */
function paddingOf(
  map: readonly number[],
  size: number,
  strides: readonly number[],
  before: number,
  sides: readonly { out: number; after: number }[],
): { pad?: number | readonly number[]; round?: string } {
  const outs = (rounded: (n: number) => number): boolean =>
    sides.every(({ out }, i) => {
      const n = rounded((map[i]! + 2 * before - size) / strides[i]!) + 1
      // Caffe's rule: rounded up, a last window that begins in the padding is dropped.
      return (rounded === Math.ceil && before > 0 && (n - 1) * strides[i]! >= map[i]! + before ? n - 1 : n) === out
    })
  if (outs(Math.floor)) return { pad: before }
  if (map.every((d) => d + 2 * before >= size) && outs(Math.ceil)) return { pad: before, round: 'ceil' }
  return { pad: [before, sides[0]!.after, before, sides[1]!.after] }
}

/** `[avgpool]`: the mean of each channel. */
export function avgpool(net: NetBuilder, options: Options, x: Made): Made {
  const input = net.asMap(options, x)
  if (!input) return instead(x)
  const map = [input.map[0], 1, 1] as const
  return net.give(options, { value: net.layer(options, 'global_avg_pool', [input.value]), shape: map, map })
}

/** `[upsample]`: each pixel `stride` times in both directions, times `scale`; a negative stride adds up squares of pixels. */
export function upsample(net: NetBuilder, options: Options, x: Made): Made {
  const stride = options.int('stride', 2)
  const scale = options.float('scale', 1)
  const input = net.asMap(options, x)
  if (!input) return instead(x)
  const [c, h, w] = input.map
  const by = Math.abs(stride)
  if (stride === 0 || (stride < 0 && (h % by !== 0 || w % by !== 0))) {
    options.problem(`stride=${stride} does not divide a map of ${h} x ${w}`)
    return instead(x)
  }
  const map: readonly [number, number, number] = stride > 0 ? [c, h * by, w * by] : [c, h / by, w / by]
  const y = stride > 0 ? net.layer(options, 'upsample', [input.value], { factor: by })
    : net.layer(options, 'avg_pool', [input.value], { kernel: by })
  const factor = stride > 0 ? scale : scale * by * by
  return net.give(options, { value: factor === 1 ? y : net.layer(options, 'mul', [y, factor]), shape: map, map })
}

/** `[dropout]`: values are dropped in place, so whoever reads the section in front sees what is left. */
export function dropout(net: NetBuilder, options: Options, x: Made): Made {
  const p = options.float('probability', 0.5)
  if (!(p >= 0 && p < 1)) {
    options.problem(`probability=${p} must lie between 0 and 1`)
    return x
  }
  const made = { ...x, value: net.layer(options, 'dropout', [x.value], { p }) }
  if (net.index > 0) net.made[net.index - 1] = { ...made, value: `layer${net.index}` }
  return made
}

/**
 * `[crop]`: the middle of the map at test time, 2 x - 1 of it unless `noadjust`. In training Darknet takes a part by chance, the same for a whole
 * batch; here the middle.
 */
export function crop(net: NetBuilder, options: Options, x: Made): Made {
  const height = options.count('crop_height', 1)
  const width = options.count('crop_width', 1)
  const flips = options.int('flip', 0) !== 0
  const adjusts = options.int('noadjust', 0) === 0
  options.take('angle', 'saturation', 'exposure', 'shift')
  const input = net.asMap(options, x)
  if (!input) return instead(x)
  const [c, h, w] = input.map
  const map: readonly [number, number, number] = [c, height, width]
  if (height > h || width > w) {
    options.problem(`a part of ${height} x ${width} does not fit into a map of ${h} x ${w}`)
    return instead(x, map)
  }
  const part = (value: string, axis: number, from: number, size: number, of: number): string =>
    size === of ? value : net.layer(options, 'slice', [value], { axis, from, to: from + size })
  const rows = part(input.value, 2, Math.floor((h - height) / 2), height, h)
  let y = part(rows, 3, Math.floor((w - width) / 2), width, w)
  if (adjusts) y = net.layer(options, 'normalize', [y], { mean: 0.5, std: 0.5 })
  if (h > height || w > width) {
    options.differs(
      `training takes the middle ${height} x ${width} of ${h} x ${w}, Darknet a part by chance${
        flips ? ', and mirrors half of the batches' : ''
      }. `
        + `For chance write the input as [${c}, ${height}, ${width}], take out the slices, and add augment ${
          flips ? 'mirror, ' : ''
        }crop([${height}, ${width}])`,
    )
  } else if (flips) options.differs('Darknet mirrors half of the batches in training: augment mirror does so picture by picture')
  return net.give(options, { value: y, shape: map, map })
}
