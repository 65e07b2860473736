import type { Contraction } from '../simplify.ts'

/**
 * Remembers the plan by the schedule that was tried last for a contraction: who chooses a schedule makes the plan to see whether there is one, and the loop
 * nest by it mostly follows.
 */
export function lastTried<Plan>(): (c: Contraction, schedule: object, make: () => Plan) => Plan {
  const known = new WeakMap<Contraction, { readonly schedule: object; readonly plan: Plan }>()
  return (c, schedule, make) => {
    const before = known.get(c)
    if (before?.schedule === schedule) return before.plan
    const plan = make()
    known.set(c, { schedule, plan })
    return plan
  }
}
