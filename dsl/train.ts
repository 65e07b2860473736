import { type ArgumentContext, convertCall, durationOf } from './argument-values.ts'
import type { Call, Expression, Net, Train, TrainEntry } from './ast.ts'
import { didYouMean, nearest } from './fix-hints.ts'
import type { TrainSettings } from './program.ts'
import type { Reporter } from './reporter.ts'
import type { AttributeCall, Duration, Signature, Vocabulary } from './signature.ts'
import { headOf, textOf } from './source.ts'
import { suggest } from '../bundle/nearest.ts'
import { ARGUMENTS_ELSEWHERE } from './translate.ts'
import { describe, listed } from './values.ts'

export const KEYS = ['data', 'augment', 'solver', 'schedule', 'batch', 'epochs', 'steps', 'seed', 'accumulate', 'snapshot', 'test']
/** The solver's, but may stand as settings of their own, as may all that the solver at hand takes. */
const SOLVER_KEYS = ['regularize', 'clip_gradients']
/** Names of settings in other trainers. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map(Object.entries({
  optimizer: 'solver',
  dataset: 'data',
  batch_size: 'batch',
  max_iter: 'steps',
  iterations: 'steps',
  max_epoch: 'epochs',
  num_epochs: 'epochs',
  random_seed: 'seed',
  iter_size: 'accumulate',
  accumulation: 'accumulate',
  augmentation: 'augment',
  transform: 'augment',
  lr_policy: 'schedule',
  scheduler: 'schedule',
  test_interval: 'test',
  checkpoint: 'snapshot',
}))

const PATIENCE = 'it is an option of the command, beside test every 1 epoch: fusenet train --patience 5'
/** Settings of other trainers that have another place here, or none. */
const OTHERWISE: ReadonlyMap<string, string> = new Map(Object.entries({
  shuffle: 'leave it out: every epoch has an order of its own',
  device: 'the device is chosen where a net is trained: fusenet train --device',
  gpu: 'the device is chosen where a net is trained: fusenet train --device',
  metrics: 'metrics stand in the net: metric NAME = accuracy(scores, label)',
  early_stopping: PATIENCE,
  patience: PATIENCE,
  num_workers: 'leave it out: data are read ahead',
}))

/** Evaluates a train block. Undefined if it is wrong, which then was told. */
export function evaluateTrain(
  train: Train,
  net: Net | undefined,
  vocabulary: Vocabulary,
  context: ArgumentContext,
  report: Reporter,
): TrainSettings | undefined {
  return new Settings(train, net, vocabulary, context, report).read()
}

class Settings {
  private readonly train: Train
  private readonly net: Net | undefined
  private readonly vocabulary: Vocabulary
  private readonly context: ArgumentContext
  private readonly report: Reporter
  private readonly entries = new Map<string, TrainEntry>()
  private readonly solverKeys: ReadonlySet<string>

  constructor(train: Train, net: Net | undefined, vocabulary: Vocabulary, context: ArgumentContext, report: Reporter) {
    this.train = train
    this.net = net
    this.vocabulary = vocabulary
    this.context = context
    this.report = report
    const solver = train.entries.find((entry) => entry.key.text === 'solver')?.values[0]
    const signature = vocabulary.solvers.find((s) => solver?.kind === 'call' && s.name === solver.callee.text)
    this.solverKeys = new Set(
      [...SOLVER_KEYS, ...(signature?.parameters ?? []).flatMap((p) => [p.name, ...(p.aliases ?? [])])].filter((key) =>
        !KEYS.includes(key)
      ),
    )
  }

  read(): TrainSettings | undefined {
    this.collect()
    const solver = this.solver()
    const data = this.of('data', (entry) => this.data(this.single(entry)))
    const augment = this.of('augment', (entry) => this.augmentations(entry))
    const schedule = this.of('schedule', (entry) => this.schedule(entry))
    const batch = this.integer('batch', 1)
    const seed = this.integer('seed', 0)
    const accumulate = this.integer('accumulate', 1)
    const epochs = this.integer('epochs', 1, 'epochs are whole here: a part of one is a number of steps, as in steps 500')
    const steps = this.integer('steps', 1)
    const [e, s] = [this.entries.get('epochs'), this.entries.get('steps')]
    if (e && s)
      this.report.error('train/both', 'a training lasts a number of epochs or of steps, not both', s.span, {
        labels: [{ span: e.span, text: 'and here' }],
        hint: 'leave one of them out',
      })
    const snapshot = this.every('snapshot')
    const test = this.every('test')
    return solver && {
      span: this.train.span,
      augment: augment ?? [],
      solver,
      schedule: schedule ?? [{ call: 'fixed', args: {} }],
      batch: batch ?? 1,
      seed: seed ?? 1,
      accumulate: accumulate ?? 1,
      ...(batch !== undefined && { batchSpan: this.entries.get('batch')!.span }),
      ...(data && { data }),
      ...(epochs !== undefined && { epochs }),
      ...(steps !== undefined && { steps }),
      ...(snapshot && { snapshot }),
      ...(test && { test }),
    }
  }

