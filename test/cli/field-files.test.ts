import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Dataset } from '../../runtime/data/dataset.ts'
import { readCsv } from '../../runtime/data/node/csv.ts'
import type { InputEntry, TensorData } from '../../bundle/format.ts'
import { loadData, loadDataset } from '../../runtime/node.ts'
import { encodeNpy, parseNpy } from '../../runtime/loading/npy.ts'
import { writeSafetensors } from '../../runtime/loading/safetensors.ts'
import { fusenet, json } from './helper.ts'

let folder: string
const at = (name: string): string => join(folder, name)
const x: InputEntry = { name: 'x', type: 'f32', shape: ['n', 2] }
const t: InputEntry = { name: 't', type: 'f32', shape: ['n', 1] }
const label: InputEntry = { name: 'label', type: 'i32', shape: ['n'], classes: 2 }
const f32 = (shape: number[], ...data: number[]): TensorData => ({ shape, type: 'f32', data: Float32Array.from(data) })
const count = (n: number, each: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => each(i))
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-fields-'))
  await writeFile(at('x.npy'), encodeNpy(f32([10, 2], ...count(20, (i) => i))))
  await writeFile(at('t.npy'), encodeNpy(f32([10], ...count(10, (i) => 4 * i + 1))))
  await writeFile(at('t9.npy'), encodeNpy(f32([9], ...count(9, (i) => i))))
  await writeFile(at('from-1.npy'), encodeNpy(f32([10], ...count(10, (i) => i % 2 + 1))))
  await writeFile(at('label.npy'), encodeNpy({ shape: [10], type: 'f64', data: Float64Array.from(count(10, (i) => i % 2)) }))
  await writeFile(
    at('all.safetensors'),
    writeSafetensors(
      new Map<string, TensorData>([['x', f32([10, 2], ...count(20, (i) => i))], ['t', f32([10, 1], ...count(10, (i) => 4 * i + 1))]]),
    ),
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function values(dataset: Dataset, name: string): Promise<number[]> {
  const { shape, type } = dataset.fields[name]!
  const into = new (type === 'i32' ? Int32Array : Float32Array)(dataset.length * shape.reduce((p, d) => p * d, 1))
  await dataset.read(count(dataset.length, (i) => i), { [name]: into })
  return [...into]
}
const csv = async (text: string, inputs: InputEntry[]) => {
  await writeFile(at('t.csv'), text)
  const notes: string[] = []
  const data = await loadData(at('t.csv'), { inputs, whole: true })
  return { dataset: data.train, notes: [...notes, ...data.notes] }
}

describe('arrays in files', () => {
  test('by the names of inputs; every fifth sample tests, and that is said', async () => {
    for (const spec of [`x=${at('x.npy')},t=${at('t.npy')}`, at('all.safetensors')]) {
      const { train, test, notes } = await loadData(spec, { inputs: [x, t] })
      expect(await values(train, 'x')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17])
      expect(await values(test, 't')).toEqual([17, 37])
      expect(notes).toEqual([expect.stringMatching(/no test part: every fifth sample/)])
    }
  })

  test('other data to test with; the same in a file and in the library', async () => {
    const spec = `x=${at('x.npy')},t=${at('t.npy')}`
    const { train, test } = await loadData(spec, { inputs: [x, t], testData: at('all.safetensors') })
    expect([train.length, test.length]).toEqual([10, 10])
    expect((await loadData({ call: 'files', args: { path: spec, test: spec } }, { inputs: [x, t] })).test.length).toBe(10)
    expect((await loadDataset(spec, { inputs: [x, t], split: 'test' })).length).toBe(2)
    await expect(loadDataset(spec, { inputs: [x, t], split: 'validation' })).rejects.toThrow(
      'has no part for validation: holdOut(dataset, 0.1) keeps',
    )
    await expect(loadDataset(spec, { inputs: [x, t], split: 'tset' as 'test' })).rejects.toThrow(
      `split "tset": 'train' or 'validation' or 'test' is wanted`,
    )
  })

  test('labels of any type of number', async () => {
    const { train } = await loadData(`x=${at('x.npy')},label=${at('label.npy')}`, { inputs: [x, label], whole: true })
    expect(train.fields['label']).toMatchObject({ type: 'i32', classes: 2 })
    expect(await values(train, 'label')).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
  })

  test.each<[string, () => string, InputEntry[], RegExp]>([
    ['another name', () => `xx=${at('x.npy')}`, [x, t], /no input xx; did you mean x\?/],
    ['other numbers of samples', () => `x=${at('x.npy')},t=${at('t9.npy')}`, [x, t], /x 10 \(.*x\.npy\), t 9 \(.*t9\.npy\)/],
    ['no name where two are wanted', () => at('x.npy'), [x, t], /which input is it\? Write NAME=/],
    ['a file that is not there', () => `x=${at('y.npy')}`, [x], /there is no file .*y\.npy/],
    ['a label that is no class', () => `x=${at('x.npy')},label=${at('t.npy')}`, [x, label], /t\.npy: label 5 at 1 is not in 0\.\.1/],
    [
      'labels that count from 1',
      () => `x=${at('x.npy')},label=${at('from-1.npy')}`,
      [x, label],
      /label 2 at 1 is not in 0\.\.1: labels count from 0, and none here is 0/,
    ],
    ['another kind of file', () => `x=${at('x.txt')}`, [x], /there is no file|read from \.npy/],
    ['a name twice', () => `x=${at('x.npy')},x=${at('x.npy')}`, [x], /x is in .* and in /],
  ])('refused: %s', async (_, spec, inputs, reason) => expect(loadData(spec(), { inputs })).rejects.toThrow(reason))

  test('maps of labels are counted by the pixel, ignored ones apart', async () => {
    await writeFile(
      at('maps.net'),
      'net m { input image: f32[1, 2, 2] input map: class[cat, dog][2, 2] y = image -> conv(2, 1) output prob = softmax(y) loss = softmax_loss(y, map, ignore: 255) }',
    )
    await writeFile(at('image.npy'), encodeNpy(f32([5, 1, 2, 2], ...count(20, () => 0.5))))
    await writeFile(
      at('map.npy'),
      encodeNpy({ shape: [5, 2, 2], type: 'u8', data: Uint8Array.from(count(20, (i) => (i === 3 ? 255 : Number(i > 8)))) }),
    )
    const said = await fusenet([
      'eval',
      at('maps.net'),
      '--data',
      `image=${at('image.npy')},map=${at('map.npy')}`,
      '--device',
      'interpreter',
    ])
    expect(said.code, said.err).toBe(0)
    expect(said.err).toMatch(/2 classes \(test, pixels\): cat 8, dog 11\nignored labels: test 1\n/)
  })

  test('a regression by the command', async () => {
    await writeFile(
      at('r.net'),
      'net r { input x: f32[2] input t: f32[1] y = x -> fc(1) output y = y loss = squared_loss(y, t) } train { batch 4 epochs 1 solver sgd(lr: 0.001) }',
    )
    const said = await fusenet([
      'train',
      at('r.net'),
      '--data',
      `x=${at('x.npy')},t=${at('t.npy')}`,
      '--device',
      'interpreter',
      '-o',
      at('r'),
      '--json',
    ])
    expect(said.code, said.err).toBe(0)
    const evaluated = await fusenet(['eval', at('r'), '--data', at('all.safetensors'), '--device', 'interpreter', '--json'])
    expect(json(evaluated)).toMatchObject({ count: 10 })
    const predicted = await fusenet(['run', at('r'), at('x.npy'), '--device', 'interpreter', '--json'])
    expect(json(predicted).outputs.y.shape).toEqual([10, 1])
  })

  test('numbers that score no classes are shown in their order; data in quotes in the file', async () => {
    await writeFile(
      at('r2.net'),
      `net r { input x: f32[2] input t: f32[2] p = x -> fc(2) as f output y = p loss = squared_loss(p, t) }
      train { data "x=${at('x.npy')},t=${at('x.npy')}" batch 4 epochs 1 solver sgd(lr: 0) }`,
    )
    const weights = new Map([['f.weight', f32([2, 2], 0, 0, 0, 0)], ['f.bias', f32([2], -1, 2)]])
    await writeFile(at('r2.safetensors'), writeSafetensors(weights))
    const said = await fusenet(
      ['train', at('r2.net'), '--weights', at('r2.safetensors'), '--device', 'interpreter', '-o', at('r2'), '--json'],
    )
    expect(said.code, said.err).toBe(0)
    const { out } = await fusenet(['run', at('r2'), at('x.npy'), '--device', 'interpreter'])
    expect(out.split('\n').slice(0, 3)).toEqual(['y [10, 2]', '  0: -1 2', '  1: -1 2'])
  })
})

