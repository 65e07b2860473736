import { invariant } from '../invariant.ts'
import { showShape, strides, type Tensor } from '../tensor.ts'
import { type BinaryOp, children, type Expression, type Guard, LOWEST, walk } from './expression.ts'
import { type Axis, axesOf, axis, combine, type Extent, type Index, index, type IndexLike, plus, rangeOf, substitute, times } from './index-expression.ts'
import { type Equation, reads, type SideReduction, writes } from './kernel.ts'
import type { Binding, Routine, Statement, Term, TermOp, Type } from './routine.ts'
import { freeAxes } from './free-axes.ts'
import type { Schedule } from './schedule.ts'

/**
 * Writes an equation out as the text of one invocation. A tile of points is computed together: every value is computed
 * once for all points that share it, in the outermost loop in which it does not change; so weights are loaded once for all
 * pixels of a tile, pixels once for all channels, and neighbouring windows share what they overlap in.
 */
export function lower(equation: Equation, schedule: Schedule): Routine {
  return new Lowering(equation, schedule).run()
}

type Reduction = Extract<Expression, { kind: 'reduce' }>
/** Where each axis stands: what a point of a tile is. */
type Place = ReadonlyMap<Axis, Index>

interface Scope {
  readonly statements: Statement[]
  /** Value numbers: structural key of a term -> the name that holds it. */
  readonly known: Map<string, Term>
  /** Results of nodes at places, by the part of the place that they depend on. */
  readonly values: Map<Expression, Map<string, Term>>
}

class Lowering {
  private readonly equation: Equation
  private readonly schedule: Schedule
  private readonly bindings: Binding[]
  private readonly slots: Map<Tensor, number>
  private readonly scopes: Scope[] = []
  /** Loop variables: how deep they are bound, and their names. */
  private readonly depthOf = new Map<Axis, number>()
  private readonly nameOf = new Map<Axis, string>()
  private readonly usedNames = new Set<string>()
  private readonly counters = new Map<string, number>()
  private readonly linearForms = new Map<Expression, Index>()
  /** What the steps of the round being written add to each accumulator. */
  private readonly pending = new Map<string, Term>()
  /** Conditions that hold here because everything around is skipped where they do not. */
  private readonly assumed = new Set<string>()
  private readonly argmaxBodies = new Set<Expression>()
  private readonly termDepths = new WeakMap<Term, number>()
  private readonly termKeys = new WeakMap<Term, string>()

  constructor(equation: Equation, schedule: Schedule) {
    this.equation = equation
    this.schedule = schedule
    const written = new Set(writes(equation))
    const tensors = [...new Set([...reads(equation), ...written])]
    for (const word of ['id', 'n', 'step', 'main', 'in', 'out']) this.usedNames.add(word)
    this.bindings = tensors.map((t) => ({ name: this.unique(identifier(t.name)), tensor: t, access: written.has(t) ? 'read_write' : 'read' }))
    this.slots = new Map(tensors.map((t, i) => [t, i]))
    for (const s of equation.stores) for (const e of walk(s.value)) if (e.kind === 'reduce' && e.combine === 'argmax') this.argmaxBodies.add(e.body)
  }

  run(): Routine {
    const { equation, schedule } = this
    this.open()
    const place = new Map<Axis, Index>()
    const grid: { name: string; extent: Extent }[] = []
    for (const a of equation.axes) {
      if (schedule.serial.includes(a)) continue
      const size = schedule.tile.get(a) ?? 1
      const variable = this.variable(a, size, 0)
      grid.push({ name: this.nameOf.get(variable)!, extent: variable.extent })
      place.set(a, times(variable, size))
    }
    const points = this.tilePoints(place)
    this.openSerial(points, [...schedule.serial])
    return {
      name: equation.name,
      layers: equation.layers,
      summary: this.summary(),
      bindings: this.bindings,
      grid,
      body: this.scopes[0]!.statements,
    }
  }

