import { describe, expect, test } from 'vitest'
import { check, compile } from '../../compiler/index.ts'

/** Texts that can be computed and are hardly meant: warnings, with the way out. */
const net = (lines: string, label = 'class[3]'): string =>
  `net a {\n  input x: f32[5]\n  input t: ${label}\n${lines.split('\n').map((line) => `  ${line}`).join('\n')}\n}`
const told = (text: string): string[] => check(text).map(({ severity, code, message, hint }) => `${severity} ${code} ${message}; ${hint}`)

describe('a loss of what it computes itself', () => {
  test.each([
    [
      'softmax_loss of a softmax',
      net('p = x -> fc(3) -> softmax as prob\noutput o = p\nloss = softmax_loss(p, t)'),
      /^warning loss\/applied-twice softmax_loss takes scores and computes softmax of them itself, and prob is a softmax already; give softmax_loss what goes into prob/,
    ],
    [
      'in another shape',
      net('p = x -> fc(3) -> softmax -> reshape(3) as again\nloss = softmax_loss(p, t)'),
      /^warning loss\/applied-twice softmax_loss .* and softmax_1 is a softmax already/,
    ],
    [
      'sigmoid_loss of a sigmoid',
      net('p = x -> fc(3) -> sigmoid as gate\nloss = sigmoid_loss(p, t)', 'f32[3]'),
      /^warning loss\/applied-twice sigmoid_loss takes scores and computes sigmoid of them itself, and gate is a sigmoid already/,
    ],
    [
      'with dropout between',
      net('p = x -> fc(3) -> softmax -> dropout(0.5)\nloss = softmax_loss(p, t)'),
      /^warning loss\/applied-twice softmax_loss .* and softmax_1 is a softmax already/,
    ],
  ])('%s is warned of', (_, text, message) => {
    expect(told(text)).toEqual([expect.stringMatching(message)])
  })

  test.each([
    ['scores, with the softmax beside', net('s = x -> fc(3)\noutput p = softmax(s)\nloss = softmax_loss(s, t)')],
    ['a sigmoid as an activation', net('s = x -> fc(4) -> sigmoid -> fc(3)\nloss = softmax_loss(s, t)')],
    ['accuracy of probabilities', net('s = x -> fc(3)\nloss = softmax_loss(s, t)\nmetric a = accuracy(softmax(s), t)')],
    ['a distance of probabilities', net('p = x -> fc(3) -> sigmoid\nloss = squared_loss(p, t)', 'f32[3]')],
  ])('%s is not', (_, text) => {
    expect(told(text)).toEqual([])
  })
})

