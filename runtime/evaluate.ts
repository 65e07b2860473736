import { BatchReader } from './batches.ts'
import { checkDataset, type Dataset } from './data/dataset.ts'
import type { Numbers } from './device.ts'
import { InputError } from './errors.ts'
import type { Net } from './net.ts'
import { call, checkOptions, flag, oneOf } from './options.ts'
import { oneValueLayers } from './one-value.ts'

export interface EvaluateOptions {
  /** `batch`: normalize each batch with its own statistics, whatever was stored. Default `global`. */
  readonly stats?: 'global' | 'batch'
  /** `false`: pictures stay as they are. Default true: those that the file's `augment` crops are cropped, to their middle; nothing is left to chance. */
  readonly augment?: boolean
  /** After each batch: samples done. */
  readonly onProgress?: (done: number, of: number) => void
}

export interface Evaluation {
  readonly count: number
  /** Absent where the net has none. */
  readonly loss?: number
  /** Every loss and metric by name. */
  readonly metrics: Readonly<Record<string, number>>
  /** What was done otherwise than asked, and why. Absent: nothing. */
  readonly notes?: readonly string[]
}

/**
 * Means over all samples: what a batch gives counts as often as it has samples. The last samples that fill no batch run
 * in a session of their own size, so nothing is padded and their statistics are theirs. A single last sample whose statistics
 * would rest on one value joins the batch before it.
 */
export async function evaluateAll(net: Net, given: Dataset, options: EvaluateOptions): Promise<Evaluation> {
  checkOptions('evaluate', options, { stats: oneOf('global', 'batch'), augment: flag, onProgress: call })
  checkDataset(given)
  if (given.length < 1) throw new InputError('the dataset is empty')
  const program = options.stats === 'batch' ? 'eval/batch' : 'eval'
  const inputs = net.neededInputs(program)
  const { fields, dataset } = net.feed(program, given, { learn: false, augment: options.augment })
  const scalars = net.manifest.outputs.filter((o) => o.role !== 'output').map((o) => o.name)
  const sums = new Map<string, number>()
  const waiting: (() => Promise<void>)[] = []

  const runBatch = async (reader: BatchReader, from: number, count: number, session = net.session): Promise<void> => {
    const indices = Uint32Array.from({ length: count }, (_, i) => from + i)
    const { values } = await net.execute(program, await reader.read(indices), { results: scalars, session, lent: true })
    waiting.push(async () => {
      const add = (name: string, value: number): unknown => sums.set(name, (sums.get(name) ?? 0) + value * count)
      const found: ReadonlyMap<string, Numbers> = await values
      for (const [name, value] of found) add(name, value[0]!)
      if (net.lossNames.length) add('', net.lossOf(found))
      options.onProgress?.(from + count, dataset.length)
    })
    // A few under way hide the way to the GPU and back.
    while (waiting.length > 2) await waiting.shift()!()
  }

  const left = dataset.length % net.batch
  const joins = dataset.length > net.batch && left > 0 && oneValueLayers(net.manifest, program, left).length > 0
  const rest = joins ? net.batch + left : left
  const whole = dataset.length - rest
  const reader = new BatchReader(dataset, fields, inputs, net.batch)
  for (let from = 0; from < whole; from += net.batch) await runBatch(reader, from, net.batch)
  if (rest) {
    const session = await net.sessionFor(rest, program)
    await runBatch(new BatchReader(dataset, fields, inputs, rest, 1), whole, rest, session)
  }
  for (const finish of waiting) await finish()
  const mean = (name: string): number => sums.get(name)! / dataset.length
  const metrics = Object.fromEntries(scalars.filter((name) => sums.has(name)).map((name) => [name, mean(name)]))
  const notes = joins ? [`the last sample has no statistics by itself: it is evaluated with the ${net.batch} before it, as a batch of ${rest}`] : undefined
  return { count: dataset.length, ...sums.has('') && { loss: mean('') }, metrics, ...notes && { notes } }
}
