import type { Diagnostic, Label } from './diagnostic.ts'
import { columnsOf, readable, visible } from './readable.ts'
import type { Source, Span } from './source.ts'

export interface RenderOptions {
  /** Whether to use ANSI colours, for terminals. */
  readonly color?: boolean
}

type Paint = (text: string, role: 'error' | 'warning' | 'underline' | 'gutter' | 'hint') => string

const COLORS = { error: '1;31', warning: '1;33', underline: '31', gutter: '2', hint: '36' } as const

/**
 * Draws a mistake:
 *   resnet.net:6:10: error: add cannot join [n, 32, 16, 16] with [n, 16, 32, 32] (shape/add-mismatch)
 *     6 |   return add(main, skip) -> relu
 *       |          ^^^^^^^^^^^^^^^ joined here
 *     hint: ...
 * The first label is underlined with ^, further ones with -.
 */
export function render(diagnostic: Diagnostic, options: RenderOptions = {}): string {
  const paint: Paint = options.color ? (text, role) => `\u001b[${COLORS[role]}m${text}\u001b[0m` : (text) => text
  const { severity, message, code, labels, hint } = diagnostic
  const first = labels[0]
  const where = first ? `${readable(first.span.source.file)}:${showPosition(first.span)}: ` : ''
  const numbers = labels.map(({ span }) => String(positionOf(span.source, span.start).line))
  const width = Math.max(1, ...numbers.map((n) => n.length))
  const lines = [`${where}${paint(severity, severity)}: ${readable(message)} (${code})`]
  labels.forEach((label, i) => {
    if (first && label.span.source.file !== first.span.source.file)
      lines.push(`  ${readable(label.span.source.file)}:${showPosition(label.span)}`)
    lines.push(...drawLabel(label, numbers[i]!.padStart(width), i === 0 ? '^' : '-', paint))
  })
  if (hint) lines.push(`  ${paint('hint', 'hint')}: ${readable(hint)}`)
  return lines.join('\n')
}

/** Columns of source that are shown, and how many of them in front of the mark. */
const WIDEST = 160
const IN_FRONT = 60

function drawLabel({ span, text }: Label, number: string, sign: string, paint: Paint): string[] {
  const { source } = span
  const { lineStart } = positionOf(source, span.start)
  const newline = source.text.indexOf('\n', lineStart)
  const whole = source.text.slice(lineStart, newline < 0 ? undefined : newline).replace(/\r$/, '')
  const column = Math.min(span.start - lineStart, whole.length)
  // A line without an end is cut to what lies around the mark.
  const cutFrom = whole.length > WIDEST && column > IN_FRONT ? column - IN_FRONT : 0
  const line = whole.slice(cutFrom, cutFrom + WIDEST)
  const end = Math.min(Math.max(span.end - lineStart, column + 1), Math.max(whole.length, column + 1)) - cutFrom
  const goesOn = span.end - lineStart > whole.length && span.end > span.start + 1
  const before = cutFrom > 0 ? '...' : ''
  const [shown, front, marked] = [line, line.slice(0, column - cutFrom), line.slice(0, end)].map(draw) as [Drawn, Drawn, Drawn]
  const from = before.length + front.columns
  const length = Math.max(1, marked.columns - front.columns)
  const blank = ' '.repeat(number.length)
  return [
    `  ${paint(`${number} |`, 'gutter')} ${before}${shown.text}${cutFrom + line.length < whole.length ? '...' : ''}`.trimEnd(),
    `  ${paint(`${blank} |`, 'gutter')} ${' '.repeat(from)}${paint(sign.repeat(length), 'underline')}${goesOn ? '...' : ''} ${
      readable(text)
    }`.trimEnd(),
  ]
}

interface Drawn {
  readonly text: string
  readonly columns: number
}

/** A text as a terminal shows it: a tab becomes two blanks, control characters become visible signs. */
function draw(text: string): Drawn {
  let drawn = ''
  let columns = 0
  for (const c of text) {
    const shown = c === '\t' ? '  ' : visible(c)
    drawn += shown
    columns += shown === c ? columnsOf(c) : shown.length
  }
  return { text: drawn, columns }
}

const showPosition = (span: Span): string => {
  const { line, column } = positionOf(span.source, span.start)
  return `${line}:${column}`
}

/** Line and column from 1; columns in UTF-16 units. */
export function positionOf(source: Source, offset: number): { line: number; column: number; lineStart: number } {
  const starts = lineStarts(source)
  let [low, high] = [0, starts.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (starts[middle]! <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - starts[low]! + 1, lineStart: starts[low]! }
}

const knownStarts = new WeakMap<Source, readonly number[]>()

function lineStarts(source: Source): readonly number[] {
  const known = knownStarts.get(source)
  if (known) return known
  const starts = [0]
  for (let at = source.text.indexOf('\n'); at >= 0; at = source.text.indexOf('\n', at + 1)) starts.push(at + 1)
  knownStarts.set(source, starts)
  return starts
}
