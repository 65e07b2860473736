import type { Tensor } from '../../ir/tensor.ts'
import { tensor } from '../../ir/tensor.ts'
import { type Expression, load, mul, sum } from '../../ir/expression.ts'
import { type Axis, axis, divide, type Index, index, type IndexLike, minus, plus, remainder, times, linearIndex } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { loadOf, madeIn, windowsOver } from '../../ir/fused-producer.ts'
import { Point } from '../point.ts'
import { ReductionEmitter } from '../reduction-emitter.ts'
import type { Operand } from '../kernel-function.ts'
import type { Schedule } from './schedule.ts'
import { coordinatesOf, tileElements, arrayElements, type SharedTile, type SharedTiles, stridesOf } from './shared-tile.ts'
import type { KernelBuilder } from '../builder.ts'
import { range } from '../range.ts'
import { positionIn, type Workgroup } from './workgroup.ts'
import * as operands from '../operands.ts'
import { float } from '../operands.ts'
import * as statements from '../statements.ts'
import { reductionOf } from '../../ir/expression-node.ts'

/** What a workgroup has in its memory of one factor. */
interface TileArray {
  readonly stage: SharedTile
  readonly array: number
  /** Stands for the array in expressions. */
  readonly box: Tensor
  readonly strides: readonly number[]
}

export interface SharedTileRequest {
  readonly equation: Equation
  readonly schedule: Schedule
  readonly staging: SharedTiles
  readonly builder: KernelBuilder
  readonly workgroup: Workgroup
  readonly slots: ReadonlyMap<Tensor, number>
  /** Where each output axis stands: where the workgroup's block begins, and which tile in it is this invocation's. */
  readonly blocks: ReadonlyMap<Axis, Index>
  readonly tiles: ReadonlyMap<Axis, Index>
  /** The invocation's points, and who has to know what their sums came to. */
  readonly points: readonly Point[]
  readonly values: ReductionEmitter
}

/**
 * A sum of products whose factors a workgroup stages in its memory, a part of the reduced axes at a time: each element is
 * loaded, normalized and padded once for all points of the workgroup; then every invocation adds up its tile from there.
 */
export function lowerSharedTiles(request: SharedTileRequest): void {
  const { schedule, staging: { main, spans, tiles: stages, strides }, builder, workgroup, points } = request
  const staged = stages.map((stage, i) => tileArray(workgroup, stage, strides[i]!, `stage_${'ab'[i]!}`)) as [TileArray, TileArray]
  const lanes = stages.some((s) => s.lanes) ? schedule.lanes : undefined

  // Axes within a block and within a round.
  const inner = new Map([...spans].map(([a, span]) => [a, axis(a.name, a === lanes ? span / 4 : span)]))
  const inside = (a: Axis): IndexLike => (spans.get(a)! > 1 ? inner.get(a)! : 0)
  const factor = ({ stage, box, strides }: TileArray): Expression => load(box, positionIn(strides, coordinatesOf(stage, inside)))
  const reduced = main.axes.filter((a) => spans.get(a)! > 1)
  const product = mul(factor(staged[0]), factor(staged[1]))
  const e = reduced.length > 0 ? sum(reduced.map((a) => inner.get(a)!), product)
    : reductionOf('sum', [], product)
  if (e.kind !== 'reduce') return

  // One place for each point, or each four.
  const base = [...inner].filter(([a]) => !main.axes.includes(a)).reduce((tilePoint, [a, within]) => {
    const size = (schedule.tile.get(a) ?? 1) / (a === lanes ? 4 : 1)
    return tilePoint.with(within, times(request.tiles.get(a) ?? 0, size))
  }, Point.empty)
  const inTile = points.map((point) => {
    let tilePoint = base
    for (const [a, size] of schedule.tile) {
      if (size === 1) continue
      const at = point.get(a)!.constant
      tilePoint = tilePoint.with(inner.get(a)!, plus(base.get(inner.get(a)!)!, a === lanes ? Math.floor(at / 4) : at))
    }
    return tilePoint
  })
  const keyOf = (tilePoint: Point): string => [...inner.values()].map((a) => tilePoint.get(a)?.key).join()
  // The last of the points with one key stands for all of them.
  const keys = inTile.map(keyOf)
  const byKey = new Map(inTile.map((tilePoint, i) => [keys[i]!, tilePoint]))
  const [different, numberOf] = [[...byKey.values()], new Map([...byKey.keys()].map((key, number) => [key, number]))]

  const unroll = new Map(reduced.map((a) => [inner.get(a)!, partOf(spans.get(a)!, schedule.unroll.get(a) ?? 1)]))
  const arrays = new Map(staged.map(({ box, array }) => [box, array]))
  const wide = new Set(staged.filter(({ stage }) => stage.lanes).map(({ box }) => box))
  const rounds = main.axes.filter((a) => typeof a.extent !== 'number' || a.extent > spans.get(a)!)
  const written = { tensors: new Set(arrays.keys()), depth: builder.scopes.length - 1 + rounds.length }
  const sums = new ReductionEmitter(request.equation, { tile: new Map(), unroll }, builder, arrays, { written, wide })
  const job = sums.openAccumulation(e, different, lanes ? 4 : 1)

  const open = (rest: readonly Axis[], point: Point): void => {
    const [next, ...others] = rest
    if (next) {
      const span = spans.get(next)!
      const go = (at: Index): void => open(others, point.with(next, times(at, span)))
      if (typeof next.extent !== 'number') builder.loop(next, 1, go)
      else builder.countedLoop(next, next.extent / span, go)
      return
    }
    // What the round before has staged is still being read.
    if (rounds.length > 0) workgroup.barrier()
    for (const one of staged) fill(request, one, point)
    workgroup.barrier()
    sums.accumulateSteps(job)
  }
  const start = [...request.blocks].reduce((point, [a, at]) => point.with(a, at), Point.empty)
  const fixed = main.axes.filter((a) => !rounds.includes(a)).reduce((point, a) => point.with(a, index(0)), start)
  open(rounds, fixed)

  points.forEach((point, i) => {
    const accumulator = job.accumulators[numberOf.get(keys[i]!)!]!
    const value: Operand = lanes
      ? operands.laneOf(accumulator, point.get(lanes)!.constant % 4) : accumulator
    request.values.provide(main, point, value)
  })
}

