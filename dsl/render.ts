import type { Diagnostic, Label } from './diagnostic.ts'
import type { Source, Span } from './source.ts'

export interface RenderOptions {
  /** For terminals: ANSI colours. */
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
  const where = first ? `${first.span.source.file}:${showPosition(first.span)}: ` : ''
  const numbers = labels.map(({ span }) => String(positionOf(span.source, span.start).line))
  const width = Math.max(1, ...numbers.map((n) => n.length))
  const lines = [`${where}${paint(severity, severity)}: ${message} (${code})`]
  labels.forEach((label, i) => {
    if (first && label.span.source.file !== first.span.source.file) lines.push(`  ${label.span.source.file}:${showPosition(label.span)}`)
    lines.push(...drawLabel(label, numbers[i]!.padStart(width), i === 0 ? '^' : '-', paint))
  })
  if (hint) lines.push(`  ${paint('hint', 'hint')}: ${hint}`)
  return lines.join('\n')
}

function drawLabel({ span, text }: Label, number: string, sign: string, paint: Paint): string[] {
  const { source } = span
  const { lineStart } = positionOf(source, span.start)
  const newline = source.text.indexOf('\n', lineStart)
  const line = source.text.slice(lineStart, newline < 0 ? undefined : newline).replace(/\r$/, '')
  const column = Math.min(span.start - lineStart, line.length)
  const end = Math.min(Math.max(span.end - lineStart, column + 1), Math.max(line.length, column + 1))
  const goesOn = span.end - lineStart > line.length && span.end > span.start + 1
  const shown = expandTabs(line)
  const from = expandTabs(line.slice(0, column)).length
  const length = Math.max(1, expandTabs(line.slice(0, end)).length - from)
  const blank = ' '.repeat(number.length)
  return [
    `  ${paint(`${number} |`, 'gutter')} ${shown}`.trimEnd(),
    `  ${paint(`${blank} |`, 'gutter')} ${' '.repeat(from)}${paint(sign.repeat(length), 'underline')}${goesOn ? '...' : ''} ${text}`.trimEnd(),
  ]
}

const expandTabs = (text: string): string => text.replaceAll('\t', '  ')

const showPosition = (span: Span): string => {
  const { line, column } = positionOf(span.source, span.start)
  return `${line}:${column}`
}

/** Line and column from 1; columns in UTF-16 units. */
export function positionOf(source: Source, offset: number): { line: number; column: number; lineStart: number } {
  const before = source.text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: offset - lineStart + 1, lineStart }
}
