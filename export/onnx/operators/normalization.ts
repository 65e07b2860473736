import { axisRange } from '../../../compiler/ops/axes.ts'
import { epsOf, policyOf, statsOf, storesSums } from '../../../compiler/ops/batch-norm/statistics-policy.ts'
import { channelShape, float, type Layer, type NodeAttributes, numberOf, reshapeTo, type Row } from '../layer.ts'
import { reduced } from './reduction.ts'

/** Batch normalization with stored statistics, in the form of test time: one output. */
const batchNorm: Row = (layer) => {
  if (policyOf(layer.attributes) === 'batch') return withBatchStatistics(layer)
  const channels = layer.shape[1] as number
  const gamma = layer.has('gamma') ? layer.parameter('gamma') : layer.numbers('gamma', new Array<number>(channels).fill(1), [channels])
  const beta = layer.has('beta') ? layer.parameter('beta') : layer.numbers('beta', new Array<number>(channels).fill(0), [channels])
  const [mean, variance] = statistics(layer)
  const far = isFar(layer, mean, variance)
  const x = far ? layer.add('centred', 'Sub', [layer.input(), ofRole(layer, 'running_mean', mean, channelShape(layer.shape))])
    : layer.input()
  const means = far ? layer.numbers('mean', new Array<number>(channels).fill(0), [channels]) : ofRole(layer, 'running_mean', mean)
  layer.done('BatchNormalization', [x, gamma, beta, means, ofRole(layer, 'running_var', variance)], {
    epsilon: float(epsOf(layer.attributes)),
    ...momentumOf(layer),
  })
}

/** The weight of the old statistics in training, for who trains on. What other policies do, ONNX cannot say. */
function momentumOf({ attributes }: Layer): NodeAttributes {
  const { newest = 0.95 } = statsOf(attributes).args
  return policyOf(attributes) === 'moving' ? { momentum: float(1 - (newest as number)) } : {}
}

/** Mean and variance; sums are divided by their factor, and are 0 while that is 0. */
function statistics(layer: Layer): readonly [Float32Array, Float32Array] {
  const [mean, variance] = [layer.values('running_mean'), layer.values('running_var')]
  if (!storesSums(layer.attributes)) return [mean, variance]
  const factor = layer.values('scale_factor')[0]!
  const divided = (sums: Float32Array): Float32Array => sums.map((sum) => (factor === 0 ? 0 : sum / factor))
  return [divided(mean), divided(variance)]
}

/** Statistics as an initializer: the parameter, but for what was divided. */
const ofRole = (layer: Layer, role: string, values: Float32Array, shape: readonly number[] = [values.length]): string =>
  storesSums(layer.attributes) ? layer.numbers(role, values, shape) : layer.parameter(role, { shape })

/** Deviations from which on a mean is far from 0: onnxruntime then loses more than two digits (1000 and 0.01: 1.5e-3, measured). */
const FAR = 64
/** Layers into which runtimes take a normalization: what is large there is so before it. */
const FOLDED = ['conv', 'deconv', 'fc']

/** Whether values are far from 0 for their deviation: runtimes compute x scale - mean scale, where digits cancel. */
const isFar = ({ attributes, producer }: Layer, mean: Float32Array, variance: Float32Array): boolean =>
  !FOLDED.includes(producer?.op ?? '') && mean.some((m, c) => Math.abs(m) > FAR * Math.sqrt(variance[c]! + epsOf(attributes)))

/** `stats: batch`: each batch is normalized with its own statistics, at test time too. */
function withBatchStatistics(layer: Layer): void {
  const axes = layer.shape.flatMap((_, d) => (d === 1 ? [] : [d]))
  affine(layer, normalized(layer, layer.input(), axes, epsOf(layer.attributes)), channelShape(layer.shape))
}

/** x - mean along axes. Of values about 1000 a mean of float32 is off by more than small deviations are: what is left of it is a second mean's. */
const around = (layer: Layer, x: string, axes: readonly number[]): string =>
  layer.add('around', 'Sub', [x, reduced(layer, 'about', 'ReduceMean', x, axes)])

/** (x - mean) / sqrt(mean of squared differences + eps) along axes: a variance that is a difference of means would lose digits. */
function normalized(layer: Layer, given: string, axes: readonly number[], eps: number): string {
  const x = around(layer, given, axes)
  const centred = layer.add('centred', 'Sub', [x, reduced(layer, 'mean', 'ReduceMean', x, axes)])
  const squares = layer.add('squares', 'Mul', [centred, centred])
  const variance = layer.add('guarded', 'Add', [reduced(layer, 'variance', 'ReduceMean', squares, axes), layer.numbers('eps', [eps])])
  return layer.add('normalized', 'Div', [centred, layer.add('deviation', 'Sqrt', [variance])])
}

