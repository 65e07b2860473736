import type { ByteSource } from './byte-source.ts'
import type { ModelNet } from './model-net.ts'
import type { ReadOptions } from './read-options.ts'

export type Reader = (source: ByteSource, options: ReadOptions) => ModelNet

export interface FormatRow {
  readonly called: string
  /** The endings of files with a net, without the point. */
  readonly endings: readonly string[]
  /** The ending of a second file, with the weights. Absent: the first file brings them. */
  readonly weights?: string
  /** Whether a file without a telling name begins like one of this format: its first bytes, and the same as Latin 1. */
  readonly begins: (bytes: Uint8Array, text: string) => boolean
  /** Loads the reader when it is asked for: a page that imports ONNX loads nothing of the others. */
  readonly load: () => Promise<Reader>
}

const withoutRemarks = (text: string): string => text.replace(/#.*/g, '').trim()

/** The table of formats. A new format is a folder beside this file, and a row. */
export const FORMATS = {
  onnx: {
    called: 'ONNX',
    endings: ['onnx'],
    // Its IR version, a varint in field 1; then come a producer's name, opsets, the graph.
    begins: (bytes, text) => bytes[0] === 8 && bytes[1]! > 0 && bytes[1]! < 32 && /[\x12\x3a\x42]/.test(text[2] ?? ''),
    load: async () => (await import('./onnx/read.ts')).readOnnx,
  },
  darknet: {
    called: 'Darknet',
    endings: ['cfg'],
    weights: 'weights',
    begins: (_, text) => /^\[(net|network)\]/.test(withoutRemarks(text)),
    load: async () => (await import('./darknet/read.ts')).readDarknet,
  },
  caffe: {
    called: 'Caffe',
    endings: ['prototxt', 'pbtxt'],
    weights: 'caffemodel',
    begins: (_, text) =>
      /^(name|layers?|input|input_dim|net|train_net|force_backward|base_lr|test_iter|lr_policy)\s*[:{]/.test(withoutRemarks(text)),
    load: async () => (await import('./caffe/read.ts')).readCaffe,
  },
} as const satisfies Readonly<Record<string, FormatRow>>

export type Format = keyof typeof FORMATS

/** The rows with their names. */
export const FORMAT_ROWS = Object.entries(FORMATS) as readonly (readonly [Format, FormatRow])[]
