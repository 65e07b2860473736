import { describe, expect, test } from 'vitest'
import { bytesSource } from '../../../import/byte-source.ts'
import { readCaffe } from '../../../import/caffe/read.ts'
import { parseTextFormat, type TextMessage } from '../../../import/caffe/text-format.ts'
import type { ModelNet } from '../../../import/model-net.ts'
import type { ReadOptions } from '../../../import/read-options.ts'
import { caffemodel } from './caffemodel.ts'

const source = (name: string, text: string) => bytesSource(name, new TextEncoder().encode(text))
const read = (text: string, options: ReadOptions = {}): ModelNet => readCaffe(source('net.prototxt', text), options)

/** A call a line: `y = conv(x, out: 4)`. */
const show = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(show).join(', ')}]`
    : typeof value === 'object' && value !== null && 'call' in value ?
    `${String(value.call)}(${pairs((value as unknown as { arguments: object }).arguments)})`
    : String(value)
const pairs = (args: object): string => Object.entries(args).map(([name, value]) => `${name}: ${show(value)}`).join(', ')
const calls = ({ layers }: ModelNet): string[] =>
  layers.map(({ output, op, inputs, arguments: args }) =>
    `${output} = ${op}(${[inputs.join(', '), pairs(args)].filter((part) => part !== '').join(', ')})`
  )

const IMAGE = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 6 } } }'
const layer = (type: string, rest = '', name = 'l'): string =>
  `${IMAGE} layer { name: "${name}" type: "${type}" bottom: "x" top: "y" ${rest} }`

describe('text format', () => {
  const fields = (text: string): unknown => {
    const plain = (message: TextMessage): unknown[] =>
      message.fields.map(({ name, value }) => [name, value.kind === 'message' ? plain(value) : value.text])
    return plain(parseTextFormat('a.prototxt', text))
  }

  test('takes all spellings of values, messages and lists', () => {
    expect(
      fields(
        `# remark\na: 1 b: "x # y" 'z' c { d: -.5e-3 }, e < f: TRUE > ; g: { h: [1, 2] } i: [ { j: 1 }, { j: 2 } ] k: "\\"\\x41\\101\\n"`,
      ),
    ).toEqual([
      ['a', '1'],
      ['b', 'x # yz'],
      ['c', [['d', '-.5e-3']]],
      ['e', [['f', 'TRUE']]],
      ['g', [['h', '1'], ['h', '2']]],
      ['i', [['j', '1']]],
      ['i', [['j', '2']]],
      ['k', '"AA\n'],
    ])
  })

  test.each([
    ['a: {\n b: 1', 'a.prototxt:2: the file ends within the message of line 1'],
    ['a\n: }', 'a.prototxt:2: } is no value'],
    ['a 3', 'a.prototxt:1: a name is followed by : and a value'],
    ['a: "x\n"', 'a.prototxt:1: a text ends in the line in which it begins'],
    ['\n\n}', 'a.prototxt:3: } is no name of a field'],
    ['a: [1 2]', 'a.prototxt:1: a list goes on with ,'],
    ['a { '.repeat(200), 'a.prototxt:1: more than 100 messages within each other'],
  ])('says where %j is none', (text, message) => expect(() => parseTextFormat('a.prototxt', text)).toThrow(message))

  test('values have the types of their fields, and are given once', () => {
    expect(() =>
      read(
        `${IMAGE}\nlayer { name: conv1\n type: "ReLU" bottom: "x" top: "y"\n relu_param { negative_slope: "0.1" engine: FAST } type: "ReLU" }`,
      )
    ).toThrow(
      [
        'net.prototxt:2: name should be a text in quotes, and is conv1',
        'net.prototxt:4: negative_slope should be a number, and is the text "0.1"',
        'net.prototxt:4: engine should be one of DEFAULT, CAFFE, CUDNN, and is FAST',
        'net.prototxt:4: type is given twice',
      ].join('\n').split('\n')[0]!,
    )
  })
})

