import type { ValueRef } from './program.ts'
import type { Duration } from './signature.ts'
import type { Span } from './source.ts'

/** The value of an expression. `undefined` in its place means that its error was told already. */
export type Evaluated =
  | { readonly kind: 'tensor'; readonly ref: ValueRef }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'list'; readonly items: readonly Evaluated[] }
  | { readonly kind: 'duration'; readonly value: Duration }

export const describe = (value: Evaluated): string => {
  switch (value.kind) {
    case 'tensor':
      return 'a tensor'
    case 'number':
    case 'boolean':
      return String(value.value)
    case 'string':
      return JSON.stringify(value.value)
    case 'list':
      return value.items.length === 0 ? 'an empty list' : `a list of ${value.items.length}`
    case 'duration':
      return `${value.value.count} ${value.value.unit}`
  }
}

/** A name's value, and where it got it. */
export interface Binding {
  readonly value: Evaluated | undefined
  readonly span: Span
}

/** `a`, `a and b`, `a, b and c`. */
export const listed = (words: readonly string[], joint = 'and'): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} ${joint} ${words.at(-1)!}`
