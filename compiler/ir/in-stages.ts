import type { Equation } from './equation.ts'

/*
 * Sums over a batch are taken in stages, so that chains of additions are short and many points are busy. Who needs neither, as an exporter
 * to a tool with sums of its own, takes the same sum as one equation.
 */

const wholes = new WeakMap<Equation, () => Equation>()

/** The stages, of which is remembered what they make together. */
export function inStages(stages: Equation[], whole: () => Equation): Equation[] {
  for (const stage of stages) wholes.set(stage, whole)
  return stages
}

/** The equations, those that are stages of one sum as one. */
export function withoutStages(equations: readonly Equation[]): readonly Equation[] {
  const found = new Set<() => Equation>()
  return equations.flatMap((equation) => {
    const whole = wholes.get(equation)
    if (!whole) return [equation]
    if (found.has(whole)) return []
    found.add(whole)
    return [whole()]
  })
}
