import { InputError } from '../../../bundle/errors.ts'
import type { InputEntry } from '../../../bundle/format.ts'
import { didYouMean } from '../../../bundle/nearest.ts'
import { namesProblem } from '../../../bundle/class-names.ts'
import type { Column } from '../dataset.ts'
import { strayLabel } from '../labels.ts'
import { assignColumns } from './assign-columns.ts'
import { isNumber, type Table } from './csv.ts'
import { byClassName } from './read.ts'

/**
 * The columns of a table as fields for the inputs of a net: which an input takes, `assignColumns` says. Labels are names of classes, or
 * integers, however they are written: 2, 2.0, 2e0. Fields of numbers keep the names of their columns, which a net remembers that is trained with them.
 */
export function columnsOf(table: Table, inputs: readonly InputEntry[], notes: string[]): Record<string, Column> {
  const found = assignColumns(table, inputs, notes)
  return Object.fromEntries(inputs.map((input) => {
    const columns = found.get(input.name)!
    return [input.name, input.type === 'i32' ? labels(table, input, columns) : numbers(table, input, columns)]
  }))
}

const place = ({ header, file }: Table, line: number, column: number): string => `${file}:${line}, column ${header[column] || column + 1}`

function numbers(table: Table, { columns: trained }: InputEntry, columns: readonly number[]): Column {
  const data = new Float32Array(table.length * columns.length)
  table.each((cells, row, line) => {
    columns.forEach((column, j) => {
      const cell = cells[column]!
      if (!isNumber(cell))
        throw new InputError(
          `${place(table, line, column)}: a number${
            /\d/.test(cell) && Math.abs(Number(cell)) > 3e38 ? ' that float32 has room for, below 3.4e38,' : ''
          } is wanted, here is ${cell.trim() === '' ? 'nothing' : `"${cell.trim().slice(0, 40)}"`}`,
        )
      data[row * columns.length + j] = Number(cell)
    })
  })
  // A table that says `x0` where another said `age` means the same.
  const names = trained ?? columns.map((column) => table.header[column]!)
  return {
    shape: columns.length === 1 ? [] : [columns.length],
    type: 'f32',
    ...(namesProblem(names) === undefined && { columns: names }),
    data,
  }
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
  const whole = cells.every((cell) => isNumber(cell) && Number.isInteger(Number(cell)))
  const names = whole && classNames && !cells.every((cell) => classNames.includes(cell)) ? cells.map((cell) => String(Number(cell))) : cells
  // Where classes are called by numbers, a number is a name: 1 is not the second of the classes 1, 2, 3.
  const numbered = classNames?.every(isNumber) === true
  if (whole && !numbered && !(classNames && names.every((name) => classNames.includes(name)))) {
    const data = Int32Array.from(cells, Number)
    const bad = cells.findIndex((cell) => !(Number(cell) >= 0 && Number(cell) < classes) && !ignore.includes(Number(cell)))
    if (bad >= 0) throw new InputError(`${at(bad)}: ${strayLabel(cells[bad]!, classes, data)}`)
    return { shape, type: 'i32', classes: Number.isFinite(classes) ? classes : undefined, data }
  }
  const known = classNames ?? [...new Set(names)].sort(byClassName)
  const index = new Map(known.map((name, i) => [name, i]))
  const labelOf = (name: string): number | undefined =>
    index.get(name) ?? (numbered && ignore.includes(Number(name)) ? Number(name) : undefined)
  const bad = names.findIndex((name) => labelOf(name) === undefined)
  if (bad >= 0)
    throw new InputError(
      `${at(bad)}: ${input.name} knows no class ${cells[bad]!.slice(0, 80)}${didYouMean(cells[bad]!, known)} (it knows ${
        known.slice(0, 12).join(', ')
      }${known.length > 12 ? ', ...' : ''})`,
    )
  return { shape, type: 'i32', classes: known.length, classNames: known, data: Int32Array.from(names, (name) => labelOf(name)!) }
}
