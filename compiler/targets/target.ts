import type { Storage } from '../../bundle/format.ts'
import type { BlockSizes, Equation } from '../ir/equation.ts'
import type { IsConstant, PrepackedKernel } from '../ir/prepack.ts'
import type { Price } from '../ir/price.ts'
import type { KernelFunction } from '../codegen/kernel-function.ts'
import type { KernelCapabilities } from '../codegen/verify.ts'
import type { LinkedModule, LinkRequest, PrintedKernel } from '../codegen/printed-kernel.ts'

/** A target prints the kernels of one kind of plan. It sees equations and schedules, never layers. */
export interface Target {
  /** The key of its plan in the bundle: a row of `bundle/plans.ts`. */
  readonly name: string
  /** The ending of the names of files with its kernels: `wgsl`. */
  readonly extension: string
  /** The number format of weights and of values between layers. Default f32. A target with f16 only infers and evaluates. */
  readonly storage?: Storage
  /** Whether it prints for adapters that a CPU pretends to be. Default false. */
  readonly software?: boolean
  /** The same target where every output of a convolution is to be the sum of its own products. Absent: it always is. */
  readonly precise?: Target
  /** The same target with a second module of kernels for hosts with vectors of twice the width. Absent: it has none. */
  readonly wide?: Target
  /** The statements and operations that its kernel functions may contain. Absent: the target prints equations as they are. */
  readonly capabilities?: KernelCapabilities
  /** The number of buffers that one kernel may bind. */
  readonly maxBindings: number
  /** Whether one kernel may read and write different parts of one buffer. */
  readonly sharesBuffers: boolean
  /**
   * The number of feature maps that a prologue of a convolution may read. Where loads are expensive this is 1, and the value is stored by
   * its own kernel.
   */
  readonly maxPrologueInputs: number
  /**
   * Whether a contraction is faster where a pass stores what it would otherwise compute as it loads: tiles and taps load a value many times,
   * and caches make the pass cheap. Memory `small` is planned as if it were not so. Default false.
   */
  readonly storesPrologues?: boolean
  /** Whether a contraction (`plain`) is an exception: it packs what it loads in any case, and computes a prologue joined to it on the way. Absent: none is. */
  readonly packsPrologue?: (joined: () => Equation, plain: Equation) => boolean
  /** Whether a task for each of a few threads keeps it busy; else it wants thousands of points at the same time. Default false. */
  readonly inTasks?: boolean
  /** The block of points of which one part of a kernel's work can take statistics; or why it takes none. */
  readonly statisticsBlock: (equation: Equation) => BlockSizes | string
  /** Why a kernel cannot compute and store its fused producer (see `FusedProducer`). Absent: no kernel of this target can. */
  readonly rejectFusedProducer?: (equation: Equation, batch: number) => string | undefined
  /**
   * The equation as it stands in a program that trains with this batch, or infers (undefined): with `images` where that gives it another schedule. Absent:
   * itself.
   */
  readonly inProgram?: (equation: Equation, batch: number | undefined) => Equation
  /**
   * The equation as its kernel is faster, in a net that trains with this batch or infers alone (1), once `prepare` has packed a constant weight of it, and
   * how that is packed; undefined also where another schedule is known for it, which reads the weight as it is. Absent: none is.
   */
  readonly prepack?: (equation: Equation, isConstant: IsConstant, batch: number, schedules?: Schedules) => PrepackedKernel | undefined
  /** Why an equation (`plain`) is faster without the epilogue or side reduction that is joined to it. Absent: it never is. */
  readonly rejectJoined?: (joined: Equation, plain: Equation) => string | undefined
  /**
   * What kernels are estimated to take longer with what is joined to them (`joined` against `plain`), and what the passes take that they replace. Undefined
   * where that is not trusted. Absent: the target estimates nothing.
   */
  readonly price?: (joined: readonly Equation[], plain: readonly Equation[], passes: readonly Equation[]) => Price | undefined
  /** Makes a printer for one compilation of a net that trains with this batch (1: the net only infers). The printer prints equal kernels once. */
  readonly printer: (batch: number, schedules?: Schedules) => Printer
  /**
   * Schedules of an equation in such a net, the one that the target chooses first. All take the statistics of the equation in the
   * same blocks. Absent: the target has one schedule for each equation.
   */
  readonly candidates?: (equation: Equation, batch: number) => readonly ScheduleData[]
}

/** A schedule as JSON, in its target's own words: it goes to a file and comes back. */
export type ScheduleData = object

/**
 * Schedules that are known to be fast, by `kernelKey`. They come from outside: one that its target does not know or that does not fit
 * the equation, as another version of the compiler wrote it, is passed over.
 */
export type Schedules = Readonly<Record<string, ScheduleData>>

/** What became of the schedules that were given for a target. */
export interface ScheduleUse {
  readonly target: string
  /** Whether the net was compiled for the target: nothing else is known where it was not. */
  readonly compiled: boolean
  /** Names of the kernels that are computed by one of them: of those that are equal, the first. */
  readonly used: readonly string[]
  /** The kernels for which there is one that cannot be taken, and why. They are computed as the compiler chooses. */
  readonly refused: readonly { readonly kernel: string; readonly why: string }[]
  /** How many are for kernels that the net does not have: what was tuned may be many nets. */
  readonly others: number
}

export interface Printer {
  /** The kernel functions that an equation is printed from, anew: the one for all devices first. For people and for the verifier. */
  readonly lower?: (equation: Equation) => readonly KernelFunction[]
  readonly print: (equation: Equation) => PrintedKernel
  /** What became of the schedules that were given, once all kernels are printed. Absent: the target takes none. */
  readonly scheduleUse?: () => Omit<ScheduleUse, 'target' | 'compiled'>
  /** The ones of them by which kernels are computed. */
  readonly schedulesTaken?: () => Schedules
  /** Links kernels, by their texts in the order of the plan, to a module. Absent: kernels are texts. */
  readonly link?: (texts: readonly string[], request: LinkRequest) => LinkedModule
}
