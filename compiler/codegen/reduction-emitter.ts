import { freeAxes } from '../ir/analysis.ts'
import { type Expression, forEachChild, type Reduction, walk } from '../ir/expression.ts'
import { type Axis, axesOf } from '../ir/affine.ts'
import type { Equation } from '../ir/equation.ts'
import type { Tensor } from '../ir/tensor.ts'
import type { Accumulation, Updates } from './accumulators.ts'
import type { KernelBuilder } from './builder.ts'
import type { MemoryAccess } from './expression-emitter.ts'
import { lanesOf, type Operand } from './kernel-function.ts'
import type { Point } from './point.ts'
import { type CooperativeGroup, type LoopForm, type LoopTiling, onePointEach, openLoops, type ReductionStep,
  take } from './reduction-loops.ts'
import { WindowRowsEmitter } from './window-rows.ts'

const sameAxes = (a: Reduction, b: Reduction): boolean => a.axes.length === b.axes.length && a.axes.every((x, i) => x === b.axes[i])

/** The number of points that an axis is taken to have, whatever the batch is. */
const extentFor = (a: Axis): number => (typeof a.extent === 'number' ? a.extent : 64)

const contains = (e: Reduction, others: readonly Reduction[]): boolean => {
  const inside = walk(e.body)
  return others.some((other) => other !== e && inside.includes(other))
}

/** Writes reductions as loops around accumulators: which of them share a loop, in which order, and in front of what. */
export class ReductionEmitter extends WindowRowsEmitter {
  /** Whose invocations share the terms of every reduction. */
  private readonly workgroup: CooperativeGroup | undefined

  constructor(
    equation: Equation,
    schedule: LoopTiling,
    builder: KernelBuilder,
    slots: ReadonlyMap<Tensor, number>,
    memory?: MemoryAccess,
    workgroup?: CooperativeGroup,
  ) {
    super(equation, schedule, builder, slots, memory)
    this.workgroup = workgroup
  }

  protected reduceAt(e: Reduction, point: Point): void {
    this.reduce([e], [point])
  }

  /**
   * Computes every reduction inside `roots` that depends on nothing but what is bound by now: before the next loop opens.
   * Those over the same axes share one loop: the two sums of a batch normalization's gradient load everything once.
   */
  hoistReductions(roots: readonly Expression[], points: readonly Point[]): void {
    const bound = points[0]!
    const ready: Reduction[] = []
    const seen = new Set<Expression>()
    const visit = (e: Expression): void => {
      if (!this.reduces(e) || seen.has(e)) return
      seen.add(e)
      if (e.kind === 'guard' && !this.isSafe(e, bound)) return
      forEachChild(e, visit)
      if (e.kind === 'reduce' && [...freeAxes(e)].every((a) => bound.has(a))) ready.push(e)
    }
    for (const root of roots) visit(root)
    while (ready.length > 0) {
      const first = ready.shift()!
      // Inner reductions come first in the list, so one that the next needs is never in its group.
      const same = ready.filter((e) => sameAxes(e, first) && !contains(e, ready) && !contains(e, [first]))
      for (const e of same) ready.splice(ready.indexOf(e), 1)
      this.reduce([first, ...same], points)
    }
  }

  /** Adds the steps of a sum, with all that surrounds them bound. */
  accumulateSteps(job: Accumulation): void {
    this.openReduction([job], {}, (step, updates) => this.accumulate(job, step, updates))
  }

  /** The result of a reduction, if it is known by now. */
  found(e: Reduction, point: Point): Operand | undefined {
    return this.recall(e, point)
  }

  /** Notes the result of a reduction that was computed elsewhere. */
  provide(e: Reduction, point: Point, value: Operand): void {
    this.retain(e, point, value)
  }

  private reduce(group: readonly Reduction[], allPoints: readonly Point[]): void {
    // A maximum and its position come out of one job: `finishAccumulation` notes both.
    const alone = group.filter((e, i) =>
      !group.slice(0, i).some((other) => other.body === e.body && e.combine !== 'sum' && other.combine !== 'sum')
    )
    const jobs = alone.map((e) => this.startAccumulation(e, allPoints)).filter((job) => job !== undefined)
    if (this.workgroup && jobs.length > 0 && this.builder.scopes.length === 1) return this.runCooperatively(jobs, this.workgroup)
    // Those whose steps are taken in fours have a loop of their own.
    for (const across of new Set(jobs.map((job) => job.across)))
      this.runJobs(jobs.filter((job) => job.across === across), across ? { across } : {})
  }

