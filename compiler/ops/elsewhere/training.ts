import type { Signature, Synonym } from '../../../dsl/signature.ts'
import { same, type Synonyms } from './synonyms.ts'

/*
 * The names that other frameworks have for fillers, solvers, schedules and augmentations. Layers: `layers.ts`.
 */

const heUniform = 'uniform with the bound sqrt(6 / fan_in): msra has the same variance, and is gaussian'

export const fillersElsewhere: Synonyms = {
  xavier: [
    ...same('Keras', 'lecun_uniform'),
    { name: 'glorot_uniform', of: 'Keras', write: 'xavier(variance_norm: average)' },
    { name: 'xavier_uniform', of: 'PyTorch', write: 'xavier(variance_norm: average)' },
    {
      name: 'glorot_normal',
      of: 'Keras',
      write: 'xavier(variance_norm: average)',
      note: 'the same variance, but uniform: gaussian(std) has any other',
    },
    {
      name: 'xavier_normal',
      of: 'PyTorch',
      write: 'xavier(variance_norm: average)',
      note: 'the same variance, but uniform: gaussian(std) has any other',
    },
    { name: 'lecun_normal', of: 'Keras', write: 'xavier', note: 'the same variance, but uniform: gaussian(std) has any other' },
  ],
  msra: [
    ...same('Keras', 'he_normal'),
    ...same('Keras', 'he'),
    ...same('PyTorch', 'kaiming'),
    { name: 'kaiming_normal', of: 'PyTorch', arguments: { mode: 'variance_norm' } },
    { name: 'he_uniform', of: 'Keras', write: 'msra', note: heUniform },
    { name: 'kaiming_uniform', of: 'PyTorch', write: 'msra', note: heUniform },
  ],
  gaussian: [
    { name: 'normal', of: 'PyTorch', positions: ['mean', 'std'], least: 1 },
    { name: 'random_normal', of: 'Keras', defaults: { std: '0.05' } },
    { name: 'truncated_normal', of: 'Keras', defaults: { std: '0.05' }, note: 'nothing is cut off here' },
    { name: 'trunc_normal', of: 'PyTorch', positions: ['mean', 'std'], defaults: { std: '1' }, note: 'nothing is cut off here' },
    { name: 'orthogonal', of: 'PyTorch', none: 'there is no orthogonal filler: msra or xavier, or weights of your own by --weights' },
  ],
  uniform: [{
    name: 'random_uniform',
    of: 'Keras',
    positions: ['minval', 'maxval'],
    arguments: { minval: 'lo', maxval: 'hi' },
    defaults: { lo: '-0.05', hi: '0.05' },
  }],
  constant: [
    { name: 'zeros', of: 'PyTorch', write: '0' },
    { name: 'zero', of: 'PyTorch', write: '0' },
    { name: 'ones', of: 'PyTorch', write: '1' },
  ],
}

const scheduleNames = (of: string, suffix: string): Synonyms => ({
  step: [{
    name: `Step${suffix}`,
    of,
    positions: ['step_size', 'gamma'],
    defaults: { gamma: '0.1' },
    arguments: { step_size: epochs('every') },
  }],
  multistep: [{
    name: `MultiStep${suffix}`,
    of,
    positions: ['milestones', 'gamma'],
    defaults: { gamma: '0.1' },
    arguments: { milestones: eachInEpochs('at') },
  }],
})

/** PyTorch's schedulers count epochs, as they are mostly used; a number alone counts updates here. */
const epochs = (name: string) => (value: string) => ({ [name]: `${value} ${value === '1' ? 'epoch' : 'epochs'}` })
const eachInEpochs = (name: string) => (value: string) => ({ [name]: value.replace(/[^\s,[\]]+/g, (mark) => `${mark} epochs`) })

const EACH_UPDATE = 'it counts updates here: where the rate was multiplied once an epoch, step(gamma, every: 1 epoch) says the same'

