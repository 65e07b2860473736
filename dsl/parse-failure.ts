import type { Token, TokenType } from './tokens.ts'

/** Where reading stopped. */
export interface Mistake {
  /** The token that does not fit; the end of the text has no place. */
  readonly token: Token
  /** The only kind of token that fits. Undefined: there are several. */
  readonly wanted?: TokenType | undefined
  /** The rule of the grammar, and all rules around it. */
  readonly rule: string
  readonly rules: readonly string[]
  /** Where the statement began that the mistake is in, and the one before it. */
  readonly open: Token | undefined
  readonly done: Token | undefined
}
