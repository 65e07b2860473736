import { key, message } from '../message.ts'
import { bytesOf, type Part, sizeOf, type Streamed, streamed } from '../streamed.ts'
import type { CaffeBlob, CaffeLayer, CaffeNet } from './model.ts'

/*
 * A `.caffemodel`: NetParameter with the layers that have blobs, which Caffe finds by their names. Field numbers: caffe.proto of BVLC/caffe 1.0.
 */
const NET = { name: 1, layer: 100 } as const
const LAYER = { name: 1, type: 2, bottom: 3, top: 4, blobs: 7 } as const
const BLOB = { data: 5, shape: 7 } as const

/** The weights of a net, to be written piece by piece. */
export function writeCaffemodel({ name, layers }: CaffeNet): Streamed {
  const withBlobs = layers.filter(({ blobs }) => blobs.length > 0)
  return streamed([
    message((w) => w.writeStringField(NET.name, name)),
    ...withBlobs.flatMap((layer) => field(NET.layer, layerParts(layer))),
  ])
}

const field = (number: number, parts: readonly Part[]): Part[] => [key(number, sizeOf(parts)), ...parts]

function layerParts({ name, type, bottoms, tops, blobs }: CaffeLayer): Part[] {
  const head = message((w) => {
    w.writeStringField(LAYER.name, name)
    w.writeStringField(LAYER.type, type)
    for (const bottom of bottoms) w.writeStringField(LAYER.bottom, bottom)
    for (const top of tops) w.writeStringField(LAYER.top, top)
  })
  return [head, ...blobs.flatMap((blob) => field(LAYER.blobs, blobParts(blob)))]
}

const blobParts = (blob: CaffeBlob): Part[] => [
  message((w) => w.writeBytesField(BLOB.shape, message((shape) => shape.writePackedVarint(1, [...blob.shape])))),
  key(BLOB.data, bytesOf(blob)),
  blob,
]
