import type { Diagnostic } from '../dsl/diagnostic.ts'
import { render } from '../dsl/render.ts'

/** Mistakes that the message draws; the rest is counted. */
const DRAWN = 3

/**
 * The text is wrong: every independent mistake, as data. The message draws the first of them with file, line, column and what
 * stands there, so that whatever shows it, a page or a log, shows where to look.
 */
export class CompileError extends Error {
  override name = 'CompileError'
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[]) {
    const errors = diagnostics.filter((d) => d.severity === 'error')
    const more = errors.length - DRAWN
    super(
      errors.length > 0
        ? [...errors.slice(0, DRAWN).map((d) => render(d)), ...(more > 0 ? [`and ${more} more ${more === 1 ? 'error' : 'errors'}`] : [])]
          .join('\n')
        : 'the text cannot be compiled',
    )
    this.diagnostics = diagnostics
  }
}
