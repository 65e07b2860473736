import { InputError } from '../../bundle/errors.ts'
import { checkBytes } from '../../bundle/options.ts'
import { say } from '../../bundle/plain.ts'
import { arrays, type Dataset } from './dataset.ts'

const IMAGE = 3 * 32 * 32
const RECORD = 1 + IMAGE

/** CIFAR-10's binary version: records of a label and 32x32 red, green and blue planes. Pixels become 0..1. `what`: for errors, or the files' names. */
export function cifar10Dataset(
  batches: readonly Uint8Array[],
  what: string | readonly string[] = 'CIFAR-10',
  classNames?: readonly string[],
): Dataset {
  if (!Array.isArray(batches)) throw new InputError(`cifar10Dataset takes a list of files, not ${say(batches)}`)
  for (const bytes of batches) checkBytes('cifar10Dataset', bytes)
  const nameOf = (i: number): string => (typeof what === 'string' ? `${what}: file ${i}` : what[i] ?? `file ${i}`)
  const classes = classNames?.length ?? 10
  const count = batches.reduce((sum, bytes, i) => {
    if (bytes.length === 0 || bytes.length % RECORD)
      throw new InputError(
        `${nameOf(i)} has ${bytes.length} bytes, records have ${RECORD}: it is cut off, or not of CIFAR-10's binary version`,
      )
    return sum + bytes.length / RECORD
  }, 0)
  const images = new Uint8Array(count * IMAGE)
  const labels = new Uint8Array(count)
  let k = 0
  for (const [i, bytes] of batches.entries()) {
    for (let at = 0; at < bytes.length; at += RECORD, k++) {
      labels[k] = bytes[at]!
      if (labels[k]! >= classes)
        throw new InputError(`${nameOf(i)}: label ${labels[k]} of image ${at / RECORD} is not in 0..${classes - 1}`)
      images.set(bytes.subarray(at + 1, at + RECORD), k * IMAGE)
    }
  }
  return arrays({
    image: { shape: [3, 32, 32], type: 'f32', data: images, scale: 1 / 255 },
    label: { shape: [], type: 'i32', classes, ...(classNames && { classNames }), data: labels },
  })
}
