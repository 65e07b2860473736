import { children, type Expression, walk } from './expression.ts'
import type { Equation } from './equation.ts'

const known = new WeakMap<Expression, number>()

/** Operations within each other, at most. */
export function depthOf(e: Expression): number {
  const before = known.get(e)
  if (before !== undefined) return before
  let depth = 0
  for (const child of children(e)) depth = Math.max(depth, depthOf(child))
  known.set(e, depth + 1)
  return depth + 1
}

/** What an equation computes: values of its stores, terms of its sums. */
const valuesOf = (e: Equation): readonly Expression[] => [...e.stores.map((s) => s.value), ...(e.sums?.terms ?? [])]

export const depthOfEquation = (e: Equation): number => valuesOf(e).reduce((most, value) => Math.max(most, depthOf(value)), 0)

/** Operations that are written out, what is shared once. */
export function operationsOf(e: Equation): number {
  const seen = new Set<Expression>()
  for (const value of valuesOf(e)) walk(value, seen)
  return seen.size
}
