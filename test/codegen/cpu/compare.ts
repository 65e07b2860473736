import { expect } from 'vitest'
import { applySchedule } from '../../../compiler/codegen/cpu/apply-schedule.ts'
import { lowerLoopNest } from '../../../compiler/codegen/cpu/lower.ts'
import type { CpuSchedule } from '../../../compiler/codegen/cpu/schedule.ts'
import { type Equation, reads, writes } from '../../../compiler/ir/equation.ts'
import { bufferOf, type Tensor } from '../../../compiler/ir/tensor.ts'
import { elementCount, evaluateEquation, type Numbers } from '../../../compiler/targets/interpreter/evaluate.ts'
import { runLoopNest } from './run-loop-nest.ts'

/** Holds a schedule's loop nest to the equation, in float64. */
export function compare(name: string, e: Equation, schedule: CpuSchedule): void {
  const nest = applySchedule(e, schedule)
  lowerLoopNest(e, nest, bufferOf)
  const inputs = reads(e).map((t, k) =>
    [t, Float64Array.from({ length: elementCount(t, 2) }, (_, j) => 1.5 + Math.sin(1 + 1.7 * j + 13 * k))] as const
  )
  const numbers = (): Map<Tensor, Numbers> => new Map(inputs.map(([t, d]) => [t, d.slice()]))
  const [want, got] = [numbers(), numbers()]
  evaluateEquation(e, want, { batch: 2 })
  runLoopNest(nest, got, 2)
  for (const t of writes(e)) {
    const [a, b] = [Array.from(want.get(t)!), Array.from(got.get(t)!)]
    const scale = a.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3)
    const worst = a.reduce((m, v, j) => Math.max(m, Math.abs(v - b[j]!)), 0)
    expect(worst / scale, `${t.name} of ${name} by ${JSON.stringify(schedule)}`).toBeLessThan(1e-10)
  }
}
