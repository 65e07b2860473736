import { elementCount } from '../../bundle/sizes.ts'
import type { ByteSource } from '../byte-source.ts'
import { ImportError } from '../import-error.ts'
import { WireReader } from '../protobuf/wire-reader.ts'
import { ELEMENT_TYPES, type ElementType, OTHER_TYPES } from './element-type.ts'
import type { TensorProto } from './proto.ts'

/** float32 where that holds all numbers of a type, float64 for wide integers and doubles. */
export type Numbers = Float32Array | Float64Array

/** Where the bytes of tensors are: in the model's file, or beside it. */
export interface TensorFiles {
  readonly source: ByteSource
  /** See ReadOptions. */
  readonly beside?: (path: string) => ByteSource
}

/** The type, the number of elements, and how they are read; what is promised is checked, and nothing read yet. Throws ImportError. */
export interface StoredTensor {
  readonly shape: readonly number[]
  readonly type: ElementType
  readonly values: () => Numbers
}

/** Axes of a tensor: those of known models have eight at most. */
export const MOST_AXES = 64

/** Bytes of a file that are decoded at once. */
const PIECE = 1 << 20

export function storedTensor(proto: TensorProto, files: TensorFiles): StoredTensor {
  const refuse = (what: string, mend?: string): never => {
    throw new ImportError([{ where: `${files.source.name} at byte ${proto.at}, tensor ${proto.name || 'without a name'}`, what, mend }])
  }
  const type = ELEMENT_TYPES.get(proto.dataType)
  if (!type) {
    const name = OTHER_TYPES.get(proto.dataType)
    return refuse(
      name ? `it holds ${name}s` : `its type, ${proto.dataType}, is none of ONNX's`,
      'a net of numbers is wanted: cut it off with --outputs',
    )
  }
  if (proto.dims.length > MOST_AXES) return refuse(`it has ${proto.dims.length} axes`)
  const bad = proto.dims.find((dim) => !(dim >= 0 && Number.isSafeInteger(dim)))
  if (bad !== undefined) return refuse(`a dimension of ${bad}`)
  const count = elementCount(proto.dims)
  if (!Number.isSafeInteger(count * type.bits)) return refuse(`${proto.dims.join(' x ')} numbers are beyond all files`)
  const stored = { shape: proto.dims, type }
  const byteCount = Math.ceil(count * type.bits / 8)

  if (proto.external) {
    const { beside } = files
    const location = proto.external.get('location') ?? ''
    if (!beside)
      return refuse(`its numbers are in the file ${location}`, 'give the model as a file in its folder, with that file beside it')
    const number = (key: string): number | undefined => {
      const text = proto.external!.get(key)
      if (text === undefined) return undefined
      return /^\d{1,15}$/.test(text) ? Number(text)
        : refuse(`${key} of its external data is ${JSON.stringify(text)}, not a number of bytes`)
    }
    const offset = number('offset') ?? 0
    const length = number('length')
    if (length !== undefined && length !== byteCount)
      return refuse(`${proto.dims.join(' x ')} of ${type.name} take ${byteCount} bytes, its external data has ${length}`)
    // The file is looked for when the model is read, so that a missing one is told at once.
    const file = beside(location)
    if (offset + byteCount > file.size)
      return refuse(
        `it wants bytes ${offset} to ${offset + byteCount} of ${location}, which has ${file.size}`,
        'the file is cut off, or belongs to another model',
      )
    return { ...stored, values: () => decodeBytes(file, offset, count, type) }
  }
  if (proto.raw) {
    const { from, to } = proto.raw
    if (to - from !== byteCount)
      return refuse(`${proto.dims.join(' x ') || 'one number'} of ${type.name} take ${byteCount} bytes, and it has ${to - from}`)
    return { ...stored, values: () => decodeBytes(files.source, from, count, type) }
  }
  const packedIn = type.bits < 8 ? Math.ceil(count * type.bits / 8) : count
  const most = proto.typed.reduce((sum, entries) => sum + (entries.to - entries.from), 0)
  // An integer takes at least a byte, which bounds what is allocated.
  if (packedIn > most) return refuse(`${proto.dims.join(' x ') || 'one'} numbers are promised, and it has ${most} bytes of them`)
  return { ...stored, values: () => decodeTyped(proto, files.source, count, type, refuse) }
}

