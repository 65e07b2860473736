import { freeAxes, isLeaf } from '../ir/analysis.ts'
import { children, type Expression, type Load, LOWEST, type Reduction, walk } from '../ir/expression.ts'
import { type Axis, type Index, index, linearIndex, plus, times } from '../ir/affine.ts'
import type { Equation } from '../ir/equation.ts'
import type { Tensor } from '../ir/tensor.ts'
import type { KernelBuilder } from './builder.ts'
import { ExpressionEmitter, type MemoryAccess } from './expression-emitter.ts'
import { lanesOf, type Opcode, type Operand } from './kernel-function.ts'
import * as operands from './operands.ts'
import { float, isZero } from './operands.ts'
import type { PointPart } from './point-part.ts'
import type { Point } from './point.ts'
import { range } from './range.ts'
import { type LoopTiling, onePointEach, type ReductionStep, type SlidingSums, take } from './reduction-loops.ts'
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

type Slides = NonNullable<ReturnType<SlidingSums['get']>>

interface FactorValues {
  readonly part: Expression
  readonly representatives: readonly Point[]
  /** The representative of each point, by its index. */
  readonly of: readonly number[]
}

/** Accumulators, copies included: with more sums, additions that wait for each other have others between them. */
export const MOST_COPIES = 8

/** More than any two places of a tile lie apart. */
const FAR = 2 ** 32

/** The value that each accumulator, by its name, is to be set to. */
export type Updates = Map<string, Operand>

export const isProduct = (e: Reduction): e is Reduction & { body: Extract<Expression, { kind: 'binary' }> } =>
  e.combine === 'sum' && e.body.kind === 'binary' && e.body.op === 'mul'

/** The accumulators of reductions: their declaration, the step that adds to them, and the results that they end with. Loops are another's work: see `ReductionEmitter`. */
export abstract class AccumulatorEmitter extends ExpressionEmitter {
  protected readonly schedule: LoopTiling
  /** Whether each step of a loop that is written out has a scope of its own. */
  protected readonly steps: boolean
  private readonly equation: Equation
  /** The bodies of maxima whose positions are asked for. */
  private readonly argmaxBodies = new Set<Expression>()
  private readonly reducing = new Map<Expression, boolean>()

