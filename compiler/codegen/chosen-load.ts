import { axis, type Axis, type Index, linearIndex, plus, rangeOf, shift } from '../ir/affine.ts'
import type { Expression, Guard, Load } from '../ir/expression.ts'
import { onceByNode } from '../ir/once-by-node.ts'

type Sum = Extract<Expression, { kind: 'binary' }>
type Within = Extract<Guard, { kind: 'within' }>
type Part = Extract<Expression, { kind: 'guard' }> & { readonly value: Load }

/**
 * A sum of loads of one tensor, of which one counts at each point and all others are 0: the gradient of slices that were joined in another order. It is one
 * load, where that condition holds that decides.
 */
export interface ChosenLoad {
  readonly load: Load
  /** Where it lies in memory, `place` elements further on than the first of them would. */
  readonly at: Index
  readonly place: Axis
  /** What to add for each part, in the order of the points for which they count; the last one counts where no other does. */
  readonly parts: readonly { readonly guard: Within; readonly offset: number }[]
}

/** A sum as a load whose place is chosen; undefined where it is none. */
export const chosenLoad = onceByNode((e: Sum): ChosenLoad | undefined => {
  const parts = partsOf(e)
  const [first] = parts ?? []
  if (!parts || !first) return undefined
  const found = parts.map(({ guards: [guard], value }) => ({ guard: guard as Within, at: linearIndex(value.tensor, value.at) }))
    .sort((a, b) => b.guard.at.constant - a.guard.at.constant)
  const [{ guard, at }] = found as [typeof found[number]]
  if (parts.some(({ value }) => value.tensor !== first.value.tensor)) return undefined
  if (found.some((part) => part.guard.at.termsKey !== guard.at.termsKey || part.at.termsKey !== at.termsKey)) return undefined
  const { min, max } = rangeOf(shift(guard.at, -guard.at.constant))
  let next = -guard.at.constant
  if (next > min) return undefined
  for (const { guard: { at: { constant }, extent } } of found) {
    if (-constant !== next) return undefined
    next += extent as number
  }
  if (next <= max) return undefined
  const least = Math.min(...found.map((part) => part.at.constant))
  const place = axis('place', Math.max(...found.map((part) => part.at.constant)) - least + 1)
  return {
    load: first.value,
    at: plus(shift(at, least - at.constant), place),
    place,
    parts: found.map((part) => ({ guard: part.guard, offset: part.at.constant - least })),
  }
})

/** The terms of a sum where each is a load that one condition decides on; undefined of any other. */
function partsOf(e: Expression): Part[] | undefined {
  if (e.kind === 'binary' && e.op === 'add') {
    const a = partsOf(e.a)
    const b = a && partsOf(e.b)
    return b && [...a, ...b]
  }
  const isPart = e.kind === 'guard' && e.otherwise === 0 && e.value.kind === 'load' && e.guards.length === 1 &&
    e.guards[0]!.kind === 'within' && typeof e.guards[0]!.extent === 'number'
  return isPart ? [e as Part] : undefined
}
