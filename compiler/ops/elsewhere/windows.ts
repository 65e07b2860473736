import { ANYBODY } from '../../../dsl/elsewhere.ts'
import type { Synonym } from '../../../dsl/signature.ts'
import { lower, type Synonyms } from './synonyms.ts'

/*
 * The names that other frameworks have for convolutions, inner products and pooling. See `layers.ts`.
 */

const CAFFE_POOL = { stride: '1', round: 'ceil' }
/** PyTorch and Caffe count the padding as far as it goes, which is the default here; Keras and Darknet do not. */
const VALID = { count: 'valid' }

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

/** Darknet's padding in all, the smaller half in front. */
function darknetPad(size: number, stride: number, padding: number): Readonly<Record<string, string>> {
  if (!Number.isInteger(size) || !Number.isInteger(stride) || !Number.isInteger(padding) || padding === 0) return {}
  const before = Math.floor(padding / 2)
  if (padding % 2 === 0) return { pad: `${before}` }
  if (stride === 1 && padding === size - 1) return { pad: 'same' }
  return size === 2 && stride === 2 && padding === 1 ? { round: 'ceil' } : { pad: `[${before}, ${before + 1}, ${before}, ${before + 1}]` }
}

/** Windows move by one where nothing is said, and padding is one less than they are. What is given by position is nobody's in particular. */
const darknetPools: readonly Synonym[] = [{ name: 'maxpool', of: 'others', least: 1 }, {
  name: 'maxpool',
  of: 'Darknet',
  defaults: { stride: '1' },
  arguments: {
    size: (size, given) => ({
      kernel: size,
      ...darknetPad(Number(size), Number(given.get('stride') ?? 1), Number(given.get('padding') ?? Number(size) - 1)),
    }),
    padding: () => ({}),
  },
}]

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
      ? darknetPools
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

const noSequence = (name: string): Synonym => ({
  name,
  of: 'PyTorch',
  none: `there is no ${name}: nets are layers on maps and vectors, without recurrence, attention or tables of embeddings`,
})

export const windowsElsewhere: Synonyms = {
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
  lp_pool: [{
    name: 'LPPool2d',
    of: 'PyTorch',
    positions: ['norm_type', 'kernel_size', 'stride', 'ceil_mode'],
    arguments: { norm_type: 'p' },
  }],
  global_avg_pool: [
    ...['GlobalAveragePooling2D', 'GlobalAvgPool2D'].map((name) => ({ name, of: 'Keras', arguments: { keepdims: () => ({}) } })),
    { name: 'GlobalAveragePool', of: 'ONNX' },
    { name: 'gap', of: 'others' },
    { name: 'AdaptiveAvgPool2d', of: 'PyTorch', write: 'global_avg_pool', note: 'for outputs larger than 1 x 1: avg_pool(kernel)' },
    { name: 'global_pool', of: 'others' },
  ],
  global_max_pool: [
    ...['GlobalMaxPooling2D', 'GlobalMaxPool2D'].map((name) => ({ name, of: 'Keras' })),
    { name: 'GlobalMaxPool', of: 'ONNX' },
    { name: 'AdaptiveMaxPool2d', of: 'PyTorch', write: 'global_max_pool', note: 'for outputs larger than 1 x 1: max_pool(kernel)' },
  ],
}
