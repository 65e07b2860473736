import { scheduleFactor } from '../../bundle/learning-rate.ts'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Program, TrainSettings } from '../../dsl/program.ts'
import type { Duration } from '../../dsl/signature.ts'
import { headOf } from '../../dsl/source.ts'

/** Warnings of trainings that run and hardly learn: `train/rate`, `train/clip`, `train/weight`, `train/decay`, `train/idle`, `train/schedule`. */
export function trainingDoubts(program: Program): Diagnostic[] {
  const { train } = program
  if (!train) return []
  return [
    ...nothingLearned(train),
    ...nothingWeighs(train, program),
    ...tooFast(train),
    ...tooMuchDecay(train),
    ...ofNoUse(train),
    ...ofSchedule(train),
  ]
}

const warning = ({ span }: TrainSettings, code: string, message: string, hint: string): Diagnostic => ({
  severity: 'warning',
  code,
  message,
  labels: [{ span: headOf(span, 'train'), text: 'here' }],
  hint,
})

const argument = ({ solver }: TrainSettings, name: string): number | undefined => {
  const value = solver.args[name]
  return typeof value === 'number' ? value : undefined
}

/** Arguments of a solver by which no weight moves, or none by the loss. */
const IDLE: readonly { readonly name: string; readonly code: string; readonly what: string; readonly mend: (solver: string) => string }[] =
  [
    {
      name: 'lr',
      code: 'train/rate',
      what: 'no weight moves, so that nothing is learned',
      mend: (solver) => `give ${solver} a rate, e.g. lr: 0.01`,
    },
    {
      name: 'clip_gradients',
      code: 'train/clip',
      what: 'nothing is left of any gradient, so that nothing is learned of the loss',
      mend: () => 'leave it out for gradients as they are; it is the largest joint norm that they may have',
    },
  ]

/** A training in which an argument of 0 leaves nothing to learn. Devices compute in float32. */
const nothingLearned = (train: TrainSettings): Diagnostic[] =>
  IDLE.filter(({ name }) => Math.fround(argument(train, name) ?? 1) === 0).map(({ name, code, what, mend }) =>
    warning(
      train,
      code,
      `${name} is ${argument(train, name) === 0 ? 0 : `${argument(train, name)}, which is 0 in float32`}: ${what}`,
      mend(train.solver.call),
    )
  )

/** A training all of whose losses count nothing. */
function nothingWeighs(train: TrainSettings, { losses, layers }: Program): Diagnostic[] {
  const weightOf = ({ value }: Program['losses'][number]): unknown =>
    value.kind === 'layer' ? layers[value.index]?.attributes['weight'] : undefined
  if (losses.length === 0 || !losses.every((loss) => weightOf(loss) === 0)) return []
  return [warning(train, 'train/weight', 'the weight of every loss is 0: nothing is learned of them', 'weigh one with another number')]
}

/**
 * Rates from which on a training only diverges. A weight moves by about the rate in each update where the solver divides by the size of gradients (adagrad: in the
 * first ones), and weights are smaller than 1. Of gradients as they are, losses near 1 make updates of the size of the rate, too.
 */
const TOO_FAST: Readonly<Record<string, number>> = { sgd: 10, nesterov: 10, adagrad: 5, rmsprop: 0.5, adadelta: 30, adam: 0.5, adamw: 0.5 }

function tooFast(train: TrainSettings): Diagnostic[] {
  const [rate, least] = [argument(train, 'lr'), TOO_FAST[train.solver.call]]
  // Of clipped gradients, and of a warm-up or a schedule that begins elsewhere, lr says too little.
  const start = scheduleFactor(train.schedule.filter(({ call }) => call !== 'warmup'), 0)
  if (rate === undefined || least === undefined || rate * start < least) return []
  if (argument(train, 'clip_gradients') !== undefined && !divides(train.solver.call)) return []
  const why = divides(train.solver.call) ? 'each update moves every weight by about as much'
    : 'weights leave the range of their gradients at once'
  return [warning(train, 'train/rate', `${train.solver.call} with lr ${rate}: ${why}`, `its usual rates are ${USUAL[train.solver.call]}`)]
}

