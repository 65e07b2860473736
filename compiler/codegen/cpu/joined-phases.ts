import { type Axis, linearIndex } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import type { Reduction } from '../../ir/expression.ts'
import { overAxes } from '../../ir/reshape.ts'
import type { SlidingSums } from '../reduction-loops.ts'
import { mainOf } from './contraction.ts'
import { loopsOf } from './contraction-nest.ts'
import { CPU } from './cost-model.ts'
import { depthwiseTile, windowOf } from './depthwise.ts'
import { accumulatorsOf, gemmAxes, type MicroTile } from './micro-tile.ts'
import type { Stage } from './loop-nest.ts'
import type { Phase } from './phases.ts'
import type { TaskGrid } from './tasks.ts'

/*
 * A phase stores every other column. Where the phases of neighbouring columns are computed in one tile, what they store fills each other's gaps, and is stored
 * in whole vectors: element by element takes as long as the sums of a depthwise convolution.
 */

/**
 * The tile of each phase where neighbours are joined: the same for all of them. Undefined unless this is the gradient of a depthwise convolution of stride 2,
 * and all phases have as many columns.
 */
export function tilesOfJoined(
  phases: readonly Phase[],
  strides: ReadonlyMap<Axis, number>,
  isPacked: boolean,
): readonly MicroTile[] | undefined {
  const [column, stride] = [...strides].at(-1)!
  if (stride !== 2 || (column.extent as number) % 2 !== 0 || phases.length % 2 !== 0) return undefined
  const contractions = phases.flatMap(({ equation, main }) => (main ? [{ equation, main }] : []))
  const windows = contractions.map(windowOf)
  const largest = windows.findIndex((w, i) =>
    w && contractions[i]!.main.axes.length === Math.max(...contractions.map(({ main }) => main.axes.length))
  )
  if (contractions.length < phases.length || largest < 0) return undefined
  const first = phases.findIndex(({ main }) => main === contractions[largest]!.main)
  const tile = depthwiseTile(contractions[largest]!, isPacked, CPU.accumulators / 2)
  if (!tile || tile.broadcastAxis || tile.vectorAxis !== phases[first]!.axes.get(column)) return undefined
  const wholes = new Map([...phases[first]!.axes].map(([whole, own]) => [own, whole]))
  const tiles = phases.map(({ axes, equation, main }): MicroTile | undefined => {
    const move = (a: Axis | undefined): Axis | undefined => a && (axes.get(wholes.get(a) ?? a) ?? a)
    const [vectorAxis, outerAxis] = [move(tile.vectorAxis), move(tile.outerAxis)]
    // A phase of one row, or whose map does not change with rows, has no such axis.
    const { vector } = gemmAxes({ equation, main: main! }, tile.vectorFactor)
    const isThere = (a: Axis | undefined): boolean => !a || vector.includes(a)
    return vectorAxis && isThere(vectorAxis) && isThere(outerAxis) ? { ...tile, vectorAxis, outerAxis } : undefined
  })
  return tiles.every((t) => t !== undefined) ? tiles : undefined
}

/** The stage of two phases of neighbouring columns; undefined where their tiles do not lie side by side, or hold too many sums together. */
export function joinPhases(pair: readonly PhaseToJoin[], strided: readonly Axis[], task: TaskGrid): Stage | undefined {
  const [first, second] = pair
  if (!first?.tile || !second?.tile || 2 * accumulatorsOf(first.tile) > CPU.accumulators) return undefined
  const [a, b] = [first, second].map(({ phase, tile }) => ({ column: phase.axes.get(strided.at(-1)!), tile: tile! }))
  if (a!.column !== a!.tile.vectorAxis || b!.column !== b!.tile.vectorAxis || a!.column?.extent !== b!.column?.extent) return undefined
  const moved = new Map(strided.map((whole) => [second.phase.axes.get(whole)!, first.phase.axes.get(whole)!]))
  const other = overAxes(second.equation, moved, first.equation.axes)
  const [left, right] = [first.equation, other].map(({ stores: [s] }) => linearIndex(s!.tensor, s!.at))
  if (left!.termsKey !== right!.termsKey || right!.constant !== left!.constant + 1) return undefined
  const equation = { ...first.equation, stores: [...first.equation.stores, ...other.stores] }
  const slides = new Map(pair.flatMap(({ phase }, i): [Reduction, Sliding][] => {
    const window = phase.main && windowOf({ equation: phase.equation, main: phase.main })
    const sum = mainOf(i === 0 ? first.equation : other)
    return window && (window.across || (window.row?.size ?? 1) > 1) ? [[sum, { map: window.map, column: window.across }]] : []
  }))
  return { equation, loops: loopsOf(equation, task, first.tile), unroll: new Map([...first.unroll, ...second.unroll]), slides }
}

type Sliding = NonNullable<ReturnType<SlidingSums['get']>>

/** A phase, its tile, and its equation with packed factors. */
export interface PhaseToJoin {
  readonly phase: Phase
  readonly equation: Equation
  readonly tile?: MicroTile
  readonly unroll: ReadonlyMap<Axis, number>
}
