import type { Call, Expression, Name, Statement } from './ast.ts'
import type { Span } from './source.ts'

/** The bodies right within a statement. */
function bodiesOf(s: Statement): readonly (readonly Statement[])[] {
  const found: (readonly Statement[])[] = s.kind === 'for' ? [s.body] : []
  for (const outer of expressionsOf(s))
    eachExpression(outer, (e) => {
      if (e.kind === 'if') found.push(e.yes, e.no ?? [])
    })
  return found
}

/** Every statement of a body, those of inner bodies included. */
export function eachStatement(body: readonly Statement[], visit: (s: Statement) => void): void {
  for (const s of body) {
    visit(s)
    for (const inner of bodiesOf(s)) eachStatement(inner, visit)
  }
}

/** An expression and what it is made of; not what stands in the branches of an `if`: these are statements. */
export function eachExpression(e: Expression, visit: (e: Expression) => void): void {
  visit(e)
  for (const part of partsOf(e)) eachExpression(part, visit)
}

function partsOf(e: Expression): readonly Expression[] {
  switch (e.kind) {
    case 'list':
      return e.items
    case 'range':
      return [e.from, e.to]
    case 'duration':
      return [e.count]
    case 'unary':
      return [e.operand]
    case 'binary':
      return [e.left, e.right]
    case 'if':
      return [e.condition]
    case 'chain':
      return [e.head, ...e.links]
    case 'call':
      return [...e.positional, ...e.named.map((n) => n.value), ...templateOf(e)]
    default:
      return []
  }
}

/** The expressions in a name behind `as`. */
const templateOf = (call: Call): Expression[] => (call.as?.parts ?? []).filter((part) => typeof part !== 'string')

/** The expressions that stand in a statement itself; not those of its body. */
export function expressionsOf(s: Statement): readonly Expression[] {
  switch (s.kind) {
    case 'let':
    case 'result':
    case 'expression':
    case 'return':
      return [s.value]
    case 'input':
      return s.dimensions.flat()
    case 'for':
      return [s.over]
    default:
      return []
  }
}

/** The names that a body gives a value to, wherever in it, and where that is first. */
export function assignedIn(body: readonly Statement[]): Map<string, Span> {
  const names = new Map<string, Span>()
  const add = ({ text, span }: Name): void => {
    if (!names.has(text)) names.set(text, span)
  }
  eachStatement(body, (s) => {
    if (s.kind === 'let' || s.kind === 'input') add(s.name)
    else if (s.kind === 'result' && s.name) add(s.name)
    else if (s.kind === 'for') {
      add(s.variable)
      if (s.counter) add(s.counter)
    } else if (s.kind === 'broken') { for (const text of s.words) add({ text, span: s.span }) }
  })
  return names
}

export function holdsBroken(body: readonly Statement[]): boolean {
  let found = false
  eachStatement(body, (s) => {
    found ||= s.kind === 'broken'
  })
  return found
}
