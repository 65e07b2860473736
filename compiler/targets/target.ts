import type { Storage } from '../../bundle/format.ts'
import type { BlockSizes, Equation } from '../ir/equation.ts'
import type { LinkedModule, PrintedKernel } from '../codegen/printed-kernel.ts'

/** What prints kernels: sees equations and schedules, never layers. */
export interface Target {
  /** Key of its plan in the bundle. */
  readonly name: string
  /** Of the names of files with its kernels: `wgsl`. */
  readonly extension: string
  /** How values between layers and weights are stored. Default f32. With f16 it only infers and evaluates. */
  readonly storage?: Storage
  /** Whether it prints for adapters that a CPU pretends to be. Default false. */
  readonly software?: boolean
  /** The same target where every output of a convolution is to be the sum of its own products. Absent: it always is. */
  readonly precise?: Target
  /** Buffers that one kernel may bind. */
  readonly maxBindings: number
  /** Whether one kernel may read and write different parts of one buffer. */
  readonly sharesBuffers: boolean
  /** Maps that may be loaded in the place of one by what is computed as a convolution loads it: where loads are dear, it is stored. */
  readonly prologueLoads: number
  /** What one part of a kernel's work is, of which it can gather statistics; or why it gathers none. */
  readonly blocksOf: (equation: Equation) => BlockSizes | string
  /** Why a kernel cannot make on load what it would: see `OnLoad`. Absent: none can. */
  readonly refuseOnLoad?: (equation: Equation, batch: number) => string | undefined
  /** A printer for one compilation, for nets that train with this batch (1: only infer): what it has printed once it need not print again. */
  readonly printer: (batch: number, schedules?: Schedules) => Printer
  /**
   * Ways to do an equation's work in such a net, the one that it takes by itself first; what the equation gathers on the way is
   * gathered in the same blocks by all. Absent where a target knows one way only.
   */
  readonly candidates?: (equation: Equation, batch: number) => readonly ScheduleData[]
}

/** A way to do an equation's work, in its target's own words: what goes to a file and comes back. */
export type ScheduleData = object

/**
 * Schedules that are known to be fast, by `kernelKey`. They come from outside: one that its target does not know or that does not fit
 * the equation, as another version of the compiler wrote it, is passed over.
 */
export type Schedules = Readonly<Record<string, ScheduleData>>

export interface Printer {
  readonly print: (equation: Equation) => PrintedKernel
  /** Where all kernels lie in one module: makes it of their texts, in the order of the plan. `name`: of its file, without an ending. */
  readonly link?: (texts: readonly string[], name: string) => LinkedModule
}
