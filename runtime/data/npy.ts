import { InputError } from '../errors.ts'
import type { TensorData } from '../format.ts'

const TYPES = {
  '<f4': { type: 'f32', array: Float32Array }, '<i4': { type: 'i32', array: Int32Array }, '<f8': { type: 'f64', array: Float64Array },
  '<i8': { type: 'i64', array: BigInt64Array }, '|u1': { type: 'u8', array: Uint8Array },
} as const

/**
 * NumPy's .npy, versions 1 to 3: magic, version, length of a header, the header (a Python dictionary of `descr`,
 * `fortran_order`, `shape`), the values.
 */
export function readNpy(bytes: Uint8Array, what = '.npy'): TensorData {
  const refuse = (why: string): never => { throw new InputError(`${what}: ${why}`) }
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(1, 6)) !== 'NUMPY' || bytes[0] !== 0x93) refuse('does not begin as a .npy file')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [start, length] = bytes[6] === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)]
  if (start + length > bytes.length) refuse('is truncated')
  const header = new TextDecoder().decode(bytes.subarray(start, start + length))
  const descr = /'descr'\s*:\s*'([^']+)'/.exec(header)?.[1] ?? ''
  const shapeText = /'shape'\s*:\s*\(([\d,\sL]*)\)/.exec(header)?.[1]
  if (shapeText === undefined) return refuse('its header has no shape')
  if (!/'fortran_order'\s*:\s*False/.test(header)) refuse('is in Fortran order: save it with numpy.ascontiguousarray')
  const known = Object.hasOwn(TYPES, descr) ? TYPES[descr as keyof typeof TYPES] : refuse(`values of type ${descr} are not read here (${Object.keys(TYPES).join(', ')})`)
  const shape = (shapeText.match(/\d+/g) ?? []).map(Number)
  const wanted = shape.reduce((p, d) => p * d, known.array.BYTES_PER_ELEMENT)
  const data = bytes.slice(start + length)
  if (data.length !== wanted) refuse(`[${shape.join(', ')}] takes ${wanted} bytes, there are ${data.length}`)
  return { shape, type: known.type, data: new known.array(data.buffer) }
}

export function writeNpy({ shape, type, data }: TensorData): Uint8Array {
  const descr = Object.entries(TYPES).find(([, t]) => t.type === type)![0]
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const fields = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`
  // Values begin at a multiple of 64 bytes, and the header ends with a newline.
  const header = `${fields.padEnd(Math.ceil((fields.length + 11) / 64) * 64 - 11)}\n`
  const bytes = new Uint8Array(10 + header.length + data.byteLength)
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, header.length & 255, header.length >> 8])
  bytes.set(new TextEncoder().encode(header), 10)
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + header.length)
  return bytes
}
