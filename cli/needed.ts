import { InputError } from '../runtime/errors.ts'
import type { Bundle, InputEntry } from '../runtime/format.ts'

/** Inputs that a program reads: what the command line must name. The interpreter plans alike, so any plan tells. */
export function neededInputs(bundle: Bundle, program: string): readonly InputEntry[] {
  const plan = Object.values(bundle.manifest.plans)[0]
  const entry = plan?.programs[program]
  if (!plan || !entry) {
    const loss = bundle.manifest.outputs.some((output) => output.role === 'loss')
    throw new InputError(`${bundle.manifest.name} has no program ${program}${loss ? '' : ': it has no loss'}`)
  }
  const touched = [...entry.dispatches.flatMap((dispatch) => dispatch.tensors), ...Object.values(entry.results)]
  const buffers = new Set(touched.map((index) => plan.tensors[index]!.buffer))
  return bundle.manifest.inputs.filter((input) =>
    plan.tensors.some((tensor) => tensor.name === input.name && plan.buffers[tensor.buffer]!.role === 'input' && buffers.has(tensor.buffer)))
}
