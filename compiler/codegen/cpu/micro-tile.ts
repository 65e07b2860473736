import { pointCost } from '../../ir/cost.ts'
import type { Expression, Reduction } from '../../ir/expression.ts'
import { freeAxes, memoryStride, steps } from '../../ir/analysis.ts'
import { type Axis } from '../../ir/affine.ts'
import { costOfStride, CPU, isInnermost, loadCost, pointsOf, tailWaste } from './cost-model.ts'
import type { FactorName } from './schedule.ts'
import type { Contraction } from './simplify.ts'

/**
 * The register tile of a sum of products (BLIS: the micro-kernel's MR x NR): vectors of one factor are multiplied with elements of
 * the other, which are broadcast to all lanes.
 */
export interface MicroTile {
  readonly vectorFactor: FactorName
  /** The axis in the lanes: an output axis of the vector factor alone. */
  readonly vectorAxis?: Axis
  /** In its place a reduced axis, whose terms are summed up in four lanes. */
  readonly vectorReduction?: Axis
  /** Vectors along `vectorAxis`. */
  readonly vectorCount: number
  /** An output axis of the broadcast factor alone. */
  readonly broadcastAxis: Axis | undefined
  readonly broadcastCount: number
  /** Another output axis of the vector factor alone. */
  readonly outerAxis: Axis | undefined
  readonly outerCount: number
  /** And one more, where a reduced axis lies in the lanes: columns of a depthwise filter beside its rows. */
  readonly innerAxis?: Axis
  readonly innerCount?: number
  /** The vector factor is packed with the axis in lanes innermost. */
  readonly transposed?: boolean
}

/** Vectors of sums in a tile. */
export const accumulatorsOf = (tile: MicroTile): number => tile.vectorCount * tile.broadcastCount * tile.outerCount * (tile.innerCount ?? 1)

/** Output axes that only one factor of a product changes with: the N axes and M axes of a matrix product, by the factor in vectors. */
export interface GemmAxes {
  readonly vector: readonly Axis[]
  readonly broadcast: readonly Axis[]
}

export function gemmAxes({ equation, main: { body } }: Contraction, vectorFactor: FactorName): GemmAxes {
  const [a, b] = [freeAxes(body.a), freeAxes(body.b)]
  const numeric = equation.axes.filter((axis) => typeof axis.extent === 'number' && axis.extent > 1)
  const [inA, inB] = [numeric.filter((axis) => a.has(axis) && !b.has(axis)), numeric.filter((axis) => b.has(axis) && !a.has(axis))]
  return vectorFactor === 'a' ? { vector: inA, broadcast: inB } : { vector: inB, broadcast: inA }
}

/**
 * The `most` cheapest tiles by the cost model, the best first; of equal ones the first that was met. `packed`: factors that are packed;
 * `mayTranspose`: whether either may be, with any axis innermost; or which of them.
 */
export function rankTiles(
  c: Contraction,
  packed: ReadonlySet<FactorName>,
  most: number,
  mayTranspose: boolean | FactorName = false,
): readonly MicroTile[] {
  const best: { readonly cost: number; readonly tile: MicroTile }[] = []
  const consider = (cost: number, tile: MicroTile): void => {
    const after = best.findIndex((other) => cost < other.cost)
    if (after < 0 && best.length === most) return
    best.splice(after < 0 ? best.length : after, 0, { cost, tile })
    if (best.length > most) best.pop()
  }
  for (const vectorFactor of ['a', 'b'] as const) {
    const { vector, broadcast } = gemmAxes(c, vectorFactor)
    for (const broadcastAxis of [undefined, ...broadcast]) {
      const candidate = {
        vectorFactor,
        broadcastAxis,
        packed,
        vector,
        mayTranspose: mayTranspose === true || mayTranspose === vectorFactor,
      }
      for (const vectorAxis of vector)
        if ((vectorAxis.extent as number) >= CPU.lanes) considerVectors(c, { ...candidate, vectorAxis }, consider)
      for (const vectorReduction of c.main.axes)
        if (mayBeVectorReduction(vectorReduction)) considerReduction(c, { ...candidate, vectorReduction }, consider)
    }
  }
  return best.map(({ tile }) => tile)
}

export const mayBeVectorReduction = (a: Axis): boolean => typeof a.extent === 'number' && a.extent >= CPU.lanes

interface Candidate {
  readonly vectorFactor: FactorName
  readonly broadcastAxis: Axis | undefined
  readonly packed: ReadonlySet<FactorName>
  readonly mayTranspose: boolean
  readonly vector: readonly Axis[]
}

const factorsOf = ({ main: { body } }: Contraction, vectorFactor: FactorName): readonly [Expression, Expression] =>
  vectorFactor === 'a' ? [body.a, body.b] : [body.b, body.a]

/** Products that an element of a factor takes part in; those of several images where it is the same for all. */
const usesOfElement = ({ equation, main }: Contraction, f: Expression): number => {
  const free = freeAxes(f)
  return pointsOf([...equation.axes, ...main.axes].filter((a) => !free.has(a)), CPU.batchSteps)
}

