import { InputError } from '../../bundle/errors.ts'
import { isNamed, say } from '../../bundle/plain.ts'

/** Refuses with InputError what is no `ModelNet`, in the name of the function that was given it. */
export function checkModel(of: string, given: unknown): void {
  if (!isNamed(given) || !Array.isArray(given['layers']))
    throw new InputError(`${of} takes a model, as await importModel(...) gives it, not ${say(given)}`)
}

/** Refuses with InputError what is no `WrittenNet`. */
export function checkWritten(of: string, given: unknown): void {
  if (!isNamed(given) || typeof given['text'] !== 'string' || !Array.isArray(given['notes']))
    throw new InputError(`${of} takes a written net, as writeNet(model) gives it, not ${say(given)}`)
}

/** Refuses with InputError what is no list of `NamedTensor`s. */
export function checkTensors(of: string, given: unknown): void {
  if (!Array.isArray(given)) throw new InputError(`${of} takes a list of tensors, writeNet(model).tensors, not ${say(given)}`)
  const wrong = given.findIndex((each) => !isNamedTensor(each))
  if (wrong >= 0)
    throw new InputError(`${of}: number ${wrong + 1} of the tensors is no { name, tensor: { shape, values } }: ${say(given[wrong])}`)
}

function isNamedTensor(given: unknown): boolean {
  if (!isNamed(given) || typeof given['name'] !== 'string') return false
  const { tensor } = given
  return isNamed(tensor) && Array.isArray(tensor['shape']) && typeof tensor['values'] === 'function'
}
