import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limited, shares } from '../../runtime/data/limit.ts'
import type { Dataset } from '../../runtime/data/dataset.ts'
import { decodePicture } from '../../runtime/data/node/sharp.ts'
import { loadData, type DataOptions } from '../../runtime/node.ts'
import { fusenet, json } from './helper.ts'

let root: string
let count = 0
let png: Uint8Array
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'fusenet-pictures-'))
  png = await sharp({ create: { width: 4, height: 4, channels: 3, background: { r: 1, g: 2, b: 3 } } }).png().toBuffer()
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** A folder of these files; a picture unless told otherwise. `a/*5`: five pictures. */
async function place(files: readonly string[], other: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
  const folder = join(root, String(count++))
  const put = async (name: string, data: string | Uint8Array): Promise<void> => {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), data)
  }
  for (const file of files) {
    const many = /^(.*)\*(\d+)$/.exec(file)
    if (many) { for (let i = 0; i < Number(many[2]); i++) await put(`${many[1]}${i}.png`, png) }
    else await put(file, png)
  }
  for (const [name, data] of Object.entries(other)) await put(name, data)
  return folder
}
const load = (folder: string, options: DataOptions = {}) => loadData(`images:${folder}`, { shape: [1, 2, 2], ...options })
async function labels(dataset: Dataset): Promise<Record<string, number>> {
  const label = new Int32Array(dataset.length)
  await dataset.read(Array.from(label, (_, i) => i), { label })
  const names = dataset.fields['label']!.classNames!
  return Object.fromEntries(names.map((name, k) => [name, label.filter((value) => value === k).length]))
}

describe('parts of a data set', () => {
  const pets = (part: string, n: number): string[] => [`${part}/cat/*${n}`, `${part}/dog/*${n}`]

  test.each([['train', 'valid'], ['Training', 'Testing'], ['TRAIN', 'Val'], ['train', 'dev'], ['training', 'validation']])(
    '%s and %s',
    async (first, second) => {
      const { train, test, validation } = await load(await place([...pets(first, 3), ...pets(second, 2)]))
      expect([await labels(train), await labels(test), validation]).toEqual([{ cat: 3, dog: 3 }, { cat: 2, dog: 2 }, undefined])
    },
  )

  test('three of them: tests on the way and the last one are kept apart', async () => {
    const { train, validation, test, notes } = await load(await place([...pets('train', 3), ...pets('val', 2), ...pets('test', 1)]))
    expect([train.length, validation!.length, test.length]).toEqual([6, 4, 2])
    expect(notes).toEqual(['val is for tests on the way, test for the last one'])
  })

  test('train alone is divided, and says so; whole, it is not', async () => {
    const folder = await place(pets('train', 5))
    const { train, test, notes } = await load(folder)
    expect([await labels(train), await labels(test)]).toEqual([{ cat: 4, dog: 4 }, { cat: 1, dog: 1 }])
    expect(notes[0]).toMatch(/train has no test part: every fifth picture/)
    const whole = await load(folder, { whole: true })
    expect([whole.test.length, whole.notes[0]]).toEqual([10, expect.stringMatching(/holds train alone: all of it is used/)])
  })

  test('what is handed in whole is used whole, but a test part where there is one', async () => {
    expect((await load(await place(['cat/*5', 'dog/*2']), { whole: true })).test.length).toBe(7)
    const { test, notes } = await load(await place([...pets('train', 3), ...pets('Test', 2)]), { whole: true })
    expect([test.length, notes[0]]).toEqual([4, expect.stringMatching(/the part Test is used/)])
    expect((await load(await place(pets('test', 2)), { whole: true })).test.length).toBe(4)
  })

  test('a test part without labels is passed over, and says so', async () => {
    const { train, test, notes } = await load(await place([...pets('train', 5), 'test/*3']))
    expect([await labels(train), await labels(test)]).toEqual([{ cat: 4, dog: 4 }, { cat: 1, dog: 1 }])
    expect(notes[0]).toMatch(/test is not used: it has no pictures in folders of classes/)
  })

  test('folders in classes that are no parts, and classes with words of parts in their names', async () => {
    expect(await labels((await load(await place(['cat/2023/*5', 'dog/2023/*5']))).train)).toEqual({ cat: 4, dog: 4 })
    expect(await labels((await load(await place(['train_car/*5', 'test_tube/*5']))).train)).toEqual({ test_tube: 4, train_car: 4 })
  })

  test('a class that is called train, beside others', async () => {
    expect(await labels((await load(await place(['train/*5', 'bus/*5', 'car/*5']))).train)).toEqual({ bus: 4, car: 4, train: 4 })
  })

  test.each<[string, string[], RegExp]>([
    ['parts beside a class', ['train/cat/*5', 'train/dog/*5', 'bus/*5'], /train, which are parts of a data set, beside bus/],
    [
      'pictures directly in the parts',
      ['train/*5', 'test/*5'],
      /pictures lie directly in .*test, .*train: a part of a data set holds a folder a class/,
    ],
    [
      'parts in the classes',
      ['cat/train/*4', 'cat/test/*2', 'dog/train/*4', 'dog/test/*2'],
      /cat holds test, train, which are parts of a data set: a part holds a folder a class, .*train.cat, and not/,
    ],
    [
      'words of parts in longer names',
      [...pets('seg_train', 5), ...pets('seg_test', 5)],
      /seg_test, seg_train .* hold folders of classes: call them test, train/,
    ],
    ['a train part without folders of classes', ['train/*5', ...pets('test', 2)], /train has no pictures in folders of classes/],
    ['two of one meaning', ['train/cat/*2', 'train/dog/*2', 'val/cat/*2', 'valid/cat/*2'], /val and .*valid mean the same part/],
    ['a test part alone', ['test/cat/*5', 'test/dog/*5'], /has test, and no train folder/],
    ['one class', ['train/cat/*5'], /holds one class, cat/],
    ['a folder around all', ['pets/cat/*5', 'pets/dog/*5'], /one class, pets, .*; did you mean .*pets\?/],
    ['one class, not divided', ['cat/*5'], /holds one class, cat/],
    ['an empty class', ['cat/*5', 'dog/1.bmp'], /dog \(there are 1 \.bmp\) holds no pictures/],
  ])('refused: %s', async (_, files, reason) => expect(load(await place(files))).rejects.toThrow(reason))
})

