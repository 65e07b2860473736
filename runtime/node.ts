/** What needs Node: bundles and snapshots in files, datasets in folders. Pages use `fusenet/runtime` alone. */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { InputError } from './errors.ts'
import { bundleFiles, bundleFrom, MANIFEST_FILE } from './files.ts'
import type { Bundle } from './format.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from './snapshot.ts'

export { loadDataset, type DatasetOptions } from './data/node-datasets.ts'

/**
 * Reads a bundle's folder; refuses with a BundleError what does not agree. `targets`: kernels of these plans only, such as
 * `['wasm']`, where the bundle is to run and not to be written again.
 */
export async function readBundle(folder: string, targets?: readonly string[]): Promise<Bundle> {
  const { bundle } = await bundleFrom((name) => readFile(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw new InputError(`${join(folder, name)} cannot be read: ${error.message}`)
  }), targets && ((plans) => plans.filter((plan) => targets.includes(plan))))
  return bundle
}

/** Writes a bundle as a folder that appears whole. An older bundle there is replaced; any other files are left alone. */
export async function writeBundle(bundle: Bundle, folder: string): Promise<void> {
  const target = resolve(folder)
  const there = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new InputError(`${folder} is no folder: ${error.message}`)
  })
  if (there?.length && !there.includes(MANIFEST_FILE)) throw new InputError(`${folder} holds other files (${there.slice(0, 3).join(', ')}): name a new folder`)
  const files = await bundleFiles(bundle)
  const suffix = randomUUID().slice(0, 8)
  const [draft, old] = [`${target}.${suffix}.tmp`, `${target}.${suffix}.old`]
  try {
    for (const [name, data] of files) {
      await mkdir(dirname(join(draft, name)), { recursive: true })
      await writeFile(join(draft, name), data)
    }
    if (there) await rename(target, old)
    await rename(draft, target)
    await rm(old, { recursive: true, force: true })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

export async function readSnapshot(file: string): Promise<Snapshot> {
  return decodeSnapshot(await readFile(file), file)
}

/** Whoever reads the file sees the old snapshot or the new one. */
export async function writeSnapshot(snapshot: Snapshot, file: string): Promise<void> {
  const draft = `${file}.${randomUUID().slice(0, 8)}.tmp`
  await mkdir(dirname(resolve(file)), { recursive: true })
  await writeFile(draft, encodeSnapshot(snapshot))
  await rename(draft, file)
}
