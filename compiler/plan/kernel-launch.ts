import type { Kernel } from '../ir/kernel.ts'
import type { Tensor } from '../ir/tensor.ts'

/** A kernel in the order of its program: one launch of it. */
export interface KernelLaunch extends Kernel {
  /** The kernel computes again what an earlier launch computed and the program did not keep (activation checkpointing). */
  readonly again?: true
}

/** The launches of a program in order, and what its views are views of. */
export interface LaunchSequence {
  readonly steps: readonly KernelLaunch[]
  readonly viewOf: ReadonlyMap<Tensor, Tensor>
}
