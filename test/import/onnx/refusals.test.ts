import { describe, expect, test } from 'vitest'
import { bytesSource } from '../../../import/byte-source.ts'
import { ImportError } from '../../../import/import-error.ts'
import { readOnnx } from '../../../import/onnx/read.ts'
import type { ModelNet } from '../../../import/model-net.ts'
import type { ReadOptions } from '../../../import/read-options.ts'
import { floats, ints, type Model, modelBytes, type Node, node, oneInput, scalar } from './write-onnx.ts'

function told(bytes: Uint8Array, options: ReadOptions = {}): string[] {
  try {
    readOnnx(bytesSource('m.onnx', bytes), options)
    return []
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    return error.problems.map(({ where, what }) => `${where}: ${what}`)
  }
}

const three: Model = {
  inputs: { x: ['n', 3, 8, 8] },
  outputs: ['y'],
  nodes: [
    node('Sin', ['x'], ['a'], {}, { name: 'wave' }),
    node('Relu', ['x'], ['r']),
    node('Conv', ['r', 'w'], ['b'], {}, { name: 'first' }),
    node('Fancy', ['b'], ['c'], {}, { name: 'own', domain: 'com.example' }),
    node('Add', ['a', 'c'], ['y']),
  ],
  initializers: { w: floats([2, 4, 1, 1], [1, 2, 3, 4, 5, 6, 7, 8]) },
}

test('all that cannot be brought is told at once, and an output in front of it can be', () => {
  expect(told(modelBytes(three))).toEqual([
    'Sin node wave: no layer of the language computes it',
    'Conv node first: a weight [2, 4, 1, 1] in 1 groups does not go with 3 channels',
    "com.example.Fancy node own: the operator set com.example is not ONNX's own",
  ])
  expect(readOnnx(bytesSource('m.onnx', modelBytes(three)), { outputs: ['r'] }).layers.map(({ op }) => op)).toEqual(['relu'])
})

