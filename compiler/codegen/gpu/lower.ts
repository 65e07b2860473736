import { invariant } from '../../invariant.ts'
import { showShape, type Tensor } from '../../ir/tensor.ts'
import { type Axis, axis, combine, type Extent, index, type Index, type IndexLike, plus, times, linearIndex } from '../../ir/affine.ts'
import type { Equation, SideReduction } from '../../ir/equation.ts'
import { bindingsOf, type BufferOf } from '../bindings.ts'
import { Place } from '../point.ts'
import type { Expression } from '../../ir/expression.ts'
import { addMoments, addSums, type Member, momentsOf, sumOf } from './statistics.ts'
import { lowerStaged } from './lower-shared-tile.ts'
import { mergeShared } from './block-reduction.ts'
import { Reductions } from '../reduction-emitter.ts'
import type { Binding, Routine, Statement, Term } from '../kernel-function.ts'
import type { Schedule } from './schedule.ts'
import { termsOfStored } from '../../ir/side-sums.ts'
import { stagingOf } from './shared-tile.ts'
import { float, identifier, range, Terms } from '../builder.ts'
import { Workgroup } from './workgroup.ts'

/**
 * Writes an equation out as the text of one invocation. A tile of points is computed together: every value is computed
 * once for all points that share it, in the outermost loop in which it does not change; so weights are loaded once for all
 * pixels of a tile, pixels once for all channels, and neighbouring windows share what they overlap in. `subgroups`: for devices that
 * have them.
 */
export function lower(equation: Equation, schedule: Schedule, bufferOf: BufferOf = () => undefined, subgroups = false): Routine {
  return new Lowering(equation, schedule, bufferOf, subgroups).run()
}

/** What a tile has of one kept point. */
interface Gathered {
  readonly place: Place
  readonly parts: readonly Term[]
}

type Gather = (side: SideReduction, kept: readonly Gathered[]) => void

class Lowering {
  private readonly equation: Equation
  private readonly schedule: Schedule
  private readonly terms: Terms
  private readonly bindings: Binding[]
  private readonly slots: Map<Tensor, number>
  private readonly values: Reductions
  /** Where each point of the grid is a workgroup. */
  private readonly workgroup: Workgroup | undefined
  /** Where an invocation's tile stands in its workgroup, along each axis, in tiles. */
  private readonly locals = new Map<Axis, Index>()
  /** Where the workgroup's block, or the tile, begins. */
  private readonly blocks = new Map<Axis, Index>()

  constructor(equation: Equation, schedule: Schedule, bufferOf: BufferOf, subgroups: boolean) {
    this.equation = equation
    this.schedule = schedule
    this.terms = new Terms(equation.name)
    this.bindings = bindingsOf(equation, bufferOf, (name) => this.terms.unique(name))
    this.slots = new Map(this.bindings.map((b, i) => [b.tensor, i]))
    const size = schedule.group && !schedule.inTurn ? [...schedule.group.values()].reduce((product, by) => product * by, 1) : schedule.share
    this.workgroup = size === undefined ? undefined : new Workgroup(this.terms, size, this.bindings.length, subgroups)
    this.values = new Reductions(equation, schedule, this.terms, this.slots, {}, schedule.share === undefined ? undefined : this.workgroup)
  }

  run(): Routine {
    const { equation, schedule } = this
    this.terms.open()
    let place = Place.empty
    const grid: { name: string; extent: Extent }[] = []
    const group: { name: string; extent: number }[] = []
    for (const a of equation.axes) {
      if (schedule.serial.includes(a)) continue
      const size = schedule.tile.get(a) ?? 1
      const side = schedule.group?.get(a) ?? 1
      const variable = this.terms.variable(a, size * side, 0)
      grid.push({ name: this.terms.name(variable), extent: variable.extent })
      const block = times(variable, size * side)
      this.blocks.set(a, block)
      if (schedule.inTurn) {
        place = place.with(a, block)
        continue
      }
      if (side > 1) {
        const local = this.terms.given(this.terms.unique(identifier(`${a.name}_in`)), side)
        group.push({ name: this.terms.name(local), extent: side })
        this.locals.set(a, index(local))
      }
      place = place.with(a, plus(block, times(this.locals.get(a) ?? 0, size)))
    }
    if (this.workgroup && group.length === 0) group.push({ name: this.terms.unique('part_in'), extent: this.workgroup.size })
    if (schedule.inTurn) this.walkBlock(place)
    else {
      const points = this.tilePoints(place)
      this.stage(points)
      this.openSerial(points, [...schedule.serial])
    }
    return {
      name: equation.name,
      layers: equation.layers,
      summary: summaryOf(this.equation, this.schedule, this.bindings),
      bindings: this.bindings,
      staging: [],
      ...(this.workgroup && { group, shared: this.workgroup.shared, ...(this.workgroup.subgroups && { subgroups: true as const }) }),
      locals: this.terms.locals(),
      grid,
      body: this.terms.scopes[0]!.statements,
    }
  }

