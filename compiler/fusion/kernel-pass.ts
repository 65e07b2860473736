import type { BlockSizes, Equation } from '../ir/equation.ts'
import type { Price } from '../ir/price.ts'
import type { Tensor } from '../ir/tensor.ts'
import type { KernelProgram } from './program.ts'

/** What a fusion pass may know beyond the equations: which tensors must exist, and what the target can do. */
export interface FusionContext {
  /** Tensors that must exist in memory after the program: outputs, gradients, prepared values, updated parameters. */
  readonly kept: ReadonlySet<Tensor>
  /** A tensor that is another one's storage under another shape. */
  readonly viewOf: ReadonlyMap<Tensor, Tensor>
  /** Storage buffers that a kernel may bind: every WebGPU grants 8. */
  readonly maxBindings: number
  /** How many feature maps a prologue of a convolution may read. Where loads are expensive this is 1, and the value is stored by its own kernel. */
  readonly maxPrologueInputs: number
  /** Whether a contraction is faster where a pass stores what it would otherwise compute as it loads. Default false. */
  readonly storesPrologues?: boolean
  /** Whether a contraction (`plain`) packs what it loads in any case, so that a prologue joined to it is computed as an element is packed. Absent: none does. */
  readonly packsPrologue?: (joined: () => Equation, plain: Equation) => boolean
  /** The block of points of which one part of a kernel's work can take statistics; or why it takes none. */
  readonly statisticsBlock: (e: Equation) => BlockSizes | string
  /** Why a kernel cannot compute and store its fused producer (see `FusedProducer`). Absent: none can. */
  readonly rejectFusedProducer?: (e: Equation) => string | undefined
  /** What `prepare` packs for a kernel, in a word; undefined: nothing. Absent: in this program it packs nothing for any. */
  readonly preparedFor?: (e: Equation) => string | undefined
  /** Why an equation (`plain`) is faster without the epilogue or side reduction that is joined to it. Absent: it never is. */
  readonly rejectJoined?: (joined: Equation, plain: Equation) => string | undefined
  /**
   * What kernels are estimated to take longer with what is joined to them (`joined` against `plain`), and what the passes take that they replace. Undefined
   * where that is not trusted. Absent: nothing is estimated.
   */
  readonly price?: (joined: readonly Equation[], plain: readonly Equation[], passes: readonly Equation[]) => Price | undefined
  /** Whether remarks say what was estimated where the rules alone decide, too. Default false. */
  readonly estimates?: boolean
  /** Layers whose kernels are not fused, in a net that is fused otherwise. */
  readonly unfusedLayers: ReadonlySet<string>
}

/**
 * A named rule that joins kernels where that saves passes over memory: the twin of `GraphPass`, one level down. A pass goes through the
 * program in its order, changes it in place, and leaves remarks: at a kernel that it changed, what was joined to it; at a kernel that it
 * left alone, why. Passes know nothing of each other, and leave order to the list in `passes.ts`.
 */
export interface KernelPass {
  readonly name: string
  readonly run: (program: KernelProgram, context: FusionContext) => void
}

/** Whether a layer of the equation asks for kernels of its own (style split). */
export const isUnfused = (e: Equation, { unfusedLayers }: FusionContext): boolean =>
  unfusedLayers.size > 0 && e.layers.some((layer) => unfusedLayers.has(layer))

/** Whether a tensor has two shapes: it is a view, or there is a view of it. */
export function isViewed(t: Tensor, { viewOf }: FusionContext): boolean {
  if (viewOf.has(t)) return true
  let viewed = viewedIn.get(viewOf)
  if (!viewed) viewedIn.set(viewOf, viewed = new Set(viewOf.values()))
  return viewed.has(t)
}

/** The tensor that a kernel stores for a view to be there; itself where it is none. */
export function storageOf(t: Tensor, { viewOf }: FusionContext): Tensor {
  let stored = t
  for (let of = viewOf.get(t); of; of = viewOf.get(of)) stored = of
  return stored
}

const viewedIn = new WeakMap<FusionContext['viewOf'], ReadonlySet<Tensor>>()
