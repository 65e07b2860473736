/** Bundles as folders: at every moment, and whatever step fails, the old one or the new one is complete under the name. */
import { randomBytes } from 'node:crypto'
import { copyFile, link, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { InputError } from '../../../bundle/errors.ts'
import { fileError, withFile } from '../file-error.ts'
import { bundleTypes } from '../../declare-bundle.ts'
import { bundleFiles, MANIFEST_FILE, WEIGHTS_FILE } from '../files.ts'
import type { Bundle } from '../../../bundle/format.ts'
import { draftOf, removeLeftOvers, syncFolder, throughLinks, tryFolder, writeDurably } from './files.ts'
import { sayHolder, takeLock } from './lock.ts'
import { say } from '../../../bundle/plain.ts'
import { seal } from '../seal.ts'
import type { StoredManifest } from '../../../bundle/stored.ts'

/** Names under which files of a new bundle lie until the old one is gone. */
const NEXT = /^next-[0-9a-f]{8}-/
const LOCK_FILE = '.writing'
/** The file of types for TypeScript, beside the manifest. Nothing that runs reads it, so the manifest does not name it. */
export const TYPES_FILE = 'bundle.d.ts'
const LOCK_WAIT_MS = 20_000

/**
 * Refuses a place where no bundle can go, before the work is done that ends in it: a file, a folder with other things in it,
 * or one that may not be written to. Throws InputError.
 */
export async function checkPlace(folder: string): Promise<void> {
  if (typeof folder !== 'string' || folder === '')
    throw new InputError(`a bundle is written to the path of a folder, not to ${say(folder)}`)
  const target = await throughLinks(folder)
  const found = await stat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw fileError(error, folder, 'written') ?? error
  })
  if (found && !found.isDirectory()) throw new InputError(`${folder} is a file; a bundle is a folder`)
  const names = found ? await withFile(folder, 'read', () => readdir(target)) : []
  const others = names.filter((name) => name !== LOCK_FILE)
  if (others.length > 0 && !others.includes(MANIFEST_FILE))
    throw new InputError(`${folder} holds other files (${others.slice(0, 3).join(', ')}): name a new folder`)
  await tryFolder(found ? target : dirname(target), folder)
}

/**
 * Writes a bundle as a folder. A bundle that is there is replaced without a gap; other files in it stay. A link to a folder stays
 * one. Throws InputError, after which what was there is as it was.
 */
export async function writeBundle(bundle: Bundle, folder: string): Promise<void> {
  await checkPlace(folder)
  const target = await throughLinks(folder)
  const stored = await bundleFiles(bundle)
  const files = new Map([[TYPES_FILE, new TextEncoder().encode(bundleTypes(bundle))], ...stored])
  await withFile(folder, 'written', () => mkdir(dirname(target), { recursive: true }))
  await removeLeftOvers(target)
  const isThere = await stat(target).then(() => true, () => false)
  await (isThere ? replaceWithin(folder, target, files) : appear(folder, target, files))
}

/** A folder that was not there appears with everything in it. */
async function appear(folder: string, target: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const draft = draftOf(target)
  try {
    await withFile(folder, 'written', async () => {
      await writeAll(draft, files)
      await rename(draft, target)
      await syncFolder(dirname(target))
    })
  } finally {
    await rm(draft, { recursive: true, force: true }).catch(() => {})
  }
}

/**
 * Replaces the files of a bundle in its folder. Files that differ are first written under names of their own, which the old manifest
 * does not know; a manifest that names them replaces the old one, by one rename; then they get their proper names, and a manifest
 * that says so.
 */
