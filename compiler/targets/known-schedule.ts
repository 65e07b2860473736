import type { Equation } from '../ir/equation.ts'
import { kernelKey } from '../ir/kernel-key.ts'
import type { ScheduleData, Schedules } from './target.ts'

/**
 * The schedule that is known to be fast for an equation, if it is one of its candidates: another version of the compiler may have had others.
 * `toJson`: what of a candidate stands in the file.
 */
export function knownSchedule<S>(
  equation: Equation,
  schedules: Schedules | undefined,
  candidates: () => readonly S[],
  toJson: (candidate: S) => ScheduleData,
): S | undefined {
  const known = schedules?.[kernelKey(equation)]
  if (!known) return undefined
  const text = JSON.stringify(known)
  return candidates().find((candidate) => JSON.stringify(toJson(candidate)) === text)
}
