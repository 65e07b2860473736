import { elementCount } from '../../../bundle/sizes.ts'
import type { LayerView, Role } from '../layer-view.ts'
import type { Blob } from '../net-builder.ts'
import type { Message } from '../message.ts'
import { axisOf, type Converter, innerAxis, mapOf } from './converter.ts'

type Pair = readonly [number, number]

/** `kernel_size: 3`, `kernel_size: 3 kernel_size: 5` or `kernel_h: 3 kernel_w: 5`. */
function pairOf(view: LayerView, param: Message, name: string, short: string, otherwise: number | undefined): Pair {
  const [h, w] = [param.number(`${short}_h`), param.number(`${short}_w`)]
  const listed = param.numbers(name)
  if (h !== undefined || w !== undefined) {
    if (listed.length > 0) view.refuse(`it has ${name} and ${short}_h or ${short}_w`, 'leave one of them')
    // Caffe takes a pad or a stride of one direction for 0 or 1 in the other.
    return [h ?? otherwise ?? missing(view, `${short}_h`), w ?? otherwise ?? missing(view, `${short}_w`)]
  }
  if (listed.length > 2) view.refuse(`it has ${listed.length} numbers of ${name}: convolutions over more than two axes have no equal here`)
  const [first, second] = listed
  const one = first ?? otherwise ?? missing(view, name)
  return [one, second ?? one]
}

const missing = (view: LayerView, name: string): never => view.refuse(`it has no ${name}`)

const least = (view: LayerView, name: string, pair: Pair, min: number): Pair =>
  pair.every((size) => size >= min) ? pair : view.refuse(`its ${name} is ${pair.join(' x ')}; at least ${min} makes sense`)

/** Convolution and Deconvolution; several bottoms go through the same weights. */
function convolution(transposed: boolean, depthwise = false): Converter {
  return (view) => {
    const param = view.param('convolution_param')
    if (param.number('axis', 1) !== 1) view.refuse(`its channels are axis ${param.number('axis')}; here they are axis 1`)
    const out = param.number('num_output') ?? missing(view, 'num_output')
    const kernel = least(view, 'kernel_size', pairOf(view, param, 'kernel_size', 'kernel', undefined), 1)
    const stride = least(view, 'stride', pairOf(view, param, 'stride', 'stride', 1), 1)
    const pad = least(view, 'pad', pairOf(view, param, 'pad', 'pad', 0), 0)
    const apart = least(view, 'dilation', pairOf(view, param, 'dilation', 'dilation', 1), 1)
    // One element has no distance to another.
    const dilation = apart.map((distance, d) => (kernel[d] === 1 ? 1 : distance)) as unknown as Pair
    const groups = param.number('group', depthwise ? out : 1)
    const bias = param.flag('bias_term', true)
    let owner: string | undefined
    return view.bottoms.map((_, i) => {
      const x = view.x(i)
      const [channels, ...size] = mapOf(view, x)
      if (out < 1 || groups < 1 || channels % groups !== 0 || out % groups !== 0) {
        view.refuse(`${channels} channels to ${out} do not fall into ${groups} groups`)
      }
      const spatial = size.map((n, d) => {
        const reach = dilation[d]! * (kernel[d]! - 1) + 1
        return transposed ? stride[d]! * (n - 1) + reach - 2 * pad[d]! : Math.floor((n + 2 * pad[d]! - reach) / stride[d]!) + 1
      })
      if (spatial.some((n) => n < 1)) view.refuse(`nothing is left of a map of ${size.join(' x ')} (--shape tells a larger input)`)
      const weight = transposed ? [channels, out / groups, ...kernel] : [out, channels / groups, ...kernel]
      const roles: Role[] = [['weight', weight], ...(bias ? [['bias', [out]] as const] : [])]
      const parameters = owner === undefined ? view.parameters(roles) : { sharesWith: owner, arguments: {} }
      const y = view.emit(transposed ? 'deconv' : 'conv', [x], [out, ...spatial], {
        out,
        kernel,
        stride,
        pad,
        dilation,
        groups,
        bias,
        ...(parameters.sharesWith === undefined &&
          view.fillers(param, { weight_filler: 'weight_init', ...(bias && { bias_filler: 'bias_init' }) })),
      }, { top: i, parameters })
      owner ??= y.value
      return y
    })
  }
}

