import { InputError } from '../../bundle/errors.ts'
import type { DataType } from '../../bundle/format.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import { isNamed, plain, say, countOf } from '../../bundle/plain.ts'
import { sha256Of } from '../../bundle/digest.ts'
import { sha256 } from '../loading/seal.ts'
import { turns } from '../next-task.ts'
import { elementCount, showShape } from '../../bundle/sizes.ts'
import { columnsProblem, namesProblem } from '../../bundle/class-names.ts'

/**
 * One field of a sample, by its name. Labels have `classes`, their number, and may have the names of these classes, label 0 first. Numbers of
 * a table have the names of their `columns`, in the order of the numbers.
 */
export interface Field {
  readonly shape: readonly number[]
  readonly type: DataType
  readonly classes?: number
  readonly classNames?: readonly string[]
  readonly columns?: readonly string[]
}

/** One array a field, the samples one after another. */
export type Arrays = Readonly<Record<string, Float32Array | Int32Array>>

/** The position in a training, which keys all random choices. Absent in evaluation, which makes none. */
export interface Draw {
  readonly seed: number
  readonly epoch: number
}

export interface Dataset {
  readonly length: number
  readonly fields: Readonly<Record<string, Field>>
  /** Writes the samples of these indices into the beginning of each array of `into`. */
  read(indices: ArrayLike<number>, into: Arrays, draw?: Draw): void | Promise<void>
  /**
   * Tells these samples from any others, cheaply: a hash of all files by name and size, say. A training that goes on compares it. Without it, some
   * samples are read and compared.
   */
  mark?(): string | Promise<string>
}

/** Throws InputError for what is no dataset. */
export function checkDataset(given: Dataset): void {
  const { length, fields, read } = (given ?? {}) as Partial<Dataset>
  if (Number.isSafeInteger(length) && length! >= 0 && typeof fields === 'object' && fields !== null && typeof read === 'function') return
  throw new InputError(
    `a dataset is wanted, { length, fields, read }, as arrays({ ... }) and await loadDataset('...') give it; here is ${say(given)}`,
  )
}

/** All samples of a field: bytes of images stay bytes and are scaled when they are read. */
export interface Column extends Field {
  readonly data: Float32Array | Int32Array | Uint8Array
  /** Numbers become value * scale. Default 1. */
  readonly scale?: number
}

/** A dataset in memory: columns of equal length. Throws InputError for what is no column. */
export function arrays(columns: Readonly<Record<string, Column>>): Dataset {
  if (!isNamed(columns)) throw new InputError(`columns by name are wanted, { image: { shape, type, data } }, not ${say(columns)}`)
  const names = Object.keys(columns)
  for (const name of names) checkColumn(name, columns[name]!)
  const lengths = names.map((name) => columns[name]!.data.length / elementCount(columns[name]!.shape))
  const length = lengths[0] ?? 0
  names.forEach((name, i) => {
    if (!Number.isInteger(lengths[i]))
      throw new InputError(`${name}: ${columns[name]!.data.length} numbers are no multiple of ${showShape(columns[name]!.shape)}`)
    if (lengths[i] !== length) throw new InputError(`${name} has ${countOf(lengths[i]!, 'sample')}, ${names[0]} has ${length}`)
  })
  const dataset: Dataset = {
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
    mark: async () => {
      const marks: string[] = []
      for (const name of names) marks.push(`${name} ${columns[name]!.scale ?? 1} ${await hashOfColumn(columns[name]!.data)}`)
      return hashOf(marks)
    },
  }
  known.set(dataset, columns)
  return dataset
}

const known = new WeakMap<Dataset, Readonly<Record<string, Column>>>()

/** The columns of what `arrays` made. */
export const columnsOf = (dataset: Dataset): Readonly<Record<string, Column>> | undefined => known.get(dataset)

const COLUMN = ['shape', 'type', 'data', 'scale', 'classes', 'classNames', 'columns']

