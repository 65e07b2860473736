import type { Axis } from './index-expression.ts'

/** How an equation is walked through. Changes speed, never the result beyond the order of sums. */
export interface Schedule {
  /** Register tile: consecutive points of an output axis that one invocation computes. */
  readonly tile: ReadonlyMap<Axis, number>
  /** The tiled axis whose points are held in vectors of four. */
  readonly lanes?: Axis
  /** Output axes that one invocation walks through in a loop: what does not depend on them is computed once before it. */
  readonly serial: readonly Axis[]
  /** A reduced axis that is summed up in four lanes, which are put together at the end. Not with `lanes`. */
  readonly across?: Axis
  /** Reduced axes: how many steps are written out in a row (the whole extent: no loop is left). */
  readonly unroll: ReadonlyMap<Axis, number>
}

export const PLAIN: Schedule = { tile: new Map(), serial: [], unroll: new Map() }