describe('arithmetic of layers', () => {
  test.each([
    ['Power', 'power_param { power: 2 scale: -0.5 shift: 1 }', ['l/1 = mul(x, -0.5)', 'l/2 = add(l/1, 1)', 'y = pow(l/2, exponent: 2)']],
    ['Power', 'power_param { power: 0 }', ['l/1 = mul(x, 0)', 'y = add(l/1, 1)']],
    ['Exp', 'exp_param { base: 2 shift: 3 }', [`l/1 = mul(x, ${Math.LN2})`, 'l/2 = exp(l/1)', 'y = mul(l/2, 8)']],
    ['Log', 'log_param { base: 10 scale: 2 }', ['l/1 = mul(x, 2)', 'l/2 = log(l/1)', `y = mul(l/2, ${1 / Math.LN10})`]],
    ['AbsVal', '', ['y = abs(x)']],
    ['Swish', 'swish_param { beta: 2 }', ['l/1 = mul(x, 2)', 'l/2 = sigmoid(l/1)', 'y = mul(x, l/2)']],
    ['Softmax', 'softmax_param { axis: -1 }', ['y = softmax(x, axis: 3, end: 3)']],
    ['ArgMax', 'argmax_param { axis: 1 }', ['y = arg_max(x, axis: 1, keep: true, last: true)']],
    ['InnerProduct', 'inner_product_param { num_output: 5 axis: 2 transpose: true }', [
      'y = fc(x, out: 5, bias: true, transpose: true, axis: 2)',
    ]],
    ['Tile', 'tile_param { axis: 2 tiles: 2 }', ['y = concat(x, x, axis: 2)']],
    ['Flatten', 'flatten_param { axis: 2 }', ['y = flatten(x, axis: 2)']],
    ['Reshape', 'reshape_param { shape { dim: 0 dim: -1 dim: 6 } }', ['y = reshape(x, dims: [24, 6])']],
    ['Reshape', 'reshape_param { shape { dim: 4 dim: 0 dim: -1 } axis: 1 num_axes: 2 }', undefined],
    ['Reshape', 'reshape_param { shape { dim: 2 dim: -1 } axis: -2 }', ['y = reshape(x, dims: [3, 8, 2, 3])']],
    ['Permute', 'permute_param { order: 0 order: 2 }', ['y = transpose(x, order: [0, 2, 1, 3])']],
    ['LRN', 'lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 k: 2 }', ['y = lrn(x, size: 3, alpha: 1, beta: 0.75, region: within)']],
    ['Scale', 'scale_param { axis: 2 num_axes: 2 }', ['l/1 = parameter(dims: [8, 6], init: constant(value: 1))', 'y = mul(x, l/1)']],
    ['Bias', 'bias_param { axis: 1 num_axes: 2 }', ['l/1 = parameter(dims: [3, 8, 1], init: constant(value: 0))', 'y = add(x, l/1)']],
    ['Reduction', 'reduction_param { operation: SUMSQ axis: 1 coeff: 2 }', [
      'l/1 = mul(x, x)',
      'l/2 = reduce_sum(l/1, axes: [1, 2, 3], keep: true)',
      'l/3 = flatten(l/2)',
      'y = mul(l/3, 2)',
    ]],
    ['MVN', 'mvn_param { normalize_variance: false across_channels: true }', [
      'l/1 = reduce_mean(x, axes: [1, 2, 3], keep: true)',
      'y = sub(x, l/1)',
    ]],
  ])('%s %s', (type, params, wanted) => {
    if (wanted) expect(calls(read(layer(type, params)))).toEqual(wanted)
    else expect(() => read(layer(type, params))).toThrow('net.prototxt:1 layer l (Reshape): it makes [n, 3, 8, 6] into')
  })

  test('Eltwise, Slice, Crop and Concat know their axes', () => {
    const text = `${IMAGE}
      layer { type: "Slice" name: "s" bottom: "x" top: "a" top: "b" slice_param { axis: 2 slice_point: 5 } }
      layer { type: "Crop" name: "c" bottom: "x" bottom: "b" top: "c" crop_param { axis: 2 offset: 1 offset: 0 } }
      layer { type: "Eltwise" name: "e" bottom: "b" bottom: "c" top: "e" eltwise_param { coeff: 1 coeff: -1 } }
      layer { type: "Concat" name: "k" bottom: "a" bottom: "e" top: "k" concat_param { concat_dim: 2 } }`
    expect(calls(read(text))).toEqual([
      'a = slice(x, axis: 2, from: 0, to: 5)',
      'b = slice(x, axis: 2, from: 5)',
      'c = slice(x, axis: 2, from: 1, to: 4)',
      'e = sub(b, c)',
      'k = concat(a, e, axis: 2)',
    ])
  })
})

