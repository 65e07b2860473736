import { InputError } from '../../../bundle/errors.ts'

/** The cells of a row, which are valid during the call alone, the row's number from 0, and the line that it begins in. */
export type VisitRow = (cells: readonly string[], row: number, line: number) => void

/**
 * A table of texts. The text is read again for what is asked, instead of keeping each cell: a table of pictures has tens of millions. The
 * first reading refuses what is no table, with the file and the line.
 */
export class Table {
  readonly header: readonly string[]
  readonly length: number
  readonly file: string
  readonly #text: string
  /** The first cell of each column that is no number, with its line. */
  readonly #words = new Map<number, { readonly cell: string; readonly line: number }>()

  constructor(text: string, file: string) {
    this.#text = text.replace(/^\ufeff/, '')
    this.file = file
    let header: string[] | undefined
    let length = 0
    readCsv(this.#text, file, (cells, _, line) => {
      if (!header) {
        header = cells.map((name) => name.trim())
        this.#checkHeader(header, line)
        return
      }
      if (cells.length !== header.length) throw this.wrong(line, `${cells.length} cells, the header has ${header.length}`)
      for (let column = 0; column < cells.length; column++) {
        if (!isNumber(cells[column]!) && !this.#words.has(column)) this.#words.set(column, { cell: cells[column]!.trim(), line })
      }
      length++
    })
    if (!header) throw new InputError(`${file} is empty: a table begins with the names of its columns`)
    if (length === 0) throw new InputError(`${file} has a header and no rows`)
    this.header = header
    this.length = length
  }

  /** The first cell of a column that is no number; undefined where all are. */
  word(column: number): { readonly cell: string; readonly line: number } | undefined {
    return this.#words.get(column)
  }

  /** Visits the rows, without the header. */
  each(visit: VisitRow): void {
    readCsv(this.#text, this.file, (cells, row, line) => {
      if (row > 0) visit(cells, row - 1, line)
    })
  }

  wrong(line: number, why: string): InputError {
    return new InputError(`${this.file}:${line}: ${why}`)
  }

  #checkHeader(header: readonly string[], line: number): void {
    if (header.every((name) => isNumber(name)))
      throw this.wrong(line, 'the first line holds numbers: a table begins with the names of its columns')
    const seen = new Set<string>()
    for (const name of header) {
      if (name !== '' && seen.has(name)) throw this.wrong(line, `two columns are called ${name}`)
      seen.add(name)
    }
  }
}

/** Whether a cell holds a decimal number that float32 has room for. Numbers of JavaScript may be written otherwise: 0x10. */
export const isNumber = (cell: string): boolean =>
  Number.isFinite(Math.fround(Number(cell))) && cell.trim() !== '' && !/^\s*0[box]/i.test(cell)

/**
 * CSV as RFC 4180 has it: cells in quotes may hold separators, line ends and doubled quotes. Cells are separated by commas, semicolons or
 * tabs, whichever the first line has. Rows without anything are passed over.
 */
export function readCsv(source: string, file: string, visit: VisitRow): void {
  const wrong = (line: number, why: string): InputError => new InputError(`${file}:${line}: ${why}`)
  const separator = separatorOf(source)
  const cells: string[] = []
  let row = 0
  let line = 1
  let started = 1
  let at = 0
  while (at < source.length || cells.length > 0) {
    if (source[at] === '"') {
      let cell = ''
      const opened = line
      for (at++;; at++) {
        if (at >= source.length) throw wrong(opened, 'a quote that is not closed')
        if (source[at] === '"') {
          if (source[at + 1] !== '"') break
          at++
        }
        if (source[at] === '\n') line++
        cell += source[at]
      }
      at++
      if (at < source.length && source[at] !== separator && source[at] !== '\n' && source[at] !== '\r')
        throw wrong(line, 'text behind a cell in quotes')
      cells.push(cell)
    } else {
      const from = at
      while (at < source.length && source[at] !== separator && source[at] !== '\n' && source[at] !== '\r') at++
      cells.push(source.slice(from, at))
    }
    if (source[at] === separator) {
      at++
      if (at < source.length) continue
      cells.push('')
    }
    if (source[at] === '\r') at++
    if (source[at] === '\n') at++
    if (cells.length > 1 || cells[0]!.trim() !== '') visit(cells, row++, started)
    cells.length = 0
    started = ++line
  }
}

function separatorOf(text: string): string {
  const first = /^[^\n]*/.exec(text)![0].replaceAll(/"[^"]*"/g, '')
  const counts = [',', ';', '\t'].map((separator) => ({ separator, count: first.split(separator).length - 1 }))
  return counts.reduce((best, next) => (next.count > best.count ? next : best)).separator
}