  /** The loops over serial axes, outermost first; inside them the points are computed and stored. */
  private openSerial(points: readonly Place[], axes: Axis[]): void {
    const values = this.equation.stores.map((s) => s.value)
    this.hoistReductions(values, points)
    const next = axes.shift()
    if (!next) {
      this.storePoints(points)
      return
    }
    this.loop(next, 1, (at) => this.openSerial(points.map((p) => new Map([...p, [next, at]])), [...axes]))
  }

  private storePoints(points: readonly Place[]): void {
    const stores = this.equation.stores.map((s) => {
      const linear = linearIndex(s.tensor, s.at)
      const keys = new Map<string, { place: Place; value: Term }>()
      for (const place of points) keys.set(substitute(linear, place).key, { place, value: this.value(s.value, place) })
      return { s, linear, entries: [...keys.values()] }
    })
    for (const { s, linear, entries } of stores) {
      for (const { place, value } of entries) {
        const at = this.indexTerm(substitute(linear, place))
        this.guarded(this.insideTile(place), { kind: 'store', binding: this.slots.get(s.tensor)!, at, value })
      }
    }
    for (const side of this.equation.sides) this.storeMoments(side, points)
  }

  private guarded(condition: Term, statement: Statement): void {
    const target = this.scopes.at(-1)!.statements
    if (condition.kind === 'truth') {
      if (condition.value) target.push(statement)
      return
    }
    const last = target.at(-1)
    if (last?.kind === 'if' && this.key(last.condition) === this.key(condition)) (last.body as Statement[]).push(statement)
    else target.push({ kind: 'if', condition, body: [statement] })
  }

  /** Whether a point of a tile lies inside its axes: the last tile may hang over the edge. */
  private insideTile(place: Place): Term {
    const conditions = this.equation.axes.filter((a) => (this.schedule.tile.get(a) ?? 1) > 1).map((a) => this.within(place.get(a)!, a.extent))
    return this.all(conditions)
  }

  /** Reference, mean, M2 and count of the tile's points for each kept point: see `SideReduction`. */
  private storeMoments(side: SideReduction, points: readonly Place[]): void {
    const source = this.equation.stores.find((s) => s.tensor === side.source)
    invariant(source, `${this.equation.name} takes moments of ${side.source.name}, which it does not store`)
    const groups = new Map<string, Place[]>()
    for (const place of points) {
      const key = place.get(side.kept)!.key
      groups.set(key, [...(groups.get(key) ?? []), place])
    }
    for (const places of groups.values()) {
      const first = places[0]!
      const reference = this.value(source.value, first)
      const members = places.map((place) => ({ inside: this.insideTile(place), value: this.value(source.value, place) }))
      const zero = float(0)
      const masked = (inside: Term, value: Term): Term => this.select(inside, value, zero)
      const count = this.total(members.map((m) => masked(m.inside, float(1))))
      const differences = members.map((m) => masked(m.inside, this.op('sub', [m.value, reference])))
      const mean = this.op('div', [this.total(differences), count])
      const squares = this.total(members.map((m, i) => {
        const rest = this.op('sub', [differences[i]!, mean])
        return masked(m.inside, this.op('mul', [rest, rest]))
      }))
      const blocks = side.blocks.map(({ axis: a, size }) => {
        const tile = this.schedule.tile.get(a) ?? 1
        invariant(tile === size, `${this.equation.name}: a block of ${size} is not its tile of ${tile} along ${a.name}`)
        const start = first.get(a)!
        return combine(start.terms.map(({ atom, coefficient }) => {
          invariant(atom.kind === 'axis', 'a tile starts at a loop variable')
          return [coefficient / tile, atom.axis]
        }))
      })
      const parts = [reference, mean, squares, count]
      parts.forEach((value, k) => {
        const at = this.indexTerm(linearIndex(side.into, [...blocks, first.get(side.kept)!, index(k)]))
        this.guarded(this.insideTile(first), { kind: 'store', binding: this.slots.get(side.into)!, at, value })
      })
    }
  }

