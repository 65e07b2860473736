import { invariant } from '../invariant.ts'
import type { Reduction } from '../ir/expression.ts'
import { type Axis, type Index, index, plus, times } from '../ir/affine.ts'
import type { KernelBuilder } from './builder.ts'
import { range } from './range.ts'
import type { Operand } from './kernel-function.ts'
import type { Point } from './point.ts'

/*
 * The loops of a reduction: in which order its steps are taken, how many a round, and by whom.
 */

/** What a step of a reduction adds to a point. */
export interface ReductionStep {
  readonly at: readonly (readonly [Axis, Index])[]
  /** The axis along which it is four steps. */
  readonly lanes?: Axis
  /** The number of the four steps that exist; absent: all. */
  readonly count?: number
  /** How many of the four steps, the first ones, were taken before: not with `count`. */
  readonly repeated?: number
  /** The index of these four steps among the fours of a round. */
  readonly turn?: number
}

/** The part of a schedule that the loops of a reduction follow. */
export interface LoopTiling {
  /** Points along output axes that are computed together. */
  readonly tile: ReadonlyMap<Axis, number>
  /** The tiled axis whose points are held in vectors of four. */
  readonly lanes?: Axis
  /** A reduced axis that is summed up in four lanes, which are put together at the end. Not with `lanes`. */
  readonly across?: Axis
  /** Called with the accumulators of a sum in four lanes, before these are put together. */
  readonly separate?: ((accumulators: readonly Operand[]) => void) | undefined
  /** Reduced axes: steps in a row for one round of the loop (the whole extent: no loop is left). */
  readonly unroll: ReadonlyMap<Axis, number>
  /** Sums of products over windows that slide over a map: windows of the tile's points share what they load. */
  readonly slides?: SlidingSums | undefined
}

/** For each sum the factor that is the map, and the reduced axis that counts the columns of a window, if there are several. */
export type SlidingSums = ReadonlyMap<Reduction, { readonly map: 'a' | 'b'; readonly column: Axis | undefined }>

/** Invocations that compute one reduction together: each takes every `size`-th step, then all learn the total. */
export interface CooperativeGroup {
  /** Number of the invocation in its group. */
  readonly local: Axis
  readonly size: number
  /** Totals of each value over all invocations, in a fixed order. */
  total(values: readonly Operand[], combine: 'sum' | 'max'): Operand[]
}

/** What is special about the loops of a reduction. */
export interface LoopForm {
  /** The axis along which steps are taken in fours. */
  readonly across?: Axis
  /** The axis whose steps the invocations of a group divide among them. */
  readonly strided?: { readonly axis: Axis; readonly group: CooperativeGroup }
}

/** The four points of one that is four, else itself. */
export const onePointEach = (point: Point): readonly Point[] => (point.lanes ? range(4).map((lane) => point.lane(lane)) : [point])

/** A point at a step. */
export const take = (point: Point, step: ReductionStep): Point =>
  step.at.reduce((p, [a, at]) => (a === step.lanes ? p.withLanes(a, at) : p.with(a, at)), point)

/**
 * Opens the loops over `axes`, then calls `inside` with the steps of a round of the innermost one. A round is left out where one of its guards
 * fails; `guardsOf` tells them for the steps of the loop that was opened last.
 */
export function openLoops(
  builder: KernelBuilder,
  { unroll, slides }: LoopTiling,
  axes: readonly Axis[],
  { across, strided }: LoopForm,
  guardsOf: (steps: readonly ReductionStep[], opened: Axis) => Operand[],
  inside: (steps: readonly ReductionStep[]) => void,
): void {
  const open = (rest: readonly Axis[], steps: readonly ReductionStep[]): void => {
    const [next, ...others] = rest
    if (!next) return inside(steps)
    if (next === strided?.axis) {
      return builder.stridedLoop(
        next,
        strided.group.local,
        strided.group.size,
        (at) => open(others, steps.map((step) => ({ ...step, at: [...step.at, [next, at]] }))),
      )
    }
    const factor = unroll.get(next) ?? 1
    if (next === across) return openAcross(builder, next, factor, slides !== undefined, (inner) => open(others, inner(steps)))
    invariant(
      factor === 1 || (typeof next.extent === 'number' && next.extent % factor === 0),
      () => `${next.name} cannot be written out by ${factor}`,
    )
    builder.loop(next, factor, (at) => {
      const inner = steps.flatMap((step) =>
        range(factor).map((i): ReductionStep => ({ ...step, at: [...step.at, [next, plus(times(at, factor), i)]] }))
      )
      builder.ifAll(guardsOf(inner, next), () => open(others, inner))
    })
  }
  // Loops first, what is written out whole innermost: a text inside a loop shares more.
  const whole = (a: Axis): boolean => a !== across && a.extent === unroll.get(a)
  open([...axes.filter((a) => !whole(a)), ...axes.filter(whole)], [{ at: [] }])
}

/**
 * Rounds of four steps (of `written` fours), then the rest with what is missing masked; `overlap`: its last four are moved back into the axis instead, where
 * that has as many, and repeat steps.
 */
function openAcross(
  builder: KernelBuilder,
  a: Axis,
  written: number,
  overlap: boolean,
  open: (inner: (steps: readonly ReductionStep[]) => ReductionStep[]) => void,
): void {
  const extent = a.extent as number
  const fours = Math.floor(extent / 4)
  const rounds = Math.floor(fours / written)
  const four = (
    steps: readonly ReductionStep[],
    start: Index,
    turn: number,
    part?: Pick<ReductionStep, 'count' | 'repeated'>,
  ): ReductionStep[] => steps.map((step) => ({ at: [...step.at, [a, start]], lanes: a, turn, ...part }))
  const last = (steps: readonly ReductionStep[], turn: number): ReductionStep[] =>
    overlap && fours > 0 ? four(steps, index(extent - 4), turn, { repeated: 4 - extent % 4 })
      : four(steps, index(4 * fours), turn, { count: extent % 4 })
  if (rounds > 0) {
    builder.countedLoop(
      a,
      rounds,
      (at) => open((steps) => range(written).flatMap((i) => four(steps, plus(times(at, 4 * written), 4 * i), i))),
    )
  }
  const rest = range(fours - rounds * written).map((i) => 4 * (rounds * written + i))
  if (rest.length > 0 || extent % 4 > 0) {
    open((steps) => [
      ...rest.flatMap((start, i) => four(steps, index(start), i)),
      ...(extent % 4 > 0 ? last(steps, rest.length) : []),
    ])
  }
}
