import { elementCount } from '../bundle/sizes.ts'

/** Numbers with a shape, row-major. */
export interface StoredTensor {
  readonly name: string
  readonly type: 'f32' | 'i64' | 'bool'
  readonly shape: readonly number[]
  /** Asked for when it is written: one tensor at a time is held. */
  readonly values: () => Float32Array | readonly number[]
}

const BYTES: Readonly<Record<StoredTensor['type'], number>> = { f32: 4, i64: 8, bool: 1 }

/** A file, piece by piece: each tensor is asked for as it is written. */
export interface Streamed {
  readonly bytes: number
  /** Pieces in their order, never of shared memory: a `Blob` takes them. */
  parts(progress?: (done: number) => void): Generator<Uint8Array<ArrayBuffer>>
}

/** Bytes that are known, or a tensor whose bytes are made when they are written. */
export type Part = Uint8Array<ArrayBuffer> | StoredTensor

/** Parts as a file. */
export function streamed(parts: readonly Part[]): Streamed {
  const bytes = sizeOf(parts)
  return {
    bytes,
    *parts(progress) {
      let done = 0
      for (const part of parts) {
        const made = part instanceof Uint8Array ? part : rawBytes(part)
        yield made
        done += made.length
        progress?.(done / bytes)
      }
    },
  }
}

/** Bytes of parts. */
export const sizeOf = (parts: readonly Part[]): number =>
  parts.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : bytesOf(part)), 0)

/** Bytes of a tensor's numbers. */
export const bytesOf = ({ shape, type }: StoredTensor): number => elementCount(shape) * BYTES[type]

/** Numbers as both formats have them: little-endian. */
export function rawBytes(tensor: StoredTensor): Uint8Array<ArrayBuffer> {
  const values = tensor.values()
  const bytes = new Uint8Array(bytesOf(tensor))
  if (values.length * BYTES[tensor.type] !== bytes.length)
    throw new RangeError(`${tensor.name} has ${values.length} values for [${tensor.shape.join(', ')}]`)
  const view = new DataView(bytes.buffer)
  if (tensor.type === 'i64') values.forEach((value, i) => view.setBigInt64(8 * i, BigInt(value), true))
  else if (tensor.type === 'bool') bytes.set(values)
  else if (IS_LITTLE && values instanceof Float32Array) {
    const { buffer, byteOffset, byteLength } = values
    if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer, byteOffset, byteLength)
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength))
  } else values.forEach((value, i) => view.setFloat32(4 * i, value, true))
  return bytes
}

const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
