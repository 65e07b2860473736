import { InputError } from '../bundle/errors.ts'
import { call, checkOptions, list, type Rule } from '../bundle/options.ts'
import { say } from '../bundle/plain.ts'
import type { ByteSource } from './byte-source.ts'
import { refuseForeign, refuseWeights } from './foreign-file.ts'
import { ImportError } from './import-error.ts'
import type { ModelNet } from './model-net.ts'
import type { ReadOptions } from './read-options.ts'

export type Format = 'onnx' | 'caffe' | 'darknet'

/** Readers are loaded when they are asked for: a page that imports ONNX loads nothing of the others. */
const READERS: Readonly<Record<Format, () => Promise<(source: ByteSource, options: ReadOptions) => ModelNet>>> = {
  onnx: async () => (await import('./onnx/read.ts')).readOnnx,
  caffe: async () => (await import('./caffe/read.ts')).readCaffe,
  darknet: async () => (await import('./darknet/read.ts')).readDarknet,
}

const isSource = (given: unknown): given is ByteSource =>
  typeof (given as Partial<ByteSource> | null | undefined)?.read === 'function' && typeof (given as ByteSource).name === 'string'

function checkSource(of: string, given: unknown): void {
  if (!isSource(given)) throw new InputError(`${of} takes a ByteSource, bytesSource('net.onnx', bytes), not ${say(given)}`)
}

const RULES: Readonly<Record<keyof ReadOptions, Rule>> = {
  shapes: [(given) => given instanceof Map, 'a Map of shapes, [3, 224, 224], by names of inputs'],
  outputs: list,
  weights: [isSource, "a ByteSource, bytesSource('net.caffemodel', bytes),"],
  beside: call,
  progress: call,
}

/**
 * A model that a reader of its format understood, ready for `writeNet`. Throws ImportError with all problems at once, InputError for what is no
 * ByteSource and for options that mean nothing.
 */
export async function importModel(source: ByteSource, options: ReadOptions = {}): Promise<ModelNet> {
  checkSource('importModel', source)
  checkOptions('importModel', options, RULES)
  const format = formatOf(source)
  refuseForeign(source)
  const { weights, beside } = options
  if (weights) refuseWeights(format, source, weights)
  const read = await READERS[format]()
  return read(source, { ...options, ...(beside && { beside: known(beside) }) })
}

/** Files beside the model, looked at when they are opened. */
const known = (beside: (path: string) => ByteSource) => (path: string): ByteSource => {
  const found = beside(path)
  if (found.size > 0) refuseForeign(found)
  return found
}

/** Bytes that are looked at to know a file without a telling name. */
const LOOKED_AT = 4096

/** The format of a model's first file, by its name or else by what is in it. Throws ImportError for what is none, InputError for what is no ByteSource. */
export function formatOf(source: ByteSource): Format {
  checkSource('formatOf', source)
  const [, end = ''] = /\.([A-Za-z0-9]+)$/.exec(source.name) ?? []
  switch (end.toLowerCase()) {
    case 'onnx':
      return 'onnx'
    case 'prototxt':
    case 'pbtxt':
    case 'pt':
      if (end.toLowerCase() !== 'pt') return 'caffe'
      throw refused(
        source,
        'a file of PyTorch holds code and weights, not a net',
        'export it: torch.onnx.export(model, example, "model.onnx")',
      )
    case 'cfg':
      return 'darknet'
    case 'caffemodel':
      throw refused(
        source,
        'a .caffemodel holds weights; the net is in a .prototxt',
        `fusenet import deploy.prototxt ${source.name} -o DIR`,
      )
    case 'weights':
      throw refused(source, 'a .weights file holds weights; the net is in a .cfg', `fusenet import net.cfg ${source.name} -o DIR`)
    case 'pth':
      throw refused(source, 'a file of PyTorch holds weights, not a net', 'export it: torch.onnx.export(model, example, "model.onnx")')
    case 'pb':
    case 'h5':
    case 'keras':
    case 'tflite':
      throw refused(source, `models of TensorFlow (.${end}) are not read`, 'convert it to ONNX: python -m tf2onnx.convert')
    case 'safetensors':
      throw refused(source, 'a .safetensors file holds weights, and no net', 'weights go to a .net file with --weights')
    case 'net':
      throw refused(source, 'a .net file is a program already', `fusenet compile ${source.name} -o DIR`)
    default:
  }
  refuseForeign(source)
  const found = byContents(source.read(0, Math.min(source.size, LOOKED_AT)))
  if (found) return found
  throw refused(source, 'this is no model that is read here', '.onnx; .prototxt (and .caffemodel) of Caffe; .cfg (and .weights) of Darknet')
}

const refused = ({ name }: ByteSource, what: string, mend: string): ImportError => new ImportError([{ where: name, what, mend }])

function byContents(bytes: Uint8Array): Format | undefined {
  const text = new TextDecoder('latin1').decode(bytes)
  // An ONNX file begins with its IR version, a varint in field 1; then come a producer's name, opsets, the graph.
  if (bytes[0] === 8 && bytes[1]! > 0 && bytes[1]! < 32 && /[\x12\x3a\x42]/.test(text[2] ?? '')) return 'onnx'
  const lines = text.replace(/#.*/g, '').trim()
  if (/^\[(net|network)\]/.test(lines)) return 'darknet'
  return /^(name|layers?|input|input_dim|net|train_net|force_backward|base_lr|test_iter|lr_policy)\s*[:{]/.test(lines) ? 'caffe' : undefined
}
