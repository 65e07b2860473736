import type { FileAst } from './ast.ts'
import type { Diagnostic } from './diagnostic.ts'
import { NetParser } from './grammar.ts'
import { recover } from './syntax-recovery.ts'
import type { Source } from './source.ts'
import { tooDeep } from './syntax-error.ts'
import { TooDeep, Unexpected } from './token-reader.ts'
import { type Comment, type Token, tokenize } from './tokens.ts'

export type { Comment } from './tokens.ts'

export interface Parsed {
  /** The tree of what could be read. The rest of the text is marked `broken`, and the diagnostics say why. */
  readonly ast: FileAst
  /** Every syntax error that is not the consequence of another. */
  readonly diagnostics: readonly Diagnostic[]
  /** The tokens in the order of the text, without comments. */
  readonly tokens: readonly Token[]
  readonly comments: readonly Comment[]
}

/** The number of mistakes after which a text is most likely no program at all. */
const MOST_SYNTAX_ERRORS = 20

/** Reads a text. Never throws. */
export function parse(source: Source): Parsed {
  const parser = new NetParser()
  const lexed = tokenize(source.text)
  const { comments } = lexed
  const diagnostics: Diagnostic[] = []
  let tokens: Token[] = lexed.tokens
  while (diagnostics.length < MOST_SYNTAX_ERRORS) {
    const attempt = read(parser, tokens, source)
    if ('ast' in attempt) return { ast: attempt.ast, diagnostics: inOrder(diagnostics), tokens: lexed.tokens, comments }
    diagnostics.push(attempt.diagnostic)
    tokens = attempt.tokens
  }
  return { ast: unreadable(source), diagnostics: inOrder(diagnostics), tokens: lexed.tokens, comments }
}

/** The tree, or a mistake and the tokens without it. */
function read(parser: NetParser, tokens: Token[], source: Source): { ast: FileAst } | { diagnostic: Diagnostic; tokens: Token[] } {
  try {
    return { ast: parser.read(tokens, source) }
  } catch (error) {
    const { rules, open, done } = parser
    if (error instanceof TooDeep)
      return recover(tokens, { token: error.token, rule: 'chain', rules: [], open, done: undefined }, source, tooDeep(error.token, source))
    if (!(error instanceof Unexpected)) throw error
    return recover(tokens, { token: error.token, wanted: error.wanted, rule: rules.at(-1) ?? 'file', rules, open, done }, source)
  }
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
