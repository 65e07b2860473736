import type { Diagnostic } from '../diagnostic.ts'
import { planLines } from './layout.ts'
import { printLines } from './lines.ts'
import { parse } from '../parse.ts'
import type { Source } from '../source.ts'

/** A text with syntax errors keeps its layout; these say what is wrong with it. */
export class FormatError extends Error {
  /** The compiler's name for such errors: code that reports the mistakes of a program reports these too. */
  override name = 'CompileError'
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics[0]?.message ?? 'the text cannot be laid out')
    this.diagnostics = diagnostics
  }
}

/**
 * Lays a text out anew: two blanks a level, a statement a line, a long chain a layer a line, results and train settings in
 * columns, at most one empty line. Works on the tokens, so what the text says cannot change, and every comment stays
 * between the tokens where it stood. Idempotent. Throws FormatError where the text has syntax errors.
 */
export function format(source: Source | string): string {
  const from = typeof source === 'string' ? { file: '<text>', text: source } : source
  const { ast, diagnostics, tokens, comments } = parse(from)
  if (!ast || diagnostics.length > 0) throw new FormatError(diagnostics)
  return printLines(from.text, tokens, comments, planLines(ast, tokens, comments))
}
