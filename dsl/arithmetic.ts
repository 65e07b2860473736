import type { Expression } from './ast.ts'
import { linkMend, operatorMend } from './operator-hints.ts'
import type { Reporter } from './reporter.ts'
import { textOf } from './source.ts'
import { describe, type Evaluated } from './values.ts'

type Of<K extends Expression['kind']> = Extract<Expression, { kind: K }>

/** `-x`, `not x`. */
export function unary(
  e: Of<'unary'>,
  operand: Evaluated,
  layers: ReadonlyMap<string, unknown>,
  report: Reporter,
): Evaluated | undefined {
  if (e.op === '-' && operand.kind === 'number') return { kind: 'number', value: -operand.value }
  if (e.op === 'not' && operand.kind === 'boolean') return { kind: 'boolean', value: !operand.value }
  const hint = operand.kind === 'tensor' ? signMend(e, layers) : undefined
  return report.error(
    'arithmetic/kind',
    `'${e.op}' goes before a ${e.op === '-' ? 'number' : 'condition'}, not before ${describe(operand)}`,
    e.span,
    { hint },
  )
}

/** Behind a layer a sign begins a statement of its own, `x -> relu - y`, where a difference is meant. */
function signMend(e: Of<'unary'>, layers: ReadonlyMap<string, unknown>): string {
  const operand = textOf(e.operand.span)
  if (e.op !== '-') return 'tensors are worked on by layers'
  if (/[\w)]\s*$/.test(e.span.source.text.slice(0, e.span.start))) return linkMend('-', operand)
  return `tensors are worked on by layers${layers.has('neg') ? `: neg(${operand})` : ''}`
}

/**
 * Numbers are double precision. `/` divides exactly: 7 / 2 is 3.5, which is refused where an integer is meant, never
 * rounded. `%` has the sign of what is divided.
 */
export function binary(
  e: Of<'binary'>,
  left: Evaluated,
  right: Evaluated,
  layers: ReadonlyMap<string, unknown>,
  report: Reporter,
): Evaluated | undefined {
  if (left.kind === 'number' && right.kind === 'number') {
    const [a, b] = [left.value, right.value]
    if ((e.op === '/' || e.op === '%') && b === 0) return report.error('arithmetic/zero', `${a} ${e.op} 0 has no value`, e.span)
    const value = calculate(e.op, a, b)
    if (typeof value === 'boolean') return { kind: 'boolean', value }
    if (value !== undefined) return { kind: 'number', value }
  }
  const plain = (v: Evaluated): v is Extract<Evaluated, { value: number | boolean | string }> =>
    v.kind === 'number' || v.kind === 'boolean' || v.kind === 'string'
  if ((e.op === '==' || e.op === '!=') && left.kind === right.kind && plain(left) && plain(right))
    return { kind: 'boolean', value: (left.value === right.value) === (e.op === '==') }
  if (left.kind === 'boolean' && right.kind === 'boolean' && (e.op === 'and' || e.op === 'or')) return right
  return report.error('arithmetic/kind', `'${e.op}' does not join ${describe(left)} and ${describe(right)}`, e.span, {
    hint: () => mend(e, left, right, layers),
  })
}

function calculate(op: string, a: number, b: number): number | boolean | undefined {
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return a % b
    case '<':
      return a < b
    case '>':
      return a > b
    case '<=':
      return a <= b
    case '>=':
      return a >= b
    case '==':
      return a === b
    case '!=':
      return a !== b
    default:
      return undefined
  }
}

function mend({ op, left, right }: Of<'binary'>, a: Evaluated, b: Evaluated, layers: ReadonlyMap<string, unknown>): string | undefined {
  if (a.kind === 'tensor' || b.kind === 'tensor') return operatorMend(op, textOf(left.span), textOf(right.span), layers)
  if (op === 'and' || op === 'or') return `'${op}' joins conditions, e.g. i > 0 ${op} j == 0`
  return undefined
}

/** `0..3` is [0, 1, 2]. At most `most` long. */
export function range(e: Of<'range'>, from: Evaluated, to: Evaluated, most: number, report: Reporter): Evaluated | undefined {
  if (from.kind !== 'number' || to.kind !== 'number' || !Number.isSafeInteger(from.value) || !Number.isSafeInteger(to.value)) {
    return report.error('for/range', `a range goes from an integer to an integer, not from ${describe(from)} to ${describe(to)}`, e.span, {
      hint: '0..3 is 0, 1, 2',
    })
  }
  const [first, count] = [from.value, to.value - from.value]
  if (count > most)
    return report.error('limit/too-large', `${count} rounds are more than a net needs`, e.span, { hint: `a loop has at most ${most}` })
  return { kind: 'list', items: Array.from({ length: Math.max(0, count) }, (_, i) => ({ kind: 'number', value: first + i })) }
}
