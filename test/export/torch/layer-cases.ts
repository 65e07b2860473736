import type { TorchCase } from './cases.ts'

/*
 * Every layer that PyTorch is written of, in each of the forms that are written differently: a chain behind an input x, whose outcome is
 * summed through a smooth function.
 */

const MAP = '4, 7, 6'
const VECTOR = '6'

/** So many chains are one net, since each net is compiled three times. */
const TOGETHER = 24

const chain = (input: string, layers: readonly string[], more: Partial<TorchCase> = {}): TorchCase[] =>
  Array.from({ length: Math.ceil(layers.length / TOGETHER) }, (_, k): TorchCase => {
    const part = layers.slice(k * TOGETHER, (k + 1) * TOGETHER)
    const lines = part.map((layer, i) => `  y${i} = x -> ${layer}\n  output out${i} = y${i}\n  loss l${i} = sum(silu(y${i}))\n`)
    return { name: `${part[0]} ... ${part.at(-1)}`, batch: 3, ...more, text: `net one {\n  input x: f32[${input}]\n${lines.join('')}}\n` }
  })

const CONVOLUTIONS = [
  'conv(6, 3)',
  'conv(6, [3, 2], stride: [2, 1], pad: [1, 0])',
  'conv(6, 3, dilation: 2, groups: 2, bias: false)',
  'conv(6, 3, stride: 2, pad: same)',
  'conv(6, 4, pad: same)',
  'conv(6, 1, stride: 3, pad: same)',
  'conv(6, 3, pad: [2, 0, 1, 1])',
  'conv(8, 3, stride: 2, pad: [0, 1, 1, 0], groups: 4)',
  'deconv(6, 3, stride: 2)',
  'deconv(6, 3, stride: 2, pad: 1, output_pad: 1, groups: 2)',
  'deconv(6, [3, 2], stride: [2, 1], dilation: [1, 2], bias: false)',
  'deconv(6, 3, stride: 2, pad: [0, 1, 1, 0])',
  'deconv(6, 3, stride: 3, pad: [0, 0, 2, 0], output_pad: 2)',
  'deconv(6, 4, stride: 2, pad: same)',
  'deconv(6, 3, stride: 2, pad: same)',
  'deconv(6, 2, stride: 3, pad: same)',
  'fc(5)',
  'fc(5, bias: false)',
  'fc(5, transpose: true)',
  'fc(5, axis: 2)',
  'fc(5, axis: -1, transpose: true, bias: false)',
]

const POOLING = [
  ...['max_pool', 'avg_pool'].flatMap((pool) => [
    `${pool}(2)`,
    `${pool}(3, stride: 2, pad: 1)`,
    `${pool}([2, 3], stride: [1, 2])`,
    `${pool}(3, stride: 2, round: ceil)`,
    `${pool}(3, stride: 2, pad: 1, round: ceil)`,
    `${pool}(2, stride: 3, pad: 1, round: ceil)`,
    `${pool}(3, stride: 1, pad: 2)`,
    `${pool}(3, stride: 1, pad: [1, 0, 0, 2])`,
    `${pool}(2, stride: 2, pad: [1, 0, 0, 1], round: ceil)`,
    `${pool}(3, stride: 2, pad: same)`,
    `${pool}(2, stride: 1, pad: same)`,
    `${pool}(2, stride: 1, dilation: 2, pad: 1)`,
  ]),
  ...['valid', 'padded'].flatMap((count) => [
    `avg_pool(3, stride: 2, pad: 1, round: ceil, count: ${count})`,
    `avg_pool(3, stride: 1, pad: 2, count: ${count})`,
    `avg_pool(2, stride: 1, pad: same, count: ${count})`,
    `avg_pool(2, stride: 2, pad: [1, 0, 0, 1], round: ceil, count: ${count})`,
    `avg_pool(2, stride: 1, dilation: 3, pad: 2, count: ${count})`,
  ]),
  'avg_pool(1, stride: 2)',
  'max_pool(1, stride: [3, 2])',
  'relu -> max_pool(3, stride: 1, pad: 1)',
  'lp_pool(2)',
  'lp_pool(3, 1, stride: 2, pad: 1)',
  'lp_pool(3, 2.5, stride: 2, pad: [1, 0, 0, 1], round: ceil)',
  'relu -> lp_pool(2, stride: 1, dilation: 2)',
  'global_avg_pool',
  'global_max_pool',
  'lrn',
  'lrn(size: 3, alpha: 0.5, beta: 0.6, k: 2)',
  'lrn(size: 3, alpha: 0.5, region: within)',
]

