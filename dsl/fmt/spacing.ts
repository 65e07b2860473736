import { CloseBrace, CloseBracket, CloseParen, False, Identifier, NumberLiteral, StringLiteral, type Token, True } from '../tokens.ts'

export const INDENT = '  '

const ENDS_OPERAND: ReadonlySet<Token['tokenType']> = new Set([
  Identifier,
  NumberLiteral,
  StringLiteral,
  True,
  False,
  CloseParen,
  CloseBracket,
  CloseBrace,
])

/** Whether a blank stands in front of a token that is not the first of its line. */
export function spaced(tokens: readonly Token[], index: number): boolean {
  const [before, token] = [tokens[index - 1]!, tokens[index]!]
  const [a, b] = [before.image, token.image]
  if (a === '(' || a === '[' || b === ')' || b === ']' || b === ',' || b === ':') return false
  if (a === '..' || b === '..' || (a === '{' && b === '}')) return false
  // A bracket that belongs to a name: a call, f32[...], class[10][32, 32].
  if (b === '(') return before.tokenType !== Identifier
  if (b === '[') return before.tokenType !== Identifier && a !== ']'
  if (a === '-') return index >= 2 && ENDS_OPERAND.has(tokens[index - 2]!.tokenType)
  return true
}

/**
 * Tokens that stay close to the one before: the parts of `stage{i}_{j}` behind `as`, which are one name only if no blank
 * stands between them.
 */
export function partsOfNames(tokens: readonly Token[]): Set<number> {
  const close = new Set<number>()
  const touches = (i: number): boolean =>
    tokens[i] !== undefined && tokens[i]!.startOffset === tokens[i - 1]!.startOffset + tokens[i - 1]!.image.length
  tokens.forEach((token, i) => {
    if (token.image !== 'as') return
    for (let part = i + 2; touches(part) && /^[\w{]/.test(tokens[part]!.image); part++) {
      close.add(part)
      if (tokens[part]!.image !== '{') continue
      close.add(part + 1)
      while (part + 1 < tokens.length && tokens[part]!.image !== '}') part++
      close.add(part)
    }
  })
  return close
}
