import type { Tensor } from '../../ir/tensor.ts'
import { tensor } from '../../ir/tensor.ts'
import { type Expression, load, mul, sum } from '../../ir/expression.ts'
import { type Axis, axis, divide, type Index, index, type IndexLike, minus, plus, remainder, times, linearIndex } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { loadOf, madeIn, windowsOver } from '../../ir/fused-producer.ts'
import { Place } from '../point.ts'
import { Reductions } from '../reduction-emitter.ts'
import type { Statement, Term } from '../kernel-function.ts'
import type { Schedule } from './schedule.ts'
import { coordinatesOf, elementsOf, paddedStrides, sizeOfBox, type Stage, type Staging, stridesOf } from './shared-tile.ts'
import { float, range, type Terms } from '../builder.ts'
import { positionIn, type Workgroup } from './workgroup.ts'

/** What a workgroup has in its memory of one factor. */
interface Staged {
  readonly stage: Stage
  readonly array: number
  /** Stands for the array in expressions. */
  readonly box: Tensor
  readonly strides: readonly number[]
}

export interface StagedRequest {
  readonly equation: Equation
  readonly schedule: Schedule
  readonly staging: Staging
  readonly terms: Terms
  readonly workgroup: Workgroup
  readonly slots: ReadonlyMap<Tensor, number>
  /** Where each output axis stands: where the workgroup's block begins, and which tile in it is this invocation's. */
  readonly blocks: ReadonlyMap<Axis, Index>
  readonly tiles: ReadonlyMap<Axis, Index>
  /** The invocation's points, and who has to know what their sums came to. */
  readonly points: readonly Place[]
  readonly values: Reductions
}

/**
 * A sum of products whose factors a workgroup stages in its memory, a part of the reduced axes at a time: each element is
 * loaded, normalized and padded once for all points of the workgroup; then every invocation adds up its tile from there.
 */
export function lowerStaged(request: StagedRequest): void {
  const { schedule, staging: { main, spans, stages }, terms, workgroup, points } = request
  const staged = stages.map((stage, i) => stageArray(request, stage, `stage_${'ab'[i]!}`)) as [Staged, Staged]
  const lanes = stages.some((s) => s.lanes) ? schedule.lanes : undefined

  // Axes within a block and within a round.
  const inner = new Map([...spans].map(([a, span]) => [a, axis(a.name, a === lanes ? span / 4 : span)]))
  const inside = (a: Axis): IndexLike => (spans.get(a)! > 1 ? inner.get(a)! : 0)
  const factor = ({ stage, box, strides }: Staged): Expression => load(box, positionIn(strides, coordinatesOf(stage, inside)))
  const reduced = main.axes.filter((a) => spans.get(a)! > 1)
  const product = mul(factor(staged[0]), factor(staged[1]))
  const e = reduced.length > 0 ? sum(reduced.map((a) => inner.get(a)!), product)
    : { kind: 'reduce' as const, combine: 'sum' as const, axes: [], body: product }
  if (e.kind !== 'reduce') return

  // One place for each point, or each four.
  const base = [...inner].filter(([a]) => !main.axes.includes(a)).reduce((place, [a, within]) => {
    const size = (schedule.tile.get(a) ?? 1) / (a === lanes ? 4 : 1)
    return place.with(within, times(request.tiles.get(a) ?? 0, size))
  }, Place.empty)
  const places = points.map((point) => {
    let place = base
    for (const [a, size] of schedule.tile) {
      if (size === 1) continue
      const at = point.get(a)!.constant
      place = place.with(inner.get(a)!, plus(base.get(inner.get(a)!)!, a === lanes ? Math.floor(at / 4) : at))
    }
    return place
  })
  const keyOf = (place: Place): string => [...inner.values()].map((a) => place.get(a)?.key).join()
  const different = [...new Map(places.map((place) => [keyOf(place), place])).values()]

  const unroll = new Map(reduced.map((a) => [inner.get(a)!, partOf(spans.get(a)!, schedule.unroll.get(a) ?? 1)]))
  const arrays = new Map(staged.map(({ box, array }) => [box, array]))
  const wide = new Set(staged.filter(({ stage }) => stage.lanes).map(({ box }) => box))
  const rounds = main.axes.filter((a) => typeof a.extent !== 'number' || a.extent > spans.get(a)!)
  const written = { tensors: new Set(arrays.keys()), depth: terms.scopes.length - 1 + rounds.length }
  const sums = new Reductions(request.equation, { tile: new Map(), unroll }, terms, arrays, { written, wide })
  const job = sums.openSums(e, different, lanes ? 4 : 1)

  const open = (rest: readonly Axis[], place: Place): void => {
    const [next, ...others] = rest
    if (next) {
      const span = spans.get(next)!
      const go = (at: Index): void => open(others, place.with(next, times(at, span)))
      if (typeof next.extent !== 'number') terms.loop(next, 1, go)
      else terms.rounds(next, next.extent / span, go)
      return
    }
    // What the round before has staged is still being read.
    if (rounds.length > 0) workgroup.barrier()
    for (const one of staged) fill(request, one, place)
    workgroup.barrier()
    sums.addTo(job)
  }
  const start = [...request.blocks].reduce((place, [a, at]) => place.with(a, at), Place.empty)
  const fixed = main.axes.filter((a) => !rounds.includes(a)).reduce((place, a) => place.with(a, index(0)), start)
  open(rounds, fixed)

  points.forEach((point, i) => {
    const accumulator = job.accumulators[different.findIndex((place) => keyOf(place) === keyOf(places[i]!))]!
    const value: Term = lanes
      ? terms.remember({ kind: 'lane', of: accumulator, lane: point.get(lanes)!.constant % 4 }, terms.depth(accumulator)) : accumulator
    request.values.know(main, point, value)
  })
}

