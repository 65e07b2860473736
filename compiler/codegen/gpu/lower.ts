import { invariant } from '../../invariant.ts'
import { showShape, type Tensor } from '../../ir/tensor.ts'
import { type Axis, axis, combine, type Extent, index, type Index, type IndexLike, plus, times, linearIndex } from '../../ir/affine.ts'
import type { Equation, SideReduction } from '../../ir/equation.ts'
import { bindingsOf, type BufferOf } from '../bindings.ts'
import { Point } from '../point.ts'
import type { Expression } from '../../ir/expression.ts'
import { addMoments, addSums, type Member, momentsOf, sumOf } from './statistics.ts'
import { lowerSharedTiles } from './lower-shared-tile.ts'
import { leastMergeBytes, reduceBlock } from './block-reduction.ts'
import { ReductionEmitter } from '../reduction-emitter.ts'
import type { Binding, KernelFunction, Operand } from '../kernel-function.ts'
import type { Schedule } from './schedule.ts'
import { termsOfStored } from '../../ir/side-sums.ts'
import { sharedTilesOf } from './shared-tile.ts'
import { KernelBuilder } from '../builder.ts'
import { identifier } from '../kernel-names.ts'
import { range } from '../range.ts'
import { Workgroup } from './workgroup.ts'
import { float } from '../operands.ts'
import * as statements from '../statements.ts'

export interface LoweringOptions {
  /** Default: no tensor shares a buffer. */
  readonly bufferOf?: BufferOf
  /** Whether the kernel is for devices that have subgroups. Default false. */
  readonly subgroups?: boolean
  /** Names of the target's language that nothing in the kernel may be called. */
  readonly reservedWords?: ReadonlySet<string>
}

/**
 * Lowers an equation to the kernel function of one invocation. The points of a register tile are computed together: every value is
 * computed once for all points that share it, in the outermost loop in which it does not change. So weights are loaded once for all
 * pixels of a tile, pixels once for all channels, and neighbouring windows share the elements in which they overlap.
 */
export function lower(equation: Equation, schedule: Schedule, options: LoweringOptions = {}): KernelFunction {
  return new Lowering(equation, schedule, options).run()
}

/** What a tile has of one kept point. */
interface Gathered {
  readonly point: Point
  readonly parts: readonly Operand[]
}

type Gather = (side: SideReduction, kept: readonly Gathered[]) => void

class Lowering {
  private readonly equation: Equation
  private readonly schedule: Schedule
  private readonly builder: KernelBuilder
  private readonly bindings: Binding[]
  private readonly slots: Map<Tensor, number>
  private readonly values: ReductionEmitter
  /** Where each point of the grid is a workgroup. */
  private readonly workgroup: Workgroup | undefined
  /** Where an invocation's tile stands in its workgroup, along each axis, in tiles. */
  private readonly locals = new Map<Axis, Index>()
  /** Where the workgroup's block, or the tile, begins. */
  private readonly blocks = new Map<Axis, Index>()
  /** Axes along which a tile or a workgroup has several points. */
  private readonly tiledAxes: readonly Axis[]

  constructor(
    equation: Equation,
    schedule: Schedule,
    { bufferOf = () => undefined, subgroups = false, reservedWords = new Set() }: LoweringOptions,
  ) {
    this.equation = equation
    this.schedule = schedule
    this.builder = new KernelBuilder(equation.name, reservedWords)
    this.bindings = bindingsOf(equation, bufferOf, (name) => this.builder.names.unique(name))
    this.slots = new Map(this.bindings.map((b, i) => [b.tensor, i]))
    this.tiledAxes = equation.axes.filter((a) => (schedule.tile.get(a) ?? 1) * (schedule.group?.get(a) ?? 1) > 1)
    const size = schedule.group && !schedule.inTurn ? [...schedule.group.values()].reduce((product, by) => product * by, 1) : schedule.share
    this.workgroup = size === undefined ? undefined : new Workgroup(this.builder, size, this.bindings.length, subgroups)
    this.values = new ReductionEmitter(
      equation,
      schedule,
      this.builder,
      this.slots,
      {},
      schedule.share === undefined ? undefined : this.workgroup,
    )
  }

