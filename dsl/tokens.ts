import { createToken, Lexer, type TokenType } from 'chevrotain'

/** Any word, reserved or not: where only a word can stand (`style: split` as an argument). */
export const Word = createToken({ name: 'Word', pattern: Lexer.NA, label: 'a name' })
/** Words that mean something at the beginning of a statement alone. */
export const SoftWord = createToken({ name: 'SoftWord', pattern: Lexer.NA, label: 'a name', categories: [Word] })
export const Identifier = createToken({ name: 'Identifier', pattern: /[A-Za-z_][A-Za-z0-9_]*/, label: 'a name', categories: [Word] })

const word = (text: string, category = Word): TokenType =>
  createToken({ name: `${text[0]!.toUpperCase()}${text.slice(1)}`, pattern: new RegExp(text), longer_alt: Identifier, label: `'${text}'`, categories: [category] })
const sign = (name: string, text: string): TokenType => createToken({ name, pattern: text, label: `'${text}'` })

/** `0..3` is a range: a point belongs to a number only with digits behind it. */
export const NumberLiteral = createToken({ name: 'NumberLiteral', pattern: /(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?/, label: 'a number' })
export const StringLiteral = createToken({ name: 'StringLiteral', pattern: /"[^"\n]*"/, label: 'a text in quotes' })

export const Net = word('net', SoftWord)
export const Block = word('block', SoftWord)
export const Train = word('train', SoftWord)
export const Import = word('import', SoftWord)
export const Style = word('style', SoftWord)
export const Input = word('input', SoftWord)
export const Output = word('output', SoftWord)
export const Loss = word('loss', SoftWord)
export const Metric = word('metric', SoftWord)
export const Whole = word('whole', SoftWord)
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

/*
 * What no program holds. As tokens, so that the lexer itself has no errors and mistakes of every kind are found, told and
 * passed over in one way.
 */
export const UnclosedComment = createToken({ name: 'UnclosedComment', pattern: /\/\*[^]*/, line_breaks: true })
export const UnclosedString = createToken({ name: 'UnclosedString', pattern: /"[^"\n]*/ })
export const Strange = createToken({
  name: 'Strange', pattern: /[^\x00-\x7f]+|[^]/, line_breaks: true,
  start_chars_hint: Array.from({ length: 0x10000 }, (_, code) => code),
})
/** Stands for a statement that could not be parsed; the parser puts it there (`recover.ts`). */
export const Broken = createToken({ name: 'Broken', pattern: Lexer.NA })

export const TOKENS: readonly TokenType[] = [
  WhiteSpace, LineComment, BlockComment, UnclosedComment,
  Net, Block, Train, Import, Style, Input, Output, Loss, Metric, Whole, Return, For, In, If, Else, As, And, Or, Not, True, False,
  Identifier, NumberLiteral, StringLiteral, UnclosedString,
  Arrow, Range, Equal, Unequal, AtMost, AtLeast, Below, Above, Assign, Plus, Minus, Times, Divide, Remainder,
  OpenParen, CloseParen, OpenBrace, CloseBrace, OpenBracket, CloseBracket, Comma, Colon,
  Strange, Broken, SoftWord, Word,
]

export const lexer = new Lexer([...TOKENS], { positionTracking: 'onlyOffset', ensureOptimizations: true })
