/** One reason why a model cannot be brought: where, what, and what to do. */
export interface ImportProblem {
  /** The model's own name of the node, layer, section or field (`Conv node /layer1/conv1`, `net.cfg:31 [rnn]`). */
  readonly where: string
  readonly what: string
  /** What to do about it. */
  readonly mend?: string
}

/** A model that cannot be brought: all reasons at once. */
export class ImportError extends Error {
  override name = 'ImportError'
  readonly problems: readonly ImportProblem[]

  constructor(told: readonly ImportProblem[]) {
    // A file that many tensors lie in is missing once.
    const problems = [...new Map(told.map((problem) => [JSON.stringify([problem.where, problem.what, problem.mend]), problem])).values()]
    super(problems.map(({ where, what, mend }) => `${where ? `${where}: ` : ''}${what}${mend ? `\n  ${mend}` : ''}`).join('\n'))
    this.problems = problems
  }
}
