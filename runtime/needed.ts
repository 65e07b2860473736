import type { InputEntry, Plan } from '../bundle/format.ts'
import { inputTensor } from '../bundle/sizes.ts'

/**
 * The inputs that a program of a plan reads or gives back. An input is known by its buffer: a net may read it under another
 * shape alone, behind `flatten` or `reshape`.
 */
export function inputsOf(plan: Plan, program: string, inputs: readonly InputEntry[]): readonly InputEntry[] {
  const entry = Object.hasOwn(plan.programs, program) ? plan.programs[program] : undefined
  if (!entry) return []
  const touched = [...entry.dispatches.flatMap((dispatch) => dispatch.tensors), ...Object.values(entry.results)]
  const buffers = new Set(touched.map((index) => plan.tensors[index]!.buffer))
  return inputs.filter((input) => buffers.has(plan.tensors[inputTensor(plan, input)]?.buffer ?? -1))
}
