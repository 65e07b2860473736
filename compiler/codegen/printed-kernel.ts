import type { ModuleEntry, Size } from '../../bundle/format.ts'
import type { Tensor } from '../ir/tensor.ts'

/** A kernel as a target printed it: the plan places its buffers and launches it. */
export interface PrintedKernel {
  readonly bindings: readonly { readonly name: string; readonly tensor: Tensor; readonly access: 'read' | 'read_write' }[]
  /** For people: how the work is done. */
  readonly how?: string
  readonly invocations: Size
  readonly workgroup: number
  /** What it does, complete; kernels with the same text are one. */
  readonly text: string
  /** Of a text with names in it: the same without them (`withoutNames`), if it is known. Kernels that differ in names alone are one. */
  readonly nameless?: string
  /** The same for devices that have subgroups, where they pay. */
  readonly subgroups?: string
}

/** A text without comments, its bindings by number: `#` stands in no WGSL, so what is the same then differs in names alone. */
export function withoutNames(text: string, bindings: readonly { readonly name: string }[]): string {
  const numbers = new Map(bindings.map((b, i) => [b.name, `#${i}`]))
  const names = new RegExp(`(?<![.\\w])(?:${[...numbers.keys()].join('|')})(?!\\w)`, 'g')
  return text.replace(/^\/\/.*\n/gm, '').replace(names, (name) => numbers.get(name)!)
}

/** Which module a target is to link of kernels: those that a group of programs adds to a plan. */
export interface LinkRequest {
  /** Of the module's file, without an ending. */
  readonly name: string
  /** The index of the module's first kernel in the plan, and how many kernels the plan has. */
  readonly first: number
  readonly total: number
}

/** The kernels of a group of programs that no group before it has, linked by a target to one module. */
export interface LinkedModule {
  readonly entry: ModuleEntry
  readonly files: ReadonlyMap<string, Uint8Array>
}