describe('scores out of a function with bounds', () => {
  const of = (before: string, loss: string): string[] =>
    told(net(`s = x -> fc(3) -> ${before}\nloss = ${loss}(s, t)`, /sigmoid|squared/.test(loss) ? 'f32[3]' : 'class[3]'))
  test.each([
    ['relu as r', 'softmax_loss', 'below 0;'],
    ['relu -> reshape(3)', 'softmax_loss', 'below 0;'],
    ['clip(0, 6)', 'softmax_loss', 'below 0 or above 6;'],
    ['sigmoid', 'softmax_loss', 'below 0 or above 1;'],
    ['tanh', 'softmax_loss', 'below -1 or above 1;'],
    ['elu', 'softmax_loss', 'below -1;'],
    ['selu', 'softmax_loss', 'below -1.76;'],
    ['gelu', 'softmax_loss', 'below -0.171;'],
    ['silu -> dropout(0.5)', 'softmax_loss', 'below -0.28;'],
    ['exp', 'softmax_loss', 'below 0;'],
    ['hard_swish', 'sigmoid_loss', 'below -0.375;'],
    ['max(0)', 'softmax_loss', 'below 0;'],
    ['min(0.5)', 'hinge_loss', 'above 0.5;'],
    ['tanh', 'sigmoid_loss', 'below -1 or above 1;'],
    ['log_softmax', 'hinge_loss', 'above 0;'],
    ['silu', 'hinge_loss', 'below -0.28;'],
    ['relu', 'sigmoid_loss', 'below 0;'],
    ['softmax', 'sigmoid_loss', 'below 0 or above 1;'],
    ['relu', 'hinge_loss', 'below 0;'],
    ['softmax', 'hinge_loss', 'below 0 or above 1;'],
    ['sigmoid', 'hinge_loss', 'below 0 or above 1;'],
    ['clip(-9, 0)', 'hinge_loss', 'below -9 or above 0;'],
  ])('%s in front of %s is warned of', (before, loss, bounds) => {
    const op = /^\w+/.exec(before)![0]
    expect(of(before, loss)).toEqual([
      expect.stringContaining(
        `warning loss/bounded-scores ${loss} takes scores of any size, and ${op} gives none ${bounds} give ${loss} what`,
      ),
    ])
  })
  test.each([
    ['relu -> mul(1)', 'softmax_loss'],
    ['tanh -> mul(10)', 'softmax_loss'],
    ['clip(-30, 30)', 'softmax_loss'],
    ['elu(8)', 'softmax_loss'],
    ['leaky_relu', 'softmax_loss'],
    ['log_softmax', 'softmax_loss'],
    ['relu -> reshape([3, 1, 1]) -> global_avg_pool -> flatten', 'softmax_loss'],
    ['pow(3)', 'softmax_loss'],
    ['tanh', 'hinge_loss'],
    ['elu', 'hinge_loss'],
    ['clip(-6, 6)', 'sigmoid_loss'],
    ['relu -> fc(3)', 'softmax_loss'],
    ['relu', 'squared_loss'],
  ])('%s in front of %s is not', (before, loss) => {
    expect(of(before, loss)).toEqual([])
  })
})

test('more scores than classes are warned of, fewer refused', () => {
  const of = (scores: number): string[] => told(net(`s = x -> fc(${scores})\nloss = softmax_loss(s, t)\nmetric accuracy = accuracy(s, t)`))
  expect(of(4)).toEqual([
    expect.stringMatching(
      /^warning loss\/more-scores softmax_loss gets 4 scores for the 3 classes of t: the last is never right; .*class\[4\]/,
    ),
    expect.stringMatching(/^warning loss\/more-scores accuracy gets 4 scores/),
  ])
  expect(of(6)[0]).toContain('the last 3 are never right')
  expect(of(3)).toEqual([])
  expect(of(2)[0]).toMatch(/^error .*t names 3 classes, but there are scores for 2/)
})

describe('a label that is no class', () => {
  const text = (loss: string, metric: string): string => net(`s = x -> fc(3)\noutput o = s\n${loss}\n${metric}`)
  const allowed = (source: string) => compile(source, { targets: ['wasm'] }).manifest.inputs.find(({ name }) => name === 't')!.ignore

  test.each([
    [
      'loss = softmax_loss(s, t, ignore: 255)',
      'metric a = accuracy(s, t)',
      'softmax_loss passes over the label 255 of t, and accuracy',
      'write ignore: 255',
    ],
    [
      'loss = softmax_loss(s, t)',
      'metric a = accuracy(s, t, ignore: 9)',
      'accuracy passes over the label 9 of t, and softmax_loss',
      'write ignore: 9',
    ],
    [
      'loss = softmax_loss(s, t, ignore: 9)',
      'loss b = hinge_loss(s, t)',
      'softmax_loss passes over the label 9 of t, and hinge_loss',
      'hinge_loss ignores no',
    ],
  ])('%s beside %s: no such label is taken, and that is warned of', (loss, metric, message, hint) => {
    expect(told(text(loss, metric))).toEqual([
      expect.stringContaining(`warning loss/ignore-differs ${message} does not: such labels are refused; ${hint}`),
    ])
    expect(allowed(text(loss, metric))).toEqual([])
  })

  test.each([
    ['loss = softmax_loss(s, t, ignore: 255)', 'metric a = accuracy(s, t, ignore: 255)', [255]],
    ['loss = softmax_loss(s, t)', 'metric a = accuracy(s, t)', [-1]],
    ['loss = softmax_loss(s, t)', 'loss b = hinge_loss(s, t)', []],
    // A class that one does not count is a label all the same.
    ['loss = softmax_loss(s, t, ignore: 0)', 'metric a = accuracy(s, t)', []],
    ['loss = softmax_loss(s, t, ignore: 255)', '', [255]],
  ])('%s beside %s', (loss, metric, ignore) => {
    expect(told(text(loss, metric))).toEqual([])
    expect(allowed(text(loss, metric))).toEqual(ignore)
  })
})