export const schedulesElsewhere: Synonyms = {
  fixed: [...same('Keras', 'constant'), ...same('PyTorch', 'ConstantLR'), ...same('Darknet', 'none')],
  step: [
    ...scheduleNames('PyTorch', 'LR')['step']!,
    { name: 'piecewise', of: 'Keras', write: 'multistep(gamma, at: [...])' },
    {
      name: 'ReduceLROnPlateau',
      of: 'PyTorch',
      none: 'schedules depend on the number of updates alone, and look at no loss: step, multistep or cosine',
    },
    { name: 'OneCycleLR', of: 'PyTorch', none: 'there is no such schedule; near to it comes warmup(n) -> cosine' },
    { name: 'one_cycle', of: 'PyTorch', none: 'there is no such schedule; near to it comes warmup(n) -> cosine' },
    { name: 'cyclic', of: 'PyTorch', none: 'no schedule goes up again: warmup(n) -> cosine, or several trainings after each other' },
    { name: 'CyclicLR', of: 'PyTorch', none: 'no schedule goes up again: warmup(n) -> cosine, or several trainings after each other' },
  ],
  multistep: [
    ...scheduleNames('PyTorch', 'LR')['multistep']!,
    {
      name: 'steps',
      of: 'Darknet',
      positions: ['steps', 'scales'],
      arguments: { steps: 'at', scales: (value) => ({ gamma: value.replace(/[[\]\s]/g, '').split(',')[0]! }) },
    },
    { name: 'PiecewiseConstantDecay', of: 'Keras', write: 'multistep(gamma, at: [...])' },
  ],
  exp: [
    { name: 'ExponentialLR', of: 'PyTorch', arguments: { gamma: 'gamma' }, note: EACH_UPDATE },
    ...same('Keras', 'exponential'),
    {
      name: 'ExponentialDecay',
      of: 'Keras',
      positions: ['initial_learning_rate', 'decay_steps', 'decay_rate'],
      write: 'step(gamma, every: ...)',
      note: 'with staircase: true; without it exp(gamma), whose gamma is that of one update',
    },
  ],
  poly: [
    ...same('Darknet', 'polynomial'),
    ...same('PyTorch', 'PolynomialLR'),
    ...same('Keras', 'PolynomialDecay'),
    { name: 'linear', of: 'transformers', write: 'poly(power: 1)' },
    { name: 'LinearLR', of: 'PyTorch', write: 'warmup(n) -> fixed', note: 'it rises from 0' },
  ],
  cosine: [
    {
      name: 'CosineAnnealingLR',
      of: 'PyTorch',
      positions: ['T_max', 'eta_min'],
      arguments: { T_max: epochs('max_iter') },
      note: 'it ends at 0',
    },
    ...same('PyTorch', 'cosine_annealing'),
    ...same('Keras', 'CosineDecay', 'cosine_decay'),
  ],
  warmup: [...same('PyTorch', 'LinearWarmup', 'linear_warmup'), { name: 'burn_in', of: 'Darknet', positions: ['n'] }],
}

export const solversElsewhere: Synonyms = {
  sgd: [
    { name: 'momentum', of: 'TensorFlow', positions: ['lr', 'momentum'], defaults: { momentum: '0.9' } },
    { name: 'GradientDescent', of: 'TensorFlow' },
    ...['lars', 'lamb', 'lion', 'lbfgs', 'rprop', 'ftrl', 'adafactor', 'sophia', 'muon'].map((name) => ({
      name,
      of: 'PyTorch',
      none: `there is no solver ${name}: sgd, nesterov, adagrad, rmsprop, adadelta, adam or adamw`,
    })),
  ],
  nesterov: [{ name: 'nag', of: 'MXNet' }, { name: 'NesterovMomentum', of: 'Lasagne' }],
  adam: [
    { name: 'NAdam', of: 'PyTorch', none: 'there is no solver NAdam: adam is nearest' },
    { name: 'RAdam', of: 'PyTorch', none: 'there is no solver RAdam: adam behind a warmup is nearest' },
    { name: 'AdaMax', of: 'PyTorch', none: 'there is no solver AdaMax: adam is nearest' },
    { name: 'AMSGrad', of: 'PyTorch', none: 'there is no AMSGrad: adam is nearest' },
  ],
}

