import { isAxis } from '../../ir/affine.ts'
import type { BlockSizes, Equation } from '../../ir/equation.ts'
import { invariant } from '../../invariant.ts'
import { loadOf } from '../../ir/fused-producer.ts'
import { inOrder } from '../../ir/in-order.ts'
import { onceAtWork, onceByNode } from '../../ir/once-by-node.ts'
import { onceByShape } from '../../ir/once-by-shape.ts'
import type { IsConstant, PrepackedKernel } from '../../ir/prepack.ts'
import { applySchedule } from './apply-schedule.ts'
import { isWorthTasks, rankContractions } from './contraction.ts'
import { prepackTransposed } from './prepack-transposed.ts'
import type { LoopNest } from './loop-nest.ts'
import { pricer } from './price.ts'
import { inPreference, type Rule, RULES, type ScheduleLimits, scheduleOfImages, unlessMisfit } from './rules.ts'
import { AxisNames, type CpuSchedule, ScheduleMismatch } from './schedule.ts'
import { simplify } from './simplify.ts'
import { prepackFilter } from './winograd/prepack.ts'

/** Images of the smallest block whose vectors are full. */
const FILLED_BLOCK = 8
/** Once for each equation, so that what is found of one is found for all programs. */
const forMany = onceByNode((e: Equation): Equation => ({ ...e, images: 'many' }))
const forOne = onceByNode((e: Equation): Equation => ({ ...e, images: 'one' }))

/** Register tiles after the best one that are worth a measurement. */
const OTHER_TILES = 5

/** A schedule that fits an equation, and the loop nest by it. */
export interface Fitted {
  readonly schedule: CpuSchedule
  readonly nest: LoopNest
}

/** Chooses schedules for equations. The answer depends on nothing but an equation's `canonicalText`: equations of one shape share it. */
export class CpuScheduler {
  /** The schedule that the cost model prefers. That it fits is seen when its loop nest is made (`fittedOf`): to try it before would cost as much again. */
  readonly scheduleOf: (e: Equation) => CpuSchedule
  /** Rows of the map of which a task gathers statistics; undefined: all. Before fusion has decided it. */
  private readonly rowsOf: (e: Equation) => number | undefined
  /** Whether a task has one image, so that it can compute the whole of what is fused into it first. */
  private readonly hasOneImage: (e: Equation) => boolean
  private readonly gainsFromImages = onceByShape((e: Equation) => {
    const { contraction } = simplify(e)
    return contraction !== undefined && scheduleOfImages(contraction) !== undefined
  })
  private readonly isWorthTasks = onceByShape((e: Equation) => {
    const { contraction } = simplify(e)
    return contraction !== undefined && isWorthTasks(contraction)
  })
  /** What is joined to kernels against passes of its own: see `pricer`. */
  readonly price: ReturnType<typeof pricer>
  readonly limits: ScheduleLimits
  private readonly rules: readonly Rule[]
  /** The loop nest by the chosen schedule, or why that does not fit: made once for who prices kernels and who generates them. */
  private readonly chosenNest = onceAtWork((e: Equation): LoopNest | ScheduleMismatch => {
    try {
      return applySchedule(e, this.scheduleOf(e))
    } catch (error) {
      if (!(error instanceof ScheduleMismatch)) throw error
      return error
    }
  })
  /** Whether the chosen schedule fits; asked before, where no other would do. */
  private readonly chosenFits = onceByShape((e) => !(this.chosenNest(e) instanceof ScheduleMismatch))

  constructor(limits: ScheduleLimits = {}, rules: readonly Rule[] = RULES) {
    this.limits = limits
    this.rules = rules
    this.scheduleOf = onceByShape((e) => inPreference(e, limits, rules).next().value!)
    this.price = pricer(this.scheduleOf, (e) => this.nestOf(e))
    this.rowsOf = onceByShape((e) => {
      const schedule = this.scheduleOf(e)
      if (schedule.algorithm === 'pointwise' || schedule.algorithm === 'winograd-gradient' || !schedule.taskBlock) return undefined
      const row = new AxisNames(simplify(e).equation).of(e.axes.at(-2)!)
      // Where the broadcast factor's axis is cut instead, equations that gather statistics leave it whole.
      return schedule.algorithm === 'contraction' && schedule.registerTile[row] !== undefined ? undefined : schedule.taskBlock[row]
    })
    this.hasOneImage = onceByShape((e) => {
      const { fusedProducer: onLoad, ...plain } = e
      const image = plain.axes[0]
      if (image?.extent !== 'n') return false
      const schedule = this.scheduleOf(plain)
      const blocks = 'taskBlock' in schedule ? schedule.taskBlock : undefined
      if (schedule.tasks[0] !== `0:${image.name}` || blocks?.[`0:${image.name}`] !== undefined) return false
      const load = plain.stores.map((s) => loadOf(s.value, onLoad!)).find((found) => found)
      return load !== undefined && isAxis(load.at[0]!, image)
    })
  }

  /** The loop nest by the chosen schedule. */
  nestOf(e: Equation): LoopNest {
    return this.fittedOf(e).nest
  }

  /**
   * The chosen schedule, or the next one that fits: a rule may take an equation for one that it is made for, and that is no reason to compile nothing. The
   * summary of the nest then tells what did not fit, and why.
   */
  fittedOf(e: Equation): Fitted {
    const schedule = this.scheduleOf(e)
    const nest = this.chosenNest(e)
    if (!(nest instanceof ScheduleMismatch)) return { schedule, nest }
    return this.nextThatFits(e, `${schedule.algorithm} was the first choice and does not fit: ${nest.message}`)
  }

