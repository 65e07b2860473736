import { InputError } from '../../../bundle/errors.ts'
import type { InputEntry } from '../../../bundle/format.ts'
import { didYouMean } from '../../../bundle/nearest.ts'
import { elementCount } from '../../../bundle/sizes.ts'
import type { Column } from '../dataset.ts'
import { isNumber, type Table } from './csv.ts'
import { byCodeUnits } from './read.ts'

/**
 * The columns of a table as fields for the inputs of a net. An input takes the column of its name, one number a sample, or the columns
 * `NAME_0`, `NAME_1`, ... (`NAME0`, `NAME[0]`). One input of numbers may take all columns that hold numbers and belong to nobody else; a label without
 * a column of its name takes the only column of words. Labels are names of classes, or integers.
 */
export function columnsOf(table: Table, inputs: readonly InputEntry[], notes: string[]): Record<string, Column> {
  const found = assign(table, inputs, notes)
  return Object.fromEntries(inputs.map((input) => {
    const columns = found.get(input.name)!
    return [input.name, input.type === 'i32' ? labels(table, input, columns) : numbers(table, columns)]
  }))
}

/** The columns that each input takes. */
function assign(table: Table, inputs: readonly InputEntry[], notes: string[]): Map<string, readonly number[]> {
  const { header, file } = table
  const places = new Map(header.map((name, column) => [name, column]))
  const taken = new Set<number>()
  const found = new Map<string, readonly number[]>()
  const take = (input: InputEntry, columns: readonly number[]): void => {
    found.set(input.name, columns)
    for (const column of columns) taken.add(column)
  }
  for (const { name, ...rest } of inputs) {
    const size = elementCount(rest.shape)
    const own = places.get(name)
    if (own !== undefined && size === 1) take({ name, ...rest }, [own])
    else if (size <= header.length) {
      const parts = Array.from(
        { length: size },
        (_, i) => [`${name}_${i}`, `${name}${i}`, `${name}[${i}]`].map((part) => places.get(part)).find((column) => column !== undefined),
      )
      if (parts.every((column) => column !== undefined)) take({ name, ...rest }, parts)
    }
  }
  const left = (): number[] => header.map((_, column) => column).filter((column) => !taken.has(column))
  const names = (columns: readonly number[]): string =>
    columns.slice(0, 12).map((column) => header[column] || `column ${column + 1}`).join(', ') +
    (columns.length > 12 ? `, ... (${columns.length})` : '')
  const all = names(header.map((_, i) => i))
  const open = inputs.filter(({ name }) => !found.has(name))
  for (const input of open.filter(({ type }) => type === 'i32')) {
    const words = left().filter((column) => table.word(column))
    if (words.length !== 1 || elementCount(input.shape) !== 1)
      throw new InputError(`${file} has no column ${input.name}${didYouMean(input.name, header)} (it has ${all})`)
    notes.push(`${input.name} is the column ${header[words[0]!]} of ${file}`)
    take(input, words)
  }
  const features = open.filter(({ type }) => type === 'f32')
  if (features.length > 1)
    throw new InputError(
      `${file} has no columns ${features.map(({ name }) => name).join(', ')} (it has ${all}): a column has the name of its input`,
    )
  for (const input of features) {
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
    if (others.length > 0) notes.push(`${file}: not used: ${names(others)}`)
  }
  return found
}

const place = ({ header, file }: Table, line: number, column: number): string => `${file}:${line}, column ${header[column] || column + 1}`

function numbers(table: Table, columns: readonly number[]): Column {
  const data = new Float32Array(table.length * columns.length)
  table.each((cells, row, line) => {
    columns.forEach((column, j) => {
      const cell = cells[column]!
      if (!isNumber(cell))
        throw new InputError(
          `${place(table, line, column)}: a number is wanted, here is ${cell.trim() === '' ? 'nothing' : `"${cell.trim().slice(0, 40)}"`}`,
        )
      data[row * columns.length + j] = Number(cell)
    })
  })
  return { shape: columns.length === 1 ? [] : [columns.length], type: 'f32', data }
}

function labels(table: Table, input: InputEntry, columns: readonly number[]): Column {
  const shape = columns.length === 1 ? [] : [columns.length]
  const cells: string[] = []
  const lines: number[] = []
  table.each((row, _, line) => {
    for (const column of columns) {
      const cell = row[column]!.trim()
      if (cell === '') throw new InputError(`${place(table, line, column)}: a class is wanted, here is nothing`)
      cells.push(cell)
    }
    lines.push(line)
  })
  const at = (k: number): string => place(table, lines[Math.floor(k / columns.length)]!, columns[k % columns.length]!)
  const { classes = Infinity, classNames, ignore = [-1] } = input
  if (cells.every((cell) => /^-?\d+$/.test(cell)) && !(classNames && cells.every((cell) => classNames.includes(cell)))) {
    const data = Int32Array.from(cells, Number)
    const bad = cells.findIndex((cell) => !(Number(cell) >= 0 && Number(cell) < classes) && !ignore.includes(Number(cell)))
    if (bad >= 0) throw new InputError(`${at(bad)}: label ${cells[bad]} is not in 0..${classes - 1}`)
    return { shape, type: 'i32', classes: Number.isFinite(classes) ? classes : undefined, data }
  }
  const known = classNames ?? [...new Set(cells)].sort(byCodeUnits)
  const index = new Map(known.map((name, i) => [name, i]))
  const bad = cells.findIndex((cell) => !index.has(cell))
  if (bad >= 0)
    throw new InputError(
      `${at(bad)}: ${input.name} knows no class ${cells[bad]!.slice(0, 80)}${didYouMean(cells[bad]!, known)} (it knows ${
        known.slice(0, 12).join(', ')
      }${known.length > 12 ? ', ...' : ''})`,
    )
  return { shape, type: 'i32', classes: known.length, classNames: known, data: Int32Array.from(cells, (cell) => index.get(cell)!) }
}
