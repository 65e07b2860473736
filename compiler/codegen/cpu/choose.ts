import { isAxis } from '../../ir/affine.ts'
import type { BlockSizes, Equation } from '../../ir/equation.ts'
import type { Contraction } from './simplify.ts'
import { loadOf } from '../../ir/fused-producer.ts'
import { onceByNode } from '../../ir/once-by-node.ts'
import { onceByShape } from '../../ir/once-by-shape.ts'
import type { IsConstant, PrepackedKernel } from '../../ir/prepack.ts'
import { applySchedule } from './apply-schedule.ts'
import { chooseFilterGradient } from './filter-gradient.ts'
import { rankContractions } from './contraction.ts'
import { chooseDepthwise } from './depthwise.ts'
import { chooseDepthwiseGradient } from './depthwise-gradient.ts'
import { chooseInnerProduct } from './inner-product.ts'
import { prepackTransposed } from './prepack-transposed.ts'
import type { LoopNest } from './loop-nest.ts'
import { choosePhases } from './phases-nest.ts'
import { choosePointwise, isNarrowMap } from './pointwise.ts'
import { pricer } from './price.ts'
import { AxisNames, type CpuSchedule } from './schedule.ts'
import { simplify } from './simplify.ts'
import { chooseImages, chooseWinograd } from './winograd/forward.ts'
import { prepackFilter } from './winograd/prepack.ts'
import { chooseGradientOfImages, chooseWeightGradient } from './winograd/weight-gradient.ts'

/** What schedules a target allows. */
export interface ScheduleLimits {
  /** Winograd's algorithm is left out: every output is the sum of its own products. */
  readonly precise?: true
  /** Kernels have a second form for engines that join neighbouring vectors: see `widenNest`. Schedules are the same. */
  readonly wide?: true
}

/** Images of the smallest block whose vectors are full. */
const FILLED_BLOCK = 8
/** Once for each equation, so that what is found of one is found for all programs. */
const withManyImages = onceByNode((e: Equation): Equation => ({ ...e, manyImages: true }))

/** Register tiles after the best one that are worth a measurement. */
const OTHER_TILES = 5

/** Chooses schedules for equations. The answer depends on nothing but an equation's `canonicalText`: equations of one shape share it. */
export class CpuScheduler {
  /** The schedule that the cost model prefers. */
  readonly scheduleOf: (e: Equation) => CpuSchedule
  /** Rows of the map of which a task gathers statistics; undefined: all. Before fusion has decided it. */
  private readonly rowsOf: (e: Equation) => number | undefined
  /** Whether a task has one image, so that it can compute the whole of what is fused into it first. */
  private readonly hasOneImage: (e: Equation) => boolean
  private readonly gainsFromImages = onceByShape((e: Equation) => {
    const { contraction } = simplify(e)
    return contraction !== undefined && scheduleOfImages(contraction) !== undefined
  })
  /** What is joined to kernels against passes of its own: see `pricer`. */
  readonly price: ReturnType<typeof pricer>
  private readonly limits: ScheduleLimits

  constructor(limits: ScheduleLimits = {}) {
    this.limits = limits
    this.scheduleOf = onceByShape((e) => chooseSchedule(e, limits))
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
    return applySchedule(e, this.scheduleOf(e))
  }

  /** The chosen schedule first, then others that the model may be wrong about; all gather statistics in the same blocks. */
  candidates(e: Equation): readonly CpuSchedule[] {
    // What a weight is packed for is one schedule; all others read it as it is.
    const { prepacked, ...plain } = e
    const { contraction } = simplify(plain)
    const all = [
      this.scheduleOf(e),
      ...(prepacked ? [this.scheduleOf(plain)] : []),
      ...(contraction ? rankContractions(contraction, OTHER_TILES + 1) : []),
    ]
    return [...new Map(all.map((schedule) => [JSON.stringify(schedule), schedule])).values()]
  }

  /** The equation with `manyImages` where that gives it a schedule over blocks of images, and the batch fills one. */
  inTraining(e: Equation, batch: number): Equation {
    return batch >= FILLED_BLOCK && !this.limits.precise && this.gainsFromImages(e) ? withManyImages(e) : e
  }

  /** The equation with a weight that `prepare` packs, where its kernel is faster so, and the equation that packs it. `batch`: that the net trains with, or 1. */
  prepack(e: Equation, isConstant: IsConstant, batch: number): PrepackedKernel | undefined {
    const { contraction } = simplify(e)
    if (!contraction || e.fusedProducer) return undefined
    const schedule = this.scheduleOf(e)
    const { algorithm } = schedule
    if (algorithm !== 'winograd' && algorithm !== 'contraction') return undefined
    const found = (this.limits.precise ? undefined
      : prepackFilter(e, contraction, isConstant, { isDirect: algorithm === 'contraction', batch, wide: this.limits.wide === true })) ??
      (algorithm === 'contraction' ? prepackTransposed(e, contraction, schedule, isConstant) : undefined)
    if (!found) return undefined
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
    const [now, before] = [this.scheduleOf(joined), this.scheduleOf(plain)]
    const isWorse = now.algorithm !== before.algorithm ? before.algorithm !== 'pointwise' && now.algorithm !== 'winograd'
      : packedFactors(now) < packedFactors(before)
    return isWorse ? `${plain.name} is faster by itself: with what would be joined to it, ${lost(before, now)}` : undefined
  }

  /**
   * Whether an equation (`plain`) packs both factors whatever they are, so that a prologue (`joined`) is computed as they are packed: Winograd's algorithm
   * does, by the same schedule. What a pass would have stored is then neither written nor read.
   */
  packsPrologue(joined: Equation, plain: Equation): boolean {
    const [now, before] = [this.scheduleOf(joined), this.scheduleOf(plain)]
    return (before.algorithm === 'winograd' || before.algorithm === 'winograd-gradient') && JSON.stringify(now) === JSON.stringify(before)
  }

  /** Why the tasks of an equation cannot compute what is fused into it first; undefined where they can. */
  rejectFusedProducer(e: Equation): string | undefined {
    return this.hasOneImage(e) ? undefined : `${e.name} takes many images for each part of its weights`
  }
}

const scheduleOfImages = (c: Contraction): CpuSchedule | undefined => chooseImages(c) ?? chooseGradientOfImages(c)

const packedFactors = (schedule: CpuSchedule): number => (schedule.algorithm === 'contraction' ? schedule.packed.length : 0)

const lost = (before: CpuSchedule, { algorithm }: CpuSchedule): string =>
  algorithm === 'pointwise' ? 'no register tile would hold its points'
    : before.algorithm === algorithm ? 'its factors could not be packed' : "Winograd's algorithm would not do"

function chooseSchedule(e: Equation, { precise }: ScheduleLimits): CpuSchedule {
  const { equation, contraction } = simplify(e)
  if (!contraction || isNarrowMap(equation)) return choosePointwise(equation)
  const ofImages = equation.manyImages ? scheduleOfImages(contraction) : undefined
  if (equation.prepacked?.form === 'transposed') return rankContractions(contraction, 1)[0]!
  const fast = precise ? undefined : ofImages ?? chooseWinograd(contraction) ?? chooseWeightGradient(contraction)
  return fast ?? choosePhases(contraction) ?? chooseInnerProduct(contraction) ?? chooseDepthwiseGradient(contraction) ??
    chooseFilterGradient(contraction) ?? chooseDepthwise(contraction) ?? rankContractions(contraction, 1)[0] ?? choosePointwise(equation)
}
