import { describe, expect, test } from 'vitest'
import { check } from '../../../compiler/index.ts'
import { bytesSource } from '../../../import/byte-source.ts'
import { readCaffe } from '../../../import/caffe/read.ts'
import { writeNet } from '../../../import/write/write-net.ts'
import { blobBytes } from './caffemodel.ts'

const source = (name: string, text: string) => bytesSource(name, new TextEncoder().encode(text))

/** A net with a source for each phase, as Caffe's examples have it. */
const net = (transform = '', tail = ''): string =>
  `name: "small"
  layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { mirror: true ${transform} }
    data_param { source: "a/cifar10_train_lmdb" batch_size: 50 } }
  layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST } transform_param { ${transform} }
    data_param { source: "a/cifar10_test_lmdb" batch_size: 100 } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
    inner_product_param { num_output: 4 weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
  layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" include { phase: TEST } accuracy_param { top_k: 2 } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 0.5 loss_param { normalize: false } }
  ${tail}`

const read = (solver: string, text = net(), files: Readonly<Record<string, Uint8Array>> = {}) =>
  readCaffe(source('solver.prototxt', `net: "examples/small/net.prototxt" base_lr: 0.1 ${solver}`), {
    beside: (path) => {
      if (path === 'net.prototxt') return source(path, text)
      const bytes = files[path]
      if (!bytes) throw new Error(`no ${path}`)
      return bytesSource(path, bytes)
    },
  })

/** The lines of a train block. */
const trainOf = (solver: string, text = net()): string => {
  const written = writeNet(read(solver, text)).text
  return written.slice(written.indexOf('train {')).replace(/\s+/g, ' ').replace('train { ', '').replace(' } ', '').trim()
}

test('a solver is called as its net is', () => {
  expect(read('lr_policy: "fixed"')).toMatchObject({ name: 'small', facts: { solver: 'solver.prototxt' } })
  expect(read('lr_policy: "fixed"', net().replace('name: "small"', '')).name).toBe('net')
})