/** Steps written out in a row: what was asked for, where it divides what is staged at a time. */
const partOf = (span: number, wanted: number): number => (span % wanted === 0 ? wanted : span <= 8 ? span : 1)

function stageArray(request: StagedRequest, stage: Stage, name: string): Staged {
  const strides = paddedStrides(request.schedule, stage)
  const elements = sizeOfBox(stage, strides)
  const array = request.workgroup.array(name, elements, stage.lanes ? 4 : 1)
  return { stage, array, box: tensor(name, [elements]), strides }
}

/** Every invocation computes some elements of the box. */
function fill(request: StagedRequest, { stage, array, strides }: Staged, start: Place): void {
  const { workgroup, terms, values } = request
  const along = stridesOf(stage.dims.map((d) => d.extent))
  const onLoad = onLoadOf(request, stage)
  const factor = onLoad?.factor ?? stage.value
  workgroup.fill(elementsOf(stage), (slot) => {
    const at = stage.dims.map((d, i) => (i === 0 ? divide(slot, along[0]!) : remainder(divide(slot, along[i]!), d.extent)))
    const place = stage.dims.reduce((p, d, i) => p.with(d.coordinate, at[i]!), start)
    const value = (p: Place): Term => values.value(factor, p)
    const { lanes } = stage
    const term = !lanes ? value(place)
      : terms.together(range(4).map((lane) => value(place.with(lanes.coordinate, plus(times(at[stage.dims.indexOf(lanes)]!, 4), lane)))))
    const storeOwn = onLoad?.storeAt(place)
    return () => {
      workgroup.store(
        array,
        positionIn(strides, at),
        term.kind === 'number' || !lanes ? widened(term, lanes !== undefined) : vectorOf(term),
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
  { equation, staging: { main, spans }, terms, slots, blocks, values }: StagedRequest,
  { value }: Stage,
): { readonly factor: Expression; readonly storeAt: (place: Place) => () => void } | undefined {
  const { onLoad } = equation
  const load = onLoad && loadOf(value, onLoad)
  const windows = load && windowsOver(equation, main, loadOf(main, onLoad)!)
  if (!load || !windows) return undefined
  const { tensor } = load
  const { factor, made } = madeIn(value, load, onLoad)
  const others = equation.axes.filter((a) => windows.every((w) => w === 'whole' || w.axis !== a)).map((a) =>
    terms.within(blocks.get(a)!, 1)
  )
  return {
    factor,
    storeAt: (place) => {
      const at = load.at.map((index) => values.at(index, place))
      const own = windows.flatMap((
        w,
        d,
      ) => (w === 'whole' ? [] : [terms.within(minus(at[d]!, times(blocks.get(w.axis)!, w.step)), w.step * spans.get(w.axis)!)]))
      const condition = terms.all([...others, ...own, ...at.map((index, d) => terms.within(index, tensor.shape[d]!))])
      const element: Statement = {
        kind: 'store',
        binding: slots.get(tensor)!,
        at: terms.indexTerm(linearIndex(tensor, at)),
        value: values.value(made, place),
      }
      return () => terms.branch(condition, () => terms.innermost.statements.push(element))
    },
  }
}

const widened = (term: Term, wide: boolean): Term => (wide && term.kind === 'number' ? float(term.value, 4) : term)
/** `together` gives a single value where all four are the same. */
const vectorOf = (
  term: Term,
): Term => ((term.kind === 'name' || term.kind === 'operation') && term.lanes === 1 ? { kind: 'vector', parts: range(4).map(() => term) }
  : term)