  /** A sum as a balanced tree: shorter chains, smaller rounding. */
  private total(terms: readonly Term[]): Term {
    if (terms.length === 1) return terms[0]!
    const half = terms.length >> 1
    return this.op('add', [this.total(terms.slice(0, half)), this.total(terms.slice(half))])
  }

  // ---- reductions ------------------------------------------------------------------------------------------------

  /** Computes every reduction inside `roots` that depends on nothing but what is bound by now: before the next loop opens. */
  private hoistReductions(roots: readonly Expression[], points: readonly Place[]): void {
    const bound = points[0]!
    const visit = (e: Expression): void => {
      for (const child of children(e)) visit(child)
      if (e.kind === 'reduce' && [...freeAxes(e)].every((a) => bound.has(a))) this.reduce(e, points)
    }
    for (const root of roots) visit(root)
  }

  private reduce(e: Reduction, allPoints: readonly Place[]): void {
    const points = this.distinct(e, allPoints).filter((place) => this.recall(e, place) === undefined)
    if (points.length === 0) return
    const lanes = this.laneGroups(e, points)
    const start = e.combine === 'sum' ? 0 : LOWEST
    const both = e.combine !== 'sum' && this.argmaxBodies.has(e.body)
    const accumulators = lanes.map((group) => this.declare(e.combine === 'sum' ? 'sum' : 'most', float(start, group.length as 1 | 4), group.length as 1 | 4))
    const positions = both ? lanes.map(() => this.declare('at', float(0), 1)) : []
    this.openReduction(e, points, (at) => {
      lanes.forEach((group, g) => {
        const places = group.map((place) => new Map([...at(place)]))
        if (both) this.accumulateArgmax(e, places[0]!, accumulators[g]!, positions[g]!)
        else this.accumulate(e, places, accumulators[g]!)
      })
    })
    lanes.forEach((group, g) => group.forEach((place, lane) => {
      const accumulator = accumulators[g]!
      const value: Term = group.length === 1 ? accumulator : this.remember({ kind: 'lane', of: accumulator, lane }, this.depth(accumulator))
      this.retain(e, place, e.combine === 'argmax' ? positions[g]! : value)
      if (both) this.retainPair(e, place, value, positions[g]!)
    }))
  }

  /** Opens the loops, then calls `inside` for each step that is written out in the innermost one. */
  private openReduction(e: Reduction, points: readonly Place[], inside: (at: (place: Place) => Place) => void): void {
    // A reduction inside the body that does not depend on these loops is computed before them.
    this.hoistReductions([e.body], points)
    const open = (axes: readonly Axis[], steps: readonly Place[]): void => {
      const [next, ...others] = axes
      if (!next) {
        this.hoistReductions([e.body], points.flatMap((p) => steps.map((step) => new Map([...p, ...step]))))
        this.pending.clear()
        for (const step of steps) inside((place) => new Map([...place, ...step]))
        this.flush()
        return
      }
      const factor = this.schedule.unroll.get(next) ?? 1
      invariant(factor === 1 || (typeof next.extent === 'number' && next.extent % factor === 0), `${next.name} cannot be written out by ${factor}`)
      this.loop(next, factor, (at) => {
        const inner = steps.flatMap((step) => range(factor).map((i) => new Map([...step, [next, plus(times(at, factor), i)]])))
        this.skipping(this.batchGuards(e, points, inner, next), () => open(others, inner))
      })
    }
    // Loops first, what is written out whole innermost: a text inside a loop shares more.
    const whole = (a: Axis): boolean => a.extent === this.schedule.unroll.get(a)
    open([...e.axes.filter((a) => !whole(a)), ...e.axes.filter(whole)], [new Map()])
  }

