import type { Diagnostic } from '../dsl/diagnostic.ts'

/** The text is wrong: every independent mistake, as data. `render` of the language draws them. */
export class CompileError extends Error {
  override name = 'CompileError'
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[]) {
    const errors = diagnostics.filter((d) => d.severity === 'error')
    const [first] = errors
    super(first ? `${first.message} (${first.code})${errors.length > 1 ? ` and ${errors.length - 1} more` : ''}` : 'the text cannot be compiled')
    this.diagnostics = diagnostics
  }
}
