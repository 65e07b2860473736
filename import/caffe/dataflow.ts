import { suggest } from '../../bundle/nearest.ts'
import type { ImportProblem } from '../import-error.ts'
import { type Message } from './message.ts'
import { isIncluded, type NetStates } from './phases.ts'

/** The i-th output of a layer. */
export interface BlobRef {
  readonly layer: CaffeLayer
  readonly top: number
  /** The blob's name: that of several values, where layers work in place. */
  readonly blob: string
}

export interface CaffeLayer {
  readonly name: string
  readonly type: string
  /** `net.prototxt:31 layer conv1 (Convolution)`. */
  readonly where: string
  readonly message: Message
  readonly bottoms: readonly BlobRef[]
  /** Names of blobs. */
  readonly tops: readonly string[]
  /** In which phases the layer is part of the net. */
  readonly train: boolean
  readonly test: boolean
  /** The same layer in the test phase, where it is written once for each. */
  readonly twin?: Message
}

export interface Dataflow {
  readonly layers: readonly CaffeLayer[]
  /** The last value of each blob. */
  readonly last: ReadonlyMap<string, BlobRef>
}

/** Layers that bring data from outside. */
export const DATA_TYPES: ReadonlySet<string> = new Set(['Data', 'ImageData', 'WindowData', 'HDF5Data', 'MemoryData', 'DummyData', 'Input'])

interface Entry {
  readonly message: Message
  readonly train: boolean
  readonly test: boolean
}

/** Which layer reads what, in both phases at once: a net here has no phases, so that both must agree on what a layer reads. */
export function dataflowOf(file: string, net: Message, states: NetStates, problems: ImportProblem[]): Dataflow {
  const entries = net.messages('layer').map((message): Entry => ({
    message,
    train: isIncluded(message, states.train),
    test: states.tests.some((state) => isIncluded(message, state)),
  })).filter(({ train, test }) => train || test)
  const hasTraining = entries.some(({ train, test }) => train && !test)
  const twins = twinsOf(file, entries, problems)
  const layers: CaffeLayer[] = []
  const [train, test] = [new Map<string, BlobRef>(), new Map<string, BlobRef>()]
  for (const entry of entries) {
    if (twins.skipped.has(entry)) continue
    const { message } = entry
    const twin = twins.of.get(entry)
    const place = placeOf(file, message)
    const bottoms: BlobRef[] = []
    for (const name of message.texts('bottom')) {
      const [learning, testing] = [train.get(name), test.get(name) ?? train.get(name)]
      const ref = entry.train ? learning ?? testing : testing
      if (!ref) {
        problems.push({ where: place, what: `it reads ${name}, which no layer before it makes`, mend: unknownBlobMend(name, entries) })
        continue
      }
      if (entry.train && entry.test && hasTraining && learning && testing && learning !== testing) {
        problems.push({
          where: place,
          what: `it reads ${name} of ${learning.layer.name} in TRAIN and of ${testing.layer.name} in TEST; a net here is one for both`,
          mend: 'leave the layers of one phase in the file, e.g. the deploy.prototxt of the model',
        })
      }
      bottoms.push(ref)
    }
    const layer: CaffeLayer = {
      name: message.text('name', ''),
      type: message.text('type', ''),
      where: place,
      message,
      bottoms,
      tops: message.texts('top'),
      train: entry.train,
      test: entry.test || twin !== undefined,
      ...(twin && { twin }),
    }
    layers.push(layer)
    // What does nothing at test time may be missing there.
    const both = layer.train && (layer.test || layer.type === 'Dropout')
    layer.tops.forEach((blob, top) => {
      const ref = { layer, top, blob }
      if (layer.train) train.set(blob, ref)
      if (both || !layer.train) test.set(blob, ref)
    })
  }
  // What nobody reads comes out of the net: of one layer in training, and of another in tests.
  for (const [blob, { layer }] of hasTraining ? train : []) {
    const testing = test.get(blob)
    const makers = [layer, testing?.layer]
    const isRead = layers.some((reader) => !makers.includes(reader) && reader.bottoms.some((ref) => makers.includes(ref.layer)))
    if (!testing || testing.layer === layer || isRead || [layer, testing.layer].some(({ type }) => type.endsWith('Loss'))) continue
    problems.push({
      where: testing.layer.where,
      what: `${blob} comes of ${layer.name} in TRAIN and of ${testing.layer.name} in TEST; a net here is one for both`,
      mend: 'leave the layers of one phase in the file, e.g. the deploy.prototxt of the model',
    })
  }
  return { layers, last: new Map([...test, ...train]) }
}

export const placeOf = (file: string, layer: Message): string =>
  `${file}${layer.line > 0 ? `:${layer.line}` : ''} layer ${layer.text('name', '?')} (${layer.text('type', 'no type')})`

/**
 * Layers that are written twice, once a phase: sources of data with the same tops, and layers of one name. The one of TRAIN stands for both,
 * where nothing but use_global_stats tells them apart.
 */
function twinsOf(file: string, entries: readonly Entry[], problems: ImportProblem[]) {
  const skipped = new Set<Entry>()
  const of = new Map<Entry, Message>()
  const isData = ({ message }: Entry): boolean => message.texts('bottom').length === 0
  const keyOf = (entry: Entry): string =>
    isData(entry) ? `data ${entry.message.texts('top').join('\n')}` : `layer ${entry.message.text('name', '')}`
  const firsts = new Map<string, Entry>()
  for (const entry of entries) if (entry.train && keyOf(entry) !== 'layer ') firsts.set(keyOf(entry), firsts.get(keyOf(entry)) ?? entry)
  for (const entry of entries.filter(({ train, test }) => test && !train)) {
    const first = firsts.get(keyOf(entry))
    if (!first) {
      // Tests of several states have a source each: one is enough.
      if (isData(entry)) firsts.set(keyOf(entry), entry)
      continue
    }
    skipped.add(entry)
    if (!of.has(first)) of.set(first, entry.message)
    if (isData(entry) || first.message.equals(entry.message, ['include', 'exclude', 'use_global_stats', 'loss_weight', 'param'])) continue
    problems.push({
      where: placeOf(file, entry.message),
      what: 'it has the name of a layer of the TRAIN phase and is another layer; a net here is one for both phases',
      mend: 'give it another name, or leave one of them in the file',
    })
  }
  return { skipped, of }
}

function unknownBlobMend(name: string, entries: readonly Entry[]): string {
  const later = entries.find(({ message }) => message.texts('top').includes(name))
  if (later) return `layer ${later.message.text('name', '?')} makes it, in another phase or further down: Caffe wants it above`
  const near = suggest(name, entries.flatMap(({ message }) => message.texts('top')))
  return `${
    near === undefined ? '' : `did you mean ${near}? Else `
  }add an input: layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }`
}

/** The layers that some values need, in their order; a value that works in place needs those before it. */
export function neededFor(refs: readonly BlobRef[], layers: readonly CaffeLayer[]): readonly CaffeLayer[] {
  const needed = new Set<CaffeLayer>(refs.map(({ layer }) => layer))
  for (const layer of layers.toReversed()) if (needed.has(layer)) { for (const { layer: before } of layer.bottoms) needed.add(before) }
  return layers.filter((layer) => needed.has(layer))
}
