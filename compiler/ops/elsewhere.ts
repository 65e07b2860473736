import { ANYBODY } from '../../dsl/elsewhere.ts'
import type { Synonym } from '../../dsl/signature.ts'
import { complement } from '../../dsl/translate.ts'
import { same, type Synonyms } from './elsewhere-training.ts'

/*
 * The names that other frameworks have for layers, losses and metrics, their defaults, and what is written here. For hints alone:
 * a file that says `InnerProduct` is refused, since half a translation would be a silent mistake.
 */

const CAFFE_POOL = { stride: '1', round: 'ceil' }
/** PyTorch and Caffe count the padding as far as it goes, which is the default here; Keras and Darknet do not. */
const VALID = { count: 'valid' }
const lower = (value: string): string => value.replaceAll('"', '').toLowerCase()

const convolution = (transposed: boolean): readonly Synonym[] => {
  const torch = [
    'in_channels',
    'out_channels',
    'kernel_size',
    'stride',
    'padding',
    ...(transposed ? ['output_padding', 'groups', 'bias', 'dilation'] : ['dilation', 'groups', 'bias']),
  ]
  const keras = ['filters', 'kernel_size', 'strides', 'padding']
  return [
    { name: transposed ? 'ConvTranspose2d' : 'Conv2d', of: 'PyTorch', positions: torch, least: 3 },
    { name: transposed ? 'Conv2DTranspose' : 'Conv2D', of: 'Keras', positions: keras },
    { name: transposed ? 'Deconvolution' : 'Convolution', of: 'Caffe', positions: ['num_output', 'kernel_size', 'stride', 'pad'] },
    {
      name: transposed ? 'deconvolutional' : 'convolutional',
      of: 'Darknet',
      positions: ['filters', 'size', 'stride', 'pad'],
      defaults: transposed ? {} : { kernel: '1' },
      // There `pad=1` says that the map keeps its size; how many zeros is `padding`.
      arguments: {
        pad: (
          value,
          given,
        ) => (value === '0' ? {}
          : { pad: Number.isInteger(Number(given.get('size'))) ? String(Math.floor(Number(given.get('size')) / 2)) : 'same' }),
        padding: 'pad',
      },
    },
    transposed ? { name: 'ConvTranspose', of: 'ONNX' }
      : { name: 'Convolution2D', of: 'Chainer', positions: ['in_channels', 'out_channels', 'ksize', 'stride', 'pad'] },
  ]
}

const windows = (here: 'max' | 'avg'): readonly Synonym[] => {
  const long = here === 'max' ? 'Max' : 'Average'
  const short = here === 'max' ? 'Max' : 'Avg'
  return [
    {
      name: `${short}Pool2d`,
      of: 'PyTorch',
      positions: ['kernel_size', 'stride', 'padding', ...(here === 'max' ? ['dilation'] : ['ceil_mode'])],
      ...(here === 'avg' && { arguments: { count_include_pad: (value: string) => (/false/i.test(value) ? VALID : {}) } }),
    },
    {
      name: `${long}Pooling2D`,
      of: 'Keras',
      positions: ['pool_size', 'strides', 'padding'],
      defaults: { kernel: '2', ...(here === 'avg' && VALID) },
    },
    ...(here === 'max' ? [] : [{ name: 'AveragePool', of: 'ONNX', defaults: { stride: '1', ...VALID } }]),
    { name: here === 'max' ? 'maxpooling' : 'avgpooling', of: 'others' },
    ...(here === 'max'
      ? [{ name: 'maxpool', of: 'Darknet', positions: ['size', 'stride', 'padding'], arguments: { padding: 'pad' } }]
      : [{ name: 'averagepooling', of: 'Caffe', defaults: CAFFE_POOL }, { name: 'meanpool', of: 'others' }, {
        name: 'avgpool',
        of: 'Darknet',
        as: (given: ReadonlyMap<string, string>) => (given.size > 0 ? 'avg_pool' : 'global_avg_pool'),
      }]),
  ]
}