describe('a solver becomes a train block', () => {
  test('with what the data layer says of batches and random changes', () => {
    const { text } = writeNet(
      read(
        'lr_policy: "fixed" momentum: 0.9 weight_decay: 5e-4 max_iter: 100 iter_size: 2 test_interval: 10 snapshot: 20 random_seed: 7',
        net('crop_size: 28 scale: 0.00390625'),
      ),
    )
    expect(check(text)).toEqual([])
    expect(text.slice(text.indexOf('train {'))).toBe(`train {
  data       cifar10
  augment    crop(28), mirror
  batch      50
  accumulate 2
  steps      100
  seed       7
  solver     sgd(lr: 0.1, momentum: 0.9, weight_decay: 5e-4)
  schedule   fixed
  test       every 10 steps
  snapshot   every 20 steps
}
`)
    expect(text).toContain('normalize(mean: [0], std: [1.0039216])')
    expect(text).toContain('fc(4, weight_init: xavier, bias_init: 0.1, lr_mult: [1, 2], decay_mult: [1, 0])')
    expect(text).toContain('softmax_loss(logits, label, normalization: batch_size, weight: 0.5)')
    expect(text).toContain('accuracy(logits, label, top: 2)')
  })

  test.each([
    ['lr_policy: "step" gamma: 0.5 stepsize: 7', 'step(0.5, 7)'],
    ['lr_policy: "exp" gamma: 0.99', 'exp(0.99)'],
    ['lr_policy: "inv" gamma: 1e-4 power: 0.75', 'inv(1e-4, 0.75)'],
    ['lr_policy: "multistep" gamma: 0.1 stepvalue: 5 stepvalue: 9', 'multistep(0.1, [5, 9])'],
    ['lr_policy: "poly" power: 2 max_iter: 60', 'poly(power: 2)'],
    ['lr_policy: "sigmoid" gamma: 0.5 stepsize: 10', 'sigmoid(0.5, 10)'],
  ])('%s', (policy, wanted) => expect(trainOf(policy)).toContain(`schedule ${wanted}`))

  test.each([
    ['type: "Nesterov" momentum: 0.9', 'nesterov(lr: 0.1)'],
    ['solver_type: ADAGRAD delta: 1e-3', 'adagrad(lr: 0.1, delta: 0.001)'],
    [
      'type: "RMSProp" rms_decay: 0.98 regularization_type: "L1" weight_decay: 0.1',
      'rmsprop(lr: 0.1, decay: 0.98, weight_decay: 0.1, regularize: l1)',
    ],
    ['type: "AdaDelta" momentum: 0.95 delta: 1e-6', 'adadelta(lr: 0.1)'],
    ['type: "Adam" momentum: 0.9 momentum2: 0.99 clip_gradients: 5', 'adam(lr: 0.1, beta2: 0.99, clip_gradients: 5)'],
  ])('%s', (method, wanted) => expect(trainOf(`lr_policy: "fixed" ${method}`)).toContain(`solver ${wanted}`))

  test('what has no equal is told', () => {
    const { notes } = read('lr_policy: "fixed" display: 10 solver_mode: GPU')
    expect(notes.filter(({ kind }) => kind === 'left out').map(({ text }) => text)).toContain(
      'display, solver_mode: how Caffe runs, not what it learns',
    )
    expect(() => read('lr_policy: "step" gamma: 0.1')).toThrow('step wants a stepsize above 0')
    expect(() => read('lr_policy: "cyclic"')).toThrow('its lr_policy is cyclic')
    expect(() => read('lr_policy: "fixed" type: "AdaGrad" momentum: 0.9')).toThrow('AdaGrad has no momentum')
    expect(() => read('lr_policy: "fixed" warmup_iter: 3')).toThrow('solver.prototxt:1: Caffe has no field warmup_iter here')
  })

  test('a mean picture beside the net is subtracted, a number a pixel', () => {
    const mean = Uint8Array.from(blobBytes({ shape: [1, 3, 32, 32], data: Float32Array.from({ length: 3072 }, (_, i) => i / 16) }))
    const model = read('lr_policy: "fixed"', net('mean_file: "m/mean.binaryproto"'), { 'mean.binaryproto': mean })
    expect(model.layers.slice(0, 3).map(({ op, inputs }) => [op, inputs.at(-1)])).toEqual([['parameter', undefined], ['sub', 'd/1'], [
      'mul',
      255,
    ]])
    const values = model.layers[0]!.parameters!['weight']!.values()
    expect(values[255]).toBeCloseTo(255 / 16 / 255, 7)
    expect(
      read('lr_policy: "fixed"', net('mean_file: "m/mean.binaryproto"')).notes.some(({ kind, text }) =>
        kind === 'differs' && text.includes('nothing is subtracted')
      ),
    ).toBe(true)
  })
})

describe('phases', () => {
  const input = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }'
  const results = (text: string, solver?: string): string[] =>
    (solver === undefined ? readCaffe(source('net.prototxt', text)) : read(solver, text)).results.map(({ kind, name }) => `${kind} ${name}`)
  const named = (name: string, rule: string): string => `layer { name: "${name}" type: "ReLU" bottom: "x" top: "${name}" ${rule} }`

  test('stages and levels choose layers', () => {
    const text = `${input} state { level: 1 stage: "a" } ${named('both', '')} ${named('staged', 'include { stage: "a" }')} ${
      named('other', 'include { stage: "b" }')
    }
      ${named('without', 'include { not_stage: "a" }')} ${named('high', 'include { min_level: 2 }')} ${
      named('left', 'exclude { phase: TRAIN } exclude { phase: TEST }')
    }`
    expect(results(text)).toEqual(['output both', 'output staged'])
  })

  test('a dropout of the training phase alone is no branch', () => {
    const text = `${input} layer { name: "drop" type: "Dropout" bottom: "x" top: "x" include { phase: TRAIN } } ${named('y', '')}`
    expect(readCaffe(source('net.prototxt', text)).layers.map(({ op }) => op)).toEqual(['dropout', 'relu'])
  })

  test('what reads another value in each phase is refused', () => {
    const text = `${input} layer { name: "t" type: "TanH" bottom: "x" top: "x" include { phase: TRAIN } } ${named('y', '')}`
    expect(() => results(text)).toThrow('net.prototxt:1 layer y (ReLU): it reads x of t in TRAIN and of in in TEST')
  })
})