describe('files', () => {
  test('names of any script, by code units; folders in folders; one name however a disk spells it', async () => {
    const { train } = await load(await place(['b/*5', 'B/*5', 'ä/x/y/*5', 'a\u0308x/*5', '猫/*5', '10/*5', '9/*5']))
    expect(train.fields['label']!.classNames).toEqual(['9', '10', 'B', 'b', 'ä', 'äx', '猫'])
    await expect(load(await place(['\u00e4/*5', 'a\u0308/*5']))).rejects.toThrow(/two folders ä/)
  })

  test('what is left out is counted; what is hidden is not', async () => {
    const folder = await place(['a/*5', 'b/*5', 'a/1.BMP', 'a/2.bmp', 'loose.png', '.hidden/x.png', 'a/.x.png'], {
      'a/Thumbs.db': '',
      'notes.txt': '',
      'b/LICENSE': '',
    })
    await symlink(join(folder, 'nowhere'), join(folder, 'a', 'link.png'))
    expect((await load(folder)).notes[1]).toBe(
      'left out: 2 .bmp, 1 .txt, 1 file without an extension, 1 broken link, 1 picture beside the folders of classes (.bmp cannot be read here: convert to .png)',
    )
  })

  test('links are followed, to folders and to files, and not in circles', async () => {
    const real = await place(['a/*5', 'b/*5', 'one.png'])
    const folder = await place(['a/*5'])
    await symlink(join(real, 'b'), join(folder, 'b'))
    await symlink(join(real, 'one.png'), join(folder, 'a', 'z.png'))
    await symlink(folder, join(folder, 'a', 'up'))
    await symlink(join(folder, 'a'), join(folder, 'a', 'again'))
    const { train, test, notes } = await load(folder)
    expect([await labels(train), await labels(test)]).toEqual([{ a: 5, b: 4 }, { a: 1, b: 1 }])
    expect(notes[1]).toBe('left out: 2 links in a circle')
    // A data set whose every class is a link.
    const links = join(root, 'links')
    await mkdir(links)
    for (const name of ['a', 'b']) await symlink(join(real, name), join(links, name))
    expect((await load(links)).train.length).toBe(8)
  })

  test('all broken pictures are told before any is used, or left out and counted', async () => {
    const jpeg = await sharp({
      create: { width: 64, height: 64, channels: 3, noise: { type: 'gaussian', mean: 128, sigma: 30 }, background: '#000' },
    }).jpeg().toBuffer()
    const folder = await place(['a/*5', 'b/*5'], {
      'a/cut.png': png.subarray(0, 60),
      'a/empty.png': '',
      'b/page.jpg': '<!DOCTYPE html>',
      'b/cut.jpg': jpeg.subarray(0, jpeg.length / 2),
      'b/whole.jpg': Buffer.concat([jpeg, Buffer.alloc(9)]),
    })
    const error: Error = await load(folder).then(() => {
      throw new Error('taken')
    }, (e) => e)
    expect(error.message).toMatch(
      /^4 of 15 pictures cannot be read:\n.*a\/cut\.png: it is cut off or damaged.*\n.*a\/empty\.png: it is empty\n.*b\/cut\.jpg: it is cut off.*\n.*b\/page\.jpg: it is a web page.*\n.*--skip-broken/,
    )
    const { train, test, notes } = await load(folder, { skipBroken: true })
    expect(train.length + test.length).toBe(11)
    expect(notes[1]).toMatch(/^left out: 4 of 15 pictures/)
  })

  test('one channel is the grey of ITU-R BT.601', async () => {
    const paint = async (r: number, g: number, b: number): Promise<string> => {
      const path = join(root, `${r}-${g}-${b}.png`)
      await sharp({ create: { width: 4, height: 4, channels: 3, background: { r, g, b } } }).png().toFile(path)
      return path
    }
    // As PIL: Image.new('RGB', (4, 4), colour).convert('L').
    for (
      const [[r, g, b], grey] of [[[0, 255, 0], 150], [[255, 0, 0], 76], [[0, 0, 255], 29], [[10, 200, 100], 132], [
        [77, 77, 77],
        77,
      ]] as const
    ) {
      expect([...await decodePicture(await paint(r, g, b), [1, 2, 2])]).toEqual([grey, grey, grey, grey])
    }
  })
})

