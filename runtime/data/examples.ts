import { InputError } from '../../bundle/errors.ts'
import type { InputEntry, Manifest } from '../../bundle/format.ts'
import { checkInputs, type InputValues } from '../inputs.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import { checkOptions, positive } from '../../bundle/options.ts'
import { isNamed, plain, say } from '../../bundle/plain.ts'
import { sha256 } from '../loading/seal.ts'
import { turns } from '../next-task.ts'
import { elementCount } from '../../bundle/sizes.ts'
import type { Arrays, Dataset, Field } from './dataset.ts'

/** One sample, a value a field; a label also by the name of its class. */
export type Example = Readonly<Record<string, InputValues | number | string>>

export interface ExamplesOptions {
  /** The greatest number of examples kept of each class: the oldest makes room for a new one. Default: all are kept. */
  readonly most?: number
}

/** A sample as it is kept. */
interface Kept {
  readonly id: number
  readonly label: number | undefined
  readonly arrays: Arrays
}

/**
 * Examples that a user gives one by one, to be trained with, kept and rehearsed: a list that remembers its changes. `fields`: what a sample
 * holds, as datasets have it, or a net, whose inputs say it.
 */
export class Examples implements Iterable<Readonly<Record<string, unknown>> & { readonly id: number }> {
  readonly fields: Readonly<Record<string, Field>>
  readonly #inputs: readonly InputEntry[]
  /** The field with the classes. */
  readonly #label: string | undefined
  readonly #most: number
  /** Never changed in place, so that what was given away stays as it was. */
  #kept: readonly Kept[] = []
  #before: (readonly Kept[])[] = []
  #next = 1