const RESIZING = [
  'upsample(2)',
  'upsample([3, 1])',
  'upsample([2, 3], mode: bilinear)',
  ...['nearest', 'linear', 'cubic'].flatMap((mode) => [
    ...['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'asymmetric', 'align_corners'].map((coordinates) =>
      `resize([5, 9], mode: ${mode}, coordinates: ${coordinates})`
    ),
    `resize(scale: [1.7, 0.6], mode: ${mode})`,
    `resize([1, 11], mode: ${mode}, coordinates: pytorch_half_pixel)`,
    `resize([1, 11], mode: ${mode}, coordinates: align_corners)`,
  ]),
  ...['round_prefer_ceil', 'floor', 'ceil'].map((rounding) => `resize(scale: 1.5, rounding: ${rounding}, coordinates: asymmetric)`),
  'resize([10, 4], mode: cubic, cubic_coefficient: -0.5)',
  'resize([10, 4], mode: cubic, exclude_outside: true)',
  'pad(1)',
  'pad([2, 1], value: 0.5)',
  'pad([1, 0, 2, 0], channels: [1, 2])',
  'pad([1, 0, 2, 3], mode: reflect)',
  'pad([2, 1], mode: edge, channels: [1, 2])',
  'pad([1], mode: reflect, channels: [1, 2])',
  'depth_to_space(2)',
  'depth_to_space(2, crd)',
  'slice(2, 0, 6) -> space_to_depth(2)',
  'slice(2, 0, 6) -> space_to_depth(2, crd)',
]

const POLICIES = [
  'batch_norm',
  'batch_norm(eps: 1e-5, stats: moving(newest: 0.3))',
  'batch_norm(affine: false)',
  'batch_norm(unbiased: true)',
  'batch_norm(stats: cumulative)',
  'batch_norm(stats: caffe(fraction: 0.9))',
  'batch_norm(stats: batch)',
  'batch_norm(stats: global)',
  'batch_norm(stats: global(scale_factor: true), affine: false)',
  'batch_norm(affine: false) -> scale',
  'batch_norm(affine: false) -> scale(bias: false)',
  'batch_norm(gamma: 2, beta: 0.5)',
]

const NORMS = [
  'group_norm(2)',
  'group_norm(4, eps: 1e-3, affine: false)',
  'instance_norm',
  'layer_norm',
  'layer_norm(axis: 2)',
  'layer_norm(axis: 1, end: 2)',
  'layer_norm(axis: -1, affine: false)',
  'normalize(mean: 0.5, std: 0.25)',
  'normalize(mean: [0.1, 0.2, 0.3, 0.4], std: [1, 2, 3, 0.7])',
  'scale',
  'scale(bias: false)',
  'bias',
  'prelu',
  'prelu(shared: true)',
]

const FUNCTIONS = [
  ...['relu', 'leaky_relu', 'leaky_relu(slope: -0.3)', 'elu', 'elu(alpha: 0.3)', 'elu(alpha: -0.3)', 'sigmoid', 'tanh', 'softplus', 'silu'],
  ...['gelu', 'gelu(approximate: tanh)', 'mish', 'selu', 'celu', 'celu(alpha: 0.4)', 'softsign', 'erf', 'thresholded_relu'],
  ...[
    'thresholded_relu(alpha: -0.2)',
    'hard_sigmoid',
    'hard_sigmoid(alpha: 0.3, beta: 0.4)',
    'hard_swish',
    'clip(-0.5, 0.7)',
    'neg',
    'abs',
  ],
  ...[
    'mul(20) -> softplus',
    'mul(40) -> softplus',
    'mul(30) -> mish',
    'mul(-30) -> sigmoid',
    'relu -> relu',
    'exp',
    'abs -> add(0.1) -> log',
  ],
  ...['abs -> add(0.1) -> sqrt', 'abs -> add(0.1) -> reciprocal', 'pow(2)', 'pow(3)', 'pow(0)', 'pow(1)', 'abs -> add(0.1) -> pow(0.3)'],
  ...['abs -> add(0.1) -> pow(-1.5)'],
]

