import { countOf } from '../../bundle/plain.ts'
import { InputError } from '../../bundle/errors.ts'
import type { InputEntry } from '../../bundle/format.ts'
import { elementCount } from '../../bundle/sizes.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import type { Dataset, Field } from './dataset.ts'

/** The mapping from the labels of a dataset to the labels of a net. */
export interface ClassMatch {
  /** The net's label for each label of the dataset. Absent: they are the same. */
  readonly labels?: readonly number[]
  /** The net's names, by its label: its own, or those of a dataset that names every class of a net that has no names. */
  readonly names?: readonly string[]
  /** Whether the names are the dataset's: the net had none. */
  readonly learned: boolean
  /** Classes of the net that the dataset does not have. */
  readonly missing: readonly string[]
}

/**
 * Matches what a dataset calls its classes with what the net calls them. Names are matched by name, whatever their order. A net
 * without names takes those of a dataset that has all its classes; classes that are called by numbers (0, 1, ...) are the labels
 * of these numbers. Throws InputError for a class that the net does not know, and where classes and labels cannot be matched.
 */
export function matchClasses(input: InputEntry, field: Field): ClassMatch {
  // The same letters can be written in more than one way.
  const { classes } = input
  const [known, given] = [input.classNames, field.classNames].map((names) => names?.map((name) => name.normalize('NFC')))
  if (classes === undefined || !given) return { ...(known && { names: known }), learned: false, missing: [] }
  if (known) {
    const strange = given.filter((name) => !known.includes(name))
    if (strange.length > 0) {
      throw new InputError(
        `the data have ${strange.length > 1 ? 'classes' : 'a class'} that ${input.name} of the net does not know: `
          + `${strange.slice(0, MOST_TOLD).map((name) => `${name}${didYouMean(name, known)}`).join(', ')}${more(strange)} (it knows ${
            list(known)
          })`,
      )
    }
    return {
      ...relabelled(given.map((name) => known.indexOf(name))),
      names: known,
      learned: false,
      missing: known.filter((name) => !given.includes(name)),
    }
  }
  if (given.every((name) => /^(0|[1-9]\d*)$/.test(name) && Number(name) < classes)) {
    return {
      ...relabelled(given.map(Number)),
      learned: false,
      missing: Array.from({ length: classes }, (_, i) => String(i)).filter((name) => !given.includes(name)),
    }
  }
  if (given.length === classes) return { names: given, learned: true, missing: [] }
  const write = `input ${input.name}: class[${given.slice(0, MOST_TOLD).map(spelled).join(', ')}${given.length > MOST_TOLD ? ', ...' : ''}]`
  throw new InputError(
    given.length > classes
      ? `the data have ${countOf(given.length, 'class')}, ${input.name} of the net has ${classes}: ${
        list(given)
      }. Write ${write}, and give the last layer ${countOf(given.length, 'output')}`
      : `the data have ${given.length} of the ${classes} classes of ${input.name}, and the net does not say which: ${
        list(given)
      }. Write ${write} and ${classes - given.length} more `
        + `name${classes - given.length > 1 ? 's' : ''} in the order of the outputs, or, if there are no others, ${
          countOf(given.length, 'output')
        } in the last layer`,
  )
}

/** Names that a message lists. */
const MOST_TOLD = 12
const more = (names: readonly string[]): string => (names.length > MOST_TOLD ? `, ... (${names.length} in all)` : '')
const list = (names: readonly string[]): string => `${names.slice(0, MOST_TOLD).join(', ')}${more(names)}`
/** A class name as the language spells it: in quotes where it is no word. */
const spelled = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : `"${name}"`)

const relabelled = (
  labels: readonly number[],
): { labels?: readonly number[] } => (labels.every((label, i) => label === i) ? {} : { labels })

/** The dataset with the net's labels in these of its fields; labels below 0 or beyond the names stay as they are. */
export function relabel(dataset: Dataset, changes: ReadonlyMap<string, readonly number[]>): Dataset {
  if (changes.size === 0) return dataset
  return {
    ...dataset,
    length: dataset.length,
    fields: dataset.fields,
    async read(indices, into, draw) {
      await dataset.read(indices, into, draw)
      for (const [name, labels] of changes) {
        const values = into[name]
        const count = indices.length * dataset.fields[name]!.shape.reduce((product, dim) => product * dim, 1)
        for (let i = 0; values && i < count; i++) values[i] = labels[values[i]!] ?? values[i]!
      }
    },
  }
}

/**
 * These inputs with the names of classes and columns that others of the same name have, with as many classes or numbers, where they have none:
 * a net that is compiled again keeps what it learned.
 */
export function withNamesOf(inputs: readonly InputEntry[], others: readonly InputEntry[]): readonly InputEntry[] {
  return inputs.map((input) => {
    const other = others.find(({ name, classes }) => name === input.name && classes === input.classes)
    const columns = other?.columns?.length === elementCount(input.shape) ? other.columns : undefined
    return {
      ...input,
      ...(!input.classNames && other?.classNames && { classNames: other.classNames }),
      ...(!input.columns && columns && { columns }),
    }
  })
}
