import { elementCount } from '../../../bundle/sizes.ts'
import { instead, type Made, type NetBuilder } from '../net-builder.ts'
import type { Options } from '../options.ts'

/**
 * `[reorg]` makes channels of pixels, in an order of its own: the numbers are read as if they were a map of c / stride^2 channels, `stride` times
 * as high and wide, that map goes from space to depth, and what comes out is read as c stride^2 channels. `reverse` is a plain depth to space;
 * `flatten` turns channels and pixels; `extra` puts zeros behind all numbers.
 */
export function reorg(net: NetBuilder, options: Options, x: Made): Made {
  const stride = options.count('stride', 1)
  const reverse = options.int('reverse', 0) !== 0
  const flatten = options.int('flatten', 0) !== 0
  const extra = options.count('extra', 0, 0)
  const input = net.asMap(options, x)
  if (!input) return instead(x)
  const [c, h, w] = input.map
  const { value } = input
  const square = stride * stride
  const map: readonly [number, number, number] = reverse ? [Math.floor(c / square), h * stride, w * stride]
    : [c * square, Math.floor(h / stride), Math.floor(w / stride)]
  const layer = net.layer.bind(net, options)

  if (extra > 0 && !flatten) {
    const padded = layer('pad', [layer('reshape', [value], { dims: [elementCount(input.map), 1, 1] })], { size: [0], channels: [0, extra] })
    const shape = [elementCount(input.map) + extra]
    return net.give(options, { value: layer('reshape', [padded], { dims: shape }), shape, map: undefined })
  }
  // Darknet writes beyond its memory where the channels are no multiple, and where the map is none.
  if (elementCount(map) !== elementCount(input.map) || (!flatten && c % square !== 0)) {
    options.problem(
      `stride=${stride} does not divide a map [${input.map.join(', ')}]`,
      `channels must be a multiple of ${square}, height and width of ${stride}`,
    )
    return instead(x)
  }
  const reshape = (v: string, dims: readonly number[], from: readonly number[]): string =>
    dims.length === from.length && dims.every((d, i) => d === from[i]) ? v : layer('reshape', [v], { dims })
  if (flatten) {
    const rows = reshape(value, reverse ? [h * w, c] : [c, h * w], input.map)
    return net.give(options, { value: reshape(layer('transpose', [rows], { order: [0, 2, 1] }), map, []), shape: map, map })
  }
  if (stride === 1) return { value, shape: map, map }
  if (reverse) return net.give(options, { value: layer('depth_to_space', [value], { block: stride, order: 'dcr' }), shape: map, map })
  const large = reshape(value, [c / square, h * stride, w * stride], input.map)
  const deep = layer('space_to_depth', [large], { block: stride })
  return net.give(options, { value: reshape(deep, map, [c, h, w]), shape: map, map })
}
