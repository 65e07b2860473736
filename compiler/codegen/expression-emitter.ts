import { invariant } from '../invariant.ts'
import { elementsPerSample, type Tensor } from '../ir/tensor.ts'
import { type Expression, type Guard, type Load, type Reduction, walk } from '../ir/expression.ts'
import { atomIndex, type Axis, axesOf, combine, type Index, index, linearIndex, rangeOf, shift, substitute } from '../ir/affine.ts'
import type { Place } from './point.ts'
import type { PlacePart } from './place-part.ts'
import type { Term } from './kernel-function.ts'
import { float, int, Terms, truth } from './builder.ts'

type Guarded = Extract<Expression, { kind: 'guard' }>

/** What loads have to mind. */
export interface Memory {
  /** Elements beyond a tensor's ends that may be read; absent: any, the target answers them with something. */
  readonly margin?: number
  /** Whether the target does arithmetic as it is written: see `rounded`. */
  readonly asWritten?: boolean
  /** What the kernel itself writes is not loaded outside the scope of this depth. */
  readonly written?: { readonly tensors: ReadonlySet<Tensor>; readonly depth: number }
  /** Tensors whose elements are vectors of four. */
  readonly wide?: ReadonlySet<Tensor>
}

interface Bases {
  readonly next: Map<Index['terms'], Bases>
  base?: Index
}

/**
 * Values of expressions at places, each written once, in the outermost loop in which it does not change. A place may be
 * four points: then a value is a vector where it differs between them, and a scalar where it does not.
 */
export abstract class Values {
  readonly terms: Terms
  readonly kernel: string
  private readonly slots: ReadonlyMap<Tensor, number>
  private readonly memory: Memory
  private readonly margin: number | undefined
  private readonly linearForms = new Map<Expression, Index>()
  /** What forms come to where their axes stand, but for constants: by their terms, then those of each axis. Null where they divide. */
  private readonly bases = new Map<Index['terms'], Bases | null>()
  private readonly basesByKey = new Map<string, Bases>()
  /** Conditions without which the loads being written would lie far outside: elsewhere element 0 is read. */
  private readonly needed: Term[] = []

  constructor(kernel: string, terms: Terms, slots: ReadonlyMap<Tensor, number>, memory: Memory = {}) {
    this.kernel = kernel
    this.terms = terms
    this.slots = slots
    this.memory = memory
    this.margin = memory.margin
  }

  /** Whether the target does arithmetic as it is written, so that NaN is one number more. */
  protected minds(_: 'NaN'): boolean {
    return this.memory.asWritten === true
  }

  /** Has a reduction computed for a place, so that it can be recalled. */
  protected abstract reduceAt(e: Reduction, place: Place): void

  value(e: Expression, given: Place): Term {
    const { placed } = this.terms
    const place = this.lanesFor(e, given)
    const part = this.part(e, place)
    const known = placed.recall(part, e)
    if (known) return known
    const term = this.compute(e, place)
    placed.keep(part, e, term, this.terms.depth(term))
    return term
  }

  /** The place as far as it matters to an expression: four points only where it differs between them. */
  protected lanesFor(e: Expression, place: Place): Place {
    return place.lanes && !this.terms.placed.axesOf(e).axes.includes(place.lanes.axis) ? place.lane(0) : place
  }

  private compute(e: Expression, place: Place): Term {
    switch (e.kind) {
      case 'constant':
        return float(e.value)
      case 'scalar':
        return this.terms.mark({ kind: 'scalar', name: e.name }, `s.${e.name}`, 0)
      case 'position': {
        const lanes = this.lanesOfIndex(e.at, place)
        if (!lanes) return this.terms.together(this.each(place, (p) => this.terms.floatOf(this.at(e.at, p))))
        return lanes.step === 0 ? this.terms.floatOf(lanes.first) : this.terms.op('float', [this.terms.ramp(lanes.first, lanes.step)])
      }
      case 'random':
        return this.terms.together(this.each(place, (p) => {
          const at = this.terms.indexTerm(this.at(e.at, p))
          return this.terms.named({ kind: 'random', key: e.key, at }, `r${e.key}(${this.terms.key(at)})`, 'f32', 1, this.terms.depth(at))
        }))
      case 'load':
        return this.load(e, place)
      case 'unary':
        return e.op === 'rounded' && this.memory.asWritten ? this.value(e.a, place) : this.terms.op(e.op, [this.value(e.a, place)])
      case 'binary': {
        const [a, b] = [this.value(e.a, place), this.value(e.b, place)]
        // Padding times anything is 0; a 0 that is written down times NaN is NaN.
        const written = e.a.kind === 'constant' || e.b.kind === 'constant'
        return written && this.minds('NaN') ? this.terms.op(e.op, [a, b]) : this.terms.arithmetic(e.op, a, b)
      }
      case 'select': {
        const operands = e.test === 'finite' ? [e.a] : [e.a, e.b]
        const condition = this.terms.op(e.test, operands.map((operand) => this.value(operand, place)), 'bool')
        return this.terms.select(condition, this.value(e.yes, place), this.value(e.no, place))
      }
      case 'guard':
        return this.guarded(e, place)
      case 'reduce': {
        this.reduceAt(e, place)
        const result = this.recall(e, place)
        invariant(result, () => `${this.kernel}: a reduction left no value`)
        return result
      }
    }
  }