  constructor(fields: Readonly<Record<string, Field>> | { readonly manifest: Pick<Manifest, 'inputs'> }, options: ExamplesOptions = {}) {
    const { most = Infinity } = checkOptions('Examples', options, { most: positive })
    this.fields = fieldsOf(fields)
    this.#inputs = Object.entries(this.fields).map((
      [name, { shape, type, classes, ignore }]: [string, Field & { ignore?: readonly number[] }],
    ) => ({ name, type, shape: ['n', ...shape], ...(classes !== undefined && { classes, ignore: ignore ?? [] }) }))
    this.#label = Object.entries(this.fields).find(([, { classes, shape }]) => classes !== undefined && shape.length === 0)?.[0]
    this.#most = most
  }

  get length(): number {
    return this.#kept.length
  }

  /** The number of examples of each class, by its label; empty where no field has classes. */
  get counts(): number[] {
    const counts = new Array<number>(this.#label === undefined ? 0 : this.fields[this.#label]!.classes!).fill(0)
    for (const { label } of this.#kept) if (label !== undefined) counts[label]!++
    return counts
  }

  /** The number of examples of one class, by its label or its name. */
  countOf(label: number | string): number {
    return this.counts[this.labelOf(label)]!
  }

  /** The label of a class by its name. Throws InputError for a class that there is not. */
  labelOf(name: number | string): number {
    if (this.#label === undefined) throw new InputError(`these examples have no classes (they hold ${Object.keys(this.fields).join(', ')})`)
    const { classes, classNames } = this.fields[this.#label]!
    if (typeof name === 'string' && classNames) {
      const at = classNames.findIndex((other) => other.normalize('NFC') === name.normalize('NFC'))
      if (at >= 0) return at
      throw new InputError(
        `there is no class ${plain(name, 60)}${didYouMean(name, classNames)} (there are ${classNames.slice(0, 12).join(', ')}${
          classNames.length > 12 ? ', ...' : ''
        })`,
      )
    }
    // Classes without names are called by their numbers.
    const label = typeof name === 'string' && /^\d+$/.test(name) ? Number(name) : name
    if (typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < classes!) return label
    throw new InputError(
      `there is no class ${say(name)}: classes are 0 to ${classes! - 1}${classNames ? ` or ${classNames.slice(0, 12).join(', ')}` : ''}`,
    )
  }

  /** Keeps a copy of a sample. Gives its number, which stays its own. Throws InputError for what does not fit the fields. */
  add(example: Example): number {
    if (!isNamed(example))
      throw new InputError(`an example is wanted as an object, { ${Object.keys(this.fields).join(', ')} }, not ${say(example)}`)
    const named: Record<string, InputValues> = {}
    for (const [name, value] of Object.entries(example)) {
      named[name] = name === this.#label && (typeof value === 'string' || typeof value === 'number') ? [this.labelOf(value)]
        : typeof value === 'number' ? [value] : value as InputValues
    }
    const ready = checkInputs(this.#inputs, this.#inputs, named, 1)
    const arrays = Object.fromEntries(
      [...ready].map(([{ name, type }, { data }]) => [name, type === 'i32' ? Int32Array.from(data) : Float32Array.from(data)]),
    )
    // One number that is none would be in all weights behind the first step.
    for (const [name, data] of Object.entries(arrays)) {
      const at = data.findIndex((value) => !Number.isFinite(value))
      if (at >= 0) throw new InputError(`${name} holds ${data[at]} at ${at}: an example is trained with, and wants finite numbers`)
    }
    const label = this.#label === undefined ? undefined : arrays[this.#label]![0]!
    const id = this.#next++
    const same = this.#kept.filter((other) => other.label === label)
    const gone = new Set(same.slice(0, Math.max(0, same.length + 1 - this.#most)))
    this.#become([...this.#kept.filter((other) => !gone.has(other)), { id, label, arrays }])
    return id
  }

  /** Removes one by its number. Gives whether it was there. */
  remove(id: number): boolean {
    return this.#without((kept) => kept.id === id) > 0
  }

  /** Removes all of a class, by its label or its name. Gives how many. */
  removeClass(label: number | string): number {
    const wanted = this.labelOf(label)
    return this.#without((kept) => kept.label === wanted)
  }

  /** Removes all. `undo` brings them back. */
  clear(): number {
    return this.#without(() => true)
  }

  get canUndo(): boolean {
    return this.#before.length > 0
  }

  /** Takes the last change back: an example added, removed, or many. Gives whether there was one. */
  undo(): boolean {
    const before = this.#before.pop()
    if (before) this.#kept = before
    return before !== undefined
  }

  /** Ends undoing: the changes made so far can no longer be undone. */
  forget(): void {
    this.#before = []
  }

  #without(goes: (kept: Kept) => boolean): number {
    const rest = this.#kept.filter((kept) => !goes(kept))
    const gone = this.#kept.length - rest.length
    if (gone > 0) this.#become(rest)
    return gone
  }

  #become(kept: readonly Kept[]): void {
    this.#before = [...this.#before, this.#kept].slice(-MOST_UNDONE)
    this.#kept = kept
  }

  /** Each example with its number and copies of its values, the oldest first. */
  *[Symbol.iterator](): Generator<Readonly<Record<string, unknown>> & { readonly id: number }> {
    for (const { id, arrays } of this.#kept)
      yield {
        ...Object.fromEntries(
          Object.entries(arrays).map(([name, data]) => [name, this.fields[name]!.shape.length === 0 ? data[0] : data.slice()]),
        ),
        id,
      }
  }

  /** All of them as they are kept, one array a field. */
  arrays(): Arrays {
    return Object.fromEntries(
      Object.entries(this.fields).map(([name, { type, shape }]) => {
        const size = elementCount(shape)
        const all = type === 'i32' ? new Int32Array(size * this.length) : new Float32Array(size * this.length)
        this.#kept.forEach(({ arrays }, i) => all.set(arrays[name]!, i * size))
        return [name, all]
      }),
    )
  }

  /** The examples of now to train and evaluate with; what is added or removed later does not change it. */
  dataset(): Dataset {
    const kept = this.#kept
    const { fields } = this
    return {
      length: kept.length,
      fields,
      read(indices, into) {
        for (const name of Object.keys(fields)) {
          const to = into[name]
          for (let k = 0; to && k < indices.length; k++) {
            const { [name]: data } = kept[indices[k]!]!.arrays
            to.set(data!, k * data!.length)
          }
        }
      },
      mark: async () => {
        const turn = turns()
        const found: string[] = []
        for (const data of kept.flatMap(({ arrays }) => Object.values(arrays))) {
          found.push(await hashOf(data))
          await turn()
        }
        return sha256(found.join())
      },
    }
  }
}

/** Steps that `undo` goes back. */
const MOST_UNDONE = 100

/** Computed once an array, which never changes. */
const hashes = new WeakMap<object, string>()
async function hashOf(data: Float32Array | Int32Array): Promise<string> {
  const hash = hashes.get(data) ?? await sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  hashes.set(data, hash)
  return hash
}

/** The fields of examples. Those of a net are its inputs, without the batch. */
function fieldsOf(
  given: Readonly<Record<string, Field>> | { readonly manifest: Pick<Manifest, 'inputs'> },
): Readonly<Record<string, Field>> {
  const { inputs } = ((given as { manifest?: Manifest } | null)?.manifest ?? {}) as Partial<Manifest>
  if (Array.isArray(inputs)) {
    return Object.fromEntries(
      (inputs as readonly InputEntry[]).filter(({ shape }) => shape[0] === 'n').map((
        { name, type, shape, classes, classNames, ignore },
      ) => [name, {
        shape: shape.slice(1) as number[],
        type,
        ...(classes !== undefined && { classes }),
        ...(classNames && { classNames }),
        ...(ignore && { ignore }),
      }]),
    )
  }
  const fields = Object.values(isNamed(given) ? given : {}) as Partial<Field>[]
  if (fields.length === 0 || !fields.every((field) => Array.isArray(field?.shape) && (field.type === 'f32' || field.type === 'i32'))) {
    throw new InputError(
      `Examples takes a net, or what a sample holds: { image: { shape: [1, 28, 28], type: 'f32' }, label: { shape: [], type: 'i32', classes: 10 } }; here is ${
        say(given)
      }`,
    )
  }
  return { ...given } as Readonly<Record<string, Field>>
}
