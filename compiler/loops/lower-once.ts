import { canonicalText } from './canonical.ts'
import type { Equation } from './kernel.ts'
import { bindingsOf, type BufferOf, lower, summaryOf } from './lower.ts'
import { invariant } from '../invariant.ts'
import { RESERVED_WORDS } from './reserved-words.ts'
import type { Routine } from './routine.ts'
import { type Schedule, type ScheduleJson, scheduleFromJson, scheduleToJson } from './schedule.ts'

/**
 * Lowers, and remembers: layers of one shape have the same loops under other names, and deep nets repeat the same few
 * shapes. Only names and the head of the text are made anew.
 */
export function loweringOnce(bufferOf: BufferOf, choose: (e: Equation) => Schedule): (e: Equation) => Routine {
  const known = new Map<string, { routine: Routine; schedule: ScheduleJson }>()
  return (e) => {
    const access = bindingsOf(e, bufferOf, (name) => name).map((b) => b.access).join()
    const key = `${access}\n${canonicalText(e, false).text}`
    const found = known.get(key)
    if (!found) {
      const schedule = choose(e)
      const routine = lower(e, schedule, bufferOf)
      known.set(key, { routine, schedule: scheduleToJson(e, schedule) })
      return routine
    }
    const before = found.routine
    const schedule = scheduleFromJson(e, found.schedule)
    invariant(schedule, `${e.name} has the axes of ${before.name}`)
    const taken = new Set([...RESERVED_WORDS, ...ownNames(before)])
    const bindings = bindingsOf(e, bufferOf, (wanted) => {
      let name = wanted
      for (let i = 2; taken.has(name); i++) name = `${wanted}_${i}`
      taken.add(name)
      return name
    })
    return { ...before, name: e.name, layers: e.layers, bindings, summary: summaryOf(e, schedule, bindings) }
  }
}

const ownNames = (routine: Routine): string[] => {
  const bound = new Set(routine.bindings.map((b) => b.name))
  return [...routine.locals].filter((name) => !bound.has(name))
}