/** Tiles with an output axis in the lanes. */
function considerVectors(
  c: Contraction,
  { vectorFactor, broadcastAxis, packed, mayTranspose, vector, vectorAxis }: Candidate & { readonly vectorAxis: Axis },
  consider: (cost: number, tile: MicroTile) => void,
): void {
  const [vectors, others] = factorsOf(c, vectorFactor)
  const isInner = isInnermost(vectors, vectorAxis)
  const inPlace = loadCost(vectors, vectorAxis, packed.has(vectorFactor) && isInner)
  // Packed with these lanes innermost, at a price that all uses of an element share.
  const transposed = mayTranspose && !isInner && inPlace > 1
  const loads = transposed ? 1 : inPlace
  const packing = transposed ? (CPU.transposedPack + pointCost(vectors)) / usesOfElement(c, vectors) : 0
  const broadcast = 1 + (packed.has(vectorFactor === 'a' ? 'b' : 'a') ? 0 : pointCost(others))
  const stored = c.equation.stores.reduce((sum, s) => sum + costOfStride(memoryStride(s.tensor, s.at, vectorAxis)), 0)
  const terms = steps(c.main)
  // Broadcasts from lines of the cache of their own.
  const far = broadcastAxis && !isInnermost(others, broadcastAxis) ? 0.02 : 0
  for (const outerAxis of [undefined, ...vector.filter((a) => a !== vectorAxis)]) {
    for (const [broadcastCount, vectorCount, outerCount] of tileSizes(mostAccumulators(c), broadcastAxis, vectorAxis, outerAxis)) {
      const sums = broadcastCount * vectorCount * outerCount
      const waste = tailWaste(broadcastAxis, broadcastCount) * tailWaste(vectorAxis, CPU.lanes * vectorCount) *
        tailWaste(outerAxis, outerCount)
      // A product, its share of the loads, its share of the stores; of equal tiles the one of fewer vectors.
      const cost = waste * (2 + (vectorCount * outerCount * loads + broadcastCount * broadcast) / sums +
            4 * stored / terms + 0.01 * vectorCount + 0.02 * outerCount + far) + packing
      consider(cost, {
        vectorFactor,
        vectorAxis,
        vectorCount,
        broadcastAxis,
        broadcastCount,
        outerAxis,
        outerCount,
        ...(transposed && { transposed }),
      })
    }
  }
}

/** Tiles with a reduced axis in the lanes: both factors are loaded in vectors, and lanes are added once a sum. */
function considerReduction(
  c: Contraction,
  { vectorFactor, broadcastAxis, packed, vector, vectorReduction }: Candidate & { readonly vectorReduction: Axis },
  consider: (cost: number, tile: MicroTile) => void,
): void {
  const [vectors, others] = factorsOf(c, vectorFactor)
  const loads = (f: Expression, name: FactorName): number =>
    loadCost(f, vectorReduction, packed.has(name) && isInnermost(f, vectorReduction))
  const [a, b] = [loads(vectors, vectorFactor), loads(others, vectorFactor === 'a' ? 'b' : 'a')]
  const terms = steps(c.main)
  for (const outerAxis of [undefined, ...vector]) {
    for (const [broadcastCount, , outerCount] of tileSizes(mostAccumulators(c), broadcastAxis, undefined, outerAxis)) {
      const sums = broadcastCount * outerCount
      const waste = tailWaste(broadcastAxis, broadcastCount) * tailWaste(outerAxis, outerCount) * tailWaste(vectorReduction, CPU.lanes)
      const cost = waste * (2 + (outerCount * a + broadcastCount * b) / sums) + (Number.isFinite(terms) ? 24 / terms : 0.2)
      consider(cost, { vectorFactor, vectorReduction, vectorCount: 1, broadcastAxis, broadcastCount, outerAxis, outerCount })
    }
  }
}

/** Vectors of sums that a register tile may hold. */
export const mostAccumulators = ({ main }: Contraction): number =>
  main.axes.some((a) => typeof a.extent !== 'number') ? CPU.gradientAccumulators : CPU.accumulators

/** Sizes of which at most `most` sums are made: points of the broadcast axis, vectors, points of the outer axis. */
function* tileSizes(
  most: number,
  broadcastAxis: Axis | undefined,
  vectorAxis: Axis | undefined,
  outerAxis: Axis | undefined,
): Generator<readonly [number, number, number]> {
  const upTo = (a: Axis | undefined, sizes: readonly number[]): readonly number[] =>
    a ? sizes.filter((s) => s <= (a.extent as number)) : [1]
  const vectors = vectorAxis ? [1, 2, 3, 4].filter((s) => s === 1 || CPU.lanes * (s - 1) < (vectorAxis.extent as number)) : [1]
  const outer = upTo(outerAxis, [1, 2, 3, 4, 5])
  for (const b of upTo(broadcastAxis, [1, 2, 3, 4, 5, 6])) {
    for (const v of vectors) for (const o of outer) if (b * v * o <= most) yield [b, v, o]
  }
}

/** Steps of the reduced axes that are unrolled: whole filters, so that neighbours share what they load; else a little of the innermost loop. */
export function unrollSteps(sum: Reduction, tile: MicroTile): Map<Axis, number> {
  const unroll = new Map<Axis, number>()
  const accumulators = accumulatorsOf(tile)
  let products = accumulators
  for (const a of [...sum.axes].reverse()) {
    if (a === tile.vectorReduction || typeof a.extent !== 'number') continue
    if (a.extent > CPU.unrolledFilter || products * a.extent > CPU.bodyProducts) continue
    unroll.set(a, a.extent)
    products *= a.extent
  }
  if (products > accumulators) return unroll
  const innermost = sum.axes.filter((a) => typeof a.extent === 'number').at(-1)
  if (!innermost) return unroll
  if (innermost === tile.vectorReduction) { if ((innermost.extent as number) >= 16) unroll.set(innermost, 2) }
  else {
    const factor = [4, 2].find((f) => (innermost.extent as number) % f === 0)
    if (factor) unroll.set(innermost, factor)
  }
  return unroll
}