describe('tables', () => {
  test('columns by name, classes by name, and what is not used', async () => {
    const { dataset, notes } = await csv('id,t,a,b,kind\nu,1,2,3,cat\nv,4,5,6,"a, dog"\n', [x, t])
    expect(notes).toEqual([expect.stringMatching(/by position: x\[0\] is a, x\[1\] is b/), expect.stringMatching(/not used: id, kind/)])
    expect([await values(dataset, 'x'), await values(dataset, 't')]).toEqual([[2, 3, 5, 6], [1, 4]])
    const words = await csv('a;b;kind\n1;2;dog\n3;4;cat\n', [x, label])
    expect(words.notes).toEqual([expect.stringMatching(/label is the column kind/), expect.stringMatching(/x\[0\] is a, x\[1\] is b/)])
    expect(words.dataset.fields['label']!.classNames).toEqual(['cat', 'dog'])
    expect(await values(words.dataset, 'label')).toEqual([1, 0])
    expect(await values((await csv('\ufefflabel,x_1,x_0\n1,2,3\n0,4,5\n', [x, label])).dataset, 'x')).toEqual([3, 2, 5, 4])
    expect(await values((await csv('a,b,label\n1,2,dog\n1,2,cat\n', [x, { ...label, classNames: ['dog', 'cat'] }])).dataset, 'label'))
      .toEqual([0, 1])
  })

  test.each([['2', '10', '0'], ['2.0', '10.0', '0.0'], ['2e0', '1e1', '0.0e0'], ['2.', '+10', '-0']])(
    'whole numbers are labels, however they are written: %s %s %s',
    async (...cells) => {
      const { dataset } = await csv(`x0,x1,label\n${cells.map((cell) => `1,2,${cell}`).join('\n')}\n`, [x, { ...label, classes: 11 }])
      expect([await values(dataset, 'label'), dataset.fields['label']!.classNames]).toEqual([[2, 10, 0], undefined])
    },
  )

  test('labels beyond the classes are refused, and names of the net that are numbers are found, with a point or without', async () => {
    const table = 'x0,x1,label\n1,2,2.0\n1,2,10.0\n'
    await expect(csv(table, [x, { ...label, classes: 10 }])).rejects.toThrow(/t\.csv:3, column label: label 10\.0 is not in 0\.\.9/)
    for (const classNames of [['10', '2'], ['10.0', '2.0']])
      expect(await values((await csv(table, [x, { ...label, classNames }])).dataset, 'label')).toEqual([1, 0])
  })

  test('where classes are called by numbers, a number is a name, and what is ignored stays ignored', async () => {
    const digits = { ...label, classes: 3, classNames: ['1', '2', '3'] }
    expect(await values((await csv('x0,x1,label\n1,2,3\n1,2,1.0\n1,2,-1\n', [x, digits])).dataset, 'label')).toEqual([2, 0, -1])
    await expect(csv('x0,x1,label\n1,2,3\n1,2,0\n', [x, digits])).rejects.toThrow(/t\.csv:3, column label: label knows no class 0[; ]/)
  })

  test('names that are numbers are sorted by their value, in front of words', async () => {
    const { dataset } = await csv('x0,x1,label\n1,2,2.5\n1,2,10.5\n1,2,b\n1,2,10\n', [x, label])
    expect(dataset.fields['label']!.classNames).toEqual(['2.5', '10', '10.5', 'b'])
  })

  const wide: InputEntry = { name: 'x', type: 'f32', shape: ['n', 3] }
  test.each<[string, string, number[]]>([
    ['in any order', 'x2,x0,x1\n1,2,3\n', [2, 3, 1]],
    ['counted from 1', 'x3,x2,x1\n1,2,3\n', [3, 2, 1]],
    ['with zeros in front, in capitals', 'X02,X01,X00\n1,2,3\n', [3, 2, 1]],
    ['in brackets', 'x[1],x[0],x[2]\n1,2,3\n', [2, 1, 3]],
    ['beside others', 'id,x1,x0,x2,more\n9,1,2,3,8\n', [2, 1, 3]],
  ])('columns of the names of an input are taken %s, and need no word', async (_, text, want) => {
    const { dataset, notes } = await csv(text, [wide])
    expect([await values(dataset, 'x'), notes]).toEqual([want, []])
  })

  test('columns that a net was trained with are found by name in other tables', async () => {
    const trained = (await csv('a,b,c\n1,2,3\n', [wide])).dataset.fields['x']!.columns
    expect(trained).toEqual(['a', 'b', 'c'])
    const known = { ...wide, columns: trained! }
    for (const text of ['c,b,a\n3,2,1\n', 'id,C,B,A\n9,3,2,1\n', 'x2,x1,x0\n3,2,1\n']) {
      const { dataset, notes } = await csv(text, [known])
      expect([await values(dataset, 'x'), notes, dataset.fields['x']!.columns]).toEqual([[1, 2, 3], [], trained])
    }
    await expect(csv('a,bb,c\n1,2,3\n', [known])).rejects.toThrow(
      /names 2 of the 3 columns of the table that the net was trained with, of input x; missing: b; unknown: bb; did you mean b\?/,
    )
    await expect(csv('p,q,r\n1,2,3\n', [known])).rejects.toThrow(/names 0 of the 3 columns.*missing: a, b, c; unknown: p, q, r/)
  })

  test('a table for tests is read by the names of the training', async () => {
    await writeFile(at('ab.csv'), 'a,b,t\n1,2,0\n')
    await writeFile(at('ba.csv'), 'b,a,t\n4,3,0\n')
    const beside = await loadData(at('ab.csv'), { inputs: [x, t], testData: at('ba.csv') })
    const inside = await loadData({ call: 'files', args: { path: at('ab.csv'), test: at('ba.csv') } }, { inputs: [x, t] })
    for (const { test } of [beside, inside]) expect(await values(test, 'x')).toEqual([3, 4])
  })

  test('a trained bundle keeps the names of columns', async () => {
    await writeFile(
      at('c.net'),
      'net c { input x: f32[2] input t: f32[1] y = x -> fc(1) output y = y loss = squared_loss(y, t) } train { batch 2 epochs 1 solver sgd(lr: 0.1) }',
    )
    const rows = count(10, (i) => i)
    await writeFile(at('straight.csv'), ['a,b,t', ...rows.map((i) => `${i / 9},${1 - i / 3},${i}`)].join('\n'))
    await writeFile(at('turned.csv'), ['b,t,a', ...rows.map((i) => `${1 - i / 3},${i},${i / 9}`)].join('\n'))
    await writeFile(at('other.csv'), ['b,t,c', ...rows.map((i) => `${1 - i / 3},${i},${i / 9}`)].join('\n'))
    const run = (...words: string[]) => fusenet([...words, '--device', 'interpreter', '--json'])
    const said = await run('train', at('c.net'), '--data', at('straight.csv'), '-o', at('c'))
    expect(said.code, said.err).toBe(0)
    const losses = []
    for (const name of ['straight', 'turned']) losses.push(json(await run('eval', at('c'), '--data', at(`${name}.csv`))).metrics.loss)
    losses.push(json(await run('eval', at('c.net'), '--weights', at('c'), '--data', at('turned.csv'))).metrics.loss)
    expect([losses[1], losses[2]]).toEqual([losses[0], losses[0]])
    const predicted = []
    for (const name of ['straight', 'turned']) predicted.push(json(await run('run', at('c'), at(`${name}.csv`))).outputs)
    expect(predicted[1]).toEqual(predicted[0])
    const refused = await run('eval', at('c'), '--data', at('other.csv'))
    expect([refused.code, refused.out]).toEqual([1, expect.stringMatching(/missing: a; unknown: c/)])
  })

  test('pixels that look like bytes are told', async () => {
    const { notes } = await csv('label,p0,p1,p2,p3\n1,0,200,255,7\n', [{ name: 'image', type: 'f32', shape: ['n', 1, 2, 2] }, label])
    expect(notes).toEqual([
      expect.stringMatching(/by position: image\[0\] is p0, .*image\[3\] is p3/),
      expect.stringMatching(/image holds numbers up to 255, taken as they are: pictures that fusenet reads itself are 0\.\.1/),
    ])
  })

  test.each<[string, string, InputEntry[], RegExp]>([
    ['an empty cell', 't,a,b\n1,2,3\n,2,3\n', [x, t], /t\.csv:3, column t: a number is wanted, here is nothing/],
    [
      'a word among features',
      'a,b,t\n1,2,3\n1,two,3\n',
      [x, t],
      /1 columns of numbers for the 2 of input x: a; .*t\.csv:3, column b is "two"/,
    ],
    ['a column of an input is missing', 'id,x1,t\n1,2,3\n', [x, t], /names 1 of the 2 columns of input x; missing: x0; unknown: id\. /],
    ['a slip in a name', 'x0,xl,t\n1,2,3\n', [x, t], /missing: x1; unknown: xl; did you mean x1\?/],
    ['more columns than an input has', 'x0,x1,x2,t\n1,2,3,4\n', [x, t], /names 2 of the 2 columns of input x; unknown: x2/],
    ['a number that is not decimal', 'x0,x1,t\n0x10,2,3\n', [x, t], /t\.csv:2, column x0: a number is wanted, here is "0x10"/],
    [
      'a number that float32 has no room for',
      'x0,x1,t\n1e39,2,3\n',
      [x, t],
      /t\.csv:2, column x0: a number that float32 has room for, below 3\.4e38, is wanted, here is "1e39"/,
    ],
    ['too many columns', 'id,a,b,t\n1,2,3,4\n', [x, t], /3 columns of numbers for the 2 of input x: id, a, b/],
    ['a row cut off', 'a,b,t\n1,2\n', [x, t], /t\.csv:2: 2 cells, the header has 3/],
    ['no header', '1,2,3\n4,5,6\n', [x, t], /first line holds numbers/],
    ['a column twice', 'a,a,t\n1,2,3\n', [x, t], /two columns are called a/],
    ['no rows', 'a,b,t\n', [x, t], /a header and no rows/],
    ['nothing', '', [x, t], /is empty|it is empty/],
    ['an open quote', 'a,b,t\n1,"2,3\n', [x, t], /t\.csv:2: a quote that is not closed/],
    [
      'an unknown class',
      'a,b,label\n1,2,dgo\n',
      [x, { ...label, classNames: ['dog', 'cat'] }],
      /t\.csv:2, column label: label knows no class dgo; did you mean dog\?/,
    ],
    ['a label beyond the classes', 'a,b,label\n1,2,2\n', [x, label], /label 2 is not in 0\.\.1/],
    ['no label', 'a,b\n1,2\n', [x, label], /no column label \(it has a, b\)/],
    ['a page', '<!DOCTYPE html><p>', [x], /holds no data: it is a web page/],
  ])('refused: %s', async (_, text, inputs, reason) => expect(csv(text, inputs)).rejects.toThrow(reason))

  test('quotes, line ends and blank lines as RFC 4180 and spreadsheets have them', () => {
    const rows = (text: string): [string[], number][] => {
      const found: [string[], number][] = []
      readCsv(text, 'f', (cells, _, line) => {
        found.push([[...cells], line])
      })
      return found
    }
    expect(rows('a,b\r\n"x ""y""","1\n2"\r\n\r\n,\r\nlast,')).toEqual([[['a', 'b'], 1], [['x "y"', '1\n2'], 2], [['', ''], 5], [[
      'last',
      '',
    ], 6]])
    expect(rows('a\tb\n1,5\t2')[1]).toEqual([['1,5', '2'], 2])
  })
})