  private collect(): void {
    for (const entry of this.train.entries) {
      const { text, span } = entry.key
      const before = this.entries.get(text)
      if (!KEYS.includes(text) && !this.solverKeys.has(text))
        this.report.error('train/unknown', `there is no train setting ${text}`, span, { hint: this.settingMend(entry) })
      else if (before)
        this.report.error('train/twice', `${text} is set twice`, entry.span, {
          text: 'again',
          labels: [{ span: before.span, text: 'set here' }],
        })
      else {
        this.entries.set(text, entry)
        if (entry.every && text !== 'snapshot' && text !== 'test')
          this.report.error('train/every', `${text} is set once, not every so often`, entry.span, {
            hint: `write ${text} ${textOf(entry.values[0]!.span)}`,
          })
      }
    }
  }

  private settingMend({ key, values }: TrainEntry): string {
    const { text } = key
    const otherwise = OTHERWISE.get(text.toLowerCase())
    if (otherwise !== undefined) return otherwise
    const meant = ELSEWHERE.get(text) ?? suggest(text, [...KEYS, ...this.solverKeys])
    const takes = (signatures: readonly Signature[], argument = text): string | undefined =>
      signatures.find((s) => s.parameters.some((p) => p.name === argument || p.aliases?.includes(argument)))?.name
    const kinds = [['solver', this.vocabulary.solvers], ['schedule', this.vocabulary.schedules], [
      'augment',
      this.vocabulary.augmentations,
    ]] as const
    const kind = kinds.find(([, signatures]) => signatures.some(({ name }) => name === text))?.[0]
    if (kind !== undefined) return `what is set stands in front: ${kind} ${text}${values[0]?.kind === 'call' ? '' : '(...)'}`
    if (meant !== undefined) return didYouMean(meant)
    const belongs = ARGUMENTS_ELSEWHERE.get(text.toLowerCase())?.map((name) => ({ name, solver: takes(this.vocabulary.solvers, name) }))
      .find((found) => found.solver !== undefined)
    if (belongs) return `it belongs to the solver: solver ${belongs.solver}(${belongs.name}: ${textOf(values[0]!.span)})`
    const [solver, schedule] = [takes(this.vocabulary.solvers), takes(this.vocabulary.schedules)]
    if (solver !== undefined) return `${text} belongs to the solver: solver ${solver}(${text}: ${textOf(values[0]!.span)})`
    if (schedule !== undefined) return `${text} belongs to the schedule: schedule ${schedule}(${text}: ${textOf(values[0]!.span)})`
    return `there are ${KEYS.join(', ')}`
  }

  /** The result of `read` for a setting, if the file has it. */
  private of<T>(key: string, read: (entry: TrainEntry) => T | undefined): T | undefined {
    const entry = this.entries.get(key)
    return entry && read(entry)
  }

  private single(entry: TrainEntry): Expression {
    const second = entry.values[1]
    if (second)
      this.report.error('train/one', `${entry.key.text} is one thing`, second.span, {
        text: 'one too many',
        hint: entry.key.text === 'schedule' ? 'schedules follow each other: warmup(500) -> cosine' : undefined,
      })
    return entry.values[0]!
  }

  private solver(): AttributeCall | undefined {
    const entry = this.entries.get('solver')
    if (!entry) {
      if (this.train.broken.length > 0) return undefined
      const first = this.vocabulary.solvers[0]?.name
      return this.report.error('train/solver', 'a train block names a solver', headOf(this.train.span, 'train'), {
        hint: first && `e.g. solver ${first}(lr: 0.01)`,
      })
    }
    const call = this.single(entry)
    if (call.kind !== 'call') return this.report.error('train/solver', 'a solver is written like sgd(lr: 0.01)', call.span)
    const extra: Call['named'] = [...this.solverKeys].flatMap((key) => this.entries.get(key) ?? []).map((e) => ({
      name: e.key,
      value: this.single(e),
      span: e.span,
    }))
    return convertCall('the solver', this.vocabulary.solvers, { ...call, named: [...call.named, ...extra] }, this.context)
  }

