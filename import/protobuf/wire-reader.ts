import { PbfReader } from 'pbf'
import type { ByteSource } from '../byte-source.ts'
import { ImportError } from '../import-error.ts'

/** Bytes `from` to `to` of a file, `to` not included. */
export interface ByteRange {
  readonly from: number
  readonly to: number
}

/** The kinds of values on the wire that a field can have; groups (3 and 4) are of protobuf's first days, and no format here has them. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** Bytes that are read from the file at once. */
const WINDOW = 1 << 16

/** The piece of a file that is in memory: readers of nested messages share it. */
interface Window {
  base: number
  end: number
  pbf: PbfReader
}

/**
 * Walks the fields of one message of a protobuf file. `pbf` decodes numbers; this class says where a number may lie: pbf reads on
 * behind the end of a message or a file without a word. Nothing longer than a window is read until it is asked for.
 * https://protobuf.dev/programming-guides/encoding
 */
export class WireReader implements ByteRange {
  readonly source: ByteSource
  readonly from: number
  readonly to: number
  /** The number of the field that `next` found. */
  field = 0
  /** Its kind on the wire: one of WIRE. */
  wire: number = WIRE.varint
  /** Where its key stands in the file. */
  at = 0
  /** Where its value stands; of bytes, behind their length. */
  value: ByteRange
  private readonly window: Window

  constructor(source: ByteSource, range: ByteRange = { from: 0, to: source.size }, window?: Window) {
    this.source = source
    this.from = range.from
    this.to = range.to
    this.value = { from: range.from, to: range.from }
    this.window = window ?? { base: 0, end: 0, pbf: new PbfReader(new Uint8Array(0)) }
  }

  /** Goes to the next field; false at the end of the message. Throws ImportError where its key or its value is not within the message. */
  next(): boolean {
    this.at = this.value.to
    if (this.at >= this.to) return false
    const key = this.varintAt(this.at, 'the key of a field')
    this.field = Math.floor(key.number / 8)
    this.wire = key.number % 8
    if (this.field === 0) this.fail('a field of number 0, which protobuf has not')
    const from = key.to
    if (this.wire === WIRE.varint) {
      this.value = { from, to: this.varintAt(from, `field ${this.field}`).to }
    } else if (this.wire === WIRE.fixed64 || this.wire === WIRE.fixed32) {
      this.value = this.within(from, this.wire === WIRE.fixed64 ? 8 : 4)
    } else if (this.wire === WIRE.bytes) {
      const length = this.varintAt(from, `the length of field ${this.field}`)
      this.value = this.within(length.to, length.number)
    } else {
      this.fail(`field ${this.field} is of kind ${this.wire}, which is none of protobuf's that are in use`)
    }
    return true
  }

  /** A reader of the field's message. */
  message(): WireReader {
    this.expect(WIRE.bytes, 'a message')
    return new WireReader(this.source, this.value, this.window)
  }

  /** An int32, int64, uint32 or enum; beyond 2^53 the nearest number. */
  int(): number {
    this.expect(WIRE.varint, 'a whole number')
    return this.varintAt(this.value.from, 'a number', true).number
  }

  /** An int32, int64 or enum, repeated: one, or packed ones. */
  ints(into: number[]): number[] {
    if (this.wire === WIRE.varint) into.push(this.int())
    else this.eachInt((n) => into.push(n))
    return into
  }

  /** Calls `take` with every whole number of a packed field. */
  eachInt(take: (n: number) => void): void {
    this.expect(WIRE.bytes, 'packed numbers')
    for (let at = this.value.from; at < this.value.to;) at = this.intAt(at, take, this.value.to)
  }

  /** Hands the whole number at byte `at` of the file to `take`; gives the byte behind it. */
  intAt(at: number, take: (n: number) => void, end = this.to): number {
    const one = this.varintAt(at, 'a number', true, end)
    take(one.number)
    return one.to
  }

  float(): number {
    this.expect(WIRE.fixed32, 'a float')
    return this.pbfAt(this.value.from, 4).readFloat()
  }

  double(): number {
    this.expect(WIRE.fixed64, 'a double')
    return this.pbfAt(this.value.from, 8).readDouble()
  }

  /** A float, repeated: one, or packed ones. */
  floats(into: number[]): number[] {
    if (this.wire === WIRE.fixed32) into.push(this.float())
    else for (let at = this.packed(4).from; at < this.value.to; at += 4) into.push(this.pbfAt(at, 4).readFloat())
    return into
  }

  /** A double, repeated: one, or packed ones. */
  doubles(into: number[]): number[] {
    if (this.wire === WIRE.fixed64) into.push(this.double())
    else for (let at = this.packed(8).from; at < this.value.to; at += 8) into.push(this.pbfAt(at, 8).readDouble())
    return into
  }

  /** Where packed numbers of `width` bytes lie. Throws ImportError where the range is no multiple of it. */
  packed(width: 4 | 8): ByteRange {
    this.expect(WIRE.bytes, 'packed numbers')
    const { from, to } = this.value
    if ((to - from) % width !== 0) this.fail(`field ${this.field} has ${to - from} bytes of numbers that take ${width} each`)
    return this.value
  }

  /** UTF-8. Throws ImportError beyond `limit` bytes. */
  text(limit = 1 << 20): string {
    return new TextDecoder().decode(this.bytes(limit))
  }

  /** Where the field's bytes lie; they are not read. */
  bytesRange(): ByteRange {
    this.expect(WIRE.bytes, 'bytes')
    return this.value
  }

  /** The field's bytes; a view. Throws ImportError beyond `limit` bytes. */
  bytes(limit: number): Uint8Array {
    this.expect(WIRE.bytes, 'bytes')
    const { from, to } = this.value
    if (to - from > limit) this.fail(`field ${this.field} has ${to - from} bytes; at most ${limit} make sense here`)
    return this.source.read(from, to)
  }

  /** Throws ImportError with the place of the field. */
  fail(what: string, mend = 'the file is damaged or cut off: fetch or export it again'): never {
    throw new ImportError([{ where: `${this.source.name} at byte ${this.at}`, what, mend }])
  }

  private expect(wire: number, what: string): void {
    if (this.wire !== wire) this.fail(`field ${this.field} should be ${what}, and is of kind ${this.wire} on the wire`)
  }

  private within(from: number, length: number): ByteRange {
    const left = this.to - from
    if (length > left) this.fail(`field ${this.field} wants ${length} bytes, and ${left} are left of ${this.whole()}`)
    return { from, to: from + length }
  }

  private whole(): string {
    return this.to === this.source.size ? 'the file' : 'the message around it'
  }

  /** A varint takes at most 10 bytes, the last of which is below 128. */
  private varintAt(at: number, what: string, signed = false, end = this.to): { readonly number: number; readonly to: number } {
    const pbf = this.pbfAt(at, Math.min(10, end - at))
    let last = at
    while (last < end && last < at + 10 && pbf.buf[last - this.window.base]! > 127) last++
    if (last >= end) this.fail(`${this.whole()} ends within ${what}`)
    if (last === at + 10) this.fail(`${what} has more than ten bytes`)
    return { number: pbf.readVarint(signed), to: last + 1 }
  }

  /** pbf at a place of the file, with at least `length` bytes in front of it. */
  private pbfAt(at: number, length: number): PbfReader {
    const { window } = this
    if (at < window.base || at + length > window.end) {
      window.base = at
      window.end = Math.min(this.source.size, at + Math.max(length, WINDOW))
      window.pbf = new PbfReader(this.source.read(at, window.end))
    }
    window.pbf.pos = at - window.base
    return window.pbf
  }
}
