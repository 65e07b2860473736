import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { InputError } from '../../runtime/errors.ts'
import { decodeImage, isImage } from '../images.ts'
import type { DataFiles, Samples } from './samples.ts'

interface Picture {
  readonly path: string
  readonly label: number
}

/** All is held in memory as bytes; what is larger than this is refused before it is read. */
const MOST_BYTES = 8 * 2 ** 30
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
 * fifth picture of a class is for testing. Labels count classes in the order of their names.
 */
export async function readImagesFolder(
  folder: string,
  shape: readonly [number, number, number],
  onProgress?: (done: number, total: number) => void,
): Promise<DataFiles> {
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
    const all = await picturesBelow(split ? join(folder, 'train', name) : join(folder, name))
    if (all.length === 0) throw new InputError(`${join(folder, split ? join('train', name) : name)} holds no pictures (PNG, JPEG, WebP, ...)`)
    all.forEach((path, i) => (split || i % TEST_EVERY !== TEST_EVERY - 1 ? train : test).push({ path, label }))
    if (split) {
      const more = await picturesBelow(join(folder, testFolder, name)).catch(() => [])
      test.push(...more.map((path) => ({ path, label })))
    }
  }
  if (test.length === 0) throw new InputError(`${folder} has too few pictures to keep one in ${TEST_EVERY} for testing: at least ${TEST_EVERY} in one class`)

  const total = train.length + test.length
  const bytes = total * shape[0] * shape[1] * shape[2]
  if (bytes > MOST_BYTES) {
    throw new InputError(`${total} pictures of [${shape.join(', ')}] take ${(bytes / 2 ** 30).toFixed(1)} GiB, at most ${MOST_BYTES / 2 ** 30} are held: make the input smaller or use fewer`)
  }
  let done = 0
  const decode = async (pictures: readonly Picture[]): Promise<Samples> => {
    const size = shape[0] * shape[1] * shape[2]
    const images = new Uint8Array(pictures.length * size)
    let next = 0
    const worker = async (): Promise<void> => {
      for (let i = next++; i < pictures.length; i = next++) {
        await decodeImage(pictures[i]!.path, shape, images.subarray(i * size, (i + 1) * size))
        onProgress?.(++done, total)
      }
    }
    await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker))
    return { count: pictures.length, shape, images, labels: Int32Array.from(pictures, (picture) => picture.label) }
  }
  return { name: folder, train: await decode(train), test: await decode(test), classes }
}
