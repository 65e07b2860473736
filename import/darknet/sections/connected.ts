import { elementCount } from '../../../bundle/sizes.ts'
import { activate } from '../activation.ts'
import { batchNorm, type Statistics } from '../batch-norm.ts'
import { instead, type Made, type NetBuilder } from '../net-builder.ts'
import type { Options } from '../options.ts'
import { loads } from './convolutional.ts'

/** `[connected]`: an inner product with all numbers of a sample, a bias or a normalization, an activation. Its output is a map [N, 1, 1]. */
export function connected(net: NetBuilder, options: Options, x: Made): Made {
  const outputs = options.count('output', 1)
  const inputs = elementCount(x.shape)
  const normalized = options.int('batch_normalize', 0) !== 0
  if (inputs * outputs >= 2 ** 31) {
    options.problem(`${inputs} times ${outputs} weights are more than Darknet can count`)
    return instead(x, [outputs, 1, 1])
  }
  const arrays = takeArrays(net, options, inputs, outputs, normalized)
  // sqrt(2 / inputs) times uniform between -1 and 1
  const edge = Number(Math.sqrt(2 / inputs).toPrecision(6))
  const y = net.layer(options, 'fc', [x.value], {
    out: outputs,
    bias: !normalized,
    ...(net.weights.source ? {} : { weight_init: { call: 'uniform', arguments: { lo: -edge, hi: edge } } }),
    ...net.rateOf(options, normalized ? 1 : 2),
    ...(!normalized && net.decays && { decay_mult: [1, 0] }),
  }, arrays && { weight: arrays.weight, ...(!normalized && { bias: arrays.bias }) })
  const z = normalized ? batchNorm(net, options, y, [outputs], arrays?.statistics) : y
  return net.give(options, { value: activate(net, options, z, 'logistic'), shape: [outputs], map: [outputs, 1, 1] })
}

/** Bias, weights, then gamma, mean, variance of a normalization. */
function takeArrays(net: NetBuilder, options: Options, inputs: number, outputs: number, normalized: boolean) {
  const load = loads(net, options)
  if (!load.any) return undefined
  const { weights } = net
  const bias = weights.take([outputs])!
  const weight = weights.take([outputs, inputs], weights.header!.transposed ? { rows: outputs, columns: inputs } : undefined)!
  const statistics: Statistics | undefined = normalized && load.scales
    ? { beta: bias, gamma: weights.take([outputs])!, mean: weights.take([outputs])!, variance: weights.take([outputs])! }
    : undefined
  weights.end(net.index, options.where)
  return { bias, weight, statistics }
}