const aSchedule = 'a rate that falls is a schedule: e.g. schedule step(gamma: 0.1, every: 10 epochs), exp(gamma) or poly'
const nothingAdded = 'histories start at 0; delta: ... keeps divisors away from it'
const noClipOfEach = 'values are not clipped one by one: clip_gradients: ... bounds the norm of all of them together'

/** Arguments of optimizers elsewhere that are something else than an argument here. */
const solverMends: NonNullable<Signature['mends']> = {
  amsgrad: 'there is no AMSGrad: leave it out',
  centered: 'squares are not centred by the mean of gradients: leave it out',
  clipvalue: noClipOfEach,
  clip_value: noClipOfEach,
  dampening: 'new gradients always weigh 1 (dampening 0): leave it out',
  initial_accumulator_value: nothingAdded,
  lr_decay: aSchedule,
  decay: aSchedule,
  momentum: 'there is no momentum beside moving averages of squares: adam has both, beta1 for gradients and beta2 for squares',
  maximize: 'losses are made smaller: give the loss a negative weight to make it larger',
  nesterov: 'it is a solver of its own: nesterov(lr: ..., momentum: 0.9)',
}

const decayApart =
  'decay is apart from the gradient here, and draws weights to 0 by their size: adam(weight_decay: ..., regularize: l1) draws by sign'

/** Arguments that a solver's own way answers. */
const mendsOf: Readonly<Record<string, NonNullable<Signature['mends']>>> = {
  nesterov: { nesterov: 'leave it out: this solver is it' },
  adadelta: { decay: `the weight of the past is momentum: 0.95 (rho elsewhere); ${aSchedule}` },
  adamw: { l1: decayApart, regularize: decayApart },
}

/** Solvers, with what their arguments elsewhere are here. */
export const withSolverMends = (solvers: readonly Signature[]): readonly Signature[] =>
  solvers.map((solver) => ({ ...solver, mends: { ...solverMends, ...mendsOf[solver.name], ...solver.mends } }))

const noAugmentation = (...names: readonly string[]): Synonym[] =>
  names.map((name) => ({
    name,
    of: 'torchvision',
    none: `there is no augmentation ${name}: mirror and crop are; others are made in a dataset of your own`,
  }))

export const augmentationsElsewhere: Synonyms = {
  mirror: [
    ...same('torchvision', 'RandomHorizontalFlip', 'horizontal_flip').map((synonym) => ({ ...synonym, write: 'mirror' })),
    ...same('Keras', 'RandomFlip').map((synonym) => ({ ...synonym, write: 'mirror' })),
    ...same('Darknet', 'flip').map((synonym) => ({ ...synonym, write: 'mirror' })),
    ...noAugmentation(
      'RandomVerticalFlip',
      'rotate',
      'RandomRotation',
      'ColorJitter',
      'RandomErasing',
      'cutout',
      'mixup',
      'cutmix',
      'RandomResizedCrop',
      'AutoAugment',
      'RandAugment',
      'TrivialAugment',
      'RandomZoom',
      'RandomAffine',
      'hue',
      'saturation',
      'exposure',
      'angle',
      'noise',
      'blur',
      'scale',
    ),
  ],
  crop: [
    { name: 'RandomCrop', of: 'torchvision', positions: ['size', 'padding'] },
    { name: 'CenterCrop', of: 'torchvision', note: 'the middle is taken at test time; in training a part by chance' },
    { name: 'crop_size', of: 'Caffe' },
    { name: 'resize', of: 'torchvision', none: 'pictures are brought to the size of the input when they are read' },
  ],
}
