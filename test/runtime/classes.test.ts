import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { interpreter } from '../../compiler/interpreter-device.ts'
import { matchClasses, relabel } from '../../runtime/data/classes.ts'
import { arrays } from '../../runtime/data/dataset.ts'
import { fieldsFor } from '../../runtime/data/fields.ts'
import type { InputEntry } from '../../bundle/format.ts'
import { open, problemsOf } from '../../runtime/index.ts'

const label = (classes: number, classNames?: readonly string[]): InputEntry => ({
  name: 'label',
  type: 'i32',
  shape: ['n'],
  classes,
  ...(classNames && { classNames }),
})
const field = (...classNames: string[]) => ({ shape: [], type: 'i32' as const, classes: classNames.length, classNames })

describe('classes of data and of a net', () => {
  test('are matched by name, whatever their order, and what is missing is told', () => {
    expect(matchClasses(label(3, ['cat', 'dog', 'eel']), field('cat', 'dog', 'eel'))).toEqual({
      names: ['cat', 'dog', 'eel'],
      learned: false,
      missing: [],
    })
    expect(matchClasses(label(3, ['eel', 'cat', 'dog']), field('cat', 'dog', 'eel')).labels).toEqual([1, 2, 0])
    expect(matchClasses(label(3, ['cat', 'dog', 'eel']), field('dog', 'eel'))).toMatchObject({ labels: [1, 2], missing: ['cat'] })
  })

  test('a net without names takes those of data that have all its classes', () => {
    expect(matchClasses(label(2), field('constructor', '__proto__'))).toEqual({
      names: ['constructor', '__proto__'],
      learned: true,
      missing: [],
    })
    expect(matchClasses(label(2), { shape: [], type: 'i32', classes: 2 })).toEqual({ learned: false, missing: [] })
  })

  test('numbers are the labels that they say', () => {
    // By code units 10 stands in front of 2.
    expect(matchClasses(label(11), field('0', '1', '10', '2'))).toMatchObject({
      labels: [0, 1, 10, 2],
      learned: false,
      missing: ['3', '4', '5', '6', '7', '8', '9'],
    })
    expect(matchClasses(label(2), field('1', '2')).names).toEqual(['1', '2'])
  })

  test.each<[string, InputEntry, string[], RegExp]>([
    [
      'a class that the net does not know',
      label(3, ['cat', 'dog', 'eel']),
      ['cat', 'dgo'],
      /a class that label of the net does not know: dgo; did you mean dog\? \(it knows cat, dog, eel\)/,
    ],
    [
      'fewer classes than a net without names',
      label(10),
      ['cat', 'sea lion'],
      /2 of the 10 classes of label.*cat, sea lion\. Write input label: class\[cat, "sea lion"\] and 8 more names/,
    ],
    ['more classes than the net has', label(2), ['a', 'b', 'c'], /3 classes, label of the net has 2: a, b, c/],
  ])('refused: %s', (_, input, names, reason) => expect(() => matchClasses(input, field(...names))).toThrow(reason))

  test('labels that are ignored stay what they are', async () => {
    const into = Int32Array.of(0, 0, 0, 0)
    const data = arrays({ label: { shape: [2], type: 'i32', classes: 2, data: Int32Array.of(0, -1, 1, 255) } })
    await relabel(data, new Map([['label', [5, 7]]])).read([0, 1], { label: into })
    expect([...into]).toEqual([5, -1, 7, 255])
  })
})

