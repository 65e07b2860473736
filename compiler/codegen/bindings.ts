import { type Equation, reads, writes } from '../ir/equation.ts'
import type { Tensor } from '../ir/tensor.ts'
import { identifier } from './builder.ts'
import type { Binding } from './kernel-function.ts'

/** Name of the buffer that a tensor shares with others, if any: a kernel that writes one part of a buffer binds every part as written. */
export type BufferOf = (t: Tensor) => string | undefined

/** The bindings of a kernel, in the order in which its equation first reads, then writes each tensor. `unique` gives every one its name. */
export function bindingsOf(e: Equation, bufferOf: BufferOf, unique: (name: string) => string): Binding[] {
  const written = new Set(writes(e))
  const writtenBuffers = new Set([...written].map(bufferOf))
  const isWritten = (t: Tensor): boolean => written.has(t) || (bufferOf(t) !== undefined && writtenBuffers.has(bufferOf(t)))
  return [...new Set([...reads(e), ...written])].map((t) => ({
    name: unique(identifier(t.name)),
    tensor: t,
    access: isWritten(t) ? 'read_write' : 'read',
  }))
}
