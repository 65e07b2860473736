import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findData } from '../../cli/data/find.ts'
import { parseCifar10 } from '../../cli/data/cifar10.ts'
import { parseIdx } from '../../cli/data/idx.ts'

let folder: string
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'fusenet-data-')) })
afterAll(() => rm(folder, { recursive: true, force: true }))

const idx = (dims: readonly number[], data: readonly number[]): Uint8Array =>
  Uint8Array.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [0, 0, d >> 8, d & 255]), ...data])
const request = (option: string) => ({ option, shape: [1, 2, 2] as const, root: join(folder, 'nowhere') })

describe('IDX', () => {
  test('a folder of four files, packed or not, is found by what it holds', async () => {
    const place = join(folder, 'idx')
    await mkdir(place)
    await writeFile(join(place, 'train-images-idx3-ubyte'), idx([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]))
    await writeFile(join(place, 'train-labels-idx1-ubyte.gz'), gzipSync(idx([2], [3, 9])))
    await writeFile(join(place, 't10k-images-idx3-ubyte'), idx([1, 2, 2], [9, 9, 9, 9]))
    await writeFile(join(place, 't10k-labels-idx1-ubyte'), idx([1], [0]))
    const { train, test } = await findData(request(place))
    expect(train.shape).toEqual([1, 2, 2])
    expect([...train.images]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect([...train.labels]).toEqual([3, 9])
    expect(test.count).toBe(1)
  })

  test.each([
    ['cut off', idx([2, 2, 2], [1, 2, 3]), /takes 8 bytes, 3 are there/],
    ['of floats', Uint8Array.of(0, 0, 0x0d, 1, 0, 0, 0, 0), /type is 13/],
    ['something else', new TextEncoder().encode('PNG...'), /two zero bytes/],
  ])('a file that is %s is refused', (_, bytes, reason) => {
    expect(() => parseIdx(bytes, 'f')).toThrow(reason)
  })

  test('MNIST comes with its package: 60000 and 10000 digits', async () => {
    const { name, train, test } = await findData(request('mnist'))
    expect({ name, train: train.count, test: test.count, shape: train.shape }).toEqual({ name: 'mnist', train: 60000, test: 10000, shape: [1, 28, 28] })
    // The first labels of the training set, as every description of MNIST shows them.
    expect([...train.labels.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
  })
})

describe('CIFAR-10', () => {
  test('records of a label and three planes', () => {
    const record = (label: number, fill: number): number[] => [label, ...new Array<number>(3072).fill(fill)]
    const { count, images, labels, shape } = parseCifar10([{ file: 'a', bytes: Uint8Array.from([...record(3, 7), ...record(0, 8)]) }, { file: 'b', bytes: Uint8Array.from(record(9, 1)) }])
    expect({ count, shape, labels: [...labels] }).toEqual({ count: 3, shape: [3, 32, 32], labels: [3, 0, 9] })
    expect([images[0], images[3071], images[3072], images[2 * 3072]]).toEqual([7, 7, 8, 1])
  })

  test('refuses what is cut off or has other labels', () => {
    expect(() => parseCifar10([{ file: 'a', bytes: new Uint8Array(3000) }])).toThrow(/cut off/)
    expect(() => parseCifar10([{ file: 'a', bytes: new Uint8Array(3073).fill(10) }])).toThrow(/label 10 at byte 0/)
  })
})

describe('a folder of pictures', () => {
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
    const { train, test, classes } = await findData({ ...request(place), shape: [3, 2, 2] })
    expect(classes).toEqual(['a', 'b'])
    expect([...train.labels]).toEqual([0, 0, 0, 0, 1, 1, 1, 1])
    expect([...test.labels]).toEqual([0, 1])
    expect([...train.images.subarray(0, 12)]).toEqual([255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0])
    expect([...test.images.subarray(12)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 200, 200, 200, 200])
  })

  test('train and test folders are kept apart; a class of the test that is unknown is told', async () => {
    const place = join(folder, 'split')
    await paint(join(place, 'train', 'x', '0.png'), [9, 9, 9])
    await paint(join(place, 'test', 'x', '0.png'), [1, 1, 1])
    expect((await findData(request(place))).test.count).toBe(1)
    await paint(join(place, 'test', 'y', '0.png'), [1, 1, 1])
    await expect(findData(request(place))).rejects.toThrow(/classes that train has not: y/)
  })

  test('a picture that cannot be decoded is named', async () => {
    const place = join(folder, 'broken')
    for (let i = 0; i < 5; i++) await paint(join(place, 'a', `${i}.png`), [1, 2, 3])
    await writeFile(join(place, 'a', '2.png'), 'no picture')
    await expect(findData(request(place))).rejects.toThrow(/2\.png cannot be decoded/)
  })
})

describe('what is not there', () => {
  test.each([
    ['a folder', '/nowhere/at/all', /there is no file/],
    ['a known data set', 'cifar10', /cifar10 is not here: looked for .*cifar-10-batches-bin/],
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
