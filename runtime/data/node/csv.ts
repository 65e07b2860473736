import { InputError } from '../../errors.ts'

/** A table of texts: a header, and rows of as many cells, each with the line that it begins in. */
export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly lines: readonly number[]
}

/**
 * CSV as RFC 4180 has it: cells in quotes may hold separators, line ends and doubled quotes. Cells are separated by commas, semicolons or
 * tabs, whichever the header has. Throws InputError with the file and the line.
 */
export function parseCsv(text: string, file: string): Table {
  const wrong = (line: number, why: string): InputError => new InputError(`${file}:${line}: ${why}`)
  const source = text.replace(/^\ufeff/, '')
  const separator = separatorOf(source)
  const rows: string[][] = []
  const lines: number[] = []
  let row: string[] = []
  let line = 1
  let started = 1
  let at = 0
  const endRow = (): void => {
    if (row.length > 1 || row[0]!.trim() !== '') {
      rows.push(row)
      lines.push(started)
    }
    row = []
  }
  while (at < source.length || row.length > 0) {
    let cell = ''
    if (source[at] === '"') {
      const opened = line
      for (at++; ; at++) {
        if (at >= source.length) throw wrong(opened, 'a quote that is not closed')
        if (source[at] === '"') {
          if (source[at + 1] !== '"') break
          at++
        }
        if (source[at] === '\n') line++
        cell += source[at]
      }
      at++
      if (at < source.length && source[at] !== separator && source[at] !== '\n' && source[at] !== '\r') throw wrong(line, 'text behind a cell in quotes')
    } else {
      const from = at
      while (at < source.length && source[at] !== separator && source[at] !== '\n' && source[at] !== '\r') at++
      cell = source.slice(from, at)
    }
    row.push(cell)
    if (source[at] === separator) {
      at++
      if (at < source.length) continue
      row.push('')
    }
    if (source[at] === '\r') at++
    if (source[at] === '\n') at++
    endRow()
    started = ++line
  }
  const header = (rows.shift() ?? []).map((name) => name.trim())
  const headerLine = lines.shift() ?? 1
  if (header.length === 0) throw new InputError(`${file} is empty: a table begins with the names of its columns`)
  if (header.every((name) => name !== '' && !Number.isNaN(Number(name)))) throw wrong(headerLine, 'the first line holds numbers: a table begins with the names of its columns')
  header.forEach((name, i) => {
    if (name !== '' && header.indexOf(name) !== i) throw wrong(headerLine, `two columns are called ${name}`)
  })
  rows.forEach((cells, i) => {
    if (cells.length !== header.length) throw wrong(lines[i]!, `${cells.length} cells, the header has ${header.length}`)
  })
  if (rows.length === 0) throw new InputError(`${file} has a header and no rows`)
  return { header, rows, lines }
}

function separatorOf(text: string): string {
  const first = /^[^\n]*/.exec(text)![0].replaceAll(/"[^"]*"/g, '')
  const counts = [',', ';', '\t'].map((separator) => ({ separator, count: first.split(separator).length - 1 }))
  return counts.reduce((best, next) => (next.count > best.count ? next : best)).separator
}
