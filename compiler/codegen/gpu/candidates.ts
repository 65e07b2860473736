import type { Axis } from '../../ir/affine.ts'
import { pointCost } from '../../ir/cost.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Expression, Reduction } from '../../ir/expression.ts'
import { leastMergeBytes } from './block-reduction.ts'
import { extentOf, type GpuModel, rankByRegret, type RatedSchedule } from './cost-model.ts'
import type { GemmAxes } from './gemm-axes.ts'
import { sharedTileBytes, sharedTileSizes, sharedTilesOf } from './shared-tile.ts'
import { blockAlong } from './statistics-block.ts'
import { loadsAlong, MOST_UNROLLED, sharesIndex, chooseUnroll } from './unroll.ts'
import { WORKGROUP_BYTES, WORKGROUP_INVOCATIONS } from './workgroup.ts'

export interface SharedTileSearch {
  readonly equation: Equation
  readonly axes: GemmAxes
  readonly model: GpuModel
  /** Batches at which schedules are rated. */
  readonly batches: readonly number[]
  /** Schedules that are given, at most. */
  readonly most: number
  /** Whether steps of the reduced axes may be staged together. Default: any. */
  readonly admits?: (stage: ReadonlyMap<Axis, number>) => boolean
}

/** The search space of an equation: what is the same for all of its shared-memory tiles. */
interface Space extends SharedTileSearch {
  /** The longest M-axis of a known length: register tiles are vectorized along it. */
  readonly mAxis: Axis | undefined
  /** N-axes that tiles may cut, last first. */
  readonly nAxes: readonly Axis[]
  /** Points along an axis at the largest batch. */
  readonly extent: (a: Axis) => number
  /** Elements of the two factors in workgroup memory. */
  readonly elements: ReturnType<typeof sharedTileSizes>
  readonly inputIsA: boolean
  /** Instructions to stage an element. */
  readonly inputCost: number
  readonly filterCost: number
}

interface RegisterTile {
  readonly sizes: ReadonlyMap<Axis, number>
  readonly points: number
  /** Loads from workgroup memory for each step of the reduction: vectors of the filter, numbers of the input. */
  readonly loads: number
}

/** A tile of a workgroup: its register tiles, how many lie side by side, the steps that are staged at a time. */
interface WorkgroupTile {
  readonly tile: RegisterTile
  readonly group: ReadonlyMap<Axis, number>
  readonly stage: ReadonlyMap<Axis, number>
}

/** The `most` best schedules of a contraction with shared-memory tiles, by the model of the machine; the best first. */
export function sharedTileSchedules(search: SharedTileSearch): readonly RatedSchedule[] {
  const { axes: { main }, model: { sharedTile }, admits = () => true } = search
  const space = spaceOf(search)
  const rated: RatedSchedule[] = []
  const seen = new Set<string>()
  for (const tile of registerTiles(space)) {
    const unroll = chooseUnroll(productOf(main), main, tile.sizes, sharedTile.bodyProducts)
    for (const group of workgroupShapes(space, tile.sizes)) {
      const key = [...tile.sizes, ...group].map(([a, size]) => `${a.id}:${size}`).join()
      if (seen.has(key)) continue
      seen.add(key)
      if (!fillsWorkgroup(space, tile.sizes, group)) continue
      for (const part of sharedTile.memoryParts) {
        const stage = largestStage(space, tile.sizes, group, part * WORKGROUP_BYTES)
        if (!stage || !admits(stage)) continue
        const schedule = { tile: tile.sizes, ...(space.mAxis && { lanes: space.mAxis }), serial: [], unroll, group, stage }
        rated.push({ costs: costsOf(space, { tile, group, stage }), schedule })
      }
    }
  }
  return bestThatFit(search, rated)
}

const productOf = (main: Reduction): Extract<Expression, { kind: 'binary' }> => main.body as Extract<Expression, { kind: 'binary' }>

function spaceOf(search: SharedTileSearch): Space {
  const { equation, axes: { main, mAxes, nAxes, input }, model: { processor }, batches } = search
  const product = productOf(main)
  const inputIsA = product.a === input
  const mayJoinImages = equation.sides.length === 0
  const usual = Math.max(...batches)
  return {
    ...search,
    mAxis: mAxes.filter((a) => typeof a.extent === 'number').sort((a, b) => (b.extent as number) - (a.extent as number))[0],
    nAxes: [...nAxes].reverse().filter((a) => a.extent !== 1 && (mayJoinImages || a.extent !== 'n')),
    extent: (a) => extentOf(a, usual),
    elements: sharedTileSizes(equation, main),
    inputIsA,
    inputCost: processor.staging + pointCost(input),
    filterCost: processor.staging + pointCost(inputIsA ? product.b : product.a),
  }
}

