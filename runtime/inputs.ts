import type { Numbers } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import type { InputEntry } from '../bundle/format.ts'
import { strayLabel } from './data/labels.ts'
import { flatten } from './lists.ts'
import { didYouMean } from '../bundle/nearest.ts'
import { countOf, isNamed, plain, say } from '../bundle/plain.ts'
import { elementCount, showShape } from '../bundle/sizes.ts'

/** Values of a float32 input: typed arrays, plain numbers, or nested lists in the input's shape. */
export type FloatValues = Float32Array | Float64Array | readonly number[] | NestedNumbers
/** Values of an integer input, such as labels. */
export type LabelValues = Int32Array | Uint8Array | readonly number[] | NestedNumbers
export type InputValues = FloatValues | LabelValues
export type NestedNumbers = readonly (readonly number[] | NestedNumbers)[]

/** One input of a call, checked. */
export interface ReadyInput {
  readonly data: Numbers
  /** The caller's own array, which may be written to as soon as the call returns. */
  readonly borrowed: boolean
}

/**
 * Checks names, types, lengths and labels before anything is dispatched, and tells everything that is wrong at once. Gives the needed
 * ones as arrays that a device takes. Labels are copied first and then checked, since arrays in shared memory may change at any time.
 */
export function checkInputs(
  inputs: readonly InputEntry[],
  needed: readonly InputEntry[],
  given: Readonly<Record<string, InputValues>>,
  batch: number,
): Map<InputEntry, ReadyInput> {
  const names = inputs.map((i) => i.name)
  if (!isNamed(given)) {
    throw new InputError(`inputs are wanted as an object, { ${names.join(', ')} }; here is ${say(given)}`)
  }
  const wrong: string[] = []
  const ready = new Map<InputEntry, ReadyInput>()
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) wrong.push(`there is no input ${plain(name, 60)}${didYouMean(name, names)}; the net has ${names.join(', ')}`)
  }
  for (const input of inputs) {
    const values = Object.hasOwn(given, input.name) ? given[input.name] : undefined
    if (values === undefined) {
      if (needed.includes(input)) wrong.push(`input ${input.name} ${showShape(input.shape)} is missing`)
      continue
    }
    const found = convert(input, values, batch)
    if (typeof found === 'string') wrong.push(`input ${input.name}${found.startsWith(':') ? '' : ' '}${found}`)
    else if (needed.includes(input)) ready.set(input, found)
  }
  if (wrong.length) throw new InputError(wrong.join('\n'))
  return ready
}

/** Converts values for an input; gives a text where something is wrong with them. */
function convert(input: InputEntry, values: InputValues, batch: number): ReadyInput | string {
  let data: Numbers
  let borrowed = false
  if (Array.isArray(values)) {
    const flat = flatten(values)
    if (typeof flat === 'string') return `${flat}${/^holds ("|true|false)/.test(flat) ? byNumber(input) : ''}`
    const wanted = input.shape.map((dim) => (dim === 'n' ? batch : dim))
    if (flat.shape.length > 1 && showShape(flat.shape) !== showShape(wanted))
      return `${showShape(input.shape)} at batch ${batch} is ${showShape(wanted)}, here are lists of ${showShape(flat.shape)}${
        flat.shape.at(-1) === input.classes && flat.shape.length === wanted.length + 1 ? byNumber(input) : ''
      }`
    data = flat.data
  } else if (
    input.type === 'i32' ? values instanceof Int32Array || values instanceof Uint8Array
      : values instanceof Float32Array || values instanceof Float64Array
  ) {
    borrowed = input.type === 'f32'
    data = borrowed ? values as Numbers : Int32Array.from(values as Int32Array)
  } else {
    const kind = input.type === 'i32' ? 'Int32Array' : 'Float32Array'
    return `holds ${input.type === 'i32' ? 'integers: give an' : 'float32: give a'} ${kind}, not ${say(values)}${
      typeof values === 'string' ? byNumber(input) : ''
    }${typeof (values as ArrayLike<unknown> | undefined)?.[0] === 'bigint' ? `: ${kind}.from(values, Number)` : ''}${
      input.type === 'f32' && showsPixels(values)
        ? `; pixels become numbers by fromPixels(source, { shape: ${showShape(input.shape.slice(1))} })` : ''
    }`
  }
  const problem = lengthProblem(input, data, batch) ?? labelProblem(input, data)
  if (problem) return problem
  return { data: input.type === 'i32' && !(data instanceof Int32Array) ? Int32Array.from(data) : data, borrowed }
}

/** The hint for labels that are names or one-hot. */
const byNumber = ({ name, classes }: InputEntry): string =>
  classes === undefined ? '' : `; a label is the number of its class, 0..${classes - 1}: net.classesOf('${name}').indexOf('...')`

/** Bytes, or what a canvas draws. */
const showsPixels = (value: unknown): boolean =>
  value instanceof Uint8Array || value instanceof Uint8ClampedArray
  || (typeof value === 'object' && value !== null && ('width' in value || 'displayWidth' in value))

function lengthProblem(input: InputEntry, array: Numbers, batch: number): string | undefined {
  const wanted = elementCount(input.shape, batch)
  if (array.length === wanted) return undefined
  const sample = elementCount(input.shape)
  const samples = array.length / sample
  const has = input.shape[0] === 'n' && Number.isInteger(samples) ? countOf(samples, 'sample') : `${array.length} numbers`
  return `${showShape(input.shape)} takes ${wanted} numbers at batch ${batch}, here are ${has}`
    + (input.shape[0] === 'n' && Number.isInteger(samples) && samples > 0 ? `: open the net with batch ${samples}` : '')
}

/** A text where a label is no valid index for a kernel, or does not fit into an i32. */
function labelProblem(input: InputEntry, array: Numbers): string | undefined {
  const { type, classes, ignore = [-1] } = input
  if (type === 'f32' || (classes === undefined && array instanceof Int32Array)) return undefined
  const at = array.findIndex((label: number) =>
    label !== (label | 0) || (classes !== undefined && !(label >= 0 && label < classes) && !ignore.includes(label))
  )
  if (at < 0) return undefined
  if (!Number.isInteger(array[at])) return `holds integers, not ${array[at]} (at ${at})`
  return classes === undefined ? `holds integers of 32 bits, not ${array[at]} (at ${at})`
    : `: ${strayLabel(array[at]!, classes, array as Iterable<number>, ` at ${at} of the batch`)}`
}
