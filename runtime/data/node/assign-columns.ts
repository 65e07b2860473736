import { InputError } from '../../../bundle/errors.ts'
import type { InputEntry } from '../../../bundle/format.ts'
import { didYouMean } from '../../../bundle/nearest.ts'
import { elementCount } from '../../../bundle/sizes.ts'
import type { Table } from './csv.ts'

/**
 * The columns of a table that each input takes:
 *   1. the column of its name, or, of several numbers, `NAME_0`, `NAME_1`, ... (`NAME0`, `NAME.0`, `NAME[0]`; from 0 or from 1);
 *   2. those with the names of the table that the net was trained with, `columns` of the input;
 *   3. where the header names none of them, one input of numbers takes all columns of numbers that belong to nobody else, by position, and
 *      a label the only column of words. Notes say so.
 * Capitals count only where nothing else tells columns apart. Throws InputError, with what is missing and what is unknown, for a header that
 * names some of the columns of an input and not all: position would then be a guess.
 */
export function assignColumns(table: Table, inputs: readonly InputEntry[], notes: string[]): Map<string, readonly number[]> {
  const { header, file } = table
  const taken = new Set<number>()
  const found = new Map<string, readonly number[]>()
  const take = (input: InputEntry, columns: readonly number[]): void => {
    found.set(input.name, columns)
    for (const column of columns) taken.add(column)
  }
  const left = (): number[] => header.map((_, column) => column).filter((column) => !taken.has(column))
  const names = (columns: readonly number[]): string => some(columns.map((column) => header[column] || `column ${column + 1}`))
  const all = names(header.map((_, i) => i))

  for (const input of inputs) {
    const own = elementCount(input.shape) === 1 ? placeOf(header, input.name) : undefined
    if (own !== undefined) take(input, [own])
  }
  const numbered = new Map(inputs.filter(({ name }) => !found.has(name)).map((input) => [input.name, numberedColumns(header, input)]))
  for (const input of inputs) {
    const own = numbered.get(input.name)
    if (own?.complete) take(input, own.complete)
  }
  const open = inputs.filter(({ name }) => !found.has(name))
  for (const input of open.filter(({ type }) => type === 'i32')) {
    const words = left().filter((column) => table.word(column))
    if (words.length !== 1 || elementCount(input.shape) !== 1)
      throw new InputError(`${file} has no column ${input.name}${didYouMean(input.name, header)} (it has ${all})`)
    notes.push(`${input.name} is the column ${header[words[0]!]} of ${file}`)
    take(input, words)
  }
  const features = open.filter(({ type }) => type === 'f32')
  for (const input of features) {
    const size = elementCount(input.shape)
    const own = [...numbered.get(input.name)?.places ?? []].filter(([, column]) => !taken.has(column))
    const missing = Array.from({ length: size }, (_, i) => i).filter((i) => !own.some(([index]) => index === i))
    if (own.length > 0 && size > 1) {
      const spelled = new Set(own.filter(([i]) => i < size).map(([, column]) => column))
      throw partlyNamed(table, input, {
        known: spelled.size,
        missing: missing.map((i) => `${input.name}${i}`),
        unknown: left().filter((column) => !spelled.has(column)),
      })
    }
    if (!input.columns) continue
    const places = input.columns.map((name) => placeOf(header, name))
    const lacks = input.columns.filter((_, i) => places[i] === undefined)
    if (lacks.length > 0)
      throw partlyNamed(table, input, {
        known: size - lacks.length,
        missing: lacks,
        unknown: left().filter((column) => !places.includes(column)),
        trained: true,
      })
    take(input, places as number[])
  }
  const rest = features.filter(({ name }) => !found.has(name))
  if (rest.length > 1)
    throw new InputError(
      `${file} has no columns ${rest.map(({ name }) => name).join(', ')} (it has ${all}): a column has the name of its input`,
    )
  for (const input of rest) {
    const size = elementCount(input.shape)
    const numeric = left().filter((column) => !table.word(column))
    const others = left().filter((column) => table.word(column))
    if (numeric.length !== size) {
      const word = others.length > 0 ? table.word(others[0]!)! : undefined
      const why = word
        ? `; ${file}:${word.line}, column ${header[others[0]!] || others[0]! + 1} is ${
          word.cell === '' ? 'empty' : `"${word.cell.slice(0, 40)}"`
        }` : ''
      throw new InputError(
        `${file} has ${numeric.length} columns of numbers for the ${size} of input ${input.name}: ${names(numeric) || 'none'}${why}`,
      )
    }
    take(input, numeric)
    notes.push(byPosition(table, input, numeric))
    if (others.length > 0) notes.push(`${file}: not used: ${names(others)}`)
  }
  return found
}

