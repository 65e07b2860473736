/**
 * A table as text, in the form of Markdown: `new Table({ head, colAligns })`, and rows pushed on, arrays of cells. A cell `{ content, colSpan }` takes all
 * that is left of its row.
 */
export class Table extends Array {
  #head
  #aligns

  constructor({ head, colAligns }) {
    super()
    this.#head = head
    this.#aligns = colAligns
  }

  toString() {
    const text = (cell) => String(cell?.content ?? cell ?? '')
    const isWide = (cell) => cell?.colSpan > 1
    const rows = [this.#head, ...this]
    const widths = this.#head.map((_, i) => Math.max(3, ...rows.map((row) => (row.some(isWide) && i > 0 ? 0 : text(row[i]).length))))
    const pad = (cell, i) => (this.#aligns[i] === 'right' ? text(cell).padStart(widths[i]) : text(cell).padEnd(widths[i]))
    const line = (row) => `| ${row.map((cell, i) => (isWide(cell) ? text(cell) : pad(cell, i))).join(' | ')} |`
    const rule = widths.map((width, i) => (this.#aligns[i] === 'right' ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)))
    return [line(this.#head), line(rule), ...Array.from(this, line)].join('\n')
  }
}
