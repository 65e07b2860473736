import type { Parameter, Signature, Vocabulary } from '../../dsl/signature.ts'
import { layersElsewhere } from '../ops/elsewhere/layers.ts'
import { lossesElsewhere } from '../ops/elsewhere/losses.ts'
import { withSynonyms } from '../ops/elsewhere/synonyms.ts'
import { augmentationsElsewhere, schedulesElsewhere, solversElsewhere, withSolverMends } from '../ops/elsewhere/training.ts'
import { windowsElsewhere } from '../ops/elsewhere/windows.ts'
import { solverSignatures } from '../ops/solver.ts'
import { operators } from '../ops/registry.ts'

const number = (name: string, doc: string, more: Partial<Parameter> = {}): Parameter => ({ name, type: { kind: 'number' }, doc, ...more })
const duration = (name: string, doc: string): Parameter => ({ name, type: { kind: 'duration' }, doc })
/** Numbers without a sign: a rate that changes its sign climbs. */
const positive = (name: string, doc: string, more: Partial<Parameter> = {}): Parameter =>
  number(name, doc, { type: { kind: 'number', min: 0 }, ...more })
const gamma: Parameter = positive('gamma', 'what the rate is multiplied by')
/** The length of a schedule that ends, by its name in Caffe and by a plainer one. */
const length: Parameter = {
  ...duration('max_iter', 'T, where it is not the whole run'),
  type: { kind: 'duration', min: 1 },
  aliases: ['length'],
  optional: true,
  named: true,
}

/** Learning rates, in the words of `bundle/learning-rate.ts`; b is the solver's lr, t counts updates. */
const schedules: readonly Signature[] = [
  { name: 'fixed', doc: 'b', parameters: [] },
  {
    name: 'step',
    doc: 'b gamma^floor(t / every)',
    parameters: [gamma, { ...duration('every', 'after how long the rate changes'), type: { kind: 'duration', above: 0 } }],
  },
  {
    name: 'multistep',
    doc: 'b gamma^(marks reached)',
    parameters: [gamma, {
      name: 'at',
      type: { kind: 'durations' },
      doc: 'when the rate changes: [32000, 48000] or [150 epochs, 225 epochs]',
    }],
  },
  { name: 'exp', doc: 'b gamma^t', parameters: [gamma] },
  {
    name: 'inv',
    doc: 'b (1 + gamma t)^-power',
    parameters: [positive('gamma', 'how soon the rate falls'), positive('power', 'how steeply')],
  },
  {
    name: 'poly',
    doc: 'b (1 - t / T)^power, T the whole run',
    parameters: [positive('power', 'how the rate nears 0', { default: 1 }), length],
  },
  {
    name: 'sigmoid',
    doc: 'b / (1 + exp(-gamma (t - step)))',
    parameters: [number('gamma', 'how steeply; the rate rises where it is positive'), duration('step', 'where it is halfway')],
  },
  { name: 'cosine', doc: 'b (1 + cos(pi t / T)) / 2, T the whole run', parameters: [length] },
  { name: 'warmup', doc: 'before another: the rate rises from 0 to what that says', parameters: [duration('n', 'for how long it rises')] },
]

const augmentations: readonly Signature[] = [
  { name: 'mirror', doc: 'turns every other picture left to right, by chance', parameters: [] },
  {
    name: 'crop',
    doc: 'a part of each picture: by chance in training, the middle at test time',
    parameters: [
      { name: 'size', type: { kind: 'window', min: 1 }, doc: 'height and width of the part' },
      { name: 'pad', type: { kind: 'integer', min: 0 }, default: 0, named: true, doc: 'zeros around the picture first' },
    ],
  },
]

const folder: Parameter = { name: 'path', type: { kind: 'string' }, doc: 'the folder' }
const datasets: readonly Signature[] = [
  { name: 'mnist', doc: 'handwritten digits, 1 x 28 x 28, 10 classes', parameters: [] },
  { name: 'fashion_mnist', doc: 'articles of clothing, 1 x 28 x 28, 10 classes', parameters: [] },
  { name: 'cifar10', doc: 'small photographs, 3 x 32 x 32, 10 classes', parameters: [] },
  { name: 'images', doc: 'a folder of pictures, a folder a class', parameters: [folder] },
  {
    name: 'files',
    doc: 'arrays and tables by the names of inputs: "x=x.npy,t=t.npy", "data.safetensors", "data.csv"',
    parameters: [
      { name: 'path', type: { kind: 'string' }, doc: 'the files' },
      {
        name: 'test',
        type: { kind: 'string' },
        optional: true,
        named: true,
        doc: 'those to test with; without them every fifth sample tests',
      },
    ],
  },
  { name: 'idx', doc: "a folder of IDX files, named as MNIST's", parameters: [folder] },
]

/** All that can be called in a `.net` file. */
export const vocabulary: Vocabulary = {
  layers: withSynonyms([...operators.values()].flatMap((operator) => operator.signature ?? []), {
    ...windowsElsewhere,
    ...layersElsewhere,
    ...lossesElsewhere,
  }),
  solvers: withSolverMends(withSynonyms(solverSignatures, solversElsewhere)),
  schedules: withSynonyms(schedules, schedulesElsewhere),
  augmentations: withSynonyms(augmentations, augmentationsElsewhere),
  datasets,
}
