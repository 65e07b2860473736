import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { InputError } from '../bundle/errors.ts'
import { FileError, withFile } from '../runtime/loading/file-error.ts'
import { suggest } from '../bundle/nearest.ts'

/** A file that is not there, with the neighbour that was probably meant. */
async function missing(path: string): Promise<InputError> {
  const beside = await readdir(dirname(resolve(path))).catch(() => [])
  // A net without its ending; others may be more like it, as `NAME.d.net.ts` is.
  const guess = beside.find((name) => name === `${basename(path)}.net`) ?? suggest(basename(path), beside)
  return new FileError(
    path,
    'ENOENT',
    `there is no file ${path}${guess === undefined ? '' : `; did you mean ${join(dirname(path), guess)}?`}`,
  )
}

export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await withFile(path, 'read', () => readFile(path))
  } catch (error) {
    throw error instanceof FileError && error.code === 'ENOENT' ? await missing(path) : error
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
  const found = await withFile(path, 'read', () => stat(path)).catch((error: unknown) => {
    if (!(error instanceof FileError) || !['ENOENT', 'ENOTDIR'].includes(error.code)) throw error
    return undefined
  })
  return found?.isDirectory() ? 'folder' : found ? 'file' : undefined
}

/** A missing path as the same error that reading it would give. */
export async function mustExist(path: string): Promise<'file' | 'folder'> {
  const kind = await kindOf(path)
  if (kind) return kind
  throw await missing(path)
}
