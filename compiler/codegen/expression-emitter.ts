import { invariant } from '../invariant.ts'
import { elementsPerSample, isBatched, type Tensor } from '../ir/tensor.ts'
import { type Expression, type Guard, type Load, type Reduction, walk } from '../ir/expression.ts'
import { type Axis, axesOf, combine, index, type Index, linearIndex, rangeOf, shift, substitute } from '../ir/affine.ts'
import type { Point } from './point.ts'
import type { PointPart } from './point-part.ts'
import type { RewrittenMemory } from './rewritten-memory.ts'
import type { Operand } from './kernel-function.ts'
import type { KernelBuilder } from './builder.ts'
import { chosenLoad } from './chosen-load.ts'
import { type Bases, nextOf, noBases } from './index-bases.ts'
import { choiceOf, type Condition, whereNotZero } from './conditions.ts'
import * as operands from './operands.ts'
import { float, int, isZero, truth } from './operands.ts'

type Guarded = Extract<Expression, { kind: 'guard' }>
type Select = Extract<Expression, { kind: 'select' }>
type Binary = Extract<Expression, { kind: 'binary' }>

/** What loads have to mind. */
export interface MemoryAccess {
  /** Elements beyond a tensor's ends that may be read; absent: any, the target answers them with something. */
  readonly margin?: number
  /** Whether the target does arithmetic as it is written: see `rounded`. */
  readonly asWritten?: boolean
  /** What the kernel itself writes is not loaded outside the scope of this depth. */
  readonly written?: { readonly tensors: ReadonlySet<Tensor>; readonly depth: number }
  /** What it writes after it was loaded; absent: nothing that is loaded again. */
  readonly rewritten?: RewrittenMemory
  /** Tensors whose elements are vectors of four. */
  readonly wide?: ReadonlySet<Tensor>
}

/**
 * Values of expressions at points, each written once, in the outermost loop in which it does not change. A point may be
 * four points: then a value is a vector where it differs between them, and a scalar where it does not.
 */
export abstract class ExpressionEmitter {
  readonly builder: KernelBuilder
  readonly kernel: string
  private readonly slots: ReadonlyMap<Tensor, number>
  private readonly memory: MemoryAccess
  private readonly margin: number | undefined
  private readonly linearForms = new Map<Expression, Index>()
  /** Whether all that is loaded under a guard lies in or near its tensor, for an image that exists. */
  private readonly nearLoads = new Map<Guarded, boolean>()
  /** What forms come to where their axes stand, but for constants: by their terms, then those of each axis. Null where they divide. */
  private readonly bases = new Map<Index['terms'], Bases | null>()
  private readonly basesByKey = new Map<string, Bases>()
  /** Conditions without which the loads being written would lie far outside: elsewhere element 0 is read. */
  private readonly needed: Operand[] = []

  constructor(kernel: string, builder: KernelBuilder, slots: ReadonlyMap<Tensor, number>, memory: MemoryAccess = {}) {
    this.kernel = kernel
    this.builder = builder
    this.slots = slots
    this.memory = memory
    this.margin = memory.margin
  }

  /** Whether the target does arithmetic as it is written, so that NaN is one number more. */
  protected minds(_: 'NaN'): boolean {
    return this.memory.asWritten === true
  }

  /** Has a reduction computed for a point, so that it can be recalled. */
  protected abstract reduceAt(e: Reduction, point: Point): void

  value(e: Expression, given: Point): Operand {
    const { results: placed } = this.builder
    const point = this.lanesFor(e, given)
    const part = this.part(e, point)
    const known = placed.recall(part, e)
    if (known) return known
    const operand = this.compute(e, point)
    placed.keep(part, e, operand, this.builder.depth(operand))
    return operand
  }

  /** The point as far as it matters to an expression: four points only where it differs between them. */
  protected lanesFor(e: Expression, point: Point): Point {
    return point.lanes && !this.builder.results.axesOf(e).set.has(point.lanes.axis) ? point.lane(0) : point
  }

