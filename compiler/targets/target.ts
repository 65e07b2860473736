import type { TargetTraits } from '../loops/choose-schedule.ts'
import type { Equation } from '../loops/kernel.ts'
import type { PrintedKernel } from '../plan/build-plan.ts'

/** What prints kernels: sees equations and schedules, never layers. */
export interface Target {
  /** Key of its plan in the bundle. */
  readonly name: string
  readonly extension: string
  /** Buffers that one kernel may bind. */
  readonly maxBindings: number
  readonly traits: TargetTraits
  /** A printer for one compilation: what it has printed once it need not print again. */
  readonly printer: () => (equation: Equation) => PrintedKernel
}
