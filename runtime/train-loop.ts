import { countOf } from '../bundle/plain.ts'
import { BatchReader } from './batch-reader.ts'
import { checkDataset, type Dataset } from './data/dataset.ts'
import { InputError, NonFiniteError } from '../bundle/errors.ts'
import type { Executor } from './executor.ts'
import type { Inputs } from './net-api.ts'
import { checkOptions, flag, list, oneOf, positive, whole } from '../bundle/options.ts'
import { trainingProgram } from '../bundle/programs.ts'
import { permutation } from './random.ts'
import { inSteps, isDue } from '../bundle/learning-rate.ts'
import { refuseNoStatistics } from './stored-statistics.ts'
import { NothingLeftError, type TrainEvent, type TrainOptions } from './train-options.ts'
import type { Updates } from './updates.ts'

/**
 * Trains from the net's step on. Which samples an update sees follows from (seed, its number) alone, so a training that
 * was restored goes on where it was. At the first loss, gradient or new weight that is not finite it throws NonFiniteError; up to `ahead`
 * updates may have followed by then, none of which wrote such a number. An epoch leaves out what does not fill a batch; each epoch it is others.
 */
export function trainLoop(
  executor: Executor,
  updates: Updates,
  given: Dataset,
  options: TrainOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  return executor.endings.heard(alone(executor, updates, given, options))
}

/** A training that is the only one of its net. */
async function* alone(
  executor: Executor,
  updates: Updates,
  given: Dataset,
  options: TrainOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  checkOptions('train', options, {
    epochs: positive,
    steps: positive,
    total: flag,
    ahead: whole,
    stats: oneOf('batch', 'global'),
    keepGoing: flag,
    augment: flag,
    freeze: list,
  }, "; open has batch, the net's text lr and solver")
  checkDataset(given)
  if (options.epochs !== undefined && options.steps !== undefined)
    throw new InputError(`train: epochs ${options.epochs} and steps ${options.steps} both say how long it trains: leave out one of them`)
  if (executor.endings.settled) await executor.endings.settled
  // Two at once would each count the updates of both, and read the wrong samples.
  if (executor.isTraining)
    throw new InputError(
      'train: this net is being trained: end that first (its loop by break, an iterator by return()), or open the bundle once more for a net of its own',
    )
  executor.isTraining = true
  try {
    yield* withFrozen(executor, updates, given, options)
  } finally {
    executor.isTraining = false
  }
}

/** Trains with what `freeze` names kept as it is, and lets it go again. */
async function* withFrozen(
  executor: Executor,
  updates: Updates,
  given: Dataset,
  options: TrainOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  const { freeze = [] } = options
  if (freeze.length === 0) return yield* run(executor, updates, given, options)
  const before = executor.frozen.added
  await executor.setFrozen(new Set([...before, ...executor.frozen.match(freeze)]))
  try {
    yield* run(executor, updates, given, options)
  } finally {
    // A net that was closed has nothing to let go.
    await executor.setFrozen(before).catch(() => {})
  }
}

async function* run(
  executor: Executor,
  updates: Updates,
  given: Dataset,
  options: TrainOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  const { train } = executor.manifest
  const { keepGoing } = options
  const stats = executor.frozen.stats(options.stats)
  const program = trainingProgram(executor.manifest, 'train', stats)
  const { fields, plain, dataset } = executor.feed(program, given, { learn: true, augment: options.augment })
  const { accumulate } = updates
  const perStep = executor.batch * accumulate
  const stepsPerEpoch = Math.floor(dataset.length / perStep)
  if (stepsPerEpoch < 1)
    throw new InputError(
      `the dataset has ${
        countOf(dataset.length, 'sample')
      }, an update takes ${perStep}: a smaller batch is needed, in the train block, by --batch or in open`,
    )
  const refuse = refuseNoStatistics(executor, stats)
  // It counts from where the net is when what was asked for before is done.
  await executor.enqueue(async () => refuse?.())
  const { from } = await executor.course.begin(plain, [...fields.values()], { ...options, stats }, () => executor.steps)
  const { steps, totalSteps } = lengthOf(executor, options, from, stepsPerEpoch)
  const horizon = { stepsPerEpoch, totalSteps }
  executor.trainingLength = horizon
  const reader = new BatchReader(dataset, fields, executor.neededInputs(program), executor.batch, 2 * accumulate)
  const testEvery = inSteps(train?.test, horizon)
  const snapshotEvery = inSteps(train?.snapshot, horizon)

  const epochOf = (t: number): number => Math.floor((t - from) / stepsPerEpoch)
  let order: { epoch: number; indices: Uint32Array } | undefined
  const readStep = async (t: number): Promise<Inputs[]> => {
    const epoch = epochOf(t)
    if (order?.epoch !== epoch) order = { epoch, indices: permutation(dataset.length, executor.seed, epoch) }
    const first = ((t - from) % stepsPerEpoch) * perStep
    const { indices } = order
    const parts: Inputs[] = []
    for (let i = 0; i < accumulate; i++) {
      const at = first + i * executor.batch
      parts.push(await reader.read(indices.subarray(at, at + executor.batch), { seed: executor.seed, epoch }))
    }
    return parts
  }

  /** Stops with the layer where it shows first: the batches of that update are read once more. */
  const broken = async (error: unknown, t: number): Promise<never> => {
    if (!(error instanceof NonFiniteError)) throw error
    await next?.catch(() => {})
    throw new NonFiniteError({ ...error, done: executor.steps }, await updates.locate(await readStep(t), t, error.rate, stats))
  }

  const waiting: (() => Promise<TrainEvent>)[] = []
  let next: Promise<Inputs[]> | undefined
  for (let t = executor.steps; t < steps; t++) {
    const inputs = await (next ?? readStep(t))
    const { step, rate, loss } = await updates.run(inputs, { stats, lent: true, keepGoing })
    next = t + 1 < steps ? readStep(t + 1) : undefined
    next?.catch(() => {})
    const event = {
      step,
      steps,
      epoch: epochOf(t),
      stepsPerEpoch,
      epochEnd: (step - from) % stepsPerEpoch === 0,
      rate,
      testDue: isDue(step, testEvery),
      snapshotDue: isDue(step, snapshotEvery),
    }
    waiting.push(async () => ({ ...event, loss: await loss.catch((error) => broken(error, t)) }))
    const settle = event.epochEnd || event.testDue || event.snapshotDue || step === steps
    while (waiting.length > (settle ? 0 : options.ahead ?? 4)) yield await waiting.shift()!()
  }
}

/**
 * The update at which to stop, and the length that schedules up to the end (`poly`, `cosine`) count in: the file's or, where it names none or
 * more is asked for, up to where this ends. So a training that is asked for in parts follows the same schedule as one in one piece.
 */
function lengthOf(
  executor: Executor,
  { epochs, steps, total }: TrainOptions,
  from: number,
  stepsPerEpoch: number,
): { steps: number; totalSteps: number } {
  const { train } = executor.manifest
  const filed = train?.steps ?? (train?.epochs === undefined ? undefined : train.epochs * stepsPerEpoch)
  const asked = steps ?? (epochs === undefined ? undefined : epochs * stepsPerEpoch)
  const end = asked !== undefined ? (total ? from : executor.steps) + asked
    : filed !== undefined ? from + filed : executor.steps + stepsPerEpoch
  if (end <= executor.steps)
    throw new NothingLeftError(
      `nothing is left to do: ${executor.steps - from} updates are done, of ${end - from} in all; say how many more by epochs or steps`,
    )
  return { steps: end, totalSteps: total ? end : Math.max(end, from + (filed ?? 0)) }
}
