import type { Converter } from './converter.ts'
import { mapOf } from './converter.ts'

/*
 * Layers of forks whose nets are widely used: Interp of DeepLab and PSPNet, Upsample of YOLO's, ShuffleChannel of ShuffleNet's, Axpy of SENet's,
 * Normalize of SSD's, BN with `bn_param` of PSPNet's and SegNet's.
 */

/** Bilinear, the corners of both maps on each other: the new size is given, or follows from factors as in interp_layer.cpp. */
const interp: Converter = (view) => {
  const param = view.param('interp_param')
  const x = view.x()
  const [channels, height, width] = mapOf(view, x)
  const crop = -param.number('pad_beg', 0) - param.number('pad_end', 0)
  if (crop !== 0) view.refuse('its pad_beg and pad_end cut the map', 'put a Crop in front of it')
  const like = view.bottoms.length > 1 ? mapOf(view, view.x(1)) : undefined
  const [shrink, zoom] = [param.number('shrink_factor'), param.number('zoom_factor')]
  const given = [param.number('height'), param.number('width')]
  const size = like ? like.slice(1) : [height, width].map((n, d) => {
    if (given[d] !== undefined && (shrink === undefined) === (zoom === undefined)) return given[d]!
    const shrunk = Math.floor((n - 1) / (shrink ?? 1)) + 1
    return shrunk + (shrunk - 1) * ((zoom ?? 1) - 1)
  })
  if (!like && given.includes(undefined) && shrink === undefined && zoom === undefined)
    view.refuse('nothing says how large its map gets', 'give it height and width, zoom_factor or shrink_factor')
  if (size.some((n) => !Number.isInteger(n) || n < 1)) view.refuse(`its map would be ${size.join(' x ')}`)
  if (size[0] === height && size[1] === width) return [x]
  return [view.emit('resize', [x], [channels, ...size], { size, mode: 'linear', coordinates: 'align_corners' }, { top: 0 })]
}

/** The nearest pixel, `scale` times as large; SegNet's puts values back where a pooling took them from. */
const upsample: Converter = (view) => {
  const param = view.param('upsample_param')
  if (view.bottoms.length > 1)
    view.refuse(
      'it puts values back where a pooling found them, which has no equal',
      'take a Deconvolution in its place, or cut the net by --outputs',
    )
  const x = view.x()
  const [channels, height, width] = mapOf(view, x)
  const factor = param.number('scale', 2)
  if (factor < 1) view.refuse(`its scale is ${factor}`)
  return [view.emit('upsample', [x], [channels, height * factor, width * factor], { factor }, { top: 0 })]
}

/** Channel i of group g comes out as channel i * groups + g. */
const shuffleChannel: Converter = (view) => {
  const x = view.x()
  const [channels, height, width] = mapOf(view, x)
  const groups = view.param('shuffle_channel_param').number('group', 1)
  if (groups < 1 || channels % groups !== 0) view.refuse(`${channels} channels do not fall into ${groups} groups`)
  if (groups === 1 || groups === channels) return [x]
  const inner = { named: false }
  const parts = [groups, channels / groups, height, width]
  const turned = [channels / groups, groups, height, width]
  const split = view.emit('reshape', [x], parts, { dims: parts }, inner)
  const shuffled = view.emit('transpose', [split], turned, { order: [0, 2, 1, 3, 4] }, inner)
  return [view.emit('reshape', [shuffled], x.dims, { dims: x.dims }, { top: 0 })]
}

/** a x + y, a one number a channel. */
const axpy: Converter = (view) => {
  const [a, x, y] = [view.x(0), view.x(1), view.x(2)]
  const [channels] = mapOf(view, x)
  if (a.dims.length === 0 || a.dims[0] !== channels || a.dims.slice(1).some((dim) => dim !== 1) || y.dims.join() !== x.dims.join()) {
    const shown = [a, x, y].map(({ dims }) => `[${['n', ...dims].join(', ')}]`)
    view.refuse(`its bottoms are ${shown.join(', ')}`, 'it takes a factor a channel, and two maps of one size')
  }
  const wide = a.dims.length === 3 ? a : view.emit('reshape', [a], [channels, 1, 1], { dims: [channels, 1, 1] }, { named: false })
  return [view.emit('add', [view.emit('mul', [x, wide], x.dims, {}, { named: false }), y], x.dims, {}, { top: 0 })]
}

/** x / sqrt(sum of squares + eps), over channels or over all of a sample, times learned factors. */
const normalize: Converter = (view) => {
  const param = view.param('norm_param')
  const x = view.x()
  const [channels] = mapOf(view, x)
  const all = param.flag('across_spatial', true)
  const kept = x.dims.map((dim, i) => (all || i === 0 ? 1 : dim))
  const inner = { named: false }
  const squares = view.emit('mul', [x, x], x.dims, {}, inner)
  const total = view.emit('reduce_sum', [squares], kept, { axes: all ? [1, 2, 3] : [1], keep: true }, inner)
  const norm = view.emit('sqrt', [view.emit('add', [total, param.number('eps', 1e-10)], kept, {}, inner)], kept, {}, inner)
  const unit = view.emit('div', [x, norm], x.dims, {}, inner)
  if (!param.flag('channel_shared', true)) {
    const parameters = view.parameters([['weight', [channels]]])
    const fillers = parameters.sharesWith === undefined ? view.fillers(param, { scale_filler: 'weight_init' }) : {}
    return [view.emit('scale', [unit], x.dims, { bias: false, ...fillers }, { top: 0, parameters })]
  }
  const parameters = view.parameters([['weight', [1]]])
  if (parameters.sharesWith !== undefined) view.refuse('one factor for all channels does not share its parameter', 'give each its own')
  const init = view.fillers(param, { scale_filler: 'init' })
  const factor = view.emit('parameter', [], [1, 1, 1], {
    dims: [1, 1, 1],
    ...(!parameters.parameters && { init: { call: 'constant', arguments: { value: 1 } } }),
    ...init,
  }, {
    parameters: {
      arguments: {},
      ...(parameters.parameters && { parameters: { weight: { shape: [1, 1, 1], values: parameters.parameters['weight']!.values } } }),
    },
  })
  return [view.emit('mul', [unit, factor], x.dims, {}, { named: false, top: 0 })]
}

export const forkConverters: Readonly<Record<string, Converter>> = {
  Interp: interp,
  Upsample: upsample,
  ShuffleChannel: shuffleChannel,
  Axpy: axpy,
  Normalize: normalize,
}
