/** Writing files so that neither a kill nor a power cut leaves half of one: all of fusenet that writes goes through here. */
import { createHash, randomBytes } from 'node:crypto'
import { chmod, chown, lstat, mkdir, open, readdir, readlink, realpath, rename, rm, stat, unlink } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { withFile } from '../file-error.ts'

/** Eight letters for this machine: whether a process is alive can be asked on its own machine alone. */
export const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8)
const DRAFT = /\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.tmp$/
/** Age at which a temporary file of another machine counts as left over. */
const FOREIGN_MS = 24 * 3600 * 1000

/** A name beside `path` for what is not whole yet: it tells whose it is, so that what a dead process left can be removed. */
export const draftOf = (path: string): string => `${path}.${HOST}-${process.pid}-${randomBytes(4).toString('hex')}.tmp`

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Removes drafts beside `path` (of it, or of anything if `path` ends in '/') whose processes are dead. Never fails. */
export async function removeLeftOvers(path: string): Promise<void> {
  const whole = path.endsWith('/')
  const folder = whole ? path : dirname(path)
  for (const name of await readdir(folder).catch(() => [])) {
    const match = DRAFT.exec(name)
    if (!match || (!whole && name.slice(0, match.index) !== basename(path))) continue
    const [, host, pid] = match
    const old = host === HOST ? !isAlive(Number(pid)) : Date.now() - ((await stat(join(folder, name)).catch(() =>
          undefined
        ))?.mtimeMs ?? Infinity) > FOREIGN_MS
    if (old) await rm(join(folder, name), { recursive: true, force: true }).catch(() => {})
  }
}

/** Makes names in a folder durable. Windows cannot, and some network disks need not. */
export async function syncFolder(folder: string): Promise<void> {
  let handle
  try {
    handle = await open(folder, 'r')
    await handle.sync()
  } catch (error) {
    if (!['EINVAL', 'EPERM', 'EACCES', 'EISDIR', 'ENOTSUP', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await handle?.close()
  }
}

/** Writes a file that nobody reads yet, to the disk itself. */
export async function writeDurably(path: string, data: string | Uint8Array, mode?: number): Promise<void> {
  const handle = await open(path, 'w', mode)
  try {
    await handle.writeFile(data)
    await handle.sync().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EINVAL' && error.code !== 'ENOTSUP') throw error
    })
  } finally {
    await handle.close()
  }
}

/** The path that a write to `path` ends at: links are followed, also a link to a file that does not exist yet. */
export async function throughLinks(path: string): Promise<string> {
  let target = resolve(path)
  for (let i = 0; i < 40; i++) {
    const found = await lstat(target).catch(() => undefined)
    if (!found?.isSymbolicLink()) return found ? realpath(target) : target
    target = resolve(dirname(target), await readlink(target))
  }
  return realpath(target)
}

/**
 * Replaces a file: whoever reads it sees the old one or the new one, whatever happens. Links to it stay links, and it keeps
 * its mode and owner. Throws FileError.
 */
export const replaceFile = (path: string, data: string | Uint8Array): Promise<void> => replaceFiles(new Map([[path, data]]))

/** Several files that belong together: none is replaced before all of them are on the disk. */
export async function replaceFiles(files: ReadonlyMap<string, string | Uint8Array>): Promise<void> {
  const ready: (() => Promise<void>)[] = []
  const drafts: string[] = []
  const folders = new Set<string>()
  try {
    for (const [path, data] of files) {
      const written = <T>(work: () => Promise<T>): Promise<T> => withFile(path, 'written', work)
      await written(async () => {
        const target = await throughLinks(path)
        const old = await stat(target).catch(() => undefined)
        if (old?.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
        // A pipe or a device is written to, not replaced.
        if (old && !old.isFile()) return ready.push(() => written(() => pour(target, 'w', data)))
        // Who may not write the file may not replace it either, though its folder would allow it.
        if (old) await (await open(target, 'r+')).close()
        await makeFolder(dirname(target))
        await removeLeftOvers(target)
        const draft = draftOf(target)
        drafts.push(draft)
        folders.add(dirname(target))
        await writeDurably(draft, data, old?.mode)
        if (old) await keepAttributes(draft, old)
        ready.push(() =>
          written(async () => {
            // All names of a file shall have the new text, so its contents are replaced; until then the draft holds them.
            if (old && old.nlink > 1) {
              drafts.splice(drafts.indexOf(draft), 1)
              await pour(target, 'r+', data)
              await unlink(draft)
            } else await rename(draft, target)
          })
        )
      })
    }
    for (const replace of ready) await replace()
    for (const folder of folders) await withFile(folder, 'written', () => syncFolder(folder))
  } finally {
    await Promise.all(drafts.map((draft) => rm(draft, { force: true }).catch(() => {})))
  }
}

/** Writes into what is there. */
async function pour(path: string, flags: 'w' | 'r+', data: string | Uint8Array): Promise<void> {
  const handle = await open(path, flags)
  try {
    if (flags === 'r+') await handle.truncate(0)
    await handle.writeFile(data)
    if (flags === 'r+') await handle.sync()
  } finally {
    await handle.close()
  }
}

async function keepAttributes(draft: string, old: Stats): Promise<void> {
  await chmod(draft, old.mode & 0o7777)
  if (old.uid !== process.getuid?.() || old.gid !== process.getgid?.()) await chown(draft, old.uid, old.gid).catch(() => {})
}

/** Whether a folder takes new files, asked by writing one. `folder` need not be there: then its nearest parent is asked. Throws FileError, of `called`. */
export function tryFolder(folder: string, called = folder): Promise<void> {
  return withFile(called, 'written', async () => {
    let place = await throughLinks(folder)
    for (;;) {
      const found = await stat(place).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
      if (found || dirname(place) === place) break
      place = dirname(place)
    }
    const draft = draftOf(join(place, 'fusenet'))
    await (await open(draft, 'wx')).close()
    await unlink(draft)
  })
}

/** Makes a folder and those around it. Where no folder can be made (in /proc) Node's own way tries for ever. */
async function makeFolder(folder: string): Promise<void> {
  if (await stat(folder).catch(() => undefined)) return
  await tryFolder(folder)
  await mkdir(folder, { recursive: true })
}

/** Whether a file can be written or replaced, before the work whose result it gets. Throws FileError. */
export function tryFile(path: string): Promise<void> {
  return withFile(path, 'written', async () => {
    const target = await throughLinks(path)
    const found = await stat(target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    if (found?.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    if (found?.isFile()) await (await open(target, 'r+')).close()
    if (!found || found.isFile()) await tryFolder(dirname(target), path)
  })
}
