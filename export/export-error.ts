/** One reason why a net cannot be exported: which layer, what, and what to do. */
export interface ExportProblem {
  /** The layer, output or option. */
  readonly where: string
  readonly what: string
  /** What to do about it. */
  readonly mend?: string
}

/** A net that cannot be exported: all reasons at once. */
export class ExportError extends Error {
  override name = 'ExportError'
  readonly problems: readonly ExportProblem[]

  constructor(problems: readonly ExportProblem[]) {
    super(problems.map(({ where, what, mend }) => `${where ? `${where}: ` : ''}${what}${mend ? `\n  ${mend}` : ''}`).join('\n'))
    this.problems = problems
  }
}
