import type { AttributeCall } from '../../dsl/signature.ts'
import type { Initializer } from '../../bundle/format.ts'

/**
 * How a parameter starts: what the file says (`xavier`, `gaussian(0.01)`), or nothing, which means msra in front of a
 * rectifier and xavier elsewhere (`followedByRectifier` is known once the graph is built), or a number.
 */
export interface FillerSpec {
  readonly filler?: AttributeCall
  readonly value?: number
  /** Caffe: fan_in = count / num (inputs of one output), fan_out = count / channels. */
  readonly fanIn: number
  readonly fanOut: number
}

/**
 * xavier: uniform in +-sqrt(3 / fan) (Glorot & Bengio 2010, as Caffe has it); msra: gaussian of deviation sqrt(2 / fan)
 * (He et al. 2015). fan is fan_in unless `variance_norm` says fan_out or average.
 */
export function initializerOf(spec: FillerSpec, followedByRectifier: boolean): Initializer {
  if (spec.filler === undefined && spec.value !== undefined) return { kind: 'constant', value: spec.value }
  const filler = spec.filler ?? { call: followedByRectifier ? 'msra' : 'xavier', args: {} }
  const { args } = filler
  const norm = args['variance_norm'] ?? 'fan_in'
  const fan = norm === 'fan_out' ? spec.fanOut : norm === 'average' ? (spec.fanIn + spec.fanOut) / 2 : spec.fanIn
  switch (filler.call) {
    case 'xavier':
      return { kind: 'uniform', low: -Math.sqrt(3 / fan), high: Math.sqrt(3 / fan) }
    case 'msra':
      return { kind: 'gaussian', mean: 0, deviation: Math.sqrt(2 / fan) }
    case 'gaussian':
      return { kind: 'gaussian', mean: (args['mean'] as number | undefined) ?? 0, deviation: args['std'] as number }
    case 'uniform':
      return { kind: 'uniform', low: args['lo'] as number, high: args['hi'] as number }
    case 'bilinear':
      return { kind: 'bilinear' }
    default:
      return { kind: 'constant', value: args['value'] as number }
  }
}
