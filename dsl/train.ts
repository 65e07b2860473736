import { type ArgumentContext, convertCall } from './arguments.ts'
import type { Expression, Train, TrainEntry } from './ast.ts'
import type { TrainSettings } from './program.ts'
import type { AttributeCall, Duration, Signature, Vocabulary } from './signature.ts'
import { suggest } from './suggest.ts'
import { describe } from './values.ts'

const KEYS = ['data', 'augment', 'solver', 'schedule', 'batch', 'epochs', 'steps', 'seed', 'accumulate', 'snapshot', 'test'] as const
/** The solver's, but may stand as settings of their own. */
const SOLVER_KEYS = ['regularize', 'clip_gradients', 'weight_decay', 'lr', 'momentum']

/** Evaluates a train block. Undefined if it is wrong, which then was told. */
export function evaluateTrain(train: Train, vocabulary: Vocabulary, context: ArgumentContext): TrainSettings | undefined {
  return new Settings(train, vocabulary, context).read()
}

class Settings {
  private readonly train: Train
  private readonly vocabulary: Vocabulary
  private readonly context: ArgumentContext
  private readonly entries = new Map<string, TrainEntry>()
  private good = true

  constructor(train: Train, vocabulary: Vocabulary, context: ArgumentContext) {
    this.train = train
    this.vocabulary = vocabulary
    this.context = context
  }

  read(): TrainSettings | undefined {
    this.collect()
    const solver = this.solver()
    const data = this.optional('data', (entry) => this.data(this.single(entry)))
    const augment = this.optional('augment', (entry) => this.calls(entry, this.vocabulary.augmentations, 'an augmentation')) ?? []
    const schedule = this.optional('schedule', (entry) => this.schedule(entry)) ?? [{ call: 'fixed', args: {} }]
    const batch = this.integer('batch', 1) ?? 1
    const seed = this.integer('seed', 0) ?? 1
    const accumulate = this.integer('accumulate', 1) ?? 1
    const epochs = this.integer('epochs', 1)
    const steps = this.integer('steps', 1)
    const [e, s] = [this.entries.get('epochs'), this.entries.get('steps')]
    if (e && s) this.fail('train/both', 'a training lasts so many epochs or so many steps, not both', s, [{ span: e.span, text: 'and here' }])
    const snapshot = this.every('snapshot')
    const test = this.every('test')
    if (!this.good || !solver) return undefined
    return {
      span: this.train.span, augment, solver, schedule, batch, seed, accumulate,
      ...(data && { data }), ...(epochs !== undefined && { epochs }), ...(steps !== undefined && { steps }), ...(snapshot && { snapshot }), ...(test && { test }),
    }
  }

  private collect(): void {
    for (const entry of this.train.entries) {
      const { text, span } = entry.key
      const before = this.entries.get(text)
      if (![...KEYS, ...SOLVER_KEYS].includes(text)) {
        const meant = suggest(text, [...KEYS, ...SOLVER_KEYS])
        this.good = false
        this.context.report.error('train/unknown', `there is no train setting ${text}`, span, { hint: meant ? `did you mean \`${meant}\`?` : `there are ${KEYS.join(', ')}` })
      } else if (before) this.fail('train/twice', `${text} is set twice`, entry, [{ span: before.span, text: 'and here' }])
      else this.entries.set(text, entry)
    }
  }

  private fail(code: string, message: string, entry: TrainEntry, labels: { span: TrainEntry['span']; text: string }[] = [], hint?: string): undefined {
    this.good = false
    return this.context.report.error(code, message, entry.span, { labels, ...(hint !== undefined && { hint }) })
  }

  private optional<T>(key: string, read: (entry: TrainEntry) => T | undefined): T | undefined {
    const entry = this.entries.get(key)
    if (!entry) return undefined
    const value = read(entry)
    if (value === undefined) this.good = false
    return value
  }

  private single(entry: TrainEntry): Expression {
    if (entry.values.length > 1) this.fail('train/several', `${entry.key.text} is one thing`, entry)
    return entry.values[0]!
  }

  private solver(): AttributeCall | undefined {
    const entry = this.entries.get('solver')
    if (!entry) {
      this.good = false
      return this.context.report.error('train/solver', 'a train block names a solver', { ...this.train.span, end: this.train.span.start + 5 }, { hint: 'solver sgd(lr: 0.01, momentum: 0.9)' })
    }
    const call = this.single(entry)
    const extra = [...this.entries].filter(([key]) => SOLVER_KEYS.includes(key)).map(([, e]) => e)
    if (call.kind !== 'call') return this.fail('train/solver', 'a solver is written like sgd(lr: 0.01)', entry)
    const named = [...call.named, ...extra.map((e) => ({ name: e.key, value: this.single(e), span: e.span }))]
    const made = convertCall('the solver', this.vocabulary.solvers, { ...call, named }, this.context)
    if (!made) this.good = false
    return made
  }

  /** A known dataset, or a path in quotes. */
  private data(e: Expression): AttributeCall | undefined {
    if (e.kind === 'string') return { call: 'path', args: { path: e.value } }
    return convertCall('data', this.vocabulary.datasets, e, this.context)
  }

  private calls(entry: TrainEntry, signatures: readonly Signature[], what: string): AttributeCall[] | undefined {
    const made = entry.values.map((e) => convertCall(what, signatures, e, this.context))
    return made.every((call) => call !== undefined) ? made : undefined
  }

  private schedule(entry: TrainEntry): AttributeCall[] | undefined {
    const e = this.single(entry)
    const parts = e.kind === 'chain' ? [e.head, ...e.links] : [e]
    const made = parts.map((part) => convertCall('the schedule', this.vocabulary.schedules, part, this.context))
    return made.every((call) => call !== undefined) ? made : undefined
  }

  private integer(key: string, least: number): number | undefined {
    return this.optional(key, (entry) => {
      const e = this.single(entry)
      const value = this.context.evaluate(e.kind === 'duration' ? e.count : e)
      if (!value) return undefined
      if (value.kind === 'number' && Number.isSafeInteger(value.value) && value.value >= least && e.kind !== 'duration') return value.value
      return this.fail('train/number', `${key} is an integer of at least ${least}, not ${e.kind === 'duration' ? 'a duration' : describe(value)}`, entry)
    })
  }

  private every(key: 'snapshot' | 'test'): Duration | undefined {
    return this.optional(key, (entry) => {
      const value = entry.every ? this.context.evaluate(this.single(entry)) : undefined
      if (value?.kind === 'duration' && value.value.count > 0) return value.value
      if (value?.kind === 'number' && Number.isSafeInteger(value.value) && value.value > 0) return { count: value.value, unit: 'steps' as const }
      return this.fail('train/every', `${key} is done every so many epochs or steps`, entry, [], `${key} every 1 epoch`)
    })
  }
}
