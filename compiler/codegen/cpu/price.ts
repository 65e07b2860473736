import type { Equation } from '../../ir/equation.ts'
import { onceByNode } from '../../ir/once-by-node.ts'
import { onceByShape } from '../../ir/once-by-shape.ts'
import type { Price } from '../../ir/price.ts'
import { CPU, type Work } from './cost-model.ts'
import { countWork } from './count-work.ts'
import type { LoopNest } from './loop-nest.ts'
import type { CpuSchedule } from './schedule.ts'

/** Samples of the batch that is priced: what a kernel does once for all of them is shared by so many. */
const BATCH = 16

/**
 * Estimates what fusion changes, in nanoseconds a sample on one thread: the work of the loop nests that would run, at the prices of `CPU.prices`. Prices
 * are of passes. What a sum of products takes in its register tiles is not known to a few percent, so it must cancel: undefined unless the kernel keeps its
 * schedule with what is joined to it.
 */
export function pricer(
  scheduleOf: (e: Equation) => CpuSchedule,
  nestOf: (e: Equation) => LoopNest,
): (joined: readonly Equation[], plain: readonly Equation[], passes: readonly Equation[]) => Price | undefined {
  const nsOf = onceByShape((e): number => {
    const work = countWork(e, nestOf(e), BATCH)
    return (Object.keys(work) as (keyof Work)[]).reduce((sum, kind) => sum + CPU.prices[kind] * work[kind], 0) / BATCH
  })
  const total = (list: readonly Equation[]): number => list.reduce((sum, e) => sum + nsOf(e), 0)
  return (joined, plain, passes) => {
    if (!joined.every((e, i) => keepsSchedule(scheduleOf(e), scheduleOf(plain[i]!))) || !passes.every((e) => isPass(scheduleOf(e))))
      return undefined
    return { joinedNs: Math.max(0, total(joined) - total(plain)), apartNs: total(passes) }
  }
}

/** Whether prices are known to hold for a schedule: point by point, or a sum of products of one vector of sums, which waits for what it loads. */
export const isPass = (schedule: CpuSchedule): boolean =>
  schedule.algorithm === 'pointwise' ||
  (schedule.algorithm === 'contraction' && schedule.packed.length === 0 &&
    Object.values(schedule.registerTile).reduce((sums, size) => sums * size, 1) <= CPU.lanes)

const keepsSchedule = (a: CpuSchedule, b: CpuSchedule): boolean => (isPass(a) && isPass(b)) || withoutNames(a) === withoutNames(b)

/** A schedule as text, axes by their positions alone. Kernels of one shape have one schedule. */
const withoutNames = onceByNode((schedule: CpuSchedule): string => JSON.stringify(schedule).replace(/"(\d+):[^"]*"/g, '$1'))
