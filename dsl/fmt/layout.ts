import type { Call, Expression, FileAst, Statement, Train } from '../ast.ts'
import { INDENT, partsOfNames, spaced } from './spacing.ts'
import type { Comment, Token } from '../tokens.ts'

/** The greatest width of a line in characters. */
const WIDTH = 100

/** The columns that are aligned over several lines: `as` of a chain's layers, '=' of results, values of train settings. */
export type Column = 'as' | 'result' | 'setting'

/** The lines of a formatted text, by index of the token. */
export interface LinePlan {
  /** Tokens that begin a line, and how deep it is indented. */
  readonly starts: ReadonlyMap<number, number>
  /** Tokens that may be moved right, into a column with those of the lines around that have the same key. */
  readonly columns: ReadonlyMap<number, { readonly column: Column; readonly key: number }>
  /** Tokens that stay close to the one before: parts of `stage{i}_{j}`. */
  readonly close: ReadonlySet<number>
  /** First and last tokens of what has braces at the top of a file: an empty line stands around it. */
  readonly itemStarts: ReadonlySet<number>
  readonly itemEnds: ReadonlySet<number>
}

/** The line that something begins in: its first token, and its depth. */
interface Line {
  readonly start: number
  readonly level: number
}

interface Place {
  readonly start: number
  readonly end: number
}

/** Decides where lines break. Looks at tokens and comments alone, never at the layout that is there: so it is idempotent. */
export function planLines(ast: FileAst, tokens: readonly Token[], comments: readonly Comment[]): LinePlan {
  return new Planner(tokens, comments).file(ast)
}

class Planner {
  private readonly tokens: readonly Token[]
  private readonly indexAt = new Map<number, number>()
  /** The column at which each token would begin, if all stood in one line. */
  private readonly from: number[] = []
  private readonly to: number[] = []
  /** The number of tokens before this one that have a comment to the end of their line. */
  private readonly lineComments: number[] = []
  /** The other bracket of each bracket. */
  private readonly other = new Map<number, number>()
  private readonly commented = new Set<number>()
  private readonly starts = new Map<number, number>()
  private readonly columns = new Map<number, { column: Column; key: number }>()
  private readonly close: ReadonlySet<number>
  private readonly itemStarts = new Set<number>()
  private readonly itemEnds = new Set<number>()

  constructor(tokens: readonly Token[], comments: readonly Comment[]) {
    this.tokens = tokens
    this.close = partsOfNames(tokens)
    const open: number[] = []
    let at = 0
    let next = 0
    let before = 0
    tokens.forEach((token, i) => {
      for (; next < comments.length && comments[next]!.start < token.startOffset; next++) {
        this.commented.add(i)
        if (comments[next]!.text.startsWith('//')) before++
      }
      this.lineComments.push(before)
      this.indexAt.set(token.startOffset, i)
      if (i > 0 && spaced(tokens, i) && !this.close.has(i)) at++
      this.from.push(at)
      this.to.push(at += token.image.length)
      if ('([{'.includes(token.image)) open.push(i)
      else if (')]}'.includes(token.image)) {
        const opened = open.pop()!
        this.other.set(opened, i).set(i, opened)
      }
    })
  }

  file(ast: FileAst): LinePlan {
    for (const { span } of ast.imports) this.starts.set(this.first(span), 0)
    for (const constant of ast.constants) this.statement(constant, 0)
    for (const item of [...ast.blocks, ...ast.nets, ...ast.trains]) {
      this.starts.set(this.first(item.span), 0)
      this.itemStarts.add(this.first(item.span))
      this.itemEnds.add(this.last(item.span))
    }
    for (const { body, span } of [...ast.blocks, ...ast.nets]) this.body(this.other.get(this.last(span))!, body, 1)
    for (const train of ast.trains) this.train(train)
    return { starts: this.starts, columns: this.columns, close: this.close, itemStarts: this.itemStarts, itemEnds: this.itemEnds }
  }

  private first({ start }: Place): number {
    return this.indexAt.get(start)!
  }