function checkColumn(name: string, column: Column): void {
  const wrong = (why: string): InputError => new InputError(`column ${name}: ${why}`)
  if (ArrayBuffer.isView(column) || Array.isArray(column))
    throw wrong(
      `a bare array does not say what a sample is: write ${name}: { shape: [1, 28, 28], type: 'f32', data }, or { shape: [], type: 'i32', classes: 10, data } for labels`,
    )
  const { shape, type, data, scale, classes, classNames, columns, ...rest } = (column ?? {}) as Partial<Column>
  const strange = Object.keys(rest)[0]
  if (strange !== undefined)
    throw wrong(`there is no ${plain(strange, 60)}${didYouMean(strange, COLUMN)} (a column has ${COLUMN.join(', ')})`)
  if (!Array.isArray(shape) || !shape.every((dim) => Number.isSafeInteger(dim) && dim > 0))
    throw wrong(`shape is that of one sample, [1, 28, 28] or [] for one number, not ${say(shape)}`)
  if (type !== 'f32' && type !== 'i32') throw wrong(`type is 'f32' or 'i32', not ${say(type)}`)
  if (!(data instanceof Float32Array || data instanceof Int32Array || data instanceof Uint8Array))
    throw wrong(`data is a Float32Array, Int32Array or Uint8Array with all samples, not ${say(data)}`)
  if (scale !== undefined && !Number.isFinite(scale)) throw wrong(`scale is a number, not ${say(scale)}`)
  // An array of integers takes whatever is written into it, without its fraction.
  const bad = type === 'i32' && (data instanceof Float32Array || scale !== undefined)
    ? data.findIndex((value: number) => value * (scale ?? 1) !== ((value * (scale ?? 1)) | 0))
    : -1
  if (bad >= 0)
    throw wrong(`it holds integers, not ${data[bad]! * (scale ?? 1)} (at ${bad})${scale === undefined ? '' : `, ${data[bad]} times scale`}`)
  if (classes !== undefined && !(Number.isSafeInteger(classes) && classes > 0))
    throw wrong(`classes is how many there are, not ${say(classes)}`)
  const named = columns === undefined ? undefined : columnsProblem(columns, shape)
  if (named !== undefined) throw wrong(named)
  if (classNames === undefined) return
  const problem = Array.isArray(classNames) ? namesProblem(classNames, classes) : 'classNames is a list of names'
  if (problem !== undefined) throw wrong(problem)
}

const hashOf = (parts: readonly string[]): string => sha256Of(new TextEncoder().encode(parts.join('\n')))

/** Bytes of a column that are looked at, in blocks of so many where it has more; and bytes that are hashed at once: a millisecond or so. */
const HASHED = { most: 2 ** 22, block: 2 ** 10, piece: 2 ** 18 }

/**
 * The hash of an array by its bytes, or of a large one by blocks in equal distances. It goes by pieces: browsers copy what they hash, and some hash
 * it before they return, on a page's own thread.
 */
async function hashOfColumn({ buffer, byteOffset, byteLength }: Column['data']): Promise<string> {
  const { most, block, piece } = HASHED
  const bytes = new Uint8Array(buffer, byteOffset, byteLength)
  const turn = turns()
  const hashes: string[] = []
  const size = Math.min(byteLength, most)
  const copy = byteLength > most ? new Uint8Array(piece) : undefined
  for (let at = 0; at === 0 || at < size; at += piece) {
    let part = copy ?? bytes.subarray(at, at + piece)
    for (let i = 0; copy && i < piece; i += block) {
      const from = Math.round((((at + i) / block) * (byteLength - block)) / (most / block - 1))
      copy.set(bytes.subarray(from, from + block), i)
    }
    // What is shared between threads, hashes do not take.
    if (!(part.buffer instanceof ArrayBuffer)) part = part.slice()
    hashes.push(await sha256(part))
    await turn()
  }
  return hashes.length === 1 ? hashes[0]! : hashOf(hashes)
}

/** The mark of some samples of another dataset. */
const markOf = (
  dataset: Dataset,
  which: () => string,
): Pick<Dataset, 'mark'> => (dataset.mark ? { mark: async () => hashOf([await dataset.mark!(), which()]) } : {})

/** Samples from..to-1 of another dataset; `to` may lie behind its end. Throws InputError for what is no dataset or no number of samples. */
export function part(dataset: Dataset, from: number, to: number): Dataset {
  checkDataset(dataset)
  for (const at of [from, to])
    if (at !== Infinity && !(Number.isSafeInteger(at) && at >= 0))
      throw new InputError(
        `part takes samples by whole numbers from 0 on, not ${say(at)}`,
      )
  const end = Math.min(to, dataset.length)
  return {
    length: Math.max(0, end - from),
    fields: dataset.fields,
    read: (indices, into, draw) => dataset.read(Array.from(indices, (i) => i + from), into, draw),
    ...markOf(dataset, () => `${from} ${end}`),
  }
}

/** These samples of another dataset, in this order. */
export function select(dataset: Dataset, indices: ArrayLike<number>): Dataset {
  return {
    length: indices.length,
    fields: dataset.fields,
    read: (wanted, into, draw) => dataset.read(Array.from(wanted, (i) => indices[i]!), into, draw),
    ...markOf(dataset, () => Array.from(indices).join()),
  }
}
