import { InputError } from '../errors.ts'
import type { DataType, InputEntry } from '../format.ts'
import { elementCount, showShape } from '../sizes.ts'

/** What one sample holds under a name; `classes` for labels. */
export interface Field {
  readonly shape: readonly number[]
  readonly type: DataType
  readonly classes?: number
}

/** One array a field, the samples one after another. */
export type Arrays = Readonly<Record<string, Float32Array | Int32Array>>

/** Where in a training this is: what random choices are keyed by. Absent in evaluation: then there are none. */
export interface Draw {
  readonly seed: number
  readonly epoch: number
}

export interface Dataset {
  readonly length: number
  readonly fields: Readonly<Record<string, Field>>
  /** Writes the samples of these indices into the beginning of each array of `into`. */
  read(indices: ArrayLike<number>, into: Arrays, draw?: Draw): void | Promise<void>
}

/** All samples of a field: bytes of images stay bytes and are scaled when they are read. */
export interface Column extends Field {
  readonly data: Float32Array | Int32Array | Uint8Array
  /** Numbers become value * scale. Default 1. */
  readonly scale?: number
}

/** A dataset in memory: columns of equal length. */
export function arrays(columns: Readonly<Record<string, Column>>): Dataset {
  const names = Object.keys(columns)
  const lengths = names.map((name) => columns[name]!.data.length / elementCount(columns[name]!.shape))
  const length = lengths[0] ?? 0
  names.forEach((name, i) => {
    if (!Number.isInteger(lengths[i])) throw new InputError(`${name}: ${columns[name]!.data.length} numbers are no multiple of ${showShape(columns[name]!.shape)}`)
    if (lengths[i] !== length) throw new InputError(`${name} has ${lengths[i]} samples, ${names[0]} has ${length}`)
  })
  return {
    length,
    fields: columns,
    read(indices, into) {
      for (const name of names) {
        const to = into[name]
        if (!to) continue
        const { data, shape, scale = 1 } = columns[name]!
        const size = elementCount(shape)
        for (let k = 0; k < indices.length; k++) {
          const from = indices[k]! * size
          const at = k * size
          for (let i = 0; i < size; i++) to[at + i] = data[from + i]! * scale
        }
      }
    },
  }
}

/** Samples from..to-1 of another dataset. */
export function part(dataset: Dataset, from: number, to: number): Dataset {
  const end = Math.min(to, dataset.length)
  return {
    length: Math.max(0, end - from),
    fields: dataset.fields,
    read: (indices, into, draw) => dataset.read(Array.from(indices, (i) => i + from), into, draw),
  }
}

/**
 * Which field feeds which input: the one of its name, else the only one left of its type and size (a dataset says
 * `image`, a net may say `x`).
 */
export function fieldsFor(inputs: readonly InputEntry[], dataset: Dataset): Map<string, string> {
  const sampleCount = (input: InputEntry): number => elementCount(input.shape)
  const fits = (input: InputEntry, field: Field): boolean =>
    input.shape[0] === 'n' && field.type === input.type && elementCount(field.shape) === sampleCount(input)
    && (input.classes === undefined || field.classes === undefined || field.classes <= input.classes)
  const found = new Map<string, string>()
  for (const input of inputs) if (Object.hasOwn(dataset.fields, input.name)) found.set(input.name, input.name)
  for (const input of inputs) {
    if (found.has(input.name)) continue
    const taken = new Set(found.values())
    const left = Object.keys(dataset.fields).filter((name) => !taken.has(name) && fits(input, dataset.fields[name]!))
    if (left.length === 1) found.set(input.name, left[0]!)
  }
  const wrong: string[] = []
  for (const input of inputs) {
    const name = found.get(input.name)
    if (name === undefined) wrong.push(`nothing in it fits ${describe(input)}`)
    else if (!fits(input, dataset.fields[name]!)) wrong.push(`its ${describeField(name, dataset.fields[name]!)} does not fit ${describe(input)}`)
  }
  if (wrong.length) throw new InputError(`this dataset does not fit the net: ${wrong.join('; ')} (it holds ${Object.entries(dataset.fields).map(([n, f]) => describeField(n, f)).join(', ')})`)
  return found
}

const describe = (input: InputEntry): string =>
  `input ${input.name}: ${input.classes === undefined ? input.type : `class[${input.classes}]`} ${showShape(input.shape)}`
const describeField = (name: string, field: Field): string =>
  `${name}: ${field.classes === undefined ? field.type : `class[${field.classes}]`} ${showShape(field.shape)}`