  private nextThatFits(e: Equation, why: string): Fitted {
    const [, ...others] = inPreference(inOrder(e), this.limits, this.rules)
    for (const schedule of others) {
      const nest = unlessMisfit(() => applySchedule(e, schedule))
      if (nest) return { schedule, nest: { ...nest, summary: `${nest.summary}; ${why}` } }
    }
    invariant(false, () => `no schedule fits ${e.name}; ${why}`)
  }

  /** The chosen schedule first, then others that the model may be wrong about; all gather statistics in the same blocks. */
  candidates(e: Equation): readonly CpuSchedule[] {
    // What a weight is packed for is one schedule; all others read it as it is.
    const { prepacked, ...plain } = e
    const { contraction } = simplify(plain)
    const others = [
      ...(prepacked ? [this.scheduleOf(plain)] : []),
      ...(contraction ? rankContractions(contraction, OTHER_TILES + 1) : []),
    ]
    const all = [this.fittedOf(e).schedule, ...others.filter((schedule) => unlessMisfit(() => applySchedule(plain, schedule)))]
    return [...new Map(all.map((schedule) => [JSON.stringify(schedule), schedule])).values()]
  }

  /**
   * The equation as it stands in a program that trains with this batch: for `many` images where that gives it a schedule over blocks of them, and the batch
   * fills one. Or in one that infers (undefined): for `one` where that is worth several tasks.
   */
  inProgram(e: Equation, batch: number | undefined): Equation {
    if (batch === undefined) return this.isWorthTasks(e) ? forOne(e) : e
    return batch >= FILLED_BLOCK && !this.limits.precise && this.gainsFromImages(e) ? forMany(e) : e
  }

  /** The equation with a weight that `prepare` packs, where its kernel is faster so, and the equation that packs it. `batch`: that the net trains with, or 1. */
  prepack(e: Equation, isConstant: IsConstant, batch: number): PrepackedKernel | undefined {
    const { contraction } = simplify(e)
    if (!contraction) return undefined
    const schedule = this.scheduleOf(e)
    const { algorithm } = schedule
    if (algorithm !== 'winograd' && algorithm !== 'contraction') return undefined
    const found = unlessMisfit(() =>
      (this.limits.precise ? undefined
        : prepackFilter(e, contraction, isConstant, { isDirect: algorithm === 'contraction', batch, wide: this.limits.wide === true })) ??
        (algorithm === 'contraction' ? prepackTransposed(e, contraction, schedule, isConstant) : undefined)
    )
    // Nothing but the schedule for which a weight is packed reads it so.
    if (!found || !this.chosenFits(found.equation)) return undefined
    // What is chosen for the equation as it is packed for a schedule must be that schedule.
    const chosen = this.scheduleOf(found.equation)
    return found.equation.prepacked!.form === 'winograd' ? (chosen.algorithm === 'winograd' ? found : undefined)
      : JSON.stringify(chosen) === JSON.stringify(schedule) ? found : undefined
  }

  allows(schedule: CpuSchedule): boolean {
    return !this.limits.precise || (schedule.algorithm !== 'winograd' && schedule.algorithm !== 'winograd-gradient')
  }

  /** The block of a map whose statistics one task computes: all of it, or the rows of a task; or why there are none. */
  statisticsBlock(e: Equation): BlockSizes | string {
    if (e.axes.length < 3) return `${e.name} computes no pictures`
    // Stages walk maps of rows and columns.
    const [stored] = e.stores
    if (stored ? stored.tensor.shape.length > 4 : e.axes.length > 4) return `${e.name} computes maps of more than two axes`
    const [rows, row] = [this.rowsOf(e), e.axes.at(-2)!]
    return (a) => (a === row && rows !== undefined ? rows : typeof a.extent === 'number' ? a.extent : 1)
  }

  /**
   * Why an equation should stay as it is (`plain`) instead of being computed with an epilogue or side reduction (`joined`): no schedule of its
   * algorithm, or none that packs as much, leaves room for it. A pass more costs less than a convolution point by point.
   */
  rejectJoined(joined: Equation, plain: Equation): string | undefined {
    const before = this.scheduleOf(plain)
    if (before.algorithm === 'pointwise') return undefined
    const now = this.scheduleOf(joined)
    const isWorse = now.algorithm !== before.algorithm ? now.algorithm !== 'winograd' : packedFactors(now) < packedFactors(before)
    return isWorse ? `${plain.name} is faster by itself: with what would be joined to it, ${lost(before, now)}` : undefined
  }

  /**
   * Whether an equation (`plain`) packs both factors whatever they are, so that a prologue (`joined`) is computed as they are packed: Winograd's algorithm
   * does, by the same schedule. What a pass would have stored is then neither written nor read. For most no schedule of what is joined is looked for.
   */
  packsPrologue(joined: () => Equation, plain: Equation): boolean {
    const before = this.scheduleOf(plain)
    return (before.algorithm === 'winograd' || before.algorithm === 'winograd-gradient') &&
      JSON.stringify(this.scheduleOf(joined())) === JSON.stringify(before)
  }

  /** Why the tasks of an equation cannot compute what is fused into it first; undefined where they can. */
  rejectFusedProducer(e: Equation): string | undefined {
    return this.hasOneImage(e) ? undefined : `${e.name} takes many images for each part of its weights`
  }
}

const packedFactors = (schedule: CpuSchedule): number => (schedule.algorithm === 'contraction' ? schedule.packed.length : 0)

const lost = (before: CpuSchedule, { algorithm }: CpuSchedule): string =>
  algorithm === 'pointwise' ? 'no register tile would hold its points'
    : before.algorithm === algorithm ? 'its factors could not be packed' : "Winograd's algorithm would not do"
