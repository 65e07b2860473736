import type { Axis } from '../../ir/affine.ts'
import { pointCost } from '../../ir/cost.ts'
import { divisors } from '../../ir/divisors.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Expression } from '../../ir/expression.ts'
import { leastMergeBytes } from './block-reduction.ts'
import { byRegret, extentOf, type GpuModel, type ProcessorModel, type RatedSchedule } from './cost-model.ts'
import type { GemmAxes } from './gemm-axes.ts'
import type { Schedule } from './schedule.ts'
import { sharedTileBytes, sharedTileSize, sharedTilesOf } from './shared-tile.ts'
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

/**
 * The search space of an equation: what is the same for all of its shared-memory tiles. A search prices thousands of them, so sizes are
 * lists of numbers in the order of the axes; only what is chosen becomes a schedule.
 */
interface Space extends SharedTileSearch {
  /** Output axes, then reduced ones: the order of all sizes. */
  readonly order: readonly Axis[]
  /** The length of the block of statistics along each output axis, where it has one. */
  readonly blocks: readonly (number | undefined)[]
  /** Points along each axis, at each batch. */
  readonly extents: readonly (readonly number[])[]
  /** The longest M-axis of a known length: register tiles are vectorized along it. */
  readonly mAxis: Axis | undefined
  /** N-axes that tiles may cut, last first. */
  readonly nAxes: readonly Axis[]
  /** Rounds at the first batch, at least: as many steps as may be are staged at a time. */
  readonly leastRounds: number
  /** Points along an axis at the largest batch. */
  readonly extent: (a: Axis) => number
  /** Elements of the two factors in workgroup memory, by the points and steps along all axes. */
  readonly inputElements: (spans: readonly number[]) => number
  readonly filterElements: (spans: readonly number[]) => number
  /** Instructions to stage an element. */
  readonly inputCost: number
  readonly filterCost: number
  /** The reduced axes in the order in which their steps are staged, by the output axes that a workgroup has several points of. */
  readonly stagingOrder: (spans: readonly number[]) => readonly StagedAxis[]
}

interface StagedAxis {
  readonly axis: Axis
  /** The place of the axis among all. */
  readonly at: number
  /** Divisors of its extent but one, the largest first. */
  readonly steps: readonly number[]
}

interface RegisterTile {
  readonly sizes: ReadonlyMap<Axis, number>
  /** The same along each output axis. */
  readonly along: readonly number[]
  readonly points: number
  /** Loads from workgroup memory for each step of the reduction: vectors of the filter, numbers of the input. */
  readonly loads: number
}

/** A tile of a workgroup and its modelled cost. */
interface WorkgroupTile {
  readonly tile: RegisterTile
  /** How many register tiles lie side by side along each output axis. */
  readonly group: readonly number[]
  /** Points along each output axis, steps along each reduced axis that are staged at a time. */
  readonly spans: readonly number[]
  readonly costs: readonly number[]
}

/** The `most` best schedules of a contraction with shared-memory tiles, by the model of the machine; the best first. */
export function sharedTileSchedules(search: SharedTileSearch): readonly RatedSchedule[] {
  const space = spaceOf(search)
  // Where one is asked for, at one batch, most tiles need no price: what they cost at least is more than another costs.
  const isForOne = search.most === 1 && search.batches.length === 1
  const priced = pricedTiles(space, isForOne)
  const best = bestThatFit(space, priced.tiles)
  // What did not fit exactly may have left one that is no better than those without a price.
  if (!isForOne || best.length > 0 && best[0]!.costs[0]! < priced.othersCost * (1 - ROUNDING)) return best
  return priced.othersCost === Infinity ? best : bestThatFit(space, pricedTiles(space, false).tiles)
}

/** More than the part by which two ways to compute the same cost differ. */
const ROUNDING = 1e-9

/**
 * Tiles with their costs, in the order of the search space. `bounded`: without those that cost more than another at the first batch; `othersCost`
 * is what each of them costs at least.
 */
