import { canonicalText } from './canonical.ts'
import type { Equation } from './kernel.ts'
import { bindingsOf, type BufferOf, lower, summaryOf } from './lower.ts'
import { invariant } from '../invariant.ts'
import { RESERVED_WORDS } from './reserved-words.ts'
import type { Routine } from './routine.ts'
import { type Schedule, type ScheduleJson, scheduleFromJson, scheduleToJson } from './schedule.ts'

export interface Lowered {
  readonly routine: Routine
  /** The same work with the same bindings, grid and workgroup, for devices that have subgroups. */
  readonly subgroups?: Routine
}

/**
 * Lowers, and remembers: layers of one shape have the same loops under other names, and deep nets repeat the same few
 * shapes. Only names and the head of the text are made anew.
 */
export function loweringOnce(bufferOf: BufferOf, choose: (e: Equation) => Schedule, forSubgroups: (e: Equation, s: Schedule) => boolean): (e: Equation) => Lowered {
  const known = new Map<string, { lowered: Lowered; schedule: ScheduleJson }>()
  return (e) => {
    const access = bindingsOf(e, bufferOf, (name) => name).map((b) => b.access).join()
    const key = `${access}\n${canonicalText(e, false).text}`
    const found = known.get(key)
    if (!found) {
      const schedule = choose(e)
      const lowered = { routine: lower(e, schedule, bufferOf), ...(forSubgroups(e, schedule) && { subgroups: lower(e, schedule, bufferOf, true) }) }
      known.set(key, { lowered, schedule: scheduleToJson(e, schedule) })
      return lowered
    }
    const { routine, subgroups } = found.lowered
    const schedule = scheduleFromJson(e, found.schedule)
    invariant(schedule, `${e.name} has the axes of ${routine.name}`)
    const taken = new Set([...RESERVED_WORDS, ...ownNames(routine), ...(subgroups ? ownNames(subgroups) : [])])
    const bindings = bindingsOf(e, bufferOf, (wanted) => {
      let name = wanted
      for (let i = 2; taken.has(name); i++) name = `${wanted}_${i}`
      taken.add(name)
      return name
    })
    const own = { name: e.name, layers: e.layers, bindings, summary: summaryOf(e, schedule, bindings) }
    return { routine: { ...routine, ...own }, ...(subgroups && { subgroups: { ...subgroups, ...own } }) }
  }
}

const ownNames = (routine: Routine): string[] => {
  const bound = new Set(routine.bindings.map((b) => b.name))
  return [...routine.locals].filter((name) => !bound.has(name))
}
