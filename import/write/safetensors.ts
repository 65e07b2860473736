import { InputError } from '../../bundle/errors.ts'
import { call } from '../../bundle/options.ts'
import { say } from '../../bundle/plain.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { ImportError } from '../import-error.ts'
import { checkTensors } from './check-handed-in.ts'
import type { NamedTensor } from './write-net.ts'

/** Bytes of the header that readers of the format take; the real one is far smaller. */
const MOST_HEADER = 100_000_000

/**
 * A safetensors file of float32 values, piece by piece: the header, then one tensor after the other, each held only while it is written.
 * Throws ImportError where a tensor has not as many values as its shape says, InputError at once for what is no list of tensors.
 */
export function safetensorsParts(tensors: readonly NamedTensor[], progress?: (done: number) => void): Generator<Uint8Array> {
  checkTensors('safetensorsParts', tensors)
  const [isCall, wanted] = call
  if (progress !== undefined && !isCall(progress)) throw new InputError(`safetensorsParts: progress ${say(progress)}: ${wanted} is wanted`)
  return parts(tensors, progress)
}

function* parts(tensors: readonly NamedTensor[], progress?: (done: number) => void): Generator<Uint8Array> {
  const header: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  let end = 0
  for (const { name, tensor } of tensors)
    header[name] = { dtype: 'F32', shape: tensor.shape, data_offsets: [end, end += 4 * elementCount(tensor.shape)] }
  const text = JSON.stringify(header)
  const bytes = new TextEncoder().encode(text)
  // Values begin at a multiple of 8.
  const padded = new Uint8Array(8 + Math.ceil(bytes.length / 8) * 8).fill(0x20)
  if (padded.length > MOST_HEADER)
    throw new ImportError([{ where: 'weights', what: `a list of ${tensors.length} tensors is more than the format takes` }])
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true)
  padded.set(bytes, 8)
  yield padded
  let done = 0
  for (const { name, tensor } of tensors) {
    const values = tensor.values()
    if (values.length !== elementCount(tensor.shape))
      throw new ImportError([{ where: name, what: `the model has ${values.length} values for [${tensor.shape.join(', ')}]` }])
    yield littleEndian(values)
    done += values.byteLength
    progress?.(end === 0 ? 1 : done / end)
  }
}

/** The number of bytes after the header. Throws InputError for what is no list of tensors. */
export function tensorBytes(tensors: readonly NamedTensor[]): number {
  checkTensors('tensorBytes', tensors)
  return tensors.reduce((sum, { tensor }) => sum + 4 * elementCount(tensor.shape), 0)
}

const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

function littleEndian(values: Float32Array): Uint8Array {
  if (IS_LITTLE) return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const view = new DataView(new ArrayBuffer(values.byteLength))
  values.forEach((value, i) => view.setFloat32(4 * i, value, true))
  return new Uint8Array(view.buffer)
}
