import { InputError } from '../bundle/errors.ts'
import { checkBytes } from '../bundle/options.ts'
import { say } from '../bundle/plain.ts'

/** A file to read from, piece by piece: a model of gigabytes is never in memory as a whole. */
export interface ByteSource {
  /** The name for messages, without folders. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Bytes `from` to `to`, `to` not included; throws RangeError where they are not within the file. May be a view: do not change it. */
  readonly read: (from: number, to: number) => Uint8Array
}

/** The bytes of a file that is in memory. Throws InputError for what is no name and for what is no bytes. */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  if (typeof name !== 'string') throw new InputError(`bytesSource takes the name of a file first, which tells its format, not ${say(name)}`)
  checkBytes('bytesSource', bytes)
  return {
    name,
    size: bytes.length,
    read: (from, to) => {
      if (!(from >= 0 && from <= to && to <= bytes.length)) throw new RangeError(`${name}: bytes ${from} to ${to} of ${bytes.length}`)
      return bytes.subarray(from, to)
    },
  }
}
