import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { InputEntry } from '../../bundle/format.ts'
import { augment } from '../../runtime/data/augment.ts'
import { cifar10Dataset } from '../../runtime/data/cifar10.ts'
import { arrays, type Dataset, type Draw, part } from '../../runtime/data/dataset.ts'
import { fieldsFor } from '../../runtime/data/fields.ts'
import { idxDataset, readIdx } from '../../runtime/data/idx.ts'
import { loadDataset, readBundle, readSnapshot, writeBundle, writeSnapshot } from '../../runtime/node.ts'
import { fixture } from './fixture.ts'

const idx = (shape: number[], data: number[]): Uint8Array => {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length))
  header.setUint32(0, 0x0800 + shape.length)
  shape.forEach((d, i) => header.setUint32(4 + 4 * i, d))
  return Uint8Array.from([...new Uint8Array(header.buffer), ...data])
}
async function read(dataset: Dataset, indices: number[], draw?: Draw): Promise<{ image: number[]; label: number[] }> {
  const size = dataset.fields['image']!.shape.reduce((p, d) => p * d, 1)
  const into = { image: new Float32Array(size * indices.length), label: new Int32Array(indices.length) }
  await dataset.read(indices, into, draw)
  return { image: [...into.image], label: [...into.label] }
}

describe('IDX', () => {
  test('images become 0..1, labels integers', async () => {
    const dataset = idxDataset(idx([2, 1, 2], [0, 255, 51, 102]), idx([2], [3, 1]))
    expect(dataset.fields['image']!.shape).toEqual([1, 1, 2])
    expect(dataset.fields['label']!.classes).toBe(4)
    const { image, label } = await read(dataset, [1, 0])
    expect(image).toEqual([51 / 255, 102 / 255, 0, 1].map(Math.fround))
    expect(label).toEqual([1, 3])
  })

  test.each<[string, Uint8Array, RegExp]>([
    ['other bytes', Uint8Array.of(1, 2, 3, 4), /does not begin as an IDX file/],
    ['floats', Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 0), /type 0xd/],
    ['a header cut off', Uint8Array.of(0, 0, 8, 3, 0), /truncated/],
    ['data cut off', idx([5], [1, 2]), /\[5\] takes 5 bytes, there are 2/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readIdx(bytes)).toThrow(message)
  })

  test('refuses parts that do not agree', () => {
    expect(() => idxDataset(idx([2, 1, 1], [0, 0]), idx([3], [0, 0, 0]))).toThrow(/2 images, labels \[3\]/)
    expect(() => idxDataset(idx([2, 1, 1], [0, 0]), idx([2], [2, 1]), 2)).toThrow(
      /label 2 is not in 0\.\.1: labels count from 0, and none here is 0; if yours count from 1, subtract 1/,
    )
    // Among labels that hold a 0 it is one that is wrong.
    expect(() => idxDataset(idx([2, 1, 1], [0, 0]), idx([2], [2, 0]), 2)).toThrow(/label 2 is not in 0\.\.1$/)
    expect(() => idxDataset(idx([1, 1, 1], [0]), idx([1], [12]), 10)).toThrow(/label 12 is not in 0\.\.9/)
    expect(() => idxDataset(idx([2], [0, 0]), idx([2], [0, 0]))).toThrow(/\[N, H, W\]/)
  })
})

test('CIFAR-10 records: a label and three planes', async () => {
  const record = (label: number, value: number): number[] => [label, ...Array.from({ length: 3072 }, (_, i) => (i + value) % 256)]
  const dataset = cifar10Dataset([Uint8Array.from([...record(3, 0), ...record(9, 1)]), Uint8Array.from(record(0, 2))])
  expect(dataset.length).toBe(3)
  const { image, label } = await read(dataset, [2])
  expect(label).toEqual([0])
  expect(image).toEqual(Array.from({ length: 3072 }, (_, i) => Math.fround(((i + 2) % 256) / 255)))
  expect(() => cifar10Dataset([new Uint8Array(3000)])).toThrow(/3000 bytes, records have 3073/)
  expect(() => cifar10Dataset([Uint8Array.from(record(10, 0))])).toThrow(/label 10 of image 0/)
})

test('a part is a window of a dataset', async () => {
  const whole = arrays({
    image: { shape: [1], type: 'f32', data: Float32Array.of(5, 6, 7, 8) },
    label: { shape: [], type: 'i32', data: Int32Array.of(1, 2, 3, 4) },
  })
  expect(part(whole, 1, 99).length).toBe(3)
  expect(await read(part(whole, 1, 3), [0, 1])).toEqual({ image: [6, 7], label: [2, 3] })
  expect(() => arrays({ a: { shape: [2], type: 'f32', data: new Float32Array(3) } })).toThrow(/no multiple/)
  expect(() =>
    arrays({ a: { shape: [], type: 'f32', data: new Float32Array(3) }, b: { shape: [], type: 'f32', data: new Float32Array(2) } })
  ).toThrow(/b has 2 samples, a has 3/)
  const columns = (a: number, b: number) => ({
    a: { shape: [1], type: 'f32' as const, data: new Float32Array(a) },
    b: { shape: [1], type: 'f32' as const, data: new Float32Array(b) },
  })
  expect(() => arrays(columns(3, 1))).toThrow(/b has 1 sample, a has 3/)
})