describe('what stands in the way', () => {
  const relu = [node('Relu', ['x'], ['y'])]
  test.each<[string, Uint8Array, ReadOptions, string[]]>([
    ['a size that is open', oneInput(['n', 3, 'h', 'w'], relu), {}, ['input x: its axis 2, h, has no size: [n, 3, h, w]']],
    ['a size that is told otherwise', oneInput(['n', 3, 8, 8], relu), { shapes: new Map([['x', [1, 8, 8]]]) }, [
      'input x: --shape gives 1 for axis 1, and the model fixes 3',
    ]],
    ['a shape of an input that is not there', oneInput(['n', 3], relu), { shapes: new Map([['z', [3]]]) }, [
      '--shape z: m.onnx has no input of this name',
    ]],
    ['an output that is not there', oneInput(['n', 3], relu), { outputs: ['elsewhere'] }, [
      'output elsewhere: the model has no value of this name',
    ]],
    ['an operator set of tomorrow', oneInput(['n', 3], relu, { opset: 27 }), {}, ['m.onnx: its operator set is 27; 6 to 26 are read']],
    ['a format of tomorrow', oneInput(['n', 3], relu, { ir: 14 }), {}, ['m.onnx: its IR version 14 is newer than 13']],
    ['samples that are joined', oneInput(['n', 3], [node('ReduceSum', ['x', 'a'], ['y'])], { initializers: { a: ints(0) } }), {}, [
      'ReduceSum node that makes y: it reduces along axis 0, which is the batch here',
    ]],
    [
      'samples that are averaged',
      oneInput(['n', 3], [node('ReduceMean', ['x', 'a'], ['y'])], { opset: 18, initializers: { a: ints(0) } }),
      {},
      [
        'ReduceMean node that makes y: it reduces along axis 0, which is the batch here',
      ],
    ],
    ['a weight that is computed', oneInput(['n', 3, 4, 4], [node('Conv', ['x', 'x'], ['y'])]), {}, [
      "Conv node that makes y: the weight is computed from the net's inputs",
    ]],
    ['a condition that is computed', oneInput(['n', 3], [node('If', ['x'], ['y'])]), {}, [
      "If node that makes y: the condition is computed from the net's inputs",
    ]],
    ['nodes that are not in order', oneInput(['n', 3], [node('Relu', ['z'], ['y']), node('Relu', ['x'], ['z'])]), {}, [
      'Relu node that makes y: it reads z, which nothing before it makes',
    ]],
    [
      'a value that is made twice',
      oneInput(['n', 3], [node('Relu', ['x'], ['z']), node('Abs', ['x'], ['z']), node('Neg', ['z'], ['y'])]),
      {},
      ['Abs node that makes z: it makes z, which is there already'],
    ],
    [
      'a constant from nothing to everything',
      oneInput(['n', 3], [node('ConstantOfShape', ['s'], ['c']), node('Add', ['x', 'c'], ['y'])], {
        initializers: { s: ints(2 ** 20, 2 ** 20) },
      }),
      {},
      ['ConstantOfShape node that makes c: a constant [1048576, 1048576], which is more than the model'],
    ],
    [
      'functions that call themselves',
      oneInput(['n', 3], [node('F', ['x'], ['y'], {}, { domain: 'own' })], {
        functions: [{ domain: 'own', name: 'F', inputs: ['a'], outputs: ['b'], nodes: [node('F', ['a'], ['b'], {}, { domain: 'own' })] }],
      }),
      {},
      ['own.F node that makes b: functions that call one another without an end'],
    ],
    [
      'indices that are read',
      oneInput(['n', 1, 4, 4], [node('MaxPool', ['x'], ['p', 'i'], { kernel_shape: [2, 2] }), node('Add', ['p', 'i'], ['y'])]),
      {},
      ['Add node that makes y: it reads i, output 2 of MaxPool node that makes p, cannot be had'],
    ],
    [
      'numbers that are cut off',
      oneInput(['n', 3], [node('Mul', ['x', 'c'], ['y'])], { initializers: { c: { shape: [4], data: [1, 2, 3] } } }),
      {},
      [expect.stringMatching(/^m.onnx at byte \d+, tensor c: 4 of float32 take 16 bytes, and it has 12$/)],
    ],
  ])('%s', (_, bytes, options, want) => {
    expect(told(bytes, options)).toEqual(want)
  })
})

test('a file that ends anywhere is refused or read, and a byte that is wrong too', () => {
  const bytes = modelBytes({ ...three, outputs: ['b'], initializers: { w: floats([2, 3, 1, 1], [1, 2, 3, 4, 5, 6]) } })
  for (let length = 0; length < bytes.length; length++) told(bytes.subarray(0, length))
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of [1, 0x80, 0xff]) {
      const wrong = bytes.slice()
      wrong[at]! ^= flip
      told(wrong)
    }
  }
  expect(told(bytes)).toEqual([])
})

describe('numbers in a file of their own', () => {
  /** `c` of the model, by hand: dims 2, float, in `w.bin` from byte 4 on. */
  const entry = (
    key: string,
    value: string,
  ): number[] => [0x6a, key.length + value.length + 4, 0x0a, key.length, ...Buffer.from(key), 0x12, value.length, ...Buffer.from(value)]
  const tensor = (location: string, offset: string): Uint8Array =>
    Uint8Array.of(
      0x0a,
      1,
      2,
      0x10,
      1,
      0x42,
      1,
      0x63,
      ...entry('location', location),
      ...entry('offset', offset),
      ...entry('length', '8'),
      0x70,
      1,
    )
  const model = (location: string, offset = '4'): Uint8Array => {
    // A model without the initializer, its graph made longer by one.
    const plain = oneInput(['n', 2], [node('Mul', ['x', 'c'], ['y'])])
    const inner = tensor(location, offset)
    const at = plain.indexOf(0x3a)
    const length = plain[at + 1]!
    return Uint8Array.of(
      ...plain.subarray(0, at + 1),
      (length + inner.length + 2) & 127 | 128,
      (length + inner.length + 2) >> 7,
      ...plain.subarray(at + 2, at + 2 + length),
      0x2a,
      inner.length,
      ...inner,
      ...plain.subarray(at + 2 + length),
    )
  }
  const beside = (path: string) => {
    if (path.includes('..')) throw new ImportError([{ where: path, what: "it is not below the model's folder" }])
    return bytesSource(path, new Uint8Array(Float32Array.of(9, 1.5, 2.5).buffer))
  }

  test('are read where they lie', () => {
    const [layer] = readOnnx(bytesSource('m.onnx', model('w.bin')), { beside }).layers
    expect([layer!.op, ...layer!.parameters!['weight']!.values()]).toEqual(['scale', 1.5, 2.5])
  })

  test('are refused outside of the folder, behind the end, and without a folder', () => {
    expect(told(model('../w.bin'), { beside })).toEqual(["../w.bin: it is not below the model's folder"])
    expect(told(model('w.bin', '8'), { beside })[0]).toMatch(/wants bytes 8 to 16 of w.bin, which has 12/)
    expect(told(model('w.bin'))[0]).toMatch(/its numbers are in the file w.bin/)
  })
})

