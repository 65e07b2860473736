import { adapterOf, type ScheduleCache, schedulesOf, withChecked } from '../measure/schedule-cache.ts'
import type { ProgramBench } from '../measure/bench.ts'
import type { Tunable } from '../measure/tune.ts'
import { judge } from '../measure/verdict.ts'
import type { Device } from '../bundle/device.ts'
import type { Bundle } from '../bundle/format.ts'
import { planFor } from '../bundle/plans.ts'
import type { CompileOptions } from '../compiler/compile-options.ts'
import { progress } from './progress.ts'
import type { Screen } from './screen.ts'
import { changeCache } from './tuned.ts'

/** What is checked: the schedules that a cache has for the kernels of a net on a device. */
export interface Check {
  readonly device: Device
  readonly adapter: Readonly<Record<string, string>>
  readonly cacheFile: string
  readonly cache: ScheduleCache
  readonly kernels: readonly Tunable[]
  readonly programs: readonly string[]
  readonly batch: number
  readonly compile: (schedules: CompileOptions['schedules']) => Promise<Bundle>
  readonly stopped: () => boolean
}

export interface Checked {
  readonly cache: ScheduleCache
  /** The kernels of the net that are compiled with a schedule of the cache from now on. */
  readonly kept: readonly Tunable[]
  readonly givenUp: readonly Tunable[]
  /** The kernels whose schedules are still unchecked: it was stopped, or turns did not agree. */
  readonly unchecked: readonly Tunable[]
  /** Programs with the schedules that were checked before, and with all. */
  readonly reports: readonly ProgramBench[]
}

/** The kernels of a net that the schedules of a cache are for, as `compile` takes them; `unchecked`: those that it does not take yet. */
export function kernelsIn(check: Pick<Check, 'device' | 'adapter' | 'kernels'>, cache: ScheduleCache) {
  const entry = adapterOf(cache, planFor(check.device), check.adapter) ?? { kernels: {} }
  const [kept, all] = [schedulesOf(entry), schedulesOf(entry, { unchecked: true })]
  return {
    kept: check.kernels.filter(({ key }) => Object.hasOwn(kept, key)),
    unchecked: check.kernels.filter(({ key }) => Object.hasOwn(all, key) && !Object.hasOwn(kept, key)),
  }
}

/**
 * Compares whole programs with and without the schedules that no run has checked, where there are any: kernels were measured alone, and what counts is the net. Those
 * that do not make a program faster are given up; the cache keeps the verdict. Where turns do not agree, there are more of them; schedules that these do not decide on
 * stay unchecked, so that the next run compares them again.
 */
export async function checkSchedules(check: Check, screen: Screen): Promise<Checked> {
  const { device, adapter, cacheFile, cache, stopped } = check
  const plan = planFor(device)
  const before = kernelsIn(check, cache)
  if (before.unchecked.length === 0 || stopped()) return { cache, ...before, givenUp: [], reports: [] }
  const entry = adapterOf(cache, plan, adapter)!
  const without = await check.compile({ [plan]: schedulesOf(entry) })
  const withAll = await check.compile({ [plan]: schedulesOf(entry, { unchecked: true }) })
  let reports = isSame(without, withAll) ? [] : await compare(check, [without, withAll], ROUNDS, screen)
  let { givenUp, undecided } = judge(before.unchecked, reports)
  if (undecided.length > 0 && !stopped()) {
    reports = await compare(check, [without, withAll], MORE_ROUNDS, screen)
    ;({ givenUp, undecided } = judge(before.unchecked, reports))
  }
  if (stopped()) return { cache, ...before, givenUp: [], reports: [] }
  const keys = (kernels: readonly Tunable[]): string[] => kernels.map(({ key }) => key)
  const decided = before.unchecked.filter((kernel) => !undecided.includes(kernel))
  const after = await changeCache(cacheFile, (now) => withChecked(now, plan, adapter, keys(decided), keys(givenUp)))
  return { cache: after, ...kernelsIn(check, after), givenUp, reports }
}

/** Whether the schedules change nothing. */
const isSame = (a: Bundle, b: Bundle): boolean =>
  JSON.stringify(a.manifest.plans) === JSON.stringify(b.manifest.plans) &&
  [...a.files].every(([file, data]) => String(b.files.get(file)) === String(data))

/** Turns of whole programs, and where those do not agree. */
const ROUNDS = 13
const MORE_ROUNDS = 39

async function compare(
  { programs, batch, device, stopped }: Check,
  [without, withAll]: readonly [Bundle, Bundle],
  rounds: number,
  screen: Screen,
): Promise<readonly ProgramBench[]> {
  const { bench } = await import('../measure/bench.ts')
  const measured = (['infer', 'train'] as const).filter((program) => programs.includes(program))
  const bar = progress(screen, 'compare', 2 * rounds * measured.length, 'measurements')
  let done = 0
  try {
    return await bench([{ name: 'before', bundle: without, sameNet: true }, { name: 'tuned', bundle: withAll, sameNet: true }], {
      device,
      batch,
      programs: measured,
      rounds,
      stopped,
      onMeasured: (program, who) => bar.update(++done, done, `${program} ${who}`),
    })
  } finally {
    bar.stop()
  }
}
