/** Archives as PKWARE's APPNOTE 6.3.10 has them, as far as files of a bundle need: no encryption, no parts, less than 4 GiB. */
import { InputError } from '../../bundle/errors.ts'
import { plain } from '../../bundle/plain.ts'
import { showBytes } from '../memory-errors.ts'

const LOCAL = 0x04034b50
const ENTRY = 0x02014b50
const END = 0x06054b50
const [LOCAL_BYTES, ENTRY_BYTES, END_BYTES] = [30, 46, 22]
const MOST = 2 ** 32 - 2
/** 1 January 1980: the same files give the same bytes. */
const DATE = 0x21
const UTF8 = 0x800
/** Bytes that one byte of Deflate becomes at most: 258 of two bits. */
const MOST_INFLATED = 1032

const TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1
  return n
})

/** CRC-32 of IEEE 802.3. */
function crc32(bytes: Uint8Array): number {
  let crc = -1
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 255]!
  return ~crc >>> 0
}

/** Files as one archive, not compressed: weights hardly are smaller then. Throws InputError for what is too large. */
export function zip(files: ReadonlyMap<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  const entries = [...files].map(([name, data]) => ({ name: new TextEncoder().encode(name), data, crc: crc32(data) }))
  const size = entries.reduce((sum, { name, data }) => sum + LOCAL_BYTES + ENTRY_BYTES + 2 * name.length + data.length, END_BYTES)
  if (size > MOST || entries.length >= 65535)
    throw new InputError(`an archive holds less than 4 GiB, this would be ${showBytes(size)} in ${entries.length} files`)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  /** Numbers of 4 bytes and, negated in the list of widths, of 2. */
  const put = (at: number, ...fields: readonly (readonly [width: 2 | 4, value: number])[]): number => {
    for (const [width, value] of fields) {
      if (width === 2) view.setUint16(at, value, true)
      else view.setUint32(at, value, true)
      at += width
    }
    return at
  }
  let at = 0
  const places = entries.map(({ name, data, crc }) => {
    const from = at
    at = put(
      at,
      [4, LOCAL],
      [2, 20],
      [2, UTF8],
      [2, 0],
      [2, 0],
      [2, DATE],
      [4, crc],
      [4, data.length],
      [4, data.length],
      [2, name.length],
      [2, 0],
    )
    bytes.set(name, at)
    bytes.set(data, at + name.length)
    at += name.length + data.length
    return from
  })
  const directory = at
  entries.forEach(({ name, data, crc }, i) => {
    at = put(
      at,
      [4, ENTRY],
      [2, 20],
      [2, 20],
      [2, UTF8],
      [2, 0],
      [2, 0],
      [2, DATE],
      [4, crc],
      [4, data.length],
      [4, data.length],
      [2, name.length],
      [2, 0],
      [2, 0],
      [2, 0],
      [2, 0],
      [4, 0],
      [4, places[i]!],
    )
    bytes.set(name, at)
    at += name.length
  })
  put(at, [4, END], [2, 0], [2, 0], [2, entries.length], [2, entries.length], [4, at - directory], [4, directory], [2, 0])
  return bytes
}

export const isZip = (bytes: Uint8Array): boolean =>
  bytes.length >= END_BYTES && bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5)

/**
 * The files of an archive, also of one that somebody packed with another program. `what` names it in messages. Throws InputError for what is cut, damaged, or packed in
 * a way that is not read here. Folders are left out, and no file takes more memory than the archive says it does.
 */
export async function unzip(bytes: Uint8Array, what: string): Promise<Map<string, Uint8Array>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const refuse = (why: string): InputError => new InputError(`${what}: ${why}`)
  const end = endOf(view)
  if (end < 0) throw refuse('its end is missing, so it is cut off, or no archive')
  const count = view.getUint16(end + 10, true)
  let at = view.getUint32(end + 16, true)
  if (count === 65535 || at === 0xffffffff) throw refuse('it is an archive of the 64-bit kind, which is not read here')
  const files = new Map<string, Uint8Array>()
  let [allPacked, all] = [0, 0]
  for (let i = 0; i < count; i++) {
    if (at + ENTRY_BYTES > bytes.length || view.getUint32(at, true) !== ENTRY) throw refuse('its directory is damaged')
    const [flags, method, crc, packed, size] = [
      view.getUint16(at + 8, true),
      view.getUint16(at + 10, true),
      view.getUint32(at + 16, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 24, true),
    ]
    const [nameLength, extra, comment, local] = [
      view.getUint16(at + 28, true),
      view.getUint16(at + 30, true),
      view.getUint16(at + 32, true),
      view.getUint32(at + 42, true),
    ]
    const name = new TextDecoder().decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameLength)).replaceAll('\\', '/')
    at += ENTRY_BYTES + nameLength + extra + comment
    if (name.endsWith('/')) continue
    const own = (why: string): InputError => refuse(`${plain(name, 60)} ${why}`)
    if (flags & 1) throw own('is encrypted')
    if (local + LOCAL_BYTES > bytes.length || view.getUint32(local, true) !== LOCAL) throw own('is not where the directory says')
    const from = local + LOCAL_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
    if (from + packed > bytes.length) throw own('is cut off')
    // Files that share their bytes, or are larger than Deflate can make them, are there to fill the memory.
    allPacked += packed
    all += size
    if (allPacked > bytes.length || size > MOST_INFLATED * packed + 64) throw own('is damaged: it cannot be as large as it says')
    if (all > MOST) throw refuse('it holds more than 4 GiB')
    const data = bytes.subarray(from, from + packed)
    if (method !== 0 && method !== 8) throw own(`is packed by method ${method}, which is not read here: pack it with Deflate`)
    const whole = method === 0 ? data : await inflate(data, size).catch((error: Error) => {
      throw own(`cannot be unpacked: ${error.message}`)
    })
    if (whole.length !== size || crc32(whole) !== crc) throw own('is damaged: its checksum is another')
    files.set(name, whole)
  }
  return files
}

/** The last record, behind which a comment may stand. */
function endOf(view: DataView): number {
  for (let at = view.byteLength - END_BYTES; at >= Math.max(0, view.byteLength - END_BYTES - 65535); at--)
    if (view.getUint32(at, true) === END) return at
  return -1
}

/** No further than `size` bytes, whatever is in it. */
async function inflate(data: Uint8Array, size: number): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  const reader = stream.getReader()
  const parts: Uint8Array[] = []
  let at = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    parts.push(next.value)
    at += next.value.length
    if (at > size) {
      await reader.cancel()
      throw new Error('it is larger than the archive says')
    }
  }
  const bytes = new Uint8Array(at)
  at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