  private compute(e: Expression, point: Point): Operand {
    switch (e.kind) {
      case 'constant':
        return float(e.value)
      case 'scalar':
        return operands.scalar(e.name)
      case 'position': {
        const lanes = this.lanesOfIndex(e.at, point)
        if (!lanes) return this.builder.vector(this.each(point, (p) => this.builder.floatOperand(this.at(e.at, p))))
        return lanes.step === 0 ? this.builder.floatOperand(lanes.first)
          : this.builder.op('float', [this.builder.ramp(lanes.first, lanes.step)])
      }
      case 'random':
        return this.builder.vector(this.each(point, (p) => {
          const at = this.builder.indexOperand(this.at(e.at, p))
          return this.builder.value(
            operands.random(e.key, at),
            `r${e.key}(${this.builder.key(at)})`,
            'f32',
            1,
            this.builder.depth(at),
          )
        }))
      case 'load':
        return this.load(e, point)
      case 'unary':
        return e.op === 'rounded' && this.memory.asWritten ? this.value(e.a, point) : this.builder.op(e.op, [this.value(e.a, point)])
      case 'binary': {
        const fused = this.multiplyAdd(e, point) ?? this.chosen(e, point)
        if (fused) return fused
        const [a, b] = [this.value(e.a, point), this.value(e.b, point)]
        // Padding times anything is 0; a 0 that is written down times NaN is NaN.
        const written = e.a.kind === 'constant' || e.b.kind === 'constant'
        return written && this.minds('NaN') ? this.builder.op(e.op, [a, b]) : this.builder.arithmetic(e.op, a, b)
      }
      case 'select': {
        if (!this.memory.asWritten) return this.builder.select(this.test(e, point), this.value(e.yes, point), this.value(e.no, point))
        const { condition, yes, no } = choiceOf(e)
        return this.builder.select(this.condition(condition, point), this.value(yes, point), this.value(no, point))
      }
      case 'guard':
        return this.guarded(e, point)
      case 'reduce': {
        this.reduceAt(e, point)
        const result = this.recall(e, point)
        invariant(result, () => `${this.kernel}: a reduction left no value`)
        return result
      }
    }
  }

  private test(e: Select, point: Point): Operand {
    const operands = e.test === 'finite' ? [e.a] : [e.a, e.b]
    return this.builder.op(e.test, operands.map((operand) => this.value(operand, point)), 'bool')
  }

  private condition(c: Condition, point: Point): Operand {
    const { builder } = this
    switch (c.kind) {
      case 'truth':
        return truth(c.value)
      case 'test':
        return this.test(c.of, point)
      case 'not':
        return builder.allButWhere(truth(true), [this.condition(c.of, point)])
      case 'all': {
        const held = c.of.filter((each) => each.kind !== 'not').map((each) => this.condition(each, point))
        return builder.allButWhere(builder.all(held), c.of.flatMap((each) => (each.kind === 'not' ? [this.condition(each.of, point)] : [])))
      }
    }
  }

  /** What a counter counts where it is not 0: a condition, where the value is a choice between numbers that are written down, or the value. */
  counted(e: Expression, point: Point): Operand {
    const condition = this.memory.asWritten ? whereNotZero(e) : undefined
    return condition ? this.condition(condition, point) : this.value(e, point)
  }

  /**
   * a b + c in one operation, where the engine has it, as sums of products have it: what must be rounded before it is added says so (`rounded`). Undefined
   * where a product is known already, stands in front of the loop, or has a number that is written down as a factor.
   */
  private multiplyAdd(e: Binary, point: Point): Operand | undefined {
    if (!this.memory.asWritten || e.op !== 'add') return undefined
    const product = [e.a, e.b].find((x) => x.kind === 'binary' && x.op === 'mul' && x.a.kind !== 'constant' && x.b.kind !== 'constant')
    if (product?.kind !== 'binary' || this.recall(product, this.lanesFor(product, point))) return undefined
    const c = this.value(product === e.a ? e.b : e.a, point)
    const [a, b] = [this.value(product.a, point), this.value(product.b, point)]
    const { builder } = this
    if (isZero(a) || isZero(b) || isZero(c) || Math.max(builder.depth(a), builder.depth(b)) < builder.depth(c)) return undefined
    return builder.op('fma', [a, b, c])
  }

  /** A sum of which one term counts as a load of that one. Undefined where the lanes of a point choose by themselves. */
  private chosen(e: Binary, point: Point): Operand | undefined {
    const { builder } = this
    const found = this.memory.asWritten && e.op === 'add' ? chosenLoad(e) : undefined
    if (!found || found.parts.some(({ guard }) => this.lanesOfIndex(guard.at, point)?.step !== 0)) return undefined
    const [last, ...others] = [...found.parts].reverse()
    const offset = others.reduce<Operand>((rest, part) => {
      const condition = this.guard(part.guard, point)
      return condition.kind === 'truth' ? (condition.value ? int(part.offset) : rest)
        : builder.op('select', [condition, int(part.offset), rest], 'i32')
    }, int(last!.offset))
    const at = offset.kind === 'number' ? index(offset.value) : index(builder.variableOf(found.place, offset))
    // Zeros were added: -0 became 0.
    return builder.op('add', [this.load(found.load, point.with(found.place, at), found.at), float(0)])
  }