  /**
   * Conditions on the image alone, under which all that a round adds is zero: where chunks of the batch are uneven, the
   * round is skipped instead of adding zeros. Rows and columns in the padding are not worth a branch.
   */
  private batchGuards(e: Reduction, points: readonly Place[], steps: readonly Place[], opened: Axis): Term[] {
    if (e.combine !== 'sum' || steps.length !== 1) return []
    const factors = e.body.kind === 'binary' && e.body.op === 'mul' ? [e.body.a, e.body.b] : [e.body]
    const place = new Map([...points[0]!, ...steps[0]!])
    return factors.flatMap((f) => (f.kind === 'guard' && f.otherwise === 0 ? f.guards : []))
      .filter((g) => g.kind === 'within' && g.extent === 'n' && axesOf(g.at).includes(opened) && axesOf(g.at).every((a) => place.has(a) && !this.schedule.tile.has(a)))
      .map((g) => this.guard(g, place))
  }

  private skipping(conditions: readonly Term[], inside: () => void): void {
    const condition = this.all(conditions.filter((c, i) => conditions.indexOf(c) === i))
    if (condition.kind === 'truth') return inside()
    const keys = conditions.map((c) => this.key(c))
    for (const key of keys) this.assumed.add(key)
    const scope = this.open()
    inside()
    this.scopes.pop()
    for (const key of keys) this.assumed.delete(key)
    this.scopes.at(-1)!.statements.push({ kind: 'if', condition, body: scope.statements })
  }

  private accumulate(e: Reduction, places: readonly Place[], accumulator: Term): void {
    const lanes = places.length as 1 | 4
    const name = (accumulator as { name: string }).name
    const before = this.pending.get(name) ?? accumulator
    const gather = (part: Expression): Term => this.assemble(places.map((place) => this.value(part, place)))
    let value: Term
    if (e.combine === 'sum' && e.body.kind === 'binary' && e.body.op === 'mul') {
      const a = gather(e.body.a)
      const b = gather(e.body.b)
      if (isZero(a) || isZero(b)) return
      value = this.raw('fma', [a, b, before], 'f32', lanes)
    } else {
      const body = gather(e.body)
      if (e.combine === 'sum' && isZero(body)) return
      value = this.raw(e.combine === 'sum' ? 'add' : 'max', [before, body], 'f32', lanes)
    }
    this.pending.set(name, value)
  }

  /** One statement an accumulator and round, however many steps were written out: it is loaded and stored once. */
  private flush(): void {
    for (const [name, value] of this.pending) this.scopes.at(-1)!.statements.push({ kind: 'set', name, value })
    this.pending.clear()
  }

  private accumulateArgmax(e: Reduction, place: Place, most: Term, at: Term): void {
    const body = this.value(e.body, place)
    let position: Index = index(0)
    for (const a of e.axes) position = plus(times(position, a.extent as number), place.get(a)!)
    const here = this.floatOf(position)
    const statements = this.scopes.at(-1)!.statements
    const larger = this.raw('lt', [most, body], 'bool', 1)
    statements.push({ kind: 'set', name: (at as { name: string }).name, value: this.raw('select', [larger, here, at], 'f32', 1) })
    statements.push({ kind: 'set', name: (most as { name: string }).name, value: this.raw('max', [most, body], 'f32', 1) })
  }

  /** Points along the lanes axis in fours, where the reduction depends on it; one by one elsewhere. */
  private laneGroups(e: Reduction, points: readonly Place[]): (readonly Place[])[] {
    const along = this.schedule.lanes
    if (!along || e.combine !== 'sum' || !freeAxes(e).has(along) || points.length % 4 !== 0) return points.map((p) => [p])
    const tile = this.schedule.tile.get(along) ?? 1
    if (tile % 4 !== 0) return points.map((p) => [p])
    const rows = new Map<string, Place[]>()
    for (const place of points) {
      const key = this.placeKey(e, place, along)
      rows.set(key, [...(rows.get(key) ?? []), place])
    }
    return [...rows.values()].flatMap((row) => range(row.length / 4).map((g) => row.slice(4 * g, 4 * g + 4)))
  }