/** Caffe has one layer for all pooling. */
const pool: Synonym = { name: 'pool', of: ANYBODY, none: 'max_pool(kernel), avg_pool(kernel), global_max_pool or global_avg_pool' }
const pooling: Synonym = {
  name: 'Pooling',
  of: 'Caffe',
  positions: ['kernel_size', 'stride', 'pad'],
  defaults: CAFFE_POOL,
  arguments: { pool: () => ({}), global_pooling: () => ({}) },
  as: (given) =>
    `${/true|1/.test(given.get('global_pooling') ?? '') ? 'global_' : ''}${
      lower(given.get('pool') ?? 'max') === 'ave' ? 'avg' : 'max'
    }_pool`,
}

const meanOfSquares =
  'squared_loss is half the sum over a sample, averaged over samples: for the mean over all of its D numbers give it weight: 2 / D'
const logits = 'it takes scores: what stands in front of softmax'

const noNormalization = (name: string): Synonym => ({
  name,
  of: 'PyTorch',
  none: `there is no ${name}: batch_norm normalizes over the batch, lrn over neighbouring channels`,
})
const noSequence = (name: string): Synonym => ({
  name,
  of: 'PyTorch',
  none: `there is no ${name}: nets are layers on maps and vectors, without recurrence, attention or tables of embeddings`,
})