/** gamma x + beta, or x itself where the layer has neither. */
function affine(layer: Layer, x: string, shape: readonly number[]): void {
  const scaled = !layer.has('gamma') ? x
    : layer.has('beta') ? layer.add('scaled', 'Mul', [x, layer.parameter('gamma', { shape })], {}, true) : undefined
  if (scaled === undefined) layer.done('Mul', [x, layer.parameter('gamma', { shape })])
  else if (layer.has('beta')) layer.done('Add', [scaled, layer.parameter('beta', { shape })])
  else layer.done('Identity', [scaled])
}

const fill = (layer: Layer, suffix: string, count: number, value: number): string =>
  layer.numbers(suffix, new Array<number>(count).fill(value), [count])

const instanceNorm: Row = (layer) => {
  if (layer.shape.length < 3) return withGroups(layer, layer.shape[1] as number)
  const channels = layer.shape[1] as number
  const gamma = layer.has('gamma') ? layer.parameter('gamma') : fill(layer, 'gamma', channels, 1)
  const beta = layer.has('beta') ? layer.parameter('beta') : fill(layer, 'beta', channels, 0)
  const x = around(layer, layer.input(), layer.shape.map((_, d) => d).slice(2))
  layer.done('InstanceNormalization', [x, gamma, beta], { epsilon: float(numberOf(layer, 'eps', 1e-5)) })
}

/** Groups are channels of another shape: GroupNormalization of runtimes loses digits where a mean is large. */
function withGroups(layer: Layer, groups: number): void {
  const whole = layer.shape[0] === 'n' ? 0 : layer.shape[0] as number
  const joined = layer.add('groups', 'Reshape', [layer.input(), layer.integers('as_groups', [whole, groups, -1])])
  const unit = layer.add('normalized', 'InstanceNormalization', [
    around(layer, joined, [2]),
    fill(layer, 'one', groups, 1),
    fill(layer, 'zero', groups, 0),
  ], {
    epsilon: float(numberOf(layer, 'eps', 1e-5)),
  })
  const back = layer.integers('shape', reshapeTo(layer.shape))
  if (layer.has('gamma')) affine(layer, layer.add('channels', 'Reshape', [unit, back]), channelShape(layer.shape))
  else layer.done('Reshape', [unit, back])
}

const groupNorm: Row = (layer) => withGroups(layer, numberOf(layer, 'groups', 1))

/** The opset that has LayerNormalization, of the last axes. */
const LAYER_NORM = 17

/** Where ONNX has no operator for it, in its parts, as exporters of older opsets write it. */
const layerNorm: Row = (layer) => {
  const rank = layer.shape.length
  const axes = axisRange({ axis: 1, end: -1, ...layer.attributes }, rank)
  const last = axes.at(-1)!
  const sizes = axes.map((d) => layer.shape[d] as number)
  const eps = numberOf(layer, 'eps', 1e-5)
  if (layer.opset >= LAYER_NORM && last === rank - 1) {
    const gamma = layer.has('gamma') ? layer.parameter('gamma')
      : layer.numbers('gamma', new Float32Array(sizes.reduce((a, b) => a * b, 1)).fill(1), sizes)
    const beta = layer.has('beta') ? [layer.parameter('beta')] : []
    layer.done('LayerNormalization', [around(layer, layer.input(), axes), gamma, ...beta], { axis: axes[0]!, epsilon: float(eps) })
  } else affine(layer, normalized(layer, layer.input(), axes, eps), [...sizes, ...new Array<number>(rank - 1 - last).fill(1)])
}

/** weight x + bias, a number a channel. */
const scale: Row = (layer) => {
  const shape = channelShape(layer.shape)
  const weight = layer.parameter('weight', { shape })
  if (!layer.has('bias')) return layer.done('Mul', [layer.input(), weight])
  layer.done('Add', [layer.add('scaled', 'Mul', [layer.input(), weight], {}, true), layer.parameter('bias', { shape })])
}

const bias: Row = (layer) => layer.done('Add', [layer.input(), layer.parameter('bias', { shape: channelShape(layer.shape) })])

/** (x - mean) / std with the numbers of the text. */
const normalize: Row = (layer) => {
  const list = (name: string): string => {
    const numbers = layer.attributes[name] as readonly number[]
    const isOne = new Set(numbers).size === 1
    return isOne ? layer.numbers(name, [numbers[0]!]) : layer.numbers(name, numbers, channelShape(layer.shape))
  }
  layer.done('Div', [layer.add('centred', 'Sub', [layer.input(), list('mean')]), list('std')])
}

export const normalizationRows: ReadonlyMap<string, Row> = new Map([
  ['batch_norm', batchNorm],
  ['instance_norm', instanceNorm],
  ['group_norm', groupNorm],
  ['layer_norm', layerNorm],
  ['scale', scale],
  ['bias', bias],
  ['normalize', normalize],
])
