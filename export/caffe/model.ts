import type { StoredTensor } from '../streamed.ts'

/** A net of Caffe as far as fusenet writes it. https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto */
export interface CaffeNet {
  readonly name: string
  readonly layers: readonly CaffeLayer[]
}

export interface CaffeLayer {
  readonly name: string
  readonly type: string
  readonly bottoms: readonly string[]
  readonly tops: readonly string[]
  readonly params: CaffeParams
  readonly blobs: readonly CaffeBlob[]
  /** Whether its blobs are numbers of the text, which no training changes. */
  readonly constant: boolean
}

/** float32, asked for when it is written: one at a time is held. */
export type CaffeBlob = StoredTensor

/** Fields of a message: numbers, words of an enum, messages; a list is a field that is repeated. */
export type CaffeParams = { readonly [field: string]: CaffeField }
export type CaffeField = number | boolean | string | CaffeParams | readonly CaffeField[]