const divides = (solver: string): boolean => ['adagrad', 'rmsprop', 'adam', 'adamw'].includes(solver)
const USUAL: Readonly<Record<string, string>> = {
  sgd: '0.001 to 1',
  nesterov: '0.001 to 1',
  adagrad: '0.001 to 0.1',
  rmsprop: '1e-4 to 0.01',
  adadelta: '0.1 to 1',
  adam: '1e-5 to 0.01',
  adamw: '1e-5 to 0.01',
}

/** Decay that takes all of a weight, or more, in one update: what is left changes sign and grows. */
function tooMuchDecay(train: TrainSettings): Diagnostic[] {
  const [rate = 0, decay = 0] = [argument(train, 'lr'), argument(train, 'weight_decay')]
  const { call, args } = train.solver
  if (args['regularize'] === 'l1' || !['sgd', 'nesterov', 'adamw'].includes(call) || rate * decay < 1) return []
  return [
    warning(
      train,
      'train/decay',
      `lr ${rate} times weight_decay ${decay} is ${Number((rate * decay).toPrecision(4))}: each update takes ${
        rate * decay === 1 ? 'all of' : 'more than'
      } a weight`,
      'weight_decay is 1e-5 to 0.1 as a rule',
    ),
  ]
}

/** What is written and changes nothing: `regularize` of which kind a decay is that there is not, a warm-up of no updates. */
function ofNoUse(train: TrainSettings): Diagnostic[] {
  const decayless = train.solver.args['regularize'] === 'l1' && !argument(train, 'weight_decay')
  const warmup = train.schedule.find(({ call }) => call === 'warmup')
  const n = warmup?.args['n'] as Duration | undefined
  return [
    ...(decayless
      ? [
        warning(
          train,
          'train/idle',
          'regularize: l1 changes nothing: weight_decay is 0',
          'say how strongly, e.g. weight_decay: 1e-4, or leave it out',
        ),
      ]
      : []),
    ...(n?.count === 0
      ? [
        warning(
          train,
          'train/idle',
          'warmup(0) changes nothing: the rate is whole from the first update',
          'leave it out, or say for how long',
        ),
      ]
      : []),
  ]
}

/** Samples of data sets that are always the same. */
const SAMPLES: Readonly<Record<string, number>> = { mnist: 60_000, fashion_mnist: 60_000, cifar10: 50_000 }
/** Updates at which a schedule is asked. */
const ASKED = 2000
/** The share of the largest rate below which float32 hardly sees an update. */
const LITTLE = 1e-6

/** A schedule whose rate is gone long before the end, does not stay finite, or whose warm-up never ends: often epochs were meant. Nothing is said where the number of updates is not known. */
function ofSchedule(train: TrainSettings): Diagnostic[] {
  const samples = Math.floor((SAMPLES[train.data?.call ?? ''] ?? 0) / (train.batch * train.accumulate))
  const total = train.steps ?? (train.epochs === undefined ? undefined : train.epochs * samples)
  if (!total || train.schedule.length === 0) return []
  const horizon = { totalSteps: total, ...(samples > 0 && { stepsPerEpoch: samples }) }
  const at = Array.from({ length: Math.min(ASKED, total) }, (_, i) => Math.floor(i * total / Math.min(ASKED, total)))
  const rates = at.map((t) => (argument(train, 'lr') ?? 0) * scheduleFactor(train.schedule, t, horizon))
  const wild = rates.findIndex((rate) => !Number.isFinite(Math.fround(rate)))
  const of = `of ${total} updates`
  const hint = 'a number counts updates; write epochs where those are meant, e.g. 30 epochs'
  if (wild >= 0)
    return [
      warning(
        train,
        'train/schedule',
        `the rate of update ${at[wild]! + 1} ${of} is more than float32 holds`,
        'the schedule grows: look at its gamma',
      ),
    ]
  const most = Math.max(...rates)
  const last = rates.findLastIndex((rate) => rate > LITTLE * most)
  if (most > 0 && last + 1 < 0.8 * rates.length)
    return [
      warning(
        train,
        'train/schedule',
        `hardly anything is learned behind update ${at[last + 1]} ${of}: the rate is below a millionth of the largest by then`,
        hint,
      ),
    ]
  const warmup = train.schedule.find(({ call }) => call === 'warmup')
  if (warmup && scheduleFactor([warmup], total - 1, horizon) < 1)
    return [warning(train, 'train/schedule', `the warm-up is longer than the training ${of}: the full rate is never reached`, hint)]
  return []
}
