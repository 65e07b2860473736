import type { IToken } from 'chevrotain'
import type { FileAst } from './ast.ts'
import type { Diagnostic } from './diagnostic.ts'
import { NetParser, TooDeep } from './grammar.ts'
import { recover } from './recover.ts'
import type { Source } from './source.ts'
import { tooDeep } from './syntax-error.ts'
import { lexer } from './tokens.ts'

export interface Comment {
  readonly text: string
  readonly start: number
}

export interface Parsed {
  /** Of what could be read. The rest of it is marked `broken`, and the diagnostics say why. */
  readonly ast: FileAst
  /** Every syntax error that is not the consequence of another. */
  readonly diagnostics: readonly Diagnostic[]
  /** As they are written, without comments. */
  readonly tokens: readonly IToken[]
  readonly comments: readonly Comment[]
}

/** Built once: analysing the grammar takes longer than parsing most files. */
let parser: NetParser | undefined
/** After so many, this is most likely no program at all. */
const MOST_SYNTAX_ERRORS = 20

/** Reads a text. Never throws. */
export function parse(source: Source): Parsed {
  parser ??= new NetParser()
  const lexed = lexer.tokenize(source.text)
  const comments = (lexed.groups['comments'] ?? []).map((t) => ({ text: t.image, start: t.startOffset }))
  const diagnostics: Diagnostic[] = []
  let tokens = lexed.tokens
  while (diagnostics.length < MOST_SYNTAX_ERRORS) {
    const attempt = read(parser, tokens, source)
    if ('ast' in attempt) return { ast: attempt.ast, diagnostics: inOrder(diagnostics), tokens: lexed.tokens, comments }
    diagnostics.push(attempt.diagnostic)
    tokens = attempt.tokens
  }
  return { ast: unreadable(source), diagnostics: inOrder(diagnostics), tokens: lexed.tokens, comments }
}

/** The tree, or a mistake and the tokens without it. */
function read(parser: NetParser, tokens: IToken[], source: Source): { ast: FileAst } | { diagnostic: Diagnostic; tokens: IToken[] } {
  try {
    const ast = parser.read(tokens, source)
    if (ast) return { ast }
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error
    return recover(tokens, { token: error.token, rule: 'chain', rules: [], open: parser.open, done: undefined }, source, tooDeep(error.token, source))
  }
  const { token, message, context } = parser.errors[0]!
  return recover(tokens, { token, wanted: message, rule: context.ruleStack.at(-1) ?? 'file', rules: context.ruleStack, open: parser.open, done: parser.done }, source)
}

/** One a place: what was taken out may leave its neighbours without an end. */
function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const at = ({ labels }: Diagnostic): number => labels[0]!.span.start
  const places = new Set<number>()
  return diagnostics.filter((d) => !places.has(at(d)) && places.add(at(d))).sort((a, b) => at(a) - at(b))
}

function unreadable(source: Source): FileAst {
  const span = { source, start: 0, end: source.text.length }
  return { span, imports: [], constants: [], blocks: [], nets: [], trains: [], broken: [{ kind: 'broken', words: [], assigned: [], span }] }
}
