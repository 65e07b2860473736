import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Dataset } from '../../runtime/data/dataset.ts'
import { InputError } from '../../runtime/errors.ts'
import { decodeImage, isImage } from '../images.ts'
import { BYTE_SCALE, type DataFiles } from './pictures.ts'

interface Picture {
  readonly path: string
  readonly label: number
}

/** Decoded pictures are kept as bytes up to so many; what is beyond is decoded again in each epoch. */
const KEPT_BYTES = 2 * 2 ** 30
/** Of every five pictures of a class, in order of their names, one tests. */
const TEST_EVERY = 5

/** By code units: the same on every machine, whatever its language. */
const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name).sort(byName)
}

async function picturesBelow(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) => byName(a.name, b.name))) {
    if (entry.isDirectory()) found.push(...await picturesBelow(join(folder, entry.name)))
    else if (isImage(entry.name) && !entry.name.startsWith('.')) found.push(join(folder, entry.name))
  }
  return found
}

export const isImagesFolder = async (folder: string): Promise<boolean> => (await subfolders(folder)).length > 0

/**
 * A folder a class, pictures in it; or `train` and `test` (also `val`) with a folder a class in each. Without them every
 * fifth picture of a class is for testing. Labels count classes in the order of their names. Every picture is brought to
 * `shape`, [c, h, w].
 */
export async function readImagesFolder(folder: string, shape: readonly [number, number, number]): Promise<DataFiles> {
  const top = await subfolders(folder)
  const testFolder = ['test', 'val', 'validation'].find((name) => top.includes(name))
  const split = top.includes('train') && testFolder !== undefined
  const classes = split ? await subfolders(join(folder, 'train')) : top
  if (classes.length === 0) throw new InputError(`${folder} has no folders: pictures lie in a folder a class`)

  const train: Picture[] = []
  const test: Picture[] = []
  if (split) {
    const unknown = (await subfolders(join(folder, testFolder))).filter((name) => !classes.includes(name))
    if (unknown.length > 0) throw new InputError(`${join(folder, testFolder)} has classes that train has not: ${unknown.join(', ')}`)
  }
  for (const [label, name] of classes.entries()) {
    const home = split ? join(folder, 'train', name) : join(folder, name)
    const all = await picturesBelow(home)
    if (all.length === 0) throw new InputError(`${home} holds no pictures (PNG, JPEG, WebP, ...)`)
    all.forEach((path, i) => (split || i % TEST_EVERY !== TEST_EVERY - 1 ? train : test).push({ path, label }))
    if (split) {
      const more = await picturesBelow(join(folder, testFolder, name)).catch(() => [])
      test.push(...more.map((path) => ({ path, label })))
    }
  }
  if (test.length === 0) throw new InputError(`${folder} has too few pictures to keep one in ${TEST_EVERY} for testing: at least ${TEST_EVERY} in one class`)
  const room = { bytes: KEPT_BYTES }
  return { name: folder, train: decoded(train, shape, classes.length, room), test: decoded(test, shape, classes.length, room), classes }
}

/** Pictures that are decoded when they are first read. */
function decoded(pictures: readonly Picture[], shape: readonly [number, number, number], classes: number, room: { bytes: number }): Dataset {
  const kept: (Uint8Array | undefined)[] = []
  const size = shape[0] * shape[1] * shape[2]
  const load = async (index: number): Promise<Uint8Array> => {
    const found = kept[index] ?? await decodeImage(pictures[index]!.path, shape)
    if (!kept[index] && room.bytes >= size) {
      room.bytes -= size
      kept[index] = found
    }
    return found
  }
  return {
    length: pictures.length,
    fields: { image: { shape, type: 'f32' }, label: { shape: [], type: 'i32', classes } },
    async read(indices, { image, label }) {
      let next = 0
      const worker = async (): Promise<void> => {
        for (let k = next++; k < indices.length; k = next++) {
          const bytes = await load(indices[k]!)
          if (image) for (let i = 0; i < size; i++) image[k * size + i] = bytes[i]! * BYTE_SCALE
          if (label) label[k] = pictures[indices[k]!]!.label
        }
      }
      await Promise.all(Array.from({ length: Math.min(indices.length, Math.max(2, availableParallelism())) }, worker))
    },
  }
}
