import { type Expression, walk } from '../../ir/expression.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'

/**
 * The schedule of an equation on a GPU, as data: it changes speed, never the result beyond the order of sums. The knobs, in the words of
 * Halide and tinygrad:
 *   tile    register tile: Halide's `tile` and `unroll` of output axes, tinygrad's UPCAST
 *   lanes   the axis that is vectorized by four: Halide's `vectorize`
 *   across  the same for a reduced axis, whose four partial sums are added at the end
 *   serial  output axes that stay loops inside one invocation
 *   unroll  reduced axes of which several steps stand in a row: Halide's `unroll`, tinygrad's UNROLL
 *   group   workgroup tile: how many register tiles one workgroup computes, an invocation each; tinygrad's LOCAL
 *   stage   shared-memory tile: factors are loaded into workgroup memory, so many reduced steps at a time
 *   inTurn  thread coarsening: one invocation computes the tiles of a group one after the other
 *   share   cooperative reduction: a workgroup divides the steps of one point's reductions; tinygrad's GROUP
 */
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
  /**
   * The shape of a workgroup: so many tiles along each output axis lie side by side in one, one invocation each. Absent:
   * tiles follow each other through the whole grid and workgroups are cut off as they come. Not with `serial`.
   */
  readonly group?: ReadonlyMap<Axis, number>
  /**
   * The two factors of the sum of products are staged in workgroup memory, for so many steps of each reduced axis at a time
   * (the others: one). Divides the axis. With `group` only.
   */
  readonly stage?: ReadonlyMap<Axis, number>
  /** One invocation computes the tiles of a `group`, one after the other; nothing is shared. Only where there are `sides`. */
  readonly inTurn?: true
  /** So many invocations, a workgroup, share the terms of every reduction of one point. With neither `tile` nor `group`. */
  readonly share?: number
}

export const PLAIN: Schedule = { tile: new Map(), serial: [], unroll: new Map() }

/** A schedule as JSON: axes are called by their position in `axesOfEquation` and their name, `1:o`. */
export interface ScheduleJson {
  readonly tile?: Readonly<Record<string, number>>
  readonly lanes?: string
  readonly serial?: readonly string[]
  readonly across?: string
  readonly unroll?: Readonly<Record<string, number>>
  readonly group?: Readonly<Record<string, number>>
  readonly stage?: Readonly<Record<string, number>>
  readonly inTurn?: true
  readonly share?: number
}

/** All axes in an order that is the same for equations of the same `canonicalText`: those of the points, then reduced ones as they are met. */
export function axesOfEquation(e: Equation): readonly Axis[] {
  const axes = new Set(e.axes)
  const seen = new Set<Expression>()
  for (const s of e.stores) for (const node of walk(s.value, seen)) if (node.kind === 'reduce') { for (const a of node.axes) axes.add(a) }
  return [...axes]
}

export function scheduleToJson(e: Equation, s: Schedule): ScheduleJson {
  const axes = axesOfEquation(e)
  const name = (a: Axis): string => `${axes.indexOf(a)}:${a.name}`
  const sizes = (map: ReadonlyMap<Axis, number>): Record<string, number> => Object.fromEntries([...map].map(([a, size]) => [name(a), size]))
  return {
    ...(s.tile.size > 0 && { tile: sizes(s.tile) }),
    ...(s.lanes && { lanes: name(s.lanes) }),
    ...(s.serial.length > 0 && { serial: s.serial.map(name) }),
    ...(s.across && { across: name(s.across) }),
    ...(s.unroll.size > 0 && { unroll: sizes(s.unroll) }),
    ...(s.group && { group: sizes(s.group) }),
    ...(s.stage && { stage: sizes(s.stage) }),
    ...(s.inTurn && { inTurn: true as const }),
    ...(s.share !== undefined && { share: s.share }),
  }
}

/** The schedule for an equal equation; undefined where an axis is not as the JSON says: the file is of another net or version. */
export function scheduleFromJson(e: Equation, json: ScheduleJson): Schedule | undefined {
  const axes = axesOfEquation(e)
  let fits = true
  const axisOf = (name: string): Axis => {
    const a = axes[Number(name.slice(0, name.indexOf(':')))]
    if (!a || a.name !== name.slice(name.indexOf(':') + 1)) fits = false
    return a!
  }
  const sizes = (record: Readonly<Record<string, number>> = {}): Map<Axis, number> =>
    new Map(
      Object.entries(record).map(([name, size]) => {
        if (!Number.isSafeInteger(size) || size < 1) fits = false
        return [axisOf(name), size]
      }),
    )
  const schedule: Schedule = {
    tile: sizes(json.tile),
    ...(json.lanes !== undefined && { lanes: axisOf(json.lanes) }),
    serial: (json.serial ?? []).map(axisOf),
    ...(json.across !== undefined && { across: axisOf(json.across) }),
    unroll: sizes(json.unroll),
    ...(json.group && { group: sizes(json.group) }),
    ...(json.stage && { stage: sizes(json.stage) }),
    ...(json.inTurn === true && { inTurn: true as const }),
    ...(json.share !== undefined && { share: json.share }),
  }
  return fits ? schedule : undefined
}