function pricedTiles(space: Space, bounded: boolean): { readonly tiles: readonly WorkgroupTile[]; readonly othersCost: number } {
  const { model: { sharedTile } } = space
  const shapes: { readonly tile: RegisterTile; readonly group: readonly number[]; readonly cost: number; priced: WorkgroupTile[] }[] = []
  for (const tile of registerTiles(space)) {
    for (const group of workgroupShapes(space, tile.along)) {
      const size = productOf(group)
      if (size < sharedTile.leastInvocations || size > WORKGROUP_INVOCATIONS || !coversBlocks(space, tile.along, group)) continue
      shapes.push({ tile, group, cost: bounded ? leastCost(space, tile, group) : 0, priced: [] })
    }
  }
  let [least, othersCost] = [Infinity, Infinity]
  for (const shape of bounded ? [...shapes].sort((a, b) => a.cost - b.cost) : shapes) {
    const { tile, group, cost } = shape
    if (cost > least * (1 + ROUNDING)) {
      othersCost = cost
      break
    }
    const merge = leastMergeBytes(space.equation.sides, productOf(group), (a) => group[space.order.indexOf(a)]!)
    for (const part of sharedTile.memoryParts) {
      const spans = largestStage(space, tile.along, group, merge, part * WORKGROUP_BYTES)
      if (!spans || (space.admits && !space.admits(stageOf(space, spans)))) continue
      const costs = costsOf(space, tile, group, spans, merge)
      least = Math.min(least, costs[0]!)
      shape.priced.push({ tile, group, spans, costs })
    }
  }
  return { tiles: shapes.flatMap(({ priced }) => priced), othersCost }
}

function spaceOf(search: SharedTileSearch): Space {
  const { equation, axes: { main, mAxes, nAxes, input }, model: { processor, sharedTile }, batches } = search
  const { a, b } = main.body as Extract<Expression, { kind: 'binary' }>
  const filter = a === input ? b : a
  const mayJoinImages = equation.sides.length === 0
  const usual = Math.max(...batches)
  const order = [...equation.axes, ...main.axes]
  const outputs = equation.axes.length
  const staged = main.axes.map((axis, i): StagedAxis => ({
    axis,
    at: outputs + i,
    steps: typeof axis.extent === 'number' ? divisors(axis.extent).filter((d) => d > 1 && d <= sharedTile.mostSteps).reverse() : [],
  })).reverse().filter(({ axis }) => typeof axis.extent === 'number' && axis.extent > 1)
  const orders = new Map<number, readonly StagedAxis[]>()
  return {
    ...search,
    order,
    blocks: equation.axes.map((axis) => blockAlong(equation, axis)),
    extents: batches.map((batch) => order.map((axis) => extentOf(axis, batch))),
    mAxis: mAxes.filter((a) => typeof a.extent === 'number').sort((a, b) => (b.extent as number) - (a.extent as number))[0],
    nAxes: [...nAxes].reverse().filter((a) => a.extent !== 1 && (mayJoinImages || a.extent !== 'n')),
    leastRounds: main.axes.reduce((rounds, axis) => {
      const most = staged.find((one) => one.axis === axis)?.steps[0] ?? 1
      return rounds * Math.ceil(extentOf(axis, batches[0]!) / most)
    }, 1),
    extent: (axis) => extentOf(axis, usual),
    inputElements: sharedTileSize(input, order),
    filterElements: sharedTileSize(filter, order),
    inputCost: processor.staging + pointCost(input),
    filterCost: processor.staging + pointCost(filter),
    stagingOrder: (spans) => {
      let key = 0
      for (let i = 0; i < outputs; i++) key = 2 * key + (spans[i]! > 1 ? 1 : 0)
      let found = orders.get(key)
      if (!found) {
        const moving = equation.axes.filter((_, i) => spans[i]! > 1)
        const slides = ({ axis }: StagedAxis): boolean => moving.some((a) => sharesIndex(main.body, axis, a))
        orders.set(key, found = [...staged.filter(slides), ...staged.filter((one) => !slides(one))])
      }
      return found
    },
  }
}

