/* How bytes are joined and numbers are written (LEB128) in the binary format of WebAssembly. */
export type Bytes = ArrayLike<number>

/** One after the other. */
export function joined(parts: readonly Bytes[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** The most bytes that are copied one by one: to have an engine do it takes longer. */
const FEW = 16

/** Bytes that are being written: they grow in place. `place`: for so many, to begin with. */
export class ByteWriter {
  private buffer: Uint8Array
  length = 0

  constructor(place = 1024) {
    this.buffer = new Uint8Array(place)
  }

  /** What was written so far, until more is. */
  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length)
  }

  /** Has place for so many more. */
  private reserve(more: number): void {
    if (this.length + more <= this.buffer.length) return
    const grown = new Uint8Array(Math.max(2 * this.buffer.length, this.length + more))
    grown.set(this.bytes)
    this.buffer = grown
  }

  push(byte: number): void {
    if (this.length === this.buffer.length) this.reserve(1)
    this.buffer[this.length++] = byte
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    if (bytes.length > FEW) this.buffer.set(bytes, this.length)
    else { for (let i = 0; i < bytes.length; i++) this.buffer[this.length + i] = bytes[i]! }
    this.length += bytes.length
  }

  /** LEB128. */
  unsigned(value: number): void {
    let rest = value >>> 0
    while (rest >= 0x80) {
      this.push(rest & 0x7f | 0x80)
      rest >>>= 7
    }
    this.push(rest)
  }

  /** LEB128. */
  signed(value: number): void {
    let rest = value
    for (;;) {
      const byte = rest & 0x7f
      rest >>= 7
      if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) return this.push(byte)
      this.push(byte | 0x80)
    }
  }
}

/** A name in UTF-8, behind its length. */
export const name = (text: string): Uint8Array => vector([...new TextEncoder().encode(text)].map((byte) => [byte]))

/** Items, behind their count. */
export const vector = (items: readonly Bytes[]): Uint8Array => joined([leb(items.length), ...items])

/** Bytes of a number in LEB128, at most. */
const MOST_OF_NUMBER = 5

export function signedLeb(value: number): Uint8Array {
  const out = new ByteWriter(MOST_OF_NUMBER)
  out.signed(value)
  return out.bytes
}

export function leb(value: number): Uint8Array {
  const out = new ByteWriter(MOST_OF_NUMBER)
  out.unsigned(value)
  return out.bytes
}
