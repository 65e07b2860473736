import { activate, RECTIFIERS } from '../activation.ts'
import { batchNorm, type Statistics } from '../batch-norm.ts'
import { instead, type Made, type NetBuilder } from '../net-builder.ts'
import type { Options } from '../options.ts'

/** Numbers of a filter or matrix that one parameter may have: Darknet counts them in an int. */
const MOST_WEIGHTS = 2 ** 31 - 1

/** `[convolutional]` and `[deconvolutional]`: filters of `size`, a bias or a normalization, an activation. */
export function convolutional(net: NetBuilder, options: Options, x: Made): Made {
  const isDeconv = options.section.kind.startsWith('deconv')
  const filters = options.count('filters', 1)
  const size = options.count('size', 1)
  const stride = options.count('stride', 1)
  const strides = isDeconv ? [stride, stride] as const : [options.count('stride_y', stride), options.count('stride_x', stride)] as const
  const dilation = isDeconv || size === 1 ? 1 : options.count('dilation', 1)
  const groups = isDeconv ? 1 : options.count('groups', 1)
  const half = options.int('pad', 0) !== 0
  const padding = options.count('padding', 0, 0)
  const pad = half ? Math.floor(size / 2) : padding
  const input = net.asMap(options, x)
  refuseBinary(options)
  refuseLater(options)
  if (dilation > 1 && 2 * pad !== size - 1)
    options.problem(`dilation=${dilation} with padding ${pad}: Darknet reads beyond the map`, 'pad=1, and an odd size')
  const flipped = options.int('flipped', 0) !== 0
  if (options.float('dot', 0) !== 0) options.leaveOut('dot: Darknet adds this to the gradients on a GPU alone')
  const normalized = options.int('batch_normalize', 0) !== 0
  if (!input) return instead(x, [filters, 1, 1])

  const [c, h, w] = input.map
  if (c % groups !== 0 || filters % groups !== 0) {
    options.problem(`groups=${groups} divide neither ${c} channels nor ${filters} filters evenly`, 'both must be multiples of groups')
    return instead(x, [filters, h, w])
  }
  const out = isDeconv
    ? [(h - 1) * stride + size - 2 * pad, (w - 1) * stride + size - 2 * pad] as const
    : [h, w].map((d, i) => Math.floor((d + 2 * dilation * pad - dilation * (size - 1) - 1) / strides[i]!) + 1) as unknown as readonly [
      number,
      number,
    ]
  const weightShape = isDeconv ? [c, filters, size, size] : [filters, c / groups, size, size]
  if (weightShape.reduce((n, d) => n * d, 1) > MOST_WEIGHTS) {
    options.problem(`its filters [${weightShape.join(', ')}] are more than Darknet can count`)
    return instead(x, [filters, 1, 1])
  }
  if (flipped && groups > 1)
    options.problem(
      'flipped=1 with groups: Darknet turns a matrix that is larger than the filters',
      'load the weights in Darknet and save them without it',
    )
  if (size === 1 && Math.max(...strides) > 1 && !isDeconv) {
    options.differs(
      `size=1 with stride ${
        strides[0]
      }: imported as a convolution, as cuDNN computes it; Darknet of 2018 takes the first pixels of the map in a row instead on a CPU`,
    )
  }

  const arrays = takeArrays(net, options, filters, weightShape, normalized, flipped)
  const convolved = net.layer(options, isDeconv ? 'deconv' : 'conv', [input.value], {
    out: filters,
    kernel: size,
    stride: strides[0] === strides[1] ? strides[0] : strides,
    pad: pad * dilation,
    dilation,
    groups,
    bias: !normalized,
    ...(net.weights.source ? {} : { weight_init: startOf(options, isDeconv, (out[0] * out[1]) / (h * w)) }),
    ...net.rateOf(options, normalized ? 1 : 2),
    ...(!normalized && net.decays && { decay_mult: [1, 0] }),
  }, arrays && { weight: arrays.weight, ...(!normalized && { bias: arrays.bias }) })
  const map = [filters, ...out] as [number, number, number]
  const y = normalized ? batchNorm(net, options, convolved, map, arrays?.statistics) : convolved
  return net.give(options, { value: activate(net, options, y, 'logistic'), shape: map, map })
}

/** Bias, then gamma, mean, variance of a normalization, then the filters. */
function takeArrays(net: NetBuilder, options: Options, filters: number, shape: readonly number[], normalized: boolean, flipped: boolean) {
  const load = loads(net, options)
  if (!load.any) return undefined
  const { weights } = net
  const bias = weights.take([filters])!
  const statistics: Statistics | undefined = normalized && load.scales
    ? { beta: bias, gamma: weights.take([filters])!, mean: weights.take([filters])!, variance: weights.take([filters])! }
    : undefined
  const weight = weights.take(shape, flipped ? { rows: shape[0]!, columns: shape[1]! * shape[2]! * shape[3]! } : undefined)!
  weights.end(net.index, options.where)
  return { bias, statistics, weight }
}

/** What of a section is in the file, by its own keys. */
export function loads(net: NetBuilder, options: Options): { any: boolean; scales: boolean } {
  const not = options.int('dontload', 0) !== 0
  const scales = options.int('dontloadscales', 0) === 0
  const part = options.int('numload', 0)
  if (!net.weights.source) return { any: false, scales: false }
  if (part !== 0)
    options.problem(
      `numload=${part}: the file has a part of the filters alone`,
      'let Darknet load and save the net once, then take out numload',
    )
  if (not) options.leaveOut('dontload=1: the file has nothing for this section, its parameters start anew')
  else if (!scales) options.leaveOut('dontloadscales=1: its normalization starts anew')
  return { any: !not, scales }
}

/** Darknet's first weights: normal, sqrt(2 / inputs of a sum); nothing where the language chooses the same by itself. */
function startOf(options: Options, isDeconv: boolean, growth: number): { call: string; arguments: Record<string, number> } | undefined {
  if (isDeconv) return { call: 'gaussian', arguments: { std: Number((0.02 * growth).toPrecision(6)) } }
  return RECTIFIERS.includes(options.text('activation') ?? '') ? undefined : { call: 'msra', arguments: {} }
}

function refuseBinary(options: Options): void {
  for (const key of ['binary', 'xnor'] as const) {
    if (options.int(key, 0) !== 0) {
      options.problem(
        `${key}=1: ${
          key === 'xnor' ? 'weights and inputs are' : 'weights are'
        } rounded to two values while the net runs; no layer does that`,
        `a net trained without ${key} is imported`,
      )
    }
  }
}

/** Keys of later Darknets that change what a section computes. */
const LATER = ['antialiasing', 'sway', 'rotate', 'stretch', 'stretch_sway', 'bin_output', 'cbn', 'coordconv']

function refuseLater(options: Options): void {
  for (const key of LATER) { if (options.int(key, 0) !== 0) options.problem(`${key}=1 of later Darknets is not read`) }
  if (options.text('share_index') !== undefined) options.problem('share_index: filters of another section are not read')
}
