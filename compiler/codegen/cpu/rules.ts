import type { Equation } from '../../ir/equation.ts'
import { chooseDepthwise } from './depthwise.ts'
import { chooseDepthwiseGradient } from './depthwise-gradient.ts'
import { chooseFilterGradient } from './filter-gradient.ts'
import { chooseInnerProduct } from './inner-product.ts'
import { rankContractions } from './contraction.ts'
import { choosePhases } from './phases-nest.ts'
import { choosePlain } from './plain.ts'
import { choosePointwise, isNarrowMap } from './pointwise.ts'
import { type CpuSchedule, ScheduleMismatch } from './schedule.ts'
import { type Contraction, simplify } from './simplify.ts'
import { chooseImages, chooseWinograd } from './winograd/forward.ts'
import { chooseGradientOfImages, chooseWeightGradient } from './winograd/weight-gradient.ts'

/** What schedules a target allows. */
export interface ScheduleLimits {
  /** Winograd's algorithm is left out: every output is the sum of its own products. */
  readonly precise?: true
  /** Kernels have a second form for engines that join neighbouring vectors: see `widenNest`. Schedules are the same. */
  readonly wide?: true
}

/** A way to choose a schedule for a sum of products; undefined where it is for others. */
export type Rule = (c: Contraction, limits: ScheduleLimits) => CpuSchedule | undefined

/** Register tiles that are tried one after the other where a better one does not fit. */
const MOST_TILES = 6

export const scheduleOfImages = (c: Contraction): CpuSchedule | undefined => chooseImages(c) ?? chooseGradientOfImages(c)

/** The rules for sums of products, the first that has an answer before all others. */
export const RULES: readonly Rule[] = [
  (c, { precise }) => (precise || c.equation.images !== 'many' ? undefined : scheduleOfImages(c)),
  (c, { precise }) => (precise ? undefined : chooseWinograd(c) ?? chooseWeightGradient(c)),
  choosePhases,
  chooseInnerProduct,
  chooseDepthwiseGradient,
  chooseFilterGradient,
  chooseDepthwise,
]

/**
 * The schedules of an equation in the order in which a scheduler prefers them, made as they are asked for: what a rule chooses, register tiles, and at last the
 * plain one, which fits every equation whose weight nobody has packed. Nothing but the equation's `canonicalText` decides.
 */
export function* inPreference(e: Equation, limits: ScheduleLimits, rules: readonly Rule[]): Generator<CpuSchedule, undefined> {
  const { equation, contraction } = simplify(e)
  if (contraction && !isNarrowMap(equation)) {
    const byRules = equation.prepacked?.form === 'transposed' ? [] : rules
    for (const rule of byRules) {
      const schedule = unlessMisfit(() => rule(contraction, limits))
      if (schedule) yield schedule
    }
    yield* unlessMisfit(() => rankContractions(contraction, 1)) ?? []
    yield* unlessMisfit(() => rankContractions(contraction, MOST_TILES).slice(1)) ?? []
  }
  yield choosePointwise(equation)
  yield choosePlain(equation)
}

/** What is made; undefined where that would be of another equation. */
export function unlessMisfit<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof ScheduleMismatch)) throw error
    return undefined
  }
}
