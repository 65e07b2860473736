import { type Equation, reads, writes } from '../ir/equation.ts'
import { type Expression, forEachChild } from '../ir/expression.ts'
import type { Tensor } from '../ir/tensor.ts'

/**
 * Which tensors a kernel wrote after it had loaded them. What was loaded before is not what is there then: values that have other states are not taken for
 * each other, whatever the scopes they were computed in.
 */
export class RewrittenMemory {
  private readonly loaded = new Set<Tensor>()
  /** When each tensor was last written over: the number of the stage. */
  private readonly times = new Map<Tensor, number>()
  private readonly states = new Map<Expression, number>()
  private stages = 0

  /** Notes that a stage is over that computes an equation. */
  pass(equation: Equation): void {
    this.stages++
    for (const tensor of reads(equation)) this.loaded.add(tensor)
    for (const tensor of writes(equation)) {
      if (!this.loaded.delete(tensor)) continue
      this.times.set(tensor, this.stages)
      this.states.clear()
    }
  }

  /** The state of what an expression loads, as text: empty where nothing of it was written over. */
  stateOf(e: Expression): string {
    if (this.times.size === 0) return ''
    const last = this.last(e)
    return last === 0 ? '' : `~${last}`
  }

  private last(e: Expression): number {
    let last = this.states.get(e)
    if (last !== undefined) return last
    last = e.kind === 'load' ? this.times.get(e.tensor) ?? 0 : 0
    forEachChild(e, (child) => {
      last = Math.max(last!, this.last(child))
    })
    this.states.set(e, last)
    return last
  }
}
