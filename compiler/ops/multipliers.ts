import type { Attributes, Parameter } from '../../dsl/signature.ts'
/** `lr_mult` and `decay_mult` of a layer with so many parameters. */
export const rateParameters = (count: number): readonly Parameter[] => [
  { name: 'lr_mult', type: { kind: 'numbers' }, default: new Array<number>(count).fill(1), named: true },
  { name: 'decay_mult', type: { kind: 'numbers' }, default: new Array<number>(count).fill(1), named: true },
]
const listed = (a: Attributes, name: string, i: number): number => (a[name] as readonly number[] | undefined)?.[i] ?? 1
export const rateMultipliers = (a: Attributes, i: number): number => listed(a, 'lr_mult', i)
export const decayMultipliers = (a: Attributes, i: number): number => listed(a, 'decay_mult', i)
