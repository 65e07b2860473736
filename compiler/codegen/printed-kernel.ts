import type { ModuleEntry, Size } from '../../bundle/format.ts'
import type { Tensor } from '../ir/tensor.ts'

/** A kernel as a target printed it: the plan places its buffers and launches it. */
export interface PrintedKernel {
  readonly bindings: readonly { readonly name: string; readonly tensor: Tensor; readonly access: 'read' | 'read_write' }[]
  /** A remark for people on how the work is done. */
  readonly how?: string
  readonly invocations: Size
  readonly workgroup: number
  /** All that the kernel does; kernels with the same text are one. */
  readonly text: string
  /** The text without names and remarks: kernels that differ in these alone are one. Absent: the text has neither. */
  readonly nameless?: string
  /** The text for devices that have subgroups, where those make it faster. */
  readonly subgroups?: string | undefined
}

/** A text without lines that are remarks. */
export const withoutRemarks = (text: string): string => text.replace(/^\/\/.*\n/gm, '')

/** Which module a target is to link of kernels: those that a group of programs adds to a plan. */
export interface LinkRequest {
  /** The name of the module's file, without its ending. */
  readonly name: string
  /** Whether no other module of the plan is in front of it; one without a kernel may be. */
  readonly isFirst: boolean
  /** The index of the module's first kernel in the plan, and how many kernels the plan has. */
  readonly first: number
  readonly total: number
}

/** The kernels of a group of programs that no group before it has, linked by a target to one module. */
export interface LinkedModule {
  readonly entry: ModuleEntry
  readonly files: ReadonlyMap<string, Uint8Array>
}
