import { elementCount } from '../../bundle/sizes.ts'
import { type Part, type StoredTensor, type Streamed, streamed } from '../streamed.ts'

/** Tensors of float32 as safetensors: the length of the header, the header, and the numbers. */
export function writeWeights(tensors: readonly StoredTensor[], metadata: Readonly<Record<string, string>>): Streamed {
  let end = 0
  const header = Object.fromEntries([
    ['__metadata__', metadata] as const,
    ...tensors.map(({ name, shape }) => [name, { dtype: 'F32', shape, data_offsets: [end, end += 4 * elementCount(shape)] }] as const),
  ])
  const text = JSON.stringify(header)
  const bytes = new TextEncoder().encode(text + ' '.repeat((8 - (new TextEncoder().encode(text).length % 8)) % 8))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length), true)
  const parts: Part[] = [length, bytes, ...tensors]
  return streamed(parts)
}
