import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { AttributeCall, Attributes, Parameter } from '../../dsl/signature.ts'
import { argumentProblem } from './diagnostics.ts'
import { fillerParameter } from './fillers.ts'
import type { ParameterSpec, ShapeQuestion } from './operator.ts'

/*
 * The arguments that layers with parameters share: how each parameter starts, how fast it learns, whose parameters it uses.
 */

/** `lr_mult` and `decay_mult`, a number a parameter, and `weights: other`: every layer with `count` parameters takes them. */
export const rateParameters = (count: number): readonly Parameter[] => [
  {
    name: 'lr_mult',
    type: { kind: 'numbers', most: count, min: 0 },
    default: new Array<number>(count).fill(1),
    named: true,
    doc: 'factors of the learning rate, one a parameter',
  },
  {
    name: 'decay_mult',
    type: { kind: 'numbers', most: count, min: 0 },
    default: new Array<number>(count).fill(1),
    named: true,
    doc: 'factors of the weight decay, one a parameter',
  },
  { name: 'weights', type: { kind: 'layer' }, optional: true, named: true, doc: 'the layer whose parameters this one uses' },
]

/** Where the list ends its last number goes on: `lr_mult: 0` freezes a layer, bias and all. */
function listed(a: Attributes, name: string, i: number): number {
  const list = a[name] as readonly number[] | undefined
  return list?.[i] ?? list?.at(-1) ?? 1
}

/** The rates of a layer's i-th parameter. */
export const ratesOf = (a: Attributes, i: number): Pick<ParameterSpec, 'rateMultiplier' | 'decayMultiplier'> => ({
  rateMultiplier: listed(a, 'lr_mult', i),
  decayMultiplier: listed(a, 'decay_mult', i),
})

/** The i-th parameter of a layer, of shape [count]: it starts with what `ROLE_init` says, or else with a number. */
export function coefficients(q: Pick<ShapeQuestion, 'attributes'>, role: string, count: number, value: number, i: number): ParameterSpec {
  const filler = fillerOf(q, `${role}_init`)
  return { role, shape: [count], filler: { ...(filler && { filler }), value, fanIn: 1, fanOut: 1 }, ...ratesOf(q.attributes, i) }
}

/** The arguments of every layer that owns a weight and a bias. */
export const weightParameters: readonly Parameter[] = [
  fillerParameter('weight', 'how the weight starts; msra in front of a rectifier, else xavier', true),
  fillerParameter('bias', 'how the bias starts; 0', true),
  ...rateParameters(2),
]

export const biasParameter: Parameter = {
  name: 'bias',
  type: { kind: 'boolean' },
  default: true,
  named: true,
  doc: 'whether a bias is added',
}

/** The call that says how a parameter starts; a bare number is a constant. */
export function fillerOf(q: Pick<ShapeQuestion, 'attributes'>, name: string): AttributeCall | undefined {
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
  const specs: ParameterSpec[] = [{
    role: 'weight',
    shape: weight,
    filler: { ...(weightFiller && { filler: weightFiller }), fanIn, fanOut },
    ...ratesOf(q.attributes, 0),
  }]
  if (q.attributes['bias'] === false) return specs
  // Caffe's fans of a blob [out]: fan_in = count / num, fan_out = count / channels, and an axis that is not there has 1.
  const start = biasFiller ? { filler: biasFiller } : { value: 0 }
  return [...specs, { role: 'bias', shape: [out], filler: { ...start, fanIn: 1, fanOut: out }, ...ratesOf(q.attributes, 1) }]
}

/** Fillers that cannot be, for a weight whose windows are `window` (absent: it has none). */
export function fillerProblems(q: ShapeQuestion, window?: readonly [number, number]): Diagnostic[] {
  return ['weight_init', 'bias_init', 'init'].flatMap((name) => {
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