/** Steps written out in a row: what was asked for, where it divides what is staged at a time. */
const partOf = (span: number, wanted: number): number => (span % wanted === 0 ? wanted : span <= 8 ? span : 1)

function tileArray(workgroup: Workgroup, stage: SharedTile, strides: readonly number[], name: string): TileArray {
  const elements = arrayElements(stage, strides)
  const array = workgroup.array(name, elements, stage.lanes ? 4 : 1)
  return { stage, array, box: tensor(name, [elements]), strides }
}

/** Every invocation computes some elements of the box. */
function fill(request: SharedTileRequest, { stage, array, strides }: TileArray, start: Point): void {
  const { workgroup, builder, values } = request
  const along = stridesOf(stage.dims.map((d) => d.extent))
  const onLoad = onLoadOf(request, stage)
  const factor = onLoad?.factor ?? stage.value
  workgroup.fill(tileElements(stage), (slot) => {
    const at = stage.dims.map((d, i) => (i === 0 ? divide(slot, along[0]!) : remainder(divide(slot, along[i]!), d.extent)))
    const point = stage.dims.reduce((p, d, i) => p.with(d.coordinate, at[i]!), start)
    const value = (p: Point): Operand => values.value(factor, p)
    const { lanes } = stage
    const operand = !lanes ? value(point)
      : builder.vector(range(4).map((lane) => value(point.with(lanes.coordinate, plus(times(at[stage.dims.indexOf(lanes)]!, 4), lane)))))
    const storeOwn = onLoad?.storeAt(point)
    return () => {
      workgroup.store(
        array,
        positionIn(strides, at),
        operand.kind === 'number' || !lanes ? widened(operand, lanes !== undefined) : vectorOf(operand),
      )
      storeOwn?.()
    }
  })
}

/**
 * A factor that is made as it is loaded: what the box gets, and what stores an element where it belongs. That is one invocation of the
 * workgroup that has the first channels and, among its windows, the one that owns the element.
 */
function onLoadOf(
  { equation, staging: { main, spans }, builder, slots, blocks, values }: SharedTileRequest,
  { value }: SharedTile,
): { readonly factor: Expression; readonly storeAt: (point: Point) => () => void } | undefined {
  const { fusedProducer: onLoad } = equation
  const load = onLoad && loadOf(value, onLoad)
  const windows = load && windowsOver(equation, main, loadOf(main, onLoad)!)
  if (!load || !windows) return undefined
  const { tensor } = load
  const { factor, made } = madeIn(value, load, onLoad)
  const others = equation.axes.filter((a) => windows.every((w) => w === 'whole' || w.axis !== a)).map((a) =>
    builder.within(blocks.get(a)!, 1)
  )
  return {
    factor,
    storeAt: (point) => {
      const at = load.at.map((index) => values.at(index, point))
      const own = windows.flatMap((
        w,
        d,
      ) => (w === 'whole' ? [] : [builder.within(minus(at[d]!, times(blocks.get(w.axis)!, w.step)), w.step * spans.get(w.axis)!)]))
      const condition = builder.all([...others, ...own, ...at.map((index, d) => builder.within(index, tensor.shape[d]!))])
      const place = builder.indexOperand(linearIndex(tensor, at))
      const element = statements.store(slots.get(tensor)!, place, values.value(made, point))
      return () => builder.branch(condition, () => builder.innermost.statements.push(element))
    },
  }
}

const widened = (operand: Operand, wide: boolean): Operand => (wide && operand.kind === 'number' ? float(operand.value, 4) : operand)
/** `together` gives a single value where all four are the same. */
const vectorOf = (
  operand: Operand,
): Operand => ((operand.kind === 'name' || operand.kind === 'operation') && operand.lanes === 1 ?
  operands.vector(range(4).map(() => operand))
  : operand)
