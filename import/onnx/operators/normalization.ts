import { elementCount } from '../../../bundle/sizes.ts'
import type { Argument, ModelTensor } from '../../model-net.ts'
import { showDimensions } from '../dimension.ts'
import type { OnnxNode } from '../node.ts'
import { type Constant, constantOf, lazyConstant, parameterOf, type Tensor } from '../value.ts'
import { FLOAT32 } from '../element-type.ts'
import { OWN_STATISTICS } from '../own-statistics.ts'
import { rearranged, repeating } from './rearrange.ts'
import type { OnnxOperator } from './operator.ts'

/** Whether PyTorch wrote the model. In training it keeps the variance times m / (m - 1), where ONNX says that of the population. */
const fromTorch = (node: OnnxNode): boolean => node.net.producer.startsWith('pytorch')

const OF_BATCH: Argument = { call: 'batch', arguments: {} }

/** A constant of one number a channel. */
function channelNumbers(node: OnnxNode, input: number, what: string, channels: number): Constant {
  const c = node.constant(input, what)
  if (elementCount(c.shape) !== channels) return node.refuse(`${what} is ${showDimensions(c.shape)}, and there are ${channels} channels`)
  return c
}

const parameters = (named: Readonly<Record<string, Constant>>, shape: readonly number[]): Record<string, ModelTensor> =>
  Object.fromEntries(Object.entries(named).map(([role, c]) => [role, parameterOf(c, shape)]))

/**
 * batch_norm. The test form computes with the stored statistics; in training both forms keep
 *   running = momentum running + (1 - momentum) batch, of the population's variance (opset 14; in 9 to 13 the specification does not say), or, of a
 * net of PyTorch, what PyTorch keeps: the unbiased one.
 */
function batchNormalization(node: OnnxNode): void {
  const x = node.tensor(0)
  const channels = x.dims[0]
  if (channels === undefined) return node.refuse('its input has no channels')
  if (node.opset < 9 && node.int('spatial', 1) === 0)
    return node.refuse('spatial is 0: statistics for every position', 'export it with opset 9 or later')
  const isTraining = node.opset >= 14 && node.int('training_mode', 0) !== 0
  if (isTraining)
    node.note('changed', 'its training form is batch_norm: statistics of the batch in training, the kept ones at test time')
  const { arguments: args, parameters: own } = affine(channelNumbers(node, 1, 'scale', channels), channelNumbers(node, 2, 'B', channels), [
    channels,
  ])
  if (node.int(OWN_STATISTICS, 0) !== 0) {
    const how = { eps: node.float('epsilon', 1e-5), stats: OF_BATCH, ...args }
    return node.give(node.emit('batch_norm', [x], how, x.dims, { parameters: own }))
  }
  const stats = statisticsPolicy(node, isTraining)
  node.give(
    node.emit('batch_norm', [x], { eps: node.float('epsilon', 1e-5), stats, ...(fromTorch(node) && { unbiased: true }), ...args }, x.dims, {
      parameters: {
        ...own,
        ...(stats === 'cumulative' && parameters({ count: constantOf(new Float32Array(1), [1], FLOAT32) }, [1])),
        ...parameters({
          running_mean: channelNumbers(node, 3, 'the mean', channels),
          running_var: channelNumbers(node, 4, 'the variance', channels),
        }, [channels]),
      },
    }),
  )
}

const MEAN_OF_ALL =
  'batch normalization of momentum 1: PyTorch writes that for momentum=None, whose statistics are the mean over all batches, stats: cumulative; a training counts from its first batch. Where it was momentum=0, which keeps them, write stats: moving(newest: 0)'
const NEVER_MOVED =
  'batch normalization of momentum 1: its statistics stay as they are in training, stats: moving(newest: 0). To learn them write stats: moving(newest: 0.1), or cumulative'

const NEWEST_ALONE =
  'batch normalization of momentum 0 in its training form: PyTorch writes that for momentum=None of a net that no batch has trained, whose statistics are the mean over all batches, stats: cumulative. Where it was momentum=1, which keeps those of the last batch, write stats: moving(newest: 1)'
const PART_OF_MEAN = (batches: number): string =>
  `batch normalization of momentum 1 - 1/${batches + 1} in its training form is read as moving(newest: 1/${
    batches + 1
  }): PyTorch writes the same for momentum=None after ${batches} batches, whose statistics are the mean over all batches; then write stats: cumulative`

/** The momenta that people choose, as the weight of the newest batch. */
const USUAL = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]

/**
 * PyTorch has no number for a mean over all batches (`momentum=None`). It exports it as momentum 1, as which ONNX keeps what was; in the training form, after
 * k batches, as 1 - 1 / (k + 1).
 */