describe('files that are not what they should be', () => {
  const idx = (dims: number[], bytes: number): Buffer =>
    Buffer.concat([
      Buffer.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [d >>> 24, (d >> 16) & 255, (d >> 8) & 255, d & 255])]),
      Buffer.alloc(bytes),
    ])
  const good = gzipSync(idx([2, 2, 2], 8))
  test.each<[string, () => Uint8Array, RegExp]>([
    [
      'cut off',
      () => gzipSync(idx([500, 28, 28], 392000), { level: 0 }).subarray(0, 90000),
      /damaged or cut off and cannot be unpacked \(unexpected end of file\); fetch it again/,
    ],
    [
      'damaged',
      () => Uint8Array.from(good, (byte, i) => (i > 14 && i < 18 ? byte ^ 0xff : byte)),
      /train-images-idx3-ubyte\.gz .*damaged|does not begin/,
    ],
    ['empty', () => new Uint8Array(0), /it is empty/],
    ['a page', () => Buffer.from('<!DOCTYPE html><title>404'), /it is a web page/],
    ['not packed', () => idx([2, 2, 2], 8), /ends in \.gz and is not packed/],
    ['a page, packed', () => gzipSync('<html>'), /it is a web page/],
    ['another file, packed', () => gzipSync('hello'), /does not begin as one/],
    [
      'more than its header tells',
      () => gzipSync(idx([2, 2, 2], 50_000_000), { level: 1 }),
      /its header tells of 24 bytes, it unpacks to more/,
    ],
    ['a header that promises too much', () => gzipSync(idx([2 ** 31 - 1, 28, 28], 0)), /more than \d+ packed ones can hold/],
  ])('an IDX file that is %s', async (_, bytes, reason) => {
    const place = await mkdtemp(join(folder, 'idx-'))
    await writeFile(join(place, 'train-images-idx3-ubyte.gz'), bytes())
    await writeFile(join(place, 'train-labels-idx1-ubyte.gz'), gzipSync(idx([2], 2)))
    const error = await loadDataset(`idx:${place}`).then(() => {
      throw new Error('taken')
    }, (e: Error) => e)
    expect(error).toMatchObject({ name: 'InputError', message: expect.stringMatching(reason) })
    expect(error.message).toContain('train-images-idx3-ubyte.gz')
  })

  test("CIFAR-10's files by their names, and its classes", async () => {
    const place = await mkdtemp(join(folder, 'cifar-'))
    for (const [name, size] of [['data_batch_1.bin', 3073], ['test_batch.bin', 3073]] as const)
      await writeFile(join(place, name), new Uint8Array(size))
    const names = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']
    await writeFile(join(place, 'batches.meta.txt'), `${names.join('\n')}\n\n`)
    expect((await loadDataset(`cifar10:${place}`)).fields['label']!.classNames).toEqual(names)
    await writeFile(join(place, 'data_batch_2.bin'), new Uint8Array(3000))
    await expect(loadDataset(`cifar10:${place}`)).rejects.toThrow(/data_batch_2\.bin has 3000 bytes/)
    await writeFile(join(place, 'data_batch_2.bin'), Uint8Array.from([10, ...new Uint8Array(3072)]))
    await expect(loadDataset(`cifar10:${place}`)).rejects.toThrow(/data_batch_2\.bin: label 10 of image 0/)
  })

  test('an .npy with bytes too many', () => {
    const bytes = encodeNpy(f32([1], 1))
    expect(() => parseNpy(Uint8Array.from([...bytes, 0]), 'x.npy')).toThrow(/1 bytes behind its 1 numbers/)
  })
})
