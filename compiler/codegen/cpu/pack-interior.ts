import { type Axis, axesOf, axis, type IndexLike, plus } from '../../ir/affine.ts'
import { strideOf } from '../../ir/analysis.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Guard } from '../../ir/expression.ts'
import { dropTrueGuards, overAxes } from '../../ir/reshape.ts'
import { CPU } from './cost-model.ts'

/** What fills the inside of a packed map, whose border is zero for all tasks. */
export interface Interior {
  readonly equation: Equation
  /** The axes of `equation` by those of the whole map that they stand for. */
  readonly axes: ReadonlyMap<Axis, Axis>
}

/**
 * The part of a packing that no border meets: points of `given` for which its guards hold whatever the task is, without these guards. All others are zero,
 * so that a thread sets them once for all of its tasks. A guard costs as much as loading and normalizing what is behind it, and vectors of a row begin in
 * front of the map. `fixed`: the axes of tasks. Undefined where no guard is of this kind.
 */
export function interiorOf(given: Equation, fixed: ReadonlySet<Axis>): Interior | undefined {
  const [stored] = given.stores
  if (given.stores.length !== 1 || stored!.value.kind !== 'guard' || stored!.value.otherwise !== 0) return undefined
  const ranges = new Map<Axis, readonly [number, number]>()
  for (const g of stored!.value.guards) {
    const found = rangeWithin(g, fixed)
    if (!found) continue
    const [a, first, end] = found
    const [low, high] = ranges.get(a) ?? [0, a.extent as number]
    ranges.set(a, [Math.max(low, first), Math.min(high, end)])
  }
  const axes = new Map<Axis, Axis>()
  const map = new Map<Axis, IndexLike>()
  for (const [a, [first, end]] of ranges) {
    const size = a.extent as number
    // Fewer than four neighbours would be loaded one by one.
    if (end - first === size || end <= first || (end - first < CPU.lanes && size >= CPU.lanes)) continue
    const inside = axis(a.name, end - first)
    axes.set(a, inside)
    map.set(a, plus(inside, first))
  }
  if (axes.size === 0) return undefined
  return { equation: dropTrueGuards(overAxes(given, map, given.axes.map((a) => axes.get(a) ?? a))), axes }
}

/** The axis and the points of it for which a guard holds, where they are the same for all tasks and whole steps of other axes. */
function rangeWithin(g: Guard, fixed: ReadonlySet<Axis>): readonly [Axis, number, number] | undefined {
  if (g.kind !== 'within' || typeof g.extent !== 'number') return undefined
  const own = axesOf(g.at)
  if (own.length === 0 || own.some((a) => fixed.has(a) || typeof a.extent !== 'number')) return undefined
  const { constant } = g.at
  const steps = own.map((a) => strideOf(g.at, a))
  if (own.length === 1 && steps[0] === 1) return [own[0]!, -constant, g.extent - constant]
  // Columns in rows of their own: a step of one axis is all of the other.
  const [along, phase] = steps[0] === 1 ? [1, 0] : [0, 1]
  const step = steps[along]
  if (own.length !== 2 || steps[phase] !== 1 || !step || own[phase]!.extent !== step || constant % step !== 0 || g.extent % step !== 0)
    return undefined
  return [own[along]!, -constant / step, (g.extent - constant) / step]
}
