import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Dataset } from '../../runtime/data/dataset.ts'
import type { DataEntry } from '../../runtime/data/node/data-files.ts'
import { loadData, loadDataset, type DataOptions } from '../../runtime/node.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { fusenet } from './helper.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-data-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const options = { shape: [1, 2, 2] as const, root: '/nowhere/at/all' }
const load = (entry: DataEntry, more: DataOptions = {}) => loadData(entry, { ...options, ...more })

/** All of a dataset as plain numbers; pictures as bytes. */
async function all(dataset: Dataset): Promise<{ image: number[]; label: number[] }> {
  const image = new Float32Array(dataset.length * elementCount(dataset.fields['image']!.shape))
  const label = new Int32Array(dataset.length)
  await dataset.read(Array.from({ length: dataset.length }, (_, i) => i), { image, label })
  return { image: Array.from(image, (value) => Math.round(value * 255)), label: [...label] }
}

test('MNIST comes with its package: 60000 and 10000 digits', async () => {
  const { name, train, test } = await load('mnist')
  expect({ name, train: train.length, test: test.length, shape: train.fields['image']!.shape }).toEqual({
    name: 'mnist',
    train: 60000,
    test: 10000,
    shape: [1, 28, 28],
  })
  // The first labels of the training set, as every description of MNIST shows them.
  const label = new Int32Array(10)
  await train.read([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { label })
  expect([...label]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
})

describe('a folder is known by what it holds', () => {
  const idx = (dims: readonly number[], data: readonly number[]): Uint8Array =>
    Uint8Array.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [0, 0, d >> 8, d & 255]), ...data])

  test('IDX files, packed or not', async () => {
    const place = join(folder, 'idx')
    await mkdir(place)
    await writeFile(join(place, 'train-images-idx3-ubyte'), idx([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]))
    await writeFile(join(place, 'train-labels-idx1-ubyte.gz'), gzipSync(idx([2], [3, 9])))
    await writeFile(join(place, 't10k-images-idx3-ubyte'), idx([1, 2, 2], [9, 9, 9, 9]))
    await writeFile(join(place, 't10k-labels-idx1-ubyte'), idx([1], [0]))
    for (const option of [place, `idx:${place}`]) {
      const { train, test } = await load(option)
      expect(await all(train)).toEqual({ image: [1, 2, 3, 4, 5, 6, 7, 8], label: [3, 9] })
      expect(test.length).toBe(1)
    }
    await writeFile(join(place, 't10k-labels-idx1-ubyte'), idx([2], [0]))
    await expect(load(place)).rejects.toThrow(/2 bytes|takes 2/)
  })

  test("CIFAR-10's batches", async () => {
    const place = join(folder, 'cifar')
    await mkdir(place)
    const record = (label: number, fill: number): number[] => [label, ...new Array<number>(3072).fill(fill)]
    await writeFile(join(place, 'data_batch_1.bin'), Uint8Array.from([...record(3, 7), ...record(0, 8)]))
    await writeFile(join(place, 'data_batch_2.bin'), Uint8Array.from(record(9, 1)))
    await writeFile(join(place, 'test_batch.bin'), Uint8Array.from(record(5, 0)))
    const { train, test } = await load(place)
    const { image, label } = await all(train)
    expect(label).toEqual([3, 0, 9])
    expect([image[0], image[3071], image[3072], image[2 * 3072]]).toEqual([7, 7, 8, 1])
    expect(test.length).toBe(1)
    await writeFile(join(place, 'test_batch.bin'), new Uint8Array(3000))
    await expect(load(place)).rejects.toThrow(/3000 bytes/)
  })

  const paint = async (path: string, [r, g, b]: readonly [number, number, number], width = 8): Promise<void> => {
    await mkdir(join(path, '..'), { recursive: true })
    await sharp({ create: { width, height: 8, channels: 3, background: { r, g, b } } }).png().toFile(path)
  }

  test('a folder a class: one in five tests, labels by name, channels in planes', async () => {
    const place = join(folder, 'pictures')
    for (let i = 0; i < 5; i++) {
      await paint(join(place, 'a', `${i}.png`), [255, 0, 0])
      await paint(join(place, 'b', `${i}.png`), [0, 0, i === 4 ? 200 : 100], 12)
    }
    const { train, test, notes } = await load(place, { shape: [3, 2, 2] })
    expect(train.fields['label']!.classNames).toEqual(['a', 'b'])
    expect(notes).toEqual([expect.stringMatching(/no test part: every fifth picture/)])
    const seen = await all(train)
    expect(seen.label).toEqual([0, 0, 0, 0, 1, 1, 1, 1])
    expect(seen.image.slice(0, 12)).toEqual([255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0])
    const tested = await all(test)
    expect(tested.label).toEqual([0, 1])
    expect(tested.image.slice(12)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 200, 200, 200, 200])
  })

  test('train and test folders are kept apart; a class of the test that is unknown is told', async () => {
    const place = join(folder, 'split')
    for (const name of ['x', 'y']) await paint(join(place, 'train', name, '0.png'), [9, 9, 9])
    await paint(join(place, 'test', 'x', '0.png'), [1, 1, 1])
    const { test, notes } = await load(place)
    expect(test.length).toBe(1)
    expect(notes).toEqual([expect.stringMatching(/test has no pictures of y/)])
    await paint(join(place, 'test', 'z', '0.png'), [1, 1, 1])
    await expect(load(place)).rejects.toThrow(/test has classes that train has not: z/)
  })

  test('as the library has it: by the inputs of a net, one part, a broken file named', async () => {
    const place = join(folder, 'library')
    for (let i = 0; i < 5; i++) for (const name of ['a', 'b']) await paint(join(place, name, `${i}.png`), [1, 2, 3])
    const inputs = [{ name: 'image', type: 'f32', shape: ['n', 3, 4, 4] }] as const
    const dataset = await loadDataset(`images:${place}`, { inputs, split: 'test' })
    expect([dataset.length, dataset.fields['image']!.shape]).toEqual([2, [3, 4, 4]])
    await expect(loadDataset({ call: 'images', args: { path: place } })).rejects.toThrow(/net\.manifest\.inputs/)
    await writeFile(join(place, 'a', '2.png'), 'no picture')
    await expect(load(place)).rejects.toThrow(/1 of 10 pictures cannot be read:\n  .*2\.png: cannot be decoded.*\n.*--skip-broken/)
  })
})

