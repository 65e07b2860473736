import { BatchReader } from './batch-reader.ts'
import { checkDataset, type Dataset } from './data/dataset.ts'
import { InputError, NonFiniteError } from '../bundle/errors.ts'
import type { LocalNet } from './net.ts'
import type { Inputs } from './net-api.ts'
import { checkOptions, flag, list, oneOf, positive, whole } from '../bundle/options.ts'
import { trainingProgram, type TrainStats } from '../bundle/programs.ts'
import { permutation } from './random.ts'
import { inSteps, isDue } from '../bundle/learning-rate.ts'

export interface TrainOptions {
  /**
   * How often the data are seen, from here on: `epochs: 1` is one epoch more, whatever was trained before. Without `epochs` and `steps`
   * the net trains up to the length that the file gives the whole training, of which what is done is a part; else one epoch more.
   */
  readonly epochs?: number
  /** Updates from here on. */
  readonly steps?: number
  /** `epochs` and `steps` are the length of the whole training, with what was done before. Default false. */
  readonly total?: boolean
  /** Updates that may be under way before the oldest is reported: hides the way to the GPU and back. Default 4. */
  readonly ahead?: number
  /** `global`: normalizes with the stored statistics, which stay as they are. The bundle must hold `train/global`. Default `batch`. */
  readonly stats?: TrainStats
  /** Parameters that stay as they are meanwhile, by patterns as for `net.freeze`, beside those that it named. Afterwards they learn again. */
  readonly freeze?: readonly string[]
  /** Trains on where the loss, a gradient or a new weight is not finite, instead of throwing NonFiniteError. Default false. */
  readonly keepGoing?: boolean
  /** `false`: pictures stay as they are, whatever the file's `augment` says. Default true: changed by chance, as `fusenet train` does. */
  readonly augment?: boolean
}

/** All updates that a training was to have are done. */
export class NothingLeftError extends InputError {}

export interface TrainEvent {
  /** Updates done, and to be done in all. */
  readonly step: number
  readonly steps: number
  /** The epoch that this update belongs to, from 0. */
  readonly epoch: number
  readonly stepsPerEpoch: number
  readonly epochEnd: boolean
  /** Of this update's batches, before it. */
  readonly loss: number
  readonly rate: number
  /**
   * Whether the file wants a test or a snapshot now. Then, and at the end of an epoch, nothing is under way: parameters
   * are those after this update.
   */
  readonly testDue: boolean
  readonly snapshotDue: boolean
}

/**
 * Trains from the net's step on. Which samples an update sees follows from (seed, its number) alone, so a training that
 * was restored goes on where it was. At the first loss, gradient or new weight that is not finite it throws NonFiniteError; up to `ahead`
 * updates may have followed by then, none of which wrote such a number. An epoch leaves out what does not fill a batch; each epoch it is others.
 */
export async function* trainLoop(net: LocalNet, given: Dataset, options: TrainOptions): AsyncGenerator<TrainEvent, void, undefined> {
  checkOptions('train', options, {
    epochs: positive,
    steps: positive,
    total: flag,
    ahead: whole,
    stats: oneOf('batch', 'global'),
    keepGoing: flag,
    augment: flag,
    freeze: list,
  })
  checkDataset(given)
  const { freeze = [] } = options
  if (freeze.length === 0) return yield* updates(net, given, options)
  const before = net.frozenByName
  await net.setFrozen(new Set([...before, ...net.namesOf(freeze)]))
  try {
    yield* updates(net, given, options)
  } finally {
    // A net that was closed has nothing to let go.
    await net.setFrozen(before).catch(() => {})
  }
}

async function* updates(net: LocalNet, given: Dataset, options: TrainOptions): AsyncGenerator<TrainEvent, void, undefined> {
  const { train } = net.manifest
  const { keepGoing } = options
  const stats = net.trainStats(options.stats)
  const program = trainingProgram(net.manifest, 'train', stats)
  const { fields, plain, dataset } = net.feed(program, given, { learn: true, augment: options.augment })
  const accumulate = train?.accumulate ?? 1
  const perStep = net.batch * accumulate
  const stepsPerEpoch = Math.floor(dataset.length / perStep)
  if (stepsPerEpoch < 1)
    throw new InputError(`the dataset has ${dataset.length} samples, an update takes ${perStep}: open the net with a smaller batch`)
  const { from } = await net.begin(plain, [...fields.values()], { ...options, stats })
  const { steps, totalSteps } = lengthOf(net, options, from, stepsPerEpoch)
  const horizon = { stepsPerEpoch, totalSteps }
  net.horizon = horizon
  const reader = new BatchReader(dataset, fields, net.neededInputs(program), net.batch, 2 * accumulate)
  const testEvery = inSteps(train?.test, horizon)
  const snapshotEvery = inSteps(train?.snapshot, horizon)

  const epochOf = (t: number): number => Math.floor((t - from) / stepsPerEpoch)
  let order: { epoch: number; indices: Uint32Array } | undefined
  const readStep = async (t: number): Promise<Inputs[]> => {
    const epoch = epochOf(t)
    if (order?.epoch !== epoch) order = { epoch, indices: permutation(dataset.length, net.seed, epoch) }
    const first = ((t - from) % stepsPerEpoch) * perStep
    const { indices } = order
    const parts: Inputs[] = []
    for (let i = 0; i < accumulate; i++) {
      const at = first + i * net.batch
      parts.push(await reader.read(indices.subarray(at, at + net.batch), { seed: net.seed, epoch }))
    }
    return parts
  }

  /** Stops with the layer where it shows first: the batches of that update are read once more. */
  const broken = async (error: unknown, t: number): Promise<never> => {
    if (!(error instanceof NonFiniteError)) throw error
    await next?.catch(() => {})
    throw new NonFiniteError(error, await net.locate(await readStep(t), t, error.rate, stats))
  }

  const waiting: (() => Promise<TrainEvent>)[] = []
  let next: Promise<Inputs[]> | undefined
  for (let t = net.steps; t < steps; t++) {
    const inputs = await (next ?? readStep(t))
    const { step, rate, loss } = await net.update(inputs, { stats, lent: true, keepGoing })
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
  net: LocalNet,
  { epochs, steps, total }: TrainOptions,
  from: number,
  stepsPerEpoch: number,
): { steps: number; totalSteps: number } {
  const { train } = net.manifest
  const filed = train?.steps ?? (train?.epochs === undefined ? undefined : train.epochs * stepsPerEpoch)
  const asked = steps ?? (epochs === undefined ? undefined : epochs * stepsPerEpoch)
  const end = asked !== undefined ? (total ? from : net.steps) + asked : filed !== undefined ? from + filed : net.steps + stepsPerEpoch
  if (end <= net.steps)
    throw new NothingLeftError(
      `nothing is left to do: ${net.steps - from} updates are done, of ${end - from} in all; say how many more by epochs or steps`,
    )
  return { steps: end, totalSteps: total ? end : Math.max(end, from + (filed ?? 0)) }
}
