import { freeAxes, steps, strideOf } from '../../ir/analysis.ts'
import { pointCost } from '../../ir/cost.ts'
import type { Expression, Reduction } from '../../ir/expression.ts'
import { type Axis, linearIndex } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { costOfStride, isInnermost, loadCost, tailWaste } from './cost-model.ts'

/** Registers for sums: of sixteen, as many are needed for products and what is loaded. */
const MOST_SUMS = 8
const MOST_SUMS_ACROSS = 8
/** Multiplications of four lanes written out in a row, at most. */
const BODY = 256

/** How the innermost round of a sum of products looks. */
export interface MicroTile {
  readonly cost: number
  /** The factor that is loaded in vectors (across: the one with `far`). */
  readonly vectorFactor: Expression
  readonly broadcastFactor: Expression
  /** Points of four along an output axis, or steps of four along a reduced one. */
  readonly vectorAxis?: Axis
  readonly vectorReduction?: Axis
  readonly vectorCount: number
  /** An axis of `others`, and one more of `vectors`. */
  readonly broadcastAxis: Axis | undefined
  readonly broadcastCount: number
  readonly outerAxis: Axis | undefined
  readonly outerCount: number
}

/**
 * The cheapest round by the model of `choose-nest.ts`, or the one that comes so many `ranks` after it; undefined where there are
 * not so many. `staged`: factors that are prepared for an item.
 */
export function bestTile(
  e: Equation,
  main: Reduction,
  factors: readonly [Expression, Expression],
  staged: (f: Expression) => boolean,
  ranks = 0,
): MicroTile | undefined {
  // Those in front, the cheapest first; of equal ones the first that was met.
  const best: MicroTile[] = []
  const consider = (tile: MicroTile): void => {
    const behind = best.findIndex((other) => tile.cost < other.cost)
    if (behind >= 0) best.splice(behind, 0, tile)
    else best.push(tile)
    if (best.length > ranks + 1) best.pop()
  }
  const numeric = e.axes.filter((a) => typeof a.extent === 'number' && a.extent > 1)
  const count = steps(main)
  for (const [vectors, others] of [factors, [factors[1], factors[0]] as const]) {
    const inVectors = numeric.filter((a) => freeAxes(vectors).has(a) && !freeAxes(others).has(a))
    const inOthers = [undefined, ...numeric.filter((a) => freeAxes(others).has(a) && !freeAxes(vectors).has(a))]
    for (const near of inOthers) {
      for (const lanes of inVectors) {
        if ((lanes.extent as number) < 4) continue
        const prepared = staged(vectors) && isInnermost(vectors, lanes)
        const loads = loadCost(vectors, lanes, prepared)
        const stored = e.stores.reduce((sum, s) => sum + costOfStride(strideOf(linearIndex(s.tensor, s.at), lanes)), 0)
        for (const far of [undefined, ...inVectors.filter((a) => a !== lanes)]) {
          for (const [nearCount, vectorCount, farCount] of counts(MOST_SUMS, near, lanes, far)) {
            const sums = nearCount * vectorCount * farCount
            const waste = tailWaste(near, nearCount) * tailWaste(lanes, 4 * vectorCount) * tailWaste(far, farCount)
            const cost = waste *
              (2 + (vectorCount * farCount * loads + nearCount * (1 + (staged(others) ? 0 : pointCost(others)))) / sums +
                4 * stored / count + 0.01 * vectorCount + 0.02 * farCount)
            consider({
              cost,
              vectorFactor: vectors,
              broadcastFactor: others,
              vectorAxis: lanes,
              vectorCount,
              broadcastAxis: near,
              broadcastCount: nearCount,
              outerAxis: far,
              outerCount: farCount,
            })
          }
        }
      }
      for (const across of main.axes) {
        if (typeof across.extent !== 'number' || across.extent < 4) continue
        const [a, b] = [vectors, others].map((f) => loadCost(f, across, staged(f) && isInnermost(f, across))) as [number, number]
        for (const far of [undefined, ...inVectors]) {
          for (const [nearCount, , farCount] of counts(MOST_SUMS_ACROSS, near, undefined, far)) {
            const sums = nearCount * farCount
            const waste = tailWaste(near, nearCount) * tailWaste(far, farCount) * tailWaste(across, 4)
            const cost = waste * (2 + (farCount * a + nearCount * b) / sums) + (Number.isFinite(count) ? 24 / count : 0.2)
            consider({
              cost,
              vectorFactor: vectors,
              broadcastFactor: others,
              vectorReduction: across,
              vectorCount: 1,
              broadcastAxis: near,
              broadcastCount: nearCount,
              outerAxis: far,
              outerCount: farCount,
            })
          }
        }
      }
    }
  }
  return best[ranks]
}

/** Sizes of a tile: points of `near`, fours along `lanes`, points of `far`. */
function* counts(
  most: number,
  near: Axis | undefined,
  lanes: Axis | undefined,
  far: Axis | undefined,
): Generator<[number, number, number]> {
  const upTo = (
    a: Axis | undefined,
    sizes: readonly number[],
  ): readonly number[] => (a ? sizes.filter((s) => s <= (a.extent as number)) : [1])
  for (const n of upTo(near, [1, 2, 3, 4, 5, 6])) {
    for (const v of lanes ? [1, 2, 3, 4].filter((s) => s === 1 || 4 * (s - 1) < (lanes.extent as number)) : [1]) {
      for (const f of upTo(far, [1, 2, 3, 4, 5])) if (n * v * f <= most) yield [n, v, f]
    }
  }
}

/** Windows are written out, so that neighbours share what they load; else a little of the innermost loop. */
export function unrollSteps(sum: Reduction, tile: MicroTile, acc: number): Map<Axis, number> {
  const unroll = new Map<Axis, number>()
  let products = acc
  for (const a of [...sum.axes].reverse()) {
    if (a === tile.vectorReduction || typeof a.extent !== 'number') continue
    if (a.extent > 11 || products * a.extent > BODY) continue
    unroll.set(a, a.extent)
    products *= a.extent
  }
  if (products > acc) return unroll
  const innermost = sum.axes.filter((a) => typeof a.extent === 'number').at(-1)
  if (!innermost) return unroll
  if (innermost === tile.vectorReduction) { if ((innermost.extent as number) >= 16) unroll.set(innermost, 2) }
  else {
    const factor = [4, 2].find((f) => (innermost.extent as number) % f === 0)
    if (factor) unroll.set(innermost, factor)
  }
  return unroll
}
