import { type Call, type Expression, type FileAst, load, type Source, type Span, type Statement } from '../../dsl/index.ts'

/** A statement of the text that makes layers: the name of its value, and where it stands. */
export interface Making {
  readonly name: string
  readonly span: Span
}

/** Where in a text statements and calls of blocks stand. */
export interface Statements {
  /** The innermost statement around a place that names a value, or gives one. */
  around(span: Span): Making | undefined
  /** The name of the block that a call at this place calls. */
  blockAt(call: Span): string | undefined
  /** The head of a block, up to its brace. */
  headOf(block: string): Span | undefined
}

/** Reads a text again, for its layout: what it means is known. */
export function statementsOf(source: Source, readImport: (path: string, from: Source) => Source | undefined): Statements {
  const { ast, imports } = load(source, readImport)
  const makings = new Map<string, Making[]>()
  const calls = new Map<string, string>()
  const heads = new Map<string, Span>()
  for (const file of [ast, ...imports]) {
    const found: Making[] = []
    for (const { name, body, span } of file.blocks) {
      const { text } = span.source
      const brace = text.indexOf('{', name.span.end)
      if (!heads.has(name.text)) heads.set(name.text, { ...span, end: brace > 0 ? brace : span.end })
      visitBody(body, found, calls)
    }
    for (const { body } of file.nets) visitBody(body, found, calls)
    makings.set(fileOf(file), found)
  }
  return {
    around: ({ source: { file }, start, end }) =>
      makings.get(file)?.filter(({ span }) => span.start <= start && end <= span.end)
        .reduce<Making | undefined>((best, one) => (best && size(best.span) <= size(one.span) ? best : one), undefined),
    blockAt: (span) => calls.get(keyOf(span)),
    headOf: (block) => heads.get(block),
  }
}

const fileOf = ({ span }: FileAst): string => span.source.file
const size = ({ start, end }: Span): number => end - start
const keyOf = ({ source, start, end }: Span): string => `${source.file} ${start} ${end}`

function visitBody(body: readonly Statement[], makings: Making[], calls: Map<string, string>): void {
  for (const s of body) {
    if (s.kind === 'let') makings.push({ name: s.name.text, span: s.span })
    else if (s.kind === 'result') makings.push({ name: s.name?.text ?? s.role, span: s.span })
    else if (s.kind === 'return') makings.push({ name: 'y', span: s.span })
    if (s.kind === 'for') {
      visit(s.over, makings, calls)
      visitBody(s.body, makings, calls)
    } else if (s.kind === 'let' || s.kind === 'result' || s.kind === 'return' || s.kind === 'expression') visit(s.value, makings, calls)
  }
}

function visit(e: Expression, makings: Making[], calls: Map<string, string>): void {
  const call = (c: Call): void => {
    calls.set(keyOf(c.span), c.callee.text)
    for (const part of [...c.positional, ...c.named.map(({ value }) => value)]) visit(part, makings, calls)
  }
  if (e.kind === 'call') call(e)
  else if (e.kind === 'chain') {
    visit(e.head, makings, calls)
    e.links.forEach(call)
  } else if (e.kind === 'if') {
    visit(e.condition, makings, calls)
    visitBody(e.yes, makings, calls)
    visitBody(e.no ?? [], makings, calls)
  } else if (e.kind === 'list') e.items.forEach((item) => visit(item, makings, calls))
  else if (e.kind === 'binary') [e.left, e.right].forEach((part) => visit(part, makings, calls))
  else if (e.kind === 'unary') visit(e.operand, makings, calls)
}