test('fields find their inputs by name, else by what fits', () => {
  const dataset = arrays({
    image: { shape: [1, 2, 2], type: 'f32', data: new Float32Array(4) },
    label: { shape: [], type: 'i32', classes: 10, data: new Int32Array(1) },
  })
  const inputs = [{ name: 'x', type: 'f32', shape: ['n', 4] }, { name: 'label', type: 'i32', shape: ['n'], classes: 10 }] as const
  expect(fieldsFor(inputs, dataset)).toEqual(new Map([['label', 'label'], ['x', 'image']]))
  expect(() => fieldsFor([{ name: 'x', type: 'f32', shape: ['n', 5] }], dataset)).toThrow(
    /nothing in it fits input x: f32 \[n, 5\] \(it holds image: f32 \[1, 2, 2\], label: class\[10\] \[\]\)/,
  )
})

describe('augmentation', () => {
  const [channels, height, width] = [2, 3, 4]
  const size = channels * height * width
  const plain = arrays({
    image: { shape: [channels, height, width], type: 'f32', data: Float32Array.from({ length: 50 * size }, (_, i) => i + 1) },
    label: { shape: [], type: 'i32', data: new Int32Array(50) },
  })
  const original = (i: number): number[] => Array.from({ length: size }, (_, k) => i * size + k + 1)
  const pixel = (image: number[], c: number, y: number, x: number): number =>
    y >= 0 && y < height && x >= 0 && x < width ? image[(c * height + y) * width + x]! : 0
  const all = Array.from({ length: 50 }, (_, i) => i)
  const mirrored = (image: number[]): number[] => image.map((_, k) => pixel(image, Math.floor(k / 12), Math.floor(k / 4) % 3, 3 - (k % 4)))
  const windowOf = (image: number[], top: number, left: number, h: number, w: number): number[] =>
    Array.from({ length: channels * h * w }, (_, k) => pixel(image, Math.floor(k / (h * w)), top + (Math.floor(k / w) % h), left + (k % w)))
  const split = (image: number[], length: number): number[][] => all.map((i) => image.slice(i * length, (i + 1) * length))

  test('mirror: about half of the images, others untouched; none in evaluation', async () => {
    const dataset = augment(plain, [{ call: 'mirror', args: {} }])
    const images = split((await read(dataset, all, { seed: 1, epoch: 0 })).image, size)
    const turned = images.filter((image, i) => {
      const want = original(i)
      if (String(image) === String(want)) return false
      expect(image).toEqual(mirrored(want))
      return true
    })
    expect(turned.length).toBeGreaterThan(10)
    expect(turned.length).toBeLessThan(40)
    expect((await read(dataset, [7])).image).toEqual(original(7))
  })

  test('crop with pad: each window there is, from the middle in evaluation', async () => {
    const dataset = augment(plain, [{ call: 'crop', args: { size: [3, 4], pad: 1 } }])
    const images = split((await read(dataset, all, { seed: 1, epoch: 0 })).image, size)
    const places = new Set(images.map((image, i) => {
      for (const top of [-1, 0, 1])
        for (const left of [-1, 0, 1]) if (String(image) === String(windowOf(original(i), top, left, 3, 4))) return `${top},${left}`
      throw new Error(`image ${i} is no window`)
    }))
    expect(places.size).toBe(9)
    expect((await read(dataset, [7])).image).toEqual(original(7))
    const middle = augment(plain, [{ call: 'crop', args: { size: [1, 2] } }])
    expect(middle.fields['image']!.shape).toEqual([2, 1, 2])
    expect((await read(middle, [3])).image).toEqual(windowOf(original(3), 1, 1, 1, 2))
    expect(() => augment(plain, [{ call: 'crop', args: { size: 5 } }])).toThrow(/crop of 5 x 5 does not fit into 3 x 4/)
  })

  test('random choices follow seed, epoch and index, not the batch', async () => {
    const dataset = augment(plain, [{ call: 'mirror', args: {} }, { call: 'crop', args: { size: [3, 4], pad: 1 } }])
    const draw = { seed: 5, epoch: 2 }
    const together = split((await read(dataset, all, draw)).image, size)
    const alone = await Promise.all(all.map(async (i) => (await read(dataset, [i], draw)).image))
    expect(alone).toEqual(together)
    expect(split((await read(dataset, all, { seed: 5, epoch: 3 })).image, size)).not.toEqual(together)
    expect(split((await read(dataset, all, { seed: 6, epoch: 2 })).image, size)).not.toEqual(together)
  })

  test('an unknown one, or no images', () => {
    expect(() => augment(plain, [{ call: 'rotate', args: {} }])).toThrow(/no augmentation rotate/)
    expect(() => augment(arrays({ x: { shape: [3], type: 'f32', data: new Float32Array(3) } }), [{ call: 'mirror', args: {} }])).toThrow(
      /no pictures \[channels, height, width\] to change \(x \[3\]\)/,
    )
  })
})

