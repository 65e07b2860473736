import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { InputError } from '../../runtime/errors.ts'
import { readBytes } from '../files.ts'
import type { DataFiles, Samples } from './samples.ts'

/**
 * MNIST's IDX format (yann.lecun.com/exdb/mnist): two zero bytes, the type (8: unsigned byte), the number of dimensions,
 * the dimensions as big-endian 32-bit integers, the bytes. Files may be packed by gzip, as they are published.
 */
export function parseIdx(bytes: Uint8Array, file: string): { readonly dims: readonly number[]; readonly data: Uint8Array } {
  const wrong = (why: string): InputError => new InputError(`${file} is not a usable IDX file: ${why}`)
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0) throw wrong('it does not start with two zero bytes')
  if (bytes[2] !== 8) throw wrong(`its type is ${bytes[2]}, unsigned bytes (8) are wanted`)
  const rank = bytes[3]!
  if (bytes.length < 4 + 4 * rank) throw wrong('its header is cut off')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const dims = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis))
  const size = dims.reduce((product, dim) => product * dim, 1)
  const data = bytes.subarray(4 + 4 * rank)
  if (data.length !== size) throw wrong(`[${dims.join(', ')}] takes ${size} bytes, ${data.length} are there`)
  return { dims, data }
}

const NAME = /^(train|t10k|test)[-.](images|labels)[-.]idx([134])[-.]ubyte(\.gz)?$/

export const isIdxFolder = (names: readonly string[]): boolean => names.some((name) => NAME.test(name))

export async function readIdxFolder(folder: string, name = folder): Promise<DataFiles> {
  const names = await readdir(folder)
  const read = async (part: 'train' | 'test', what: 'images' | 'labels'): Promise<{ dims: readonly number[]; data: Uint8Array }> => {
    const file = names.filter((candidate) => {
      const match = NAME.exec(candidate)
      return match && (match[1] === 'train') === (part === 'train') && match[2] === what
    }).sort()[0]
    if (!file) throw new InputError(`${folder} lacks the ${what} of its ${part} part (${part === 'train' ? 'train' : 't10k'}-${what}-idx${what === 'images' ? 3 : 1}-ubyte)`)
    const path = join(folder, file)
    const bytes = await readBytes(path)
    return parseIdx(file.endsWith('.gz') ? await promisify(gunzip)(bytes) : bytes, path)
  }
  const part = async (which: 'train' | 'test'): Promise<Samples> => {
    const [images, labels] = await Promise.all([read(which, 'images'), read(which, 'labels')])
    const [count, ...rest] = images.dims
    if (count === undefined || rest.length < 2 || rest.length > 3) throw new InputError(`${folder}: images of shape [${images.dims.join(', ')}]; [n, h, w] or [n, c, h, w] are wanted`)
    if (labels.dims.length !== 1 || labels.dims[0] !== count) throw new InputError(`${folder}: ${count} images, but labels of shape [${labels.dims.join(', ')}] in the ${which} part`)
    const shape = (rest.length === 2 ? [1, ...rest] : rest) as [number, number, number]
    return { count, shape, images: images.data, labels: Int32Array.from(labels.data) }
  }
  const [train, test] = await Promise.all([part('train'), part('test')])
  return { name, train, test }
}