  private assemble(parts: readonly Term[]): Term {
    if (parts.every((part) => part === parts[0])) return parts[0]!
    const first = parts[0]!
    if (first.kind === 'lane' && parts.every((p, i) => p.kind === 'lane' && p.of === first.of && p.lane === i)) return first.of
    return this.named({ kind: 'vector', parts }, `v(${parts.map((p) => this.key(p)).join()})`, 'f32', 4, Math.max(...parts.map((p) => this.depth(p))))
  }

  // ---- values ----------------------------------------------------------------------------------------------------

  private value(e: Expression, place: Place): Term {
    const known = this.recall(e, place)
    if (known) return known
    const term = this.compute(e, place)
    const depth = Math.max(this.depth(term), 0)
    const scope = this.scopes[depth]!
    const byPlace = scope.values.get(e) ?? new Map<string, Term>()
    byPlace.set(this.placeKey(e, place), term)
    scope.values.set(e, byPlace)
    return term
  }

  private compute(e: Expression, place: Place): Term {
    switch (e.kind) {
      case 'constant': return float(e.value)
      case 'scalar': return this.mark({ kind: 'scalar', name: e.name }, `s.${e.name}`, 0)
      case 'position': return this.floatOf(substitute(e.at, place))
      case 'random': {
        const at = this.indexTerm(substitute(e.at, place))
        return this.named({ kind: 'random', key: e.key, at }, `r${e.key}(${this.key(at)})`, 'f32', 1, this.depth(at))
      }
      case 'load': {
        const at = this.indexTerm(substitute(this.linearForm(e), place))
        const binding = this.slots.get(e.tensor)!
        return this.named({ kind: 'load', binding, at }, `l${binding}(${this.key(at)})`, 'f32', 1, this.depth(at))
      }
      case 'unary': return this.op(e.op, [this.value(e.a, place)])
      case 'binary': return this.arithmetic(e.op, this.value(e.a, place), this.value(e.b, place))
      case 'select': {
        const condition = this.op(e.test, [this.value(e.a, place), this.value(e.b, place)], 'bool')
        return this.select(condition, this.value(e.yes, place), this.value(e.no, place))
      }
      case 'guard': {
        const condition = this.all(e.guards.map((g) => this.guard(g, place)))
        if (condition.kind === 'truth') return condition.value ? this.value(e.value, place) : float(e.otherwise)
        return this.select(condition, this.value(e.value, place), float(e.otherwise))
      }
      case 'reduce': {
        this.reduce(e, [place])
        const result = this.recall(e, place)
        invariant(result, `${this.equation.name}: a reduction left no value`)
        return result
      }
    }
  }

  private arithmetic(op: BinaryOp, a: Term, b: Term): Term {
    if (op === 'mul' && (isZero(a) || isZero(b))) return float(0)
    if (op === 'add' && isZero(a)) return b
    if ((op === 'add' || op === 'sub') && isZero(b)) return a
    return this.op(op, [a, b])
  }

  private guard(g: Guard, place: Place): Term {
    const at = substitute(g.at, place)
    if (g.kind === 'within') return this.within(at, g.extent)
    if (at.terms.every(({ coefficient }) => coefficient % g.by === 0)) return truth(at.constant % g.by === 0)
    const rest = this.op('irem', [this.indexTerm(at), int(g.by)], 'i32')
    return this.op('ieq', [rest, int(0)], 'bool')
  }

