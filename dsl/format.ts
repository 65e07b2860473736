import type { IToken } from 'chevrotain'
import type { Expression, FileAst, Statement } from './ast.ts'
import type { Diagnostic } from './diagnostic.ts'
import { type Comment, parse } from './parse.ts'
import type { Source } from './source.ts'

/** A text with syntax errors keeps its layout; these say what is wrong with it. */
export class FormatError extends Error {
  override name = 'FormatError'
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics[0]?.message ?? 'the text cannot be laid out')
    this.diagnostics = diagnostics
  }
}

/** Statements longer than this put each `->` on a line of its own. */
const WIDTH = 100
const INDENT = '  '

/**
 * Lays a text out anew: two blanks a level, one statement a line, long chains a layer a line, at most one empty line.
 * Works on the tokens, so what the text says cannot change, and every comment stays between the tokens where it stood.
 * Idempotent. Throws FormatError where the text has syntax errors.
 */
export function format(source: Source | string): string {
  const from = typeof source === 'string' ? { file: '<text>', text: source } : source
  const { ast, diagnostics, tokens, comments } = parse(from)
  if (!ast) throw new FormatError(diagnostics)
  return new Layout(from.text, tokens, comments, ast).print()
}

/** How the tokens of a text are spread over lines. */
interface Plan {
  /** Tokens that begin a line: offset -> levels of indentation. */
  readonly starts: Map<number, number>
  /** Braces of bodies that stay on their line: offsets. */
  readonly inline: Set<number>
}

class Layout {
  private readonly text: string
  private readonly tokens: readonly IToken[]
  private readonly comments: readonly Comment[]
  private readonly plan: Plan = { starts: new Map(), inline: new Set() }
  private out = ''
  private level = 0

  constructor(text: string, tokens: readonly IToken[], comments: readonly Comment[], ast: FileAst) {
    this.text = text
    this.tokens = tokens
    this.comments = comments
    for (const item of [...ast.imports, ...ast.constants, ...ast.blocks, ...ast.nets, ...ast.trains]) this.plan.starts.set(item.span.start, 0)
    for (const c of ast.constants) this.expression(c.value, 0, c.span)
    for (const { body } of [...ast.blocks, ...ast.nets]) this.statements(body, 1)
    for (const train of ast.trains) for (const entry of train.entries) {
      this.plan.starts.set(entry.span.start, 1)
      for (const value of entry.values) this.expression(value, 1, entry.span)
    }
  }

  private statements(body: readonly Statement[], level: number): void {
    for (const s of body) {
      this.plan.starts.set(s.span.start, level)
      if (s.kind === 'for') this.statements(s.body, level + 1)
      else if (s.kind === 'expression' || s.kind === 'let' || s.kind === 'result' || s.kind === 'return') this.expression(s.value, level, s.span)
    }
  }

  private expression(e: Expression, level: number, statement: { start: number; end: number }): void {
    const long = this.flatWidth(statement) + level * INDENT.length > WIDTH || this.hasLineComment(statement)
    this.wrap(e, level, long)
  }

  private wrap(e: Expression, level: number, long: boolean): void {
    switch (e.kind) {
      case 'chain':
        this.wrap(e.head, level, long)
        for (const link of e.links) {
          if (long) this.plan.starts.set(this.arrowBefore(link.span.start), level + 1)
          this.wrap(link, level + 1, long)
        }
        break
      case 'if':
        this.branch(e.yes, e.condition.span.end, level, long)
        if (e.no) {
          const nested = e.no.length === 1 && e.no[0]!.kind === 'expression' && e.no[0]!.value.kind === 'if' && !this.hasBraceBefore(e.no[0]!.span.start)
          if (nested) this.wrap((e.no[0] as { value: Expression }).value, level, long)
          else this.branch(e.no, e.yes.at(-1)?.span.end ?? e.condition.span.end, level, long)
        }
        break
      case 'call':
        for (const argument of e.positional) this.wrap(argument, level + 1, long)
        for (const { value } of e.named) this.wrap(value, level + 1, long)
        break
      case 'list': for (const item of e.items) this.wrap(item, level + 1, long); break
      case 'binary': this.wrap(e.left, level, long); this.wrap(e.right, level, long); break
      default:
    }
  }

  /** A branch of a short condition stays on its line if it holds one value. */
  private branch(body: readonly Statement[], after: number, level: number, long: boolean): void {
    const only = body.length === 1 && body[0]!.kind === 'expression' ? body[0]! : undefined
    if (only && !long) {
      const open = this.tokens.filter((t) => t.image === '{' && t.startOffset >= after && t.startOffset < only.span.start).at(-1)
      if (open) {
        this.plan.inline.add(open.startOffset)
        return
      }
    }
    this.statements(body, level + 1)
  }

