import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InputError } from '../../runtime/errors.ts'
import { readBytes } from '../files.ts'
import type { DataFiles, Samples } from './samples.ts'

/**
 * CIFAR-10's binary version (cs.toronto.edu/~kriz/cifar.html): records of a label byte and 3072 bytes, red plane first.
 * https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz
 */
const SHAPE = [3, 32, 32] as const
const PIXELS = 3072
const RECORD = 1 + PIXELS

export const isCifar10Folder = (names: readonly string[]): boolean => names.some((name) => /^(data_batch_\d|test_batch)\.bin$/.test(name))

export function parseCifar10(batches: readonly { readonly bytes: Uint8Array; readonly file: string }[]): Samples {
  const count = batches.reduce((sum, { bytes, file }) => {
    if (bytes.length === 0 || bytes.length % RECORD !== 0) throw new InputError(`${file} holds ${bytes.length} bytes, records of ${RECORD} are wanted: is it cut off?`)
    return sum + bytes.length / RECORD
  }, 0)
  const images = new Uint8Array(count * PIXELS)
  const labels = new Int32Array(count)
  let at = 0
  for (const { bytes, file } of batches) {
    for (let offset = 0; offset < bytes.length; offset += RECORD) {
      const label = bytes[offset]!
      if (label > 9) throw new InputError(`${file} has label ${label} at byte ${offset}: CIFAR-10 has 0..9`)
      labels[at] = label
      images.set(bytes.subarray(offset + 1, offset + RECORD), at * PIXELS)
      at++
    }
  }
  return { count, shape: SHAPE, images, labels }
}

export async function readCifar10Folder(folder: string): Promise<DataFiles> {
  const names = (await readdir(folder)).sort()
  const part = async (pattern: RegExp, what: string): Promise<Samples> => {
    const found = names.filter((name) => pattern.test(name))
    if (found.length === 0) throw new InputError(`${folder} lacks ${what}`)
    return parseCifar10(await Promise.all(found.map(async (name) => ({ file: join(folder, name), bytes: await readBytes(join(folder, name)) }))))
  }
  const [train, test] = await Promise.all([part(/^data_batch_\d\.bin$/, 'data_batch_1.bin'), part(/^test_batch\.bin$/, 'test_batch.bin')])
  const classes = names.includes('batches.meta.txt')
    ? new TextDecoder().decode(await readBytes(join(folder, 'batches.meta.txt'))).split('\n').map((line) => line.trim()).filter(Boolean)
    : undefined
  return { name: 'cifar10', train, test, ...(classes && { classes }) }
}