describe('what comes out of another layer in each phase', () => {
  const input = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }'
  const made = (type: string, phase: string, bottom = 'x'): string =>
    `layer { name: "${type}" type: "${type}" bottom: "${bottom}" top: "y" include { phase: ${phase} } }`
  test('is refused', () => {
    const both = `${input} ${made('ReLU', 'TRAIN')} ${made('TanH', 'TEST')}`
    expect(() => readCaffe(source('net.prototxt', both))).toThrow(
      'net.prototxt:1 layer TanH (TanH): y comes of ReLU in TRAIN and of TanH in TEST; a net here is one for both',
    )
    const within = `${input} layer { name: "y" type: "ReLU" bottom: "x" top: "y" } ${made('TanH', 'TRAIN', 'y')}`
    expect(() => readCaffe(source('net.prototxt', within))).toThrow('y comes of TanH in TRAIN and of y in TEST')
  })
  test('a dropout of training, and layers of one phase, are taken', () => {
    const taken = (text: string): string[] => readCaffe(source('net.prototxt', `${input} ${text}`)).layers.map(({ op }) => op)
    expect(taken(`layer { name: "y" type: "ReLU" bottom: "x" top: "y" } ${made('Dropout', 'TRAIN', 'y')}`)).toEqual(['relu', 'dropout'])
    expect(taken(made('TanH', 'TEST'))).toEqual(['tanh'])
  })
  test('a net of other stages has no outputs, and says so', () => {
    expect(() => readCaffe(source('net.prototxt', `${input} layer { name: "y" type: "ReLU" bottom: "x" top: "y" include { stage: "a" } }`)))
      .toThrow(/the net has no outputs\n.*its layers are for other phases, levels or stages/)
  })
})

describe('what cannot be brought', () => {
  test('is told all at once, with places and ways out; --outputs cuts the net in front', () => {
    const text = `layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "r" type: "ReLU" bottom: "x" top: "r" }
layer { name: "py" type: "Python" bottom: "r" top: "p" python_param { module: "m" layer: "L" } }
layer { name: "roi" type: "ROIPooling" bottom: "p" top: "q" roi_pooling_param { pooled_w: 7 } }
layer { name: "st" type: "Pooling" bottom: "r" top: "s" pooling_param { pool: STOCHASTIC kernel_size: 2 border_mode: false } }`
    let told = ''
    try {
      readCaffe(source('net.prototxt', text))
    } catch (error) {
      told = (error as Error).message
    }
    expect(told.split('\n').filter((line) => !line.startsWith(' '))).toEqual([
      'net.prototxt:3 layer py (Python): it runs code of Python, which is not in the file',
      'net.prototxt:4 layer roi (ROIPooling): regions are chosen outside of the net here',
      'net.prototxt:5 layer st: Caffe has no field border_mode here',
      'net.prototxt:5 layer st (Pooling): stochastic pooling has no equal: it draws from its window in training',
    ])
    expect(readCaffe(source('net.prototxt', text), { outputs: ['r'] }).results).toEqual([{ kind: 'output', name: 'r', value: 'r' }])
    expect(() => readCaffe(source('net.prototxt', text), { outputs: ['rr'] })).toThrow('--outputs rr: no blob and no layer has that name')
  })

  test('shared parameters are all of them or none', () => {
    const fc = (name: string, bottom: string, params: string): string =>
      `layer { name: "${name}" type: "InnerProduct" bottom: "${bottom}" top: "${name}" ${params} inner_product_param { num_output: 4 } }`
    const text = (params: string): string =>
      `layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 4 } } } ${
        fc('a', 'x', 'param { name: "w" } param { name: "b" }')
      } ${fc('b', 'a', params)}`
    expect(readCaffe(source('net.prototxt', text('param { name: "w" } param { name: "b" }'))).layers[1]!.sharesWith).toBe('a')
    expect(() => readCaffe(source('net.prototxt', text('param { name: "w" }')))).toThrow('it shares some of its parameters')
  })
})
