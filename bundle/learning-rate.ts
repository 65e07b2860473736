import { InputError } from './errors.ts'
import type { CallEntry, TrainEntry } from './format.ts'
import type { StepScalars } from './device.ts'

/**
 * Learning rates, as Caffe has them; t = 0, 1, ... counts updates:
 *   fixed b; step b g^floor(t/every); multistep b g^(marks reached); exp b g^t; inv b (1 + g t)^-power;
 *   poly b (1 - t/T)^power; sigmoid b / (1 + exp(-g (t - step))); cosine b (1 + cos(pi t/T)) / 2.
 * `warmup(n)` in front: times (t + 1)/n until n updates are done; the schedule behind it counts from the start all the same.
 */
export const SCHEDULES: readonly string[] = ['fixed', 'step', 'multistep', 'exp', 'inv', 'poly', 'sigmoid', 'cosine', 'warmup']

/**
 * The numbers of updates that durations in epochs, and schedules up to the end, refer to. Unknown (single steps, of no dataset): an epoch and a
 * run have no end.
 */
export interface Horizon {
  readonly stepsPerEpoch?: number
  readonly totalSteps?: number
}

/**
 * `500`, or `{ count: 2, unit: 'epochs' }`, in updates. Half an epoch of 781 is 390.5: what is due then is due with the first update
 * behind it, and nothing drifts.
 */
export function inSteps(value: unknown, horizon: Horizon): number {
  if (typeof value === 'number') return value
  const { count, unit } = (value ?? {}) as { count?: unknown; unit?: unknown }
  if (typeof count !== 'number') return Infinity
  if (unit !== 'epochs') return count
  const steps = count * (horizon.stepsPerEpoch ?? Infinity)
  // 0.07 * 100 is 7.000000000000001.
  const whole = Math.round(steps)
  return Math.abs(steps - whole) < 1e-9 * whole ? whole : steps
}

/** Whether what is done every so many updates is done after update `step`, counted from 1. */
export const isDue = (step: number, every: number): boolean => Math.floor(step / every) > Math.floor((step - 1) / every)

type Rate = (args: Readonly<Record<string, unknown>>, t: number, horizon: Horizon) => number

const numberOf = (args: Readonly<Record<string, unknown>>, name: string, otherwise: number): number => {
  const value = args[name]
  return typeof value === 'number' ? value : otherwise
}
/** The argument of that name, or the only one. */
const durationOf = (args: Readonly<Record<string, unknown>>, name: string): unknown =>
  args[name] ?? Object.values(args).find((v) => typeof v === 'object')

const gammaOf = (args: Readonly<Record<string, unknown>>): number => numberOf(args, 'gamma', 0.1)
const done = (args: Readonly<Record<string, unknown>>, t: number, horizon: Horizon): number =>
  Math.min(1, t / (args['max_iter'] === undefined ? horizon.totalSteps ?? Infinity : inSteps(args['max_iter'], horizon)))

const FACTORS: Readonly<Record<string, Rate>> = {
  fixed: () => 1,
  step: (a, t, h) => gammaOf(a) ** Math.floor(t / inSteps(durationOf(a, 'every'), h)),
  multistep: (a, t, h) => {
    const marks = a['at'] ?? Object.values(a).find(Array.isArray)
    return gammaOf(a) ** (Array.isArray(marks) ? marks : []).filter((mark) => t >= inSteps(mark, h)).length
  },
  exp: (a, t) => gammaOf(a) ** t,
  inv: (a, t) => (1 + gammaOf(a) * t) ** -numberOf(a, 'power', 1),
  poly: (a, t, h) => (1 - done(a, t, h)) ** numberOf(a, 'power', 1),
  // With no end of the epoch in sight a rate that falls has not begun to, and one that rises has: 0 would teach nothing, ever.
  sigmoid: (a, t, h) => {
    const step = inSteps(durationOf(a, 'step'), h)
    return gammaOf(a) === 0 ? 0.5 : step === Infinity ? 1 : 1 / (1 + Math.exp(-gammaOf(a) * (t - step)))
  },
  cosine: (a, t, h) => (1 + Math.cos(Math.PI * done(a, t, h))) / 2,
  warmup: (a, t, h) => {
    const length = inSteps(Object.values(a)[0], h)
    return length === Infinity ? 1 : Math.min(1, (t + 1) / Math.max(1, length))
  },
}

/** The factor of all schedules in a row at update t. */
export function scheduleFactor(schedule: readonly CallEntry[], t: number, horizon: Horizon = {}): number {
  let factor = 1
  for (const { call, args } of schedule) {
    const rate = Object.hasOwn(FACTORS, call) ? FACTORS[call] : undefined
    if (!rate) throw new InputError(`there is no schedule ${call}: ${SCHEDULES.join(', ')}`)
    factor *= rate(args, t, horizon)
  }
  return factor
}

/** The learning rate of update t. A run has the length in the file where `horizon` names none. */
export function rateAt(train: TrainEntry, t: number, horizon: Horizon = {}): number {
  const totalSteps = horizon.totalSteps ?? train.steps
  return numberOf(train.solver.args, 'lr', 0.01) *
    scheduleFactor(train.schedule, t, { ...horizon, ...(totalSteps !== undefined && { totalSteps }) })
}

/** The numbers that go with update t. Adam's corrections are 1 - beta^(t+1); solvers without have 1. */
export function scalarsAt(train: TrainEntry | undefined, t: number, seed: number, rate: number): StepScalars {
  const adam = train?.solver.call.startsWith('adam')
  const correction = (name: string, otherwise: number): number => adam ? 1 - numberOf(train!.solver.args, name, otherwise) ** (t + 1) : 1
  return { step: t, seed: seed >>> 0, rate, correction1: correction('beta1', 0.9), correction2: correction('beta2', 0.999) }
}