const room = (count: number, type: ElementType): Numbers => (type.fitsFloat32 ? new Float32Array(count) : new Float64Array(count))

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** Little-endian numbers of a file, a piece at a time. */
function decodeBytes(source: ByteSource, from: number, count: number, type: ElementType): Numbers {
  const values = room(count, type)
  if (type.bits === 32 && type.kind === 'float' && littleEndian) {
    const into = new Uint8Array(values.buffer)
    for (let at = 0; at < into.length; at += PIECE) into.set(source.read(from + at, Math.min(from + at + PIECE, from + into.length)), at)
    return values
  }
  const perPiece = PIECE * 8 / type.bits
  for (let first = 0; first < count; first += perPiece) {
    const last = Math.min(count, first + perPiece)
    const start = from + first * type.bits / 8
    decodePiece(source.read(start, start + Math.ceil((last - first) * type.bits / 8)), type, values, first, last)
  }
  return values
}

function decodePiece(bytes: Uint8Array, type: ElementType, values: Numbers, first: number, last: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (type.bits >= 8) {
    const step = type.bits / 8
    for (let i = first; i < last; i++) values[i] = type.decode(view, (i - first) * step)
    return
  }
  const one = new DataView(new ArrayBuffer(1))
  const mask = (1 << type.bits) - 1
  for (let i = first; i < last; i++) {
    const bit = (i - first) * type.bits
    one.setUint8(0, (bytes[bit >> 3]! >> (bit & 7)) & mask)
    values[i] = type.decode(one, 0)
  }
}

/** Numbers of `float_data`, `int32_data` and so on. Narrow types lie in int32_data: f16 and bf16 as their bits, 4-bit numbers two a byte. */
function decodeTyped(proto: TensorProto, source: ByteSource, count: number, type: ElementType, refuse: (what: string) => never): Numbers {
  const values = room(count, type)
  const coded = new DataView(new ArrayBuffer(8))
  const perEntry = type.bits < 8 ? 8 / type.bits : 1
  let at = 0
  const takeInt = (n: number): void => {
    if (type.bits < 8) {
      for (let part = 0; part < perEntry && at < count; part++) {
        coded.setUint8(0, (n >> (part * type.bits)) & ((1 << type.bits) - 1))
        values[at++] = type.decode(coded, 0)
      }
      return
    }
    if (at >= count) return refuse(`more numbers than the ${count} of its shape`)
    if (type.kind === 'bool') n = Number(n !== 0)
    else if (type.kind === 'float') {
      coded.setUint32(0, n, true)
      n = type.decode(coded, 0)
    }
    values[at++] = n
  }
  for (const entries of proto.typed) {
    if (entries.field === 'int') {
      const reader = new WireReader(source, entries)
      if (entries.packed) { for (let from = entries.from; from < entries.to;) from = reader.intAt(from, takeInt) }
      else reader.intAt(entries.from, takeInt)
      continue
    }
    const width = entries.field === 'float' ? 4 : 8
    if ((entries.to - entries.from) % width) return refuse(`${entries.to - entries.from} bytes of numbers of ${width} bytes each`)
    const bytes = source.read(entries.from, entries.to)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let from = 0; from < bytes.length; from += width) {
      if (at >= count) return refuse(`more numbers than the ${count} of its shape`)
      values[at++] = width === 4 ? view.getFloat32(from, true) : view.getFloat64(from, true)
    }
  }
  if (at < count) return refuse(`${count} numbers are promised, and ${at} are there`)
  return values
}