describe('batch normalization', () => {
  const of = (params: string): string => calls(read(layer('BatchNorm', params)))[0]!
  test.each([
    ['', 'y = batch_norm(x, eps: 0.00001, stats: caffe(fraction: 0.999), affine: false, unbiased: true)'],
    ['batch_norm_param { use_global_stats: true }', 'y = batch_norm(x, eps: 0.00001, stats: global(scale_factor: true), affine: false)'],
    ['batch_norm_param { use_global_stats: false }', 'y = batch_norm(x, eps: 0.00001, stats: batch, affine: false)'],
    ['batch_norm_param { decay: 0.9 }', 'y = batch_norm(x, eps: 1e-10, stats: moving(newest: 0.9))'],
    ['batch_norm_param { decay: 0.9 use_global_stats: true }', 'y = batch_norm(x, eps: 1e-10, stats: global)'],
  ])('%s', (params, wanted) => expect(of(params)).toBe(wanted))

  test('a layer for each phase is one that does what each phase does', () => {
    const twin = (phase: string, stored: boolean): string =>
      `layer { name: "bn" type: "BatchNorm" bottom: "x" top: "x" include { phase: ${phase} } batch_norm_param { use_global_stats: ${stored} } }`
    expect(calls(read(`${IMAGE} ${twin('TEST', true)} ${twin('TRAIN', false)}`))).toEqual([of('').replace('y', 'bn')])
  })

  test('four blobs are those of the merged layer, three the sums of Caffe', () => {
    const vector = (value: number) => ({ shape: [3], data: [value, value, value] })
    const weights = (values: readonly number[]) =>
      bytesSource(
        'w.caffemodel',
        caffemodel([{ name: 'l', blobs: values.map((v, i) => (values.length === 3 && i === 2 ? { shape: [1], data: [v] } : vector(v))) }]),
      )
    const merged = read(layer('BatchNorm'), { weights: weights([2, 3, 4, 5]) })
    expect(Object.entries(merged.layers[0]!.parameters!).map(([role, { values }]) => [role, values()[0]])).toEqual([['gamma', 2], [
      'beta',
      3,
    ], [
      'running_mean',
      4,
    ], ['running_var', 5]])
    const split = read(layer('BatchNorm'), { weights: weights([4, 5, 2]) })
    expect([merged, split].map(({ facts }) => facts!['batchNorm'])).toEqual(['merged', 'split'])
    expect(Object.entries(split.layers[0]!.parameters!).map(([role, { values }]) => [role, values()[0]])).toEqual([['running_mean', 4], [
      'running_var',
      5,
    ], ['scale_factor', 2]])
    expect(merged.notes.map(({ text }) => text)).toContain(
      'the four blobs of each merged BatchNorm are read as gamma, beta, mean, variance',
    )
    expect(() => read(layer('BatchNorm'), { weights: weights([2, 3, 4, -5]) })).toThrow('its fourth blob should be the variance')
    expect(() => read(layer('BatchNorm', 'batch_norm_param { decay: 0.9 }'), { weights: weights([4, 5, 2]) })).toThrow('it has decay')
    expect(() => read(layer('BatchNorm'), { weights: weights([4, 5]) })).toThrow('its weights have 2 blobs')
  })
})