async function replaceWithin(folder: string, target: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const lock = await lockFolder(folder, join(target, LOCK_FILE))
  const at = (name: string): string => join(target, name)
  const written: string[] = []
  let replaced = false
  try {
    await withFile(folder, 'written', async () => {
      const old = await namesOf(target)
      await removeStrays(target, old)
      const manifest = files.get(MANIFEST_FILE)!
      const aliases = new Map<string, string>()
      const fresh = new Map<string, Uint8Array>()
      for (const [name, data] of files) {
        if (name === MANIFEST_FILE) continue
        const there = await readFile(at(name)).catch(() => undefined)
        if (there && Buffer.compare(there, data) === 0) continue
        const exists = there !== undefined || await stat(at(name)).then(() => true, () => false)
        const alias = exists ? join(dirname(name), `next-${randomBytes(4).toString('hex')}-${basename(name)}`).replaceAll('\\', '/') : name
        if (exists) aliases.set(name, alias)
        written.push(alias)
        fresh.set(alias, data)
      }
      await writeAll(target, fresh)
      const put = async (data: Uint8Array): Promise<void> => {
        const draft = draftOf(at(MANIFEST_FILE))
        written.push(basename(draft))
        await writeDurably(draft, data)
        await rename(draft, at(MANIFEST_FILE))
        replaced = true
        await syncFolder(target)
      }
      if (aliases.size > 0) {
        await put(await renamed(manifest, aliases))
        for (const [name, alias] of aliases) await alsoAs(at(alias), at(name))
        for (const part of new Set([...aliases.keys()].map((name) => dirname(at(name))))) await syncFolder(part)
      }
      await put(manifest)
      for (const name of [...aliases.values(), ...old].filter((name) => !files.has(name))) await rm(at(name), { force: true })
    })
  } catch (error) {
    // From the first manifest on the new bundle is complete; what is left to tidy is tidied the next time.
    if (!replaced) {
      for (const name of written) await rm(at(name), { force: true }).catch(() => {})
      throw error
    }
  } finally {
    await lock.release()
  }
}

async function writeAll(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const folders = new Set([folder])
  await mkdir(folder, { recursive: true })
  for (const [name, data] of files) {
    const path = join(folder, name)
    if (!folders.has(dirname(path))) await mkdir(dirname(path), { recursive: true })
    folders.add(dirname(path))
    await writeDurably(path, data)
  }
  for (const one of folders) await syncFolder(one)
}

/** A second name for a file; a copy on disks that have none. The old file of that name is replaced. */
async function alsoAs(from: string, to: string): Promise<void> {
  const draft = draftOf(to)
  await link(from, draft).catch(() => copyFile(from, draft))
  await rename(draft, to)
}

/** A manifest whose files lie under other names. */
async function renamed(bytes: Uint8Array, names: ReadonlyMap<string, string>): Promise<Uint8Array> {
  const { sha256: _, ...manifest } = JSON.parse(new TextDecoder().decode(bytes)) as StoredManifest
  const files = Object.entries(manifest.files).map((
    [name, entry],
  ) => [name, { ...entry, ...(names.has(name) && { at: names.get(name)! }) }])
  return new TextEncoder().encode(`${JSON.stringify(await seal({ ...manifest, files: Object.fromEntries(files) }), null, 1)}\n`)
}

/** Files that the bundle of a folder says are its own: plain names within it alone. Nothing where it cannot be understood. */
async function namesOf(folder: string): Promise<string[]> {
  try {
    const manifest = JSON.parse(await readFile(join(folder, MANIFEST_FILE), 'utf8')) as Partial<StoredManifest>
    const names = [...Object.entries(manifest.files ?? {}).flatMap(([name, entry]) => [name, entry.at]), ...namesOfFirst(manifest)]
    return [...new Set([...names, WEIGHTS_FILE])].filter((name): name is string =>
      typeof name === 'string' && name !== MANIFEST_FILE && !/[\\:\0]/.test(name) &&
      name.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
    )
  } catch {
    return []
  }
}

/**
 * File names that a bundle of format version 1 listed, one file a kernel. They are removed when a net is compiled again into its folder.
 */
function namesOfFirst({ plans = {} }: { readonly plans?: object }): unknown[] {
  const old = Object.values(plans) as {
    kernels?: { file?: unknown; subgroups?: unknown }[]
    module?: { file?: unknown; relaxed?: unknown }
  }[]
  return old.flatMap(({ kernels = [], module }) => [...kernels.flatMap((k) => [k.file, k.subgroups]), module?.file, module?.relaxed])
}

/** Removes files that a process left behind when it died while it replaced this bundle. */
async function removeStrays(folder: string, named: readonly string[]): Promise<void> {
  for (const below of new Set(['.', ...named.map((name) => dirname(name))])) {
    await removeLeftOvers(`${join(folder, below)}/`)
    for (const name of await readdir(join(folder, below)).catch(() => [])) {
      if (NEXT.test(name) && !named.includes(below === '.' ? name : `${below}/${name}`))
        await rm(join(folder, below, name), { force: true })
    }
  }
}

async function lockFolder(folder: string, file: string): Promise<{ release(): Promise<void> }> {
  const until = Date.now() + LOCK_WAIT_MS
  for (;;) {
    const lock = await takeLock(file)
    if ('release' in lock) return lock
    if (Date.now() > until)
      throw new InputError(`${folder} is being written by ${sayHolder(lock)}: try again when it is done, or name another place`)
    await new Promise((done) => setTimeout(done, 50))
  }
}
