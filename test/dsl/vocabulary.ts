import type { Parameter, Signature, Vocabulary } from '../../dsl/signature.ts'

/** A little of everything that a signature can ask for: the language knows no layer by name, so any will do. */

const FILLERS: readonly Signature[] = [
  { name: 'xavier', doc: '', parameters: [] },
  { name: 'constant', doc: '', parameters: [{ name: 'value', type: { kind: 'number' } }] },
  { name: 'uniform', doc: '', parameters: [{ name: 'lo', type: { kind: 'number' } }, { name: 'hi', type: { kind: 'number' } }] },
]

const STATS: readonly Signature[] = [
  {
    name: 'moving',
    doc: '',
    mends: { momentum: 'frameworks disagree on which side momentum weighs: say newest' },
    parameters: [{ name: 'newest', type: { kind: 'number', min: 0, max: 1 }, default: 0.05, aliases: ['decay'] }],
  },
  { name: 'cumulative', doc: '', parameters: [] },
  { name: 'batch', doc: '', parameters: [] },
]

const weight: readonly Parameter[] = [
  { name: 'weight_init', type: { kind: 'call', calls: FILLERS }, optional: true, named: true },
  { name: 'lr_mult', type: { kind: 'numbers', length: 2 }, default: [1, 1], named: true },
  { name: 'weights', type: { kind: 'layer' }, optional: true, named: true },
]

const layers: readonly Signature[] = [
  {
    name: 'conv',
    doc: '',
    parameters: [
      { name: 'out', type: { kind: 'integer', min: 1 } },
      { name: 'kernel', type: { kind: 'window', min: 1 } },
      { name: 'stride', type: { kind: 'window', min: 1 }, default: [1, 1] },
      { name: 'pad', type: { kind: 'window', min: 0, words: ['same'] }, default: [0, 0] },
      { name: 'bias', type: { kind: 'boolean' }, default: true },
      ...weight,
    ],
  },
  {
    name: 'fc',
    doc: '',
    parameters: [{ name: 'out', type: { kind: 'integer', min: 1 } }, { name: 'bias', type: { kind: 'boolean' }, default: true }, ...weight],
  },
  {
    name: 'batch_norm',
    doc: '',
    parameters: [
      { name: 'eps', type: { kind: 'number', min: 0 }, default: 1e-5 },
      { name: 'stats', type: { kind: 'call', calls: STATS }, default: { call: 'moving', args: { newest: 0.05 } } },
      { name: 'style', type: { kind: 'word', words: ['merged', 'split'] }, optional: true, named: true },
    ],
  },
  { name: 'relu', doc: '', parameters: [] },
  { name: 'tanh', doc: '', parameters: [] },
  { name: 'gelu', doc: '', parameters: [{ name: 'approximate', type: { kind: 'word', words: ['none', 'tanh'] }, default: 'none' }] },
  {
    name: 'max_pool',
    doc: '',
    parameters: [
      { name: 'kernel', type: { kind: 'window', min: 1 } },
      { name: 'stride', type: { kind: 'window', min: 1 }, optional: true },
      { name: 'round', type: { kind: 'word', words: ['floor', 'ceil'] }, default: 'floor' },
    ],
  },
  { name: 'clip', doc: '', parameters: [{ name: 'lo', type: { kind: 'number' } }, { name: 'hi', type: { kind: 'number' } }] },
  { name: 'dropout', doc: '', parameters: [{ name: 'p', type: { kind: 'number', min: 0, max: 1 }, default: 0.5 }] },
  { name: 'reshape', doc: '', parameters: [{ name: 'shape', type: { kind: 'numbers', integer: true } }] },
  { name: 'label_of', doc: '', parameters: [{ name: 'text', type: { kind: 'string' } }] },
  { name: 'add', doc: '', values: { min: 2, max: 16 }, parameters: [] },
  { name: 'concat', doc: '', values: { min: 2, max: 16 }, parameters: [{ name: 'axis', type: { kind: 'integer' }, default: 1 }] },
  {
    name: 'gate',
    doc: '',
    parameters: [{ name: 'p', type: { kind: 'number' }, default: 1 }, {
      name: 'mask',
      type: { kind: 'value' },
      optional: true,
      named: true,
    }],
  },
  { name: 'softmax', doc: '', parameters: [] },
  { name: 'normalize', doc: '', parameters: [{ name: 'mean', type: { kind: 'numbers' } }, { name: 'std', type: { kind: 'numbers' } }] },
  {
    name: 'softmax_loss',
    doc: '',
    role: 'loss',
    values: { min: 2, max: 2 },
    parameters: [{ name: 'ignore', type: { kind: 'integer' }, default: -1 }, {
      name: 'weight',
      type: { kind: 'number' },
      default: 1,
      named: true,
    }],
  },
  {
    name: 'accuracy',
    doc: '',
    role: 'metric',
    values: { min: 2, max: 2 },
    parameters: [{ name: 'top', type: { kind: 'integer', min: 1 }, default: 1 }],
  },
]

export const vocabulary: Vocabulary = {
  layers,
  solvers: [
    {
      name: 'sgd',
      doc: '',
      parameters: [
        { name: 'lr', type: { kind: 'number', min: 0 } },
        { name: 'momentum', type: { kind: 'number' }, default: 0 },
        { name: 'weight_decay', type: { kind: 'number' }, default: 0 },
        { name: 'regularize', type: { kind: 'word', words: ['l2', 'l1'] }, default: 'l2', named: true },
        { name: 'clip_gradients', type: { kind: 'number', min: 0 }, optional: true, named: true },
      ],
    },
    { name: 'plain', doc: '', parameters: [{ name: 'lr', type: { kind: 'number', min: 0 } }] },
  ],
  schedules: [
    { name: 'fixed', doc: '', parameters: [] },
    { name: 'step', doc: '', parameters: [{ name: 'gamma', type: { kind: 'number' } }, { name: 'every', type: { kind: 'duration' } }] },
    { name: 'multistep', doc: '', parameters: [{ name: 'gamma', type: { kind: 'number' } }, { name: 'at', type: { kind: 'durations' } }] },
    { name: 'cosine', doc: '', parameters: [] },
    { name: 'warmup', doc: '', parameters: [{ name: 'n', type: { kind: 'duration' } }] },
  ],
  augmentations: [
    { name: 'mirror', doc: '', parameters: [] },
    {
      name: 'crop',
      doc: '',
      parameters: [{ name: 'size', type: { kind: 'window', min: 1 } }, {
        name: 'pad',
        type: { kind: 'integer', min: 0 },
        default: 0,
        named: true,
      }],
    },
  ],
  datasets: [
    { name: 'mnist', doc: '', parameters: [] },
    { name: 'images', doc: '', parameters: [{ name: 'path', type: { kind: 'string' } }] },
  ],
}