test.each(['lr_mult', 'decay_mult'])('%s below 0 is refused', (name) => {
  const of = (value: string): string[] => told(net(`s = x -> fc(3, ${name}: ${value})\nloss = softmax_loss(s, t)`))
  expect(of('-1')).toEqual([expect.stringMatching(/^error argument\/range .*is at least 0, not -1/)])
  expect(of('[1, -0.5]')).toEqual([expect.stringMatching(/^error argument\/range .*is at least 0, not -0.5/)])
  expect(of('[2, 0]')).toEqual([])
})

describe('a number of channels where eps stands', () => {
  const layer = (call: string): string[] => told(net(`s = x -> fc(8) -> ${call} -> fc(3)\nloss = softmax_loss(s, t)`))
  test.each([
    ['batch_norm(8)', 'batch_norm adds 8', 'the 8 channels are known'],
    ['group_norm(2, 8)', 'group_norm adds 8', 'the 8 channels are known'],
    ['group_norm(2, 32)', 'group_norm adds 32', 'eps is small'],
    ['layer_norm(eps: 8)', 'layer_norm adds 8', 'the 8 channels are known'],
    ['batch_norm(eps: 1)', 'batch_norm adds 1', 'eps is small'],
  ])('%s is warned of', (call, message, hint) => {
    expect(layer(call)).toEqual([expect.stringMatching(new RegExp(`^warning argument/large-eps ${message} to the variance.*; ${hint}`))])
  })
  test.each(['batch_norm', 'batch_norm(0.1)', 'group_norm(2, 0.5)', 'group_norm(2)', 'layer_norm(eps: 1e-3)'])('%s is not', (call) => {
    expect(layer(call)).toEqual([])
  })
})

test.each([
  ['fc(8, lr_mult: [1, 2, 3])', 'lr_mult of fc is a number or a list of up to 2, not a list of 3'],
  ['batch_norm(decay_mult: [1, 0, 0])', 'decay_mult of batch_norm is a number or a list of up to 2, not a list of 3'],
  ['prelu(lr_mult: [1, 2])', 'lr_mult of prelu is a number, not a list of 2'],
  ['fc(8, lr_mult: [])', 'lr_mult of fc is a number or a list of up to 2, not an empty list'],
])('%s: more factors than parameters are refused', (call, message) => {
  expect(told(net(`s = x -> fc(8) -> ${call} -> fc(3)\nloss = softmax_loss(s, t)`))).toEqual([
    expect.stringContaining(`error argument/kind ${message}`),
  ])
})
test.each(['fc(8, lr_mult: 0)', 'prelu(lr_mult: [2])'])('%s is not', (call) => {
  expect(told(net(`s = x -> fc(8) -> ${call} -> fc(3)\nloss = softmax_loss(s, t)`))).toEqual([])
})

