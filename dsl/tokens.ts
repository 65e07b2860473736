/** A kind of token. */
export interface TokenType {
  readonly name: string
  /** Its name in messages. */
  readonly label: string
  /** The sort of word: a soft one has a meaning only at the beginning of a statement. Undefined where the token is no word. */
  readonly word?: 'free' | 'soft' | 'reserved'
}

export interface Token {
  readonly tokenType: TokenType
  readonly image: string
  /** NaN: the end of the text. */
  readonly startOffset: number
  /** The names in a statement that could not be parsed, and those that it gives values to. */
  readonly payload?: { readonly words: readonly string[]; readonly assigned: readonly string[] }
}

const words = new Map<string, TokenType>()
const signs = new Map<string, TokenType>()
const kind = (name: string, label = name): TokenType => ({ name, label })

/** Any word, reserved or not: where only a word can stand (`style: split` as an argument). */
export const Word = kind('Word', 'a name')
/** Words that mean something at the beginning of a statement alone. */
export const SoftWord = kind('SoftWord', 'a name')
export const Identifier: TokenType = { name: 'Identifier', label: 'a name', word: 'free' }

function word(text: string, sort: 'soft' | 'reserved' = 'reserved'): TokenType {
  const type: TokenType = { name: `${text[0]!.toUpperCase()}${text.slice(1)}`, label: `'${text}'`, word: sort }
  words.set(text, type)
  return type
}

function sign(name: string, text: string): TokenType {
  const type = kind(name, `'${text}'`)
  signs.set(text, type)
  return type
}

/** Whether a token is one of a kind: Word and SoftWord are several. */
export const isA = ({ tokenType }: Token, type: TokenType): boolean =>
  tokenType === type || (type === Word ? tokenType.word !== undefined : type === SoftWord && tokenType.word === 'soft')

export const NumberLiteral = kind('NumberLiteral', 'a number')
export const StringLiteral = kind('StringLiteral', 'a text in quotes')

export const Net = word('net', 'soft')
export const Block = word('block', 'soft')
export const Train = word('train', 'soft')
export const Import = word('import', 'soft')
export const Style = word('style', 'soft')
export const Input = word('input', 'soft')
export const Output = word('output', 'soft')
export const Loss = word('loss', 'soft')
export const Metric = word('metric', 'soft')
export const Whole = word('whole', 'soft')
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

/*
 * Characters that no program holds. As tokens, so that the lexer itself has no errors and mistakes of every kind are found, told and
 * passed over in one way.
 */
export const UnclosedComment = kind('UnclosedComment')
export const UnclosedString = kind('UnclosedString')
export const Strange = kind('Strange')
/** Stands for a statement that could not be parsed; the parser puts it there (`syntax-recovery.ts`). */
export const Broken = kind('Broken')
/** The token behind the last one. */
export const End: Token = { tokenType: kind('End'), image: '', startOffset: NaN }

export const TOKENS: readonly TokenType[] = [
  ...words.values(),
  Identifier,
  NumberLiteral,
  StringLiteral,
  UnclosedString,
  UnclosedComment,
  ...signs.values(),
  Strange,
  Broken,
  SoftWord,
  Word,
]

/** Patterns of tokens, tried in this order. `0..3` is a range: a point belongs to a number only if digits follow. */
const PARTS = {
  blank: /\s+/,
  comment: /\/\/[^\n]*|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\//,
  unclosedComment: /\/\*[^]*/,
  word: /[A-Za-z_][A-Za-z0-9_]*/,
  number: /(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?/,
  text: /"[^"\n]*"/,
  unclosedText: /"[^"\n]*/,
  sign: /->|\.\.|[=!<>]=|[<>=+\-*/%(){}[\],:]/,
  strange: /[^\x00-\x7f]+|[^]/,
}
const NAMES = Object.keys(PARTS) as (keyof typeof PARTS)[]
const PART = new RegExp(Object.values(PARTS).map(({ source }) => `(${source})`).join('|'), 'y')
const FIXED: Partial<Record<keyof typeof PARTS, TokenType>> = {
  number: NumberLiteral,
  text: StringLiteral,
  unclosedComment: UnclosedComment,
  unclosedText: UnclosedString,
  strange: Strange,
}

export interface Comment {
  readonly text: string
  readonly start: number
}

/** Takes a text apart: every character is in a token, in a comment or a blank. */
export function tokenize(text: string): { tokens: Token[]; comments: Comment[] } {
  const tokens: Token[] = []
  const comments: Comment[] = []
  PART.lastIndex = 0
  for (let start = 0; start < text.length; start = PART.lastIndex) {
    const match = PART.exec(text)!
    const part = NAMES.find((_, i) => match[i + 1] !== undefined)!
    const image = match[0]
    if (part === 'blank') continue
    if (part === 'comment') comments.push({ text: image, start })
    else tokens.push({
        tokenType: FIXED[part] ?? (part === 'word' ? words.get(image) ?? Identifier : signs.get(image)!),
        image,
        startOffset: start,
      })
  }
  return { tokens, comments }
}
