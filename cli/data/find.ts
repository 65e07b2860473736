import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from '../../runtime/errors.ts'
import type { CallEntry } from '../../runtime/format.ts'
import { kindOf, mustExist } from '../files.ts'
import { didYouMean } from '../suggest.ts'
import { isCifar10Folder, readCifar10Folder } from './cifar10.ts'
import { isIdxFolder, readIdxFolder } from './idx.ts'
import { isImagesFolder, readImagesFolder } from './images.ts'
import { readMnist } from './mnist.ts'
import type { DataFiles } from './samples.ts'

export interface DataRequest {
  /** `--data`: a name, a folder, or `kind:folder`. Wins over what the file says. */
  readonly option?: string
  /** `data` of the train block. */
  readonly entry?: CallEntry
  /** [c, h, w] that the net takes: folders of pictures are scaled to it. */
  readonly shape: readonly [number, number, number]
  /** Where named data sets lie, besides `mnist`. */
  readonly root: string
  readonly onProgress?: (done: number, total: number) => void
}

/** Names that need no path, and the folders below the root in which they are looked for. */
const NAMED: Readonly<Record<string, { readonly folders: readonly string[]; readonly from: string }>> = {
  mnist: { folders: [], from: '' },
  fashion_mnist: { folders: ['fashion_mnist', 'fashion-mnist', 'FashionMNIST/raw'], from: 'the four files of https://github.com/zalandoresearch/fashion-mnist' },
  cifar10: { folders: ['cifar-10-batches-bin', 'cifar10'], from: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, unpacked' },
}

export async function findData(request: DataRequest): Promise<DataFiles> {
  const { kind, path } = named(request)
  if (kind === 'mnist' && path === undefined) return readMnist()
  const folder = path ?? await lookFor(kind, request.root)
  if (await mustExist(folder) === 'file') throw new InputError(`${folder} is a file; data is a folder of IDX files, of CIFAR-10's batches, or of pictures by class`)
  const names = await readdir(folder)
  const idx = kind === 'idx' || kind === 'mnist' || kind === 'fashion_mnist'
  if (idx || (kind === '' && isIdxFolder(names))) return readIdxFolder(folder, kind || folder)
  if (kind === 'cifar10' || (kind === '' && isCifar10Folder(names))) return readCifar10Folder(folder)
  if (kind === 'images' || (kind === '' && await isImagesFolder(folder))) return readImagesFolder(folder, request.shape, request.onProgress)
  throw new InputError(`${folder} holds no data that is known: IDX files (train-images-idx3-ubyte, ...), CIFAR-10's batches (data_batch_1.bin, ...), or a folder of pictures a class`)
}

function named({ option, entry }: DataRequest): { kind: string; path?: string } {
  if (option !== undefined) {
    if (option in NAMED) return { kind: option }
    const match = /^(idx|images|mnist|fashion_mnist|cifar10):(.+)$/.exec(option)
    return match ? { kind: match[1]!, path: match[2]! } : { kind: '', path: option }
  }
  if (!entry) throw new InputError('there is no data to use: the file has no `data` in a train block; name a data set or a folder by --data')
  const path = Object.values(entry.args).find((value) => typeof value === 'string')
  return path === undefined ? { kind: entry.call } : { kind: entry.call === 'path' ? '' : entry.call, path }
}

async function lookFor(kind: string, root: string): Promise<string> {
  const known = NAMED[kind]
  if (!known) throw new InputError(`there is no data set ${kind}${didYouMean(kind, Object.keys(NAMED))} (known by name: ${Object.keys(NAMED).join(', ')})`)
  const places = known.folders.map((folder) => join(root, folder))
  for (const place of places) if (await kindOf(place) === 'folder') return place
  throw new InputError(`${kind} is not here: looked for ${places.join(' and ')}. Put there ${known.from}; or name its folder by --data, or the folder above it by FUSENET_DATA`)
}
