import * as T from './tokens.ts'
import type { Token, TokenType } from './tokens.ts'

/** Layers that do what an operator does elsewhere. */
const LAYERS: ReadonlyMap<string, string> = new Map([['+', 'add'], ['-', 'sub'], ['*', 'mul'], ['/', 'div'], ['**', 'pow'], ['^', 'pow']])
const UNKNOWN = 'tensors are joined by layers, and what they hold is not known at compile time'
const SIGNS: readonly TokenType[] = [
  T.Plus,
  T.Minus,
  T.Times,
  T.Divide,
  T.Remainder,
  T.Equal,
  T.Unequal,
  T.AtMost,
  T.AtLeast,
  T.Below,
  T.Above,
  T.And,
  T.Or,
]

/** A hint for a power whose exponent is a tensor. */
const POWERS =
  'the exponent of pow is a number: a power of a number a to a tensor y is exp(mul(y, ln a)), of two tensors exp(mul(y, log(x)))'

/** A hint for `x + y` of tensors. */
export function operatorMend(operator: string, left: string, right: string, layers: ReadonlyMap<string, unknown>): string {
  const layer = LAYERS.get(operator)
  if (layer !== undefined && layers.has(layer)) return `tensors are joined by layers: ${layer}(${left}, ${right})`
  const given = layers.has('where') ? choiceBy(operator, left, right) : undefined
  return given === undefined ? UNKNOWN
    : `a mask takes one of two values where it is not 0: ${given} is a where ${left} ${operator} ${right}, else b`
}

/** What takes `a` where a comparison of tensors holds, else `b`. */
function choiceBy(operator: string, left: string, right: string): string | undefined {
  const above = (
    x: string,
    y: string,
  ): string => (y === '0' ? `${x} -> relu` : x === '0' ? `${y} -> neg -> relu` : `sub(${x}, ${y}) -> relu`)
  const apart = right === '0' ? left : left === '0' ? right : `sub(${left}, ${right})`
  switch (operator) {
    case '>':
      return `where(${above(left, right)}, a, b)`
    case '<':
      return `where(${above(right, left)}, a, b)`
    case '>=':
      return `where(${above(right, left)}, b, a)`
    case '<=':
      return `where(${above(left, right)}, b, a)`
    case '!=':
      return `where(${apart}, a, b)`
    case '==':
      return `where(${apart}, b, a)`
    default:
      return undefined
  }
}

/** A hint for an operator behind a layer, `x -> relu * 2`: what follows `->` is layers alone. */
export const linkMend = (operator: string, right: string): string => {
  const layer = LAYERS.get(operator)
  const given = layer === undefined ? choiceBy(operator, 'h', right) : undefined
  if (given !== undefined)
    return `a mask takes one of two values where it is not 0: give what stands in front a name, as h, and write ${given}`
  return layer === undefined ? UNKNOWN : layer === 'pow' ? powerMend(right) : `tensors are joined by layers: -> ${layer}(${right})`
}

/** A hint for `x ** 2`, `x ^ y`: only a number of the text is an exponent for sure. */
export const powerMend = (exponent: string): string =>
  /^[-\d.]/.test(exponent) ? `the power of a tensor is a layer: -> pow(${exponent})` : POWERS

/** A hint for an operator at `at` that no number can be joined by: it stands behind a layer of a chain, or is no operator here, as `**`, `+=`. */
export function strayOperator(tokens: readonly Token[], at: number, text: string): string | undefined {
  const [before, token, after] = [tokens[at - 1], tokens[at], tokens[at + 1]]
  if (!token) return undefined
  const touches = (a: Token | undefined, b: Token | undefined): boolean => !!a && !!b && a.startOffset + a.image.length === b.startOffset
  const operand = (from: number): string => operandAt(tokens, from, text) ?? 'y'
  if (token.tokenType === T.Assign && before && LAYERS.has(before.image) && touches(before, token)) {
    const name = tokens[at - 2]?.image ?? 'x'
    return `a value is given anew: ${name} = ${LAYERS.get(before.image)}(${name}, ${operand(at + 1)})`
  }
  if (token.tokenType === T.Times && before?.tokenType === T.Times && touches(before, token)) return powerMend(operand(at + 1))
  if (!SIGNS.includes(token.tokenType) || !endsLink(tokens, at)) return undefined
  return token.tokenType === T.Times && after?.tokenType === T.Times && touches(token, after)
    ? linkMend('**', operand(at + 2)) : linkMend(token.image, operand(at + 1))
}

/** Whether the tokens in front of `at` are a layer behind `->`. */
function endsLink(tokens: readonly Token[], at: number): boolean {
  let i = at - 1
  if (tokens[i - 1]?.tokenType === T.As) i -= 2
  if (tokens[i]?.tokenType === T.CloseParen) {
    let depth = 0
    do {
      if (tokens[i]!.tokenType === T.CloseParen) depth++
      else if (tokens[i]!.tokenType === T.OpenParen) depth--
      i--
    } while (i >= 0 && depth > 0)
  }
  return tokens[i]?.tokenType === T.Identifier && tokens[i - 1]?.tokenType === T.Arrow
}

/** The number, the name or the call that begins at a token, as it is written, with a sign in front. */
export function operandAt(tokens: readonly Token[], from: number, text: string): string | undefined {
  const first = tokens[from]
  if (first?.tokenType === T.Minus && tokens[from + 1]?.tokenType === T.NumberLiteral) return `-${tokens[from + 1]!.image}`
  if (first?.tokenType !== T.Identifier && first?.tokenType !== T.NumberLiteral) return undefined
  let end = from
  if (first.tokenType === T.Identifier && tokens[from + 1]?.tokenType === T.OpenParen) {
    let depth = 0
    do {
      end++
      if (tokens[end]?.tokenType === T.OpenParen) depth++
      else if (tokens[end]?.tokenType === T.CloseParen) depth--
    } while (end < tokens.length && depth > 0)
  }
  const last = tokens[end]
  return last && text.slice(first.startOffset, last.startOffset + last.image.length).replace(/\s+/g, ' ')
}
