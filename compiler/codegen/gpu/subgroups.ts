import { reductions, isContraction } from '../../ir/analysis.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Schedule } from './schedule.ts'

/**
 * Whether putting together what the invocations of a workgroup hold is so much of a kernel's work that it is worth a second text, for
 * devices with subgroups: sums that a workgroup shares; statistics of what is no convolution, where all invocations hold the same
 * kept points.
 */
export function wantsSubgroups(e: Equation, { share, group, inTurn }: Schedule): boolean {
  if (share !== undefined) return true
  if (e.sides.length === 0 || !group || inTurn) return false
  return e.sides.every(({ keptAxis: kept }) => !group.has(kept)) && !e.stores.some(({ value }) => reductions(value).some(isContraction))
}
