import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError } from '../runtime/errors.ts'
import { suggest } from '../dsl/suggest.ts'

/** Why a file cannot be read, with the neighbour that was probably meant. */
async function unreadable(path: string, error: NodeJS.ErrnoException): Promise<InputError> {
  if (error.code === 'ENOENT') {
    const beside = await readdir(dirname(resolve(path))).catch(() => [])
    const guess = suggest(basename(path), beside)
    return new InputError(`there is no file ${path}${guess === undefined ? '' : `; did you mean ${join(dirname(path), guess)}?`}`)
  }
  if (error.code === 'EISDIR') return new InputError(`${path} is a folder, a file is wanted`)
  if (error.code === 'EACCES') return new InputError(`${path} may not be read: permission denied`)
  return new InputError(`${path} cannot be read: ${error.message}`)
}

export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw await unreadable(path, error as NodeJS.ErrnoException)
  }
}

export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new InputError(`${path} is not UTF-8 text`)
  }
}

export async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isDirectory() ? 'folder' : found ? 'file' : undefined
}

/** A missing path as the same error that reading it would give. */
export async function mustExist(path: string): Promise<'file' | 'folder'> {
  const kind = await kindOf(path)
  if (kind) return kind
  throw await unreadable(path, Object.assign(new Error('not found'), { code: 'ENOENT' }))
}

/** Whoever reads the path sees the old file or the new one, never half of one. */
export async function writeFileWhole(path: string, data: string | Uint8Array): Promise<void> {
  const target = resolve(path)
  const draft = `${target}.${randomUUID().slice(0, 8)}.tmp`
  try {
    await mkdir(dirname(target), { recursive: true })
    await writeFile(draft, data)
    await rename(draft, target)
  } catch (error) {
    await rm(draft, { force: true })
    throw unwritable(path, error as NodeJS.ErrnoException)
  }
}

function unwritable(path: string, error: NodeJS.ErrnoException): Error {
  if (error.code === 'EACCES' || error.code === 'EPERM') return new InputError(`${path} cannot be written: permission denied`)
  if (error.code === 'ENOSPC') return new InputError(`${path} cannot be written: the disk is full`)
  if (error.code === 'ENOTDIR' || error.code === 'EEXIST') return new InputError(`${path} cannot be written: a part of it is a file, not a folder`)
  return error
}
