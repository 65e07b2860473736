import type { Tensor } from '../../ir/tensor.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'

/**
 * How a processor with caches goes through an equation: items, which threads take in any order; in each item phases one
 * after the other; in each phase loops, whose innermost round computes a tile. Changes speed, never the result beyond
 * the order of sums.
 */
export interface LoopNest {
  /** Coordinates of an item. Axes of the phases' equations. Only the first may depend on the batch. */
  readonly grid: readonly Axis[]
  /** Loop around the phases: a sum over it is carried on in memory from round to round, after `clear` has set it to zero. */
  readonly outerReduction?: {
    readonly axis: Axis
    readonly init: Stage
    /** What is made of the sum in the end, if it is not stored as it is. */
    readonly epilogue?: Stage
  }
  readonly stages: readonly (Stage | StageGroup)[]
  /** What earlier phases prepare for later ones, in the thread's own memory. */
  readonly scratch: readonly Tensor[]
  /** Rows of the output that an item computes, where that is not all of them: blocks of statistics are as large. */
  readonly rows?: number
  /** For people: what was chosen. */
  readonly summary: string
}

/**
 * Which of several nests, in numbers that go to a file and come back; what is absent is as the model has it. `winograd: false`:
 * directly, where Winograd's transformations would have been taken. `tile: 3`: the register tile that the model puts third after its best.
 */
export interface NestChoice {
  readonly winograd?: false
  readonly tile?: number
}

export interface Stage {
  readonly equation: Equation
  /** Axes that are not in the grid, outermost first. */
  readonly loops: readonly Loop[]
  /** A reduced axis that is summed up in four lanes. */
  readonly vectorReduction?: Axis
  /** Reduced axes: steps written out in a row (in fours along `across`). */
  readonly unroll: ReadonlyMap<Axis, number>
  /** Stores whose values are computed together, where all of them would need too many registers. */
  readonly storesAtOnce?: number
  /**
   * Axes of the grid that what it prepares depends on, the first of them or the last: a thread that goes on from item to item
   * does it again only where it must. Absent: all. What depends on the last has room for every one of them.
   */
  readonly invariantOver?: readonly Axis[]
}

/** Phases that take turns for each block of an axis: what one prepares for the next stays small. */
export interface StageGroup {
  readonly each: Axis
  readonly phases: readonly Stage[]
}

export interface Loop {
  readonly axis: Axis
  /** Points (or fours, along lanes) that are written out in a row. */
  readonly tile: number
  /** Points are computed four at a time. */
  readonly vectorized?: boolean
}
