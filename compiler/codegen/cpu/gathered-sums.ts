import { freeAxes, hasReduction } from '../../ir/analysis.ts'
import { axesOf, type Axis, type IndexLike, linearIndex, rangeOf } from '../../ir/affine.ts'
import { type Equation, type SideReduction, type Store, store } from '../../ir/equation.ts'
import { type Expression, walk } from '../../ir/expression.ts'
import type { Tensor } from '../../ir/tensor.ts'
import { runsThroughMaps, termsOfStored } from '../../ir/side-sums.ts'
import { chosenLoad } from '../chosen-load.ts'
import type { Operand } from '../kernel-function.ts'
import * as operands from '../operands.ts'
import { float, isZero } from '../operands.ts'
import type { Point } from '../point.ts'
import { range } from '../range.ts'
import type { ReductionEmitter } from '../reduction-emitter.ts'
import * as statements from '../statements.ts'
import { CPU, pointsOf } from './cost-model.ts'
import type { GatheredSums, Loop, Stage } from './loop-nest.ts'
import { statisticsStage } from './statistics-stage.ts'
import { imagesOf, type TaskGrid } from './tasks.ts'

/** Accumulators that a register tile may have beside its own. */
const MOST_ACCUMULATORS = 8
/** Registers that a loop may keep: conditions, what all points share, and accumulators. With nine slices of a map as terms, a pass took 1.07 of the time. */
const MOST_KEPT = 12

/**
 * A stage and the statistics of what it stores. Sums are gathered in its own loops where these go through a channel's map in whole vectors: what was stored, and
 * what both load, is in registers then. Others are read back by stages behind it.
 */
export function withStatistics(stage: Stage, equation: Equation, task: TaskGrid, around?: IndexLike): Stage[] {
  const behind: Stage[] = []
  let gathers: GatheredSums | undefined
  for (const side of equation.sides) {
    const statistics = statisticsStage(side, equation, task, around)
    const found = imagesOf(task) || gathers ? undefined : gathered(stage, side, statistics)
    if (found) gathers = found
    else behind.push(statistics)
  }
  return [gathers ? { ...stage, gathers } : stage, ...behind]
}

function gathered({ equation: e, loops, vectorReduction }: Stage, side: SideReduction, statistics: Stage): GatheredSums | undefined {
  const [stored, ...others] = e.stores.filter((s) => s.tensor === side.source)
  if (side.kind !== 'sums' || side.groupAxis || vectorReduction || !stored || others.length > 0) return undefined
  if (!runsThroughMaps(side, side.source)) return undefined
  const places = new Set(stored.at.slice(2).flatMap(axesOf))
  const first = loops.findIndex((l) => places.has(l.axis))
  const [outer, inner] = [loops.slice(0, first), loops.slice(first)]
  const map = side.blocks.reduce((points, { axis: a, size }) => (a.extent === 'n' ? points : points * size), 1)
  const [image, channel] = stored.at as readonly [Store['at'][number], Store['at'][number]]
  const channels = rangeOf(channel)
  if (
    first < 0 || pointsOf(inner.map((l) => l.axis)) !== map || channels.min !== 0 || channels.max !== side.source.shape[1] as number - 1 ||
    [image, channel].some((at) => axesOf(at).some((a) => inner.some((l) => l.axis === a))) || outer.some((l) => l.vectorized) ||
    !inner.every((l) => places.has(l.axis)) || !isInWholeVectors(inner)
  ) return undefined
  const lanes = inner.find((l) => l.vectorized)!
  const isSum = e.stores.some((s) => hasReduction(s.value))
  // On hosts with vectors of twice the width a tile of sums has up to four of them.
  if (isSum && lanes.axis.extent as number % (4 * CPU.lanes) !== 0) return undefined
  const copies = !isSum && lanes.tile % 2 === 0 ? 2 : 1
  const stores = termsOfStored(side, stored).map((term, k) => {
    const { tensor, at } = statistics.equation.stores[k]!
    return store(tensor, [...at.slice(0, -2), channel, at.at(-1)!], term)
  })
  const accumulators = outer.reduce((product, l) => product * l.tile, copies * stores.length)
  const kept = isSum ? 0 : keptFor(stored.value, lanes.axis)
  return accumulators <= MOST_ACCUMULATORS && kept + accumulators <= MOST_KEPT ? { stores, within: inner.length, copies } : undefined
}

