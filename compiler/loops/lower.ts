import { invariant } from '../invariant.ts'
import { showShape, strides, type Tensor } from '../tensor.ts'
import { children, type Expression, type Guard, LOWEST, walk } from './expression.ts'
import { freeAxes } from './free-axes.ts'
import { type Axis, axesOf, combine, type Extent, type Index, index, type IndexLike, plus, shift, substitute, times } from './index-expression.ts'
import { type Equation, reads, type SideReduction, writes } from './kernel.ts'
import type { Binding, Routine, Statement, Term } from './routine.ts'
import type { Schedule } from './schedule.ts'
import { Place } from './place.ts'
import { float, identifier, int, isZero, range, Terms, truth } from './terms.ts'

/**
 * Writes an equation out as the text of one invocation. A tile of points is computed together: every value is computed
 * once for all points that share it, in the outermost loop in which it does not change; so weights are loaded once for all
 * pixels of a tile, pixels once for all channels, and neighbouring windows share what they overlap in.
 */
export function lower(equation: Equation, schedule: Schedule, bufferOf: BufferOf = () => undefined): Routine {
  return new Lowering(equation, schedule, bufferOf).run()
}

/** The buffer that a tensor shares with others, if any: what a kernel writes in part it must bind as written in every part. */
export type BufferOf = (t: Tensor) => string | undefined

type Reduction = Extract<Expression, { kind: 'reduce' }>

/** A reduction that is being computed for all points of a tile. */
interface Job {
  readonly e: Reduction
  readonly points: readonly Place[]
  /** Points along the lanes axis in fours, or one by one; an accumulator each. */
  readonly lanes: readonly (readonly Place[])[]
  readonly accumulators: readonly Term[]
  /** Where maxima were found, if that is asked for. */
  readonly positions: readonly Term[]
  /** The two factors of a sum of products, or the body. */
  readonly factors: readonly Factor[]
}

interface Factor {
  readonly part: Expression
  readonly representatives: readonly Place[]
  /** For each point, which of them stands for it. */
  readonly of: readonly number[]
}

const isProduct = (e: Reduction): e is Reduction & { body: Extract<Expression, { kind: 'binary' }> } =>
  e.combine === 'sum' && e.body.kind === 'binary' && e.body.op === 'mul'

const sameAxes = (a: Reduction, b: Reduction): boolean => a.axes.length === b.axes.length && a.axes.every((x, i) => x === b.axes[i])

const contains = (e: Reduction, others: readonly Reduction[]): boolean => {
  const inside = walk(e.body)
  return others.some((other) => other !== e && inside.includes(other))
}

/** What a step of a reduction adds to a point. */
type Step = readonly (readonly [Axis, Index])[]

const take = (place: Place, step: Step): Place => step.reduce((p, [a, at]) => p.with(a, at), place)

class Lowering {
  private readonly equation: Equation
  private readonly schedule: Schedule
  private readonly terms: Terms
  private readonly bindings: Binding[]
  private readonly slots: Map<Tensor, number>
  private readonly linearForms = new Map<Expression, Index>()
  private readonly bases = new Map<string, Index>()
  /** What the steps of the round being written add to each accumulator. */
  private readonly pending = new Map<string, Term>()
  private readonly argmaxBodies = new Set<Expression>()

  constructor(equation: Equation, schedule: Schedule, bufferOf: BufferOf) {
    this.equation = equation
    this.schedule = schedule
    this.terms = new Terms(equation.name)
    this.bindings = bindingsOf(equation, bufferOf, (name) => this.terms.unique(name))
    this.slots = new Map(this.bindings.map((b, i) => [b.tensor, i]))
    for (const s of equation.stores) for (const e of walk(s.value)) if (e.kind === 'reduce' && e.combine === 'argmax') this.argmaxBodies.add(e.body)
  }