function statisticsPolicy(node: OnnxNode, isTraining: boolean): Argument {
  const newest = Number((1 - node.float('momentum', 0.9)).toPrecision(7))
  const isTorch = fromTorch(node)
  const cumulative = isTorch && (newest === 0 || (newest === 1 && isTraining))
  const batches = Math.round(1 / newest) - 1
  if (newest === 0) node.noteOnce('changed', cumulative ? MEAN_OF_ALL : NEVER_MOVED)
  else if (cumulative) node.noteOnce('changed', NEWEST_ALONE)
  else if (isTorch && isTraining && !USUAL.includes(newest) && Math.abs(newest * (batches + 1) - 1) < 1e-5)
    node.noteOnce('differs', PART_OF_MEAN(batches))
  return cumulative ? 'cumulative' : { call: 'moving', arguments: { newest } }
}

/** Whether gamma is all ones and beta all zeros, of constants that are no parameters. */
function plain(gamma: Constant, beta: Constant): boolean {
  return !gamma.learned && !beta.learned && gamma.values().every((v) => v === 1) && beta.values().every((v) => v === 0)
}

function affine(
  gamma: Constant,
  beta: Constant,
  shape: readonly number[],
): { arguments: { affine: boolean }; parameters?: Record<string, ModelTensor> } {
  return plain(gamma, beta) ? { arguments: { affine: false } }
    : { arguments: { affine: true }, parameters: parameters({ gamma, beta }, shape) }
}

function instanceNormalization(node: OnnxNode): void {
  const x = node.tensor(0)
  if (x.dims.length < 2) return node.refuse('its input is no map')
  const channels = x.dims[0]!
  const { arguments: args, parameters } = affine(channelNumbers(node, 1, 'scale', channels), channelNumbers(node, 2, 'B', channels), [
    channels,
  ])
  node.give(node.emit('instance_norm', [x], { eps: node.float('epsilon', 1e-5), ...args }, x.dims, { parameters }))
}

/** Opset 18 has a number a group, 21 one a channel. */
function groupNormalization(node: OnnxNode): void {
  const x = node.tensor(0)
  const channels = x.dims[0]!
  const groups = node.int('num_groups', 0)
  if (groups < 1 || channels % groups !== 0) return node.refuse(`${channels} channels in ${groups} groups`)
  const spread = (input: number, what: string): Constant => {
    if (node.opset >= 21) return channelNumbers(node, input, what, channels)
    const c = channelNumbers(node, input, what, groups)
    return lazyConstant(c, [channels], () => {
      const values = c.values()
      return Float32Array.from({ length: channels }, (_, i) => values[Math.floor(i * groups / channels)]!)
    })
  }
  const { arguments: args, parameters } = affine(spread(1, 'scale'), spread(2, 'bias'), [channels])
  node.give(node.emit('group_norm', [x], { groups, eps: node.float('epsilon', 1e-5), ...args }, x.dims, { parameters }))
}

/** Axes `axis` to the last are normalized together; gamma and beta have their shape. */
function layerNormalization(node: OnnxNode): void {
  const x = node.tensor(0)
  const axis = node.sampleAxis(node.int('axis', -1), x, 'it normalizes')
  const dims = x.dims.slice(axis - 1)
  const whole = (input: number, absent: number): Constant => {
    if (!node.has(input)) return constantOf(new Float32Array(elementCount(dims)).fill(absent), dims, FLOAT32)
    const c = node.constant(input, input === 1 ? 'Scale' : 'B')
    return elementCount(c.shape) === elementCount(dims) ? c : spread(node, c, dims)
  }
  const { arguments: args, parameters } = affine(whole(1, 1), whole(2, 0), dims)
  node.give(node.emit('layer_norm', [x], { axis, eps: node.float('epsilon', 1e-5), ...args }, x.dims, { parameters }))
  statistics(node, x, axis)
}

/** The mean, and 1 / sqrt(variance + epsilon), of LayerNormalization, where somebody reads them. */
function statistics(node: OnnxNode, x: Tensor, axis: number): void {
  if (!node.isRead(1) && !node.isRead(2)) return
  const axes = x.dims.flatMap((_, d) => (d + 1 >= axis ? [d + 1] : []))
  const dims = x.dims.map((dim, d) => (d + 1 >= axis ? 1 : dim))
  const mean = node.emit('reduce_mean', [x], { axes, keep: true }, dims, { main: false, output: 1 })
  if (node.isRead(1)) node.give(mean, 1)
  if (!node.isRead(2)) return
  const away = node.emit('sub', [x, mean], {}, x.dims, { main: false })
  const square = node.emit('mul', [away, away], {}, x.dims, { main: false })
  const variance = node.emit('reduce_mean', [square], { axes, keep: true }, dims, { main: false })
  const guarded = node.emit('add', [variance, node.float('epsilon', 1e-5)], {}, dims, { main: false })
  const root = node.emit('sqrt', [guarded], {}, dims, { main: false })
  node.give(node.emit('reciprocal', [root], {}, dims, { main: false, output: 2 }), 2)
}

