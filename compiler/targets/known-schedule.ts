import type { Equation } from '../ir/equation.ts'
import { kernelKey } from '../ir/kernel-key.ts'
import type { ScheduleData, Schedules, ScheduleUse } from './target.ts'

/** A schedule that was given is for another equation, of another version of the compiler, or of nobody. The message says so to people. */
export class RefusedSchedule extends Error {}

/** The schedules that were given to a printer, and what became of them. */
export class KnownSchedules {
  private readonly schedules: Schedules
  /** Nobody gave any: no keys are made then. */
  private readonly isEmpty: boolean
  private readonly used = new Map<string, string>()
  private readonly refused = new Map<string, { readonly kernel: string; readonly why: string }>()
  private readonly names = new Map<string, string>()

  constructor(schedules: Schedules = {}) {
    this.schedules = schedules
    this.isEmpty = Object.keys(schedules).length === 0
  }

  /** Says what a kernel is called, where it is printed under a name that stands for all of its shape. */
  name(e: Equation): void {
    if (this.isEmpty) return
    const key = kernelKey(e)
    if (!this.names.has(key)) this.names.set(key, e.name)
  }

  /** What `take` makes of the schedule that was given for an equation; undefined where there is none, or `take` throws RefusedSchedule. */
  take<T>(e: Equation, take: (schedule: ScheduleData) => T): T | undefined {
    if (this.isEmpty) return undefined
    const key = kernelKey(e)
    const given = Object.hasOwn(this.schedules, key) ? this.schedules[key] : undefined
    if (!given) return undefined
    try {
      const made = take(given)
      if (!this.used.has(key)) this.used.set(key, e.name)
      return made
    } catch (error) {
      if (!(error instanceof RefusedSchedule)) throw error
      if (!this.refused.has(key)) this.refused.set(key, { kernel: e.name, why: error.message })
      return undefined
    }
  }

  /** The schedules by which kernels are computed. */
  taken(): Schedules {
    return Object.fromEntries([...this.used.keys()].map((key) => [key, this.schedules[key]!]))
  }

  use(): Omit<ScheduleUse, 'target' | 'compiled'> {
    // A weight that is packed for one program may be what a schedule was refused for, and taken in another.
    const refused = [...this.refused].filter(([key]) => !this.used.has(key))
    return {
      used: [...this.used].map(([key, name]) => this.names.get(key) ?? name),
      refused: refused.map(([key, { kernel, why }]) => ({ kernel: this.names.get(key) ?? kernel, why })),
      others: Object.keys(this.schedules).length - this.used.size - refused.length,
    }
  }
}

/** The one of some candidates that a schedule says. Throws RefusedSchedule where it is none: another version of the compiler may have had others. `toJson`: what of a candidate stands in a file. */
export function oneOfCandidates<S>(schedule: ScheduleData, candidates: readonly S[], toJson: (candidate: S) => ScheduleData): S {
  const text = JSON.stringify(schedule)
  const found = candidates.find((candidate) => JSON.stringify(toJson(candidate)) === text)
  if (!found) throw new RefusedSchedule('it is none that this version tries')
  return found
}
