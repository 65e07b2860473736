import { End, isA, type Token, type TokenType } from './tokens.ts'

/** Brackets, negations and operators in a row within one another: far beyond what is written, far below what a stack holds. */
const MOST_NESTED = 100

/** Thrown where the next token does not fit. */
export class Unexpected extends Error {
  readonly token: Token
  /** The only token that fits. Undefined: there are several. */
  readonly wanted: TokenType | undefined

  constructor(token: Token, wanted: TokenType | undefined) {
    super('unexpected')
    this.token = token
    this.wanted = wanted
  }
}

/** Thrown where a text is nested so deeply that reading on could exhaust the stack. */
export class TooDeep extends Error {
  readonly token: Token

  constructor(token: Token) {
    super('nested too deeply')
    this.token = token
  }
}

/** The state of recursive descent: the tokens, the position in them, and the rules that are open. No token is read twice. */
export class TokenReader {
  private tokens: readonly Token[] = []
  private at = 0
  private nested = 0
  /** Names of the rules that are being read, outermost first. After a mistake: the ones around it. */
  readonly rules: string[] = []

  protected begin(tokens: readonly Token[]): void {
    this.tokens = tokens
    this.at = 0
    this.nested = 0
    this.rules.length = 0
  }

  /** The token before. */
  protected get last(): Token {
    return this.tokens[this.at - 1] ?? End
  }

  protected get next(): Token {
    return this.tokens[this.at] ?? End
  }

  protected get afterNext(): Token {
    return this.tokens[this.at + 1] ?? End
  }

  protected isNext(...types: readonly TokenType[]): boolean {
    return types.some((type) => isA(this.next, type))
  }

  /** Whether the next token begins where the one before ends. */
  protected get onTheSpot(): boolean {
    return this.last.startOffset + this.last.image.length === this.next.startOffset
  }

  /** The next token, which has to be of that kind. */
  protected take(type: TokenType): Token {
    const token = this.next
    if (!isA(token, type)) this.fail(type)
    this.at++
    return token
  }

  /** The next token where it is of that kind. */
  protected takeIf(type: TokenType): Token | undefined {
    return this.isNext(type) ? this.take(type) : undefined
  }

  protected fail(wanted?: TokenType): never {
    throw new Unexpected(this.next, wanted)
  }

  /** A part of the grammar that has a name. A mistake leaves it open. */
  protected rule<Made>(name: string, read: () => Made): Made {
    this.rules.push(name)
    const made = read()
    this.rules.pop()
    return made
  }

  /** Items between commas up to `end`, which is left alone: none where `begins` does not hold at once. */
  protected between(separator: TokenType, begins: boolean, read: () => void): void {
    if (!begins) return
    do read()
    while (this.takeIf(separator))
  }

  protected deeper<Made>(read: () => Made): Made {
    this.sink(this.next)
    const made = read()
    this.rise(1)
    return made
  }

  protected sink(token: Token): void {
    if (++this.nested > MOST_NESTED) throw new TooDeep(token)
  }

  protected rise(levels: number): void {
    this.nested -= levels
  }
}
