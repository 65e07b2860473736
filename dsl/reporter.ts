import type { Diagnostic, Label } from './diagnostic.ts'
import type { Span } from './source.ts'

export interface More {
  /** At the first label. */
  readonly text?: string
  /** As a function: for what takes long to find, asked only if the mistake is a new one. */
  readonly hint?: string | undefined | (() => string | undefined)
  readonly labels?: readonly Label[]
}

const MOST_SEARCHES = 100

/** Gathers mistakes. One that a loop or a block makes again and again is told once: a code has one message a place. */
export class Reporter {
  readonly diagnostics: Diagnostic[] = []
  private readonly seen = new Set<string>()

  /** Gives undefined, which is the value of what is wrong. */
  error(code: string, message: string, span: Span, more: More = {}): undefined {
    return this.add('error', code, message, span, more)
  }

  warning(code: string, message: string, span: Span, more: More = {}): undefined {
    return this.add('warning', code, message, span, more)
  }

  get failed(): boolean {
    return this.diagnostics.some((d) => d.severity === 'error')
  }

  private add(severity: 'error' | 'warning', code: string, message: string, span: Span, { text, hint, labels }: More): undefined {
    const key = `${code} ${span.start} ${span.end} ${span.source.file}`
    if (this.seen.has(key)) return undefined
    this.seen.add(key)
    // Among very many mistakes nobody looks for suggestions.
    const mend = typeof hint === 'function' ? (this.diagnostics.length < MOST_SEARCHES ? hint() : undefined) : hint
    this.diagnostics.push({ severity, code, message, labels: [{ span, text: text ?? 'here' }, ...(labels ?? [])], ...(mend !== undefined && { hint: mend }) })
    return undefined
  }
}
