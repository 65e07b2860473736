import type { Group } from './page.ts'

const sampleGradient = [
  'with x^ = (x - mean) / sqrt(var + eps) and g = gamma dy:',
  'dbeta = sum of dy;   dgamma = sum of dy x^, over all that a coefficient is used for',
  'dx = (g - mean of g - x^ mean of g x^) / sqrt(var + eps), means over what is normalized together',
]

export const normalizations: Group = {
  title: 'Normalization',
  file: 'normalization',
  intro:
    "A channel is axis 1. What is written as one layer, `batch_norm`, or as Caffe's two, `batch_norm(affine: false) -> scale`, computes the same and is fused alike; `style merged` or `split` says how it is lowered.",
  pages: {
    batch_norm: {
      shape: 'x [n, C, ...] -> y of the same shape',
      parameters: [
        'gamma [C], beta [C]: learned, with affine',
        'running_mean [C], running_var [C]: kept by `stats`',
        'count [1] of cumulative, scale_factor [1] of caffe',
      ],
      formula: [
        'y = gamma[c] (x - mean[c]) / sqrt(var[c] + eps) + beta[c]',
        'in training: mean and var are those of the batch, over n and all positions; var is divided by m, their number',
        'elsewhere: what `stats` kept',
      ],
      gradient: [
        'with x^ = (x - mean) / sqrt(var + eps):',
        'dbeta[c] = sum of dy;   dgamma[c] = sum of dy x^',
        'dx = gamma / sqrt(var + eps) (dy - dbeta / m - x^ dgamma / m); with stored statistics gamma / sqrt(var + eps) dy',
      ],
      absent: { style: 'that of the net', weights: 'parameters of its own' },
      example: [
        'input image: f32[3, 32, 32]',
        'x = image -> conv(16, 3, bias: false) -> batch_norm(eps: 1e-5, stats: moving(newest: 0.1)) -> relu',
        'output y = x -> conv(16, 3, bias: false) -> batch_norm(affine: false) -> scale -> relu',
      ],
      notes: [
        'A batch in which a channel has one value is refused: its variance is 0 and nothing in front would learn. Single examples are learned with `--stats global`.',
        'The variance is computed so that a channel with mean 1000 and deviation 0.01 comes out right in float32.',
        "PyTorch's is `batch_norm(eps: 1e-5, stats: moving(newest: 0.1), unbiased: true, gamma: 1, beta: 0)`.",
      ],
      see: ['scale', 'group_norm', 'layer_norm', 'lrn', 'moving', 'cumulative', 'caffe', 'batch', 'global'],
    },
    group_norm: {
      shape: 'x [n, C, ...] -> y of the same shape',
      parameters: ['gamma [C], beta [C]: learned, with affine; they start with 1 and 0'],
      formula: [
        'y = gamma[c] (x - mean) / sqrt(var + eps) + beta[c]',
        'mean and var of each group of C / groups channels of a sample, over all its positions; var is divided by their number',
      ],
      gradient: sampleGradient,
      absent: { weights: 'parameters of its own' },
      example: ['input image: f32[3, 32, 32]', 'output y = image -> conv(16, 3) -> group_norm(4) -> relu'],
      notes: [
        'The same in training and at test time: no batch takes part, so a batch of one learns too.',
        'The convolution in front takes the statistics as it stores its map, and what is normalized is computed where it is loaded.',
        'A group of one value is refused: nothing but beta would be left of it.',
      ],
      see: ['instance_norm', 'layer_norm', 'batch_norm'],
    },
    instance_norm: {
      shape: 'x [n, C, ...] -> y of the same shape',
      parameters: ['gamma [C], beta [C]: learned, with affine; they start with 1 and 0'],
      formula: ['y = gamma[c] (x - mean) / sqrt(var + eps) + beta[c], mean and var of each channel of a sample over its positions'],
      gradient: sampleGradient,
      absent: { weights: 'parameters of its own' },
      example: ['input image: f32[3, 32, 32]', 'output y = image -> conv(16, 3) -> instance_norm -> relu'],
      notes: ["It is `group_norm` of as many groups as channels. PyTorch's `InstanceNorm2d` is `instance_norm(affine: false)`."],
      see: ['group_norm', 'layer_norm', 'batch_norm'],
    },
    layer_norm: {
      shape: 'x [n, ...] -> y of the same shape',
      parameters: ['gamma, beta: of the shape of the axes `axis` to `end`; learned, with affine; they start with 1 and 0'],
      formula: [
        'y = gamma (x - mean) / sqrt(var + eps) + beta',
        'mean and var over the axes `axis` to `end` together, for each point of the others',
      ],
      gradient: sampleGradient,
      absent: { weights: 'parameters of its own' },
      example: [
        'input image: f32[3, 32, 32]',
        'x = image -> conv(16, 4, stride: 4) -> layer_norm(axis: 1, end: 1)',
        'output y = x -> conv(64, 1) -> gelu -> conv(16, 1) -> layer_norm',
      ],
      notes: [
        '`layer_norm(axis: 1, end: 1)` normalizes the channels at every position, as ConvNeXt does; `layer_norm(axis: -1)` the last axis.',
      ],
      see: ['group_norm', 'instance_norm', 'batch_norm'],
    },
    scale: {
      shape: 'x [n, C, ...] -> y of the same shape',
      parameters: ['weight [C], starts with 1', 'bias [C], starts with 0'],
      formula: ['y = weight[c] x + bias[c]'],
      gradient: ['dx = weight[c] dy', 'dweight[c] = sum of dy x;   dbias[c] = sum of dy'],
      absent: { weight_init: '1', bias_init: '0', weights: 'parameters of its own' },
      example: ['input x: f32[8, 16, 16]', 'output y = x -> conv(8, 3) -> batch_norm(affine: false) -> scale'],
      see: ['bias', 'batch_norm'],
    },
    bias: {
      shape: 'x [n, C, ...] -> y of the same shape',
      parameters: ['bias [C], starts with 0'],
      formula: ['y = x + bias[c]'],
      gradient: ['dx = dy;   dbias[c] = sum of dy'],
      absent: { bias_init: '0', weights: 'parameters of its own' },
      example: ['input x: f32[8, 16, 16]', 'output y = x -> conv(8, 3, bias: false) -> bias'],
      see: ['scale'],
    },
    lrn: {
      shape: 'x [n, C, ...] -> y of the same shape; region: within wants a map',
      formula: [
        'y = x s^-beta',
        'across: s = k + alpha / size * sum of x^2 over `size` channels around',
        'within: s = 1 + alpha / size^2 * sum of x^2 over size x size pixels around',
      ],
      gradient: ['dx = dy s^-beta - 2 (alpha / size) beta x * sum over the same neighbours of dy x s^(-beta - 1)'],
      example: ['input image: f32[3, 32, 32]', 'output y = image -> conv(16, 5) -> relu -> lrn(5, alpha: 1e-4, beta: 0.75)'],
      notes: ["Local response normalization of Krizhevsky et al. 2012, with Caffe's alpha, which is divided by the size."],
      see: ['batch_norm'],
    },
    normalize: {
      shape: 'x [n, C, ...] -> y of the same shape',
      formula: ['y = (x - mean[c]) / std[c]'],
      gradient: ['dx = dy / std[c]'],
      example: [
        'input image: f32[3, 32, 32]',
        'output y = image -> normalize(mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26]) -> conv(16, 3)',
      ],
      notes: [
        'Constants of the file: whoever runs the net gives pictures as they are, 0..1. What a convolution behind it pads stays 0.',
        'It is folded into the weights of the layer behind it where that changes no number.',
      ],
      see: ['batch_norm', 'scale'],
    },
  },
}

