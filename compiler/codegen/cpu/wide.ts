import { freeAxes, hasReduction, isContraction, memoryStride, reductions, steps } from '../../ir/analysis.ts'
import { type Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { children, type Reduction, walk } from '../../ir/expression.ts'
import type { Tensor } from '../../ir/tensor.ts'
import { CPU, isInnermost } from './cost-model.ts'
import { isInWholeVectors } from './gathered-sums.ts'
import { type PairedImages, pairImages } from './paired-images.ts'
import { pairMemory } from './separate-pairs.ts'
import type { Loop, LoopNest, Stage, StageGroup } from './loop-nest.ts'

/**
 * The same loop nest for hosts whose engine joins two neighbouring vectors of four lanes to one of eight (V8: revectorization): vectors
 * come in pairs along the axis in lanes, and sums of products have a register tile of twice as many vectors. Tasks, packing and the order
 * in which every sum is taken stay, so both forms share their plan and give the same bits. What has its terms in lanes is paired by images
 * (`pairImages`). Undefined where no sum of products has eight neighbours to pair: on such hosts, too, the plain form is the faster one then.
 */
export function widenNest(nest: LoopNest): LoopNest | undefined {
  let isWider = false
  let memory: Tensor | undefined
  let paired: PairedImages | undefined
  const widen = (stage: Stage): Stage => {
    const sums = stage.equation.stores.some((s) => hasReduction(s.value))
    if (stage.vectorReduction) return stage
    if (!sums) return fitting(stage, pairs(stage.loops) ?? stage.loops)
    const tile = wideTile(stage)
    if (!tile) {
      isWider ||= hasPairs(stage)
      return stage
    }
    isWider = true
    if (tile.areApart) memory ??= pairMemory()
    return { ...fitting(stage, tile.loops), ...(tile.areApart && { pairMemory: memory! }) }
  }
  const widenAll = (s: Stage | StageGroup): Stage | StageGroup =>
    'each' in s ? { ...s, each: pairs(s.each) ?? s.each, stages: s.stages.map(widenAll) } : widen(s)
  const stages = nest.stages.flatMap((stage) => {
    const inPairs = 'each' in stage || paired ? undefined : pairImages(nest, stage)
    if (!inPairs) return [widenAll(stage)]
    isWider = true
    memory ??= pairMemory()
    paired = inPairs
    return [inPairs.pack, { ...inPairs.multiply, pairMemory: memory }]
  })
  if (!isWider) return undefined
  const { outerReduction: outer } = nest
  const outerReduction = outer && { ...outer, ...(outer.epilogue && { epilogue: widenAll(outer.epilogue) }) }
  return {
    ...nest,
    stages,
    ...(outerReduction && { outerReduction }),
    inPairs: true,
    ...(paired && { images: paired.images }),
    scratch: [...nest.scratch, ...(paired ? [paired.into] : []), ...(memory ? [memory] : [])],
    summary: `${nest.summary}; in pairs of vectors`,
  }
}

/** A stage with other loops; with its own, where these would take points twice into sums that it gathers. */
const fitting = (stage: Stage, loops: readonly Loop[]): Stage =>
  stage.gathers && !isInWholeVectors(loops.slice(-stage.gathers.within)) ? stage : { ...stage, loops }

/**
 * Whether the register tile has pairs as it is: of windows that slide over a map without masks, as depthwise convolutions do over a packed one. Larger tiles
 * of these take more registers than there are: 1.1 to 1.5 times the time on 8 x 8 to 32 x 32; so paired, a step of depthwise layers takes 0.95.
 */
const hasPairs = ({ equation: { stores }, loops, slides }: Stage): boolean =>
  slides !== undefined && stores.every((s) => reductions(s.value).every((r) => walk(r.body).every((node) => node.kind !== 'guard'))) &&
  loops.some((l) => l.tile % 2 === 0 && neighbours(l) >= 2 * CPU.lanes && stores.every((s) => memoryStride(s.tensor, s.at, l.axis) === 1))

/** Points of an axis in lanes; 0 where there is none of known length. */
const neighbours = ({ axis: { extent }, vectorized }: Loop): number => (vectorized && typeof extent === 'number' ? extent : 0)

/** Two vectors at a time along the axis in lanes. */
function pairs(loops: readonly Loop[]): readonly Loop[] | undefined {
  if (!loops.some((l) => l.tile === 1 && neighbours(l) >= 2 * CPU.lanes)) return undefined
  return loops.map((l) => (l.tile === 1 && neighbours(l) >= 2 * CPU.lanes ? { ...l, tile: 2 } : l))
}

/**
 * Register tiles of pairs, by their vectors along the axis in lanes: points of the other axis, the fastest first. V8 has 15 registers for sums, a
 * step's vectors and all of its broadcasts, which come first: with more of them, sums go to the stack in every step and take twice the time.
 */
const TILES: readonly { readonly vectors: number; readonly points: readonly number[] }[] = [
  { vectors: 4, points: [4, 3] },
  { vectors: 2, points: [7, 6, 5, 4] },
]

/** Instructions that pass a vector through memory: see `separatePairs`. */
const PASSED = 2

/** What a step pays for each broadcast from a line of the cache of its own. */
const OWN_LINE = 0.25

interface Tile {
  readonly cost: number
  readonly loops: readonly Loop[]
  readonly areApart: boolean
}

/** The cheapest register tile: vectors along the axis in lanes, and points of another axis. */
function wideTile({ loops, equation }: Stage): Tile | undefined {
  const lanes = loops.find((l) => neighbours(l) >= 2 * CPU.lanes)
  if (!lanes) return undefined
  const tiles = loops.filter((l) => !l.vectorized).flatMap((other) => bestTile(equation, loops, lanes, other) ?? [])
  return tiles.reduce<Tile | undefined>((best, tile) => (best && best.cost <= tile.cost ? best : tile), undefined)
}

function bestTile(equation: Equation, loops: readonly Loop[], lanes: Loop, other: Loop): Tile | undefined {
  const [across, along] = [neighbours(lanes), other.axis.extent]
  if (typeof along !== 'number' || !isMatrixProduct(equation, lanes.axis, other.axis)) return undefined
  const computed = (extent: number, size: number): number => Math.ceil(extent / size) * size
  const strides = (a: Axis): readonly (number | undefined)[] => equation.stores.map((s) => memoryStride(s.tensor, s.at, a))
  const areApart = strides(lanes.axis).some((stride) => stride !== 1)
  const isTransposed = strides(other.axis).every((stride) => stride === 1)
  const sumsOf = equation.stores.flatMap((s) => reductions(s.value))
  const terms = sumsOf.reduce((least, r) => Math.min(least, steps(r)), Infinity)
  const broadcast = 1 + (sumsOf.some((r) => !isClose(r, other.axis)) ? OWN_LINE : 0)
  let best: { readonly vectors: number; readonly points: number; readonly cost: number } | undefined
  for (const { vectors, points } of TILES) {
    for (const count of points) {
      if (count > along || vectors * CPU.lanes > computed(across, CPU.lanes)) continue
      // A step loads the tile's pairs and broadcasts its points; fewer than eight pairs of sums do not hide the latency of a sum.
      const sums = vectors * count / 2
      const step = Math.max(sums, 8) + vectors / 2 + count * broadcast
      const each = PASSED + (isTransposed && count % CPU.lanes === 0 ? CPU.interleavedStore : CPU.scatteredStore)
      const stored = areApart ? 2 * sums * each / terms : 0
      const cost = computed(across, vectors * CPU.lanes) / across * computed(along, count) / along * (step + stored) / sums
      if (!best || cost < best.cost) best = { vectors, points: count, cost }
    }
  }
  if (!best) return undefined
  const { vectors, points, cost } = best
  const tiled = loops.map((l) => (l === lanes ? { ...l, tile: vectors } : l === other ? { ...l, tile: points } : { ...l, tile: 1 }))
  return { cost, loops: tiled, areApart }
}

/** Whether points of an axis lie close together in the factor that changes with it. */
const isClose = ({ body }: Reduction, a: Axis): boolean => children(body).every((f) => !freeAxes(f).has(a) || isInnermost(f, a))

/**
 * Whether each of two axes changes one factor alone. Where both change the same one, as rows and columns of a depthwise convolution do, vectors are masked in
 * the padding, each in its own way, and engines do not join them.
 */
const isMatrixProduct = ({ stores }: Equation, lanes: Axis, other: Axis): boolean =>
  stores.flatMap((s) => reductions(s.value)).every((r) =>
    isContraction(r) && children(r.body).every((f) => {
      const free = freeAxes(f)
      return !(free.has(lanes) && free.has(other))
    })
  )
