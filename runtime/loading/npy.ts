import type { TensorData } from '../../bundle/format.ts'
import { InputError } from '../../bundle/errors.ts'
import { plain } from '../../bundle/plain.ts'

/** NumPy's file format, versions 1 to 3 (numpy.lib.format): magic, version, length, a Python dict, raw numbers. */
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

type Read = (view: DataView, at: number, little: boolean) => number
const TYPES: Readonly<Record<string, { readonly bytes: number; readonly read: Read; readonly integer: boolean }>> = {
  f2: { bytes: 2, read: (v, at, little) => half(v.getUint16(at, little)), integer: false },
  f4: { bytes: 4, read: (v, at, little) => v.getFloat32(at, little), integer: false },
  f8: { bytes: 8, read: (v, at, little) => v.getFloat64(at, little), integer: false },
  i1: { bytes: 1, read: (v, at) => v.getInt8(at), integer: true },
  i2: { bytes: 2, read: (v, at, little) => v.getInt16(at, little), integer: true },
  i4: { bytes: 4, read: (v, at, little) => v.getInt32(at, little), integer: true },
  i8: { bytes: 8, read: (v, at, little) => Number(v.getBigInt64(at, little)), integer: true },
  u1: { bytes: 1, read: (v, at) => v.getUint8(at), integer: true },
  u2: { bytes: 2, read: (v, at, little) => v.getUint16(at, little), integer: true },
  u4: { bytes: 4, read: (v, at, little) => v.getUint32(at, little), integer: true },
  u8: { bytes: 8, read: (v, at, little) => Number(v.getBigUint64(at, little)), integer: true },
  b1: { bytes: 1, read: (v, at) => v.getUint8(at), integer: true },
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15))
}

/** Integers come as i32, float32 as f32, anything else as f64; Fortran order is turned into rows. */
export function parseNpy(bytes: Uint8Array, file: string): TensorData {
  const wrong = (why: string): InputError => new InputError(`${file} is not a usable .npy file: ${why}`)
  if (bytes.length < 10 || MAGIC.some((byte, i) => bytes[i] !== byte)) throw wrong('it does not start as one')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const long = bytes[6]! >= 2
  if (long && bytes.length < 12) throw wrong('its header is cut off')
  const headerStart = long ? 12 : 10
  const dataStart = headerStart + (long ? view.getUint32(8, true) : view.getUint16(8, true))
  if (dataStart > bytes.length) throw wrong('its header is cut off')
  const header = new TextDecoder('latin1').decode(bytes.subarray(headerStart, dataStart))
  const descr = /'descr'\s*:\s*'([<>|=]?)([a-z]\d+)'/.exec(header)
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)
  const dims = /'shape'\s*:\s*\(([\d,\sL]*)\)/.exec(header)
  if (!descr || !order || !dims) throw wrong(`its header is not understood: ${plain(header.trim(), 80)}`)
  const type = TYPES[descr[2]!]
  if (!type) throw wrong(`numbers of type ${descr[2]} are not supported (${Object.keys(TYPES).join(', ')} are)`)
  const shape = dims[1]!.split(',').map((d) => d.trim().replace('L', '')).filter((d) => d !== '').map(Number)
  if (!shape.every(Number.isSafeInteger)) throw wrong(`its shape is (${plain(dims[1]!, 60)})`)
  const count = shape.reduce((product, dim) => product * dim, 1)
  if (dataStart + count * type.bytes > bytes.length) throw wrong(`it should hold ${count} numbers and is cut off`)
  if (dataStart + count * type.bytes < bytes.length)
    throw wrong(`${bytes.length - dataStart - count * type.bytes} bytes behind its ${count} numbers belong to nothing`)

  const little = descr[1] !== '>'
  const data = type.integer ? new Int32Array(count) : descr[2] === 'f8' ? new Float64Array(count) : new Float32Array(count)
  const at = order[1] === 'True' ? columnMajor(shape) : (i: number) => i
  for (let i = 0; i < count; i++) {
    const value = type.read(view, dataStart + at(i) * type.bytes, little)
    if (type.integer && value !== (value | 0)) throw wrong(`${value} does not fit into 32 bits`)
    data[i] = value
  }
  return { shape, type: type.integer ? 'i32' : descr[2] === 'f8' ? 'f64' : 'f32', data }
}

/** The position in column order of the i-th element in row order. */
function columnMajor(shape: readonly number[]): (i: number) => number {
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, dim) => product * dim, 1))
  return (i) => {
    let place = 0
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += (i % shape[axis]!) * strides[axis]!
      i = Math.floor(i / shape[axis]!)
    }
    return place
  }
}

export function encodeNpy(tensor: TensorData): Uint8Array {
  const descr = { f32: '<f4', f64: '<f8', i32: '<i4', i64: '<i8', u8: '|u1' }[tensor.type]
  const shape = tensor.shape.length === 1 ? `(${tensor.shape[0]},)` : `(${tensor.shape.join(', ')})`
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`
  // The numbers start at a multiple of 64.
  const padding = (64 - ((10 + text.length + 1) % 64)) % 64
  const header = `${text}${' '.repeat(padding)}\n`
  const body = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength)
  const result = new Uint8Array(10 + header.length + body.length)
  result.set([...MAGIC, 1, 0, header.length & 255, header.length >> 8])
  result.set(new TextEncoder().encode(header), 10)
  result.set(body, 10 + header.length)
  return result
}
