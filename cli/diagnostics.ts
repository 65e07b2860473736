import type { Diagnostic } from '../dsl/diagnostic.ts'
import type { Span } from '../dsl/source.ts'
import { positionOf, render } from '../dsl/render.ts'
import { type Screen, wantsColor } from './screen.ts'

/** Draws diagnostics for people: lines underlined, hints; a count at the end where there are several. */
export function drawDiagnostics(diagnostics: readonly Diagnostic[], screen: Screen): string {
  const color = wantsColor(screen.terminal.err, screen.terminal.env)
  const drawn = diagnostics.map((diagnostic) => render(diagnostic, { color }).trimEnd())
  const errors = diagnostics.filter((d) => d.severity === 'error').length
  const warnings = diagnostics.length - errors
  const counts = [errors && `${errors} error${errors > 1 ? 's' : ''}`, warnings && `${warnings} warning${warnings > 1 ? 's' : ''}`]
  return [...drawn, ...(diagnostics.length > 1 ? [counts.filter(Boolean).join(', ')] : [])].join('\n\n')
}

/** Gives a diagnostic for machines: lines and columns from 1 on, in UTF-16 units; offsets from 0 on. */
export function plainDiagnostic({ severity, code, message, labels, hint }: Diagnostic): object {
  return {
    severity,
    code,
    message,
    labels: labels.map(({ span, text }) => ({ text, ...place(span) })),
    ...(hint !== undefined && { hint }),
  }
}

function place({ source, start, end }: Span): object {
  const from = positionOf(source, start)
  const to = positionOf(source, end)
  return { file: source.file, line: from.line, column: from.column, endLine: to.line, endColumn: to.column, start, end }
}