/** Register tiles: along the M-axis, along the last N-axis, and along at most one other; those that cut blocks of statistics evenly. */
function registerTiles({ equation, axes: { main, input }, model: { sharedTile }, blocks, mAxis, nAxes, extent }: Space): RegisterTile[] {
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
        const along = equation.axes.map((a) => sizes.get(a) ?? 1)
        if (along.some((size, i) => (blocks[i] ?? 0) % size !== 0)) continue
        const loads = (mAxis ? m / 4 : 1) + loadsAlong(input, main, first, n) * loadsAlong(input, main, second, s)
        tiles.push({ sizes, along, points, loads })
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
 * Shapes of workgroups, in register tiles along each output axis, each once. A shape sets some invocations aside for the M-axis, takes the
 * N-axes one after the other until it has enough, and gives what is left to the M-axis.
 */
function workgroupShapes(
  { order, blocks, model: { sharedTile }, mAxis, nAxes, extent }: Space,
  tile: readonly number[],
): readonly (readonly number[])[] {
  const placed = (a: Axis): { readonly at: number; readonly block: number | undefined; readonly count: number } => {
    const at = order.indexOf(a)
    return { at, block: blocks[at], count: Math.ceil(extent(a) / tile[at]!) }
  }
  const [m, ns] = [mAxis && placed(mAxis), nAxes.map(placed)]
  const shapes: number[][] = []
  const group = tile.map(() => 1)
  for (const wanted of sharedTile.invocations) {
    for (const setAside of sharedTile.mInvocations) {
      if (m && m.count < setAside) continue
      let left = m ? Math.floor(wanted / setAside) : wanted
      for (const { at, block, count } of ns) {
        // A workgroup covers a block of statistics, whatever was wanted.
        const size = block === undefined ? Math.max(1, Math.min(wanted, left, count)) : block / tile[at]!
        group[at] = size
        left = Math.floor(left / size)
      }
      if (m) group[m.at] = Math.max(1, Math.min(wanted, left * setAside, m.count))
      if (group.some((size) => size > 1) && !shapes.some((shape) => shape.every((size, i) => size === group[i]))) shapes.push([...group])
    }
  }
  return shapes
}

/** Whether a workgroup covers blocks of statistics exactly. */
function coversBlocks({ blocks }: Space, tile: readonly number[], group: readonly number[]): boolean {
  return blocks.every((block, i) => block === undefined || block === tile[i]! * group[i]!)
}

function productOf(sizes: readonly number[], from = 0): number {
  let product = 1
  for (let i = from; i < sizes.length; i++) product *= sizes[i]!
  return product
}

/**
 * Points along every output axis and the steps that are staged at a time: as many of each reduced axis as fit into so many bytes, beside
 * those that block reductions need.
 * Axes along which windows slide come first, then the others, each innermost first. Undefined: not even one step fits.
 */
function largestStage(
  { order, model: { sharedTile }, inputElements, filterElements, stagingOrder }: Space,
  tile: readonly number[],
  group: readonly number[],
  merge: number,
  bytes: number,
): readonly number[] | undefined {
  const spans = order.map((_, i) => (i < tile.length ? tile[i]! * group[i]! : 1))
  const fits = (): boolean => 4 * (inputElements(spans) + filterElements(spans)) * sharedTile.padding + merge <= bytes
  if (!fits()) return undefined
  for (const { at, steps } of stagingOrder(spans)) {
    // The more steps, the more elements.
    let [low, high] = [0, steps.length]
    while (low < high) {
      const middle = (low + high) >> 1
      spans[at] = steps[middle]!
      if (fits()) high = middle
      else low = middle + 1
    }
    spans[at] = steps[low] ?? 1
  }
  return spans
}

/** Cycles at each batch. A round stages a part of the factors, waits at the barrier, and computes from it. */
function costsOf(space: Space, tile: RegisterTile, group: readonly number[], spans: readonly number[], merge: number): readonly number[] {
  const { model: { processor }, extents, mAxis } = space
  const [inputElements, filterElements] = [space.inputElements(spans), space.filterElements(spans)]
  const size = productOf(group)
  const outputs = group.length
  const filterStaging = mAxis ? Math.ceil(filterElements / 4 / size) * (4 * space.filterCost)
    : Math.ceil(filterElements / size) * space.filterCost
  const staging = Math.ceil(inputElements / size) * space.inputCost + filterStaging
  const round = staging + productOf(spans, outputs) * (tile.points + processor.sharedLoad * tile.loads)
  const residentByMemory = Math.floor(processor.residentBytes / (4 * (inputElements + filterElements) + merge))
  const resident = Math.max(1, Math.min(Math.floor(processor.residentInvocations / size), residentByMemory))
  return extents.map((extent) => {
    let [workgroups, rounds] = [1, 1]
    for (let i = 0; i < outputs; i++) workgroups *= Math.ceil(Math.ceil(extent[i]! / tile.along[i]!) / group[i]!)
    for (let i = outputs; i < spans.length; i++) rounds *= Math.ceil(extent[i]! / spans[i]!)
    const busy = Math.ceil(workgroups / processor.processors) * rounds * round * Math.max(1, size / processor.width)
    const alone = Math.ceil(workgroups / (processor.processors * resident)) * rounds *
      (processor.roundLatency + round * Math.max(processor.dependentInstruction, size / processor.width))
    return timeOf(processor, size, { busy, alone })
  })
}

/** What a tile costs at the first batch at least, however much is staged at a time: its arithmetic, and the latency of as few rounds as there may be. */
function leastCost({ model: { processor }, extents, leastRounds }: Space, tile: RegisterTile, group: readonly number[]): number {
  const extent = extents[0]!
  const size = productOf(group)
  let workgroups = 1
  for (let i = 0; i < group.length; i++) workgroups *= Math.ceil(Math.ceil(extent[i]! / tile.along[i]!) / group[i]!)
  const work = productOf(extent, group.length) * (tile.points + processor.sharedLoad * tile.loads)
  const resident = Math.max(1, Math.floor(processor.residentInvocations / size))
  return timeOf(processor, size, {
    busy: Math.ceil(workgroups / processor.processors) * work * Math.max(1, size / processor.width),
    alone: Math.ceil(workgroups / (processor.processors * resident)) *
      (leastRounds * processor.roundLatency + work * Math.max(processor.dependentInstruction, size / processor.width)),
  })
}

/** Cycles where instructions keep processors busy, or one workgroup's rounds follow each other with nobody to hide their latency. */
function timeOf(processor: ProcessorModel, size: number, { busy, alone }: { readonly busy: number; readonly alone: number }): number {
  const large = size > processor.width ? processor.largeWorkgroup : 1
  return (Math.max(busy, alone) + processor.notHidden * Math.min(busy, alone)) * large
}

/** The best by regret, counting the padding of each exactly. */
function bestThatFit(space: Space, rated: readonly WorkgroupTile[]): readonly RatedSchedule[] {
  const { equation, most } = space
  const best: RatedSchedule[] = []
  for (const one of byRegret(rated)) {
    const schedule = scheduleOf(space, one)
    const { group } = one
    const merge = leastMergeBytes(equation.sides, productOf(group), (a) => group[space.order.indexOf(a)]!)
    if (sharedTileBytes(sharedTilesOf(equation, schedule)!) + merge <= WORKGROUP_BYTES) best.push({ schedule, costs: one.costs })
    if (best.length === most) break
  }
  return best
}

function scheduleOf(space: Space, { tile, group, spans }: WorkgroupTile): Schedule {
  const { equation, axes: { main }, model: { sharedTile }, mAxis } = space
  return {
    tile: tile.sizes,
    ...(mAxis && { lanes: mAxis }),
    serial: [],
    unroll: chooseUnroll(main.body as Extract<Expression, { kind: 'binary' }>, main, tile.sizes, sharedTile.bodyProducts),
    // In the order of the equation's axes: in it invocations count through the workgroup.
    group: new Map(equation.axes.map((a, i) => [a, group[i]!] as const).filter(([, size]) => size > 1)),
    stage: stageOf(space, spans),
  }
}

const stageOf = ({ stagingOrder }: Space, spans: readonly number[]): Map<Axis, number> =>
  new Map(stagingOrder(spans).filter(({ at }) => spans[at]! > 1).map(({ axis, at }) => [axis, spans[at]!]))
