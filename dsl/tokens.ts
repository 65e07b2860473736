import { createToken, Lexer, type TokenType } from 'chevrotain'

export const Identifier = createToken({ name: 'Identifier', pattern: /[A-Za-z_][A-Za-z0-9_]*/, label: 'a name' })

/** Words with a meaning of their own. Argument names may still be called so (`style: split`). */
const word = (name: string): TokenType => createToken({ name: `${name[0]!.toUpperCase()}${name.slice(1)}`, pattern: new RegExp(name), longer_alt: Identifier, label: `'${name}'` })
const sign = (name: string, text: string): TokenType => createToken({ name, pattern: text, label: `'${text}'` })

/** `stage{i}_{j}`: only behind `as`. */
export const NameTemplate = createToken({ name: 'NameTemplate', pattern: /[A-Za-z_][A-Za-z0-9_]*(?:\{[A-Za-z_][A-Za-z0-9_]*\}[A-Za-z0-9_]*)+/, label: 'a name' })
export const NumberLiteral = createToken({ name: 'NumberLiteral', pattern: /(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?/, label: 'a number' })
export const StringLiteral = createToken({ name: 'StringLiteral', pattern: /"[^"\n]*"/, label: 'a text in quotes' })

export const Net = word('net')
export const Block = word('block')
export const Train = word('train')
export const Import = word('import')
export const Style = word('style')
export const Input = word('input')
export const Output = word('output')
export const Loss = word('loss')
export const Metric = word('metric')
export const Whole = word('whole')
export const Return = word('return')
export const For = word('for')
export const In = word('in')
export const If = word('if')
export const Else = word('else')
export const As = word('as')
export const And = word('and')
export const Or = word('or')
export const Not = word('not')
export const True = word('true')
export const False = word('false')

export const Arrow = sign('Arrow', '->')
export const Range = sign('Range', '..')
export const Equal = sign('Equal', '==')
export const Unequal = sign('Unequal', '!=')
export const AtMost = sign('AtMost', '<=')
export const AtLeast = sign('AtLeast', '>=')
export const Below = sign('Below', '<')
export const Above = sign('Above', '>')
export const Assign = sign('Assign', '=')
export const Plus = sign('Plus', '+')
export const Minus = sign('Minus', '-')
export const Times = sign('Times', '*')
export const Divide = sign('Divide', '/')
export const Remainder = sign('Remainder', '%')
export const OpenParen = sign('OpenParen', '(')
export const CloseParen = sign('CloseParen', ')')
export const OpenBrace = sign('OpenBrace', '{')
export const CloseBrace = sign('CloseBrace', '}')
export const OpenBracket = sign('OpenBracket', '[')
export const CloseBracket = sign('CloseBracket', ']')
export const Comma = sign('Comma', ',')
export const Colon = sign('Colon', ':')

const LineComment = createToken({ name: 'LineComment', pattern: /\/\/[^\n]*/, group: 'comments' })
const BlockComment = createToken({ name: 'BlockComment', pattern: /\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\//, group: 'comments', line_breaks: true })
const WhiteSpace = createToken({ name: 'WhiteSpace', pattern: /\s+/, group: Lexer.SKIPPED, line_breaks: true })

/** Words that may also be the name of an argument or of a train key. */
export const SOFT_WORDS: readonly TokenType[] = [Style, Input, Output, Loss, Metric, Whole, Net, Block, Train]

export const TOKENS: readonly TokenType[] = [
  WhiteSpace, LineComment, BlockComment, NameTemplate,
  Net, Block, Train, Import, Style, Input, Output, Loss, Metric, Whole, Return, For, In, If, Else, As, And, Or, Not, True, False,
  Identifier, NumberLiteral, StringLiteral,
  Arrow, Range, Equal, Unequal, AtMost, AtLeast, Below, Above, Assign, Plus, Minus, Times, Divide, Remainder,
  OpenParen, CloseParen, OpenBrace, CloseBrace, OpenBracket, CloseBracket, Comma, Colon,
]

export const lexer = new Lexer([...TOKENS], { positionTracking: 'onlyOffset', ensureOptimizations: false })
