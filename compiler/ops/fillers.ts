import type { AttributeCall, Attribute, Parameter, Signature } from '../../dsl/signature.ts'
import type { Initializer } from '../../bundle/format.ts'
import { withSynonyms } from './elsewhere/synonyms.ts'
import { fillersElsewhere } from './elsewhere/training.ts'

/**
 * How a parameter starts: by a filler of the file (`xavier`, `gaussian(0.01)`), or by a number, or by neither, which means msra in front
 * of a rectifier and xavier elsewhere.
 */
export interface FillerSpec {
  readonly filler?: AttributeCall
  readonly value?: number
  /** Caffe: fan_in = count / num (inputs of one output), fan_out = count / channels. */
  readonly fanIn: number
  readonly fanOut: number
}

type Arguments = Readonly<Record<string, Attribute>>

/** A filler: its call in a file, and what it fills with. `fan` is the count that `variance_norm` chooses. */
interface Filler extends Signature {
  readonly initializer: (args: Arguments, fan: number) => Initializer
}

const varianceNorm: Parameter = {
  name: 'variance_norm',
  type: { kind: 'word', words: ['fan_in', 'fan_out', 'average'] },
  default: 'fan_in',
  named: true,
  doc: 'which count of neighbours keeps its variance: inputs of an output, outputs of an input, or the mean of both',
}
const number = (name: string, doc: string, more: Partial<Parameter> = {}): Parameter => ({ name, type: { kind: 'number' }, doc, ...more })
const valueOf = (args: Arguments, name: string): number => args[name] as number

const FILLERS: readonly Filler[] = [
  {
    name: 'xavier',
    doc: 'uniform, by the sizes of the layer: for layers that keep the sign',
    parameters: [varianceNorm],
    // Glorot & Bengio 2010, as Caffe has it.
    initializer: (_, fan) => ({ kind: 'uniform', low: -Math.sqrt(3 / fan), high: Math.sqrt(3 / fan) }),
  },
  {
    name: 'msra',
    doc: 'gaussian, by the sizes of the layer: for layers in front of a rectifier',
    parameters: [varianceNorm],
    // He et al. 2015, section 2.2.
    initializer: (_, fan) => ({ kind: 'gaussian', mean: 0, deviation: Math.sqrt(2 / fan) }),
  },
  {
    name: 'gaussian',
    doc: 'a normal distribution',
    parameters: [
      { name: 'std', type: { kind: 'number', min: 0 }, doc: 'its standard deviation' },
      number('mean', 'its mean', { default: 0 }),
    ],
    initializer: (args) => ({ kind: 'gaussian', mean: (args['mean'] as number | undefined) ?? 0, deviation: valueOf(args, 'std') }),
  },
  {
    name: 'uniform',
    doc: 'evenly between two numbers',
    parameters: [number('lo', 'the smallest'), number('hi', 'what stays larger')],
    initializer: (args) => ({ kind: 'uniform', low: valueOf(args, 'lo'), high: valueOf(args, 'hi') }),
  },
  {
    name: 'constant',
    doc: 'one number everywhere; the number alone says the same',
    parameters: [number('value', 'the number', { default: 0 })],
    initializer: (args) => ({ kind: 'constant', value: valueOf(args, 'value') }),
  },
  {
    name: 'bilinear',
    doc: 'weights of a transposed convolution that interpolates',
    parameters: [],
    initializer: () => ({ kind: 'bilinear' }),
  },
]

const plain = ({ initializer: _, ...signature }: Filler): Signature => signature

/** The fillers that a file may call, with their names in other frameworks. */
export const fillers: readonly Signature[] = withSynonyms(FILLERS.map(plain), fillersElsewhere)

/** The fillers of parameters that are no window. */
export const plainFillers: readonly Signature[] = fillers.filter(({ name }) => name !== 'bilinear')

/** The argument `ROLE_init` of a layer; `windows` where bilinear weights are possible. */
export const fillerParameter = (role: string, doc = `what ${role} starts with`, windows = false): Parameter => ({
  name: `${role}_init`,
  type: { kind: 'call', calls: windows ? fillers : plainFillers },
  optional: true,
  named: true,
  doc,
})

/** The initializer of a parameter. `beforeRectifier` is known once the graph is built, and counts where the file names no filler. */
export function initializerOf(spec: FillerSpec, beforeRectifier: boolean): Initializer {
  if (spec.filler === undefined && spec.value !== undefined) return { kind: 'constant', value: spec.value }
  const { call, args } = spec.filler ?? { call: beforeRectifier ? 'msra' : 'xavier', args: {} }
  const norm = args['variance_norm'] ?? 'fan_in'
  const fan = norm === 'fan_out' ? spec.fanOut : norm === 'average' ? (spec.fanIn + spec.fanOut) / 2 : spec.fanIn
  return FILLERS.find(({ name }) => name === call)!.initializer(args, fan)
}
