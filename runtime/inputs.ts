import type { Numbers } from './device.ts'
import { InputError } from './errors.ts'
import type { InputEntry } from './format.ts'
import { elementCount, showShape } from './sizes.ts'

/** What may be handed in: typed arrays of the input's kind, or plain numbers. */
export type InputValues = Numbers | Uint8Array | readonly number[]

/**
 * Checks names, types, lengths and labels before anything is dispatched, and tells everything that is wrong at once.
 * Gives the needed ones as arrays that a device takes.
 */
export function checkInputs(inputs: readonly InputEntry[], needed: readonly InputEntry[], given: Readonly<Record<string, InputValues>>, batch: number): Map<InputEntry, Numbers> {
  const wrong: string[] = []
  const ready = new Map<InputEntry, Numbers>()
  const names = inputs.map((i) => i.name)
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) wrong.push(`there is no input ${name}; the net has ${names.join(', ')}`)
  }
  for (const input of inputs) {
    const values = Object.hasOwn(given, input.name) ? given[input.name] : undefined
    if (values === undefined) {
      if (needed.includes(input)) wrong.push(`input ${input.name} ${showShape(input.shape)} is missing`)
      continue
    }
    const array = convert(input, values)
    if (typeof array === 'string') wrong.push(array)
    else {
      const problem = lengthProblem(input, array, batch) ?? labelProblem(input, array)
      if (problem) wrong.push(problem)
      else if (needed.includes(input)) ready.set(input, array)
    }
  }
  if (wrong.length) throw new InputError(wrong.join('\n'))
  return ready
}

function convert(input: InputEntry, values: InputValues): Numbers | string {
  const plain = Array.isArray(values) && values.every((v) => typeof v === 'number')
  if (input.type === 'i32') {
    if (values instanceof Int32Array) return values
    if (values instanceof Uint8Array) return Int32Array.from(values)
    if (plain && values.every((v) => Number.isInteger(v))) return Int32Array.from(values)
    return `input ${input.name} holds integers: give an Int32Array, not ${kindOf(values)}`
  }
  if (values instanceof Float32Array || values instanceof Float64Array) return values
  if (plain) return Float64Array.from(values)
  return `input ${input.name} holds float32: give a Float32Array, not ${kindOf(values)}`
}

const kindOf = (value: unknown): string => Array.isArray(value) ? 'a list of other things' : value?.constructor?.name ?? 'null'

function lengthProblem(input: InputEntry, array: Numbers, batch: number): string | undefined {
  const wanted = elementCount(input.shape, batch)
  if (array.length === wanted) return undefined
  const sample = elementCount(input.shape)
  const samples = array.length / sample
  const has = input.shape[0] === 'n' && Number.isInteger(samples) ? `${samples} samples` : `${array.length} numbers`
  return `input ${input.name} ${showShape(input.shape)} takes ${wanted} numbers at batch ${batch}, here are ${has}`
    + (input.shape[0] === 'n' && Number.isInteger(samples) && samples > 0 ? `: open the net with batch ${samples}` : '')
}

function labelProblem(input: InputEntry, array: Numbers): string | undefined {
  if (input.classes === undefined) return undefined
  const ignore = input.ignore ?? [-1]
  const at = array.findIndex((label: number) => !(label >= 0 && label < input.classes!) && !ignore.includes(label))
  return at < 0 ? undefined : `input ${input.name}: label ${array[at]} at ${at} is not in 0..${input.classes - 1}`
}
