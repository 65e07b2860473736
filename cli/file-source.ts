import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import type { ByteSource } from '../import/byte-source.ts'
import { ImportError } from '../import/import-error.ts'
import { fileError } from '../runtime/loading/file-error.ts'

/** A file that is read piece by piece; `close` when nothing reads it any more. Throws FileError. */
export interface FileSource extends ByteSource {
  readonly close: () => void
}

export function fileSource(path: string): FileSource {
  const failed = (error: unknown): unknown => fileError(error, path, 'read') ?? error
  let handle: number
  let size: number
  try {
    handle = openSync(path, 'r')
    const found = fstatSync(handle)
    if (found.isDirectory()) {
      closeSync(handle)
      throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    }
    size = found.size
  } catch (error) {
    throw failed(error)
  }
  const name = basename(path)
  return {
    name,
    size,
    read(from, to) {
      if (!(from >= 0 && from <= to && to <= size)) throw new RangeError(`${name}: bytes ${from} to ${to} of ${size}`)
      const bytes = new Uint8Array(to - from)
      try {
        for (let at = 0; at < bytes.length;) {
          const count = readSync(handle, bytes, at, Math.min(bytes.length - at, 1 << 30), from + at)
          if (count === 0) throw new ImportError([{ where: name, what: 'the file became shorter while it was read' }])
          at += count
        }
      } catch (error) {
        throw failed(error)
      }
      return bytes
    },
    close: () => closeSync(handle),
  }
}

/**
 * Finds the files that a model names: below the model's own folder, links followed, nothing else. Throws ImportError for a path that leads
 * out of it or to nothing.
 */
export function filesBeside(model: string, opened: (source: FileSource) => void): (path: string) => ByteSource {
  // The system's own: Node 20's takes links for folders once a pipe was looked at.
  const folder = realpathSync.native(dirname(model))
  return (path) => {
    const refuse = (what: string, mend?: string): ImportError =>
      new ImportError([{ where: basename(model), what, ...(mend !== undefined && { mend }) }])
    if (path === '' || path.includes('\0') || isAbsolute(path) || /^[A-Za-z]:|\\/.test(path))
      throw refuse(`it names the file ${JSON.stringify(path)}: only files below the model's folder are read`)
    const isWithin = (file: string): boolean => {
      const way = relative(folder, file)
      return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
    }
    const file = join(folder, path)
    if (!isWithin(file)) throw refuse(`it names the file ${JSON.stringify(path)}: only files below the model's folder are read`)
    if (!statSync(file, { throwIfNoEntry: false }))
      throw refuse(`it needs the file ${path}, which is not beside it`, 'fetch that file too, and keep the two together under their names')
    if (!isWithin(realpathSync.native(file))) throw refuse(`${path} is a link out of the model's folder, which is not followed`)
    const source = fileSource(file)
    opened(source)
    return source
  }
}