const SHAPES = [
  'flatten',
  'flatten(2)',
  'flatten(1, 2)',
  'reshape([2, -1])',
  'slice(1, 1, 3)',
  'slice(-1, -3)',
  'slice(2, 1, -2)',
  'transpose([0, 3, 1, 2])',
  'transpose([0, -1, 2, 1])',
  ...['mean', 'sum', 'max', 'min', 'l1', 'l2'].flatMap((
    kind,
  ) => [`reduce_${kind}([2, 3])`, `reduce_${kind}([1, -1], keep: false)`, `relu -> reduce_${kind}([1])`]),
  'reduce_max([1, 2, 3], keep: false) -> reshape([1, 1])',
  'softmax',
  'softmax(axis: 2)',
  'softmax(axis: 1, end: 2)',
  'log_softmax',
  'log_softmax(axis: 2, end: -1)',
  'dropout(0.3)',
  'dropout(0)',
]

/** Layers that read several values, or that stand for themselves. */
const BODIES: readonly string[] = [
  'y = add(x, 1.5, x -> relu)',
  'y = add(x, x -> tanh, coeff: [0.5, -2])',
  'y = sub(1, x)',
  'y = mul(x, x -> sigmoid, 0.3)',
  'y = div(x, x -> exp)',
  'y = div(2, x -> exp)',
  'y = mean(x, x -> tanh, 3)',
  'a = x -> relu\n  y = max(a, x -> neg -> relu)',
  'a = x -> relu\n  y = max(a, 0, x -> neg -> relu, a)',
  'a = x -> clip(-0.5, 0.5)\n  y = min(a, x, 0.5, a)',
  'y = add(x, x -> mul(3) -> floor, x -> mul(2) -> ceil, x -> mul(4) -> round)',
  'y = where(x -> relu, x, x -> tanh)',
  'y = where(x, 2, x -> tanh)',
  'y = where(x -> relu, x, -0.5)',
  'y = where(x -> relu -> slice(1, 0, 1), x, x -> slice(2, 0, 1))',
  'y = concat(x, x -> relu, x)',
  'y = concat(x, x -> relu, axis: -1)',
  'y = mul(x, x -> global_avg_pool)',
  'y = add(x, parameter([4, 1, 1], init: gaussian(0.5)))',
  'y = mul(parameter([6], lr_mult: 0), x)',
  'm = x -> clip(0, 1)\n  y = dropout(x, 0.4, mask: m)',
  'w = parameter([3, 4])\n  y = x -> fc(4)\n  loss penalty = sum(mul(w, w), weight: 0.01)',
  'input a: f32[4, 7, 6] whole\n  y = mul(x, a)\n  loss other = sum(a)',
  'input a: f32[2, 3] whole\n  y = x -> fc(3)\n  loss other = sum(silu(a -> fc(4) -> layer_norm(axis: 1)), weight: 0.3)',
  // Parameters of another layer: the same module again, a module of its own, of another block.
  'a = x -> conv(4, 3, pad: 1) as one\n  y = a -> relu -> conv(4, 3, pad: 1, weights: one)',
  'a = x -> conv(4, 3, pad: 1) as one\n  y = a -> relu -> conv(4, 3, pad: 1, stride: 2, weights: one)',
  'a = x -> conv(4, 3, pad: 1) -> batch_norm(stats: global) as bn\n  y = a -> relu -> batch_norm(stats: global, weights: bn)',
  'a = x -> conv(4, 3, pad: 1) -> batch_norm(stats: global) as bn\n  y = a -> relu -> batch_norm(stats: global, weights: bn, eps: 1e-3)',
  'a = x -> scale as s\n  y = a -> tanh -> scale(weights: s)',
  // Nothing reads it: it keeps no statistics either.
  'a = x -> batch_norm as unread\n  y = x -> tanh',
]