describe('an argument that changes nothing', () => {
  const of = (layers: string, train = ''): string[] =>
    told(`${net(`s = x -> fc(5) as a -> ${layers} -> fc(3)\nloss = softmax_loss(s, t)`)}\n${train}`)
  test.each([
    ['fc(8, bias: false, bias_init: 1)', 'bias_init of fc_1', 'bias: false leaves the bias out'],
    ['fc(8, bias: false, lr_mult: [1, 2])', 'the second factor of lr_mult of fc_1', 'bias: false leaves the bias out'],
    ['scale(bias: false, decay_mult: [1, 0])', 'the second factor of decay_mult of scale_1', 'bias: false leaves the bias out'],
    ['batch_norm(affine: false, gamma: 2)', 'gamma of batch_norm_1', 'affine: false leaves the gamma out'],
    ['batch_norm(affine: false, lr_mult: 2)', 'lr_mult of batch_norm_1', 'affine: false leaves nothing to learn'],
    ['fc(5, weights: a, weight_init: 1)', 'weight_init of fc_1', 'its parameters are those of a'],
    ['fc(5, weights: a, lr_mult: 2)', 'lr_mult of fc_1', 'its parameters are those of a'],
    ['prelu as p -> prelu(weights: p, slope: 0.1)', 'slope of prelu_1', 'its parameters are those of p'],
    ['batch_norm(unbiased: true, stats: global)', 'unbiased of batch_norm_1', 'stats: global keeps no variance of batches'],
    ['batch_norm(unbiased: true, stats: batch)', 'unbiased of batch_norm_1', 'stats: batch keeps no variance of batches'],
    [
      'batch_norm(stats: caffe(0.9), unbiased: false)',
      'unbiased of batch_norm_1',
      'stats: caffe keeps the variance times m / (m - 1) in any case',
    ],
    ['reshape([5, 1, 1]) -> lrn(k: 2, region: within)', 'k of lrn_1', 'within channels 1 is added'],
    ['reshape([1, 1, 5]) -> resize([1, 9], mode: linear, rounding: floor)', 'rounding of resize_1', 'mode: linear takes no nearest pixel'],
    ['reshape([1, 1, 5]) -> resize([1, 9], cubic_coefficient: -0.5)', 'cubic_coefficient of resize_1', 'mode: nearest is not cubic'],
    ['reshape([5, 1, 1]) -> conv(2, 1, dilation: 2)', 'dilation of conv_1', 'the window has one element in this direction'],
    ['reshape([5, 1, 1]) -> deconv(2, [1, 3], dilation: [2, 1])', 'dilation of deconv_1', 'the window has one element in this direction'],
    ['reshape([1, 1, 5]) -> max_pool(1, stride: 1, dilation: 3)', 'dilation of max_pool_1', 'the window has one element in this direction'],
    [
      'reshape([1, 1, 5]) -> lp_pool([1, 2], stride: 1, round: ceil)',
      'round of lp_pool_1',
      'windows that move by one leave nothing to round',
    ],
    ['reshape([1, 1, 5]) -> max_pool(2, pad: same, round: ceil)', 'round of max_pool_1', 'pad: same says how many windows there are'],
    ['reshape([1, 1, 5]) -> avg_pool([1, 2], count: valid)', 'count of avg_pool_1', 'without padding every window lies within the map'],
    [
      'reshape([1, 1, 5]) -> avg_pool([1, 2], pad: 0, count: padded)',
      'count of avg_pool_1',
      'without padding every window lies within the map',
    ],
    ['reshape([1, 1, 5]) -> pad(0, value: 5)', 'value of pad_1', 'nothing is added'],
    ['reshape([1, 1, 5]) -> pad([0, 0], mode: edge)', 'mode of pad_1', 'nothing is added'],
    ['reshape([5, 1, 1]) -> depth_to_space(1, order: crd)', 'order of depth_to_space_1', 'a block of one pixel has no order'],
    ['reshape([5, 1, 1]) -> space_to_depth(1, order: dcr)', 'order of space_to_depth_1', 'a block of one pixel has no order'],
    ['reshape([5, 1, 1]) -> upsample(1, mode: bilinear)', 'mode of upsample_1', 'the map stays as large as it is'],
    [
      'reshape([1, 1, 5]) -> resize([1, 9], mode: linear, exclude_outside: true)',
      'exclude_outside of resize_1',
      'mode: linear is not cubic',
    ],
  ])('%s is warned of', (layers, what, reason) => {
    expect(of(layers)).toEqual([expect.stringContaining(`warning argument/idle ${what} changes nothing: ${reason}; `)])
  })
  test.each([
    'fc(8, bias: false, weight_init: 1, lr_mult: 2)',
    'fc(8, lr_mult: [1, 2], bias_init: 1)',
    'batch_norm(gamma: 2, lr_mult: 0)',
    'batch_norm(unbiased: true, stats: cumulative)',
    'reshape([5, 1, 1]) -> lrn(k: 2)',
    'reshape([1, 1, 5]) -> resize([1, 9], rounding: floor)',
    'reshape([1, 1, 5]) -> resize([1, 9], mode: cubic, cubic_coefficient: -0.5, exclude_outside: true)',
    'fc(5, lr_mult: [1, 2]) as b -> fc(5, weights: b, lr_mult: [1, 2])',
    'reshape([1, 1, 5]) -> conv(2, [1, 3], dilation: 2)',
    'reshape([1, 1, 5]) -> conv(2, 1, dilation: 1)',
    'reshape([1, 1, 5]) -> max_pool([1, 2], round: ceil)',
    'reshape([1, 1, 5]) -> avg_pool([1, 2], round: ceil, count: padded)',
    'reshape([1, 1, 5]) -> avg_pool([1, 3], stride: 2, pad: [0, 1], count: valid)',
    'reshape([1, 1, 5]) -> avg_pool([1, 3], pad: same, count: valid)',
    'reshape([1, 1, 5]) -> pad(0, channels: [0, 1], value: 5)',
    'reshape([1, 1, 5]) -> pad([0, 1], mode: edge)',
  ])('%s is not', (layers) => {
    expect(of(layers)).toEqual([])
  })
  test('nor where a block decides on the bias', () => {
    expect(of('dense(false)', 'block dense(v, bias) { return v -> fc(4, bias: bias, lr_mult: [1, 2]) }')).toEqual([])
    expect(of('spread(1)', 'block spread(v, k) { return v -> reshape([5, 1, 1]) -> conv(2, k, dilation: 2) }')).toEqual([])
    expect(of('own(true)', 'block own(v, u) { return v -> batch_norm(stats: batch, unbiased: u) }')).toEqual([])
  })
  test.each(['batch_norm(eps: 1e-50)', 'mul(1e-46)', 'div(1e-46)', 'fc(5, weight_init: gaussian(1e-60))', 'lrn(alpha: -1e-99)'])(
    'the number in %s, which is 0 in float32',
    (layer) => {
      expect(of(layer)).toEqual([expect.stringMatching(/^warning argument\/tiny -?1e-\d+ in \w+_1 is 0 in float32/)])
      expect(of(layer.replace(/1e-\d+/, '1e-30'))).toEqual([])
      expect(of(layer.replace(/-?1e-\d+/, '0')).filter((line) => line.includes('tiny'))).toEqual([])
    },
  )
  test('a division by 0, and gradients that are clipped to nothing', () => {
    expect(of('div(0)')).toEqual([expect.stringContaining('warning argument/division div_1 divides by 0')])
    expect(of('div(2)')).toEqual([])
    const clip = (most: number): string[] => of('relu', `train { solver sgd(lr: 0.1, clip_gradients: ${most}) batch 4 }`)
    expect(clip(0)).toEqual([expect.stringContaining('warning train/clip clip_gradients is 0')])
    expect(clip(1)).toEqual([])
  })
})

