import type { ValueRef } from './program.ts'
import type { Duration } from './signature.ts'
import type { Span } from './source.ts'

/** What an expression evaluates to. `undefined` stands for what an error was told about already. */
export type Evaluated =
  | { readonly kind: 'tensor'; readonly ref: ValueRef }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'list'; readonly items: readonly Evaluated[] }
  | { readonly kind: 'duration'; readonly value: Duration }
  /** A statement-like `if` without `else` that was not taken. */
  | { readonly kind: 'nothing' }

export const describe = (value: Evaluated): string => {
  switch (value.kind) {
    case 'tensor': return 'a tensor'
    case 'number': return String(value.value)
    case 'boolean': return String(value.value)
    case 'string': return JSON.stringify(value.value)
    case 'list': return `a list of ${value.items.length}`
    case 'duration': return `${value.value.count} ${value.value.unit}`
    case 'nothing': return 'nothing'
  }
}

/** A name, and where it got its value. */
export interface Binding {
  readonly value: Evaluated | undefined
  readonly span: Span
}
