import { type Equation, reads, writes } from '../ir/equation.ts'
import type { Tensor } from '../ir/tensor.ts'
import { identifier } from './kernel-names.ts'
import type { Binding } from './kernel-function.ts'

/** Name of the buffer that a tensor shares with others, if any: a kernel that writes one part of a buffer binds every part as written. */
export type BufferOf = (t: Tensor) => string | undefined

/** The tensors of a kernel, in the order in which its equation first reads, then writes each, and how they are bound. */
export function accessesOf(e: Equation, bufferOf: BufferOf): Omit<Binding, 'name'>[] {
  const written = new Set(writes(e))
  const writtenBuffers = new Set([...written].map(bufferOf))
  const isWritten = (t: Tensor): boolean => written.has(t) || (bufferOf(t) !== undefined && writtenBuffers.has(bufferOf(t)))
  return [...new Set([...reads(e), ...written])].map((tensor) => ({ tensor, access: isWritten(tensor) ? 'read_write' : 'read' }))
}

/** The same with names: `unique` gives every one its own. */
export const bindingsOf = (e: Equation, bufferOf: BufferOf, unique: (name: string) => string): Binding[] =>
  accessesOf(e, bufferOf).map(({ tensor, access }) => ({ name: unique(identifier(tensor.name)), tensor, access }))
