import type { Plan } from './format.ts'

/** Buffers that these programs touch, and those that the host writes and reads. */
export function usedBuffers(plan: Plan, programs: readonly string[]): Set<number> {
  const used = new Set<number>()
  plan.buffers.forEach((b, i) => {
    if (b.role === 'parameters' || b.role === 'states' || b.role === 'input') used.add(i)
  })
  for (const name of programs) {
    const { dispatches, results } = plan.programs[name]!
    for (const index of [...dispatches.flatMap((d) => d.tensors), ...Object.values(results)]) used.add(plan.tensors[index]!.buffer)
  }
  return used
}
