import type { Token, TokenType } from './tokens.ts'

/** The point at which parsing failed. */
export interface Mistake {
  /** The token that does not fit; the end of the text has no place. */
  readonly token: Token
  /** The only kind of token that fits. Undefined: there are several. */
  readonly wanted?: TokenType | undefined
  /** The rule of the grammar, and all rules around it. */
  readonly rule: string
  readonly rules: readonly string[]
  /** The first token of the statement that contains the mistake; `done` is that of the statement before it. */
  readonly open: Token | undefined
  readonly done: Token | undefined
}
