import { children, type Expression } from './expression.ts'
import type { Reduction } from '../codegen/expression-emitter.ts'

/** Terms that one point sums up; infinite where the batch decides. */
export const steps = (r: Reduction): number =>
  r.axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : Infinity), 1)

/** Every reduction in a tree, outer ones first. */
export function reductions(e: Expression, found = new Set<Reduction>(), seen = new Set<Expression>()): Reduction[] {
  if (!seen.has(e)) {
    seen.add(e)
    if (e.kind === 'reduce') found.add(e)
    for (const child of children(e)) reductions(child, found, seen)
  }
  return [...found]
}
