import { activate } from '../activation.ts'
import { batchNorm } from '../batch-norm.ts'
import { type Made, type NetBuilder } from '../net-builder.ts'
import type { Options } from '../options.ts'
import { loads } from './convolutional.ts'

/** `[batchnorm]`: a normalization alone. The file has gamma, mean, variance; beta is 0. */
export function batchnorm(net: NetBuilder, options: Options, x: Made): Made {
  const input = net.asMap(options, x)
  if (!input) return x
  const [c] = input.map
  const { any } = loads(net, options)
  const statistics = any ? { gamma: net.weights.take([c])!, mean: net.weights.take([c])!, variance: net.weights.take([c])! } : undefined
  if (any) net.weights.end(net.index, options.where)
  options.differs('gamma and beta are learned here; Darknet of 2018 has no update for this section, on a CPU no memory for it either')
  return { value: batchNorm(net, options, input.value, input.map, statistics), shape: input.map, map: input.map }
}

/** `[l2norm]`: each pixel divided by the length of its channels. */
export function l2norm(net: NetBuilder, options: Options, x: Made): Made {
  const input = net.asMap(options, x)
  if (!input) return x
  const length = net.layer(options, 'reduce_l2', [input.value], { axes: [1], keep: true })
  options.differs('the gradient is that of the formula; Darknet hands gradients through as if nothing was divided')
  return { value: net.layer(options, 'div', [input.value, length]), shape: input.map, map: input.map }
}

/** `[activation]`. */
export const activation = (net: NetBuilder, options: Options, x: Made): Made => ({ ...x, value: activate(net, options, x.value, 'linear') })