  /** The tiles of a block one after the other; then what was gathered of all. */
  private walkBlock(block: Place): void {
    const { terms, schedule: { tile, group }, equation: { sides } } = this
    const gathered = sides.map((side) =>
      range(tile.get(side.kept) ?? 1).map(() => range(side.into.shape.at(-1) as number).map(() => terms.declare('gathered', float(0), 1)))
    )
    const walk = (place: Place, [next, ...rest]: readonly (readonly [Axis, number])[]): void => {
      if (!next) {
        const points = this.tilePoints(place)
        this.openSerial(points, [], (side, kept) => {
          const add = side.kind === 'moments' ? addMoments : addSums
          kept.forEach(({ parts }, i) => add(terms, gathered[sides.indexOf(side)]![i]!, parts))
        })
        return
      }
      const [a, count] = next
      terms.rounds(axis(`${a.name}_in`, count), count, (at) => walk(place.with(a, plus(place.get(a)!, times(at, tile.get(a) ?? 1))), rest))
    }
    walk(block, [...group!])
    const points = this.tilePoints(block)
    sides.forEach((side, s) =>
      this.keptOf(side, points).forEach(([first], i) =>
        this.storeParts(side, first!.get(side.kept)!, terms.within(first!.get(side.kept)!, side.kept.extent), gathered[s]![i]!)
      )
    )
  }

  private stage(points: readonly Place[]): void {
    const { equation, schedule, terms, workgroup, slots, blocks, locals, values } = this
    invariant(schedule.stage || !equation.onLoad, `${equation.name} does not stage what it makes on load`)
    if (!schedule.stage) return
    const staging = stagingOf(equation, schedule)
    invariant(staging && workgroup, `${equation.name} has nothing to stage`)
    lowerStaged({ equation, schedule, staging, terms, workgroup, slots, blocks, tiles: locals, points, values })
  }

  /** The loops over serial axes, outermost first; inside them the points are computed and stored. */
  private openSerial(points: readonly Place[], axes: Axis[], gather: Gather = (side, kept) => this.storeSide(side, kept)): void {
    const values = this.equation.stores.map((s) => s.value)
    this.values.hoistReductions(values, points)
    const next = axes.shift()
    if (!next) {
      this.storePoints(points, gather)
      return
    }
    this.terms.loop(next, 1, (at) => this.openSerial(points.map((p) => p.with(next, at)), [...axes], gather))
  }

