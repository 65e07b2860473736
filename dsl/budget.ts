import type { Reporter } from './reporter.ts'
import type { Span } from './source.ts'

/** Nobody's net exceeds these; beyond them something runs away. */
export const MOST_LAYERS = 100_000
export const MOST_ROUNDS = 100_000
const MOST_STEPS = 2_000_000
export const MOST_BLOCKS_DEEP = 64
/** Expressions and bodies within each other, through all blocks: far less than a stack holds. */
const MOST_DEPTH = 500

class RanAway extends Error {}

/** Counts what an expansion does, and ends it with one error, `limit/too-large`, where it runs away. */
export class Budget {
  private readonly report: Reporter
  private rounds = 0
  private steps = 0
  private depth = 0

  constructor(report: Reporter) {
    this.report = report
  }

  /** One more round of a loop. */
  round(span: Span): void {
    if (++this.rounds > MOST_ROUNDS) this.exceeded(`all loops together have more than ${MOST_ROUNDS} rounds`, span)
  }

  /** One more statement or expression. */
  step(span: Span): void {
    if (++this.steps > MOST_STEPS)
      this.exceeded('this net takes too long to expand', span, 'do blocks call each other more and more often?')
  }

  /** Runs something one level deeper. */
  deeper<T>(span: Span, what: () => T): T {
    if (++this.depth > MOST_DEPTH) this.exceeded('this is nested too deeply, through all blocks around it', span)
    const made = what()
    this.depth--
    return made
  }

  /** Reports the error, and leaves `within`. */
  exceeded(message: string, span: Span, hint?: string): never {
    this.report.error('limit/too-large', message, span, { hint })
    throw new RanAway()
  }

  /** The result of `what`; undefined where it ran away. */
  within<T>(what: () => T): T | undefined {
    const { depth } = this
    try {
      return what()
    } catch (error) {
      if (error instanceof RanAway) return undefined
      throw error
    } finally {
      this.depth = depth
    }
  }
}