const pooling: Converter = (view) => {
  const param = view.param('pooling_param')
  const x = view.x()
  const [channels, height, width] = mapOf(view, x)
  const method = param.text('pool', 'MAX')
  if (method === 'STOCHASTIC') {
    view.refuse(
      'stochastic pooling has no equal: it draws from its window in training',
      'take AVE, or cut the net in front of it by --outputs',
    )
  }
  if (view.layer.tops.length > 1)
    view.refuse('its second top, where the largest were, has no equal', 'leave the top away if nothing reads it')
  const stride = least(view, 'stride', pairOf(view, param, 'stride', 'stride', 1), 1)
  const pad = least(view, 'pad', pairOf(view, param, 'pad', 'pad', 0), 0)
  if (param.flag('global_pooling', false)) {
    if (pad.some((n) => n > 0) || stride.some((n) => n > 1)) view.refuse('global pooling has neither pad nor stride')
    return [view.emit(method === 'MAX' ? 'global_max_pool' : 'global_avg_pool', [x], [channels, 1, 1], {}, { top: 0 })]
  }
  const window = least(view, 'kernel_size', pairOf(view, param, 'kernel_size', 'kernel', undefined), 1)
  if (pad.some((n, d) => n >= window[d]!)) view.refuse(`its pad ${pad.join(' x ')} is as large as the window`)
  const round = param.text('round_mode', param.flag('ceil_mode', true) ? 'CEIL' : 'FLOOR').toLowerCase() as 'ceil' | 'floor'
  const made = [height, width].map((n, d) => Math[round]((n + 2 * pad[d]! - window[d]!) / stride[d]!) + 1)
  // Rounded up, a window larger than the padded map is cut off at its end, for the divisor of an average too.
  const kernel = [height, width].map((n, d) => Math.min(window[d]!, n + 2 * pad[d]!)) as unknown as Pair
  const spatial = [height, width].map((n, d) => made[d]! - (round === 'ceil' && (made[d]! - 1) * stride[d]! >= n + pad[d]! ? 1 : 0))
  if (spatial.some((n) => n < 1)) view.refuse(`nothing is left of a map of ${height} x ${width} (--shape tells a larger input)`)
  // Where all windows fit exactly both ways of rounding are one, and the shorter is written.
  const exact = [height, width].every((n, d) => (n + 2 * pad[d]! - kernel[d]!) % stride[d]! === 0)
  const empty = pad.some((n) => n > 0) ? [0, 0] : spatial.map((n, d) => made[d]! - n)
  const isWhole = empty.every((n) => n === 0)
  if (!isWhole && method === 'AVE') {
    view.refuse(
      'its last windows lie behind the map, where there is nothing to divide by',
      'write round_mode: FLOOR, which leaves them out, as some other Caffes do',
    )
  }
  const y = view.emit(method === 'MAX' ? 'max_pool' : 'avg_pool', [x], [channels, ...spatial], {
    kernel,
    stride,
    pad,
    round: exact ? 'floor' : round,
    ...(method === 'AVE' && { count: 'caffe' }),
  }, isWhole ? { top: 0 } : {})
  return [isWhole ? y : behindTheMap(view, y, empty)]
}

/** Adds the windows that start behind the map: Caffe drops them where a pooling has padding, in whichever direction; else they hold the least number. */
function behindTheMap(view: LayerView, y: Blob, empty: readonly number[]): Blob {
  view.note(
    'changed',
    'its last windows lie behind the map, and hold -FLT_MAX as in BVLC Caffe; round_mode: FLOOR leaves them out, as some other Caffes do',
  )
  const [channels, height, width] = y.dims as readonly [number, number, number]
  const [down, along] = empty as Pair
  const size = [0, down, 0, along]
  return view.emit('pad', [y], [channels, height + down, width + along], { size, value: -3.4028234663852886e38 }, { named: false, top: 0 })
}