describe('files', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fusenet-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('a bundle is written whole and read again; other folders are left alone', async () => {
    const path = join(folder, 'bundle')
    const weights = new Map([['w', { shape: [3], type: 'f32', data: Float32Array.of(1, 2, 3) } as const]])
    await writeBundle(fixture(), path)
    await writeBundle({ ...fixture(), weights }, path)
    expect(await readBundle(path)).toEqual({ ...fixture(), weights })
    const { sha256, ...sealed } = JSON.parse(await readFile(join(path, 'bundle.json'), 'utf8'))
    expect(sha256).toBe(createHash('sha256').update(JSON.stringify(sealed)).digest('hex'))
    expect(sealed.files['weights.safetensors']).toEqual({
      bytes: 76,
      sha256: createHash('sha256').update(await readFile(join(path, 'weights.safetensors'))).digest('hex'),
    })
    expect(await readdir(folder)).toEqual(['bundle'])
    await mkdir(join(folder, 'mine'))
    await writeFile(join(folder, 'mine', 'notes.txt'), 'x')
    await expect(writeBundle(fixture(), join(folder, 'mine'))).rejects.toThrow(/holds other files \(notes\.txt\)/)
    await truncate(join(path, 'webgpu', 'train.wgsl'), 5)
    await expect(readBundle(path)).rejects.toThrow(/train\.wgsl: is cut: 5 bytes of \d+/)
    await expect(readBundle(join(folder, 'none'))).rejects.toThrow(/bundle\.json: is not there/)
  })

  test('a snapshot', async () => {
    const snapshot = { step: 3, seed: 4, tensors: new Map([['w', { shape: [1], type: 'f64', data: Float64Array.of(0.1) } as const]]) }
    const file = join(folder, 'deep', 'snapshot.safetensors')
    await writeSnapshot(snapshot, file)
    await writeSnapshot(snapshot, file)
    expect(await readSnapshot(file)).toEqual(snapshot)
  })

  test('IDX folders, dots for dashes and packed', async () => {
    const path = join(folder, 'idx')
    await mkdir(path)
    await writeFile(join(path, 'train-images.idx3-ubyte'), idx([1, 1, 1], [255]))
    await writeFile(join(path, 'train-labels-idx1-ubyte.gz'), gzipSync(idx([1], [2])))
    const dataset = await loadDataset({ call: 'idx', args: { dir: path } })
    expect(await read(dataset, [0])).toEqual({ image: [1], label: [2] })
    await expect(loadDataset({ call: 'idx', args: { dir: path } }, { split: 'test' })).rejects.toThrow(/has no images of the test part/)
  })

  test('CIFAR-10 folders, below a root too', async () => {
    const path = join(folder, 'data', 'cifar-10-batches-bin')
    await mkdir(path, { recursive: true })
    await writeFile(join(path, 'data_batch_1.bin'), new Uint8Array(3073))
    await writeFile(join(path, 'data_batch_2.bin'), new Uint8Array(2 * 3073))
    expect((await loadDataset('cifar10', { root: join(folder, 'data') })).length).toBe(3)
    await expect(loadDataset('cifar10', { root: join(folder, 'none') })).rejects.toThrow(
      /looked for .*cifar10, .*cifar-10-batches-bin: none is there/,
    )
    await expect(loadDataset('imagenet')).rejects.toThrow(/no dataset imagenet/)
  })

  test('MNIST: 60000 and 10000 digits, whose first are 5 and 7', async () => {
    const [train, test] = await Promise.all([loadDataset('mnist'), loadDataset('mnist', { split: 'test' })])
    expect([train.length, test.length]).toEqual([60000, 10000])
    expect([(await read(train, [0])).label, (await read(test, [0])).label]).toEqual([[5], [7]])
    expect(train.fields['image']!.shape).toEqual([1, 28, 28])
  })
})

test('one-hot rows are told from labels', () => {
  const label: InputEntry = { name: 'label', type: 'i32', shape: ['n'], classes: 3 }
  const rows = (width: number): Dataset =>
    arrays({ label: { shape: [width], type: 'i32', data: Int32Array.from({ length: 2 * width }, () => 0) } })
  expect(() => fieldsFor([label], rows(3))).toThrow(/a label is the number of its class, 0 to 2; of one-hot rows it is the place of the 1/)
  expect(() => fieldsFor([label], rows(2))).toThrow(/^(?!.*one-hot)/)
})