  private each(point: Point, compute: (p: Point) => Operand): Operand[] {
    return point.lanes ? [0, 1, 2, 3].map((i) => compute(point.lane(i))) : [compute(point)]
  }

  /** How an index grows from lane to lane, if it grows evenly. */
  lanesOfIndex(form: Index, point: Point): { first: Index; step: number } | undefined {
    const { lanes } = point
    if (!lanes) return { first: this.at(form, point), step: 0 }
    if (form.terms.every(({ atom }) => atom.kind === 'axis' || !axesOf(atom.of).includes(lanes.axis))) {
      const along = form.terms.find(({ atom }) => atom.kind === 'axis' && atom.axis === lanes.axis)
      return { first: this.at(form, point.lane(0)), step: along ? along.coefficient * lanes.step : 0 }
    }
    const first = this.at(form, point.lane(0))
    const step = this.at(form, point.lane(1)).constant - first.constant
    const even = [1, 2, 3].every((i) => {
      const here = this.at(form, point.lane(i))
      return here.termsKey === first.termsKey && here.constant === first.constant + i * step
    })
    return even ? { first, step } : undefined
  }

  private load(e: Load, point: Point, form = this.linearForm(e)): Operand {
    const binding = this.slots.get(e.tensor)
    invariant(binding !== undefined, () => `${this.kernel}: ${e.tensor.name} is not bound`)
    const source = `l${binding}${this.memory.rewritten?.stateOf(e) ?? ''}`
    const lanes = this.lanesOfIndex(form, point)
    if (lanes && lanes.step <= 2 && lanes.step >= 0) {
      const at = this.inReach(this.builder.indexOperand(lanes.first))
      const key = this.builder.key(at)
      const depth = this.depthOfLoad(e.tensor, this.builder.depth(at))
      if (this.memory.wide?.has(e.tensor))
        return this.builder.value(operands.load(binding, at, 4), `${source}(${key})`, 'f32', 4, depth)
      if (lanes.step === 0) return this.builder.value(operands.load(binding, at), `${source}(${key})`, 'f32', 1, depth)
      return this.builder.value(
        operands.load(binding, at, 4, lanes.step as 1 | 2),
        `${source}v${lanes.step}(${key})`,
        'f32',
        4,
        depth,
      )
    }
    const at = this.each(point, (p) => this.inReach(this.builder.indexOperand(this.at(form, p))))
    return this.builder.value(
      operands.gather(binding, at),
      `${source}(${at.map((t) => this.builder.key(t)).join()})`,
      'f32',
      4,
      this.depthOfLoad(e.tensor, Math.max(...at.map((t) => this.builder.depth(t)))),
    )
  }

  /** `ofAddress`: the depth of the address. What changes with the loop that is skipped in part is not loaded before that is decided. */
  private depthOfLoad(tensor: Tensor, ofAddress: number): number {
    const { written } = this.memory
    let depth = written?.tensors.has(tensor) ? Math.max(ofAddress, written.depth) : ofAddress
    if (this.margin === undefined) return depth
    for (const scope of this.builder.conditionalScopes) if (scope === depth + 1) depth = scope
    return depth
  }

  private inReach(at: Operand): Operand {
    if (this.needed.length === 0) return at
    const condition = this.builder.all(this.needed)
    return condition.kind === 'truth' ? at : this.builder.op('select', [condition, at, int(0)], 'i32')
  }

  private guarded(e: Guarded, point: Point): Operand {
    const conditions = e.guards.map((g) => this.guard(g, point))
    const condition = this.builder.all(conditions)
    if (condition.kind === 'truth') return condition.value ? this.value(e.value, point) : float(e.otherwise)
    const otherwise = float(e.otherwise)
    // What is known to hold here is no condition any more: that an image exists, above all.
    const open = e.guards.filter((_, i) => !this.builder.holds(conditions[i]!))
    if (this.margin === undefined || this.liesNear(e, open)) return this.builder.select(condition, this.value(e.value, point), otherwise)
    if (point.lanes && conditions.some((c) => c.kind !== 'truth' && this.isFourfold(c))) {
      return this.builder.vector(this.each(point, (p) => this.value(e, p)))
    }
    this.needed.push(condition)
    const value = this.value(e.value, point)
    this.needed.pop()
    return this.builder.select(condition, value, otherwise)
  }