  private within(at: Index, extent: Extent): Term {
    const bounds = rangeOf(at)
    if (typeof extent === 'number') {
      if (bounds.min >= 0 && bounds.max < extent) return truth(true)
      if (bounds.max < 0 || bounds.min >= extent) return truth(false)
      return this.op('within', [this.indexTerm(at), int(extent)], 'bool')
    }
    const [only] = at.terms
    const whole = at.terms.length === 1 && at.constant === 0 && only!.coefficient === 1 && only!.atom.kind === 'axis' && sameExtent(only!.atom.axis.extent, extent)
    if (whole) return truth(true)
    return this.op('within', [this.indexTerm(at), batchTerm(extent)], 'bool')
  }

  private all(conditions: readonly Term[]): Term {
    const open = conditions.filter((c) => !(c.kind === 'truth' && c.value) && !this.assumed.has(this.key(c)))
    if (open.some((c) => c.kind === 'truth')) return truth(false)
    if (open.length === 0) return truth(true)
    return open.reduce((a, b) => this.op('and', [a, b], 'bool'))
  }

  private select(condition: Term, yes: Term, no: Term): Term {
    if (condition.kind === 'truth') return condition.value ? yes : no
    if (this.key(yes) === this.key(no)) return yes
    return this.op('select', [condition, yes, no])
  }

  // ---- terms: each is named once, in the outermost scope in which all it needs is known --------------------------------

  private op(op: TermOp, args: readonly Term[], type: Type = 'f32'): Term {
    return this.named(this.raw(op, args, type, 1), `${op}(${args.map((a) => this.key(a)).join()})`, type, 1, Math.max(0, ...args.map((a) => this.depth(a))))
  }

  private raw(op: TermOp, args: readonly Term[], type: Type, lanes: 1 | 4): Term {
    return { kind: 'operation', op, args, type, lanes }
  }

  private named(term: Term, key: string, type: Type, lanes: 1 | 4, depth: number): Term {
    const scope = this.scopes[depth]!
    const known = scope.known.get(key)
    if (known) return known
    const name = this.fresh(type === 'bool' ? 'b' : type === 'i32' ? 'i' : 'v')
    scope.statements.push({ kind: 'let', name, type, lanes, value: term })
    const reference = this.mark({ kind: 'name', name, type, lanes }, key, depth)
    scope.known.set(key, reference)
    return reference
  }

  /** An index as a term: loop variables of outer loops are added up outside, the constant last. */
  private indexTerm(at: Index): Term {
    const parts = at.terms.map(({ atom, coefficient }) => {
      const term = atom.kind === 'axis' ? this.variableTerm(atom.axis) : this.divisionTerm(atom)
      return { term: this.product(term, coefficient), depth: this.depth(term) }
    }).sort((a, b) => a.depth - b.depth)
    if (parts.length === 0) return int(at.constant)
    let total = parts[0]!.term
    for (const part of parts.slice(1)) total = this.op('iadd', [total, part.term], 'i32')
    return at.constant === 0 ? total : this.mark(this.raw('iadd', [total, int(at.constant)], 'i32', 1), `${this.key(total)}+${at.constant}`, this.depth(total))
  }

  private product(term: Term, coefficient: number): Term {
    return coefficient === 1 ? term : this.op('imul', [term, int(coefficient)], 'i32')
  }

  private divisionTerm(atom: { kind: 'div' | 'mod'; of: Index; by: number }): Term {
    // Division truncates on every target: shift what may be negative up by whole multiples first.
    const lowest = rangeOf(atom.of).min
    const shift = lowest < 0 && Number.isFinite(lowest) ? Math.ceil(-lowest / atom.by) : 0
    const shifted = this.indexTerm(plus(atom.of, shift * atom.by))
    if (atom.kind === 'mod') return this.op('irem', [shifted, int(atom.by)], 'i32')
    const quotient = this.op('idiv', [shifted, int(atom.by)], 'i32')
    return shift === 0 ? quotient : this.op('iadd', [quotient, int(-shift)], 'i32')
  }

  private floatOf(at: Index): Term {
    if (at.terms.length === 0) return float(at.constant)
    return this.op('float', [this.indexTerm(at)])
  }