  /** Index of the last token that begins in a range. */
  private last({ end }: Place): number {
    let [low, high] = [0, this.tokens.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.tokens[middle]!.startOffset < end) low = middle
      else high = middle - 1
    }
    return low
  }

  private end(e: Expression): number {
    if (e.kind === 'chain') return this.end(e.links.at(-1)!)
    return this.last(e.kind === 'call' && e.as ? e.as.span : e.span)
  }

  private fits(end: number, line: Line): boolean {
    return line.level * INDENT.length + this.to[end]! - this.from[line.start]! <= WIDTH
  }

  /** Lays the contents of braces out on lines of their own; nothing stays `{}`. */
  private body(open: number, body: readonly Statement[], level: number): void {
    const close = this.other.get(open)!
    if (body.length === 0 && !this.commented.has(close)) return
    for (const statement of body) this.statement(statement, level)
    this.starts.set(close, level - 1)
  }

  private statement(s: Statement, level: number): void {
    const line: Line = { start: this.first(s.span), level }
    this.starts.set(line.start, level)
    switch (s.kind) {
      case 'for':
        this.expression(s.over, line)
        this.body(this.other.get(this.last(s.span))!, s.body, level + 1)
        break
      case 'result':
        this.columns.set(line.start + (s.name ? 2 : 1), { column: 'result', key: level })
        this.expression(s.value, line)
        break
      case 'let':
      case 'expression':
      case 'return':
        this.expression(s.value, line)
        break
      case 'input':
        // Behind `input NAME: class`.
        if (s.classNames && !this.fits(this.last(s.span), line)) this.items(line.start + 4, s.classNames.length, true, line)
        break
      default:
    }
  }

  private train({ entries, span }: Train): void {
    const close = this.last(span)
    if (entries.length === 0 && !this.commented.has(close)) return
    this.starts.set(close, 0)
    const column = INDENT.length + Math.max(0, ...entries.map((entry) => entry.key.text.length)) + 1
    for (const entry of entries) {
      const start = this.first(entry.span)
      this.starts.set(start, 1)
      this.columns.set(start + 1, { column: 'setting', key: close })
      let lineStart = start + 1
      let first = lineStart
      for (const [i, value] of entry.values.entries()) {
        if (i > 0) first = this.comma(this.end(entry.values[i - 1]!) + 1, ',') + 1
        if (i > 0 && column + this.to[this.end(value)]! - this.from[lineStart]! >= WIDTH) {
          this.starts.set(first, 1)
          this.columns.set(first, { column: 'setting', key: close })
          lineStart = first
        }
        this.expression(value, { start: lineStart, level: 1 })
      }
    }
  }

  private expression(e: Expression, line: Line): void {
    if (this.isFlat(e) && this.fits(this.end(e), line)) return
    switch (e.kind) {
      case 'chain':
        this.expression(e.head, line)
        for (const link of e.links) this.link(link, { start: this.first(link.span) - 1, level: line.level + 1 }, this.first(e.span))
        break
      case 'call':
        this.call(e, line)
        break
      case 'list':
        this.list(e, line)
        break
      case 'if':
        this.branches(e, line)
        break
      case 'binary':
        this.expression(e.left, line)
        this.expression(e.right, line)
        break
      case 'unary':
        this.expression(e.operand, line)
        break
      case 'duration':
        this.expression(e.count, line)
        break
      default:
    }
  }

  private link(link: Call, line: Line, chain: number): void {
    this.starts.set(line.start, line.level)
    if (link.as) this.columns.set(this.first(link.as.span) - 1, { column: 'as', key: chain })
    this.expression(link, line)
  }

  /** An argument a line. */
  private call(e: Call, line: Line): void {
    if (e.bare) return
    const open = this.first(e.span) + 1
    const given = [...e.positional.map((value) => ({ span: value.span, value })), ...e.named].sort((a, b) => a.span.start - b.span.start)
    if (given.length === 0) return
    // With a pair of brackets around an argument, it begins in front of its span.
    let start = open + 1
    for (const { value } of given) {
      this.starts.set(start, line.level + 1)
      this.expression(value, { start, level: line.level + 1 })
      start = this.comma(start) + 1
    }
    this.starts.set(this.other.get(open)!, line.level)
  }

  /** The comma or bracket that ends what begins at a token. */
  private comma(start: number, ends = ',)]'): number {
    let i = start
    while (!ends.includes(this.tokens[i]!.image)) i = (this.opens(i) ? this.other.get(i)! : i) + 1
    return i
  }

  private opens(i: number): boolean {
    return '([{'.includes(this.tokens[i]!.image)
  }

  /** Lays a list out: as many items a line as there is room for if they are short, else one a line. */
  private list(e: Extract<Expression, { kind: 'list' }>, line: Line): void {
    const short = e.items.every((item) =>
      item.kind === 'number' || item.kind === 'unary' || item.kind === 'boolean' || item.kind === 'string'
    )
    this.items(this.first(e.span), e.items.length, short, line, (i, place) => this.expression(e.items[i]!, place))
  }

  private items(open: number, count: number, short: boolean, line: Line, each?: (item: number, line: Line) => void): void {
    const level = line.level + 1
    let start = open + 1
    let lineStart = -1
    for (let i = 0; i < count; i++) {
      const comma = this.comma(start)
      if (lineStart < 0 || !short || !this.fits(comma, { start: lineStart, level })) {
        this.starts.set(start, level)
        lineStart = start
      }
      each?.(i, { start: lineStart, level })
      start = comma + 1
    }
    if (count > 0) this.starts.set(this.other.get(open)!, line.level)
  }

  private branches(e: Extract<Expression, { kind: 'if' }>, line: Line): void {
    this.expression(e.condition, line)
    const yes = this.brace(this.last(e.condition.span) + 1)
    this.body(yes, e.yes, line.level + 1)
    if (!e.no) return
    const behindElse = this.other.get(yes)! + 2
    const [only] = e.no
    if (this.tokens[behindElse]!.image === '{') this.body(behindElse, e.no, line.level + 1)
    else if (only?.kind === 'expression' && only.value.kind === 'if') this.branches(only.value, line)
  }

  /** The brace behind a condition, which may end with brackets that belong to no node. */
  private brace(from: number): number {
    let i = from
    while (this.tokens[i]!.image !== '{' || this.close.has(i)) i++
    return i
  }

  /** Whether it could stand in one line, however wide. */
  private isFlat(e: Expression): boolean {
    return this.lineComments[this.first(e.span)] === this.lineComments[this.end(e)] && this.hasFlatBranches(e)
  }

  private hasFlatBranches(e: Expression): boolean {
    switch (e.kind) {
      case 'if':
        return [e.yes, e.no ?? []].every((body) =>
          body.length <= 1 && body.every((s) => s.kind === 'expression' && this.hasFlatBranches(s.value))
        )
      case 'chain':
        return this.hasFlatBranches(e.head) && e.links.every((link) => this.hasFlatBranches(link))
      case 'call':
        return e.positional.every((value) => this.hasFlatBranches(value)) && e.named.every(({ value }) => this.hasFlatBranches(value))
      case 'list':
        return e.items.every((item) => this.hasFlatBranches(item))
      case 'binary':
        return this.hasFlatBranches(e.left) && this.hasFlatBranches(e.right)
      case 'unary':
        return this.hasFlatBranches(e.operand)
      case 'duration':
        return this.hasFlatBranches(e.count)
      default:
        return true
    }
  }
}