  /** Whether all that is under a guard may be loaded whatever the guard says, or is known to be inside. */
  protected isSafe(e: Guarded, point: Point): boolean {
    if (this.margin === undefined || this.liesNear(e, e.guards)) return true
    if (!e.guards.every((g) => axesOf(g.at).every((a) => point.has(a)))) return false
    const condition = this.builder.all(e.guards.map((g) => this.guard(g, point)))
    return condition.kind === 'truth' && condition.value
  }

  private isFourfold(t: Operand): boolean {
    return (t.kind === 'name' || t.kind === 'operation') && t.lanes === 4 || t.kind === 'vector'
  }

  /** Whether whatever is loaded under a guard lies inside its tensor, or not far beyond, where its open conditions do not hold. */
  private liesNear(e: Guarded, open: readonly Guard[]): boolean {
    if (open.some((g) => g.kind === 'within' && typeof g.extent !== 'number')) return false
    let near = this.nearLoads.get(e)
    if (near === undefined) this.nearLoads.set(e, near = this.loadsNear(e))
    return near
  }

  private loadsNear(e: Guarded): boolean {
    return walk(e.value).every((node) => {
      if (node.kind !== 'load') return true
      const form = this.linearForm(node)
      const elements = elementsPerSample(node.tensor.shape)
      // The image exists; it is the place within it that may lie outside.
      const within = isBatched(node.tensor.shape) ? combine([[1, form], [-elements, node.at[0]!]]) : form
      const { min, max } = rangeOf(within)
      return min >= -this.margin! && max < elements + this.margin!
    })
  }

  protected guard(g: Guard, point: Point): Operand {
    const lanes = this.lanesOfIndex(g.at, point)
    if (lanes && lanes.step === 0) return this.guardAt(g, lanes.first)
    if (lanes && g.kind === 'within') return this.builder.allLanesWithin(lanes.first, lanes.step, g.extent)
    return this.builder.vector(this.each(point, (p) => this.guardAt(g, this.at(g.at, p))), 'bool')
  }

  private guardAt(g: Guard, at: Index): Operand {
    if (g.kind === 'within') return this.builder.within(at, g.extent)
    if (at.terms.every(({ coefficient }) => coefficient % g.by === 0)) return truth(at.constant % g.by === 0)
    const rest = this.builder.op('irem', [this.builder.indexOperand(at), int(g.by)], 'i32')
    return this.builder.op('ieq', [rest, int(0)], 'bool')
  }

  /** A place as an expression sees it, under the conditions that its loads need, with what is in memory by now. */
  protected part(e: Expression, point: Point): PointPart {
    let under = this.memory.rewritten?.stateOf(e) ?? ''
    for (const condition of this.needed) under += this.builder.key(condition)
    return this.builder.results.part(e, point, under)
  }

  protected recall(e: Expression, point: Point): Operand | undefined {
    return this.builder.results.recall(this.part(e, point), e)
  }

  protected retain(e: Expression, point: Point, operand: Operand): void {
    this.builder.results.keep(this.part(e, point), e, operand, this.builder.scopes.length - 1)
  }

  /** An index at a point. Neighbours differ by constants alone, so the rest is put together once for all of them. */
  at(form: Index, point: Point): Index {
    let { constant } = form
    const bases = this.basesOf(form)
    if (!bases) return substitute(form, { get: (a) => point.get(a), has: (a) => point.has(a) })
    let known = bases
    for (const { atom, coefficient } of form.terms) {
      const at = this.boundTo((atom as { axis: Axis }).axis, point)
      constant += coefficient * at.constant
      known = nextOf(known, at.terms)
    }
    const base = known.base ??= combine(form.terms.map(({ atom, coefficient }) => {
      const at = point.get((atom as { axis: Axis }).axis)!
      return [coefficient, shift(at, -at.constant)] as const
    }))
    return shift(base, constant - base.constant)
  }

  private boundTo(axis: Axis, point: Point): Index {
    const at = point.get(axis)
    invariant(at, () => `${this.kernel}: axis ${axis.name} is not bound`)
    return at
  }

  /** What is known of all forms with the same terms; undefined of those that divide. */
  private basesOf(form: Index): Bases | undefined {
    let known = this.bases.get(form.terms)
    if (known === undefined) {
      known = form.terms.every(({ atom }) => atom.kind === 'axis') ? this.basesByKey.get(form.termsKey) ?? noBases() : null
      if (known) this.basesByKey.set(form.termsKey, known)
      this.bases.set(form.terms, known)
    }
    return known ?? undefined
  }

  private linearForm(e: Load): Index {
    const known = this.linearForms.get(e)
    if (known) return known
    const form = linearIndex(e.tensor, e.at)
    this.linearForms.set(e, form)
    return form
  }
}
