import { InputError } from '../../bundle/errors.ts'
import type { Evaluation } from '../../runtime/evaluate-options.ts'
import type { BestEntry, Manifest } from '../../bundle/format.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import type { TrainChoices } from './choices.ts'
import { isBetter, type Score } from './snapshots.ts'

/** The measure that tells which weights are the best: `accuracy`, `loss:lower`. */
export interface Measure {
  readonly metric: string
  readonly better: 'higher' | 'lower'
}

/** The part that a snapshot keeps. */
interface State {
  readonly best?: BestEntry
  /** Tests since the best one. */
  readonly since: number
  /** A test was due at this step and is not done. */
  readonly pending: boolean
}

/**
 * The measure that `--best` names, or `--patience` needs: a loss or metric of the net, `loss` for the sum of all losses, with `:higher` or `:lower`
 * where the net does not know which is better. Undefined where neither is asked for. Throws InputError.
 */
export function measureOf({ outputs }: Manifest, { best, patience }: TrainChoices): Measure | undefined {
  if (best === undefined && patience === undefined) return undefined
  const known = outputs.filter(({ role }) => role !== 'output')
  const [metric, direction] = (best ?? known.find(({ better }) => better === 'higher')?.name ?? 'loss').split(':') as [string, string?]
  const names = [...new Set([...known.map(({ name }) => name), 'loss'])]
  if (!names.includes(metric))
    throw new InputError(
      `--best ${best}: the net has no loss and no metric ${metric}${didYouMean(metric, names)} (it has ${names.join(', ')})`,
    )
  const found = known.find(({ name }) => name === metric)
  const own = !found || found.role === 'loss' ? 'lower' : found.better
  const better = direction ?? own
  if (better !== 'higher' && better !== 'lower')
    throw new InputError(
      `--best ${best}: whether ${metric} should be higher or lower is not known: write ${metric}:higher or ${metric}:lower`,
    )
  if (own !== undefined && better !== own) throw new InputError(`--best ${best}: ${own} is better of ${metric}: write ${metric}`)
  return { metric, better }
}

/** Watches the tests on the way: which was the best, and whether to wait for a better one. */
export class Watch {
  readonly measure: Measure
  readonly on: Pick<BestEntry, 'part' | 'keptBack'>
  readonly #patience: number
  #state: State

  /** `state`: of the snapshot that the training goes on from. Throws InputError for one that is none. */
  constructor(measure: Measure, on: Pick<BestEntry, 'part' | 'keptBack'>, patience = Infinity, state?: string) {
    this.measure = measure
    this.on = on
    this.#patience = patience
    this.#state = state === undefined ? { since: 0, pending: false } : parse(state)
  }

  get best(): BestEntry | undefined {
    return this.#state.best
  }

  /** No better one came for as many tests as it was to wait. */
  get over(): boolean {
    return this.#state.since >= this.#patience
  }

  get since(): number {
    return this.#state.since
  }

  get pending(): boolean {
    return this.#state.pending
  }

  set pending(pending: boolean) {
    this.#state = { ...this.#state, pending }
  }

  /** The text of the watch for a snapshot. */
  get text(): string {
    return JSON.stringify(this.#state)
  }

  scoreOf({ loss, metrics }: Evaluation): Score {
    const { metric, better } = this.measure
    return { name: metric, value: metrics[metric] ?? loss ?? NaN, better }
  }

  /** Takes in a test; tells whether it was the best so far. What is no number never is. */
  take(test: Evaluation, step: number, epoch: number): boolean {
    const score = this.scoreOf(test)
    const before = this.#state.best
    const isBest = Number.isFinite(score.value) && isBetter(score, before && { ...score, value: before.value })
    this.#state = isBest ? { best: { metric: score.name, ...this.on, value: score.value, step, epoch }, since: 0, pending: false }
      : { ...this.#state, since: this.#state.since + 1, pending: false }
    return isBest
  }
}

function parse(text: string): State {
  try {
    const { best, since, pending } = JSON.parse(text) as Partial<State>
    const whole = !best ||
      (typeof best.metric === 'string' && typeof best.value === 'number' && Number.isSafeInteger(best.step) &&
        Number.isSafeInteger(best.epoch))
    if (whole && Number.isSafeInteger(since) && since! >= 0 && typeof pending === 'boolean')
      return { ...(best && { best }), since: since!, pending }
  } catch {
    // Told below, as a state of another form is.
  }
  throw new InputError('what the snapshot says of its best weights is not understood')
}
