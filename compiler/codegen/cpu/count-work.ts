import { freeAxes, hasReduction, memoryStride } from '../../ir/analysis.ts'
import { type Axis } from '../../ir/affine.ts'
import { type Equation, reads, writes } from '../../ir/equation.ts'
import { type Expression, forEachChild } from '../../ir/expression.ts'
import { elementBytes, elementsPerSample, isBatched } from '../../ir/tensor.ts'
import { costOfStride, CPU, type Work } from './cost-model.ts'
import { type Loop, type LoopNest, pointsOfTile, type Stage, type StageGroup } from './loop-nest.ts'

/** A loop around a value: how often it iterates, and for how many points of its axis an iteration is written out. */
interface Around {
  readonly axis: Axis
  readonly trips: number
  readonly points: number
}

/** The loops around a value, outermost first. Most values in them change with the same few sets of axes. */
class Nesting {
  readonly loops: readonly Around[]
  private readonly known = new Map<ReadonlySet<Axis>, number>()

  constructor(loops: readonly Around[]) {
    this.loops = loops
  }

  /** How often what changes with some axes is computed. */
  timesOf(free: ReadonlySet<Axis>): number {
    const before = this.known.get(free)
    if (before !== undefined) return before
    const made = this.loops.slice(0, deepestOf(this.loops, free) + 1)
      .reduce((times, { axis, trips, points }) => times * trips * (free.has(axis) ? points : 1), 1)
    this.known.set(free, made)
    return made
  }
}

export const FUNCTIONS: ReadonlySet<string> = new Set(['exp', 'log', 'tanh', 'erf', 'pow'])

/**
 * Counts the work of a loop nest for a batch. A value is computed once for each iteration of the innermost loop that it changes with, where loop-invariant
 * code motion puts it, and for each point of the register tile that it differs for. Tiles that overlap at an edge are counted whole.
 */
