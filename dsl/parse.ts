import type { IRecognitionException, IToken } from 'chevrotain'
import type { FileAst } from './ast.ts'
import type { Diagnostic } from './diagnostic.ts'
import { NetParser } from './grammar.ts'
import type { Source, Span } from './source.ts'
import { lexer } from './tokens.ts'

export interface Comment {
  readonly text: string
  readonly start: number
}

export interface Parsed {
  /** Absent when the text has a syntax error: then the diagnostics say all of them. */
  readonly ast?: FileAst
  readonly diagnostics: readonly Diagnostic[]
  readonly tokens: readonly IToken[]
  readonly comments: readonly Comment[]
}

/** Built once: analysing the grammar takes longer than parsing most files. */
let parser: NetParser | undefined
/** After so many, what follows is most likely the consequence of what came before. */
const MOST_SYNTAX_ERRORS = 10

/** Reads a text. Never throws. */
export function parse(source: Source): Parsed {
  const lexed = lexer.tokenize(source.text)
  const comments = (lexed.groups['comments'] ?? []).map((t) => ({ text: t.image, start: t.startOffset }))
  const diagnostics: Diagnostic[] = lexed.errors.map((e) => strangeCharacter(source, e.offset, e.length))
  parser ??= new NetParser()
  const ast = parser.read(lexed.tokens, source)
  diagnostics.push(...parser.errors.map((e) => unexpected(e, source)))
  const open = unclosedComment(source, lexed.tokens)
  if (open) diagnostics.unshift(open)
  const told = once(diagnostics).slice(0, MOST_SYNTAX_ERRORS)
  return { ...(told.length === 0 && { ast }), diagnostics: told, tokens: lexed.tokens, comments }
}

/** One error a place: recovery may stumble over the same token again. */
function once(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<number>()
  return diagnostics.filter(({ labels }) => {
    const at = labels[0]!.span.start
    if (seen.has(at)) return false
    seen.add(at)
    return true
  })
}

function strangeCharacter(source: Source, offset: number, length: number): Diagnostic {
  const text = source.text.slice(offset, offset + length)
  const quote = /^["'`]/.test(text)
  return {
    severity: 'error', code: 'syntax/character',
    message: quote ? 'this text in quotes does not end on its line' : `${JSON.stringify(text.length > 12 ? `${text.slice(0, 12)}...` : text)} means nothing here`,
    labels: [{ span: { source, start: offset, end: offset + length }, text: 'here' }],
    ...(quote && { hint: 'texts stand in double quotes: "dir/name"' }),
  }
}

function unclosedComment(source: Source, tokens: readonly IToken[]): Diagnostic | undefined {
  const at = tokens.findIndex((t, i) => t.image === '/' && tokens[i + 1]?.image === '*' && tokens[i + 1]!.startOffset === t.startOffset + 1)
  if (at < 0) return undefined
  const start = tokens[at]!.startOffset
  return {
    severity: 'error', code: 'syntax/comment', message: 'this comment does not end',
    labels: [{ span: { source, start, end: start + 2 }, text: 'begins here' }], hint: 'end it with */',
  }
}

/** What stands where something else had to stand, with the mends of the usual slips. */
function unexpected(error: IRecognitionException, source: Source): Diagnostic {
  const { token, context } = error
  const atEnd = !Number.isFinite(token.startOffset)
  const span: Span = atEnd
    ? { source, start: Math.max(0, source.text.trimEnd().length - 1), end: Math.max(1, source.text.trimEnd().length) }
    : { source, start: token.startOffset, end: token.startOffset + token.image.length }
  const rule = context.ruleStack.at(-1) ?? 'file'
  const wanted = wantedFrom(error.message)
  const found = atEnd ? 'the text ends' : `'${token.image}' stands`
  const hint = hintFor(token.image, rule, wanted, context.ruleStack)
  return {
    severity: 'error', code: 'syntax/unexpected',
    message: wanted ? `${found} where ${wanted} should` : `${found} where it means nothing`,
    labels: [{ span, text: atEnd ? 'ends here' : `in this ${rule}` }],
    ...(hint && { hint }),
  }
}

function wantedFrom(message: string): string | undefined {
  const single = /Expecting token of type --> (.+?) <--/.exec(message)
  if (single) return labelOf(single[1]!)
  if (/Expecting: one of these possible Token sequences/.test(message) || /expecting at least one iteration/i.test(message)) return 'a layer, a value or a statement'
  if (/Redundant input/.test(message)) return "'net', 'block', 'train' or 'import'"
  return undefined
}

const LABELS: Readonly<Record<string, string>> = {
  Identifier: 'a name', NumberLiteral: 'a number', StringLiteral: 'a text in quotes', OpenParen: "'('", CloseParen: "')' or ','", OpenBrace: "'{'",
  CloseBrace: "'}' or another statement", OpenBracket: "'['", CloseBracket: "']' or ','", Colon: "':'", Assign: "'='", In: "'in'", Comma: "','", EOF: "'net', 'block', 'train' or 'import'",
}
const labelOf = (name: string): string => LABELS[name] ?? (/^[A-Z][a-z]+$/.test(name) ? `'${name.toLowerCase()}'` : name)

function hintFor(image: string, rule: string, wanted: string | undefined, rules: readonly string[]): string | undefined {
  if (image === '=' && rules.includes('call')) return 'arguments are given as name: value'
  if (image === '=' && rules.includes('input line')) return 'an input has a type: input image: f32[1, 28, 28]'
  if (image === ':' && rules.includes('statement')) return "a value is given with '=': name = layer(...)"
  if (image === ';') return 'statements need no sign at their end'
  if (image === '|' || image === '>') return "layers are joined with '->'"
  if (wanted === LABELS['CloseParen']) return "is a ',' or a ')' missing in front of it?"
  if (rule === 'file') return "a file holds a net { ... }, blocks, imports and at most one train { ... }"
  return undefined
}