describe('a limit', () => {
  test('draws from all classes, by their sizes, the same ones again', async () => {
    const { train } = await load(await place(['a/*20', 'b/*10', 'c/*2']), { whole: true })
    expect(await labels(await limited(train, 8, 1))).toEqual({ a: 5, b: 2, c: 1 })
    expect(await labels(await limited(train, 3, 1))).toEqual({ a: 1, b: 1, c: 1 })
    const chosen = async (seed: number): Promise<number[]> => {
      const image = new Float32Array(4 * 8)
      const numbered: Dataset = {
        ...train,
        fields: train.fields,
        length: train.length,
        read: (indices, into) => {
          if (into['image']) into['image'].set(Array.from(indices))
          return train.read(indices, { ...(into['label'] && { label: into['label'] }) })
        },
      }
      await (await limited(numbered, 8, seed)).read([0, 1, 2, 3, 4, 5, 6, 7], { image })
      return [...image.subarray(0, 8)]
    }
    expect(await chosen(1)).toEqual(await chosen(1))
    expect(await chosen(1)).not.toEqual(await chosen(2))
  })

  test.each<[number[], number, number[]]>([
    [[10, 10, 10], 10, [4, 3, 3]],
    [[100, 1, 1], 3, [1, 1, 1]],
    [[5, 5], 1, [1, 0]],
    [[1, 99], 50, [1, 49]],
  ])('%j: %i', (sizes, total, want) => expect(shares(sizes, total)).toEqual(want))
})