/** Register tiles: along the M-axis, along the last N-axis, and along at most one other; those that cut blocks of statistics evenly. */
function registerTiles({ equation, axes: { main, input }, model: { sharedTile }, mAxis, nAxes, extent }: Space): RegisterTile[] {
  const { leastPoints, mostPoints } = sharedTile
  const [first, ...others] = nAxes
  const mSizes = mAxis ? sharedTile.mTiles.filter((m) => m <= (mAxis.extent as number) && (mAxis.extent as number) % 4 === 0) : [1]
  const secondSizes: (readonly [Axis | undefined, number])[] = [[undefined, 1]]
  for (const a of others) {
    if (a.extent === 'n') continue
    for (const size of sharedTile.secondTiles) if (size <= extent(a)) secondSizes.push([a, size])
  }
  const tiles: RegisterTile[] = []
  for (const m of mSizes) {
    for (const n of first ? firstSizes(first) : [1]) {
      for (const [second, s] of secondSizes) {
        const points = m * n * s
        if (points < leastPoints || points > mostPoints) continue
        const sizes = new Map<Axis, number>()
        if (mAxis) sizes.set(mAxis, m)
        if (second) sizes.set(second, s)
        if (first && n > 1) sizes.set(first, n)
        if (equation.axes.some((a) => (blockAlong(equation, a) ?? 0) % (sizes.get(a) ?? 1) !== 0)) continue
        const loads = (mAxis ? m / 4 : 1) + loadsAlong(input, main, first, n) * loadsAlong(input, main, second, s)
        tiles.push({ sizes, points, loads })
      }
    }
  }
  return tiles
}

/** Sizes along the first N-axis: powers of two, and a filter's side whole (in the gradient by weights, where it is an N-axis). */
function firstSizes(a: Axis): number[] {
  const most = typeof a.extent === 'number' ? a.extent : 8
  const sizes = [1, 2, 4, 8].filter((t) => t <= most)
  return most <= MOST_UNROLLED && !sizes.includes(most) ? [...sizes, most] : sizes
}

/**
 * Shapes of workgroups, in register tiles along each output axis. A shape sets some invocations aside for the M-axis, takes the N-axes
 * one after the other until it has enough, and gives what is left to the M-axis.
 */
function workgroupShapes(
  { equation: e, model: { sharedTile }, mAxis, nAxes, extent }: Space,
  tile: ReadonlyMap<Axis, number>,
): Map<Axis, number>[] {
  const count = (a: Axis): number => Math.ceil(extent(a) / (tile.get(a) ?? 1))
  const shapes: Map<Axis, number>[] = []
  for (const wanted of sharedTile.invocations) {
    for (const setAside of sharedTile.mInvocations) {
      if (mAxis && count(mAxis) < setAside) continue
      const group = new Map<Axis, number>()
      let left = mAxis ? Math.floor(wanted / setAside) : wanted
      const take = (a: Axis, size: number): void => {
        if (size > 1) group.set(a, size)
        left = Math.floor(left / size)
      }
      const available = (a: Axis): number => Math.max(1, Math.min(wanted, left, count(a)))
      for (const a of nAxes) {
        // A workgroup covers a block of statistics, whatever was wanted.
        const block = blockAlong(e, a)
        take(a, block === undefined ? available(a) : block / (tile.get(a) ?? 1))
      }
      if (mAxis) {
        left *= setAside
        take(mAxis, available(mAxis))
      }
      // In the order of the equation's axes: in it invocations count through the workgroup.
      if (group.size > 0) shapes.push(new Map(e.axes.filter((a) => group.has(a)).map((a) => [a, group.get(a)!])))
    }
  }
  return shapes
}

/** Whether a workgroup covers blocks of statistics exactly, along axes that both factors have too, with a number of invocations that pays. */
function fillsWorkgroup(
  { equation: e, model: { sharedTile } }: Space,
  tile: ReadonlyMap<Axis, number>,
  group: ReadonlyMap<Axis, number>,
): boolean {
  const coversBlocks = e.axes.every((a) => (blockAlong(e, a) ?? spanOf(a, tile, group)) === spanOf(a, tile, group))
  const size = productOfSizes(group)
  return coversBlocks && size >= sharedTile.leastInvocations && size <= WORKGROUP_INVOCATIONS
}

/** Points along an axis that a workgroup computes. */
const spanOf = (a: Axis, tile: ReadonlyMap<Axis, number>, group: ReadonlyMap<Axis, number>): number =>
  (tile.get(a) ?? 1) * (group.get(a) ?? 1)

