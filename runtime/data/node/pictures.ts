import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, dirname } from 'node:path'
import { sha256Of } from '../../../bundle/digest.ts'
import type { Dataset } from '../dataset.ts'
import { BYTE_SCALE } from '../bytes.ts'
import { decodePicture, type PictureShape } from './sharp.ts'

export interface Picture {
  readonly path: string
  readonly label: number
}

/** Decoded pictures are kept as bytes up to so many; what is beyond is decoded again in each epoch. */
const KEPT_BYTES = 2 * 2 ** 30

/** Memory that all parts of a data set share. */
export const roomForPictures = (): { bytes: number } => ({ bytes: KEPT_BYTES })

/** Pictures that are decoded when they are first read, to bytes that become 0..1. */
export function pictureDataset(
  pictures: readonly Picture[],
  shape: PictureShape,
  classNames: readonly string[],
  room: { bytes: number },
): Dataset {
  const kept: (Uint8Array | undefined)[] = []
  const size = shape[0] * shape[1] * shape[2]
  const load = async (index: number): Promise<Uint8Array> => {
    const found = kept[index] ?? await decodePicture(pictures[index]!.path, shape)
    if (!kept[index] && room.bytes >= size) {
      room.bytes -= size
      kept[index] = found
    }
    return found
  }
  return {
    length: pictures.length,
    fields: { image: { shape, type: 'f32' }, label: { shape: [], type: 'i32', classes: classNames.length, classNames } },
    async read(indices, { image, label }) {
      if (label) { for (let k = 0; k < indices.length; k++) label[k] = pictures[indices[k]!]!.label }
      if (!image) return
      let next = 0
      const worker = async (): Promise<void> => {
        for (let k = next++; k < indices.length; k = next++) {
          const bytes = await load(indices[k]!)
          for (let i = 0; i < size; i++) image[k * size + i] = bytes[i]! * BYTE_SCALE
        }
      }
      await Promise.all(Array.from({ length: Math.min(indices.length, Math.max(2, availableParallelism())) }, worker))
    },
    // By their own names and their folders': where all of it lies does not matter.
    async mark() {
      const sizes: number[] = []
      for (let from = 0; from < pictures.length; from += 256) {
        sizes.push(...await Promise.all(pictures.slice(from, from + 256).map(({ path }) => stat(path).then(({ size }) => size, () => -1))))
      }
      const lines = pictures.map(({ path, label }, i) => `${basename(dirname(path))}/${basename(path)} ${sizes[i]} ${label}`)
      return sha256Of(new TextEncoder().encode([...lines, shape.join()].join('\n')))
    },
  }
}
