import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Loop, Stage } from './loop-nest.ts'

/** A phase that goes through all that is not fixed by the item, four neighbours at a time. */
export function pointStage(equation: Equation, fixed: readonly Axis[]): Stage {
  const own = equation.axes.filter((a) => !fixed.includes(a))
  const last = own.at(-1)
  return {
    equation,
    loops: own.map((a): Loop => ({ axis: a, tile: 1, ...(a === last && (a.extent as number) >= 4 && { vectorized: true }) })),
    unroll: new Map(),
  }
}