  private each(place: Place, compute: (p: Place) => Term): Term[] {
    return place.lanes ? [0, 1, 2, 3].map((i) => compute(place.lane(i))) : [compute(place)]
  }

  /** How an index grows from lane to lane, if it grows evenly. */
  lanesOfIndex(form: Index, place: Place): { first: Index; step: number } | undefined {
    const { lanes } = place
    if (!lanes) return { first: this.at(form, place), step: 0 }
    if (form.terms.every(({ atom }) => atom.kind === 'axis' || !axesOf(atom.of).includes(lanes.axis))) {
      const along = form.terms.find(({ atom }) => atom.kind === 'axis' && atom.axis === lanes.axis)
      return { first: this.at(form, place.lane(0)), step: along ? along.coefficient * lanes.step : 0 }
    }
    const first = this.at(form, place.lane(0))
    const step = this.at(form, place.lane(1)).constant - first.constant
    const even = [1, 2, 3].every((i) => {
      const here = this.at(form, place.lane(i))
      return here.termsKey === first.termsKey && here.constant === first.constant + i * step
    })
    return even ? { first, step } : undefined
  }

  private load(e: Load, place: Place): Term {
    const binding = this.slots.get(e.tensor)
    invariant(binding !== undefined, () => `${this.kernel}: ${e.tensor.name} is not bound`)
    const form = this.linearForm(e)
    const lanes = this.lanesOfIndex(form, place)
    if (lanes && lanes.step <= 2 && lanes.step >= 0) {
      const at = this.inReach(this.terms.indexTerm(lanes.first))
      const key = this.terms.key(at)
      const depth = this.depthOfLoad(e.tensor, [at])
      if (this.memory.wide?.has(e.tensor))
        return this.terms.named({ kind: 'load', binding, at, lanes: 4 }, `l${binding}(${key})`, 'f32', 4, depth)
      if (lanes.step === 0) return this.terms.named({ kind: 'load', binding, at }, `l${binding}(${key})`, 'f32', 1, depth)
      return this.terms.named(
        { kind: 'load', binding, at, lanes: 4, step: lanes.step as 1 | 2 },
        `l${binding}v${lanes.step}(${key})`,
        'f32',
        4,
        depth,
      )
    }
    const at = this.each(place, (p) => this.inReach(this.terms.indexTerm(this.at(form, p))))
    return this.terms.named(
      { kind: 'gather', binding, at },
      `l${binding}(${at.map((t) => this.terms.key(t)).join()})`,
      'f32',
      4,
      this.depthOfLoad(e.tensor, at),
    )
  }

  /** What changes with the loop that is skipped in part is not loaded before that is decided. */
  private depthOfLoad(tensor: Tensor, at: readonly Term[]): number {
    const { written } = this.memory
    const depth = Math.max(...at.map((t) => this.terms.depth(t)), written?.tensors.has(tensor) ? written.depth : 0)
    if (this.margin === undefined) return depth
    return this.terms.skippable.reduce((deepest, scope) => (scope === deepest + 1 ? scope : deepest), depth)
  }

  private inReach(at: Term): Term {
    const condition = this.terms.all(this.needed)
    return condition.kind === 'truth' ? at : this.terms.op('select', [condition, at, int(0)], 'i32')
  }

  private guarded(e: Guarded, place: Place): Term {
    const conditions = e.guards.map((g) => this.guard(g, place))
    const condition = this.terms.all(conditions)
    if (condition.kind === 'truth') return condition.value ? this.value(e.value, place) : float(e.otherwise)
    const otherwise = float(e.otherwise)
    if (this.margin === undefined || this.liesNear(e)) return this.terms.select(condition, this.value(e.value, place), otherwise)
    if (place.lanes && conditions.some((c) => c.kind !== 'truth' && this.isFourfold(c))) {
      return this.terms.together(this.each(place, (p) => this.value(e, p)))
    }
    this.needed.push(condition)
    const value = this.value(e.value, place)
    this.needed.pop()
    return this.terms.select(condition, value, otherwise)
  }