  run(): KernelFunction {
    const { equation, schedule } = this
    this.builder.openScope()
    let point = Point.empty
    const grid: { name: string; extent: Extent }[] = []
    const group: { name: string; extent: number }[] = []
    for (const a of equation.axes) {
      if (schedule.serial.includes(a)) continue
      const size = schedule.tile.get(a) ?? 1
      const side = schedule.group?.get(a) ?? 1
      const variable = this.builder.loopVariable(a, size * side, 0)
      grid.push({ name: this.builder.name(variable), extent: variable.extent })
      const block = times(variable, size * side)
      this.blocks.set(a, block)
      if (schedule.inTurn) {
        point = point.with(a, block)
        continue
      }
      if (side > 1) {
        const local = this.builder.providedVariable(this.builder.names.unique(identifier(`${a.name}_in`)), side)
        group.push({ name: this.builder.name(local), extent: side })
        this.locals.set(a, index(local))
      }
      point = point.with(a, plus(block, times(this.locals.get(a) ?? 0, size)))
    }
    if (this.workgroup && group.length === 0) group.push({ name: this.builder.names.unique('part_in'), extent: this.workgroup.size })
    if (schedule.inTurn) this.walkBlock(point)
    else {
      const points = this.tilePoints(point)
      this.stage(points)
      this.openSerial(points, [...schedule.serial])
    }
    return {
      name: equation.name,
      layers: equation.layers,
      summary: summaryOf(this.equation, this.schedule, this.bindings),
      bindings: this.bindings,
      packBuffers: [],
      shared: this.workgroup?.shared,
      grid,
      group: this.workgroup && group,
      subgroups: this.workgroup?.subgroups ? true : undefined,
      body: this.builder.scopes[0]!.statements,
    }
  }

  /** The tiles of a block one after the other; then what was gathered of all. */
  private walkBlock(block: Point): void {
    const { builder, schedule: { tile, group }, equation: { sides } } = this
    const gathered = sides.map((side) =>
      range(tile.get(side.keptAxis) ?? 1).map(() =>
        range(side.partials.shape.at(-1) as number).map(() => builder.declareVariable('gathered', float(0), 1))
      )
    )
    const walk = (point: Point, [next, ...rest]: readonly (readonly [Axis, number])[]): void => {
      if (!next) {
        const points = this.tilePoints(point)
        this.openSerial(points, [], (side, kept) => {
          const add = side.kind === 'moments' ? addMoments : addSums
          kept.forEach(({ parts }, i) => add(builder, gathered[sides.indexOf(side)]![i]!, parts))
        })
        return
      }
      const [a, count] = next
      builder.countedLoop(
        axis(`${a.name}_in`, count),
        count,
        (at) => walk(point.with(a, plus(point.get(a)!, times(at, tile.get(a) ?? 1))), rest),
      )
    }
    walk(block, [...group!])
    const points = this.tilePoints(block)
    sides.forEach((side, s) =>
      this.keptOf(side, points).forEach(([first], i) =>
        this.storeParts(
          side,
          first!.get(side.keptAxis)!,
          builder.within(first!.get(side.keptAxis)!, side.keptAxis.extent),
          gathered[s]![i]!,
        )
      )
    )
  }

  private stage(points: readonly Point[]): void {
    const { equation, schedule, builder, workgroup, slots, blocks, locals, values } = this
    invariant(schedule.stage || !equation.fusedProducer, `${equation.name} does not stage what it makes on load`)
    if (!schedule.stage) return
    const staging = sharedTilesOf(equation, schedule)
    invariant(staging && workgroup, `${equation.name} has nothing to stage`)
    lowerSharedTiles({ equation, schedule, staging, builder, workgroup, slots, blocks, tiles: locals, points, values })
  }

  /** The loops over serial axes, outermost first; inside them the points are computed and stored. */
  private openSerial(points: readonly Point[], axes: Axis[], gather: Gather = (side, kept) => this.storeSide(side, kept)): void {
    const values = this.equation.stores.map((s) => s.value)
    this.values.hoistReductions(values, points)
    const next = axes.shift()
    if (!next) {
      this.storePoints(points, gather)
      return
    }
    this.builder.loop(next, 1, (at) => this.openSerial(points.map((p) => p.with(next, at)), [...axes], gather))
  }

  private storePoints(points: readonly Point[], gather: Gather): void {
    const stores = this.equation.stores.map((s) => {
      const linear = linearIndex(s.tensor, s.at)
      const keys = new Map<string, { point: Point; value: Operand }>()
      for (const point of points) keys.set(this.values.at(linear, point).key, { point, value: this.values.value(s.value, point) })
      return { s, linear, entries: [...keys.values()] }
    })
    for (const { s, linear, entries } of stores) {
      if (s.counts) {
        const values = points.map((point) => this.builder.select(this.insideTile(point), this.values.value(s.value, point), float(0)))
        this.builder.innermost.statements.push(statements.count(this.slots.get(s.tensor)!, values))
        continue
      }
      for (const { point, value } of entries) {
        const at = this.builder.indexOperand(this.values.at(linear, point))
        const inside = this.builder.all([this.insideTile(point), ...this.once()])
        this.builder.pushGuarded(inside, statements.store(this.slots.get(s.tensor)!, at, value))
      }
    }
    for (const side of this.equation.sides) gather(side, this.gatheredOf(side, points))
  }

