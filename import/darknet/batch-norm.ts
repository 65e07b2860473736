import type { ModelTensor } from '../model-net.ts'
import type { NetBuilder } from './net-builder.ts'
import type { Options } from './options.ts'

/** The four arrays of a normalization, as a section of `.weights` has them. */
export interface Statistics {
  readonly beta?: ModelTensor | undefined
  readonly gamma: ModelTensor
  readonly mean: ModelTensor
  readonly variance: ModelTensor
}

/** What Darknet adds to the deviation: y = gamma (x - mean) / (sqrt(variance) + 1e-6) + beta. */
const BESIDE_THE_ROOT = 1e-6

/**
 * Normalizes each channel. Darknet's 1e-6 stands beside the root, ours within; both agree where the kept variance is given as
 * v + 2e-6 sqrt(v), since v + 2e-6 sqrt(v) + 1e-12 = (sqrt(v) + 1e-6)^2. So at test time nothing differs. In training the deviation of a
 * batch differs by less than 1e-6, and Darknet divides the variance by N - 1 where `batch_norm` divides by N and keeps N - 1 alone.
 */
export function batchNorm(
  net: NetBuilder,
  options: Options,
  x: string,
  [channels, ...pixels]: readonly number[],
  statistics: Statistics | undefined,
): string {
  if (net.batch * pixels.reduce((n, d) => n * d, 1) === 1) net.hasOneValue = true

  const later = net.laterBatchNorm
  const parameters = statistics && {
    gamma: statistics.gamma,
    beta: statistics.beta ?? { shape: [channels!], values: () => new Float32Array(channels!) },
    running_mean: statistics.mean,
    running_var: later ? statistics.variance : withinTheRoot(statistics.variance),
  }
  return net.layer(options, 'batch_norm', [x], {
    eps: later ? 1e-5 : BESIDE_THE_ROOT ** 2,
    stats: { call: 'moving', arguments: { newest: later ? 0.1 : 0.01 } },
    unbiased: true,
    gamma: 1,
    beta: 0,
    decay_mult: net.decays ? 0 : undefined,
    ...net.rateOf(options, 2),
  }, parameters)
}

/** v + 2e-6 sqrt(v). */
function withinTheRoot(variance: ModelTensor): ModelTensor {
  return { shape: variance.shape, values: () => variance.values().map((v) => v + 2 * BESIDE_THE_ROOT * Math.sqrt(v)) }
}