describe('a net', () => {
  const text = (type: string): string =>
    `net f {
    input x: f32[2]
    input label: ${type}
    y = x -> fc(3)
    output prob = softmax(y)
    output more = y -> relu
    loss = softmax_loss(y, label)
    metric accuracy = accuracy(y, label)
  }
  train { solver sgd(lr: 0.5) batch 3 }`
  /** The class is where the larger number stands; the third one is between them. */
  const data = (names: readonly string[]) =>
    arrays({
      x: { shape: [2], type: 'f32', data: Float32Array.of(4, 0, 0, 4, 3, 3) },
      label: {
        shape: [],
        type: 'i32',
        classes: names.length,
        classNames: names,
        data: Int32Array.from(['left', 'right', 'both'], (name) => names.indexOf(name)),
      },
    })

  test('keeps the names of its text, and knows whose scores an output is', async () => {
    const { manifest } = compile(text('class[cat, dog, eel]'), { targets: ['wasm'] })
    expect(manifest.inputs[1]).toMatchObject({ classes: 3, classNames: ['cat', 'dog', 'eel'] })
    expect(manifest.outputs.map(({ name, scores }) => [name, scores])).toEqual([
      ['prob', 'label'],
      ['more', undefined],
      ['loss', undefined],
      ['accuracy', undefined],
    ])
    expect(problemsOf({ ...manifest, inputs: [manifest.inputs[0], { ...manifest.inputs[1], classNames: ['cat', 'cat', 'eel'] }] })).toEqual(
      [{ path: 'inputs[1].classNames', message: 'two classes cat' }],
    )
    expect(problemsOf({ ...manifest, inputs: [manifest.inputs[0], { ...manifest.inputs[1], classNames: ['cat'] }] })[0]!.message).toBe(
      '1 name for 3 classes',
    )
    expect(problemsOf({ ...manifest, inputs: [{ ...manifest.inputs[0], classNames: ['a'] }, manifest.inputs[1]] })[0]!.path).toBe(
      'inputs[0].classNames',
    )
    expect(problemsOf({ ...manifest, outputs: [{ ...manifest.outputs[0], scores: 'x' }, ...manifest.outputs.slice(1)] })[0]!.path).toBe(
      'outputs[0].scores',
    )
  })

  test('learns the names of the data, saves them, and evaluates other data by them', async () => {
    const net = await open(compile(text('class[3]'), { targets: ['wasm'] }), { device: interpreter() })
    expect(net.classes).toBeUndefined()
    for await (const _ of net.train(data(['left', 'right', 'both']), { steps: 60 }));
    expect(net.classes).toEqual(['left', 'right', 'both'])
    const saved = await net.save()
    expect(saved.manifest.inputs[1]!.classNames).toEqual(['left', 'right', 'both'])
    const again = await open(saved, { device: interpreter() })
    for (const order of [['left', 'right', 'both'], ['both', 'left', 'right']])
      expect((await again.evaluate(data(order))).metrics['accuracy']).toBe(1)
    await expect(again.evaluate(data(['left', 'right', 'booth', 'both']))).rejects.toThrow(/booth; did you mean both\?/)
    net.close()
    again.close()
  })
})

describe('columns of a table', () => {
  const table = (...columns: string[]) =>
    arrays({
      x: { shape: [2], type: 'f32', columns, data: Float32Array.of(4, 0, 0, 4) },
      t: { shape: [1], type: 'f32', data: Float32Array.of(1, 2) },
    })
  const text =
    'net f { input x: f32[2] input t: f32[1] y = x -> fc(1) output y = y loss = squared_loss(y, t) } train { solver sgd(lr: 0.1) batch 2 }'

  test('are kept by a net that is trained with it, and others are refused', async () => {
    const net = await open(compile(text, { targets: ['wasm'] }), { device: interpreter() })
    for await (const _ of net.train(table('a', 'b'), { steps: 1 }));
    const { manifest } = await net.save()
    expect(manifest.inputs[0]!.columns).toEqual(['a', 'b'])
    await net.evaluate(table('a', 'b'))
    await expect(net.evaluate(table('b', 'a'))).rejects.toThrow(/in another order: x\[0\] is b and was a/)
    net.close()
    expect(problemsOf({ ...manifest, inputs: [{ ...manifest.inputs[0], columns: ['a'] }, manifest.inputs[1]] })).toEqual([
      { path: 'inputs[0].columns', message: 'columns is a list of 2 names' },
    ])
    expect(() => table('a', 'a')).toThrow('column x: two columns a')
  })
})