  /** A known dataset, or a path in quotes. */
  private data(e: Expression): AttributeCall | undefined {
    if (e.kind === 'string') return { call: 'path', args: { path: e.value } }
    const text = textOf(e.span)
    const joined = text.replaceAll('-', '')
    const names = this.vocabulary.datasets.map(({ name }) => name)
    const isName = e.kind === 'call' && e.bare && !this.context.isBound(text)
    // `cifar-10` is a difference.
    if (e.kind === 'binary' && /^[a-z]\w*(-\w+)+$/i.test(text) || isName && !names.includes(text))
      return this.report.error('argument/unknown-call', `data is ${listed(names, 'or')}, not ${text}`, e.span, {
        hint: (names.includes(joined) ? didYouMean(joined) : nearest(joined, names)) ??
          'data of your own: images("folder"), files("data.csv")',
      })
    return convertCall('data', this.vocabulary.datasets, e, this.context)
  }

  private augmentations(entry: TrainEntry): AttributeCall[] {
    return entry.values.flatMap((e) => {
      if (e.kind === 'call' && this.isLayer(e.callee.text)) return this.layerError(e) ?? []
      if (e.kind !== 'chain') return convertCall('an augmentation', this.vocabulary.augmentations, e, this.context) ?? []
      return this.report.error('train/list', "augmentations are separated by ','", e.span, {
        hint: `augment ${[e.head, ...e.links].map((part) => textOf(part.span)).join(', ')}`,
      }) ?? []
    })
  }

  private isLayer(name: string): boolean {
    const named = (signatures: readonly Signature[]): boolean => signatures.some((s) => s.name === name)
    return named(this.vocabulary.layers) && !named(this.vocabulary.augmentations)
  }

  /** The error of a layer among augmentations. A change that is alike for every picture is part of the net, so that whoever runs the net makes it too. */
  private layerError(e: Call): undefined {
    const inputs = (this.net?.body ?? []).filter((s) => s.kind === 'input').filter((s) => s.type.text === 'f32')
    const picture = inputs.find((s) => s.dimensions.at(-1)?.length === 3) ?? inputs[0]
    const name = picture?.name.text ?? 'image'
    const line = `${name} = ${name} -> ${textOf(e.span).replace(/\s+/g, ' ')}`
    return this.report.error(
      'train/augment-layer',
      `${e.callee.text} is a layer of the net: augment holds random changes of training alone`,
      e.span,
      {
        ...(picture && { labels: [{ span: picture.span, text: 'of this input' }] }),
        hint: `write in the net, behind its inputs: ${line}`,
      },
    )
  }

  private schedule(entry: TrainEntry): AttributeCall[] {
    const e = this.single(entry)
    const parts = e.kind === 'chain' ? [e.head, ...e.links] : [e]
    // A schedule within another: `warmup(100, cosine)`.
    const within = parts.flatMap((part) => (part.kind === 'call' ? [...part.positional, ...part.named.map(({ value }) => value)] : []))
      .find((inner) => inner.kind === 'call' && this.vocabulary.schedules.some(({ name }) => name === inner.callee.text))
    if (within) {
      this.report.error('train/one', 'a schedule has no other within', within.span, {
        hint: 'schedules follow each other: warmup(500) -> cosine',
      })
      return []
    }
    return parts.flatMap((part) => convertCall('the schedule', this.vocabulary.schedules, part, this.context) ?? [])
  }

  private integer(key: string, least: number, hint?: string): number | undefined {
    return this.of(key, (entry) => {
      const e = this.single(entry)
      const value = this.context.evaluate(e)
      if (!value) return undefined
      if (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= least) return value.value
      return this.report.error('train/number', `${key} is an integer of at least ${least}, not ${describe(value)}`, entry.span, {
        hint: value.kind === 'number' && value.value > 0 ? hint : undefined,
      })
    })
  }

  private every(key: 'snapshot' | 'test'): Duration | undefined {
    return this.of(key, (entry) => {
      if (!entry.every)
        return this.report.error('train/every', `${key} is done every so many epochs or steps`, entry.span, {
          hint: `${key} every ${textOf(entry.values[0]!.span)}`,
        })
      const e = this.single(entry)
      const value = this.context.evaluate(e)
      if (!value) return undefined
      if (value.kind !== 'duration' && value.kind !== 'number')
        return this.report.error('argument/kind', `${key} is done every so many epochs or steps, not every ${describe(value)}`, e.span, {
          hint: `${key} every 1 epoch`,
        })
      const duration = durationOf(value, {}, e.span, `the number of ${value.kind === 'duration' ? value.value.unit : 'steps'}`, this.report)
      return duration?.count === 0
        ? this.report.error('argument/range', `${key} is done every so many epochs or steps, and 0 are none`, e.span) : duration
    })
  }
}
