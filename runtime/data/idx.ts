import { InputError } from '../../bundle/errors.ts'
import { checkBytes } from '../../bundle/options.ts'
import { arrays, type Dataset } from './dataset.ts'
import { strayLabel } from './labels.ts'

/**
 * IDX, the format of MNIST: two zero bytes, a type (8: unsigned bytes), the number of dimensions, each of them as a
 * big-endian uint32, the values.
 */
export function readIdx(bytes: Uint8Array, what = 'IDX file'): { shape: number[]; data: Uint8Array } {
  const refuse = (why: string): never => {
    throw new InputError(`${what}: ${why}`)
  }
  checkBytes('readIdx', bytes)
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0) refuse('does not begin as an IDX file')
  if (bytes[2] !== 8) refuse(`holds values of type 0x${bytes[2]!.toString(16)}; only bytes (0x8) are read`)
  const rank = bytes[3]!
  const start = 4 + 4 * rank
  if (rank < 1 || bytes.length < start) refuse('is truncated')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i))
  const count = shape.reduce((p, d) => p * d, 1)
  if (bytes.length - start !== count) refuse(`[${shape.join(', ')}] takes ${count} bytes, there are ${bytes.length - start}`)
  return { shape, data: bytes.subarray(start) }
}

/** Bytes of a value, by the type in the header (of MNIST's page). */
const VALUE_BYTES: Readonly<Record<number, number>> = { 8: 1, 9: 1, 11: 2, 12: 4, 13: 4, 14: 8 }

/** The length of an IDX file in bytes, read from its first bytes. Undefined where it is not an IDX file. */
export function idxLength(start: Uint8Array): number | undefined {
  const rank = start[3] ?? 0
  const valueBytes = VALUE_BYTES[start[2] ?? 0]
  if (start[0] !== 0 || start[1] !== 0 || valueBytes === undefined || rank < 1 || start.length < 4 + 4 * rank) return undefined
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength)
  return 4 + 4 * rank +
    Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i)).reduce((product, dim) => product * dim, valueBytes)
}

/** A dataset of an IDX file of images [N, H, W] or [N, C, H, W] (pixels become 0..1) and one of labels [N]. */
export function idxDataset(
  images: Uint8Array,
  labels: Uint8Array,
  classes?: number,
  what: string | { readonly images: string; readonly labels: string } = 'IDX',
): Dataset {
  const names = typeof what === 'string' ? { images: `${what} images`, labels: `${what} labels` } : what
  const image = readIdx(images, names.images)
  const label = readIdx(labels, names.labels)
  const [count = 0, ...rest] = image.shape
  if (rest.length !== 2 && rest.length !== 3)
    throw new InputError(`${names.images}: [N, H, W] or [N, C, H, W] is wanted, here is [${image.shape.join(', ')}]`)
  if (label.shape.length !== 1 || label.shape[0] !== count)
    throw new InputError(`${names.labels}: ${count} images, labels [${label.shape.join(', ')}]`)
  const largest = label.data.reduce((a, b) => Math.max(a, b), 0)
  if (classes !== undefined && largest >= classes)
    throw new InputError(`${names.labels}: ${strayLabel(largest, classes, label.data)}`)
  return arrays({
    image: { shape: rest.length === 2 ? [1, ...rest] : rest, type: 'f32', data: image.data, scale: 1 / 255 },
    label: { shape: [], type: 'i32', classes: classes ?? largest + 1, data: label.data },
  })
}
