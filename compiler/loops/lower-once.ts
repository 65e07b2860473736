import { canonicalText } from './canonical.ts'
import type { Equation } from './kernel.ts'
import { bindingsOf, type BufferOf, lower, summaryOf } from './lower.ts'
import { RESERVED_WORDS } from './reserved-words.ts'
import type { Routine } from './routine.ts'
import type { Schedule } from './schedule.ts'

/**
 * Lowers, and remembers: layers of one shape have the same loops under other names, and deep nets repeat the same few
 * shapes. Only names and the head of the text are made anew.
 */
export function loweringOnce(bufferOf: BufferOf, choose: (e: Equation) => Schedule): (e: Equation) => Routine {
  const known = new Map<string, Routine>()
  return (e) => {
    const access = bindingsOf(e, bufferOf, (name) => name).map((b) => b.access).join()
    const key = `${access}\n${canonicalText(e, false).text}`
    const schedule = choose(e)
    const before = known.get(key)
    if (!before) {
      const routine = lower(e, schedule, bufferOf)
      known.set(key, routine)
      return routine
    }
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