test.each(['fc(3)', 'concat', 'reduce_sum([1])'])('the sum of all, which has no axes, in front of %s', (layer) => {
  expect(told(net(`s = x -> sum -> ${layer}\noutput o = s`))[0]).toMatch(/^error argument\/axis \[\] has no axis 1; it is one number/)
})

test('a rate of 0 is warned of', () => {
  const of = (solver: string): string[] => told(`${net('s = x -> fc(3)\nloss = softmax_loss(s, t)')}\ntrain { solver ${solver} }`)
  expect(of('sgd(lr: 0)')).toEqual([expect.stringMatching(/^warning train\/rate lr is 0: .*; give sgd a rate/)])
  expect(of('sgd(lr: 1e-9)')).toEqual([])
})

test('scores and their label the other way round are told so', () => {
  expect(told(net('s = x -> fc(3)\nloss = softmax_loss(t, s)'))).toEqual([
    expect.stringMatching(/^error shape\/label-as-numbers .*; scores stand first and their label second: softmax_loss\(scores, t\)/),
  ])
})

test('means of pictures 0..255 are warned of', () => {
  const of = (mean: string, input = 'f32[3, 32, 32]', train = ''): string[] =>
    told(`net a {\n input x: ${input}\n output y = x -> normalize(mean: ${mean}, std: 1)\n}\n${train}`)
  expect(of('[104, 117, 123]')).toEqual([
    'warning argument/picture-range normalize subtracts 104, 117, 123 from x, and pictures come as 0..1; '
    + 'write mean: [0.4078, 0.4588, 0.4824], std: [0.003922]; where x is not 0..1, -> mul(1) in front says so',
  ])
  expect(of('128', 'f32[1, 28, 28]')).toEqual([])
  expect(of('[0.48, 0.45, 0.4]')).toEqual([])
  expect(of('[1013, 280, 5]')).toEqual([])
  expect(of('[104, 117, 123]', 'f32[3]')).toEqual([])
})