describe('shapes of data and of a net', () => {
  const net = (...shape: number[]): InputEntry[] => [{ name: 'image', type: 'f32', shape: ['n', ...shape] }]
  const data = (name: string, ...shape: number[]) =>
    arrays({ [name]: { shape, type: 'f32', data: new Float32Array(shape.reduce((p, d) => p * d, 1)) } })

  test.each<[string, number[], number[]]>([
    ['the same', [3, 8, 8], [3, 8, 8]],
    ['flat numbers for a shape', [192], [3, 8, 8]],
    ['a shape for flat numbers', [3, 8, 8], [192]],
    ['one number', [], [1]],
  ])('fit: %s', (_, given, wanted) => {
    for (const name of ['image', 'other']) expect(fieldsFor(net(...wanted), data(name, ...given))).toEqual(new Map([['image', name]]))
  })

  test.each<[string, number[], number[], RegExp]>([
    ['channels last', [8, 8, 3], [3, 8, 8], /order height, width, channels, the net takes channels first: transpose it to \[3, 8, 8\]/],
    ['channels first', [3, 8, 8], [8, 8, 3], /channels first, the net takes channels last/],
    ['height and width exchanged', [1, 14, 56], [1, 56, 14], /height and width are exchanged/],
    ['other pictures with as many pixels', [1, 14, 56], [1, 28, 28], /as many numbers in another shape/],
    [
      'without its channel',
      [28, 28],
      [1, 28, 28],
      /write its shape as \[1, 28, 28\], or input \[28, 28\] -> reshape\(\[1, 28, 28\]\)/,
    ],
    ['another size', [1, 8, 8], [3, 8, 8], /does not fit|nothing in it fits/],
  ])('refused: %s', (_, given, wanted, reason) => {
    for (const name of ['image', 'other']) expect(() => fieldsFor(net(...wanted), data(name, ...given))).toThrow(reason)
  })
})

test.each<[string, unknown, RegExp]>([
  ['a bare array', { x: new Float32Array(4) }, /column x: a bare array does not say what a sample is: write x: \{ shape:/],
  ['a bare list', { x: [1, 2] }, /a bare array/],
  ['no shape', { x: { type: 'f32', data: new Float32Array(4) } }, /shape is that of one sample/],
  ['a batch in the shape', { x: { shape: [0, 2], type: 'f32', data: new Float32Array(4) } }, /shape is that of one sample/],
  [
    'labels with fractions',
    { t: { shape: [], type: 'i32', data: Float32Array.of(0, 1.5, 2) } },
    /column t: it holds integers, not 1.5 \(at 1\)/,
  ],
  [
    'labels that are not numbers',
    { t: { shape: [], type: 'i32', data: Float32Array.of(0, 1, NaN) } },
    /column t: it holds integers, not NaN \(at 2\)/,
  ],
  [
    'labels that are scaled as pictures are',
    { t: { shape: [], type: 'i32', data: Uint8Array.of(0, 3), scale: 0.5 } },
    /column t: it holds integers, not 1.5 \(at 1\), 3 times scale/,
  ],
  ['another type', { x: { shape: [], type: 'f64', data: new Float32Array(4) } }, /type is 'f32' or 'i32'/],
  ['a list of numbers', { x: { shape: [], type: 'f32', data: [1, 2] } }, /data is a Float32Array/],
  [
    'names of other classes',
    { x: { shape: [], type: 'i32', classes: 3, classNames: ['a', 'b'], data: new Int32Array(4) } },
    /2 names for 3 classes/,
  ],
  ['a name twice', { x: { shape: [], type: 'i32', classes: 2, classNames: ['a', 'a'], data: new Int32Array(4) } }, /two classes a/],
  ['a scale that is none', { x: { shape: [], type: 'f32', scale: NaN, data: new Float32Array(4) } }, /scale is a number/],
  ['nothing', null, /columns by name are wanted/],
  ['an array', new Float32Array(3), /columns by name are wanted/],
])('columns: %s is refused', (_, columns, reason) => {
  let error: unknown
  try {
    arrays(columns as never)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ name: 'InputError', message: expect.stringMatching(reason) })
})
