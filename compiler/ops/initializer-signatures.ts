import type { Parameter, Signature } from '../../dsl/signature.ts'
import { fillersElsewhere, withSynonyms } from './elsewhere-training.ts'

const varianceNorm: Parameter = {
  name: 'variance_norm',
  type: { kind: 'word', words: ['fan_in', 'fan_out', 'average'] },
  default: 'fan_in',
  named: true,
  doc: 'which count of neighbours keeps its variance: inputs of an output, outputs of an input, or the mean of both',
}
const number = (name: string, doc: string, more: Partial<Parameter> = {}): Parameter => ({ name, type: { kind: 'number' }, doc, ...more })

/** How parameters start. `fillers.ts` has the formulas. */
export const fillers: readonly Signature[] = withSynonyms([
  { name: 'xavier', doc: 'uniform, by the sizes of the layer: for layers that keep the sign', parameters: [varianceNorm] },
  { name: 'msra', doc: 'gaussian, by the sizes of the layer: for layers in front of a rectifier', parameters: [varianceNorm] },
  {
    name: 'gaussian',
    doc: 'a normal distribution',
    parameters: [
      { name: 'std', type: { kind: 'number', min: 0 }, doc: 'its standard deviation' },
      number('mean', 'its mean', { default: 0 }),
    ],
  },
  { name: 'uniform', doc: 'evenly between two numbers', parameters: [number('lo', 'the smallest'), number('hi', 'what stays larger')] },
  {
    name: 'constant',
    doc: 'one number everywhere; the number alone says the same',
    parameters: [number('value', 'the number', { default: 0 })],
  },
  { name: 'bilinear', doc: 'weights of a transposed convolution that interpolates', parameters: [] },
], fillersElsewhere)

/** Of what is no window. */
export const plainFillers: readonly Signature[] = fillers.filter(({ name }) => name !== 'bilinear')