const productOfSizes = (sizes: ReadonlyMap<Axis, number>): number => {
  let product = 1
  for (const size of sizes.values()) product *= size
  return product
}

/**
 * The steps that are staged at a time: as many of each reduced axis as fit into so many bytes together with what block reductions need.
 * Axes along which windows slide come first, then the others, each innermost first. Undefined: not even one step fits.
 */
function largestStage(
  { equation: e, axes: { main }, model: { sharedTile }, elements }: Space,
  tile: ReadonlyMap<Axis, number>,
  group: ReadonlyMap<Axis, number>,
  bytes: number,
): Map<Axis, number> | undefined {
  const merge = leastMergeBytes(e, group)
  const stage = new Map<Axis, number>()
  const fits = (): boolean => {
    const [a, b] = elements({ tile, group, stage })
    return 4 * (a + b) * sharedTile.padding + merge <= bytes
  }
  if (!fits()) return undefined
  const moving = e.axes.filter((a) => spanOf(a, tile, group) > 1)
  const slides = (r: Axis): boolean => moving.some((a) => sharesIndex(main.body, r, a))
  const fixed = [...main.axes].reverse().filter((a) => typeof a.extent === 'number' && a.extent > 1)
  for (const a of [...fixed.filter(slides), ...fixed.filter((a) => !slides(a))]) {
    for (const size of stagedSteps(a.extent as number, sharedTile.mostSteps)) {
      stage.set(a, size)
      if (fits()) break
      stage.delete(a)
    }
  }
  return stage
}

const known = new Map<string, readonly number[]>()
/** Divisors of an extent but one, up to `most`, the largest first; each search asks again and again. */
function stagedSteps(extent: number, most: number): readonly number[] {
  const key = `${extent} ${most}`
  let steps = known.get(key)
  if (!steps) {
    const from = Math.min(extent, most)
    steps = Array.from({ length: from }, (_, i) => from - i).filter((d) => d > 1 && extent % d === 0)
    known.set(key, steps)
  }
  return steps
}

/** Cycles at each batch. A round stages a part of the factors, waits at the barrier, and computes from it. */
function costsOf(space: Space, { tile, group, stage }: WorkgroupTile): number[] {
  const { equation, axes: { main }, model: { processor }, batches, mAxis } = space
  const [a, b] = space.elements({ tile: tile.sizes, group, stage })
  const [inputElements, filterElements] = space.inputIsA ? [a, b] : [b, a]
  const size = productOfSizes(group)
  const filterStaging = mAxis ? Math.ceil(filterElements / 4 / size) * (4 * space.filterCost)
    : Math.ceil(filterElements / size) * space.filterCost
  const staging = Math.ceil(inputElements / size) * space.inputCost + filterStaging
  const round = staging + productOfSizes(stage) * (tile.points + processor.sharedLoad * tile.loads)
  const residentByMemory = Math.floor(processor.residentBytes / (4 * (a + b) + leastMergeBytes(equation, group)))
  const resident = Math.max(1, Math.min(Math.floor(processor.residentInvocations / size), residentByMemory))
  return batches.map((batch) => {
    const workgroupsAlong = (axis: Axis): number =>
      Math.ceil(Math.ceil(extentOf(axis, batch) / (tile.sizes.get(axis) ?? 1)) / (group.get(axis) ?? 1))
    const workgroups = equation.axes.reduce((p, axis) => p * workgroupsAlong(axis), 1)
    const rounds = main.axes.reduce((p, axis) => p * Math.ceil(extentOf(axis, batch) / (stage.get(axis) ?? 1)), 1)
    // Either instructions keep processors busy, or one workgroup's rounds follow each other with nobody to hide their latency.
    const busy = Math.ceil(workgroups / processor.processors) * rounds * round * Math.max(1, size / processor.width)
    const alone = Math.ceil(workgroups / (processor.processors * resident)) * rounds *
      (processor.roundLatency + round * Math.max(processor.dependentInstruction, size / processor.width))
    const large = size > processor.width ? processor.largeWorkgroup : 1
    return (Math.max(busy, alone) + processor.notHidden * Math.min(busy, alone)) * large
  })
}

/** The best by regret, counting the padding of each exactly. */
function bestThatFit({ equation, most }: SharedTileSearch, rated: readonly RatedSchedule[]): readonly RatedSchedule[] {
  const best: RatedSchedule[] = []
  for (const one of rankByRegret(rated)) {
    const staging = sharedTilesOf(equation, one.schedule)!
    if (sharedTileBytes(one.schedule, staging) + leastMergeBytes(equation, one.schedule.group!) <= WORKGROUP_BYTES) best.push(one)
    if (best.length === most) break
  }
  return best
}