export function countWork(e: Equation, nest: LoopNest, batch: number): Work {
  const work: { -readonly [Kind in keyof Work]: number } = {
    arithmetic: 0,
    functions: 0,
    loads: 0,
    stores: 0,
    scalars: 0,
    behindSums: 0,
    iterations: 0,
    tasks: 0,
    bytes: 0,
  }
  const extentOf = (a: Axis): number => {
    const { extent } = a
    if (typeof extent !== 'number') return extent === 'n' ? batch : Math.ceil(batch / extent.chunks)
    // A block of images ends with the batch.
    return a === nest.images?.axis ? Math.min(extent, batch) : extent
  }
  const once = (axis: Axis): Around => ({ axis, trips: extentOf(axis), points: 1 })
  const tiled = ({ axis, tile, vectorized }: Loop): Around => {
    const [extent, width] = [extentOf(axis), vectorized ? CPU.lanes : 1]
    return { axis, trips: Math.ceil(extent / (tile * width)), points: Math.min(tile, Math.ceil(extent / width)) }
  }

  const countStage = (
    { equation, loops, vectorReduction, unroll, invariantOver, gathers }: Stage,
    around: readonly Around[],
    shared: Axis | undefined,
  ): void => {
    const own = loops.map(tiled)
    const outer = invariantOver ? around.filter(({ axis }) => invariantOver.includes(axis) || !nest.grid.includes(axis)) : around
    const fours = loops.find(({ vectorized }) => vectorized)?.axis
    const lanes = fours ?? vectorReduction ?? shared
    const stageLoops = [...outer, ...own]
    for (let i = outer.length; i < stageLoops.length; i++) work.iterations += tripsOf(stageLoops.slice(0, i + 1))
    const hasTile = pointsOfTile(loops) >= CPU.lanes * CPU.accumulators / 2 && equation.stores.some(({ value }) => hasReduction(value))
    const seen = new Set<Expression>()
    const visit = (node: Expression, within: Nesting, inSum: boolean): void => {
      if (seen.has(node)) return
      seen.add(node)
      const scalar = vectorReduction && !inSum ? 'behindSums' : 'scalars'
      if (node.kind === 'reduce') {
        // Where terms lie in lanes, four neighbours are four sums.
        const inLanes = vectorReduction !== undefined && node.axes.includes(vectorReduction)
        const sumLanes = inLanes || inSum ? vectorReduction ?? lanes : lanes
        // A sum is taken in front of the loops that it does not change with.
        const inside = new Nesting([
          ...within.loops.slice(0, deepestOf(within.loops, freeAxes(node)) + 1)
            .map((loop): Around => (inLanes && loop.axis === fours ? { ...loop, points: CPU.lanes * loop.points } : loop)),
          ...node.axes.map((axis): Around => {
            const steps = unroll.get(axis) ?? 1
            return { axis, trips: Math.ceil(extentOf(axis) / (steps * (axis === sumLanes ? CPU.lanes : 1))), points: steps }
          }),
        ])
        const free = new Set([...freeAxes(node.body), ...node.axes])
        work.arithmetic += inside.timesOf(free) * (node.combine === 'argmax' ? 3 : 1)
        for (let i = inside.loops.length - node.axes.length; i < inside.loops.length; i++)
          work.iterations += tripsOf(inside.loops.slice(0, deepestOf(inside.loops.slice(0, i + 1), free) + 1))
        return visit(node.body, inside, true)
      }
      const sumLanes = inSum ? vectorReduction ?? lanes : lanes
      const free = freeAxes(node)
      const times = within.timesOf(free)
      const isVector = sumLanes !== undefined && free.has(sumLanes)
      if (node.kind === 'load') {
        if (isVector) work.loads += times * costOfStride(memoryStride(node.tensor, node.at, sumLanes))
        else work[scalar] += times
      } else if ((node.kind === 'unary' || node.kind === 'binary') && FUNCTIONS.has(node.op))
        work.functions += times * (inSum || !hasTile ? 1 : CPU.functionsOfSums)
      else work[isVector ? 'arithmetic' : scalar] += times * operationsOf(node)
      forEachChild(node, (child) => visit(child, within, inSum))
    }
    const all = new Nesting(stageLoops)
    for (const s of equation.stores) {
      visit(s.value, all, false)
      const stride = lanes && memoryStride(s.tensor, s.at, lanes)
      const each = !lanes || stride === 0 || stride === 1 ? 1 : CPU.interleavedStore
      work.stores += each * stageLoops.reduce((product, { trips, points }) => product * trips * points, 1)
    }
    for (const { value } of gathers?.stores ?? []) {
      visit(value, all, false)
      work.arithmetic += all.timesOf(freeAxes(value))
    }
  }
  const countAll = (stages: readonly (Stage | StageGroup)[], around: readonly Around[], shared?: Axis): void => {
    for (const stage of stages) {
      if ('each' in stage)
        countAll(
          stage.stages,
          [...around, ...stage.each.map(tiled)],
          stage.each.find(({ vectorized }) => vectorized)?.axis ?? shared,
        )
      else countStage(stage, around, shared)
    }
  }

  const grid = nest.grid.map(once)
  work.tasks = tripsOf(grid)
  const { outerReduction } = nest
  countAll(nest.stages, outerReduction ? [...grid, once(outerReduction.axis)] : grid)
  if (outerReduction) countAll([outerReduction.init, ...(outerReduction.epilogue ? [outerReduction.epilogue] : [])], grid)
  for (const t of new Set([...reads(e), ...writes(e)]))
    work.bytes += elementBytes(t) * elementsPerSample(t.shape) * (isBatched(t.shape) ? batch : 1)
  return work
}

const tripsOf = (loops: readonly Around[]): number => loops.reduce((product, { trips }) => product * trips, 1)

const deepestOf = (loops: readonly Around[], free: ReadonlySet<Axis>): number => loops.findLastIndex(({ axis }) => free.has(axis))

/** Instructions of one node, without its children. */
function operationsOf(node: Expression): number {
  switch (node.kind) {
    case 'binary':
      return node.op === 'div' ? 4 : 1
    case 'unary':
      return node.op === 'sqrt' ? 4 : node.op === 'rounded' ? 0 : 1
    case 'guard':
      return 2 * node.guards.length
    case 'select':
      return 2
    case 'random':
      return 20
    default:
      return 0
  }
}