/** What a loop keeps for a value while it goes along an axis: conditions, what all points share, and the place of a load that is chosen. */
function keptFor(value: Expression, along: Axis): number {
  const nodes = walk(value)
  const chosen = nodes.filter((node) => node.kind === 'binary' && chosenLoad(node))
  const parts = new Set(chosen.flatMap((sum) => walk(sum)))
  const others = nodes.filter((node) => !parts.has(node) && (node.kind === 'guard' || (node.kind === 'load' && !freeAxes(node).has(along))))
  return chosen.length + others.length
}

/** Whether loops go through all points once, four at a time. */
export const isInWholeVectors = (loops: readonly Loop[]): boolean =>
  loops.filter((l) => l.vectorized).length === 1 && loops.every(({ axis: { extent }, tile, vectorized }) => {
    const width = vectorized ? CPU.lanes : 1
    return typeof extent === 'number' && extent % width === 0 && (extent < tile * width || extent % (tile * width) === 0)
  })

/** Emits gathered sums: what they are gathered in for the points of a tile of the loops around, the terms of a tile, and the sums at last. */
export class SumsEmitter {
  private readonly sums: readonly {
    readonly binding: number
    readonly value: Store['value']
    readonly linear: ReturnType<typeof linearIndex>
    /** By where the sum goes. */
    readonly accumulators: ReadonlyMap<string, readonly Operand[]>
  }[]
  private readonly values: ReductionEmitter
  private readonly points: readonly Point[]

  constructor({ stores, copies }: GatheredSums, values: ReductionEmitter, slots: ReadonlyMap<Tensor, number>, points: readonly Point[]) {
    this.values = values
    this.points = points
    this.sums = stores.map((s) => {
      const linear = linearIndex(s.tensor, s.at)
      const accumulators = new Map<string, readonly Operand[]>()
      for (const point of points) {
        const key = this.keyOf(linear, point)
        if (!accumulators.has(key)) accumulators.set(key, range(copies).map(() => values.builder.declareVariable('sum', float(0, 4), 4)))
      }
      return { binding: slots.get(s.tensor)!, value: s.value, linear, accumulators }
    })
  }

  private keyOf(linear: ReturnType<typeof linearIndex>, point: Point): string {
    const at = this.values.at(linear, point)
    return `${at.termsKey} ${at.constant}`
  }

  /** Adds the terms of a tile's points. */
  add(tile: readonly Point[]): void {
    const updates = new Map<string, Operand>()
    for (const { value, linear, accumulators } of this.sums) {
      const turns = new Map<string, number>()
      for (const point of tile) {
        const key = this.keyOf(linear, point)
        const [copies, turn] = [accumulators.get(key)!, turns.get(key) ?? 0]
        turns.set(key, turn + 1)
        const accumulator = copies[turn % copies.length]!
        const { name } = accumulator as { name: string }
        const isProduct = value.kind === 'binary' && value.op === 'mul'
        const terms = (isProduct ? [value.a, value.b] : [value]).map((factor) => this.values.value(factor, point))
        if (terms.some(isZero)) continue
        updates.set(name, operands.operation(isProduct ? 'fma' : 'add', [...terms, updates.get(name) ?? accumulator], 'f32', 4))
      }
    }
    for (const [name, value] of updates) this.values.builder.innermost.statements.push(statements.set(name, value))
  }

  /** Stores the sums. */
  store(): void {
    const { builder } = this.values
    for (const { binding, linear, accumulators } of this.sums) {
      const done = new Set<string>()
      for (const point of this.points) {
        const key = this.keyOf(linear, point)
        if (done.has(key)) continue
        done.add(key)
        const total = builder.op('lanesum', [accumulators.get(key)!.reduce((a, b) => builder.op('add', [a, b]))])
        builder.innermost.statements.push(statements.store(binding, builder.indexOperand(this.values.at(linear, point)), total))
      }
    }
  }
}
