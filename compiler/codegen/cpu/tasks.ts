import { type Axis, axis, plus, times } from '../../ir/affine.ts'
import type { LoopNest } from './loop-nest.ts'
import type { Equation } from '../../ir/equation.ts'
import { CPU } from './cost-model.ts'
import { overAxes, splitAxis } from '../../ir/reshape.ts'
import { type AxisNames, type AxisSizes, type AxisName, fits } from './schedule.ts'

/** An equation cut into tasks. */
export interface TaskGrid {
  readonly equation: Equation
  /** Axes that count tasks, outermost first: axes of the equation, or the outer halves of those that were cut. */
  readonly grid: readonly Axis[]
  /** Axes that were cut into blocks: a task has `size` points, which `inner` counts. */
  readonly cut: ReadonlyMap<Axis, TaskBlock>
}

export interface TaskBlock {
  readonly outer: Axis
  readonly inner: Axis
  readonly size: number
}

/** Into how many tasks so many products of a sample are cut at most: no whole number. */
export const wantedTasks = ({ images }: Pick<Equation, 'images'>, products: number): number =>
  Math.min(CPU.mostTasks, products / (images === 'one' ? CPU.oneImageProducts : CPU.taskProducts))

/** The images of a task, where it has a block of them: the last block may have fewer than its axis says. */
export function imagesOf({ cut }: TaskGrid): LoopNest['images'] {
  const found = [...cut].find(([a]) => a.extent === 'n')?.[1]
  return found && { axis: found.inner, first: times(found.outer, found.size) }
}

/** What counts the points of one task along an axis. */
export const innerAxis = ({ cut }: TaskGrid, a: Axis): Axis => cut.get(a)?.inner ?? a

/**
 * Cuts an equation into tasks. Throws ScheduleMismatch where a block does not divide its axis, or the batch is no axis of tasks.
 * `blocksOfImages`: whose nest ends with the batch (`imagesOf`) may have several images in a task; others would compute images that are not there.
 */
export function cutTasks(
  given: Equation,
  names: AxisNames,
  { tasks, taskBlock = {} }: { readonly tasks: readonly AxisName[]; readonly taskBlock?: AxisSizes | undefined },
  { blocksOfImages = false } = {},
): TaskGrid {
  const counted = tasks.map((name) => names.find(name))
  fits(new Set(counted).size === counted.length && counted.every((a) => given.axes.includes(a)), `tasks are counted by ${tasks.join()}`)
  fits(given.axes.every((a) => typeof a.extent === 'number' || counted.includes(a)), 'tasks do not count the batch')
  let equation = given
  const cut = new Map<Axis, TaskBlock>()
  for (const [a, size] of names.findSizes(taskBlock)) {
    if (a.extent === 'n') {
      fits(blocksOfImages, 'a task has one image')
      fits(counted.includes(a), `${a.name} does not count tasks`)
      const [outer, inner] = [axis(`${a.name}_block`, { chunks: size }), axis(a.name, size)]
      equation = overAxes(
        equation,
        new Map([[a, plus(times(outer, size), inner)]]),
        equation.axes.flatMap((x) => (x === a ? [outer, inner] : [x])),
      )
      cut.set(a, { outer, inner, size })
      continue
    }
    const divides = typeof a.extent === 'number' && size < a.extent && a.extent % size === 0
    fits(divides && counted.includes(a), `${a.name} is not cut into blocks of ${size}`)
    const halves = splitAxis(equation, a, size)
    equation = halves.equation
    cut.set(a, { ...halves, size })
  }
  return { equation, grid: counted.map((a) => cut.get(a)?.outer ?? a), cut }
}

/**
 * The block of statistics along an axis, where fusion has decided it: fusion asks the schedule of an equation that gathers none,
 * and what is chosen for the one that does takes its blocks from there.
 */
export const statisticsBlockAlong = (e: Equation, a: Axis): number | undefined =>
  e.sides.flatMap((side) => side.blocks).find((block) => block.axis === a)?.size

/** Whether tasks have the blocks of all statistics that the equation gathers: those of `size` points along cut axes, whole axes else. */
export const hasStatisticsBlocks = (e: Equation, cut: ReadonlyMap<Axis, number>): boolean =>
  e.sides.every((side) =>
    side.blocks.every((
      { axis: a, size },
    ) => (a.extent === 'n' ? size === 1
      : cut.has(a) ? cut.get(a) === size : typeof a.extent !== 'number' || !e.axes.includes(a) || a.extent === size)
    )
  )
