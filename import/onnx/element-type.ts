/** How the numbers of a tensor are stored: TensorProto.DataType of onnx.proto3. */
export interface ElementType {
  readonly name: string
  /** The bits of one number; below 8 they are packed, the first in the low bits. */
  readonly bits: number
  readonly kind: 'float' | 'int' | 'bool'
  /** The number whose lowest `bits` bits are given, which `view` holds at byte `at` where they are whole bytes. */
  readonly decode: (view: DataView, at: number) => number
  /** Whether float32 holds all of its numbers. */
  readonly fitsFloat32: boolean
}

/** A float of `exponent` and `mantissa` bits. `finite`: all ones are no infinity (the f8 types of machine learning). */
function small(
  bits: number,
  exponentBits: number,
  mantissaBits: number,
  bias: number,
  special: 'ieee' | 'fn' | 'fnuz' | 'none',
  code: number,
): number {
  const sign = code >> (bits - 1) ? -1 : 1
  const exponent = (code >> mantissaBits) & ((1 << exponentBits) - 1)
  const mantissa = code & ((1 << mantissaBits) - 1)
  const top = (1 << exponentBits) - 1
  if (special === 'ieee' && exponent === top) return mantissa ? NaN : sign * Infinity
  if (special === 'fn' && exponent === top && mantissa === (1 << mantissaBits) - 1) return NaN
  if (special === 'fnuz' && code === 1 << (bits - 1)) return NaN
  return exponent === 0 ? sign * mantissa * 2 ** (1 - bias - mantissaBits)
    : sign * (1 + mantissa / (1 << mantissaBits)) * 2 ** (exponent - bias)
}

const float = (name: string, bits: number, decode: ElementType['decode'], fitsFloat32 = true): ElementType => ({
  name,
  bits,
  kind: 'float',
  decode,
  fitsFloat32,
})
const int = (name: string, bits: number, decode: ElementType['decode'], kind: 'int' | 'bool' = 'int'): ElementType => ({
  name,
  bits,
  kind,
  decode,
  fitsFloat32: bits < 32,
})

const bfloat = new DataView(new ArrayBuffer(4))

/** Types by their numbers in the file. Strings (8) and complex numbers (14, 15) have no row. */
export const ELEMENT_TYPES: ReadonlyMap<number, ElementType> = new Map([
  [1, float('float32', 32, (view, at) => view.getFloat32(at, true))],
  [2, int('uint8', 8, (view, at) => view.getUint8(at))],
  [3, int('int8', 8, (view, at) => view.getInt8(at))],
  [4, int('uint16', 16, (view, at) => view.getUint16(at, true))],
  [5, int('int16', 16, (view, at) => view.getInt16(at, true))],
  [6, int('int32', 32, (view, at) => view.getInt32(at, true))],
  [7, int('int64', 64, (view, at) => Number(view.getBigInt64(at, true)))],
  [9, int('bool', 8, (view, at) => Number(view.getUint8(at) !== 0), 'bool')],
  [10, float('float16', 16, (view, at) => small(16, 5, 10, 15, 'ieee', view.getUint16(at, true)))],
  [11, float('float64', 64, (view, at) => view.getFloat64(at, true), false)],
  [12, int('uint32', 32, (view, at) => view.getUint32(at, true))],
  [13, int('uint64', 64, (view, at) => Number(view.getBigUint64(at, true)))],
  [
    16,
    float('bfloat16', 16, (view, at) => {
      bfloat.setUint32(0, view.getUint16(at, true) << 16)
      return bfloat.getFloat32(0)
    }),
  ],
  [17, float('float8e4m3fn', 8, (view, at) => small(8, 4, 3, 7, 'fn', view.getUint8(at)))],
  [18, float('float8e4m3fnuz', 8, (view, at) => small(8, 4, 3, 8, 'fnuz', view.getUint8(at)))],
  [19, float('float8e5m2', 8, (view, at) => small(8, 5, 2, 15, 'ieee', view.getUint8(at)))],
  [20, float('float8e5m2fnuz', 8, (view, at) => small(8, 5, 2, 16, 'fnuz', view.getUint8(at)))],
  [21, int('uint4', 4, (view, at) => view.getUint8(at))],
  [22, int('int4', 4, (view, at) => (view.getUint8(at) << 28) >> 28)],
  [23, float('float4e2m1', 4, (view, at) => small(4, 2, 1, 1, 'none', view.getUint8(at)))],
  [24, float('float8e8m0', 8, (view, at) => (view.getUint8(at) === 255 ? NaN : 2 ** (view.getUint8(at) - 127)))],
  [25, int('uint2', 2, (view, at) => view.getUint8(at))],
  [26, int('int2', 2, (view, at) => (view.getUint8(at) << 30) >> 30)],
])

export const FLOAT32 = ELEMENT_TYPES.get(1)!
export const INT64 = ELEMENT_TYPES.get(7)!
export const BOOL = ELEMENT_TYPES.get(9)!

/** The types that ONNX has and a net has no use for. */
export const OTHER_TYPES: ReadonlyMap<number, string> = new Map([[8, 'string'], [14, 'complex64'], [15, 'complex128']])