  private hasBraceBefore(offset: number): boolean {
    return this.tokens.filter((t) => t.startOffset < offset).at(-1)?.image === '{'
  }

  private arrowBefore(offset: number): number {
    return this.tokens.filter((t) => t.image === '->' && t.startOffset < offset).at(-1)!.startOffset
  }

  private flatWidth({ start, end }: { start: number; end: number }): number {
    const inside = this.tokens.filter((t) => t.startOffset >= start && t.startOffset < end)
    return inside.reduce((width, t, i) => width + t.image.length + (i > 0 && spaced(inside[i - 1]!, t) ? 1 : 0), 0)
  }

  private hasLineComment({ start, end }: { start: number; end: number }): boolean {
    return this.comments.some((c) => c.start > start && c.start < end && c.text.startsWith('//'))
  }

  print(): string {
    const items: (IToken | Comment)[] = [...this.tokens, ...this.comments].sort((a, b) => startOf(a) - startOf(b))
    const braces: { inline: boolean; level: number }[] = []
    let previous: IToken | Comment | undefined
    let lineLevel = 0
    for (const item of items) {
      const start = startOf(item)
      const emptyLine = previous !== undefined && /\n[ \t\r]*\n/.test(this.text.slice(startOf(previous) + imageOf(previous).length, start))
      const newLine = previous !== undefined && this.text.slice(startOf(previous) + imageOf(previous).length, start).includes('\n')
      const afterLineComment = previous !== undefined && !('image' in previous) && previous.text.startsWith('//')
      const opened = previous !== undefined && 'image' in previous && previous.image === '{'
      if ('image' in item) {
        const planned = this.plan.starts.get(start)
        const closing = item.image === '}' ? braces.at(-1) : undefined
        if (planned !== undefined) {
          this.level = planned
          lineLevel = planned
          this.breakLine(previous, emptyLine && !opened, planned)
        } else if (closing && !closing.inline) {
          this.breakLine(previous, false, closing.level)
          lineLevel = closing.level
        } else if (afterLineComment) this.breakLine(previous, false, lineLevel + 1)
        else if (previous && ('image' in previous ? spaced(previous, item) : true)) this.out += ' '
        this.out += item.image
        if (item.image === '{') {
          const inline = this.plan.inline.has(start)
          braces.push({ inline, level: lineLevel })
        } else if (item.image === '}') braces.pop()
      } else if (newLine || previous === undefined) {
        const next = items[items.indexOf(item) + 1]
        this.breakLine(previous, emptyLine && !opened, this.levelOfComment(items, items.indexOf(item), braces, next))
        this.out += tidy(item.text)
      } else this.out += `${item.text.startsWith('//') ? '  ' : ' '}${tidy(item.text)}`
      previous = item
    }
    return this.out === '' ? '' : `${this.out}\n`
  }

  /** A comment on its own line stands where what follows it stands. */
  private levelOfComment(items: readonly (IToken | Comment)[], at: number, braces: readonly { inline: boolean; level: number }[], next: IToken | Comment | undefined): number {
    for (let i = at + 1; next && i < items.length; i++) {
      const item = items[i]!
      if (!('image' in item)) continue
      const planned = this.plan.starts.get(item.startOffset)
      if (planned !== undefined) return planned
      if (item.image === '}') return (braces.at(-1)?.level ?? -1) + 1
      return this.level + 1
    }
    return 0
  }

  private breakLine(previous: IToken | Comment | undefined, empty: boolean, level: number): void {
    if (previous === undefined) return
    this.out += `${empty ? '\n\n' : '\n'}${INDENT.repeat(level)}`
  }
}

const startOf = (item: IToken | Comment): number => ('image' in item ? item.startOffset : item.start)
const imageOf = (item: IToken | Comment): string => ('image' in item ? item.image : item.text)
const tidy = (comment: string): string => comment.split('\n').map((line) => line.trimEnd()).join('\n')

/** Whether a blank stands between two tokens of one line. */
function spaced(before: IToken, after: IToken): boolean {
  const [a, b] = [before.image, after.image]
  if (a === '(' || a === '[' || b === ')' || b === ']' || b === ',' || b === ':') return false
  if (b === '(' || (b === '[' && /^[\w\]]/.test(a) && !/^(in|return|and|or|not)$/.test(a))) return !/^[\w\]]/.test(a) || /^(in|if|and|or|not|return)$/.test(a)
  if (a === '..' || b === '..') return false
  if (a === '-' && before.payload === 'sign') return false
  return true
}