  /** Where all invocations of a workgroup have the same point, one of them stores it. */
  private once(): Operand[] {
    return this.workgroup && this.schedule.share !== undefined ? [this.builder.within(index(this.workgroup.local), 1)] : []
  }

  /** Whether a point of a tile lies inside its axes: the last tile may hang over the edge. */
  private insideTile(point: Point): Operand {
    return this.builder.all(this.tiledAxes.map((a) => this.builder.within(point.get(a)!, a.extent)))
  }

  /** What a tile has for each of its kept points: see `SideReduction`. */
  private gatheredOf(side: SideReduction, points: readonly Point[]): readonly Gathered[] {
    const source = this.equation.stores.find((s) => s.tensor === side.source)
    invariant(source, `${this.equation.name} gathers what it knows of ${side.source.name}, which it does not store`)
    const summands = side.kind === 'sums' ? termsOfStored(side, source) : []
    const membersOf = (e: Expression, points: readonly Point[]): Member[] =>
      points.map((point) => ({ inside: this.insideTile(point), value: this.values.value(e, point) }))
    return this.keptOf(side, points).map((points) => ({
      point: points[0]!,
      parts: side.kind === 'moments' ? momentsOf(this.builder, membersOf(source.value, points), this.schedule.group !== undefined)
        : summands.map((summand) => sumOf(this.builder, membersOf(summand, points))),
    }))
  }

  /** Points by what is kept of them. */
  private keptOf(side: SideReduction, points: readonly Point[]): readonly (readonly Point[])[] {
    const groups = new Map<string, Point[]>()
    for (const point of points) {
      const key = point.get(side.keptAxis)!.key
      groups.set(key, [...(groups.get(key) ?? []), point])
    }
    return [...groups.values()]
  }

  /** What a tile has, or all of a workgroup together. */
  private storeSide(side: SideReduction, kept: readonly Gathered[]): void {
    if (!this.workgroup) {
      for (const { point, parts } of kept) this.storeParts(side, point.get(side.keptAxis)!, this.insideTile(point), parts)
      return
    }
    const { equation: { sides }, schedule, workgroup } = this
    reduceBlock({
      side,
      schedule,
      workgroup,
      locals: [...this.locals],
      kept: kept.map(({ parts }) => parts),
      reserved: leastMergeBytes(sides.slice(sides.indexOf(side) + 1), workgroup.size, (a) => schedule.group?.get(a) ?? 1),
    }, (at, parts) => {
      const point = plus(this.blocks.get(side.keptAxis)!, at)
      this.storeParts(side, point, this.builder.within(point, side.keptAxis.extent), parts)
    })
  }

  private storeParts(side: SideReduction, kept: Index, inside: Operand, parts: readonly Operand[]): void {
    const blocks = side.blocks.map(({ axis: a, size }): IndexLike => {
      const block = (this.schedule.tile.get(a) ?? 1) * (this.schedule.group?.get(a) ?? 1)
      invariant(block === size, `${this.equation.name}: a block of ${size} is not its block of ${block} along ${a.name}`)
      return combine(this.blocks.get(a)!.terms.map(({ atom, coefficient }) => {
        invariant(atom.kind === 'axis', 'a block starts at a loop variable')
        return [coefficient / size, atom.axis]
      }))
    })
    parts.forEach((value, k) => {
      const at = this.builder.indexOperand(linearIndex(side.partials, [...blocks, kept, index(k)]))
      this.builder.pushGuarded(inside, statements.store(this.slots.get(side.partials)!, at, value))
    })
  }

  private tilePoints(base: Point): Point[] {
    let points: Point[] = [base]
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
    `${e.name}: ${[...new Set(e.stores.map((s) => `${s.tensor.name} ${showShape(s.tensor.shape)}`))].join(', ')}`,
    `reads ${bindings.filter((b) => b.access === 'read').map((b) => `${b.name} ${showShape(b.tensor.shape)}`).join(', ') || 'nothing'}`,
    ...(e.sides.length > 0 ? [`${e.sides.map((s) => `${s.kind} of ${s.source.name}`).join(', ')} on the way`] : []),
    `one invocation: ${tiles.length > 0 ? `a tile of ${tiles.join(' x ')}` : 'one point'}${block}${looping}${written}`,
  ]
}