describe('a mean and a std of pictures', () => {
  const of = (args: string, input = 'f32[3, 32, 32]', train = ''): string[] =>
    told(`net a {\n input x: ${input}\n output y = x -> normalize(${args})\n}\n${train}`)
  test.each([
    ['mean: [0.485, 0.456, 0.406], std: [58.4, 57.1, 57.4]', 'divides by 58.4, 57.1, 57.4 .*; write std: [0.229, 0.2239, 0.2251];'],
    ['mean: 0, std: [51, 51, 51]', 'divides by 51, 51, 51 .*; write std: [0.2, 0.2, 0.2];'],
    // One of each: what is of 0..1 stays.
    [
      'mean: [102, 51, 153], std: [0.229, 0.224, 0.225]',
      'subtracts 102, 51, 153 .*; write mean: [0.4, 0.2, 0.6], std: [0.229, 0.224, 0.225];',
    ],
  ])('%s are of two ranges', (args, message) => {
    expect(of(args)).toEqual([expect.stringMatching(`^warning argument/picture-range normalize ${message.replaceAll(/[[\]]/g, '\\$&')}`)])
  })
  test.each([
    ['mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]'],
    ['mean: [0.4, 0.4, 0.4], std: 1'],
    ['mean: [280, 290, 1013], std: [20, 20, 10]'],
    ['mean: 0.5, std: 2', 'f32[1, 28, 28]'],
    // 256 / 255, as Caffe's scale of 1 / 256 comes to.
    ['mean: [0, 0, 0], std: 1.0039216'],
  ])('%s are of one', (args, input?: string) => {
    expect(of(args, input)).toEqual([])
  })
  test('a std for the data of which pictures come', () => {
    const of = (data: string): string[] =>
      told(
        `net a {\n input x: f32[1, 28, 28]\n input t: class[10]\n loss = softmax_loss(fc(normalize(x, mean: 0.13, std: 78.5), 10), t)\n}\ntrain { data ${data} solver sgd(lr: 0.1) batch 4 }`,
      )
    expect(of('mnist')).toEqual([expect.stringContaining('warning argument/picture-range normalize divides by 78.5')])
    expect(of('"x.safetensors"')).toEqual([])
  })
  test('the other one that is missing', () => {
    expect(of('mean: 0.5')).toEqual([
      'error argument/missing normalize needs std; write normalize(mean, std); std: 1 leaves what comes in as it is',
    ])
    expect(of('std: 0.5')).toEqual([expect.stringContaining('; mean: 0 leaves what comes in as it is')])
  })
})
