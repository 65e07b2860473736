import type { ByteSource } from './byte-source.ts'
import { endingOf } from './foreign-endings.ts'
import { FORMAT_ROWS, type FormatRow } from './formats.ts'
import { ImportError } from './import-error.ts'

/** Bytes that are looked at to know what a file is. */
const LOOKED_AT = 512

/** What lies in a file by its first bytes, whatever its name says: `text` is these bytes as Latin 1. */
const FOREIGN: readonly { readonly begins: RegExp; readonly what: string; readonly mend: string }[] = [
  {
    begins: /^version https:\/\/git-lfs\.github\.com\//,
    what: 'it is a pointer of Git LFS, not the file itself',
    mend: 'fetch the file: git lfs pull, or the download link of its page',
  },
  { begins: /^\s*<(!doctype|html|\?xml)/i, what: 'it is a page of the web, not a model', mend: 'fetch the file by its download link' },
  {
    begins: /^PK\x03\x04/,
    what: 'it is a zip archive: a file of PyTorch or Keras, or a model that is still packed',
    mend: 'unpack it, or export ONNX: torch.onnx.export(model, example, "model.onnx"), python -m tf2onnx.convert',
  },
  {
    // A pickle of protocol 2 or later, as torch.save wrote until 1.5.
    begins: /^\x80[\x02-\x05][\x8a}c(\x95]/,
    what: 'it is a pickle of Python, as PyTorch writes',
    mend: 'export the model: torch.onnx.export(model, example, "model.onnx")',
  },
  {
    begins: /^\x89HDF\r\n\x1a\n/,
    what: 'it is HDF5, as Keras and some versions of Caffe write weights',
    mend: 'of Keras: python -m tf2onnx.convert; of Caffe: net.save("net.caffemodel")',
  },
  {
    begins: /^\s*\{[^]*"(modelTopology|weightsManifest|layers-model|graph-model)"/,
    what: 'it is a model of TensorFlow.js',
    mend: 'convert it to ONNX: python -m tf2onnx.convert --tfjs model.json --output model.onnx',
  },
  { begins: /^.{4}TFL3/s, what: 'it is a model of TensorFlow Lite', mend: 'convert it to ONNX: python -m tf2onnx.convert --tflite' },
  { begins: /^(\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd)/, what: 'it is packed', mend: 'unpack it' },
]

/** Throws ImportError for a file that is empty, or that holds what no reader reads, though its name may say so. */
export function refuseForeign(source: ByteSource): void {
  const refuse = (what: string, mend: string): never => {
    throw new ImportError([{ where: source.name, what, mend }])
  }
  if (source.size === 0) refuse('the file is empty', 'fetch or export it again')
  const text = new TextDecoder('latin1').decode(source.read(0, Math.min(source.size, LOOKED_AT)))
  const found = FOREIGN.find(({ begins }) => begins.test(text))
  if (found) refuse(found.what, found.mend)
}

/** Endings of files that hold weights of other programs, beside those of `FORMATS`. */
const OTHER_WEIGHTS = ['pt', 'pth', 'safetensors']

/** Throws ImportError for a file of weights that does not go with a net of this format. */
export function refuseWeights({ called, weights: wanted }: FormatRow, source: ByteSource, weights: ByteSource): void {
  const refuse = (what: string, mend: string): never => {
    throw new ImportError([{ where: weights.name, what, mend }])
  }
  if (wanted === undefined) refuse(`${source.name} is ${called}, which brings its weights itself`, 'leave the second file out')
  const ending = endingOf(weights.name)
  const foreign = [...FORMAT_ROWS.flatMap(([, row]) => [...row.endings, ...(row.weights ? [row.weights] : [])]), ...OTHER_WEIGHTS]
  if (ending !== wanted && foreign.includes(ending))
    refuse(`it holds no weights of ${called}, of which ${source.name} is`, `the second file is a .${wanted!}, or is left out`)
  refuseForeign(weights)
}