describe('what is not there', () => {
  test.each<[string, DataEntry, RegExp]>([
    ['a folder', '/nowhere/at/all', /there is no file \/nowhere\/at\/all/],
    ['a published set', 'cifar10', /looked for .*cifar-10-batches-bin/],
    ['a misspelled set', 'minst', /no dataset minst, and no folder of that name; did you mean mnist\? \(there are mnist, /],
    ['a set with a dash', 'fashion-mnist', /did you mean fashion_mnist\?/],
    ['a kind without a folder', 'images:', /images wants a folder/],
    ['nothing', '', /the name of the data is empty/],
    ['a misspelled kind', 'image:x', /no dataset image; did you mean images\?/],
    ['a misspelled set of a file', { call: 'cifar01', args: {} }, /did you mean cifar10\?/],
    ['a folder for pictures', 'images:/nowhere/at/all', /there is no file \/nowhere\/at\/all/],
  ])('%s is told with a way out', async (_, entry, reason) => {
    await expect(load(entry)).rejects.toThrow(reason)
  })

  test('a neighbour of a folder is guessed, and how to get a published set is told by the command', async () => {
    await mkdir(join(folder, 'flowers'))
    await expect(load(join(folder, 'flower'))).rejects.toThrow(/did you mean .*flowers\?/)
    const said = await fusenet(['train', 'samples/cifar10_quick.net', '--data', 'cifar10'], { env: { FUSENET_DATA: join(folder, 'none') } })
    expect(said.err).toMatch(/cifar10 is not here .*unpack .*FUSENET_DATA/)
  })

  test('a folder without known data says what it looked for', async () => {
    const place = join(folder, 'empty')
    await mkdir(place)
    await expect(load(place)).rejects.toThrow(/holds no data that is known/)
    await writeFile(join(place, 'x.npy'), '')
    await expect(load(place)).rejects.toThrow(/named one by one: .*x\.npy/)
  })
})
