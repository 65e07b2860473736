import { freeAxes, hasReduction } from '../../ir/analysis.ts'
import { type Axis, index } from '../../ir/affine.ts'
import type { Equation, Store } from '../../ir/equation.ts'
import { constant, type Expression, load, walk } from '../../ir/expression.ts'
import { flattenAxes } from '../../ir/reshape.ts'
import { replaceNode } from '../../ir/rewrite.ts'
import { mainOf, mayOverlap } from './contraction.ts'
import { withStatistics } from './gathered-sums.ts'
import { pointStage, scalarLoops, type Stage, type StageGroup } from './loop-nest.ts'
import { innerAxis, type TaskGrid } from './tasks.ts'

/*
 * A phase stores every other point of a row, or has channels in lanes: what it loads and stores of a map lies apart, an element at a time. Whatever needs no
 * sum is therefore done of whole rows, by passes over what a task stores while it is in the cache.
 */

/** Whether sums are stored bare, and the rest is computed of whole rows behind them: it loads maps. */
export function hasEpilogue(e: Equation, strided: readonly Axis[]): boolean {
  const [stored, ...others] = e.stores
  if (others.length > 0 || stored!.tensor.type !== 'f32' || !mayFill(e)) return false
  const rest = replaceNode(stored!.value, mainOf(e), constant(0))
  return !hasReduction(rest) && walk(rest).some((node) => node.kind === 'load' && strided.some((a) => freeAxes(node).has(a)))
}

/** Computes what is stored from sums that were stored in its place, and gathers statistics of it: channel by channel where tasks have several. */
export function epilogueStages(task: TaskGrid): (Stage | StageGroup)[] {
  const { equation } = task
  const stage = mapStage(task, ({ tensor, at }) => load(tensor, ...at))
  const [side] = equation.sides
  const channels = side && stage.loops.find(({ axis }) => axis === innerAxis(task, side.keptAxis))
  if (!channels || channels.vectorized || side.groupAxis) return withStatistics(stage, equation, task)
  return [{
    each: scalarLoops([channels.axis]),
    stages: withStatistics({ ...stage, loops: stage.loops.filter((l) => l !== channels) }, equation, task, index(channels.axis)),
  }]
}

/** Whether all that phases without a sum store may be stored first, of whole rows. */
export const mayFill = (e: Equation): boolean => mayOverlap(e) && e.stores.every((s) => !s.counts)

/** Stores what phases without a sum compute; the others store over it. */
export const fillStage = (task: TaskGrid): Stage => mapStage(task, () => constant(0))

function mapStage(task: TaskGrid, sum: (stored: Store) => Expression): Stage {
  const { equation, grid } = task
  const main = mainOf(equation)
  const stores = equation.stores.map((s) => ({ ...s, value: replaceNode(s.value, main, sum(s)) }))
  const apart = [...grid, ...equation.sides.map((side) => innerAxis(task, side.keptAxis))]
  return pointStage(flattenAxes({ ...equation, sides: [], stores }, apart), grid)
}