  private storePoints(points: readonly Place[], gather: Gather): void {
    const stores = this.equation.stores.map((s) => {
      const linear = linearIndex(s.tensor, s.at)
      const keys = new Map<string, { place: Place; value: Term }>()
      for (const place of points) keys.set(this.values.at(linear, place).key, { place, value: this.values.value(s.value, place) })
      return { s, linear, entries: [...keys.values()] }
    })
    for (const { s, linear, entries } of stores) {
      if (s.counts) {
        const values = points.map((place) => this.terms.select(this.insideTile(place), this.values.value(s.value, place), float(0)))
        this.terms.innermost.statements.push({ kind: 'count', binding: this.slots.get(s.tensor)!, values })
        continue
      }
      for (const { place, value } of entries) {
        const at = this.terms.indexTerm(this.values.at(linear, place))
        this.guarded(this.terms.all([this.insideTile(place), ...this.once()]), {
          kind: 'store',
          binding: this.slots.get(s.tensor)!,
          at,
          value,
        })
      }
    }
    for (const side of this.equation.sides) gather(side, this.gatheredOf(side, points))
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

  /** Where all invocations of a workgroup have the same point, one of them stores it. */
  private once(): Term[] {
    return this.workgroup && this.schedule.share !== undefined ? [this.terms.within(index(this.workgroup.local), 1)] : []
  }

  /** Whether a point of a tile lies inside its axes: the last tile may hang over the edge. */
  private insideTile(place: Place): Term {
    const { tile, group } = this.schedule
    const conditions = this.equation.axes.filter((a) => (tile.get(a) ?? 1) * (group?.get(a) ?? 1) > 1).map((a) =>
      this.terms.within(place.get(a)!, a.extent)
    )
    return this.terms.all(conditions)
  }

  /** What a tile has for each of its kept points: see `SideReduction`. */
  private gatheredOf(side: SideReduction, points: readonly Place[]): readonly Gathered[] {
    const source = this.equation.stores.find((s) => s.tensor === side.source)
    invariant(source, `${this.equation.name} gathers what it knows of ${side.source.name}, which it does not store`)
    const terms = side.kind === 'sums' ? termsOfStored(side, source) : []
    const membersOf = (e: Expression, places: readonly Place[]): Member[] =>
      places.map((place) => ({ inside: this.insideTile(place), value: this.values.value(e, place) }))
    return this.keptOf(side, points).map((places) => ({
      place: places[0]!,
      parts: side.kind === 'moments' ? momentsOf(this.terms, membersOf(source.value, places), this.schedule.group !== undefined)
        : terms.map((term) => sumOf(this.terms, membersOf(term, places))),
    }))
  }

  /** Points by what is kept of them. */
  private keptOf(side: SideReduction, points: readonly Place[]): readonly (readonly Place[])[] {
    const groups = new Map<string, Place[]>()
    for (const place of points) {
      const key = place.get(side.kept)!.key
      groups.set(key, [...(groups.get(key) ?? []), place])
    }
    return [...groups.values()]
  }

  /** What a tile has, or all of a workgroup together. */
  private storeSide(side: SideReduction, kept: readonly Gathered[]): void {
    if (!this.workgroup) {
      for (const { place, parts } of kept) this.storeParts(side, place.get(side.kept)!, this.insideTile(place), parts)
      return
    }
    mergeShared({
      side,
      schedule: this.schedule,
      workgroup: this.workgroup,
      locals: [...this.locals],
      kept: kept.map(({ parts }) => parts),
    }, (at, parts) => {
      const place = plus(this.blocks.get(side.kept)!, at)
      this.storeParts(side, place, this.terms.within(place, side.kept.extent), parts)
    })
  }

  private storeParts(side: SideReduction, kept: Index, inside: Term, parts: readonly Term[]): void {
    const blocks = side.blocks.map(({ axis: a, size }): IndexLike => {
      const block = (this.schedule.tile.get(a) ?? 1) * (this.schedule.group?.get(a) ?? 1)
      invariant(block === size, `${this.equation.name}: a block of ${size} is not its block of ${block} along ${a.name}`)
      return combine(this.blocks.get(a)!.terms.map(({ atom, coefficient }) => {
        invariant(atom.kind === 'axis', 'a block starts at a loop variable')
        return [coefficient / size, atom.axis]
      }))
    })
    parts.forEach((value, k) => {
      const at = this.terms.indexTerm(linearIndex(side.into, [...blocks, kept, index(k)]))
      this.guarded(inside, { kind: 'store', binding: this.slots.get(side.into)!, at, value })
    })
  }

  private tilePoints(base: Place): Place[] {
    let points: Place[] = [base]
    for (const [a, size] of this.schedule.tile) {
      if (size === 1 || this.schedule.serial.includes(a)) continue
      points = points.flatMap((p) => range(size).map((i) => p.with(a, plus(p.get(a)!, i))))
    }
    return points
  }
}

/** The head of a kernel's text. */
export function summaryOf(e: Equation, { tile, serial, unroll, group, inTurn }: Schedule, bindings: readonly Binding[]): string[] {
  const tiles = e.axes.filter((a) => (tile.get(a) ?? 1) > 1).map((a) => `${a.name} ${tile.get(a)}`)
  const looping = serial.length > 0 ? `, looping over ${serial.map((a) => a.name).join(', ')}` : ''
  const block = inTurn && group ? `, ${[...group].map(([a, count]) => `${count} along ${a.name}`).join(', ') || 'one'} in turn` : ''
  const written = unroll.size > 0 ? `; written out: ${[...unroll].map(([a, by]) => `${a.name} ${by}`).join(', ')}` : ''
  return [
    `${e.name}: ${e.stores.map((s) => `${s.tensor.name} ${showShape(s.tensor.shape)}`).join(', ')}`,
    `reads ${bindings.filter((b) => b.access === 'read').map((b) => `${b.name} ${showShape(b.tensor.shape)}`).join(', ') || 'nothing'}`,
    ...(e.sides.length > 0 ? [`${e.sides.map((s) => `${s.kind} of ${s.source.name}`).join(', ')} on the way`] : []),
    `one invocation: ${tiles.length > 0 ? `a tile of ${tiles.join(' x ')}` : 'one point'}${block}${looping}${written}`,
  ]
}
