import type { Column, LinePlan } from './layout.ts'
import { INDENT, spaced } from './spacing.ts'
import type { Comment, Token } from '../tokens.ts'

/** A column that begins further right than this does not move the lines around it. */
const RIGHTMOST = 72

interface Line {
  readonly level: number
  text: string
  /** An empty line stands in front of it. */
  empty: boolean
  /** A comment that has the line to itself. */
  readonly comment: boolean
  /** The position in the text at which an aligned column begins. */
  stop?: { readonly at: number; readonly column: Column; readonly key: number }
  /** The comment at its end. */
  remark?: string
}

/** Writes tokens and comments as the plan says: one blank or none between tokens, columns, at most one empty line. */
export function printLines(text: string, tokens: readonly Token[], comments: readonly Comment[], plan: LinePlan): string {
  const lines = new Printer(text, tokens, comments, plan).lines()
  alignColumns(lines)
  alignRemarks(lines)
  const printed = lines.map(({ level, text, empty, remark }) =>
    `${empty ? '\n' : ''}${INDENT.repeat(text === '' ? 0 : level)}${text}${remark ?? ''}\n`
  )
  return printed.join('')
}

class Printer {
  private readonly text: string
  private readonly tokens: readonly Token[]
  private readonly comments: readonly Comment[]
  private readonly plan: LinePlan
  private readonly printed: Line[] = []
  /** The end, in the text, of the last thing that was printed. */
  private end = 0
  /** Whether the last thing printed was a comment to the end of its line, an opening brace, or the end of an item. */
  private endsWithComment = false
  private opened = false
  private itemEnded = false

  constructor(text: string, tokens: readonly Token[], comments: readonly Comment[], plan: LinePlan) {
    this.text = text
    this.tokens = tokens
    this.comments = comments
    this.plan = plan
  }

  lines(): Line[] {
    let next = 0
    this.tokens.forEach((token, i) => {
      for (; next < this.comments.length && this.comments[next]!.start < token.startOffset; next++) this.comment(this.comments[next]!, i)
      this.token(token, i)
    })
    for (; next < this.comments.length; next++) this.comment(this.comments[next]!, this.tokens.length)
    return this.printed
  }

  private get line(): Line | undefined {
    return this.printed.at(-1)
  }

  private token(token: Token, i: number): void {
    const { starts, columns, close, itemStarts } = this.plan
    const level = starts.get(i)
    const column = columns.get(i)
    const { line } = this
    if (level !== undefined || !line) {
      this.open(level ?? 0, token.startOffset, token.image === '}')
      if (itemStarts.has(i)) this.emptyBeforeItem()
      if (column) this.line!.stop = { at: 0, ...column }
    } else if (line.remark !== undefined || line.comment) {
      // A comment to the end of its line stands within a statement.
      this.printed.push({ level: line.level + (line.comment ? 0 : 1), text: '', empty: false, comment: false })
    } else if (column || this.endsWithComment || (spaced(this.tokens, i) && !close.has(i))) {
      line.text += ' '
      if (column && !line.stop) line.stop = { at: line.text.length, ...column }
    }
    this.line!.text += token.image
    this.endsWithComment = false
    this.end = token.startOffset + token.image.length
    this.opened = token.image === '{'
    this.itemEnded = this.plan.itemEnds.has(i)
  }

  private comment({ text, start }: Comment, next: number): void {
    const tidy = text.split('\n').map((line) => line.trimEnd()).join('\n')
    const { line } = this
    const ownLine = this.text.slice(this.end, start).includes('\n') && (this.plan.starts.has(next) || next === this.tokens.length)
    if (!line || ownLine || line.remark !== undefined || (line.comment && text.startsWith('//'))) {
      this.open(this.levelOfComment(next), start, false, true)
      this.line!.text = tidy
    } else if (text.startsWith('//')) line.remark = tidy
    else {
      line.text += `${line.text === '' ? '' : ' '}${tidy}`
      this.endsWithComment = true
    }
    this.end = start + text.length
  }

  /** A comment stands as deep as what follows it; in front of a closing brace, as deep as what the brace closes. */
  private levelOfComment(next: number): number {
    const level = this.plan.starts.get(next)
    if (level === undefined) return next === this.tokens.length ? 0 : (this.line?.level ?? 0) + (this.line?.comment ? 0 : 1)
    return ')]}'.includes(this.tokens[next]!.image) ? level + 1 : level
  }

  private open(level: number, start: number, closes: boolean, comment = false): void {
    const gap = this.text.slice(this.end, start)
    const empty = this.printed.length > 0 && !this.opened && !closes && (this.itemEnded || /\n[ \t\r]*\n/.test(gap))
    this.printed.push({ level, text: '', empty, comment })
    this.opened = false
    this.itemEnded = false
  }

  /** The comments right above an item belong to it. */
  private emptyBeforeItem(): void {
    let i = this.printed.length - 1
    while (i > 0 && !this.printed[i]!.empty && this.printed[i - 1]!.comment) i--
    if (i > 0) this.printed[i]!.empty = true
  }
}

/** Moves what stands in one column to the right of the widest of it. */
function alignColumns(lines: readonly Line[]): void {
  let run: Line[] = []
  const align = (): void => {
    const starts = run.map((line) => columnOf(line)).filter((at) => at <= RIGHTMOST)
    for (const line of run) {
      const { at } = line.stop!
      const missing = Math.max(...starts) - columnOf(line)
      if (missing > 0) line.text = `${line.text.slice(0, at)}${' '.repeat(missing)}${line.text.slice(at)}`
    }
    run = []
  }
  for (const line of lines) {
    const stop = line.stop
    const goesOn = run[0]?.stop
    // Train settings are one table; elsewhere an empty line or another statement ends a run.
    const ends = goesOn && (stop ? stop.column !== goesOn.column || stop.key !== goesOn.key : goesOn.column === 'result' && !line.comment)
    if (ends || (line.empty && goesOn?.column !== 'setting')) align()
    if (stop && !line.text.includes('\n')) run.push(line)
  }
  align()
}

const columnOf = ({ level, stop }: Line): number => level * INDENT.length + stop!.at

/** Comments at the ends of lines one after the other begin in one column. */
function alignRemarks(lines: readonly Line[]): void {
  let run: Line[] = []
  const align = (): void => {
    const widths = run.map((line) => widthOf(line))
    const width = Math.max(0, ...widths.filter((w) => w <= RIGHTMOST))
    run.forEach((line, i) => {
      line.remark = `${' '.repeat(Math.max(0, width - widths[i]!) + 2)}${line.remark}`
    })
    run = []
  }
  for (const line of lines) {
    if (line.empty || line.remark === undefined || run[0]?.level !== line.level) align()
    if (line.remark !== undefined) run.push(line)
  }
  align()
}

const widthOf = ({ level, text }: Line): number => level * INDENT.length + text.length - (text.lastIndexOf('\n') + 1)