const LOSSES: readonly string[] = [
  ...['valid', 'full', 'batch_size', 'none'].map((word) => `loss = softmax_loss(x -> fc(4), label, normalization: ${word}, ignore: 2)`),
  'loss = softmax_loss(x -> fc(4), label, weight: 0.5)\n  metric top2 = accuracy(x, label, top: 2)\n  metric some = accuracy(x, label, ignore: 1)',
  ...['valid', 'full', 'batch_size', 'none'].map((word) =>
    `loss = sigmoid_loss(x, target -> clip(0, 1), normalization: ${word}, ignore: 0)`
  ),
  'loss = sigmoid_loss(x, target -> sigmoid)\n  loss two = squared_loss(x, target, weight: 2)',
  'loss = hinge_loss(x, label)\n  loss two = hinge_loss(x -> fc(4), label, norm: 2, weight: 0.2)',
  'a = softmax_loss(x, label)\n  b = squared_loss(x, target)\n  loss = add(a, b -> mul(0.3), coeff: [1, 2])\n  metric c = mul(a, b)',
  'loss = softmax_loss(x -> fc(8) -> reshape([4, 2]), labels, normalization: full)\n  metric share = accuracy(x -> fc(8) -> reshape([4, 2]), labels)',
]

const some = <T>(list: readonly T[], all: boolean): readonly T[] => (all ? list : list.filter((_, i) => i % 4 === 0))

/** All of them, or a fourth of each kind. */
export const layerCases = (all: boolean): readonly TorchCase[] => [
  ...chain(MAP, [CONVOLUTIONS, POOLING, RESIZING, POLICIES, NORMS, FUNCTIONS, SHAPES].flatMap((list) => some(list, all))),
  ...chain(VECTOR, ['fc(5)', 'fc(5, transpose: true)', 'lrn(size: 3)', 'layer_norm', 'prelu', ...some(POLICIES, all)]),
  ...chain('4, 5', ['batch_norm', 'fc(3, axis: 2)', 'fc(3)', 'scale', 'bias', 'prelu', 'group_norm(2)', 'instance_norm', 'lrn(size: 3)']),
  ...chain(MAP, some(POLICIES, all), { style: 'split' }),
  ...some(BODIES, all).map((body): TorchCase => ({
    name: body,
    batch: 3,
    text: `net one {\n  input x: f32[${MAP}]\n  ${body}\n  output out = y\n  loss = sum(silu(y))\n}\n`,
  })),
  ...some(LOSSES, all).map((body): TorchCase => ({
    name: body,
    batch: 6,
    text: `net one {
  input x: f32[4]
  input label: class[4]
  input labels: class[4][2]
  input target: f32[4]
  ${body}
  metric unused = accuracy(x -> fc(4), label)
  metric also = accuracy(x -> fc(8) -> reshape([4, 2]), labels)
  metric more = squared_loss(x, target)
}
train { solver sgd(lr: 0.1) }
`,
  })),
  ...['arg_max', 'arg_max(axis: 2, keep: false)', 'relu -> arg_max(last: true)', 'relu -> arg_max'].map((layer): TorchCase => ({
    name: layer,
    batch: 3,
    text: `net one {\n  input x: f32[${MAP}]\n  output y = x -> ${layer}\n}\n`,
  })),
  {
    name: 'one value a sample',
    batch: 4,
    text:
      'net one {\n  input x: f32[3]\n  a = x -> reduce_sum([1], keep: false)\n  output y = a -> fc(3)\n  output z = a -> flatten\n  loss = sum(silu(a -> fc(2)))\n}\n',
  },
  {
    name: 'frozen',
    freeze: ['conv*', 'bn'],
    text: `net one {
  input x: f32[3, 5, 5]
  y = x -> conv(4, 3) -> batch_norm as bn
  output out = y -> fc(2)
  loss = sum(silu(out))
}
`,
  },
]
