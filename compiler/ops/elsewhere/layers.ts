import type { Synonym } from '../../../dsl/signature.ts'
import { complement } from '../../../dsl/translate.ts'
import { sampleNormsElsewhere } from './sample-norms.ts'
import { listed, reductionsElsewhere } from './reductions.ts'
import { lower, same, type Synonyms } from './synonyms.ts'

/*
 * The names that other frameworks have for layers, losses and metrics, their defaults, and what is written here. For hints alone:
 * a file that says `InnerProduct` is refused, since half a translation would be a silent mistake.
 */

const noNormalization = (name: string): Synonym => ({
  name,
  of: 'PyTorch',
  none: `there is no ${name}: batch_norm normalizes over the batch, layer_norm, group_norm and instance_norm each sample by itself`,
})

const COMPARED = 'x > c is a mask: x -> sub(c) -> relu is not 0 there, and where(mask, a, b) takes one of two by it'

export const layersElsewhere: Synonyms = {
  ...reductionsElsewhere,
  ...sampleNormsElsewhere,
  batch_norm: [
    { name: 'BN', of: 'others', positions: [] },
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
    ...['RMSNorm', 'WeightNorm', 'SpectralNorm'].map(noNormalization),
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
    { name: 'threshold', of: 'PyTorch', none: 'thresholded_relu(alpha) gives 0 up to alpha; relu, leaky_relu and clip cut otherwise' },
    ...['Input', 'InputLayer', 'Data', 'ImageData', 'HDF5Data', 'Placeholder'].map((name) => ({
      name,
      of: name === 'Placeholder' ? 'TensorFlow' : name.startsWith('Input') ? 'Keras' : 'Caffe',
      none: 'what comes in is declared: input image: f32[3, 32, 32]; where it comes from stands in the train block: data mnist',
    })),
    ...['RandomFlip', 'RandomHorizontalFlip', 'RandomCrop', 'RandomRotation', 'RandomZoom'].map((name) => ({
      name,
      of: name === 'RandomHorizontalFlip' ? 'torchvision' : 'Keras',
      none: 'random changes of training stand in the train block: augment mirror, crop(28, pad: 4)',
    })),
    ...['yolo', 'region'].map((name) => ({
      name,
      of: 'Darknet',
      none: `there is no ${name}: boxes are found in what the convolution before it gives, by whoever runs the net`,
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
  selu: [{ name: 'SELU', of: 'PyTorch', positions: [] }],
  celu: [{ name: 'CELU', of: 'PyTorch', positions: ['alpha'] }],
  thresholded_relu: [{ name: 'ThresholdedReLU', of: 'Keras', positions: ['theta'], arguments: { theta: 'alpha' } }],
  hard_sigmoid: [{ name: 'Hardsigmoid', of: 'PyTorch', positions: [] }, { name: 'HardSigmoid', of: 'ONNX', defaults: { alpha: '0.2' } }, {
    name: 'hsigmoid',
    of: 'others',
  }],
  hard_swish: [{ name: 'Hardswish', of: 'PyTorch', positions: [] }, { name: 'hswish', of: 'others' }],
  clip: [
    { name: 'ReLU6', of: 'PyTorch', positions: ['inplace'], defaults: { lo: '0', hi: '6' } },
    { name: 'Hardtanh', of: 'PyTorch', positions: ['min_val', 'max_val'], defaults: { lo: '-1', hi: '1' } },
    { name: 'clamp', of: 'PyTorch', positions: ['min', 'max'] },
    { name: 'clip_by_value', of: 'TensorFlow' },
  ],
  softmax: [{ name: 'Softmax2d', of: 'PyTorch', positions: [] }, { name: 'Sparsemax', of: 'others', none: 'softmax is all there is' }],
  log_softmax: [{ name: 'logsoftmax', of: 'PyTorch', positions: ['dim'] }],
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
  ],
  sub: [...same('Keras', 'subtract'), ...same('others', 'minus', 'difference')],
  div: [...same('Keras', 'divide'), ...same('others', 'quotient')],
  mean: same('Keras', 'average'),
  min: same('Keras', 'minimum'),
  neg: [...same('Keras', 'negative'), ...same('NumPy', 'negate')],
  abs: [...same('Caffe', 'AbsVal'), ...same('Keras', 'absolute')],
  reciprocal: same('others', 'inverse'),
  exp: [{ name: 'Exponential', of: 'Keras' }],
  log: [{ name: 'ln', of: 'others' }],
  sqrt: [
    { name: 'rsqrt', of: 'PyTorch', write: 'pow(-0.5)' },
  ],
  pow: [
    {
      name: 'Power',
      of: 'Caffe',
      none: '(shift + scale x)^power is layers here, each left out where it does nothing: mul(scale) -> add(shift) -> pow(power)',
    },
    { name: 'square', of: 'Keras', write: 'pow(2)' },
  ],
  mul: [...same('Keras', 'multiply'), ...same('ONNX', 'Prod'), ...same('others', 'times', 'product', 'scale_by')],
  where: [
    { name: 'masked_fill', of: 'PyTorch', none: 'where(mask, value, x) takes the value where the mask is not 0' },
    ...['greater', 'gt', 'less', 'lt', 'greater_equal', 'less_equal'].map((name) => ({
      name,
      of: name.endsWith('t') ? 'PyTorch' : 'ONNX',
      none: COMPARED,
    })),
    { name: 'sign', of: 'PyTorch', none: 'where(x -> relu, 1, where(x, -1, 0)) is the sign of x' },
    ...['heaviside', 'step'].map((name) => ({ name, of: 'NumPy', none: 'where(x -> relu, 1, 0) is 1 where x > 0, else 0' })),
  ],
  floor: [
    { name: 'trunc', of: 'PyTorch', none: 'where(x -> relu, x -> floor, x -> ceil) is x without what is behind its point' },
    { name: 'frac', of: 'PyTorch', none: 'sub(x, x -> floor) is what is behind the point of x, from 0 to 1' },
    ...['fmod', 'remainder', 'floormod'].map((name) => ({
      name,
      of: name === 'floormod' ? 'TensorFlow' : 'PyTorch',
      none: 'sub(x, x -> div(n) -> floor -> mul(n)) is what is left of x by n, with the sign of n',
    })),
  ],
  round: [{ name: 'rint', of: 'NumPy' }],
  max: [...same('Keras', 'maximum'), { name: 'maxout', of: 'others', none: 'max(a, b) of two layers, or of two slices of one' }],
  concat: [
    ...same('Keras', 'concatenate'),
    ...same('PyTorch', 'cat'),
    { name: 'route', of: 'Darknet', positions: ['layers'], arguments: { layers: () => ({}) }, note: 'tensors are named: concat(a, b)' },
    ...same('others', 'join', 'merge'),
    { name: 'stack', of: 'PyTorch', none: 'there is no new axis: give each one by reshape, then concat' },
  ],
  flatten: [{ name: 'ravel', of: 'NumPy', positions: [] }, { name: 'squeeze', of: 'PyTorch', write: 'flatten' }],
  reshape: [
    { name: 'view', of: 'PyTorch', ...listed('dims', (all) => (all.length > 1 ? all.slice(1) : all)), note: 'the batch is not written' },
    { name: 'unflatten', of: 'PyTorch', write: 'reshape([channels, height, width])' },
    { name: 'unsqueeze', of: 'PyTorch', write: 'reshape([..., 1])', note: 'all sizes of a sample are written' },
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
    {
      name: 'ReflectionPad2d',
      of: 'PyTorch',
      positions: ['size'],
      defaults: { mode: 'reflect' },
      note: 'four numbers are [top, bottom, left, right] here, and left, right, top, bottom there',
    },
    {
      name: 'ReplicationPad2d',
      of: 'PyTorch',
      positions: ['size'],
      defaults: { mode: 'edge' },
      note: 'four numbers are [top, bottom, left, right] here, and left, right, top, bottom there',
    },
  ],
  upsample: [
    { name: 'UpSampling2D', of: 'Keras', positions: ['size', 'data_format', 'interpolation'], defaults: { factor: '2' } },
    { name: 'unpool', of: 'others', write: 'upsample(factor)' },
  ],
  depth_to_space: [
    {
      name: 'PixelShuffle',
      of: 'PyTorch',
      positions: ['upscale_factor'],
      arguments: { upscale_factor: 'block' },
      defaults: { order: 'crd' },
    },
    {
      name: 'pixel_shuffle',
      of: 'PyTorch',
      positions: ['upscale_factor'],
      arguments: { upscale_factor: 'block' },
      defaults: { order: 'crd' },
    },
  ],
  space_to_depth: [
    {
      name: 'PixelUnshuffle',
      of: 'PyTorch',
      positions: ['downscale_factor'],
      arguments: { downscale_factor: 'block' },
      defaults: { order: 'crd' },
    },
    { name: 'reorg', of: 'Darknet', positions: ['stride'], arguments: { stride: 'block' }, note: 'whose order of channels is another' },
  ],
  resize: [
    {
      name: 'interpolate',
      of: 'PyTorch',
      write: 'resize([height, width], coordinates: asymmetric, rounding: floor)',
      note: "that is its 'nearest'; bilinear is resize([height, width], mode: linear), and align_corners is coordinates: align_corners",
    },
    { name: 'Interp', of: 'Caffe', write: 'resize([height, width], mode: linear, coordinates: align_corners)' },
    { name: 'Resizing', of: 'Keras', write: 'resize([height, width], mode: linear)' },
    { name: 'resizeBilinear', of: 'TensorFlow.js', write: 'resize([height, width], mode: linear, coordinates: asymmetric)' },
    { name: 'resizeNearestNeighbor', of: 'TensorFlow.js', write: 'resize([height, width], coordinates: asymmetric, rounding: floor)' },
  ],
  dropout: [
    { name: 'Dropout2d', of: 'PyTorch', note: 'values are dropped one by one here, not channel by channel' },
    { name: 'SpatialDropout2D', of: 'Keras', note: 'values are dropped one by one here, not channel by channel' },
    { name: 'DropPath', of: 'timm', none: 'layers are not dropped, values are: dropout(p)' },
    { name: 'StochasticDepth', of: 'torchvision', none: 'layers are not dropped, values are: dropout(p)' },
    { name: 'DropBlock', of: 'others', write: 'dropout(p)' },
    { name: 'GaussianNoise', of: 'Keras', none: 'no layer adds noise; dropout(p) is the only one of chance' },
  ],
}
