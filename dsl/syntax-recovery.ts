import type { Diagnostic } from './diagnostic.ts'
import type { Source } from './source.ts'
import type { Mistake } from './parse-failure.ts'
import { syntaxError } from './syntax-error.ts'
import * as T from './tokens.ts'
import type { Token, TokenType } from './tokens.ts'

const ITEMS: readonly TokenType[] = [T.Net, T.Block, T.Train, T.Import]
const STATEMENTS: readonly TokenType[] = [T.Style, T.Input, T.Output, T.Loss, T.Metric, T.Return, T.For, T.If]
/** Tokens that continue the line before. */
const CONTINUES: readonly TokenType[] = [
  T.Arrow,
  T.Else,
  T.As,
  T.And,
  T.Or,
  T.Comma,
  T.CloseParen,
  T.CloseBracket,
  T.Colon,
  T.Assign,
  T.OpenBrace,
]

/**
 * Tells a mistake and gives the tokens with which to read on: mended where only one thing can have been meant, else without
 * the statement that it is in. Newlines carry no meaning in a program, but where the next statement begins after a mistake
 * they and the indentation are the best witnesses.
 */
export function recover(tokens: Token[], mistake: Mistake, source: Source, told?: Diagnostic): { diagnostic: Diagnostic; tokens: Token[] } {
  const text = new Lines(tokens, source)
  const { token, wanted } = mistake
  const at = Number.isFinite(token.startOffset) ? tokens.indexOf(token) : tokens.length
  const diagnostic = told ?? syntaxError(mistake, tokens, at, source)
  const splice = (start: number, end: number, ...put: Token[]): { diagnostic: Diagnostic; tokens: Token[] } => ({
    diagnostic,
    tokens: [...tokens.slice(0, start), ...put, ...tokens.slice(end)],
  })

  if (token.tokenType === T.UnclosedComment) return splice(at, at + 1)
  if (token.image === ';') return { diagnostic, tokens: tokens.filter((t) => t.image !== ';') }
  if (token.tokenType === T.Assign && wanted === T.CloseParen && mistake.rule === 'call')
    return splice(at, at + 1, made(T.Colon, token.startOffset))
  const beginsItem = at === tokens.length || ITEMS.includes(token.tokenType)
  if (wanted === T.CloseBrace && mistake.rule !== 'name' && beginsItem) return splice(at, at, made(T.CloseBrace, text.endOf(at - 1)))
  if (wanted === T.OpenBrace && at < tokens.length && text.beginsLine(at)) return splice(at, at, made(T.OpenBrace, text.endOf(at - 1)))

  const [start, end] = text.range(mistake, at)
  if (start >= tokens.length) return { diagnostic, tokens: [] }
  return splice(start, end, broken(tokens.slice(start, end), source))
}

class Lines {
  private readonly tokens: readonly Token[]
  private readonly text: string

  constructor(tokens: readonly Token[], source: Source) {
    this.tokens = tokens
    this.text = source.text
  }

  endOf(index: number): number {
    const token = this.tokens[index]
    return token ? token.startOffset + token.image.length : 0
  }

  beginsLine(index: number): boolean {
    return index === 0 || this.text.slice(this.endOf(index - 1), this.tokens[index]!.startOffset).includes('\n')
  }

  private column(index: number): number {
    const { startOffset } = this.tokens[index]!
    return startOffset - (this.text.lastIndexOf('\n', startOffset - 1) + 1)
  }

  /** The range of a statement with a mistake: its first token, and the first token after it. */
  range(mistake: Mistake, at: number): [number, number] {
    const between = mistake.rule === 'file' || ((mistake.rule === 'body' || mistake.rule === 'train') && mistake.wanted === T.CloseBrace)
    const start = between ? this.startBetween(mistake, at) : mistake.open ? this.tokens.indexOf(mistake.open) : at
    const first = this.tokens[start]
    const wholeItem = first !== undefined && (ITEMS.includes(first.tokenType) || mistake.rule === 'file')
    return [start, this.endAfter(start, Math.max(at, start + 1), wholeItem)]
  }

  /** The start of a mistake between statements: what stands in the line of the one before it spoils that one too. */
  private startBetween({ done, rule }: Mistake, at: number): number {
    return done && rule !== 'file' && at < this.tokens.length && !this.beginsLine(at) ? this.tokens.indexOf(done) : at
  }

  private endAfter(start: number, from: number, wholeItem: boolean): number {
    let depth = 0
    for (let i = start; i < this.tokens.length; i++) {
      const { tokenType } = this.tokens[i]!
      if (i >= from && this.beginsLine(i) && ITEMS.includes(tokenType)) return i
      if (i >= from && depth === 0 && !wholeItem && this.beginsStatement(i, start)) return i
      if (tokenType === T.OpenBrace) depth++
      else if (tokenType === T.CloseBrace && depth-- === 0 && !wholeItem && i > start) return i
    }
    return this.tokens.length
  }

  private beginsStatement(i: number, start: number): boolean {
    const { tokenType } = this.tokens[i]!
    if (!this.beginsLine(i) || CONTINUES.includes(tokenType)) return false
    if (STATEMENTS.includes(tokenType) || tokenType === T.Broken) return true
    if (tokenType === T.Identifier && this.tokens[i + 1]?.tokenType === T.Assign) return true
    return tokenType === T.Identifier && this.beginsLine(start) && this.column(i) <= this.column(start)
  }
}

const made = (tokenType: TokenType, startOffset: number): Token => ({ tokenType, image: '', startOffset })

/** One token in place of many. */
function broken(range: readonly Token[], source: Source): Token {
  const first = range[0]!
  const last = range.at(-1)!
  const words: string[] = []
  const assigned: string[] = []
  range.forEach((token, i) => {
    const inner = token.payload
    if (inner) {
      words.push(...inner.words)
      assigned.push(...inner.assigned)
    }
    if (token.tokenType !== T.Identifier) return
    words.push(token.image)
    const before = range[i - 1]?.tokenType
    if (range[i + 1]?.tokenType === T.Assign || before === T.Input || before === T.Output || before === T.Metric || before === T.Loss)
      assigned.push(token.image)
  })
  const end = last.startOffset + last.image.length
  return { ...made(T.Broken, first.startOffset), image: source.text.slice(first.startOffset, end), payload: { words, assigned } }
}