test('what is left out is told', () => {
  const { notes } = readOnnx(
    bytesSource('m.onnx', oneInput(['n', 3], [node('Clip', ['x', 'l', 'h'], ['y'])], { initializers: { l: scalar(2), h: scalar(1) } })),
  )
  expect(notes).toEqual([{
    about: 'Clip node that makes y',
    kind: 'changed',
    text: 'its bounds 2 and 1 cross: 1 everywhere, as the specification says',
  }])
})

describe('statistics that never move in training, momentum 1,', () => {
  const read = (producer: string, momentum: number, training = false): ModelNet => {
    const initializers = { gamma: floats([2], [1, 2]), beta: floats([2], [3, 4]), mean: floats([2], [5, 6]), variance: floats([2], [7, 8]) }
    const one = (x: string, y: string): Node =>
      node('BatchNormalization', [x, ...Object.keys(initializers)], [y], {
        momentum: { float: momentum },
        ...(training && { training_mode: 1 }),
      })
    const nodes = [one('x', 'h'), one('h', 'y')]
    return readOnnx(bytesSource('m.onnx', oneInput(['n', 2, 3, 3], nodes, { initializers, producer, ...(training && { opset: 14 }) })))
  }
  const stats = ({ layers }: ModelNet): unknown[] => layers.map(({ arguments: args }) => args!['stats'])

  test('are a mean over all batches where PyTorch wrote them, counted anew, and told once', () => {
    const net = read('pytorch', 1)
    expect(stats(net)).toEqual(['cumulative', 'cumulative'])
    const tensors = net.layers[0]!.parameters!
    expect(Object.fromEntries(Object.entries(tensors).map(([role, tensor]) => [role, [...tensor.values()]])))
      .toEqual({ gamma: [1, 2], beta: [3, 4], running_mean: [5, 6], running_var: [7, 8], count: [0] })
    expect(net.notes.map(({ text }) => text)).toEqual([
      expect.stringMatching(/momentum=None.*stats: cumulative.*write stats: moving\(newest: 0\)/),
    ])
  })

  test('stay where another program wrote them, and that is told; PyTorch with other numbers is as ever', () => {
    const net = read('another', 1)
    expect(stats(net)).toEqual(Array(2).fill({ call: 'moving', arguments: { newest: 0 } }))
    expect(net.notes.map(({ text }) => text)).toEqual([
      expect.stringMatching(/stay as they are in training.*write stats: moving\(newest: 0.1\)/),
    ])
    for (const [momentum, newest] of [[0, 1], [0.9, 0.1]] as const) {
      const { layers, notes } = read('pytorch', momentum)
      expect(layers[0]!.arguments!['stats']).toEqual({ call: 'moving', arguments: { newest } })
      expect(notes).toEqual([])
    }
  })

  test("the training form of PyTorch's mean over all batches is momentum 0, and a part of it after some", () => {
    const fresh = read('pytorch', 0, true)
    expect(stats(fresh)).toEqual(['cumulative', 'cumulative'])
    const texts = ({ notes }: ModelNet): string[] => notes.map(({ text }) => text).filter((text) => text.includes('momentum'))
    expect(texts(fresh)).toEqual([expect.stringMatching(/momentum 0 in its training form.*write stats: moving\(newest: 1\)/)])
    const later = read('pytorch', 0.75, true)
    expect(stats(later)[0]).toEqual({ call: 'moving', arguments: { newest: 0.25 } })
    expect(texts(later)).toEqual([expect.stringMatching(/momentum=None after 3 batches.*write stats: cumulative/)])
    for (const [producer, momentum] of [['pytorch', 0.9], ['pytorch', 0.7], ['another', 0], ['another', 0.75]] as const)
      expect(texts(read(producer, momentum, true))).toEqual([])
  })

  test('the variance that is kept is the unbiased one where PyTorch wrote it', () => {
    const unbiased = (producer: string): unknown[] => read(producer, 0.9).layers.map(({ arguments: args }) => args!['unbiased'])
    expect(unbiased('pytorch')).toEqual([true, true])
    expect(unbiased('another')).toEqual([undefined, undefined])
  })
})

