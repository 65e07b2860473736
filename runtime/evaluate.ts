import { programFor } from '../bundle/programs.ts'
import type { EvaluateOptions, Evaluation } from './evaluate-options.ts'
import { BatchReader } from './batch-reader.ts'
import { checkDataset, type Dataset } from './data/dataset.ts'
import { InputError } from '../bundle/errors.ts'
import type { Executor } from './executor.ts'
import { call, checkOptions, flag, oneOf } from '../bundle/options.ts'
import { oneValueLayers } from './one-value.ts'
import { Totals } from '../bundle/totals.ts'

/**
 * Losses and metrics of all samples as of one batch, however they are cut into batches: numerators and denominators are added up, so
 * means are over all samples, or over all labels that are not ignored, and sums are sums over all. The last samples that fill no batch run
 * in a session of their own size, so nothing is padded and their statistics are theirs. A single last sample whose statistics
 * would rest on one value joins the batch before it.
 */
export async function evaluateAll(executor: Executor, given: Dataset, options: EvaluateOptions): Promise<Evaluation> {
  checkOptions('evaluate', options, { stats: oneOf('global', 'batch'), augment: flag, perClass: flag, onProgress: call })
  checkDataset(given)
  if (given.length < 1) throw new InputError('the dataset is empty')
  const programOf = (task: string): string => programFor(executor.manifest, options.stats === 'batch' ? `${task}/batch` : task)
  const program = programOf('eval')
  const inputs = executor.neededInputs(program)
  const { fields, dataset } = executor.feed(program, given, { learn: false, augment: options.augment })
  const totals = new Totals(executor.manifest.outputs.filter((o) => o.role !== 'output'))
  const { results } = totals
  const waiting: (() => Promise<void>)[] = []
  const counters = options.perClass ? (await import('./on-demand.ts')).ConfusionCounter.of(executor.manifest) : []
  const inferring = programOf('infer')
  // Says so, if it cannot run.
  if (counters.length > 0) executor.neededInputs(inferring)

  const runBatch = async (reader: BatchReader, from: number, count: number, isTail = false): Promise<void> => {
    const read = await reader.read(Uint32Array.from({ length: count }, (_, i) => from + i))
    const session = isTail ? await executor.sessionFor(count, counters.length > 0 ? [program, inferring] : [program]) : executor.session
    const run = async (name: string, wanted: readonly string[]) =>
      executor.execute(name, read, { results: wanted, session, lent: true, kind: 'evaluate' })
    const { values } = await run(program, results)
    // What is read next takes the place of these labels; and of sessions for the rest there is one at a time.
    const labels = counters.map(({ label }) => (read[label.name] as Int32Array).slice())
    if (isTail) await values
    const scores = counters.length > 0 ? (await run(inferring, counters.map(({ output }) => output.name))).values : undefined
    waiting.push(async () => {
      totals.add(await values, count)
      const found = await scores
      counters.forEach((counter, i) => counter.add(found!.get(counter.output.name)!, labels[i]!, count))
      options.onProgress?.(from + count, dataset.length)
    })
    // A few under way hide the way to the GPU and back.
    while (waiting.length > 2) await waiting.shift()!()
  }

  const left = dataset.length % executor.batch
  const joins = dataset.length > executor.batch && left > 0 && oneValueLayers(executor.manifest, program, left).length > 0
  const rest = joins ? executor.batch + left : left
  const whole = dataset.length - rest
  const reader = new BatchReader(dataset, fields, inputs, executor.batch)
  for (let from = 0; from < whole; from += executor.batch) await runBatch(reader, from, executor.batch)
  if (rest) {
    await runBatch(new BatchReader(dataset, fields, inputs, rest, 1), whole, rest, true)
  }
  for (const finish of waiting) await finish()
  const found = totals.values()
  const notes = [
    ...(joins ? [`the last sample has no statistics by itself: it is evaluated with the ${executor.batch} before it, as a batch of ${rest}`]
      : []),
    ...totals.notes(),
  ]
  const loss = executor.lossOf(new Map([...found].map(([name, value]) => [name, [value]])))
  return {
    count: dataset.length,
    loss: executor.losses.length > 0 ? loss : undefined,
    metrics: Object.fromEntries(found),
    ...(options.perClass && { perClass: counters.map((counter) => counter.result(executor.classes.of(counter.label.name))) }),
    ...(notes.length > 0 && { notes }),
  }
}