describe('a net that was trained with folders', () => {
  const text = (label: string, out: number): string =>
    `net f {
    input image: f32[3, 4, 4]
    input label: ${label}
    y = image -> global_avg_pool -> fc(${out})
    output prob = softmax(y)
    loss = softmax_loss(y, label)
    metric accuracy = accuracy(y, label)
  }
  train { batch 3 epochs 40 solver sgd(lr: 2, momentum: 0.9) }`
  const colours = { cat: '#f00', dog: '#0f0', eel: '#00f' }
  let data: string
  beforeAll(async () => {
    data = join(root, 'pets')
    for (const [name, background] of Object.entries(colours)) {
      await mkdir(join(data, name), { recursive: true })
      const picture = await sharp({ create: { width: 4, height: 4, channels: 3, background } }).png().toBuffer()
      for (let i = 0; i < 5; i++) await writeFile(join(data, name, `${i}.png`), picture)
    }
  })

  test('knows its classes: printed, kept, mapped by name, refused by name', async () => {
    await writeFile(join(root, 'f.net'), text('class[3]', 3))
    const trained = await fusenet([
      'train',
      join(root, 'f.net'),
      '--data',
      `images:${data}`,
      '--device',
      'interpreter',
      '-o',
      join(root, 'f'),
    ])
    expect(trained.code, trained.err).toBe(0)
    expect(trained.err).toMatch(/3 classes \(train \+ test\): cat 4 \+ 1, dog 4 \+ 1, eel 4 \+ 1/)
    expect(JSON.parse(await readFile(join(root, 'f', 'bundle.json'), 'utf8')).inputs[1].classNames).toEqual(['cat', 'dog', 'eel'])

    const evaluate = (folder: string, ...more: string[]) =>
      fusenet(['eval', join(root, 'f'), '--data', folder, '--device', 'interpreter', ...more])
    const some = join(root, 'some')
    await cp(data, some, { recursive: true })
    await rm(join(some, 'cat'), { recursive: true })
    const told = await evaluate(some)
    expect(told.err).toMatch(/cat 0, dog 5, eel 5\nno test samples of cat/)
    const result = json(await evaluate(some, '--json'))
    expect(result).toMatchObject({ count: 10, metrics: { accuracy: 1 } })
    expect(result.classes[0]).toEqual({ label: 0, name: 'cat', samples: { test: 0 } })
    expect(json(await evaluate(data, '--limit', '6', '--json')).classes.map((c: any) => c.samples.test)).toEqual([2, 2, 2])
    await cp(join(data, 'cat'), join(some, 'catt'), { recursive: true })
    expect((await evaluate(some)).err).toMatch(
      /a class that label of the net does not know: catt; did you mean cat\? \(it knows cat, dog, eel\)/,
    )
  })

  test('a net that never learned names says so where it is evaluated by names', async () => {
    await writeFile(join(root, 'u.net'), text('class[3]', 3))
    const said = await fusenet(['eval', join(root, 'u.net'), '--data', data, '--device', 'interpreter'])
    expect(said.err).toMatch(/does not say what its classes are called: its labels 0, 1, \.\.\. are taken to be these/)
  })

  test('names in another order than the folders are mapped; fewer without names are refused', async () => {
    await writeFile(join(root, 'g.net'), text('class[eel, cat, dog]', 3))
    const trained = await fusenet([
      'train',
      join(root, 'g.net'),
      '--data',
      data,
      '--device',
      'interpreter',
      '-o',
      join(root, 'g'),
      '--json',
    ])
    expect(trained.code, trained.err).toBe(0)
    expect(json(await fusenet(['eval', join(root, 'g'), '--data', data, '--device', 'interpreter', '--json'])).metrics.accuracy).toBe(1)
    await writeFile(join(root, 'h.net'), text('class[10]', 10))
    expect((await fusenet(['train', join(root, 'h.net'), '--data', data, '--device', 'interpreter'])).err).toMatch(
      /3 of the 10 classes of label.*class\[cat, dog, eel\] and 7 more names/,
    )
  })
})
