import { elementCount } from '../../../bundle/sizes.ts'
import { axisRange } from '../../../compiler/ops/axes.ts'
import { epsOf, policyOf, storesSums } from '../../../compiler/ops/batch-norm/statistics-policy.ts'
import { channelNormalization } from '../../../compiler/ops/normalize.ts'
import { type Blobs, type Layer, numberOf, power, reshapeTo, type Row } from '../layer.ts'

/** BatchNorm normalizes, Scale has gamma and beta. The blobs are mean, variance and the factor by which both are divided: 1, or that of the sums. */
const batchNorm: Row = (layer) => {
  const channels = layer.shape[1] as number
  const isBatch = policyOf(layer.attributes) === 'batch'
  const zeros = layer.numbers(new Float32Array(channels))
  const factor = !isBatch && storesSums(layer.attributes) ? layer.parameter('scale_factor', [1]) : layer.numbers([1])
  const blobs = isBatch ? [zeros, zeros, factor] : [layer.parameter('running_mean'), layer.parameter('running_var'), factor]
  const params = { batch_norm_param: { use_global_stats: !isBatch, eps: epsOf(layer.attributes) } }
  if (!layer.has('gamma')) return layer.done('BatchNorm', [layer.input()], params, { blobs })
  const y = layer.add('', 'BatchNorm', [layer.input()], params, { blobs })
  scaled(layer, y, 'gamma', 'beta')
}

/** gamma x + beta; `axis`: the first of those that they have. */
function scaled(layer: Layer, x: string, gamma: string, beta: string, axis = 1): void {
  const hasBias = layer.has(beta)
  const weight = layer.parameter(gamma)
  const num_axes = weight.shape.length
  layer.done('Scale', [x], {
    scale_param: { ...(axis !== 1 && { axis }), ...(num_axes !== 1 && { num_axes }), bias_term: hasBias },
  }, { blobs: [weight, ...(hasBias ? [layer.parameter(beta)] : [])] })
}

const scale: Row = (layer) => scaled(layer, layer.input(), 'weight', 'bias')
const bias: Row = (layer) => layer.done('Bias', [layer.input()], {}, { blobs: [layer.parameter('bias')] })

/**
 * (x - mean) / sqrt(mean of squared differences + eps) over the axes from `axis` on, by Reduction: Caffe's MVN adds eps to the root.
 */
function normalized(layer: Layer, x: string, axis: number, eps: number, isLast: boolean): string {
  const reduction = (operation: string) => ({ reduction_param: { operation, axis } })
  const mean = layer.add('mean', 'Reduction', [x], reduction('MEAN'))
  const minus = layer.add('minus', 'Power', [mean], power({ scale: -1 }))
  const centred = layer.add('centred', 'Bias', [x, minus], { bias_param: { axis: 0 } })
  const square = layer.add('square', 'Power', [centred], power({ power: 2 }))
  const inverse = layer.add(
    'inverse',
    'Power',
    [layer.add('variance', 'Reduction', [square], reduction('MEAN'))],
    power({ shift: eps, power: -0.5 }),
  )
  const by = { scale_param: { axis: 0 } }
  if (!isLast) return layer.add('normalized', 'Scale', [centred, inverse], by)
  layer.done('Scale', [centred, inverse], by)
  return ''
}

/** Groups of channels are the channels of another shape. */
function withGroups(layer: Layer, groups: number): void {
  const joined = layer.add('groups', 'Reshape', [layer.input()], {
    reshape_param: { shape: { dim: [0, groups, elementCount(layer.shape.slice(1)) / groups] } },
  })
  const unit = normalized(layer, joined, 2, numberOf(layer, 'eps', 1e-5), false)
  if (!layer.has('gamma')) return layer.done('Reshape', [unit], reshapeTo(layer.shape))
  scaled(layer, layer.add('channels', 'Reshape', [unit], reshapeTo(layer.shape)), 'gamma', 'beta')
}

const layerNorm: Row = (layer) => {
  const rank = layer.shape.length
  const axes = axisRange({ axis: 1, end: -1, ...layer.attributes }, rank)
  if (axes.at(-1) !== rank - 1) {
    return layer.fail(
      'Caffe takes means over the last axes alone, and these end before',
      'normalize up to the last axis, or write --to onnx',
    )
  }
  const eps = numberOf(layer, 'eps', 1e-5)
  // A sample as a whole is one group.
  if (axes[0] === 1) return withGroups(layer, 1)
  if (!layer.has('gamma')) return void normalized(layer, layer.input(), axes[0]!, eps, true)
  scaled(layer, normalized(layer, layer.input(), axes[0]!, eps, false), 'gamma', 'beta', axes[0]!)
}

/** (x - mean) / std with the numbers of the text: one for all is a Power, one a channel a Scale that no training changes. */
const normalize: Row = (layer) => {
  const channels = layer.shape[1] as number
  const { mean, inverse } = channelNormalization(layer.attributes, channels)
  const shift = mean.map((m, c) => -m * inverse[c]!)
  if (new Set(mean).size === 1 && new Set(inverse).size === 1)
    return layer.done('Power', [layer.input()], power({ scale: inverse[0]!, shift: shift[0]! }))
  const more: Blobs = { blobs: [layer.numbers(inverse), layer.numbers(shift)], constant: true }
  layer.done('Scale', [layer.input()], { scale_param: { bias_term: true } }, more)
}

export const normalizationRows: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['batch_norm', batchNorm],
  ['scale', scale],
  ['bias', bias],
  ['group_norm', (layer) => withGroups(layer, numberOf(layer, 'groups', 1))],
  ['instance_norm', (layer) => withGroups(layer, layer.shape[1] as number)],
  ['layer_norm', layerNorm],
  ['normalize', normalize],
])
