import type { Equation } from './equation.ts'

/** An equation on its way to a kernel, with what was joined to it and why other things were not. */
export interface Kernel {
  readonly equation: Equation
  readonly why: readonly string[]
}
