import { InputError, NonFiniteError } from '../bundle/errors.ts'
import { NON_FINITE_RESULT } from '../bundle/format.ts'
import { trainingProgram, type TrainStats } from '../bundle/programs.ts'
import { inputTensor } from '../bundle/sizes.ts'
import { Totals } from '../bundle/totals.ts'
import type { Numbers } from '../bundle/device.ts'
import type { Call, Executor, Started } from './executor.ts'
import { divisorsOf } from './gradient-divisors.ts'
import { type LossAndCount, LossWatch } from './loss-watch.ts'
import type { Inputs, TrainStep } from './net-api.ts'
import { refuseNoStatistics } from './stored-statistics.ts'
import { findNonFinite, type Place } from './non-finite.ts'

export interface UpdateOptions {
  readonly rate?: number
  readonly stats?: TrainStats
  /** Means what `lent` of `Executor.execute` means. */
  readonly lent?: boolean
  /** Gives a loss that is not finite instead of throwing. */
  readonly keepGoing?: boolean
}

/** The updates of a training: each of one batch or of several whose gradients are added up. */
export class Updates {
  readonly #executor: Executor
  readonly #watch = new LossWatch()

  constructor(executor: Executor) {
    this.#executor = executor
  }

  /** Batches of an update. */
  get accumulate(): number {
    return this.#executor.manifest.train?.accumulate ?? 1
  }

  /** Tells that what is called from here on does not continue what was called before: the net is reset or restored. */
  startAnew(): void {
    this.#watch.forget()
  }

  /** Submits an update. Throws InputError; its loss rejects with NonFiniteError. */
  async run(inputs: Inputs | readonly Inputs[], { rate, stats: asked, lent, keepGoing }: UpdateOptions): Promise<TrainStep> {
    const executor = this.#executor
    const { manifest, losses, session } = executor
    const parts: readonly Inputs[] = Array.isArray(inputs) ? inputs : [inputs as Inputs]
    const wanted = this.accumulate
    if (parts.length !== wanted)
      throw new InputError(
        `this net ${
          wanted === 1 ? 'takes one batch an update' : `adds up the gradients of ${wanted} batches before an update`
        }, here are ${parts.length}${wanted === 1 ? ' (accumulate in its train block says how many are added up)' : ''}`,
      )
    // All of them are checked before the first runs: half a sum of gradients would be in the next update.
    const stats = executor.frozen.stats(asked)
    const calls = this.#check(parts, stats)
    const first = refuseNoStatistics(executor, stats)
    const given = wanted > 1 ? divisorsOf(manifest.train, session.plan, calls.map((call) => [...call.inputs])) : []
    const results = [...losses.map(({ name }) => name), ...new Totals(losses).results, NON_FINITE_RESULT]
    const started: Promise<Started>[] = []
    for (const [i, call] of calls.entries())
      started.push(
        executor.start(call, {
          rate,
          update: i === wanted - 1,
          results,
          part: i,
          lent,
          given,
          after: started[i - 1],
          first,
          kind: 'change',
        }),
      )
    const loss = this.#watch.loss(
      this.#lossAndCount(started),
      keepGoing ? undefined : async ({ loss, elements, lastFiniteLoss }) => {
        const { t, rate } = await started.at(-1)!
        const place = lent ? undefined : await this.#locateLast(calls.at(-1)!, started.at(-1)!)
        return new NonFiniteError({ step: t + 1, rate, loss, elements, done: executor.steps, lastFiniteLoss }, place)
      },
    )
    // Whoever does not ask for it learns of a failed device at the next step.
    loss.catch(() => {})
    const { t, rate: taken } = (await Promise.all(started)).at(-1)!
    return { step: t + 1, rate: taken, loss }
  }

  #check(parts: readonly Inputs[], stats: TrainStats | undefined): Call[] {
    const { manifest } = this.#executor
    return parts.map((part, i) =>
      this.#executor.check(trainingProgram(manifest, i === parts.length - 1 ? 'train' : 'accumulate', stats), part)
    )
  }

  /** The loss of an update's batches as of one, and how many elements of its gradients and of the new parameters are not finite. */
  async #lossAndCount(started: readonly Promise<Started>[]): Promise<LossAndCount> {
    const parts = await Promise.all(started.map(async (part) => (await part).values))
    return {
      loss: parts.length === 1 ? this.#executor.lossOf(parts[0]!) : this.#lossOfAll(parts),
      elements: parts.at(-1)!.get(NON_FINITE_RESULT)?.[0] ?? 0,
    }
  }

  /** The loss of the batches of an update. The solver takes their mean, so a sum counts as the mean of its values (Caffe's iter_size). */
  #lossOfAll(parts: readonly ReadonlyMap<string, Numbers>[]): number {
    const { losses, batch } = this.#executor
    const totals = new Totals(losses)
    for (const values of parts) totals.add(values, batch)
    return this.#executor.lossOf(new Map([...totals.values('mean')].map(([name, value]) => [name, [value]])))
  }

  /** The layer where a number that is not finite shows first, on the inputs that the session holds: nothing else may have run since. */
  async #locateLast(call: Call, started: Promise<Started>): Promise<Place | undefined> {
    const { t, rate } = await started
    const executor = this.#executor
    return executor.enqueue(async () => (executor.steps === t + 1 ? this.#trace(call, t, rate, this.accumulate - 1) : undefined))
  }

  /** The same of the batches of update t, from 0, handed in again. */
  async locate(inputs: readonly Inputs[], t: number, rate: number, stats?: TrainStats): Promise<Place | undefined> {
    const calls = this.#check(inputs, stats)
    const { session } = this.#executor
    return this.#executor.enqueue(async () => {
      for (const [i, call] of calls.entries()) {
        for (const [input, { data }] of call.inputs) session.write(inputTensor(session.plan, input), data)
        const found = await this.#trace(call, t, rate, i)
        if (found) return found
      }
      return undefined
    })
  }

  async #trace({ program, session }: Call, t: number, rate: number, part: number): Promise<Place | undefined> {
    return session.trace && findNonFinite(this.#executor.manifest, session, program, this.#executor.scalars(t, rate, part))
  }
}
