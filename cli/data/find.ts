import { readdir } from 'node:fs/promises'
import { loadDataset } from '../../runtime/data/node-datasets.ts'
import { InputError } from '../../runtime/errors.ts'
import type { CallEntry } from '../../runtime/format.ts'
import { mustExist } from '../files.ts'
import { didYouMean } from '../suggest.ts'
import { isImagesFolder, readImagesFolder } from './images.ts'
import type { DataFiles } from './pictures.ts'

export interface DataRequest {
  /** `--data`: a name, a folder, or `kind:folder`. Wins over what the file says. */
  readonly option?: string
  /** `data` of the train block. */
  readonly entry?: CallEntry
  /** [c, h, w] to which folders of pictures are brought. */
  readonly shape: () => readonly [number, number, number]
  /** Where named data sets lie, besides `mnist`. */
  readonly root: string
}

/** Data sets known by name, and how to get those that no package brings. */
const NAMED: Readonly<Record<string, string>> = {
  mnist: '',
  fashion_mnist: 'get its four files from https://github.com/zalandoresearch/fashion-mnist',
  cifar10: 'unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz there',
}
const KINDS = [...Object.keys(NAMED), 'idx', 'images']

export async function findData(request: DataRequest): Promise<DataFiles> {
  const { call, folder } = named(request)
  if (call === 'images') return readImagesFolder(await existing(folder), request.shape())
  if (call !== undefined && folder !== undefined) await existing(folder)
  const kind = call ?? await kindOfFolder(await existing(folder))
  if (kind === 'images') return readImagesFolder(folder!, request.shape())
  if (!KINDS.includes(kind)) throw new InputError(`there is no data set ${kind}${didYouMean(kind, KINDS)} (there are ${KINDS.join(', ')})`)
  const entry = { call: kind, args: folder === undefined ? {} : { folder } }
  try {
    const load = (split: 'train' | 'test') => loadDataset(entry, { split, root: request.root })
    const [train, test] = await Promise.all([load('train'), load('test')])
    return { name: folder ?? kind, train, test }
  } catch (error) {
    if (!(error instanceof InputError) || folder !== undefined || !NAMED[kind]) throw error
    throw new InputError(`${kind} is not here (${error.message}): ${NAMED[kind]}; or name its folder by --data, or the folder above it by FUSENET_DATA`)
  }
}

function named({ option, entry }: DataRequest): { call?: string; folder?: string } {
  if (option !== undefined) {
    if (option in NAMED) return { call: option }
    const match = /^([a-z]\w+):(.+)$/.exec(option)
    return match ? { call: match[1]!, folder: match[2]! } : { folder: option }
  }
  if (!entry) throw new InputError('there is no data to use: the file has no `data` in a train block; name a data set or a folder by --data')
  const folder = Object.values(entry.args).find((value) => typeof value === 'string')
  return { call: entry.call, ...(folder !== undefined && { folder }) }
}

async function existing(folder: string | undefined): Promise<string> {
  if (folder === undefined) throw new InputError('images wants a folder: images("dir")')
  if (await mustExist(folder) === 'file') throw new InputError(`${folder} is a file; data is a folder of IDX files, of CIFAR-10's batches, or of pictures by class`)
  return folder
}

async function kindOfFolder(folder: string): Promise<string> {
  const names = await readdir(folder)
  if (names.some((name) => /[-.]idx\d[-.]ubyte(\.gz)?$/.test(name))) return 'idx'
  if (names.some((name) => /^(data_batch_\d+|test_batch)\.bin$/.test(name))) return 'cifar10'
  if (await isImagesFolder(folder)) return 'images'
  throw new InputError(`${folder} holds no data that is known: IDX files (train-images-idx3-ubyte, ...), CIFAR-10's batches (data_batch_1.bin, ...), or a folder of pictures a class`)
}