  /** Every invocation of the group takes its steps of the longest axis; then the totals are put together. */
  private runCooperatively(jobs: readonly Accumulation[], group: CooperativeGroup): void {
    const strided = jobs[0]!.e.axes.reduce((a, b) => (extentFor(b) > extentFor(a) ? b : a))
    this.runJobs(jobs, { strided: { axis: strided, group } }, (job) => ({
      ...job,
      accumulators: group.total(job.accumulators, job.e.combine === 'sum' ? 'sum' : 'max'),
    }))
  }

  private runJobs(
    jobs: readonly Accumulation[],
    loops: LoopForm,
    gather: (job: Accumulation) => Accumulation = (job) => job,
  ): void {
    this.openReduction(jobs, loops, (step, updates) => {
      for (const job of jobs) this.accumulate(job, step, updates)
    })
    for (const job of jobs) this.finishAccumulation(gather(job))
  }

  /** Opens the loops, then calls `inside` for each unrolled step of the innermost one; what it adds to accumulators is set behind all steps. */
  private openReduction(
    jobs: readonly Accumulation[],
    form: LoopForm,
    inside: (step: ReductionStep, updates: Updates) => void,
  ): void {
    const { axes } = jobs[0]!.e
    // A reduction inside the body that does not depend on these loops is computed before them.
    const bodies = jobs.map(({ e }) => e.body)
    const points = jobs.flatMap((job) => (form.across ? job.points.flatMap(onePointEach) : job.points))
    // Most bodies have none, and then nobody needs the points of all steps.
    const nested = bodies.some((body) => this.reduces(body))
    if (nested) this.hoistReductions(bodies, points)
    const run = (steps: readonly ReductionStep[]): void => {
      if (nested) this.hoistReductions(bodies, points.flatMap((p) => steps.map((step) => take(p, step))))
      const slides = jobs.length === 1 && steps.every(({ count }) => count === undefined) ? this.schedule.slides?.get(jobs[0]!.e)
        : undefined
      if (slides) this.accumulateRows(jobs[0]!, steps, slides)
      else if (jobs.length === 1 && this.accumulateWindows(jobs[0]!, steps)) return
      else if (this.steps && steps.length > 1) {
        for (const step of steps) this.builder.step(() => this.withUpdates((updates) => inside(step, updates)))
      } else {
        this.withUpdates((updates) => {
          for (const step of steps) inside(step, updates)
        })
      }
    }
    openLoops(this.builder, this.schedule, axes, form, (steps, opened) => this.commonGuards(jobs, steps, opened), run)
  }

  /** The guards that all jobs share: where one of them fails, every job adds zero. */
  private commonGuards(jobs: readonly Accumulation[], steps: readonly ReductionStep[], opened: Axis): Operand[] {
    const [first, ...others] = jobs.map(({ e, points }) => this.batchGuards(e, points, steps, opened))
    return first!.filter((guard) => others.every((list) => list.some((g) => this.builder.key(g) === this.builder.key(guard))))
  }

  /**
   * Conditions on the image alone, under which all that a round adds is zero: where chunks of the batch are uneven, the
   * round is skipped instead of adding zeros. Rows and columns in the padding are not worth a branch.
   */
  private batchGuards(e: Reduction, points: readonly Point[], steps: readonly ReductionStep[], opened: Axis): Operand[] {
    if (e.combine !== 'sum' || steps.length !== 1) return []
    const factors = e.body.kind === 'binary' && e.body.op === 'mul' ? [e.body.a, e.body.b] : [e.body]
    const point = take(points[0]!, steps[0]!)
    return factors.flatMap((f) => (f.kind === 'guard' && f.otherwise === 0 ? f.guards : []))
      .filter((g) =>
        g.kind === 'within' && g.extent === 'n' && axesOf(g.at).includes(opened) &&
        axesOf(g.at).every((a) => point.has(a) && !this.schedule.tile.has(a))
      )
      .map((g) => this.guard(g, point))
      .filter((condition) => lanesOf(condition) === 1)
  }
}
