import { freeAxes, hasReduction, isContraction, reductions, strideOf } from '../../ir/analysis.ts'
import { type Axis, linearIndex } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { children } from '../../ir/expression.ts'
import { CPU } from './cost-model.ts'
import type { Loop, LoopNest, Stage, StageGroup } from './loop-nest.ts'

/**
 * The same loop nest for hosts whose engine joins two neighbouring vectors of four lanes to one of eight (V8: revectorization): vectors
 * come in pairs along the axis in lanes, and sums of products have a register tile of twice as many vectors. Tasks, packing and the order
 * in which every sum is taken stay, so both forms share their plan and give the same bits. Undefined where no sum of products has eight
 * neighbours to pair: on such hosts, too, the plain form is the faster one then.
 */
export function widenNest(nest: LoopNest): LoopNest | undefined {
  let isWider = false
  const widen = (stage: Stage): Stage => {
    const sums = stage.equation.stores.some((s) => hasReduction(s.value))
    const loops = stage.vectorReduction ? undefined : sums ? wideTile(stage) : pairs(stage.loops)
    if (!loops) return stage
    isWider ||= sums
    return { ...stage, loops }
  }
  const widenAll = (s: Stage | StageGroup): Stage | StageGroup =>
    'each' in s ? { ...s, each: pairs(s.each) ?? s.each, stages: s.stages.map(widenAll) } : widen(s)
  const stages = nest.stages.map(widenAll)
  if (!isWider) return undefined
  const { outerReduction: outer } = nest
  return {
    ...nest,
    stages,
    inPairs: true,
    ...(outer && { outerReduction: { ...outer, ...(outer.epilogue && { epilogue: widenAll(outer.epilogue) }) } }),
    summary: `${nest.summary}; in pairs of vectors`,
  }
}

/** Points of an axis in lanes; 0 where there is none of known length. */
const neighbours = ({ axis: { extent }, vectorized }: Loop): number => (vectorized && typeof extent === 'number' ? extent : 0)

/** Two vectors at a time along the axis in lanes. */
function pairs(loops: readonly Loop[]): readonly Loop[] | undefined {
  if (!loops.some((l) => l.tile === 1 && neighbours(l) >= 2 * CPU.lanes)) return undefined
  return loops.map((l) => (l.tile === 1 && neighbours(l) >= 2 * CPU.lanes ? { ...l, tile: 2 } : l))
}

/** Of sums whose lanes are stored apart: whole groups of four are transposed. */
const TRANSPOSED: typeof TILES = [{ vectors: 4, points: [4] }, { vectors: 2, points: [4] }]

/** Register tiles of pairs, by their vectors along the axis in lanes: points of the other axis, the fastest first. */
const TILES: readonly { readonly vectors: number; readonly points: readonly number[] }[] = [
  { vectors: 4, points: [6, 4, 5, 3] },
  { vectors: 2, points: [8, 10, 7, 6, 5, 4] },
]

/** The register tile with the least work beyond the edges. */
function wideTile({ loops, equation }: Stage): readonly Loop[] | undefined {
  const lanes = loops.find((l) => neighbours(l) >= 2 * CPU.lanes)
  const others = loops.filter((l) => !l.vectorized)
  const other = others.reduce<Loop | undefined>((most, l) => (l.tile > (most?.tile ?? 1) ? l : most), undefined)
  if (!lanes || !other || typeof other.axis.extent !== 'number') return undefined
  const [across, along] = [neighbours(lanes), other.axis.extent]
  const computed = (extent: number, size: number): number => Math.ceil(extent / size) * size
  if (!isMatrixProduct(equation, lanes.axis, other.axis)) return undefined
  const strides = (a: Axis): readonly (number | undefined)[] => equation.stores.map((s) => strideOf(linearIndex(s.tensor, s.at), a))
  const areApart = strides(lanes.axis).some((stride) => stride !== 1)
  if (areApart && strides(other.axis).some((stride) => stride !== 1)) return undefined
  let best: { readonly vectors: number; readonly points: number; readonly cost: number } | undefined
  for (const { vectors, points } of areApart ? TRANSPOSED : TILES) {
    for (const count of points) {
      if (count > along || vectors * CPU.lanes > computed(across, CPU.lanes)) continue
      // A step loads the tile's pairs and broadcasts its points; fewer than eight pairs of sums do not hide the latency of a sum.
      const sums = vectors * count / 2
      const step = Math.max(sums, 8) + vectors / 2 + count
      const cost = computed(across, vectors * CPU.lanes) * computed(along, count) * step / sums
      if (!best || cost < best.cost) best = { vectors, points: count, cost }
    }
  }
  if (!best) return undefined
  const { vectors, points } = best
  return loops.map((
    l,
  ) => (l === lanes ? { ...l, tile: vectors } : l === other ? { ...l, tile: points } : l.tile > 1 ? { ...l, tile: 1 } : l))
}

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
