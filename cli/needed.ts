import { InputError } from '../bundle/errors.ts'
import type { Bundle, InputEntry } from '../bundle/format.ts'
import { inputsOf } from '../runtime/needed.ts'
import { missingProgram, programFor } from '../bundle/programs.ts'

/** Inputs that a program reads: what the command line must name. The interpreter plans alike, so any plan tells. */
export function neededInputs(bundle: Bundle, asked: string): readonly InputEntry[] {
  const program = programFor(bundle.manifest, asked)
  const plan = Object.values(bundle.manifest.plans).find(({ programs }) => Object.hasOwn(programs, program))
  if (!plan)
    throw new InputError(
      missingProgram(bundle.manifest, program, Object.keys(Object.values(bundle.manifest.plans)[0]?.programs ?? {}), 'f32'),
    )
  return inputsOf(plan, program, bundle.manifest.inputs)
}
