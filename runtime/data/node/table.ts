import { InputError } from '../../errors.ts'
import type { InputEntry } from '../../format.ts'
import { didYouMean } from '../../nearest.ts'
import { elementCount } from '../../sizes.ts'
import type { Column } from '../dataset.ts'
import { byCodeUnits } from './read.ts'
import type { Table } from './csv.ts'

/**
 * The columns of a table as fields for the inputs of a net. An input takes the column of its name, one number a sample, or the columns
 * `NAME_0`, `NAME_1`, ... (`NAME0`, `NAME[0]`). One input of numbers may take all columns that hold numbers and belong to nobody else; a label without
 * a column of its name takes the only column of words. Labels are names of classes, or integers.
 */
export function columnsOf({ header, rows, lines }: Table, inputs: readonly InputEntry[], file: string, notes: string[]): Record<string, Column> {
  const at = (row: number, column: number): string => `${file}:${lines[row]!}, column ${header[column] || column + 1}`
  const cellsOf = (column: number): string[] => rows.map((row) => row[column]!.trim())
  const isNumeric = (column: number): boolean => cellsOf(column).every((cell) => cell !== '' && Number.isFinite(Number(cell)))
  const taken = new Set<number>()
  const found = new Map<string, readonly number[]>()
  const take = (input: InputEntry, columns: readonly number[]): void => {
    found.set(input.name, columns)
    for (const column of columns) taken.add(column)
  }
  for (const input of inputs) {
    const size = elementCount(input.shape)
    const own = header.indexOf(input.name)
    const parts = Array.from({ length: size }, (_, i) => header.findIndex((name) => [`${input.name}_${i}`, `${input.name}${i}`, `${input.name}[${i}]`].includes(name)))
    if (own >= 0 && size === 1) take(input, [own])
    else if (parts.every((column) => column >= 0)) take(input, parts)
  }
  const left = (): number[] => header.map((_, column) => column).filter((column) => !taken.has(column))
  const names = (columns: readonly number[]): string => columns.slice(0, 12).map((column) => header[column] || `column ${column + 1}`).join(', ') + (columns.length > 12 ? `, ... (${columns.length})` : '')
  const open = inputs.filter(({ name }) => !found.has(name))
  for (const input of open.filter(({ type }) => type === 'i32')) {
    const words = left().filter((column) => !isNumeric(column))
    if (words.length !== 1 || elementCount(input.shape) !== 1) throw new InputError(`${file} has no column ${input.name}${didYouMean(input.name, header)} (it has ${names(header.map((_, i) => i))})`)
    notes.push(`${input.name} is the column ${header[words[0]!]} of ${file}`)
    take(input, words)
  }
  const features = open.filter(({ type }) => type === 'f32')
  if (features.length > 1) throw new InputError(`${file} has no columns ${features.map(({ name }) => name).join(', ')} (it has ${names(header.map((_, i) => i))}): a column has the name of its input`)
  for (const input of features) {
    const size = elementCount(input.shape)
    const numeric = left().filter(isNumeric)
    const others = left().filter((column) => !numeric.includes(column))
    if (numeric.length !== size) {
      const bad = others.length > 0 ? firstBad(others[0]!) : ''
      throw new InputError(`${file} has ${numeric.length} columns of numbers for the ${size} of input ${input.name}: ${names(numeric) || 'none'}${bad}`)
    }
    take(input, numeric)
    if (others.length > 0) notes.push(`${file}: not used: ${names(others)}`)
  }
  function firstBad(column: number): string {
    const row = cellsOf(column).findIndex((cell) => cell === '' || !Number.isFinite(Number(cell)))
    return `; ${at(row, column)} is ${cellsOf(column)[row] === '' ? 'empty' : `"${cellsOf(column)[row]!.slice(0, 40)}"`}`
  }

  return Object.fromEntries(inputs.map((input) => {
    const columns = found.get(input.name)!
    return [input.name, input.type === 'i32' ? labels(input, columns) : numbers(columns)]
  }))

  function numbers(columns: readonly number[]): Column {
    const data = new Float32Array(rows.length * columns.length)
    rows.forEach((row, i) => columns.forEach((column, j) => {
      const cell = row[column]!.trim()
      const value = Number(cell)
      if (cell === '' || !Number.isFinite(value)) throw new InputError(`${at(i, column)}: a number is wanted, here is ${cell === '' ? 'nothing' : `"${cell.slice(0, 40)}"`}`)
      data[i * columns.length + j] = value
    }))
    return { shape: columns.length === 1 ? [] : [columns.length], type: 'f32', data }
  }

  function labels(input: InputEntry, columns: readonly number[]): Column {
    const shape = columns.length === 1 ? [] : [columns.length]
    const cells = rows.flatMap((row) => columns.map((column) => row[column]!.trim()))
    const where = (k: number): string => at(Math.floor(k / columns.length), columns[k % columns.length]!)
    const empty = cells.indexOf('')
    if (empty >= 0) throw new InputError(`${where(empty)}: a class is wanted, here is nothing`)
    const { classes = Infinity, classNames, ignore = [-1] } = input
    if (cells.every((cell) => /^-?\d+$/.test(cell)) && !(classNames && cells.every((cell) => classNames.includes(cell)))) {
      const data = Int32Array.from(cells, Number)
      const bad = data.findIndex((label) => !(label >= 0 && label < classes) && !ignore.includes(label))
      if (bad >= 0) throw new InputError(`${where(bad)}: label ${cells[bad]} is not in 0..${classes - 1}`)
      return { shape, type: 'i32', classes: Number.isFinite(classes) ? classes : undefined, data }
    }
    const known = classNames ?? [...new Set(cells)].sort(byCodeUnits)
    const places = new Map(known.map((name, i) => [name, i]))
    const bad = cells.findIndex((cell) => !places.has(cell))
    if (bad >= 0) throw new InputError(`${where(bad)}: ${input.name} knows no class ${cells[bad]!.slice(0, 80)}${didYouMean(cells[bad]!, known)} (it knows ${known.slice(0, 12).join(', ')}${known.length > 12 ? ', ...' : ''})`)
    return { shape, type: 'i32', classes: known.length, classNames: known, data: Int32Array.from(cells, (cell) => places.get(cell)!) }
  }
}