/** The column of a name; where none has it, the only one that differs from it in capitals alone. */
function placeOf(header: readonly string[], name: string): number | undefined {
  const exact = header.indexOf(name)
  if (exact >= 0) return exact
  const alike = header.flatMap((other, column) => (other !== '' && sameLetters(other) === sameLetters(name) ? [column] : []))
  return alike.length === 1 ? alike[0] : undefined
}

const sameLetters = (name: string): string => name.normalize('NFC').toLowerCase()

interface Numbered {
  /** The columns by the number behind the input's name: from 0, where the table does not count from 1. */
  readonly places: ReadonlyMap<number, number>
  /** All columns of the input, in its order. Absent: some are missing, or there are more. */
  readonly complete?: readonly number[]
}

/** The columns that are called as an input with a number. */
function numberedColumns(header: readonly string[], { name, shape }: InputEntry): Numbered {
  const size = elementCount(shape)
  const form = new RegExp(`^${name}(?:(_)0*(\\d+)|([. ]?)0*(\\d+)|\\[0*(\\d+)\\])$`, 'i')
  const numbers = new Map<number, { readonly column: number; readonly rank: number }>()
  header.forEach((title, column) => {
    const match = form.exec(title)
    if (!match) return
    const index = Number(match[2] ?? match[4] ?? match[5])
    // A table may hold `x_0` and `x0`: the former is meant.
    const rank = (match[2] !== undefined ? 0 : match[4] !== undefined ? 1 : 2) + (title.startsWith(name) ? 0 : 3)
    const before = numbers.get(index)
    if (!before || rank < before.rank) numbers.set(index, { column, rank })
  })
  const from = size > 1 && !numbers.has(0) && numbers.has(size) ? 1 : 0
  const places = new Map([...numbers].map(([index, { column }]) => [index - from, column]))
  const all = Array.from({ length: size }, (_, i) => places.get(i))
  return { places, ...(places.size === size && all.every((column) => column !== undefined) && { complete: all as number[] }) }
}

interface Part {
  readonly known: number
  readonly missing: readonly string[]
  readonly unknown: readonly number[]
  /** The names are those of the table that the net was trained with. */
  readonly trained?: boolean
}

/** The refusal of a header that names some of an input's columns. */
function partlyNamed({ header, file }: Table, { name, shape }: InputEntry, { known, missing, unknown, trained }: Part): InputError {
  const size = elementCount(shape)
  const strange = unknown.map((column) => header[column] || `column ${column + 1}`)
  const hint = strange.map((word) => (word.length > 1 ? didYouMean(word, missing) : '')).find((text) => text !== '')
  const told = [
    missing.length > 0 ? `missing: ${some(missing)}` : '',
    strange.length > 0 ? `unknown: ${some(strange)}` : '',
  ].filter((text) => text !== '').join('; ')
  const problem = hint ? `${told}${hint}` : `${told}.`
  return new InputError(
    trained
      ? `${file} names ${known} of the ${size} columns of the table that the net was trained with, of input ${name}; ${problem} `
        + `Columns are matched by name, in any order: rename them, or call them ${numberedNames(name, size)}`
      : `${file} names ${known} of the ${size} columns of input ${name}; ${problem} A header names all of them, ${
        numberedNames(name, size)
      } in any order, or none: then columns go by position`,
  )
}

const numberedNames = (name: string, size: number): string => (size === 1 ? name : `${name}0${size > 2 ? ', ...' : ''}, ${name}${size - 1}`)

/** What became of columns whose names say nothing. */
function byPosition({ header, file }: Table, { name, shape }: InputEntry, columns: readonly number[]): string {
  const size = elementCount(shape)
  const part = (i: number): string => `${size === 1 ? name : `${name}[${i}]`} is ${header[columns[i]!] || `column ${columns[i]! + 1}`}`
  const told = size <= MOST_TOLD ? columns.map((_, i) => part(i)).join(', ') : `${part(0)}, ${part(1)}, ..., ${part(size - 1)}`
  return `${file} names no column of input ${name}${
    size === 1 ? '' : ` (${numberedNames(name, size)})`
  }, so columns go by position: ${told}`
}

const MOST_TOLD = 12
const some = (names: readonly string[]): string =>
  names.slice(0, MOST_TOLD).join(', ') + (names.length > MOST_TOLD ? `, ... (${names.length})` : '')