const innerProduct: Converter = (view) => {
  const param = view.param('inner_product_param')
  const out = param.number('num_output') ?? missing(view, 'num_output')
  const bias = param.flag('bias_term', true)
  const transpose = param.flag('transpose', false)
  const { source } = view.bottoms[0] ?? {}
  const blob = view.fileBlobs()?.[0]
  // The weights know how many numbers come in, where the file does not say it.
  if (source && source.dims === undefined && blob && blob.count % out === 0) source.dims = [blob.count / out]
  const x = view.x()
  const axis = innerAxis(view, x, param.number('axis', 1))
  const inputs = elementCount(x.dims.slice(axis - 1))
  const parameters = view.parameters([
    ['weight', transpose ? [inputs, out] : [out, inputs]],
    ...(bias ? [['bias', [out]] as const] : []),
  ])
  return [
    view.emit('fc', [x], [...x.dims.slice(0, axis - 1), out], {
      out,
      bias,
      ...(transpose && { transpose }),
      ...(axis !== 1 && { axis }),
      ...(parameters.sharesWith === undefined &&
        view.fillers(param, { weight_filler: 'weight_init', ...(bias && { bias_filler: 'bias_init' }) })),
    }, { top: 0, parameters }),
  ]
}

/** SUM, ASUM, SUMSQ or MEAN over `axis` and all behind it. */
const reduction: Converter = (view) => {
  const param = view.param('reduction_param')
  const x = view.x()
  const operation = param.text('operation', 'SUM')
  const coeff = param.number('coeff', 1)
  const axis = axisOf(view, x, param.number('axis', 0))
  if (axis === 0) return [wholeReduction(view, x, operation, coeff)]
  const axes = x.dims.slice(axis - 1).map((_, i) => axis + i)
  const dims = x.dims.slice(0, axis - 1)
  const op = { SUM: 'reduce_sum', ASUM: 'reduce_l1', SUMSQ: 'reduce_sum', MEAN: 'reduce_mean' }[operation]!
  const squared = operation === 'SUMSQ' ? view.emit('mul', [x, x], x.dims, {}, { named: false }) : x
  const shaped: readonly number[] = dims.length === 0 ? [1] : dims
  const keep = dims.length === 0
  const kept = keep ? axes.map(() => 1) : dims
  const reduced = view.emit(op, [squared], kept, { axes, keep }, { ...(coeff === 1 && kept.length === shaped.length && { top: 0 }) })
  const flat = kept.length === shaped.length ? reduced
    : view.emit('flatten', [reduced], shaped, {}, { named: false, ...(coeff === 1 && { top: 0 }) })
  return [coeff === 1 ? flat : view.emit('mul', [flat, coeff], shaped, {}, { named: false, top: 0 })]
}

/** Over the batch too: one number, the language's `sum`. */
function wholeReduction(view: LayerView, x: Blob, operation: string, coeff: number): Blob {
  if (operation === 'MEAN')
    view.refuse('its mean goes over the batch too, whose size is not known here', 'reduce from axis 1 on, or take SUM')
  const part = operation === 'SUM' ? x
    : view.emit(operation === 'ASUM' ? 'abs' : 'mul', operation === 'ASUM' ? [x] : [x, x], x.dims, {}, { named: false })
  const scaled = coeff === 1 ? part : view.emit('mul', [part, coeff], x.dims, {}, { named: false })
  return view.loss('sum', [scaled], {}, { isLoss: false, heads: [] })
}

export const convolutionConverters: Readonly<Record<string, Converter>> = {
  Convolution: convolution(false),
  // Two spellings of forks for `group` as large as the channels.
  DepthwiseConvolution: convolution(false),
  ConvolutionDepthwise: convolution(false, true),
  Deconvolution: convolution(true),
  Pooling: pooling,
  InnerProduct: innerProduct,
  Reduction: reduction,
}
