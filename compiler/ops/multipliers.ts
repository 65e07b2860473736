import type { Attributes, Parameter, Signature } from '../../dsl/signature.ts'

/** What every layer with parameters takes: `lr_mult` and `decay_mult`, a number a parameter, and `weights: other`. */
export const rateParameters = (count: number): readonly Parameter[] => [
  { name: 'lr_mult', type: { kind: 'numbers' }, default: new Array<number>(count).fill(1), named: true, doc: 'factors of the learning rate, one a parameter' },
  { name: 'decay_mult', type: { kind: 'numbers' }, default: new Array<number>(count).fill(1), named: true, doc: 'factors of the weight decay, one a parameter' },
  { name: 'weights', type: { kind: 'layer' }, optional: true, named: true, doc: 'the layer whose parameters this one uses' },
]

/** Where the list ends its last number goes on: `lr_mult: 0` freezes a layer, bias and all. */
function listed(a: Attributes, name: string, i: number): number {
  const list = a[name] as readonly number[] | undefined
  return list?.[i] ?? list?.at(-1) ?? 1
}

/** Of a layer's i-th parameter. */
export const rateMultipliers = (a: Attributes, i: number): number => listed(a, 'lr_mult', i)
export const decayMultipliers = (a: Attributes, i: number): number => listed(a, 'decay_mult', i)

const varianceNorm: Parameter = {
  name: 'variance_norm', type: { kind: 'word', words: ['fan_in', 'fan_out', 'average'] }, default: 'fan_in', named: true,
  doc: 'which sizes the spread follows',
}
const amount = (name: string, doc: string, more: Partial<Parameter> = {}): Parameter => ({ name, type: { kind: 'number' }, doc, ...more })

/** What `fillers.ts` knows. */
const FILLERS: readonly Signature[] = [
  { name: 'xavier', doc: 'uniform, by the sizes of the layer (Glorot & Bengio 2010)', parameters: [varianceNorm] },
  { name: 'msra', doc: 'gaussian, by the sizes of the layer (He et al. 2015)', parameters: [varianceNorm] },
  { name: 'gaussian', doc: 'normally distributed', parameters: [amount('std', 'the standard deviation'), amount('mean', 'the mean', { default: 0 })] },
  { name: 'uniform', doc: 'evenly distributed', parameters: [amount('lo', 'the smallest value'), amount('hi', 'the largest value')] },
  { name: 'constant', doc: 'one value', parameters: [amount('value', 'the value', { default: 0 })] },
]

/** `weight_init: gaussian(0.01)` and the like. */
export const fillerParameter = (role: string): Parameter =>
  ({ name: `${role}_init`, type: { kind: 'call', calls: FILLERS }, optional: true, named: true, doc: `what ${role} starts with` })
