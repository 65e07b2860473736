import type { Tensor } from '../../ir/tensor.ts'
import type { Axis, Index } from '../../ir/affine.ts'
import type { Equation, Store } from '../../ir/equation.ts'
import type { LoopTiling } from '../reduction-loops.ts'

/**
 * What a thread does for an equation: it takes tasks, in any order; a task runs stages one after the other; a stage is a nest of
 * loops, whose innermost iteration computes a register tile.
 */
export interface LoopNest {
  /** Axes that count tasks, outermost first. Axes of the stages' equations. */
  readonly grid: readonly Axis[]
  /** A loop around the stages. A sum over its axis is continued in memory from iteration to iteration: `init` sets it to zero. */
  readonly outerReduction?: {
    readonly axis: Axis
    readonly init: Stage
    /** Computes what is stored from the finished sum. Absent: the sum itself is stored. */
    readonly epilogue?: Stage | StageGroup
  }
  readonly stages: readonly (Stage | StageGroup)[]
  /** The images of a task, where it has a block of them: loops over these axes end with the batch. */
  readonly images?: ImageBlock | undefined
  /** Tensors in a thread's own memory: earlier stages write them, later ones read them. */
  readonly scratch: readonly Tensor[]
  /** Those of `scratch` that a thread sets to zero before its first task: stages store a part of them alone, the same one in every task. */
  readonly zeroed?: readonly Tensor[]
  /** Stores of neighbouring vectors follow each other, for engines that join them: see `widenNest`. */
  readonly inPairs?: true
  /** For people: what was chosen. */
  readonly summary: string
}

export interface ImageBlock {
  /** Counts the images. */
  readonly axis: Axis
  /** Image 0 of the block. */
  readonly first: Index
  /** Counts them where they lie in lanes of a thread's own memory: the last vector may have lanes of images that are not there. */
  readonly lanes?: Axis
  /** Counts them in a thread's own memory where the last one stands in for those that are missing: places of these, too. */
  readonly slots?: Axis
}

export interface Stage {
  readonly equation: Equation
  /** Axes that neither the grid nor a group around counts, outermost first. */
  readonly loops: readonly Loop[]
  /** A reduced axis that is summed up in four lanes, which are added at the end. */
  readonly vectorReduction?: Axis
  /** Memory through which sums that are computed in pairs of vectors become single ones: see `separatePairs`. */
  readonly pairMemory?: Tensor
  /** A sum over windows that slide over a map: see `LoopTiling`. */
  readonly slides?: LoopTiling['slides']
  /** Vectors of a tile that are computed from its sums and stored at a time: see `epilogueStep`. Absent: all. */
  readonly step?: number | undefined
  /** Sums of what it stores: see `withStatistics`. */
  readonly gathers?: GatheredSums
  /** Reduced axes: steps that are unrolled (vectors of four, along `vectorReduction`). */
  readonly unroll: ReadonlyMap<Axis, number>
  /**
   * The axes of the grid that the stage's results change with: its first axes, or its last ones. A thread that goes on from task to
   * task runs the stage again only where one of them has changed. Absent: all axes. A stage of the last axes has scratch memory for
   * every combination of them.
   */
  readonly invariantOver?: readonly Axis[]
  /** The stage's results change with the image alone: a thread runs it once where the batch is a single one. */
  readonly perImage?: true
}

/** Sums of what a stage stores, gathered as it is stored. */
export interface GatheredSums {
  /** Terms over the axes of the stage, and where their sums go. */
  readonly stores: readonly Store[]
  /** The innermost loops of the stage, over whose points the sums run. */
  readonly within: number
  /** Accumulators of a sum: neighbouring vectors take turns. The order of a sum does not change with the vectors of a tile. */
  readonly copies: number
}

/**
 * Stages that run one after the other in every iteration of loops around them, so that what they hand on stays small. Where the innermost of
 * these loops is vectorized, all of them compute four points at a time.
 */
export interface StageGroup extends Pick<Stage, 'invariantOver' | 'perImage'> {
  /** Outermost first. */
  readonly each: readonly Loop[]
  readonly stages: readonly (Stage | StageGroup)[]
}

/** The stages of a group, and of the groups in it. */
export const stagesOf = (stage: Stage | StageGroup): readonly Stage[] => ('each' in stage ? stage.stages.flatMap(stagesOf) : [stage])

export interface Loop {
  readonly axis: Axis
  /** Points of the register tile along the axis; vectors of four where it is vectorized. */
  readonly tile: number
  readonly vectorized?: boolean
}

/** Points of a register tile. */
export const pointsOfTile = (loops: readonly Loop[]): number => loops.reduce((points, l) => points * l.tile * (l.vectorized ? 4 : 1), 1)

export const scalarLoops = (axes: readonly Axis[]): Loop[] => axes.map((a) => ({ axis: a, tile: 1 }))

/** One loop an axis; the last one is vectorized where it has four points or more. */
export const vectorLoops = (axes: readonly Axis[]): Loop[] =>
  axes.map((a, i): Loop => ({ axis: a, tile: 1, ...(i === axes.length - 1 && (a.extent as number) >= 4 && { vectorized: true }) }))

/** A stage that walks all axes but those in `fixed`, four neighbours at a time. */
export const pointStage = (equation: Equation, fixed: readonly Axis[]): Stage => ({
  equation,
  loops: vectorLoops(equation.axes.filter((a) => !fixed.includes(a))),
  unroll: new Map(),
})