test('averages of nothing are refused, and windows behind the map told', () => {
  const pooling = (more: string) =>
    read(layer('Pooling', `pooling_param { kernel_size: 2 stride: 3 ${more} }`).replace('dim: 8 dim: 6', 'dim: 6 dim: 8'))
  expect(calls(pooling(''))).toEqual([
    'l/1 = max_pool(x, kernel: [2, 2], stride: [3, 3], pad: [0, 0], round: ceil)',
    'y = pad(l/1, size: [0, 1, 0, 0], value: -3.4028234663852886e+38)',
  ])
  expect(pooling('').notes.map(({ text }) => text).join()).toContain('its last windows lie behind the map')
  expect(() => pooling('pool: AVE')).toThrow('its last windows lie behind the map, where there is nothing to divide by')
  expect(calls(pooling('pool: AVE round_mode: FLOOR'))).toHaveLength(1)
})

test('a window larger than the map with its padding is cut off at its end', () => {
  const pooling = (more: string) => calls(read(layer('Pooling', `pooling_param { ${more} }`)))
  expect(pooling('kernel_h: 11 kernel_w: 7 stride: 4')).toEqual([
    'y = max_pool(x, kernel: [8, 6], stride: [4, 4], pad: [0, 0], round: floor)',
  ])
  expect(pooling('pool: AVE kernel_size: 9 stride: 6 pad: 1')).toEqual([
    'y = avg_pool(x, kernel: [9, 8], stride: [6, 6], pad: [1, 1], round: ceil, count: caffe)',
  ])
  expect(() => pooling('kernel_size: 11 stride: 3')).toThrow('nothing is left of a map of 8 x 6')
})

test('a net without parameters has a file without weights', () => {
  const { notes } = read(layer('ReLU'), { weights: bytesSource('w.caffemodel', new Uint8Array(0)) })
  expect(notes).toEqual([])
})

describe('old definitions', () => {
  const today = `name: "n" layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c" param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
      convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.1 } } }
    layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
    layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
    layer { name: "s" type: "Softmax" bottom: "p" top: "s" }`
  const v1 = `name: "n" input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9
    layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
      convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.1 } } }
    layers { name: "r" type: RELU bottom: "c" top: "c" }
    layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
    layers { name: "s" type: SOFTMAX bottom: "p" top: "s" }`
  const v0 = `name: "n" input: "data" input_shape { dim: [1, 3, 9, 9] }
    layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "data" top: "padded" }
    layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 3 weight_filler { type: "gaussian" std: 0.1 } blobs_lr: 1 blobs_lr: 2
      weight_decay: 1 weight_decay: 0 } bottom: "padded" top: "c" }
    layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
    layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "c" top: "p" }
    layers { layer { name: "s" type: "softmax" } bottom: "p" top: "s" }`
  test.each([['V1', v1], ['V0', v0]])('%s is the net of today', (_name, text) => {
    expect(calls(read(text))).toEqual(calls(read(today)))
    expect(read(text).inputs).toEqual(read(today).inputs)
  })

  test.each(
    [{ generation: 'V0' }, { generation: 'V1', unpacked: true }, { legacyShape: true }, { doubles: true, unpacked: true }, {
      doubles: true,
    }] as const,
  )('weights %j', (writing) => {
    const weight = Float32Array.from({ length: 108 }, (_, i) => i / 8)
    const file = caffemodel([{ name: 'c', blobs: [{ shape: [4, 3, 3, 3], data: weight }, { shape: [4], data: [1, 2, 3, 4] }] }], writing)
    const { parameters } = read(v1, { weights: bytesSource('w.caffemodel', file) }).layers[0]!
    expect(parameters!['weight']!.values()).toEqual(weight)
    expect(parameters!['bias']!.shape).toEqual([4])
    expect([...parameters!['bias']!.values()]).toEqual([1, 2, 3, 4])
  })
})