export const layersElsewhere: Synonyms = {
  conv: [
    ...convolution(false),
    { name: 'Conv1d', of: 'PyTorch', none: 'sequences are maps of one row here: reshape([channels, 1, length]) -> conv(out, [1, kernel])' },
    { name: 'Conv3d', of: 'PyTorch', none: 'there are convolutions of maps, [channels, height, width], alone' },
    {
      name: 'DepthwiseConv2D',
      of: 'Keras',
      positions: ['kernel_size', 'strides', 'padding'],
      defaults: { out: 'channels', groups: 'channels' },
      note: 'channels: as many as its input has',
    },
    {
      name: 'SeparableConv2D',
      of: 'Keras',
      none:
        'it is two layers here: conv(channels, kernel, groups: channels, bias: false) -> conv(out, 1), channels as many as the input has',
    },
    {
      name: 'dwconv',
      of: 'others',
      none: 'a depthwise convolution is conv(channels, kernel, groups: channels), channels as many as its input has',
    },
    ...['lstm', 'gru', 'rnn', 'attention', 'MultiheadAttention', 'MultiHeadAttention', 'SelfAttention', 'Transformer', 'Embedding', 'crnn']
      .map(noSequence),
  ],
  deconv: convolution(true),
  fc: [
    { name: 'InnerProduct', of: 'Caffe', positions: ['num_output'] },
    { name: 'Dense', of: 'Keras', positions: ['units', 'activation', 'use_bias'] },
    { name: 'Linear', of: 'PyTorch', positions: ['in_features', 'out_features', 'bias'], least: 2 },
    { name: 'Linear', of: 'PyTorch', positions: ['out_features'] },
    { name: 'connected', of: 'Darknet', positions: ['output'] },
    { name: 'Gemm', of: 'ONNX', write: 'fc(out)' },
    { name: 'MatMul', of: 'ONNX', write: 'fc(out, bias: false)' },
    { name: 'FullyConnected', of: 'MXNet', positions: ['num_hidden'], arguments: { num_hidden: 'out' } },
    { name: 'full', of: 'others' },
    { name: 'affine', of: 'others' },
    { name: 'Bilinear', of: 'PyTorch', none: 'there is no product of two inputs with a weight: concat(a, b) -> fc(out) is nearest' },
  ],
  max_pool: [...windows('max'), pool, pooling, { name: 'MaxPool', of: 'ONNX', defaults: { stride: '1' } }],
  avg_pool: windows('avg'),
  global_avg_pool: [
    ...['GlobalAveragePooling2D', 'GlobalAvgPool2D'].map((name) => ({ name, of: 'Keras', arguments: { keepdims: () => ({}) } })),
    { name: 'GlobalAveragePool', of: 'ONNX' },
    { name: 'gap', of: 'others' },
    { name: 'AdaptiveAvgPool2d', of: 'PyTorch', write: 'global_avg_pool', note: 'for outputs larger than 1 x 1: avg_pool(kernel)' },
    { name: 'global_pool', of: 'others' },
    { name: 'mean', of: 'PyTorch', write: 'global_avg_pool' },
    { name: 'reduce_mean', of: 'TensorFlow', write: 'global_avg_pool' },
  ],
  global_max_pool: [
    ...['GlobalMaxPooling2D', 'GlobalMaxPool2D'].map((name) => ({ name, of: 'Keras' })),
    { name: 'GlobalMaxPool', of: 'ONNX' },
    { name: 'AdaptiveMaxPool2d', of: 'PyTorch', write: 'global_max_pool', note: 'for outputs larger than 1 x 1: max_pool(kernel)' },
  ],
  batch_norm: [
    { name: 'BN', of: 'others', positions: [] },
    { name: 'MVN', of: 'Caffe', none: 'nothing normalizes each sample by itself: batch_norm does over the batch, normalize by constants' },
    {
      name: 'BatchNorm2d',
      of: 'PyTorch',
      positions: ['num_features', 'eps', 'momentum', 'affine'],
      defaults: { eps: '1e-5', stats: 'moving(newest: 0.1)', unbiased: 'true', gamma: '1', beta: '0' },
      arguments: { momentum: (value) => ({ stats: `moving(newest: ${value})` }) },
    },
    {
      name: 'BatchNormalization',
      of: 'Keras',
      positions: ['axis', 'momentum', 'epsilon'],
      defaults: { eps: '1e-3', stats: 'moving(newest: 0.01)', gamma: '1', beta: '0' },
      arguments: { momentum: (value) => ({ stats: `moving(newest: ${complement(value)})` }), axis: () => ({}) },
    },
    {
      name: 'BatchNorm',
      of: 'Caffe',
      positions: [],
      defaults: { eps: '1e-5', stats: 'caffe', affine: 'false', unbiased: 'true' },
      arguments: {
        moving_average_fraction: (value) => ({ stats: `caffe(fraction: ${value})` }),
        use_global_stats: (value) => (/true|1/.test(value) ? { stats: 'global(scale_factor: true)' } : {}),
      },
      note: "Caffe's Scale behind it is `scale`, or leave affine out and both are one layer",
    },
    ...['BatchNorm1d', 'BatchNorm3d'].map((name) => ({
      name,
      of: 'PyTorch',
      positions: ['num_features'],
      defaults: { eps: '1e-5', stats: 'moving(newest: 0.1)', unbiased: 'true', gamma: '1', beta: '0' },
    })),
    ...[
      'LayerNorm',
      'LayerNormalization',
      'GroupNorm',
      'GroupNormalization',
      'InstanceNorm',
      'InstanceNorm2d',
      'RMSNorm',
      'WeightNorm',
      'SpectralNorm',
    ].map(noNormalization),
  ],
  lrn: [
    { name: 'LocalResponseNorm', of: 'PyTorch', positions: ['size', 'alpha', 'beta', 'k'] },
    { name: 'LocalResponseNormalization', of: 'others' },
  ],
  scale: [{ name: 'ChannelScale', of: 'others' }],
  bias: [{ name: 'AddBias', of: 'others' }, { name: 'BiasAdd', of: 'TensorFlow' }],
  normalize: [
    { name: 'Normalization', of: 'Keras', positions: ['axis', 'mean', 'variance'], note: 'std is the root of the variance' },
    {
      name: 'Rescaling',
      of: 'Keras',
      write: 'normalize(mean: 0, std: 1)',
      note: 'x * s is normalize(mean: 0, std: 1 / s); pictures come as 0..1 already',
    },
  ],
  relu: [
    { name: 'Activation', of: 'Keras', none: 'activations are layers of their own: -> relu, -> sigmoid, ...; fusenet help activations' },
    { name: 'threshold', of: 'PyTorch', none: 'relu, leaky_relu and clip are all that cut' },
    ...['exp', 'log', 'sqrt', 'pow', 'power'].map((name) => ({
      name,
      of: 'PyTorch',
      none: `there is no layer ${name}: activations, add, mul and max are the arithmetic of tensors`,
    })),
    ...['Input', 'InputLayer', 'Data', 'ImageData', 'HDF5Data', 'Placeholder'].map((name) => ({
      name,
      of: name === 'Placeholder' ? 'TensorFlow' : name.startsWith('Input') ? 'Keras' : 'Caffe',
      none: 'what comes in is declared: input image: f32[3, 32, 32]; where it comes from stands in the train block: data mnist',
    })),
    ...['identity', 'noop'].map((name) => ({ name, of: 'PyTorch', none: 'a layer that does nothing is left out' })),
    ...same('Keras', 'rectifier'),
    ...same('PyTorch', 'rectified_linear'),
  ],
  leaky_relu: [
    { name: 'LeakyReLU', of: 'PyTorch', positions: ['negative_slope'] },
    { name: 'leaky', of: 'Darknet', defaults: { slope: '0.1' } },
    { name: 'lrelu', of: 'others' },
    { name: 'rrelu', of: 'PyTorch', write: 'leaky_relu(slope: 0.229)', note: 'with the mean of its random slopes' },
  ],
  sigmoid: [...same('Darknet', 'logistic'), ...same('TensorFlow', 'logistic_sigmoid'), {
    name: 'LogSigmoid',
    of: 'PyTorch',
    none: 'minus softplus(-x) is no layer of its own here; as a loss it is sigmoid_loss, which takes scores',
  }],
  tanh: same('others', 'hyperbolic_tangent'),
  softplus: same('Caffe', 'BNLL'),
  silu: [
    { name: 'mish', of: 'PyTorch', none: 'x tanh(softplus(x)) is written `mul(x, x -> softplus -> tanh)`; silu is near to it' },
    { name: 'glu', of: 'PyTorch', none: 'a gate is written `mul(a, b -> sigmoid)`, a and b of two layers or of slices of one' },
    ...same('Keras', 'swish'),
    ...same('PyTorch', 'SiLU'),
  ],
  gelu: [
    { name: 'gelu_new', of: 'transformers', write: 'gelu(approximate: tanh)' },
    { name: 'gelu_tanh', of: 'others', write: 'gelu(approximate: tanh)' },
    { name: 'GELU', of: 'PyTorch' },
    { name: 'quick_gelu', of: 'others', write: 'gelu(approximate: tanh)', note: 'which is closer to gelu than x sigmoid(1.702 x) is' },
  ],
  elu: [
    { name: 'SELU', of: 'PyTorch', write: 'elu(alpha: 1.6732632) -> normalize(mean: 0, std: 0.9517442)' },
    { name: 'CELU', of: 'PyTorch', write: 'elu', note: 'the same where its alpha is 1' },
  ],
  hard_sigmoid: [{ name: 'Hardsigmoid', of: 'PyTorch', positions: [] }, { name: 'hsigmoid', of: 'others' }],
  hard_swish: [{ name: 'Hardswish', of: 'PyTorch', positions: [] }, { name: 'hswish', of: 'others' }],
  clip: [
    { name: 'ReLU6', of: 'PyTorch', defaults: { lo: '0', hi: '6' } },
    { name: 'Hardtanh', of: 'PyTorch', positions: ['min_val', 'max_val'], defaults: { lo: '-1', hi: '1' } },
    { name: 'clamp', of: 'PyTorch', positions: ['min', 'max'] },
    { name: 'clip_by_value', of: 'TensorFlow' },
    { name: 'minimum', of: 'Keras', none: 'the smaller of two numbers is no layer; clip(lo, hi) bounds by constants' },
    { name: 'min', of: 'PyTorch', none: 'the smaller of two numbers is no layer; clip(lo, hi) bounds by constants' },
  ],
  softmax: [{ name: 'Softmax2d', of: 'PyTorch', positions: [] }, { name: 'Sparsemax', of: 'others', none: 'softmax is all there is' }],
  log_softmax: [{ name: 'logsoftmax', of: 'PyTorch', positions: [], arguments: { dim: () => ({}) } }],
  add: [
    {
      name: 'Eltwise',
      of: 'Caffe',
      arguments: { operation: () => ({}) },
      as: (given) => ({ prod: 'mul', '0': 'mul', max: 'max', '2': 'max' }[lower(given.get('operation') ?? 'sum')] ?? 'add'),
    },
    { name: 'shortcut', of: 'Darknet', arguments: { from: () => ({}) }, note: 'tensors are named: add(a, b)' },
    ...same('others', 'plus', 'residual'),
    ...same('MXNet', 'ElementWiseSum'),
    ...['sub', 'subtract', 'minus', 'difference'].map((name) => ({ name, of: 'Keras', defaults: { coeff: '[1, -1]' } })),
    { name: 'negative', of: 'Keras', none: 'minus x: add(x, x, coeff: [-1, 0])' },
    { name: 'average', of: 'Keras', defaults: { coeff: '[0.5, 0.5]' } },
  ],
  mul: [...same('Keras', 'multiply'), ...same('ONNX', 'Prod'), ...same('others', 'times', 'product'), {
    name: 'div',
    of: 'PyTorch',
    none: 'there is no quotient of tensors; by a constant: normalize(mean: 0, std: d)',
  }, { name: 'divide', of: 'Keras', none: 'there is no quotient of tensors; by a constant: normalize(mean: 0, std: d)' }],
  max: [...same('Keras', 'maximum'), { name: 'maxout', of: 'others', none: 'max(a, b) of two layers, or of two slices of one' }, {
    name: 'abs',
    of: 'PyTorch',
    none: '|x| is written `max(x, add(x, x, coeff: [-1, 0]))`',
  }, { name: 'AbsVal', of: 'Caffe', none: '|x| is written `max(x, add(x, x, coeff: [-1, 0]))`' }],
  concat: [
    ...same('Keras', 'concatenate'),
    ...same('PyTorch', 'cat'),
    { name: 'route', of: 'Darknet', arguments: { layers: () => ({}) }, note: 'tensors are named: concat(a, b)' },
    ...same('others', 'join', 'merge'),
    { name: 'stack', of: 'PyTorch', none: 'there is no new axis: give each one by reshape, then concat' },
  ],
  flatten: [{ name: 'ravel', of: 'NumPy', positions: [] }, { name: 'squeeze', of: 'PyTorch', write: 'flatten' }],
  reshape: [
    { name: 'view', of: 'PyTorch', arguments: { size: 'dims' }, positions: ['size'], note: 'the batch is not written' },
    { name: 'unflatten', of: 'PyTorch', write: 'reshape([channels, height, width])' },
    { name: 'unsqueeze', of: 'PyTorch', write: 'reshape([..., 1])', note: 'all sizes of a sample are written' },
    ...['transpose', 'permute', 'Permute'].map((name) => ({
      name,
      of: 'PyTorch',
      none: 'axes are not exchanged: maps are [channels, height, width] throughout',
    })),
    ...['PixelShuffle', 'pixel_shuffle', 'depth_to_space', 'reorg', 'space_to_depth'].map((name) => ({
      name,
      of: 'PyTorch',
      none: `there is no ${name}: deconv(out, 2, stride: 2) or upsample(2) -> conv make maps larger, a stride makes them smaller`,
    })),
  ],
  slice: [
    { name: 'narrow', of: 'PyTorch', write: 'slice(axis, from, to)' },
    { name: 'split', of: 'PyTorch', none: 'a value is read as often as wanted; a part of it is slice(axis, from, to)' },
    { name: 'chunk', of: 'PyTorch', write: 'slice(axis, from, to)' },
    { name: 'crop', of: 'Caffe', none: 'slice(2, from, to) -> slice(3, from, to) cuts rows and columns' },
    { name: 'cropping2d', of: 'Keras', none: 'slice(2, from, to) -> slice(3, from, to) cuts rows and columns' },
    { name: 'gather', of: 'PyTorch', none: 'slice(axis, from, to) takes neighbours; there is no other choice of elements' },
  ],
  pad: [
    ...same('Keras', 'ZeroPadding2D'),
    ...same('PyTorch', 'ZeroPad2d'),
    { name: 'ConstantPad2d', of: 'PyTorch', positions: ['size', 'value'] },
    ...['ReflectionPad2d', 'ReplicationPad2d'].map((name) => ({
      name,
      of: 'PyTorch',
      none: 'frames are of one value: pad(size, value: v)',
    })),
  ],
  upsample: [
    { name: 'UpSampling2D', of: 'Keras', positions: ['size', 'data_format', 'interpolation'], defaults: { factor: '2' } },
    { name: 'interpolate', of: 'PyTorch', positions: ['size', 'scale_factor', 'mode'] },
    { name: 'Interp', of: 'Caffe', write: 'upsample(factor, mode: bilinear)' },
    { name: 'Resize', of: 'ONNX', write: 'upsample(factor)' },
    { name: 'unpool', of: 'others', write: 'upsample(factor)' },
  ],
  dropout: [
    { name: 'Dropout2d', of: 'PyTorch', note: 'values are dropped one by one here, not channel by channel' },
    { name: 'SpatialDropout2D', of: 'Keras', note: 'values are dropped one by one here, not channel by channel' },
    { name: 'DropPath', of: 'timm', none: 'layers are not dropped, values are: dropout(p)' },
    { name: 'StochasticDepth', of: 'torchvision', none: 'layers are not dropped, values are: dropout(p)' },
    { name: 'DropBlock', of: 'others', write: 'dropout(p)' },
    { name: 'GaussianNoise', of: 'Keras', none: 'no layer adds noise; dropout(p) is the only one of chance' },
  ],
  softmax_loss: [
    { name: 'softmax_cross_entropy_with_logits', of: 'TensorFlow', note: 'labels are classes' },
    { name: 'sparse_softmax_cross_entropy_with_logits', of: 'TensorFlow' },
    { name: 'SoftmaxWithLoss', of: 'Caffe' },
    { name: 'SoftmaxCrossEntropy', of: 'others' },
    { name: 'softmax_cross_entropy', of: 'Chainer' },
    { name: 'CrossEntropyLoss', of: 'PyTorch', positions: ['class_weight'] },
    { name: 'cross_entropy', of: 'PyTorch', positions: ['class_weight'] },
    { name: 'categorical_crossentropy', of: 'Keras', note: `${logits}, and labels that are classes` },
    { name: 'sparse_categorical_crossentropy', of: 'Keras', arguments: { from_logits: () => ({}) }, note: logits },
    { name: 'nll_loss', of: 'PyTorch', note: 'it takes scores: what stands in front of log_softmax' },
    { name: 'NLLLoss', of: 'PyTorch', note: 'it takes scores: what stands in front of log_softmax' },
    { name: 'MultinomialLogisticLoss', of: 'Caffe', note: logits },
    { name: 'cost', of: 'Darknet' },
    { name: 'crossentropy', of: 'others', note: logits },
    { name: 'xent', of: 'others' },
    ...[
      'focal_loss',
      'ctc_loss',
      'CTCLoss',
      'triplet_loss',
      'TripletMarginLoss',
      'contrastive_loss',
      'ContrastiveLoss',
      'kl_div',
      'KLDivLoss',
      'InfogainLoss',
      'dice_loss',
    ].map((name) => ({
      name,
      of: 'PyTorch',
      none: `there is no ${name}: losses are softmax_loss, sigmoid_loss, squared_loss, hinge_loss, and sum of whatever layers make`,
    })),
  ],
  sigmoid_loss: [
    ...['sigmoid_cross_entropy', 'sigmoid_cross_entropy_with_logits', 'SigmoidCrossEntropy'].map((name) => ({
      name,
      of: 'TensorFlow',
      positions: [],
      defaults: { normalization: 'full' },
    })),
    { name: 'SigmoidCrossEntropyLoss', of: 'Caffe' },
    { name: 'BCEWithLogitsLoss', of: 'PyTorch', positions: [], defaults: { normalization: 'full' } },
    { name: 'binary_cross_entropy_with_logits', of: 'PyTorch', positions: [], defaults: { normalization: 'full' } },
    ...['BCELoss', 'bce', 'binary_crossentropy', 'binary_cross_entropy', 'bce_loss'].map((name) => ({
      name,
      of: name.includes('crossentropy') ? 'Keras' : 'PyTorch',
      positions: [],
      defaults: { normalization: 'full' },
      arguments: { from_logits: () => ({}) },
      note: 'it takes scores: what stands in front of sigmoid',
    })),
  ],
  squared_loss: [
    { name: 'EuclideanLoss', of: 'Caffe' },
    { name: 'euclidean', of: 'others' },
    { name: 'LinearRegressionOutput', of: 'MXNet' },
    ...['mse', 'MSELoss', 'mse_loss', 'mean_squared_error', 'MeanSquaredError'].map((name) => ({
      name,
      of: name === 'mse' || name.startsWith('mean') || name.startsWith('Mean') ? 'Keras' : 'PyTorch',
      arguments: { reduction: () => ({}) },
      note: meanOfSquares,
    })),
    ...['l2_loss', 'L2Loss', 'sse'].map((name) => ({ name, of: 'MXNet', note: meanOfSquares })),
    ...['l1_loss', 'L1Loss', 'mae', 'mean_absolute_error', 'MeanAbsoluteError', 'abs_loss'].map((name) => ({
      name,
      of: 'PyTorch',
      none:
        'the sum of absolute differences is written `sum(max(add(x, t, coeff: [1, -1]), add(x, t, coeff: [-1, 1])))`, with weight: 1 / (batch * numbers a sample) for the mean',
    })),
    ...['smooth_l1', 'SmoothL1Loss', 'smooth_l1_loss', 'huber', 'HuberLoss', 'huber_loss', 'log_cosh'].map((name) => ({
      name,
      of: 'PyTorch',
      none:
        `there is no ${name}: squared_loss, or the sum of absolute differences, \`sum(max(add(x, t, coeff: [1, -1]), add(x, t, coeff: [-1, 1])))\``,
    })),
  ],
  hinge_loss: [
    { name: 'HingeLoss', of: 'Caffe' },
    { name: 'hinge', of: 'Keras' },
    { name: 'MultiMarginLoss', of: 'PyTorch', note: 'every class has a margin of its own from 0 here' },
    { name: 'categorical_hinge', of: 'Keras', note: 'every class has a margin of its own from 0 here' },
    { name: 'squared_hinge', of: 'Keras', defaults: { norm: '2' } },
  ],
  sum: [{ name: 'reduce_sum', of: 'TensorFlow', positions: [] }],
  accuracy: [
    { name: 'acc', of: 'Keras' },
    { name: 'categorical_accuracy', of: 'Keras' },
    { name: 'sparse_categorical_accuracy', of: 'Keras' },
    { name: 'top_k_accuracy', of: 'Keras' },
    { name: 'top_k_categorical_accuracy', of: 'Keras', defaults: { top: '5' } },
    { name: 'top5', of: 'others', defaults: { top: '5' } },
    { name: 'error', of: 'others', note: 'the error is 1 - accuracy' },
    ...['precision', 'recall', 'f1', 'f1_score', 'auc', 'iou', 'confusion_matrix'].map((name) => ({
      name,
      of: 'Keras',
      none: `there is no metric ${name}: accuracy, or any layers that end in one number; fusenet eval --per-class counts by classes`,
    })),
  ],
}
