import type { Diagnostic, Label } from './diagnostic.ts'
import { readable } from './readable.ts'
import type { Span } from './source.ts'

export interface More {
  /** The text at the first label. */
  readonly text?: string
  /** A hint, or a function that makes one: it is called only if the mistake is a new one, since some hints take long to find. */
  readonly hint?: string | undefined | (() => string | undefined)
  readonly labels?: readonly Label[]
  /** Mistakes of one code and group are one, made in several places: told once, with some of them. */
  readonly group?: string
}

const MOST_SEARCHES = 100
const MOST_PLACES = 4

/** Gathers mistakes. One that a loop or a block makes again and again is told once: a code has one message a place. */
export class Reporter {
  readonly diagnostics: Diagnostic[] = []
  private readonly seen = new Set<string>()
  private readonly groups = new Map<string, Label[]>()

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

  private add(severity: 'error' | 'warning', code: string, message: string, span: Span, { text, hint, labels, group }: More): undefined {
    const key = `${code} ${span.start} ${span.end} ${span.source.file}`
    if (this.seen.has(key)) return undefined
    this.seen.add(key)
    const others = group === undefined ? undefined : this.groups.get(`${code} ${group}`)
    if (others) {
      if (others.length < MOST_PLACES) others.push({ span, text: 'and here' })
      return undefined
    }
    // Among very many mistakes nobody looks for suggestions.
    const mend = typeof hint === 'function' ? (this.diagnostics.length < MOST_SEARCHES ? hint() : undefined) : hint
    const places = [{ span, text: text ?? 'here' }, ...(labels ?? [])]
    if (group !== undefined) this.groups.set(`${code} ${group}`, places)
    this.diagnostics.push({
      severity,
      code,
      message: readable(message),
      labels: places,
      ...(mend !== undefined && { hint: readable(mend) }),
    })
    return undefined
  }
}
