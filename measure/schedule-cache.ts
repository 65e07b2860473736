import { sha256Hex } from '../compiler/hash.ts'
import type { ScheduleData, Schedules } from '../compiler/targets/target.ts'
import { InputError } from '../bundle/errors.ts'
import type { Tunable, Tuned } from './tune.ts'

/** Schedules that were found, by the hardware that they were found on: a file that outlives nets and versions. Plain JSON. */
export interface ScheduleCache {
  readonly format: typeof FORMAT
  readonly version: 1
  readonly adapters: readonly AdapterSchedules[]
}

export interface AdapterSchedules {
  readonly target: string
  /** `Device.identity`. */
  readonly adapter: Readonly<Record<string, string>>
  /** The schedules by `kernelKey`. */
  readonly kernels: Readonly<Record<string, CachedSchedule>>
}

export interface CachedSchedule {
  /** The kernel in which it was first met, for people. */
  readonly name: string
  readonly schedule: ScheduleData
  /** The batch at which the schedule was measured. A schedule found at another batch replaces this one. */
  readonly batch: number
  /** Digest of the candidates among which the schedule was found. */
  readonly among: string
  readonly ms: number
  readonly defaultMs: number
  /** Set until whole programs were compared with and without the schedule: it was measured by a run that goes on, or that was interrupted, and is not compiled with. */
  readonly unchecked?: true
}

const FORMAT = 'fusenet-schedules'

export const NO_SCHEDULES: ScheduleCache = { format: FORMAT, version: 1, adapters: [] }

/** Reads a cache's text. Throws InputError where it is none; `file` is what the message calls it. */
export function parseCache(text: string, file: string): ScheduleCache {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch (error) {
    throw new InputError(`${file} is not JSON: ${(error as Error).message}`)
  }
  const cache = read as ScheduleCache
  if (!isObject(read) || cache.format !== FORMAT) throw new InputError(`${file} holds no schedules: its format is not ${FORMAT}`)
  if (cache.version !== 1)
    throw new InputError(`${file} is of version ${String(cache.version)}, this fusenet reads version 1: tune again, with another --cache`)
  const sound = Array.isArray(cache.adapters) &&
    cache.adapters.every((entry: unknown) =>
      isObject(entry) && typeof entry['target'] === 'string'
      && isObject(entry['adapter']) && isObject(entry['kernels']) &&
      Object.values(entry['kernels']).every((kernel) => isObject(kernel) && isObject(kernel['schedule']))
    )
  if (!sound) throw new InputError(`${file} is damaged: adapters with target, adapter and kernels are wanted`)
  return cache
}

export const printCache = (cache: ScheduleCache): string => `${JSON.stringify(cache, null, 1)}\n`

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isSame = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  Object.keys({ ...a, ...b }).every((key) => a[key] === b[key])

export const adapterOf = (cache: ScheduleCache, target: string, adapter: Readonly<Record<string, string>>): AdapterSchedules | undefined =>
  cache.adapters.find((entry) => entry.target === target && isSame(entry.adapter, adapter))

/** The name of an adapter for people. */
export const nameAdapter = ({ adapter }: Pick<AdapterSchedules, 'adapter'>): string =>
  [...new Set(Object.values(adapter).filter(Boolean))].join(' ') || 'unnamed adapter'

/**
 * The schedules in the form that `compile` takes: those that were faster than the compiler's own choice. Where that was the fastest, the compiler goes on choosing,
 * since another version may know better. `unchecked`: with those that were never compared in whole programs.
 */
export const schedulesOf = ({ kernels }: Pick<AdapterSchedules, 'kernels'>, { unchecked = false } = {}): Schedules =>
  Object.fromEntries(
    Object.entries(kernels).filter(([, entry]) => !(entry.ms >= entry.defaultMs) && (unchecked || !entry.unchecked)).map((
      [key, { schedule }],
    ) => [key, schedule]),
  )

/** A text that changes when a compiler knows other ways to compute a kernel. */
const amongOf = ({ candidates }: Pick<Tunable, 'candidates'>): string => sha256Hex(JSON.stringify(candidates)).slice(0, 16)

/** The schedule that is known for a kernel at a batch; undefined where the kernel or its candidates changed. */
export function knownOf(
  cache: ScheduleCache,
  target: string,
  adapter: Readonly<Record<string, string>>,
  kernel: Tunable,
  batch: number,
): CachedSchedule | undefined {
  const known = adapterOf(cache, target, adapter)?.kernels[kernel.key]
  return known?.batch === batch && known.among === amongOf(kernel) ? known : undefined
}

/** The cache with what was found about a kernel, unchecked. */
export function withTuned(
  cache: ScheduleCache,
  target: string,
  adapter: Readonly<Record<string, string>>,
  kernel: Tunable,
  { schedule, ms, defaultMs }: Tuned,
  batch: number,
): ScheduleCache {
  const before = adapterOf(cache, target, adapter)
  const entry: CachedSchedule = {
    name: kernel.name,
    schedule,
    batch,
    among: amongOf(kernel),
    ms,
    defaultMs,
    ...(ms < defaultMs && { unchecked: true }),
  }
  const after = { target, adapter, kernels: { ...before?.kernels, [kernel.key]: entry } }
  return { ...cache, adapters: before ? cache.adapters.map((other) => (other === before ? after : other)) : [...cache.adapters, after] }
}

/**
 * The cache once whole programs were compared with and without the schedules of `keys`: they are checked. Those of `givenUp` count as measured, and as fastest by the
 * compiler's own choice.
 */
export function withChecked(
  cache: ScheduleCache,
  target: string,
  adapter: Readonly<Record<string, string>>,
  keys: readonly string[],
  givenUp: readonly string[],
): ScheduleCache {
  const before = adapterOf(cache, target, adapter)
  if (!before) return cache
  const checked = ([key, { unchecked: _, ...entry }]: [string, CachedSchedule]): [string, CachedSchedule] => [
    key,
    givenUp.includes(key) ? { ...entry, ms: entry.defaultMs } : entry,
  ]
  const kernels = Object.fromEntries(Object.entries(before.kernels).map((entry) => (keys.includes(entry[0]) ? checked(entry) : entry)))
  return { ...cache, adapters: cache.adapters.map((other) => (other === before ? { ...before, kernels } : other)) }
}