describe('weights that do not fit', () => {
  const weights = (name: string, shape: readonly number[]) => ({
    weights: bytesSource(
      'w.caffemodel',
      caffemodel([{ name, blobs: [{ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }] }]),
    ),
  })
  const fc = layer('InnerProduct', 'inner_product_param { num_output: 2 bias_term: false }')
  test.each([
    ['another net', weights('other', [2, 144]), 'none of its layers has the name of one of the net'],
    ['another shape', weights('l', [144, 3]), 'its weight is [2, 144], and [144, 3] in w.caffemodel'],
    ['HDF5', { weights: bytesSource('w.h5', Uint8Array.of(0x89, 0x48, 0x44, 0x46, 13, 10)) }, 'it is an HDF5 file'],
    ['nothing', { weights: bytesSource('w.caffemodel', new Uint8Array(0)) }, 'it has no weights'],
  ])('%s', (_name, options, message) => expect(() => read(fc, options)).toThrow(message))

  test('all layers are told', () => {
    const two = caffemodel(['a', 'b'].map((name) => ({ name, blobs: [{ shape: [3, 2], data: new Float32Array(6) }] })))
    const inner = (name: string, bottom: string) =>
      `layer { name: "${name}" type: "InnerProduct" bottom: "${bottom}" top: "${name}" inner_product_param { num_output: 2 bias_term: false } }`
    expect(() =>
      read(`input: "data" input_shape { dim: 1 dim: 2 } ${inner('a', 'data')} ${inner('b', 'a')}`, { weights: bytesSource('w', two) })
    )
      .toThrow(/layer a .*its weight is \[2, 2\], and \[3, 2\] in w\n[^]*layer b .*its weight is \[2, 2\]/)
  })
})

test('a type that is nearly one of Caffe has its name told', () => {
  expect(() => read('input: "data" input_shape { dim: 1 dim: 2 } layer { name: "a" type: "ReLu" bottom: "data" top: "a" }'))
    .toThrow('layers of type ReLu have no equal; did you mean ReLU?')
})

test.each([['dat', 'did you mean data? Else add an input: layer { name: "dat"'], [
  'unlike',
  /\n  add an input: layer \{ name: "unlike"/,
]])(
  'a blob %s that no layer makes is told with what is nearest',
  (bottom, mend) => {
    expect(() => read(`input: "data" input_shape { dim: 1 dim: 2 } layer { name: "a" type: "ReLU" bottom: "${bottom}" top: "a" }`)).toThrow(
      mend,
    )
  },
)

describe('forks', () => {
  test.each([
    ['Interp', '', 'nothing says how large its map gets'],
    ['Interp', 'interp_param { height: 4 width: 4 pad_beg: -1 }', 'its pad_beg and pad_end cut the map'],
    ['Upsample', 'bottom: "x"', 'it puts values back where a pooling found them'],
    ['ShuffleChannel', 'shuffle_channel_param { group: 2 }', '3 channels do not fall into 2 groups'],
    ['Axpy', 'bottom: "x" bottom: "x"', 'its bottoms are [n, 3, 8, 6], [n, 3, 8, 6], [n, 3, 8, 6]'],
    ['BN', 'bn_param { bn_mode: LEARN }', 'its bn_mode is LEARN'],
  ])('%s with %s is refused', (type, rest, what) => expect(() => read(layer(type, rest))).toThrow(what))

  test('Interp without a change, and sizes that factors make', () => {
    expect(
      calls(
        read(
          layer('Interp', 'interp_param { height: 8 width: 6 }') +
            layer('ReLU').slice(IMAGE.length).replace('"x"', '"y"').replaceAll('"l"', '"r"').replace('top: "y"', 'top: "z"'),
        ),
      ),
    ).toEqual(['z = relu(x)'])
    expect(calls(read(layer('Interp', 'interp_param { shrink_factor: 2 zoom_factor: 3 }')))).toEqual([
      'y = resize(x, size: [10, 7], mode: linear, coordinates: align_corners)',
    ])
  })
})

test('of weights it is told that their pictures have blue first', () => {
  const weights = bytesSource('w.caffemodel', caffemodel([{ name: 'l', blobs: [{ shape: [1, 3, 1, 1], data: [1, 2, 3] }] }]))
  const net = layer('Convolution', 'convolution_param { num_output: 1 kernel_size: 1 bias_term: false }').replace('dim: 6', 'dim: 9')
  const told = (options: ReadOptions): string[] => read(net, options).notes.map(({ kind, text }) => `${kind} ${text}`)
  expect(told({ weights })).toEqual([
    expect.stringMatching(/^differs Caffe's pictures have blue first, .*: concat\(slice\(x, 1, 2\), .* exchanges them/),
  ])
  expect(told({}).join()).not.toMatch('blue')
})
