import { open, readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { InputError } from '../../../bundle/errors.ts'
import { withFile } from '../../loading/file-error.ts'
import { isNumber } from './csv.ts'

export const readBytes = (path: string): Promise<Uint8Array> => withFile(path, 'read', () => readFile(path))

/** Names in a folder by code units: the same on every machine, whatever its language. */
export const namesIn = (folder: string): Promise<string[]> =>
  withFile(folder, 'read', async () => (await readdir(folder)).sort(byCodeUnits))

export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The order in which names of classes become labels: numbers first, by their value, then words by code units. */
export function byClassName(a: string, b: string): number {
  const [first, second] = [a, b].map((name) => (isNumber(name) ? Number(name) : Infinity)) as [number, number]
  return first === second ? byCodeUnits(a, b) : first - second
}

/**
 * A phrase for the kind of a file that was found instead of the wanted one: a page that a server answered with, or an empty file.
 * Undefined where nothing is known.
 */
export function whatItIs(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'it is empty'
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 256)).trimStart().toLowerCase()
  if (/^(<!doctype|<html|<\?xml|<head|<body)/.test(start)) return 'it is a web page, as a server gives where the file is not'
  if (start.startsWith('version https://git-lfs')) return 'it is a pointer of Git LFS, not the file itself'
  return undefined
}

/** Reads from the header of a file its length when unpacked. Undefined where the header is of another kind of file. */
export type LengthOf = (start: Uint8Array) => number | undefined

const HEADER_BYTES = 1024
/** The greatest ratio by which deflate can compress: 1032 to 1 (zlib.net/zlib_tech.html). */
const MOST_RATIO = 1032

/**
 * A file that may be packed by gzip. A little is unpacked first: `lengthOf` reads from it how long the whole is, so that a small file
 * which unpacks to gigabytes costs neither. Throws InputError with the file's name.
 */
export async function readPacked(path: string, lengthOf: LengthOf, what: string): Promise<Uint8Array> {
  const bytes = await readBytes(path)
  const wrong = (why: string): InputError => new InputError(`${path} is no ${what}: ${why}; fetch it again`)
  const strange = whatItIs(bytes)
  if (strange !== undefined) throw wrong(strange)
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b
  if (!packed && path.endsWith('.gz')) throw wrong('it ends in .gz and is not packed by gzip')
  const start = packed ? await unpackSome(path, bytes) : bytes.subarray(0, HEADER_BYTES)
  const length = lengthOf(start)
  if (length === undefined) throw wrong(whatItIs(start) ?? 'it does not begin as one')
  if (!packed) return bytes
  if (length > MOST_RATIO * bytes.length) throw wrong(`its header tells of ${length} bytes, more than ${bytes.length} packed ones can hold`)
  let whole: Uint8Array
  try {
    // A byte more than wanted shows that there is too much, and costs no more.
    whole = await promisify(gunzip)(bytes, { maxOutputLength: length + 1 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw wrong(`its header tells of ${length} bytes, it unpacks to more`)
    throw wrong(`it is damaged or cut off and cannot be unpacked (${(error as Error).message})`)
  }
  if (whole.length > length) throw wrong(`its header tells of ${length} bytes, it unpacks to more`)
  return whole
}

/** The first bytes of what is packed: of little input, which cannot become much. */
async function unpackSome(path: string, bytes: Uint8Array): Promise<Uint8Array> {
  const { constants } = await import('node:zlib')
  try {
    return (await promisify(gunzip)(bytes.subarray(0, 4 * HEADER_BYTES), { finishFlush: constants.Z_SYNC_FLUSH })).subarray(0, HEADER_BYTES)
  } catch (error) {
    throw new InputError(`${path} is damaged or cut off and cannot be unpacked (${(error as Error).message}); fetch it again`)
  }
}

/** The first and the last bytes of a file, and its size. */
export function endsOf(path: string, count: number): Promise<{ start: Uint8Array; end: Uint8Array; size: number }> {
  return withFile(path, 'read', async () => {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      const read = async (from: number): Promise<Uint8Array> => {
        const buffer = new Uint8Array(Math.max(0, Math.min(count, size - from)))
        const { bytesRead } = await file.read(buffer, 0, buffer.length, from)
        return buffer.subarray(0, bytesRead)
      }
      return { start: await read(0), end: await read(Math.max(0, size - count)), size }
    } finally {
      await file.close()
    }
  })
}