test('says what to do about names of nodes, parts of names, and shapes with the batch', () => {
  const mended = (options: ReadOptions): unknown => {
    try {
      return readOnnx(bytesSource('m.onnx', modelBytes(three)), options)
    } catch (error) {
      return (error as ImportError).problems.map(({ where, mend }) => `${where}: ${mend}`)
    }
  }
  const relu: Model = {
    inputs: { x: ['n', 3, 8, 8] },
    outputs: ['y'],
    nodes: [node('Relu', ['x'], ['stage_one'], {}, { name: 'act' }), node('Relu', ['stage_one'], ['y'])],
  }
  expect(() => readOnnx(bytesSource('m.onnx', modelBytes(relu)), { outputs: ['act', 'stage'] })).toThrow(
    /output act: it is the name of a node, not of a value\n.*value is stage_one\noutput stage: .*\n.*one has it in the name: stage_one/,
  )
  expect(mended({ shapes: new Map([['x', [1, 3, 8, 8]]]) })).toContain('input x: say it without the batch: --shape x=3x8x8')
})

test('a frame of rows that are not the last ones is told where PyTorch wrote it, for circular padding', () => {
  const read = (producer: string, pad: number, axis: number, from: number): string[] => {
    const cut = (y: string, first: number, last: number): Node[] => [
      node('Constant', [], [`${y}0`], { value: ints(first) }),
      node('Constant', [], [`${y}1`], { value: ints(last) }),
      node('Slice', ['x', `${y}0`, `${y}1`, 'axis'], [y]),
    ]
    const nodes = [
      node('Constant', [], ['axis'], { value: ints(axis) }),
      ...cut('a', from, from === -pad ? 100 : -1),
      ...cut('b', 0, pad),
      node('Concat', ['a', 'x', 'b'], ['y'], { axis }),
    ]
    return readOnnx(bytesSource('m.onnx', oneInput(['n', 2, 6, 6], nodes, { producer, opset: 13 }))).notes.map(({ text }) => text)
  }
  for (const [pad, axis] of [[1, 2], [2, 3]] as const)
    expect(read('pytorch', pad, axis, -pad - 1)).toEqual([
      expect.stringMatching(/^circular padding: PyTorch .*slice\(axis, size - pad, size\)/),
    ])
  expect(read('pytorch', 1, 2, -1)).toEqual([])
  expect(read('another', 1, 2, -2)).toEqual([])
})

test.each([
  ['other numbers for each sample', [2, 1, 6, 6], 1],
  ['another height', [1, 1, 5, 6], 1],
  ['a size of 1, which is not repeated', [1, 1, 1, 6], 1],
])('constants that do not go beside a map are refused: %s', (_, shape, axis) => {
  const k = { shape, data: Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i), type: 'float' as const }
  expect(() =>
    readOnnx(bytesSource('m.onnx', oneInput(['n', 2, 6, 6], [node('Concat', ['x', 'k'], ['y'], { axis })], { initializers: { k } })))
  )
    .toThrow(/it joins a constant .* with \[n, 2, 6, 6\] along axis 1\n.*the same for all/)
})