  constructor(equation: Equation, schedule: LoopTiling, builder: KernelBuilder, slots: ReadonlyMap<Tensor, number>, memory?: MemoryAccess) {
    super(equation.name, builder, slots, memory)
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
  protected reduces(e: Expression): boolean {
    if (e.kind === 'reduce') return true
    if (isLeaf(e)) return false
    let known = this.reducing.get(e)
    if (known === undefined) this.reducing.set(e, known = children(e).some((child) => this.reduces(child)))
    return known
  }

  /** Declares the accumulators of what is not known yet. */
  protected startAccumulation(e: Reduction, allPoints: readonly Point[]): Accumulation | undefined {
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

  private acrossOf(e: Reduction, points: readonly Point[], position: boolean): Axis | undefined {
    const { across } = this.schedule
    return across && !position && e.axes.includes(across) && (e.combine === 'sum' || points.every((p) => !p.lanes)) ? across : undefined
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

  /** Adds one step of all points. */
  protected accumulate(job: Accumulation, step: ReductionStep, updates: Updates): void {
    const { groups, positions, accumulators } = job
    if (positions.length === 0) return this.accumulateValues(job, step, updates)
    groups.forEach((members, g) => this.accumulateArgmax(job.e, take(members[0]!, step), accumulators[g]!, positions[g]!))
  }

  /** One statement for each accumulator, however many steps add to it: it is loaded and stored once. */
  protected withUpdates(inside: (updates: Updates) => void): void {
    const updates: Updates = new Map()
    inside(updates)
    for (const [name, value] of updates) this.builder.innermost.statements.push(statements.set(name, value))
  }

  /** Adds the values of one step to sums and maxima: what their factors share is computed once. */
  private accumulateValues({ e, groups, accumulators, copies, factors }: Accumulation, step: ReductionStep, updates: Updates): void {
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
      if (b !== undefined) return this.addProduct(accumulator, a!, b, updates)
      // What is added is zero: nothing to write.
      if (e.combine === 'sum' && isZero(a!)) return
      const { name } = accumulator as { name: string }
      const before = updates.get(name) ?? accumulator
      updates.set(name, operands.operation(e.combine === 'sum' ? 'add' : 'max', [before, a!], 'f32', lanesOf(accumulator)))
    })
  }

  /** Adds a product to a sum; nothing where it is zero. */
  private addProduct(accumulator: Operand, a: Operand, b: Operand, updates: Updates): void {
    if (isZero(a) || isZero(b)) return
    const { name } = accumulator as { name: string }
    updates.set(name, operands.operation('fma', [a, b, updates.get(name) ?? accumulator], 'f32', lanesOf(accumulator)))
  }

  /**
   * Adds the steps of windows that slide over a map, column of the window by column and row of the map by row: vectors that the points of a tile share are
   * loaded once, and let go before the next ones. Every sum is taken in this order, whatever the tile is.
   */
  protected accumulateRows(
    { e, groups, accumulators, factors, across }: Accumulation,
    steps: readonly ReductionStep[],
    { map, column }: Slides,
  ): void {
    const { tensor, at } = walk(factors[map === 'a' ? 0 : 1]!.part).find((node) =>
      node.kind === 'load' && e.axes.some((a) => freeAxes(node).has(a))
    ) as Load
    const form = linearIndex(tensor, at)
    const other = factors[map === 'a' ? 1 : 0]!
    const rows = new Map<
      string,
      { readonly order: number; readonly added: { readonly point: Point; readonly step: ReductionStep; readonly g: number }[] }
    >()
    for (const step of steps) {
      const turn = column ? step.at.find(([a]) => a === column)![1].constant : 0
      groups.forEach(([given], g) => {
        const point = take(given!, step)
        const lanes = this.lanesOfIndex(form, point)!
        const neighbours = given!.lanes ? given!.get(given!.lanes.axis)!.constant * lanes.step : 0
        const place = lanes.first.constant - neighbours
        const key = `${turn} ${lanes.first.termsKey} ${place}`
        const row = rows.get(key) ?? { order: turn * FAR + place, added: [] }
        rows.set(key, row)
        row.added.push({ point, step, g })
      })
    }
    // Where terms lie in lanes, so does the other factor: what it has for a row of windows is there for all rows of the map. Steps that are repeated add zero.
    const shared = new Map<ReductionStep, Map<number, Operand>>(across ? steps.map((step) => [step, new Map()]) : [])
    const share = (point: Point, step: ReductionStep, g: number): void => {
      const [values, which] = [shared.get(step)!, other.of[g]!]
      if (values.has(which)) return
      const value = this.value(other.part, point)
      values.set(which, step.repeated === undefined ? value : this.builder.select(this.builder.laneMask(4, step.repeated), value, float(0)))
    }
    for (const { added } of [...rows.values()].sort((a, b) => a.order - b.order)) {
      if (across) { for (const { point, step, g } of added) share(point, step, g) }
      this.builder.step(() =>
        this.withUpdates((updates) => {
          for (const { point, step, g } of added) {
            const [a, b] = factors.map((factor) =>
              (factor === other ? shared.get(step)?.get(other.of[g]!) : undefined) ?? this.value(factor.part, point)
            )
            this.addProduct(accumulators[g]!, a!, b!, updates)
          }
        })
      )
    }
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
    const set = (variable: Operand, value: Operand): void => {
      scope.push(statements.set((variable as { name: string }).name, value))
    }
    // Written out in order, a position is larger than all before it: to take the larger one is less than to choose.
    if (this.minds('NaN') && lanes === 4 && here.kind === 'number') {
      // NaN has all bits set, and an equal value leaves the first one: what has other bits is larger, or the first NaN.
      const larger = this.builder.evaluateHere('max', [most, body])
      if (here.value !== 0) set(at, operation('max', [at, operation('select', [operation('ieq', [larger, most], 'bool'), float(0), here])]))
      set(most, larger)
      return
    }
    const position = (): Operand => {
      if (!this.minds('NaN')) return operation('select', [operation('lt', [most, body], 'bool'), here, at])
      // The first NaN takes the place of any number, and stays.
      const [stays, isNumber] = [operation('le', [body, most], 'bool'), operation('eq', [most, most], 'bool')]
      return operation('select', [stays, at, operation('select', [isNumber, here, at])])
    }
    set(at, position())
    set(most, operation('max', [most, body]))
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

  protected finishAccumulation({ e, points, groups, accumulators, copies, positions, across }: Accumulation): void {
    if (across) this.schedule.separate?.(accumulators)
    const totals = groups.map((_, g) =>
      range(copies).map((i) => accumulators[i * groups.length + g]!)
        .reduce((a, b) => this.builder.op(e.combine === 'sum' ? 'add' : 'max', [a, b]))
    )
    if (across && points.some((p) => p.lanes)) return this.finishSums(e, points, totals)
    if (across && e.combine === 'sum' && groups.every((members) => members.length === 1)) return this.finishSums(e, groups.flat(), totals)
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

  /** Puts together what was summed up in lanes, four sums at a time: where a point is four, and where four points follow each other. */
  private finishSums(e: Reduction, points: readonly Point[], totals: readonly Operand[]): void {
    for (let [i, next] = [0, 0]; i < points.length;) {
      const point = points[i]!
      const four = point.lanes ? onePointEach(point) : points.slice(i, i + 4)
      if (four.length < 4 || (!point.lanes && four.some((p) => p.lanes))) {
        this.retain(e, point, this.builder.op('lanesum', [totals[next++]!]))
        i++
        continue
      }
      const sums = this.builder.op('lanesums', totals.slice(next, next += 4))
      if (point.lanes) this.retain(e, point, sums)
      four.forEach((p, lane) => this.retain(e, p, operands.laneOf(sums, lane)))
      i += point.lanes ? 1 : 4
    }
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