  /** Whether all that is under a guard may be loaded whatever the guard says, or is known to be inside. */
  protected isSafe(e: Guarded, place: Place): boolean {
    if (this.margin === undefined || this.liesNear(e)) return true
    if (!e.guards.every((g) => axesOf(g.at).every((a) => place.has(a)))) return false
    const condition = this.terms.all(e.guards.map((g) => this.guard(g, place)))
    return condition.kind === 'truth' && condition.value
  }

  private isFourfold(t: Term): boolean {
    return (t.kind === 'name' || t.kind === 'operation') && t.lanes === 4 || t.kind === 'vector'
  }

  /** Whether whatever is loaded under a guard lies inside its tensor, or not far beyond, where the guard does not hold. */
  private liesNear(e: Guarded): boolean {
    if (e.guards.some((g) => g.kind === 'within' && typeof g.extent !== 'number')) return false
    return walk(e.value).every((node) => {
      if (node.kind !== 'load') return true
      const form = this.linearForm(node)
      const own = combine(
        form.terms.filter(({ atom }) => !(atom.kind === 'axis' && typeof atom.axis.extent !== 'number')).map(({ atom, coefficient }) =>
          [coefficient, indexOf(atom)] as const
        ),
      )
      const { min, max } = rangeOf(shift(own, form.constant))
      return min >= -this.margin! && max < elementsPerSample(node.tensor.shape) + this.margin!
    })
  }

  protected guard(g: Guard, place: Place): Term {
    const lanes = this.lanesOfIndex(g.at, place)
    if (lanes && lanes.step === 0) return this.guardAt(g, lanes.first)
    if (lanes && g.kind === 'within') return this.terms.allWithin(lanes.first, lanes.step, g.extent)
    return this.terms.together(this.each(place, (p) => this.guardAt(g, this.at(g.at, p))), 'bool')
  }

  private guardAt(g: Guard, at: Index): Term {
    if (g.kind === 'within') return this.terms.within(at, g.extent)
    if (at.terms.every(({ coefficient }) => coefficient % g.by === 0)) return truth(at.constant % g.by === 0)
    const rest = this.terms.op('irem', [this.terms.indexTerm(at), int(g.by)], 'i32')
    return this.terms.op('ieq', [rest, int(0)], 'bool')
  }

  /** A place as an expression sees it, under the conditions that its loads need. */
  protected part(e: Expression, place: Place): PlacePart {
    let under = ''
    for (const condition of this.needed) under += this.terms.key(condition)
    return this.terms.placed.part(e, place, under)
  }

  protected recall(e: Expression, place: Place): Term | undefined {
    return this.terms.placed.recall(this.part(e, place), e)
  }

  protected retain(e: Expression, place: Place, term: Term): void {
    this.terms.placed.keep(this.part(e, place), e, term, this.terms.scopes.length - 1)
  }

  /** An index at a place. Neighbours differ by constants alone, so the rest is put together once for all of them. */
  at(form: Index, place: Place): Index {
    let { constant } = form
    const bases = this.basesOf(form)
    if (!bases) return substitute(form, { get: (a) => place.get(a), has: (a) => place.has(a) })
    let known = bases
    for (const { atom, coefficient } of form.terms) {
      const { axis } = atom as { axis: Axis }
      const at = place.get(axis)
      invariant(at, () => `${this.kernel}: axis ${axis.name} is not bound`)
      constant += coefficient * at.constant
      let next: Bases | undefined = known.next.get(at.terms)
      if (!next) known.next.set(at.terms, next = { next: new Map() })
      known = next
    }
    const base = known.base ??= combine(form.terms.map(({ atom, coefficient }) => {
      const at = place.get((atom as { axis: Axis }).axis)!
      return [coefficient, shift(at, -at.constant)] as const
    }))
    return shift(base, constant - base.constant)
  }

  /** What is known of all forms with the same terms; undefined of those that divide. */
  private basesOf(form: Index): Bases | undefined {
    let known = this.bases.get(form.terms)
    if (known === undefined) {
      known = form.terms.every(({ atom }) => atom.kind === 'axis') ? this.basesByKey.get(form.termsKey) ?? { next: new Map() } : null
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

const indexOf = (atom: Index['terms'][number]['atom']): Index => atom.kind === 'axis' ? index(atom.axis) : atomIndex(atom)
