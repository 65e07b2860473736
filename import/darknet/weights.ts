import type { ByteSource } from '../byte-source.ts'
import { ImportError } from '../import-error.ts'
import type { ModelTensor } from '../model-net.ts'
import type { Findings } from './options.ts'

/** The head of a `.weights` file: three int32 and how many pictures were seen. */
export interface WeightsHeader {
  readonly major: number
  readonly minor: number
  readonly revision: number
  readonly seen: number
  /** Bytes: 20 from version 0.2 on, where `seen` has 64 bits; 16 before. */
  readonly size: number
  /** Files of old versions keep the weights of `[connected]` as [in, out]. */
  readonly transposed: boolean
}

/** Reads the head; throws ImportError where the file is too short for one. */
export function readHeader(source: ByteSource): WeightsHeader {
  const need = (size: number): DataView => {
    if (source.size < size) {
      throw new ImportError([
        {
          where: source.name,
          what: `${source.size} bytes are too few for the head of a .weights file, ${size} bytes`,
          mend: 'is it the file that Darknet wrote, and all of it?',
        },
      ])
    }
    const bytes = source.read(0, size)
    return new DataView(bytes.buffer, bytes.byteOffset, size)
  }
  const head = need(12)
  const [major, minor, revision] = [0, 4, 8].map((at) => head.getInt32(at, true)) as [number, number, number]
  const long = major * 10 + minor >= 2 && major < 1000 && minor < 1000
  const size = long ? 20 : 16
  const seen = long ? Number(need(size).getBigUint64(12, true)) : need(size).getInt32(12, true)
  return { major, minor, revision, seen, size, transposed: major > 1000 || minor > 1000 }
}

/** How an array lies in the file: as it is asked for, or as a matrix [columns, rows] that is turned while it is read. */
export interface Lies {
  readonly rows: number
  readonly columns: number
}

/**
 * Says where in a `.weights` file each array lies, section by section, without reading it. The file must end where the last section ends:
 * `finish` tells by how many bytes it does not. Without a file all is left to fillers.
 */
export class WeightPlan {
  readonly source: ByteSource | undefined
  readonly header: WeightsHeader | undefined
  /** Where in the file the next array begins; may lie beyond its end until `finish` has been asked. */
  #at: number
  /** Where each section that has weights ends: its name and the byte. */
  readonly #ends: { index: number; section: string; at: number }[] = []

  constructor(source: ByteSource | undefined) {
    this.source = source
    this.header = source && readHeader(source)
    this.#at = this.header?.size ?? 0
  }

  /** The next `count` numbers. Nothing where there is no file. */
  take(shape: readonly number[], lies?: Lies): ModelTensor | undefined {
    const source = this.source
    if (!source) return undefined
    const count = shape.reduce((n, d) => n * d, 1)
    const from = this.#at
    this.#at += count * 4
    return {
      shape,
      values: () => {
        const values = floats(source, from, count)
        return lies ? turn(values, lies) : values
      },
    }
  }

  /** Says that a section has taken all of its arrays. */
  end(index: number, section: string): void {
    if (this.source) this.#ends.push({ index, section, at: this.#at })
  }

  /** Tells a file of another length. Of a net that is cut short the file may go on. */
  finish(findings: Findings, isCut: boolean): void {
    const { source } = this
    if (!source || source.size === this.#at || (isCut && source.size > this.#at)) return
    const short = this.#at - source.size
    const whole = this.#ends.findLast(({ at }) => at === source.size)
    const within = this.#ends.find(({ at }) => at > source.size)
    findings.problems.push({
      where: source.name,
      what: short > 0
        ? `${short} of ${this.#at} bytes are missing: the file ends ${whole ? 'behind' : 'within'} ${(whole ?? within)!.section}`
        : `${-short} bytes are left behind the ${this.#at} that the sections of ${findings.file} read`,
      mend: whole
        ? `the file holds the weights of the sections up to ${whole.index}: cut the net there, --outputs layer${whole.index}`
        : 'the .cfg file must be the one that the weights were trained with',
    })
  }
}

/** `count` float32, little end first. A copy. */
function floats(source: ByteSource, from: number, count: number): Float32Array {
  const bytes = source.read(from, from + count * 4)
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return new Float32Array(new Uint8Array(bytes).buffer)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Float32Array.from({ length: count }, (_, i) => view.getFloat32(i * 4, true))
}

/** A matrix [columns, rows] as [rows, columns]. */
function turn(values: Float32Array, { rows, columns }: Lies): Float32Array {
  const turned = new Float32Array(values.length)
  for (let r = 0; r < rows; r++) { for (let c = 0; c < columns; c++) turned[r * columns + c] = values[c * rows + r]! }
  return turned
}
