import type { ModuleEntry, Storage } from '../../runtime/format.ts'
import type { Blocks } from '../loops/fuse.ts'
import type { Equation } from '../loops/kernel.ts'
import type { PrintedKernel } from '../plan/build-plan.ts'

/** What prints kernels: sees equations and schedules, never layers. */
export interface Target {
  /** Key of its plan in the bundle. */
  readonly name: string
  readonly extension: string
  /** How values between layers and weights are stored. Default f32. With f16 it only infers and evaluates. */
  readonly storage?: Storage
  /** Buffers that one kernel may bind. */
  readonly maxBindings: number
  /** Whether one kernel may read and write different parts of one buffer. */
  readonly sharesBuffers: boolean
  /** What one part of a kernel's work is, of which it can gather statistics; or why it gathers none. */
  readonly blocksOf: (equation: Equation) => Blocks | string
  /** A printer for one compilation, for nets that train with this batch (1: only infer): what it has printed once it need not print again. */
  readonly printer: (batch: number) => Printer
}

export interface Printer {
  readonly print: (equation: Equation) => PrintedKernel
  /** Where all kernels lie in one file: makes it of their texts, in the order of the plan. */
  readonly link?: (texts: readonly string[]) => LinkedModule
}

export interface LinkedModule {
  readonly entry: ModuleEntry
  readonly files: ReadonlyMap<string, Uint8Array>
}
