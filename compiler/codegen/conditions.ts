import { type Expression, walk } from '../ir/expression.ts'
import { onceByNode } from '../ir/once-by-node.ts'

type Select = Extract<Expression, { kind: 'select' }>

/**
 * What choices depend on, as a formula: in expressions a condition is a choice between numbers, one choice in another. Where arithmetic is done as it is
 * written, a machine need not choose those numbers and compare them: it joins masks.
 */
export type Condition =
  | { readonly kind: 'truth'; readonly value: boolean }
  | { readonly kind: 'test'; readonly of: Select }
  | { readonly kind: 'not'; readonly of: Condition }
  | { readonly kind: 'all'; readonly of: readonly Condition[] }

export interface Choice {
  readonly condition: Condition
  readonly yes: Expression
  readonly no: Expression
}

const truth = (value: boolean): Condition => ({ kind: 'truth', value })
const not = (of: Condition): Condition => of.kind === 'not' ? of.of : of.kind === 'truth' ? truth(!of.value) : { kind: 'not', of }

function all(...given: readonly Condition[]): Condition {
  const of = given.flatMap((c) => (c.kind === 'all' ? c.of : [c])).filter((c) => c.kind !== 'truth' || !c.value)
  if (of.some((c) => c.kind === 'truth')) return truth(false)
  if (of.length === 0) return truth(true)
  const needed = of.filter((c) => !of.some((other) => other !== c && implies(other, c)))
  return needed.length === 1 ? needed[0]! : { kind: 'all', of: needed }
}
const any = (a: Condition, b: Condition): Condition => not(all(not(a), not(b)))

/** Whether a number is finite only if another one is, which it is computed from. */
const implies = (a: Condition, b: Condition): boolean =>
  a.kind === 'test' && b.kind === 'test' && a.of.test === 'finite' && b.of.test === 'finite' && a.of.a !== b.of.a &&
  finiteBefore(a.of.a).has(b.of.a)

/**
 * What is finite wherever a value is, by the rules of IEEE 754: neither a sum nor a product, nor a root, makes a number again of what is none; a quotient does of
 * its divisor. Empty where a choice or padding is in it: what is known to be 0 makes products 0, whatever they are of.
 */
const finiteBefore = onceByNode((value: Expression): ReadonlySet<Expression> => {
  const found = new Set<Expression>()
  if (walk(value).some((node) => node.kind === 'guard' || node.kind === 'select')) return found
  const visit = (node: Expression): void => {
    if (found.has(node)) return
    found.add(node)
    if (node.kind === 'unary' && ['neg', 'abs', 'sqrt', 'rounded'].includes(node.op)) visit(node.a)
    else if (node.kind === 'binary' && ['add', 'sub', 'mul', 'div'].includes(node.op)) {
      visit(node.a)
      if (node.op !== 'div') visit(node.b)
    }
  }
  visit(value)
  return found
})

/** Whether all that a value chooses from are numbers that are written down. */
const isOfNumbers = (e: Expression): boolean => e.kind === 'constant' || (e.kind === 'select' && isOfNumbers(e.yes) && isOfNumbers(e.no))

/** When a value is not 0, where it chooses between numbers that are written down; undefined of any other. */
export const whereNotZero = onceByNode((e: Expression): Condition | undefined => (isOfNumbers(e) ? notZero(e) : undefined))

function notZero(e: Expression): Condition {
  if (e.kind === 'constant') return truth(e.value !== 0)
  const { condition, yes, no } = choiceOf(e as Select)
  return any(all(condition, notZero(yes)), all(not(condition), notZero(no)))
}

/** What a choice comes to: one that has a result in common with the choice inside it is one with it. */
export const choiceOf = onceByNode((e: Select): Choice => {
  const { yes, no } = e
  const condition = conditionOf(e)
  if (no.kind === 'select') {
    const inner = choiceOf(no)
    if (isSame(yes, inner.no)) return { condition: all(not(condition), inner.condition), yes: inner.yes, no: yes }
    if (isSame(yes, inner.yes)) return { condition: any(condition, inner.condition), yes, no: inner.no }
  }
  if (yes.kind === 'select') {
    const inner = choiceOf(yes)
    if (isSame(no, inner.no)) return { condition: all(condition, inner.condition), yes: inner.yes, no }
    if (isSame(no, inner.yes)) return { condition: all(condition, not(inner.condition)), yes: inner.no, no }
  }
  return { condition, yes, no }
})

function conditionOf(e: Select): Condition {
  const isZeroTest = e.test === 'eq' && e.a.kind === 'select' && e.b.kind === 'constant' && e.b.value === 0
  const found = isZeroTest ? whereNotZero(e.a) : undefined
  return found ? not(found) : { kind: 'test', of: e }
}

const isSame = (a: Expression, b: Expression): boolean =>
  a === b || (a.kind === 'constant' && b.kind === 'constant' && Object.is(a.value, b.value))