  private variableTerm(a: Axis): Term {
    const name = this.nameOf.get(a)
    invariant(name, `${this.equation.name}: axis ${a.name} is not bound`)
    return this.mark({ kind: 'name', name, type: 'i32', lanes: 1 }, name, this.depthOf.get(a)!)
  }

  private mark(term: Term, key: string, depth: number): Term {
    this.termKeys.set(term, key)
    this.termDepths.set(term, depth)
    return term
  }

  private remember(term: Term, depth: number): Term {
    return this.mark(term, term.kind === 'lane' ? `${this.key(term.of)}.${term.lane}` : this.fresh('t'), depth)
  }

  private key(term: Term): string {
    if (term.kind === 'number') return `${term.value}${term.type}`
    if (term.kind === 'truth') return String(term.value)
    if (term.kind === 'batch') return `n/${term.chunks}`
    const key = this.termKeys.get(term)
    invariant(key !== undefined, `${this.equation.name}: a ${term.kind} term has no key`)
    return key
  }

  private depth(term: Term): number {
    return this.termDepths.get(term) ?? 0
  }

  // ---- scopes, names, places ---------------------------------------------------------------------------------------

  private open(): Scope {
    const scope: Scope = { statements: [], known: new Map(), values: new Map() }
    this.scopes.push(scope)
    return scope
  }

  /** Calls `inside` with the loop's index in units of `factor` steps; one round needs no loop. */
  private loop(a: Axis, factor: number, inside: (at: Index) => void): void {
    if (a.extent === factor) return inside(index(0))
    const variable = this.variable(a, factor, this.scopes.length)
    const scope = this.open()
    inside(index(variable))
    this.scopes.pop()
    const extent = typeof variable.extent === 'number' ? int(variable.extent) : batchTerm(variable.extent)
    this.scopes.at(-1)!.statements.push({ kind: 'for', name: this.nameOf.get(variable)!, extent, body: scope.statements })
  }

  /** A loop variable that counts tiles of an axis. */
  private variable(a: Axis, size: number, depth: number): Axis {
    invariant(size === 1 || typeof a.extent === 'number' || a.extent === 'n', `${a.name} cannot be tiled`)
    const extent: Extent = size === 1 ? a.extent : typeof a.extent === 'number' ? Math.ceil(a.extent / size) : { chunks: size }
    const variable = axis(a.name, extent)
    this.depthOf.set(variable, depth)
    this.nameOf.set(variable, this.unique(identifier(size === 1 ? a.name : `${a.name}_tile`)))
    return variable
  }

  private declare(name: string, start: Term, lanes: 1 | 4): Term {
    const variable: Term = { kind: 'name', name: this.fresh(name), type: 'f32', lanes }
    const depth = this.scopes.length - 1
    this.scopes[depth]!.statements.push({ kind: 'var', name: variable.name, type: 'f32', lanes, value: start })
    return this.mark(variable, variable.name, depth)
  }

  private tilePoints(base: Place): Place[] {
    let points: Place[] = [base]
    for (const [a, size] of this.schedule.tile) {
      if (size === 1 || this.schedule.serial.includes(a)) continue
      points = points.flatMap((p) => range(size).map((i) => new Map([...p, [a, plus(p.get(a)!, i)]])))
    }
    return points
  }

  /** One point for each different part of the place that a node depends on. */
  private distinct(e: Expression, points: readonly Place[]): Place[] {
    const found = new Map<string, Place>()
    for (const place of points) {
      const key = this.placeKey(e, place)
      if (!found.has(key)) found.set(key, place)
    }
    return [...found.values()]
  }

  private placeKey(e: Expression, place: Place, except?: Axis): string {
    let key = ''
    for (const a of freeAxes(e)) if (a !== except) key += `${place.get(a)?.key};`
    return key
  }

