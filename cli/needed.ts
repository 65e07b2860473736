import { InputError } from '../runtime/errors.ts'
import type { Bundle, InputEntry } from '../runtime/format.ts'
import { inputsOf } from '../runtime/needed.ts'

/** Inputs that a program reads: what the command line must name. The interpreter plans alike, so any plan tells. */
export function neededInputs(bundle: Bundle, program: string): readonly InputEntry[] {
  const plan = Object.values(bundle.manifest.plans).find(({ programs }) => Object.hasOwn(programs, program))
  if (!plan) {
    const loss = bundle.manifest.outputs.some((output) => output.role === 'loss')
    throw new InputError(`${bundle.manifest.name} has no program ${program}${loss ? '' : ': it has no loss'}`)
  }
  return inputsOf(plan, program, bundle.manifest.inputs)
}
