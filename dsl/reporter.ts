import type { Diagnostic, Label } from './diagnostic.ts'
import type { Span } from './source.ts'

/** Gathers mistakes; one that a loop or a block makes again and again is told once. */
export class Reporter {
  readonly diagnostics: Diagnostic[] = []
  private readonly seen = new Set<string>()

  error(code: string, message: string, span: Span, more: { readonly text?: string; readonly hint?: string; readonly labels?: readonly Label[] } = {}): undefined {
    return this.add('error', code, message, span, more)
  }

  warning(code: string, message: string, span: Span, more: { readonly text?: string; readonly hint?: string } = {}): undefined {
    return this.add('warning', code, message, span, more)
  }

  private add(severity: 'error' | 'warning', code: string, message: string, span: Span, more: { readonly text?: string; readonly hint?: string; readonly labels?: readonly Label[] }): undefined {
    const key = `${code} ${span.source.file} ${span.start} ${message}`
    if (this.seen.has(key)) return undefined
    this.seen.add(key)
    this.diagnostics.push({
      severity, code, message, labels: [{ span, text: more.text ?? 'here' }, ...(more.labels ?? [])], ...(more.hint !== undefined && { hint: more.hint }),
    })
    return undefined
  }
}
