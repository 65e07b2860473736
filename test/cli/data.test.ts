import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findData } from '../../cli/data/find.ts'
import type { Dataset } from '../../runtime/data/dataset.ts'
import { elementCount } from '../../runtime/sizes.ts'

let folder: string
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'fusenet-data-')) })
afterAll(() => rm(folder, { recursive: true, force: true }))

const request = (option: string) => ({ option, shape: () => [1, 2, 2] as const, root: join(folder, 'nowhere') })

/** All of a dataset as plain numbers; pictures as bytes. */
async function all(dataset: Dataset): Promise<{ image: number[]; label: number[] }> {
  const image = new Float32Array(dataset.length * elementCount(dataset.fields['image']!.shape))
  const label = new Int32Array(dataset.length)
  await dataset.read(Array.from({ length: dataset.length }, (_, i) => i), { image, label })
  return { image: Array.from(image, (value) => Math.round(value * 255)), label: [...label] }
}

test('MNIST comes with its package: 60000 and 10000 digits', async () => {
  const { name, train, test } = await findData(request('mnist'))
  expect({ name, train: train.length, test: test.length, shape: train.fields['image']!.shape }).toEqual({ name: 'mnist', train: 60000, test: 10000, shape: [1, 28, 28] })
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
      const { train, test } = await findData(request(option))
      expect(await all(train)).toEqual({ image: [1, 2, 3, 4, 5, 6, 7, 8], label: [3, 9] })
      expect(test.length).toBe(1)
    }
    await writeFile(join(place, 't10k-labels-idx1-ubyte'), idx([2], [0]))
    await expect(findData(request(place))).rejects.toThrow(/2 bytes|takes 2/)
  })

  test("CIFAR-10's batches", async () => {
    const place = join(folder, 'cifar')
    await mkdir(place)
    const record = (label: number, fill: number): number[] => [label, ...new Array<number>(3072).fill(fill)]
    await writeFile(join(place, 'data_batch_1.bin'), Uint8Array.from([...record(3, 7), ...record(0, 8)]))
    await writeFile(join(place, 'data_batch_2.bin'), Uint8Array.from(record(9, 1)))
    await writeFile(join(place, 'test_batch.bin'), Uint8Array.from(record(5, 0)))
    const { train, test } = await findData(request(place))
    const { image, label } = await all(train)
    expect(label).toEqual([3, 0, 9])
    expect([image[0], image[3071], image[3072], image[2 * 3072]]).toEqual([7, 7, 8, 1])
    expect(test.length).toBe(1)
    await writeFile(join(place, 'test_batch.bin'), new Uint8Array(3000))
    await expect(findData(request(place))).rejects.toThrow(/3000 bytes/)
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
    const { train, test, classes } = await findData({ ...request(place), shape: () => [3, 2, 2] })
    expect(classes).toEqual(['a', 'b'])
    const seen = await all(train)
    expect(seen.label).toEqual([0, 0, 0, 0, 1, 1, 1, 1])
    expect(seen.image.slice(0, 12)).toEqual([255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0])
    const tested = await all(test)
    expect(tested.label).toEqual([0, 1])
    expect(tested.image.slice(12)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 200, 200, 200, 200])
  })

  test('train and test folders are kept apart; a class of the test that is unknown is told', async () => {
    const place = join(folder, 'split')
    await paint(join(place, 'train', 'x', '0.png'), [9, 9, 9])
    await paint(join(place, 'test', 'x', '0.png'), [1, 1, 1])
    expect((await findData(request(place))).test.length).toBe(1)
    await paint(join(place, 'test', 'y', '0.png'), [1, 1, 1])
    await expect(findData(request(place))).rejects.toThrow(/classes that train has not: y/)
  })

  test('a picture that cannot be decoded is named', async () => {
    const place = join(folder, 'broken')
    for (let i = 0; i < 5; i++) await paint(join(place, 'a', `${i}.png`), [1, 2, 3])
    await writeFile(join(place, 'a', '2.png'), 'no picture')
    await expect(findData(request(place)).then(({ train }) => all(train))).rejects.toThrow(/2\.png cannot be decoded/)
  })
})

describe('what is not there', () => {
  test.each([
    ['a folder', '/nowhere/at/all', /there is no file/],
    ['a known data set', 'cifar10', /cifar10 is not here .*cifar-10-batches-bin.*unpack/],
  ])('%s is told with a way out', async (_, option, reason) => {
    await expect(findData(request(option))).rejects.toThrow(reason)
  })

  test('a misspelled data set of the file is guessed', async () => {
    const { option: _, ...rest } = request('')
    await expect(findData({ ...rest, entry: { call: 'cifar01', args: {} } })).rejects.toThrow(/did you mean cifar10\?/)
    await expect(findData(rest)).rejects.toThrow(/--data/)
  })

  test('a folder without known data says what it looked for', async () => {
    const place = join(folder, 'empty')
    await mkdir(place)
    await expect(findData(request(place))).rejects.toThrow(/holds no data that is known/)
  })
})