export const statistics: Group = {
  title: 'Statistics of batch_norm',
  file: 'statistics',
  intro:
    'What `batch_norm(stats: ...)` keeps for test time. m is the mean of a channel in the newest batch; the same holds for its variance.',
  pages: {
    moving: {
      formula: ['running = newest m + (1 - newest) running'],
      example: ['input x: f32[8, 16, 16]', 'output y = x -> conv(8, 3) -> batch_norm(stats: moving(newest: 0.1))'],
      notes: ['PyTorch calls `newest` momentum; what Keras calls momentum is 1 - newest; Dragon calls it decay.'],
      see: ['batch_norm'],
    },
    cumulative: {
      formula: ['running = (running count + m) / (count + 1);   count = count + 1'],
      example: ['input x: f32[8, 16, 16]', 'output y = x -> conv(8, 3) -> batch_norm(stats: cumulative)'],
      see: ['batch_norm'],
    },
    caffe: {
      formula: [
        'scale_factor = fraction scale_factor + 1',
        'running = fraction running + m (the variance times m / (m - 1))',
        'used as running / scale_factor; while that is 0 both are 0',
      ],
      example: [
        'input x: f32[8, 16, 16]',
        'output y = x -> conv(8, 3) -> batch_norm(stats: caffe(fraction: 0.999), affine: false) -> scale',
      ],
      see: ['batch_norm', 'scale'],
    },
    batch: {
      formula: ['nothing is kept: test batches are normalized with their own statistics'],
      example: ['input x: f32[8, 16, 16]', 'output y = x -> conv(8, 3) -> batch_norm(stats: batch)'],
      notes: ['What a sample gives then depends on those beside it.'],
      see: ['batch_norm'],
    },
    global: {
      formula: ['running stays as it is, and is used in training too'],
      example: ['input x: f32[8, 16, 16]', 'output y = x -> conv(8, 3) -> batch_norm(stats: global)'],
      notes: ['For nets whose statistics were learned elsewhere; `--stats global` says the same of a whole training.'],
      see: ['batch_norm'],
    },
  },
}
