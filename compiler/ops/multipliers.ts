import type { Attributes, Parameter } from '../../dsl/signature.ts'
import { plainFillers } from './initializer-signatures.ts'

/** What every layer with parameters takes: `lr_mult` and `decay_mult`, a number a parameter, and `weights: other`. */
export const rateParameters = (count: number): readonly Parameter[] => [
  {
    name: 'lr_mult',
    type: { kind: 'numbers' },
    default: new Array<number>(count).fill(1),
    named: true,
    doc: 'factors of the learning rate, one a parameter',
  },
  {
    name: 'decay_mult',
    type: { kind: 'numbers' },
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

/** Of a layer's i-th parameter. */
export const rateMultipliers = (a: Attributes, i: number): number => listed(a, 'lr_mult', i)
export const decayMultipliers = (a: Attributes, i: number): number => listed(a, 'decay_mult', i)

/** `weight_init: gaussian(0.01)` and the like. */
export const fillerParameter = (role: string): Parameter => ({
  name: `${role}_init`,
  type: { kind: 'call', calls: plainFillers },
  optional: true,
  named: true,
  doc: `what ${role} starts with`,
})