/** A constant repeated over the axes that it has not. */
function spread(node: OnnxNode, c: Constant, dims: readonly number[]): Constant {
  const shape = [...new Array<number>(Math.max(0, dims.length - c.shape.length)).fill(1), ...c.shape]
  if (shape.length !== dims.length || shape.some((dim, d) => dim !== 1 && dim !== dims[d]))
    return node.refuse(`${showDimensions(c.shape)} does not go with ${showDimensions(dims)}`)
  return rearranged(c, dims, repeating(shape, dims))
}

function lrn(node: OnnxNode): void {
  const x: Tensor = node.tensor(0)
  const size = node.int('size', 0)
  if (size < 1) node.refuse(`a window of ${size} channels`)
  if (size % 2 === 0)
    node.refuse(`a window of ${size} channels has no middle`, 'windows of an odd number of channels can be said: lrn(size: 5)')
  node.give(
    node.emit('lrn', [x], { size, alpha: node.float('alpha', 1e-4), beta: node.float('beta', 0.75), k: node.float('bias', 1) }, x.dims),
  )
}

/** x over the norm of an axis; 0 where that is 0, as onnxruntime has it. */
function lpNormalization(node: OnnxNode): void {
  const x = node.tensor(0)
  const axis = node.sampleAxis(node.int('axis', -1), x, 'it normalizes')
  const p = node.int('p', 2)
  if (p !== 1 && p !== 2) node.refuse(`its p is ${p}`, '1 and 2 can be said')
  const dims = x.dims.map((dim, d) => (d + 1 === axis ? 1 : dim))
  const norm = node.emit(p === 1 ? 'reduce_l1' : 'reduce_l2', [x], { axes: [axis], keep: true }, dims, { main: false })
  const guarded = node.emit('max', [norm, SMALLEST], {}, dims, { main: false })
  node.give(node.emit('div', [x, guarded], {}, x.dims))
}

/** The smallest number that float32 holds with all digits. */
const SMALLEST = 2 ** -126

/**
 * (x - mean) / (sqrt(variance) + 1e-9) over `axes`. Where the variance is not 0 to the last digit, 1e-9 is the same within the root: of the layers that
 * normalize, the one that does it along these axes.
 */
function meanVarianceNormalization(node: OnnxNode): void {
  const x = node.tensor(0)
  const rank = x.dims.length + 1
  const given = [...new Set((node.ints('axes') ?? [0, 2, 3]).map((axis) => node.axis(axis, rank)))].toSorted((a, b) => a - b)
  const axes = node.net.declaredBatch === 1 ? given.filter((axis) => axis !== 0) : given
  const how = { eps: 1e-18, affine: false }
  const [first, last] = [axes[0] ?? 0, axes.at(-1) ?? 0]
  if (x.bare) node.refuse('its input has no axis for the batch', 'keep the batch as the first axis in the model')
  if (first === 0 && axes.length === rank - 1 && !axes.includes(1))
    return node.give(node.emit('batch_norm', [x], { stats: OF_BATCH, ...how }, x.dims))
  for (const axis of axes) node.sampleAxis(axis, x, 'it normalizes')
  if (axes.length === 0 || axes.length !== last - first + 1)
    node.refuse(`it normalizes along axes ${axes.join(', ')}`, 'axes that lie side by side can be said')
  if (first === 2 && last === rank - 1) return node.give(node.emit('instance_norm', [x], how, x.dims))
  node.give(node.emit('layer_norm', [x], { axis: first, end: last === rank - 1 ? -1 : last, ...how }, x.dims))
}

export const normalizationOperators: readonly OnnxOperator[] = [
  { op: 'BatchNormalization', batched: true, map: batchNormalization },
  { op: 'InstanceNormalization', batched: true, map: instanceNormalization },
  { op: 'GroupNormalization', batched: true, map: groupNormalization },
  { op: 'LayerNormalization', map: layerNormalization },
  { op: 'LpNormalization', map: lpNormalization },
  { op: 'MeanVarianceNormalization', since: 9, map: meanVarianceNormalization },
  { op: 'LRN', batched: true, map: lrn },
]
