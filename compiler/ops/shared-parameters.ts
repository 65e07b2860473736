import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { AttributeCall, Parameter } from '../../dsl/signature.ts'
import { argumentProblem } from './diagnostics.ts'
import { fillers } from './initializer-signatures.ts'
import { decayMultipliers, rateMultipliers, rateParameters } from './multipliers.ts'
import type { ParameterSpec, ShapeQuestion } from './operator.ts'

/*
 * What layers with a weight and a bias have in common: how both start, and how fast they learn.
 */

const filler = (name: string, doc: string): Parameter => ({
  name,
  type: { kind: 'call', calls: fillers },
  optional: true,
  named: true,
  doc,
})

/** Arguments of every layer that owns a weight and a bias. */
export const weightParameters: readonly Parameter[] = [
  filler('weight_init', 'how the weight starts; msra in front of a rectifier, else xavier'),
  filler('bias_init', 'how the bias starts; 0'),
  ...rateParameters(2),
]

export const biasParameter: Parameter = {
  name: 'bias',
  type: { kind: 'boolean' },
  default: true,
  named: true,
  doc: 'whether a bias is added',
}

/** What a call says about how a parameter starts; a bare number is a constant. */
function fillerOf(q: ShapeQuestion, name: string): AttributeCall | undefined {
  const given = q.attributes[name]
  if (typeof given === 'number') return { call: 'constant', args: { value: given } }
  return typeof given === 'object' && 'call' in given ? given : undefined
}

export interface WeightAndBias {
  readonly weight: readonly number[]
  readonly fanIn: number
  readonly fanOut: number
  /** Length of the bias. */
  readonly out: number
}

/** The weight, and the bias unless the call says `bias: false`. */
export function weightAndBias(q: ShapeQuestion, { weight, fanIn, fanOut, out }: WeightAndBias): ParameterSpec[] {
  const weightFiller = fillerOf(q, 'weight_init')
  const biasFiller = fillerOf(q, 'bias_init')
  const rates = (i: number) => ({ rateMultiplier: rateMultipliers(q.attributes, i), decayMultiplier: decayMultipliers(q.attributes, i) })
  const specs: ParameterSpec[] = [{
    role: 'weight',
    shape: weight,
    filler: { ...(weightFiller && { filler: weightFiller }), fanIn, fanOut },
    ...rates(0),
  }]
  if (q.attributes['bias'] === false) return specs
  // Caffe's fans of a blob [out]: fan_in = count / num, fan_out = count / channels, and an axis that is not there has 1.
  const start = biasFiller ? { filler: biasFiller } : { value: 0 }
  return [...specs, { role: 'bias', shape: [out], filler: { ...start, fanIn: 1, fanOut: out }, ...rates(1) }]
}

/** Fillers that cannot be, for a weight whose windows are `window` (absent: it has none). */
export function fillerProblems(q: ShapeQuestion, window?: readonly [number, number]): Diagnostic[] {
  return ['weight_init', 'bias_init'].flatMap((name) => {
    const given = fillerOf(q, name)
    if (given?.call === 'bilinear' && (name === 'bias_init' || !window || window[0] !== window[1])) {
      return [
        argumentProblem(
          q,
          name,
          'bilinear',
          `bilinear fills square windows, and this ${
            name === 'bias_init' ? 'is a bias' : window ? `window is ${window[0]} x ${window[1]}` : 'weight has none'
          }`,
          'it belongs to deconv, e.g. deconv(21, 4, stride: 2, pad: 1, groups: 21, weight_init: bilinear)',
        ),
      ]
    }
    if (given?.call === 'uniform' && !((given.args['lo'] as number) <= (given.args['hi'] as number))) {
      return [
        argumentProblem(
          q,
          name,
          'uniform',
          `uniform(${given.args['lo']}, ${given.args['hi']}) has its ends in the wrong order`,
          'the smaller number comes first',
        ),
      ]
    }
    return []
  })
}
