import type { ByteSource } from '../byte-source.ts'
import { ImportError, type ImportProblem } from '../import-error.ts'
import type { ReadOptions } from '../read-options.ts'
import { fileBeside } from './beside.ts'
import { type Message, typedMessage } from './message.ts'
import { parseTextFormat } from './text-format.ts'
import { type FileLayer, readCaffemodel } from './weights.ts'

/** Definitions are texts of some hundred kilobytes; what is larger holds weights. */
const LARGEST = 64 << 20

/** Fields of forks that change nothing of what is computed. */
const HARMLESS: ReadonlySet<string> = new Set(['mpi_rank', 'mirror_stage', 'quantize', 'debug_info'])

export interface Definition {
  /** The name of the file that has the net. */
  readonly file: string
  readonly net: Message
  readonly solver?: Message
}

/** What a prototxt holds: a net, or a solver and the net that it names. */
export function definitionOf(source: ByteSource, options: ReadOptions, problems: ImportProblem[]): Definition {
  const text = parsed(source)
  const isNet = text.fields.some(({ name }) => name === 'layer' || name === 'layers' || name === 'input')
  if (isNet) return { file: source.name, net: typed(source.name, 'NetParameter', text, problems) }
  const solver = typed(source.name, 'SolverParameter', text, problems)
  if (!['net', 'train_net', 'net_param', 'train_net_param'].some((name) => solver.has(name))) {
    throw new ImportError([...problems, {
      where: source.name,
      what: solver.has('base_lr') || solver.has('lr_policy') ? 'the solver names no net' : 'it has no layers',
      mend: 'a net has `layer { ... }`, a solver `net: "train_val.prototxt"`',
    }])
  }
  const within = solver.message('net_param') ?? solver.message('train_net_param')
  if (within) return { file: source.name, net: within, solver }
  const path = solver.text('net') ?? solver.text('train_net')!
  const found = fileBeside(options, path)
  if (!found) {
    throw new ImportError([...problems, {
      where: `${source.name}:${solver.line}`,
      what: `its net, ${path}, is not beside it`,
      mend: "put the net's prototxt into the folder of the solver",
    }])
  }
  const net = parsed(found)
  return { file: found.name, net: typed(found.name, 'NetParameter', net, problems), solver }
}

function parsed(source: ByteSource) {
  if (source.size > LARGEST) {
    throw new ImportError([{
      where: source.name,
      what: `it has ${source.size} bytes; a prototxt is a text`,
      mend: 'the .prototxt comes first, the .caffemodel second',
    }])
  }
  const bytes = source.read(0, source.size)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ImportError([{ where: source.name, what: 'it is no text', mend: 'the .prototxt comes first, the .caffemodel second' }])
  }
  return parseTextFormat(source.name, text)
}

/** Tells fields of the net or the solver that nobody knows; those of layers are told with their layers. */
function typed(file: string, of: string, text: ReturnType<typeof parseTextFormat>, problems: ImportProblem[]): Message {
  const message = typedMessage(file, of, text, problems)
  tellStrangers(file, '', message.unknown, problems)
  return message
}

/** Tells fields that the schema does not know. */
export function tellStrangers(file: string, layer: string, unknown: Message['unknown'], problems: ImportProblem[]): void {
  for (const { name, line } of unknown) {
    if (HARMLESS.has(name)) continue
    problems.push({
      where: `${file}:${line}${layer}`,
      what: `Caffe has no field ${name} here`,
      mend: "it may be another Caffe's: take it out if it changes nothing of what the net computes",
    })
  }
}

/** The layers of the weights by name; undefined without weights. */
export function weightsOf({ weights, progress }: ReadOptions, problems: ImportProblem[]): ReadonlyMap<string, FileLayer> | undefined {
  if (!weights) return undefined
  const head = weights.read(0, Math.min(4, weights.size))
  if (head[0] === 0x89 && head[1] === 0x48 && head[2] === 0x44 && head[3] === 0x46) {
    problems.push({
      where: weights.name,
      what: 'it is an HDF5 file (.caffemodel.h5)',
      mend: 'save the net anew with snapshot_format: BINARYPROTO',
    })
    return undefined
  }
  const layers = new Map<string, FileLayer>()
  for (const layer of readCaffemodel(weights, progress)) {
    if (layers.has(layer.name)) problems.push({ where: weights.name, what: `two of its layers are called ${layer.name}` })
    layers.set(layer.name, layer)
  }
  return layers
}
