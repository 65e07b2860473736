import { InputError } from '../errors.ts'
import { arrays, type Dataset } from './dataset.ts'

const IMAGE = 3 * 32 * 32
const RECORD = 1 + IMAGE

/** CIFAR-10's binary version: records of a label and 32x32 red, green and blue planes. Pixels become 0..1. */
export function cifar10Dataset(batches: readonly Uint8Array[], what = 'CIFAR-10'): Dataset {
  const count = batches.reduce((sum, bytes, i) => {
    if (bytes.length === 0 || bytes.length % RECORD) throw new InputError(`${what}: file ${i} has ${bytes.length} bytes, records have ${RECORD}`)
    return sum + bytes.length / RECORD
  }, 0)
  const images = new Uint8Array(count * IMAGE)
  const labels = new Uint8Array(count)
  let k = 0
  for (const bytes of batches) {
    for (let at = 0; at < bytes.length; at += RECORD, k++) {
      labels[k] = bytes[at]!
      if (labels[k]! > 9) throw new InputError(`${what}: label ${labels[k]} of image ${k} is not in 0..9`)
      images.set(bytes.subarray(at + 1, at + RECORD), k * IMAGE)
    }
  }
  return arrays({
    image: { shape: [3, 32, 32], type: 'f32', data: images, scale: 1 / 255 },
    label: { shape: [], type: 'i32', classes: 10, data: labels },
  })
}