  run(): Routine {
    const { equation, schedule } = this
    this.terms.open()
    let place = Place.empty
    const grid: { name: string; extent: Extent }[] = []
    for (const a of equation.axes) {
      if (schedule.serial.includes(a)) continue
      const size = schedule.tile.get(a) ?? 1
      const variable = this.terms.variable(a, size, 0)
      grid.push({ name: this.terms.name(variable), extent: variable.extent })
      place = place.with(a, times(variable, size))
    }
    const points = this.tilePoints(place)
    this.openSerial(points, [...schedule.serial])
    return {
      name: equation.name,
      layers: equation.layers,
      summary: summaryOf(this.equation, this.schedule, this.bindings),
      bindings: this.bindings,
      locals: this.terms.locals(),
      grid,
      body: this.terms.scopes[0]!.statements,
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
    this.terms.loop(next, 1, (at) => this.openSerial(points.map((p) => p.with(next, at)), [...axes]))
  }

  private storePoints(points: readonly Place[]): void {
    const stores = this.equation.stores.map((s) => {
      const linear = linearIndex(s.tensor, s.at)
      const keys = new Map<string, { place: Place; value: Term }>()
      for (const place of points) keys.set(this.at(linear, place).key, { place, value: this.value(s.value, place) })
      return { s, linear, entries: [...keys.values()] }
    })
    for (const { s, linear, entries } of stores) {
      for (const { place, value } of entries) {
        const at = this.terms.indexTerm(this.at(linear, place))
        this.guarded(this.insideTile(place), { kind: 'store', binding: this.slots.get(s.tensor)!, at, value })
      }
    }
    for (const side of this.equation.sides) this.storeMoments(side, points)
  }

  private guarded(condition: Term, statement: Statement): void {
    const target = this.terms.innermost.statements
    if (condition.kind === 'truth') {
      if (condition.value) target.push(statement)
      return
    }
    const last = target.at(-1)
    if (last?.kind === 'if' && this.terms.key(last.condition) === this.terms.key(condition)) (last.body as Statement[]).push(statement)
    else target.push({ kind: 'if', condition, body: [statement] })
  }

  /** Whether a point of a tile lies inside its axes: the last tile may hang over the edge. */
  private insideTile(place: Place): Term {
    const conditions = this.equation.axes.filter((a) => (this.schedule.tile.get(a) ?? 1) > 1).map((a) => this.terms.within(place.get(a)!, a.extent))
    return this.terms.all(conditions)
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
      const masked = (inside: Term, value: Term): Term => this.terms.select(inside, value, zero)
      const count = this.terms.total(members.map((m) => masked(m.inside, float(1))))
      const differences = members.map((m) => masked(m.inside, this.terms.op('sub', [m.value, reference])))
      const mean = this.terms.op('div', [this.terms.total(differences), count])
      const squares = this.terms.total(members.map((m, i) => {
        const rest = this.terms.op('sub', [differences[i]!, mean])
        return masked(m.inside, this.terms.op('mul', [rest, rest]))
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
        const at = this.terms.indexTerm(linearIndex(side.into, [...blocks, first.get(side.kept)!, index(k)]))
        this.guarded(this.insideTile(first), { kind: 'store', binding: this.slots.get(side.into)!, at, value })
      })
    }
  }


  /**
   * Computes every reduction inside `roots` that depends on nothing but what is bound by now: before the next loop opens.
   * Those over the same axes share one loop: the two sums of a batch normalization's gradient load everything once.
   */
  private hoistReductions(roots: readonly Expression[], points: readonly Place[]): void {
    const bound = points[0]!
    const ready: Reduction[] = []
    const seen = new Set<Expression>()
    const visit = (e: Expression): void => {
      if (seen.has(e)) return
      seen.add(e)
      for (const child of children(e)) visit(child)
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

  private reduce(group: readonly Reduction[], allPoints: readonly Place[]): void {
    const jobs = group.map((e) => this.startReduction(e, allPoints)).filter((job) => job !== undefined)
    if (jobs.length === 0) return
    this.openReduction(jobs, (at) => {
      for (const job of jobs) {
        const { e, lanes, accumulators, positions } = job
        if (positions.length > 0) lanes.forEach((members, g) => this.accumulateArgmax(e, at(members[0]!), accumulators[g]!, positions[g]!))
        else this.accumulate(job, at)
      }
    })
    for (const job of jobs) this.finishReduction(job)
  }

  /** Declares the accumulators of what is not known yet. */
  private startReduction(e: Reduction, allPoints: readonly Place[]): Job | undefined {
    const points = this.distinct(e, allPoints).filter((place) => this.recall(e, place) === undefined)
    if (points.length === 0) return undefined
    const lanes = this.laneGroups(e, points)
    const start = e.combine === 'sum' ? 0 : LOWEST
    const both = e.combine !== 'sum' && this.argmaxBodies.has(e.body)
    const accumulators = lanes.map((members) => this.terms.declare(e.combine === 'sum' ? 'sum' : 'most', float(start, members.length as 1 | 4), members.length as 1 | 4))
    const positions = both ? lanes.map(() => this.terms.declare('at', float(0), 1)) : []
    const factors = isProduct(e) ? [e.body.a, e.body.b] : [e.body]
    return { e, points, lanes, accumulators, positions, factors: factors.map((part) => this.share(part, lanes.flat())) }
  }

  /** Points that differ in nothing that a factor depends on share its value: which stand for all, and which stands for each. */
  private share(part: Expression, points: readonly Place[]): Factor {
    const found = new Map<string, number>()
    const representatives: Place[] = []
    const of = points.map((place) => {
      const key = this.placeKey(part, place)
      const known = found.get(key)
      if (known !== undefined) return known
      found.set(key, representatives.length)
      return representatives.push(place) - 1
    })
    return { part, representatives, of }
  }

  private finishReduction({ e, lanes, accumulators, positions }: Job): void {
    lanes.forEach((members, g) => members.forEach((place, lane) => {
      const accumulator = accumulators[g]!
      const value: Term = members.length === 1 ? accumulator : this.terms.remember({ kind: 'lane', of: accumulator, lane }, this.terms.depth(accumulator))
      this.retain(e, place, e.combine === 'argmax' ? positions[g]! : value)
      if (positions.length > 0) this.retainPair(e, place, value, positions[g]!)
    }))
  }

  /** Opens the loops, then calls `inside` for each step that is written out in the innermost one. */
  private openReduction(jobs: readonly Job[], inside: (at: (place: Place) => Place) => void): void {
    const { axes } = jobs[0]!.e
    // A reduction inside the body that does not depend on these loops is computed before them.
    const bodies = jobs.map(({ e }) => e.body)
    const points = jobs.flatMap((job) => job.points)
    this.hoistReductions(bodies, points)
    const open = (rest: readonly Axis[], steps: readonly Step[]): void => {
      const [next, ...others] = rest
      if (!next) {
        this.hoistReductions(bodies, points.flatMap((p) => steps.map((step) => take(p, step))))
        this.pending.clear()
        for (const step of steps) inside((place) => take(place, step))
        this.flush()
        return
      }
      const factor = this.schedule.unroll.get(next) ?? 1
      invariant(factor === 1 || (typeof next.extent === 'number' && next.extent % factor === 0), `${next.name} cannot be written out by ${factor}`)
      this.terms.loop(next, factor, (at) => {
        const inner = steps.flatMap((step) => range(factor).map((i): Step => [...step, [next, plus(times(at, factor), i)]]))
        const guards = jobs.length === 1 ? this.batchGuards(jobs[0]!.e, jobs[0]!.points, inner, next) : []
        this.terms.skipping(guards, () => open(others, inner))
      })
    }
    // Loops first, what is written out whole innermost: a text inside a loop shares more.
    const whole = (a: Axis): boolean => a.extent === this.schedule.unroll.get(a)
    open([...axes.filter((a) => !whole(a)), ...axes.filter(whole)], [[]])
  }

  /**
   * Conditions on the image alone, under which all that a round adds is zero: where chunks of the batch are uneven, the
   * round is skipped instead of adding zeros. Rows and columns in the padding are not worth a branch.
   */
  private batchGuards(e: Reduction, points: readonly Place[], steps: readonly Step[], opened: Axis): Term[] {
    if (e.combine !== 'sum' || steps.length !== 1) return []
    const factors = e.body.kind === 'binary' && e.body.op === 'mul' ? [e.body.a, e.body.b] : [e.body]
    const place = take(points[0]!, steps[0]!)
    return factors.flatMap((f) => (f.kind === 'guard' && f.otherwise === 0 ? f.guards : []))
      .filter((g) => g.kind === 'within' && g.extent === 'n' && axesOf(g.at).includes(opened) && axesOf(g.at).every((a) => place.has(a) && !this.schedule.tile.has(a)))
      .map((g) => this.guard(g, place))
  }

  /** Adds one step of all points: what their factors share is computed once. */
  private accumulate({ e, lanes, accumulators, factors }: Job, at: (place: Place) => Place): void {
    const values = factors.map(({ part, representatives }) => representatives.map((place) => this.value(part, at(place))))
    let point = 0
    lanes.forEach((members, g) => {
      const accumulator = accumulators[g]!
      const [a, b] = factors.map(({ of }, f) => this.assemble(members.map((_, lane) => values[f]![of[point + lane]!]!)))
      point += members.length
      // What is added is zero: nothing to write.
      if (e.combine === 'sum' && (isZero(a!) || (b !== undefined && isZero(b)))) return
      const { name } = accumulator as { name: string }
      const before = this.pending.get(name) ?? accumulator
      const lanesOf = members.length as 1 | 4
      this.pending.set(name, b !== undefined
        ? this.terms.raw('fma', [a!, b, before], 'f32', lanesOf)
        : this.terms.raw(e.combine === 'sum' ? 'add' : 'max', [before, a!], 'f32', lanesOf))
    })
  }

  /** One statement an accumulator and round, however many steps were written out: it is loaded and stored once. */
  private flush(): void {
    for (const [name, value] of this.pending) this.terms.innermost.statements.push({ kind: 'set', name, value })
    this.pending.clear()
  }

  private accumulateArgmax(e: Reduction, place: Place, most: Term, at: Term): void {
    const body = this.value(e.body, place)
    let position: Index = index(0)
    for (const a of e.axes) position = plus(times(position, a.extent as number), place.get(a)!)
    const here = this.terms.floatOf(position)
    const statements = this.terms.innermost.statements
    const larger = this.terms.raw('lt', [most, body], 'bool', 1)
    statements.push({ kind: 'set', name: (at as { name: string }).name, value: this.terms.raw('select', [larger, here, at], 'f32', 1) })
    statements.push({ kind: 'set', name: (most as { name: string }).name, value: this.terms.raw('max', [most, body], 'f32', 1) })
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
    return this.terms.named({ kind: 'vector', parts }, `v(${parts.map((p) => this.terms.key(p)).join()})`, 'f32', 4, Math.max(...parts.map((p) => this.terms.depth(p))))
  }


  private value(e: Expression, place: Place): Term {
    const known = this.recall(e, place)
    if (known) return known
    const term = this.compute(e, place)
    const depth = Math.max(this.terms.depth(term), 0)
    const scope = this.terms.scopes[depth]!
    const byPlace = scope.values.get(e) ?? new Map<string, Term>()
    byPlace.set(this.placeKey(e, place), term)
    scope.values.set(e, byPlace)
    return term
  }

  private compute(e: Expression, place: Place): Term {
    switch (e.kind) {
      case 'constant': return float(e.value)
      case 'scalar': return this.terms.mark({ kind: 'scalar', name: e.name }, `s.${e.name}`, 0)
      case 'position': return this.terms.floatOf(this.at(e.at, place))
      case 'random': {
        const at = this.terms.indexTerm(this.at(e.at, place))
        return this.terms.named({ kind: 'random', key: e.key, at }, `r${e.key}(${this.terms.key(at)})`, 'f32', 1, this.terms.depth(at))
      }
      case 'load': {
        const at = this.terms.indexTerm(this.at(this.linearForm(e), place))
        const binding = this.slots.get(e.tensor)!
        return this.terms.named({ kind: 'load', binding, at }, `l${binding}(${this.terms.key(at)})`, 'f32', 1, this.terms.depth(at))
      }
      case 'unary': return this.terms.op(e.op, [this.value(e.a, place)])
      case 'binary': return this.terms.arithmetic(e.op, this.value(e.a, place), this.value(e.b, place))
      case 'select': {
        const condition = this.terms.op(e.test, [this.value(e.a, place), this.value(e.b, place)], 'bool')
        return this.terms.select(condition, this.value(e.yes, place), this.value(e.no, place))
      }
      case 'guard': {
        const condition = this.terms.all(e.guards.map((g) => this.guard(g, place)))
        if (condition.kind === 'truth') return condition.value ? this.value(e.value, place) : float(e.otherwise)
        return this.terms.select(condition, this.value(e.value, place), float(e.otherwise))
      }
      case 'reduce': {
        this.reduce([e], [place])
        const result = this.recall(e, place)
        invariant(result, `${this.equation.name}: a reduction left no value`)
        return result
      }
    }
  }

  private guard(g: Guard, place: Place): Term {
    const at = this.at(g.at, place)
    if (g.kind === 'within') return this.terms.within(at, g.extent)
    if (at.terms.every(({ coefficient }) => coefficient % g.by === 0)) return truth(at.constant % g.by === 0)
    const rest = this.terms.op('irem', [this.terms.indexTerm(at), int(g.by)], 'i32')
    return this.terms.op('ieq', [rest, int(0)], 'bool')
  }

  private tilePoints(base: Place): Place[] {
    let points: Place[] = [base]
    for (const [a, size] of this.schedule.tile) {
      if (size === 1 || this.schedule.serial.includes(a)) continue
      points = points.flatMap((p) => range(size).map((i) => p.with(a, plus(p.get(a)!, i))))
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
    for (let depth = this.terms.scopes.length - 1; depth >= 0; depth--) {
      const known = this.terms.scopes[depth]!.values.get(e)?.get(key)
      if (known) return known
    }
    return undefined
  }

  private retain(e: Expression, place: Place, term: Term): void {
    const scope = this.terms.innermost
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

  /** An index at a place. Neighbours differ by constants alone, so the rest is put together once for all of them. */
  private at(form: Index, place: Place): Index {
    let { constant } = form
    let key = ''
    for (const { atom, coefficient } of form.terms) {
      if (atom.kind !== 'axis') return substitute(form, { get: (a) => place.get(a), has: (a) => place.has(a) })
      const at = place.get(atom.axis)
      invariant(at, `${this.equation.name}: axis ${atom.axis.name} is not bound`)
      constant += coefficient * at.constant
      key += `${coefficient}*(${at.termsKey})`
    }
    let base = this.bases.get(key)
    if (!base) {
      base = combine(form.terms.map(({ atom, coefficient }) => {
        const at = place.get((atom as { axis: Axis }).axis)!
        return [coefficient, shift(at, -at.constant)] as const
      }))
      this.bases.set(key, base)
    }
    return shift(base, constant - base.constant)
  }

  private linearForm(e: Extract<Expression, { kind: 'load' }>): Index {
    const known = this.linearForms.get(e)
    if (known) return known
    const form = linearIndex(e.tensor, e.at)
    this.linearForms.set(e, form)
    return form
  }
}

/** Row-major position in the tensor's storage. */
export const linearIndex = (t: Tensor, at: readonly IndexLike[]): Index => combine(strides(t.shape).map((stride, i) => [stride, at[i]!] as const))


/** What a kernel binds, in the order in which its equation first reads, then writes it. */
export function bindingsOf(e: Equation, bufferOf: BufferOf, unique: (name: string) => string): Binding[] {
  const written = new Set(writes(e))
  const writtenBuffers = new Set([...written].map(bufferOf))
  const isWritten = (t: Tensor): boolean => written.has(t) || (bufferOf(t) !== undefined && writtenBuffers.has(bufferOf(t)))
  return [...new Set([...reads(e), ...written])].map((t) => ({ name: unique(identifier(t.name)), tensor: t, access: isWritten(t) ? 'read_write' : 'read' }))
}

/** The head of a kernel's text. */
export function summaryOf(e: Equation, { tile, serial, unroll }: Schedule, bindings: readonly Binding[]): string[] {
  const tiles = e.axes.filter((a) => (tile.get(a) ?? 1) > 1).map((a) => `${a.name} ${tile.get(a)}`)
  const looping = serial.length > 0 ? `, looping over ${serial.map((a) => a.name).join(', ')}` : ''
  const written = unroll.size > 0 ? `; written out: ${[...unroll].map(([a, by]) => `${a.name} ${by}`).join(', ')}` : ''
  return [
    `${e.name}: ${e.stores.map((s) => `${s.tensor.name} ${showShape(s.tensor.shape)}`).join(', ')}`,
    `reads ${bindings.filter((b) => b.access === 'read').map((b) => `${b.name} ${showShape(b.tensor.shape)}`).join(', ') || 'nothing'}`,
    ...(e.sides.length > 0 ? [`statistics of ${e.sides.map((s) => s.source.name).join(', ')} on the way`] : []),
    `one invocation: ${tiles.length > 0 ? `a tile of ${tiles.join(' x ')}` : 'one point'}${looping}${written}`,
  ]
}
