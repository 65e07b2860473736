import { freeAxes, isLeaf } from '../ir/analysis.ts'
import { children, type Expression, forEachChild, LOWEST, type Reduction, walk } from '../ir/expression.ts'
import { type Axis, axesOf, type Index, index, plus, times } from '../ir/affine.ts'
import type { Equation } from '../ir/equation.ts'
import type { Point } from './point.ts'
import type { PointPart } from './point-part.ts'
import { lanesOf, type Opcode, type Operand } from './kernel-function.ts'
import type { KernelBuilder } from './builder.ts'
import { range } from './range.ts'
import { type CooperativeGroup, type LoopForm, type LoopTiling, onePointEach, openLoops, type ReductionStep,
  take } from './reduction-loops.ts'
import { type MemoryAccess, ExpressionEmitter } from './expression-emitter.ts'
import type { Tensor } from '../ir/tensor.ts'
import * as operands from './operands.ts'
import { float, isZero } from './operands.ts'
import * as statements from './statements.ts'

/** A reduction that is being computed for all points of a tile. */
export interface Accumulation {
  readonly e: Reduction
  readonly points: readonly Point[]
  /** Points along the lanes axis in fours, or one by one; an accumulator each. */
  readonly groups: readonly (readonly Point[])[]
  /** One a group, as often as there are copies. */
  readonly accumulators: readonly Operand[]
  /** Steps in a row go to accumulators of their own, which are put together at the end: an addition need not wait for the one before. */
  readonly copies: number
  /** The variables that hold where each maximum was found, if that is asked for. */
  readonly positions: readonly Operand[]
  /** The two factors of a sum of products, or the body. */
  readonly factors: readonly FactorValues[]
  /** Steps are taken in fours along this axis: points that are four are four sums each, put together at the end. */
  readonly across: Axis | undefined
}

interface FactorValues {
  readonly part: Expression
  readonly representatives: readonly Point[]
  /** The representative of each point, by its index. */
  readonly of: readonly number[]
}

/** Accumulators, copies included: with more sums, additions that wait for each other have others between them. */
const MOST_COPIES = 8

/** The value that each accumulator, by its name, is to be set to. */
type Updates = Map<string, Operand>

const isProduct = (e: Reduction): e is Reduction & { body: Extract<Expression, { kind: 'binary' }> } =>
  e.combine === 'sum' && e.body.kind === 'binary' && e.body.op === 'mul'

const sameAxes = (a: Reduction, b: Reduction): boolean => a.axes.length === b.axes.length && a.axes.every((x, i) => x === b.axes[i])

/** The number of points that an axis is taken to have, whatever the batch is. */
const extentFor = (a: Axis): number => (typeof a.extent === 'number' ? a.extent : 64)

const contains = (e: Reduction, others: readonly Reduction[]): boolean => {
  const inside = walk(e.body)
  return others.some((other) => other !== e && inside.includes(other))
}