  private recall(e: Expression, place: Place): Term | undefined {
    const key = this.placeKey(e, place)
    for (let depth = this.scopes.length - 1; depth >= 0; depth--) {
      const known = this.scopes[depth]!.values.get(e)?.get(key)
      if (known) return known
    }
    return undefined
  }

  private retain(e: Expression, place: Place, term: Term): void {
    const scope = this.scopes.at(-1)!
    const byPlace = scope.values.get(e) ?? new Map<string, Term>()
    byPlace.set(this.placeKey(e, place), term)
    scope.values.set(e, byPlace)
  }

  /** A maximum and the position of it come out of one loop: whoever asks for the other finds it. */
  private retainPair(e: Reduction, place: Place, most: Term, at: Term): void {
    for (const s of this.equation.stores) {
      for (const other of walk(s.value)) {
        if (other.kind !== 'reduce' || other.body !== e.body || other === e) continue
        this.retain(other, place, other.combine === 'argmax' ? at : most)
      }
    }
  }

  private linearForm(e: Extract<Expression, { kind: 'load' }>): Index {
    const known = this.linearForms.get(e)
    if (known) return known
    const form = linearIndex(e.tensor, e.at)
    this.linearForms.set(e, form)
    return form
  }

  private fresh(prefix: string): string {
    for (;;) {
      const count = this.counters.get(prefix) ?? 0
      this.counters.set(prefix, count + 1)
      const name = `${prefix}${count}`
      if (!this.usedNames.has(name)) { this.usedNames.add(name); return name }
    }
  }

  private unique(wanted: string): string {
    let name = wanted
    for (let i = 2; this.usedNames.has(name); i++) name = `${wanted}_${i}`
    this.usedNames.add(name)
    return name
  }

  private summary(): string[] {
    const { tile, serial, unroll } = this.schedule
    const tiles = this.equation.axes.filter((a) => (tile.get(a) ?? 1) > 1).map((a) => `${a.name} ${tile.get(a)}`)
    return [
      `${this.equation.name}: ${this.equation.stores.map((s) => `${s.tensor.name} ${showShape(s.tensor.shape)}`).join(', ')}`,
      `reads ${this.bindings.filter((b) => b.access === 'read').map((b) => `${b.name} ${showShape(b.tensor.shape)}`).join(', ') || 'nothing'}`,
      ...(this.equation.sides.length > 0 ? [`statistics of ${this.equation.sides.map((s) => s.source.name).join(', ')} on the way`] : []),
      `one invocation: ${tiles.length > 0 ? `a tile of ${tiles.join(' x ')}` : 'one point'}${serial.length > 0 ? `, looping over ${serial.map((a) => a.name).join(', ')}` : ''}${unroll.size > 0 ? `; written out: ${[...unroll].map(([a, by]) => `${a.name} ${by}`).join(', ')}` : ''}`,
    ]
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
const float = (value: number, lanes: 1 | 4 = 1): Term =>
  lanes === 1 ? { kind: 'number', value, type: 'f32' } : { kind: 'vector', parts: range(4).map(() => ({ kind: 'number', value, type: 'f32' })) }
const int = (value: number): Term => ({ kind: 'number', value, type: 'i32' })
const truth = (value: boolean): Term => ({ kind: 'truth', value })
const isZero = (term: Term): boolean => term.kind === 'number' && term.value === 0

const batchTerm = (extent: Exclude<Extent, number>): Term => ({ kind: 'batch', chunks: extent === 'n' ? 1 : extent.chunks })
const sameExtent = (a: Extent, b: Extent): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && a.chunks === b.chunks)

/** Row-major position in the tensor's storage. */
export const linearIndex = (t: Tensor, at: readonly IndexLike[]): Index => combine(strides(t.shape).map((stride, i) => [stride, at[i]!] as const))

/** A name that WGSL takes: letters, digits, single underscores. */
const identifier = (name: string): string => {
  const plain = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '')
  return /^[A-Za-z]/.test(plain) ? plain : `t_${plain}`
}