/** Writes reductions as loops around accumulators. */
export class ReductionEmitter extends ExpressionEmitter {
  private readonly equation: Equation
  private readonly schedule: LoopTiling
  private readonly steps: boolean
  private readonly argmaxBodies = new Set<Expression>()
  private readonly reducing = new Map<Expression, boolean>()
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
    super(equation.name, builder, slots, memory)
    this.workgroup = workgroup
    this.equation = equation
    this.schedule = schedule
    this.steps = memory?.margin !== undefined
    const seen = new Set<Expression>()
    for (const { value } of equation.stores) {
      if (!this.reduces(value)) continue
      for (const e of walk(value, seen)) { if (e.kind === 'reduce' && e.combine === 'argmax') this.argmaxBodies.add(e.body) }
    }
  }

  /** `hasReduction`, remembered here, since what is lowered is made for one kernel: entries of tables that outlive it cost a collector more. */
  private reduces(e: Expression): boolean {
    if (e.kind === 'reduce') return true
    if (isLeaf(e)) return false
    let known = this.reducing.get(e)
    if (known === undefined) this.reducing.set(e, known = children(e).some((child) => this.reduces(child)))
    return known
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

  /** Declares what a sum over all steps of `e` is gathered in at every point, for `accumulateSteps`: numbers or vectors of four. */
  openAccumulation(e: Reduction, points: readonly Point[], lanes: 1 | 4): Accumulation {
    const factors = (isProduct(e) ? [e.body.a, e.body.b] : [e.body]).map((part) => this.share(part, points))
    return {
      e,
      points,
      groups: points.map((p) => [p]),
      accumulators: points.map(() => this.builder.declareVariable('sum', float(0, lanes), lanes)),
      copies: 1,
      positions: [],
      factors,
      across: undefined,
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
    const jobs = group.map((e) => this.startReduction(e, allPoints)).filter((job) => job !== undefined)
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
      for (const job of jobs) {
        const { groups, positions, accumulators } = job
        if (positions.length > 0)
          groups.forEach((members, g) => this.accumulateArgmax(job.e, take(members[0]!, step), accumulators[g]!, positions[g]!))
        else this.accumulate(job, step, updates)
      }
    })
    for (const job of jobs) this.finishReduction(gather(job))
  }

  /** Declares the accumulators of what is not known yet. */
  private startReduction(e: Reduction, allPoints: readonly Point[]): Accumulation | undefined {
    const points = this.distinct(e, allPoints).filter((point) => this.recall(e, point) === undefined)
    if (points.length === 0) return undefined
    const start = e.combine === 'sum' ? 0 : LOWEST
    const both = e.combine !== 'sum' && this.argmaxBodies.has(e.body)
    const across = this.acrossOf(e, points, both)
    const groups = this.laneGroups(e, across ? points.flatMap(onePointEach) : points)
    const lanes = across || points.some((p) => p.lanes) ? 4 : groups[0]!.length as 1 | 4
    const declare = (name: string, value: number): Operand => this.builder.declareVariable(name, float(value, lanes), lanes)
    const inTurn = (across && this.schedule.unroll.get(across)) ?? 1
    const copies = this.steps && groups.length * inTurn <= MOST_COPIES ? inTurn : 1
    const accumulators = range(copies).flatMap(() => groups.map(() => declare(e.combine === 'sum' ? 'sum' : 'most', start)))
    const positions = both ? groups.map(() => declare('at', 0)) : []
    const factors = isProduct(e) ? [e.body.a, e.body.b] : [e.body]
    return { e, points, groups, accumulators, copies, positions, factors: factors.map((part) => this.share(part, groups.flat())), across }
  }

  private acrossOf(e: Reduction, points: readonly Point[], position: boolean): Axis | undefined {
    const { across } = this.schedule
    return across && !position && e.axes.includes(across) && (e.combine === 'sum' || points.every((p) => !p.lanes)) ? across : undefined
  }

  /** Points that differ in nothing that a factor depends on share its value: which stand for all, and which stands for each. */
  private share(part: Expression, points: readonly Point[]): FactorValues {
    const found = new Map<PointPart, number>()
    const representatives: Point[] = []
    const of = points.map((point) => {
      const key = this.part(part, point)
      const known = found.get(key)
      if (known !== undefined) return known
      found.set(key, representatives.length)
      return representatives.push(point) - 1
    })
    return { part, representatives, of }
  }

  private finishReduction({ e, points, groups, accumulators, copies, positions, across }: Accumulation): void {
    const totals = groups.map((_, g) =>
      range(copies).map((i) => accumulators[i * groups.length + g]!)
        .reduce((a, b) => this.builder.op(e.combine === 'sum' ? 'add' : 'max', [a, b]))
    )
    if (across && points.some((p) => p.lanes)) return this.finishSums(e, points, totals)
    groups.forEach((members, g) =>
      members.forEach((point, lane) => {
        const accumulator = totals[g]!
        const result = across ? this.builder.op(e.combine === 'sum' ? 'lanesum' : 'lanemax', [accumulator])
          : members.length === 1 ? accumulator
          : operands.laneOf(accumulator, lane)
        this.retain(e, point, e.combine === 'argmax' ? positions[g]! : result)
        if (positions.length > 0) this.retainPair(e, point, result, positions[g]!)
      })
    )
  }

  /** Puts together what was summed up in lanes, four sums where a point is four. */
  private finishSums(e: Reduction, points: readonly Point[], totals: readonly Operand[]): void {
    let next = 0
    for (const point of points) {
      if (!point.lanes) {
        this.retain(e, point, this.builder.op('lanesum', [totals[next++]!]))
        continue
      }
      const sums = this.builder.op('lanesums', totals.slice(next, next += 4))
      this.retain(e, point, sums)
      onePointEach(point).forEach((p, lane) => this.retain(e, p, operands.laneOf(sums, lane)))
    }
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
      if (this.steps && steps.length > 1) {
        for (const step of steps) this.builder.step(() => this.withUpdates((updates) => inside(step, updates)))
      } else {
        this.withUpdates((updates) => {
          for (const step of steps) inside(step, updates)
        })
      }
    }
    openLoops(this.builder, this.schedule, axes, form, (steps, opened) => this.commonGuards(jobs, steps, opened), run)
  }

  /** One statement for each accumulator, however many steps add to it: it is loaded and stored once. */
  private withUpdates(inside: (updates: Updates) => void): void {
    const updates: Updates = new Map()
    inside(updates)
    for (const [name, value] of updates) this.builder.innermost.statements.push(statements.set(name, value))
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

  /** Adds one step of all points: what their factors share is computed once. */
  private accumulate({ e, groups, accumulators, copies, factors }: Accumulation, step: ReductionStep, updates: Updates): void {
    const neutral = float(e.combine === 'sum' ? 0 : LOWEST)
    const masked = (value: Operand): Operand =>
      step.count === undefined ? value : this.builder.select(this.builder.laneMask(step.count), value, neutral)
    const values = factors.map(({ part, representatives }) => representatives.map((point) => masked(this.value(part, take(point, step)))))
    let next = 0
    const copy = (step.turn ?? 0) % copies * groups.length
    groups.forEach((members, g) => {
      const accumulator = accumulators[copy + g]!
      const [a, b] = factors.map(({ of }, f) => this.assemble(members.map((_, lane) => values[f]![of[next + lane]!]!)))
      next += members.length
      // What is added is zero: nothing to write.
      if (e.combine === 'sum' && (isZero(a!) || (b !== undefined && isZero(b)))) return
      const { name } = accumulator as { name: string }
      const before = updates.get(name) ?? accumulator
      const lanes = lanesOf(accumulator)
      updates.set(
        name,
        b !== undefined
          ? operands.operation('fma', [a!, b, before], 'f32', lanes)
          : operands.operation(e.combine === 'sum' ? 'add' : 'max', [before, a!], 'f32', lanes),
      )
    })
  }

  private accumulateArgmax(e: Reduction, point: Point, most: Operand, at: Operand): void {
    const body = this.value(e.body, point)
    let place: Index = index(0)
    for (const a of e.axes) place = plus(times(place, a.extent as number), point.get(a)!)
    const here = this.builder.floatOperand(place)
    const lanes = lanesOf(most)
    const scope = this.builder.innermost.statements
    const operation = (op: Opcode, args: readonly Operand[], type: 'f32' | 'bool' = 'f32'): Operand =>
      operands.operation(op, args, type, lanes)
    const position = (): Operand => {
      if (!this.minds('NaN')) return operation('select', [operation('lt', [most, body], 'bool'), here, at])
      // The first NaN takes the place of any number, and stays.
      const [stays, isNumber] = [operation('le', [body, most], 'bool'), operation('eq', [most, most], 'bool')]
      // Written out in order, a position is larger than all before it: to take the larger one is less than to choose in two steps.
      return lanes === 4 && e.axes.every((a) => this.schedule.unroll.get(a) === a.extent)
        ? operation('max', [at, operation('select', [stays, float(0), operation('select', [isNumber, here, float(0)])])])
        : operation('select', [stays, at, operation('select', [isNumber, here, at])])
    }
    scope.push(statements.set((at as { name: string }).name, position()))
    scope.push(statements.set((most as { name: string }).name, operation('max', [most, body])))
  }

  /** Points along the lanes axis in fours, where the reduction depends on it; one by one elsewhere. */
  private laneGroups(e: Reduction, points: readonly Point[]): (readonly Point[])[] {
    const along = this.schedule.lanes
    if (!along || e.combine !== 'sum' || !freeAxes(e).has(along) || points.length % 4 !== 0 || points.some((p) => p.lanes))
      return points.map((p) => [p])
    const tile = this.schedule.tile.get(along) ?? 1
    if (tile % 4 !== 0) return points.map((p) => [p])
    const rows = new Map<string, Point[]>()
    for (const point of points) {
      const key = this.builder.results.pointKey(this.builder.results.axesOf(e), point, along)
      rows.set(key, [...(rows.get(key) ?? []), point])
    }
    return [...rows.values()].flatMap((row) => range(row.length / 4).map((g) => row.slice(4 * g, 4 * g + 4)))
  }

  private assemble(parts: readonly Operand[]): Operand {
    if (parts.every((part) => part === parts[0])) return parts[0]!
    const first = parts[0]!
    if (first.kind === 'lane' && parts.every((p, i) => p.kind === 'lane' && p.of === first.of && p.lane === i)) return first.of
    return this.builder.value(
      operands.vector(parts),
      `v(${parts.map((p) => this.builder.key(p)).join()})`,
      'f32',
      4,
      Math.max(...parts.map((p) => this.builder.depth(p))),
    )
  }

  /** One point for each different part of the point that a node depends on. */
  private distinct(e: Expression, points: readonly Point[]): Point[] {
    const found = new Map<PointPart, Point>()
    for (const given of points) {
      const point = this.lanesFor(e, given)
      const key = this.part(e, point)
      if (!found.has(key)) found.set(key, point)
    }
    return [...found.values()]
  }

  /** A maximum and the position of it come out of one loop: whoever asks for the other finds it. */
  private retainPair(e: Reduction, point: Point, most: Operand, at: Operand): void {
    for (const s of this.equation.stores) {
      for (const other of walk(s.value)) {
        if (other.kind !== 'reduce' || other.body !== e.body || other === e) continue
        this.retain(other, point, other.combine === 'argmax' ? at : most)
      }
    }
  }
}
