import type { Tensor } from './tensor.ts'
import { type Axis, type Extent, index, type IndexLike } from './affine.ts'
import { type BinaryOp, binaryOf, type Combiner, constant, type Expression, type Guard, guardOf, loadAt, positionAt, randomAt, reductionOf,
  scalar, selectOf, type Test, type UnaryOp, unaryOf } from './expression-node.ts'

export type { BinaryOp, Combiner, Expression, Guard, Load, Reduction, ScalarName, Test, UnaryOp } from './expression-node.ts'

/** What a maximum starts with: below every number. WGSL has no literal for it and takes the lowest finite float32 (`targets/wgsl/print.ts`). */
export const LOWEST = -Infinity

export type Operand = Expression | number

const lift = (value: Operand): Expression => (typeof value === 'number' ? constant(value) : value)
const isConstant = (e: Expression, value: number): boolean => e.kind === 'constant' && e.value === value

export { constant, scalar }
export const load = (tensor: Tensor, ...at: IndexLike[]): Expression => loadAt(tensor, at.map(index))
export const position = (at: IndexLike): Expression => positionAt(index(at))
export const random = (key: number, at: IndexLike): Expression => randomAt(key, index(at))

export const unary = (op: UnaryOp, a: Operand): Expression => unaryOf(op, lift(a))
export const neg = (a: Operand): Expression => unary('neg', a)
export const exp = (a: Operand): Expression => unary('exp', a)
export const log = (a: Operand): Expression => unary('log', a)
export const sqrt = (a: Operand): Expression => unary('sqrt', a)
export const abs = (a: Operand): Expression => unary('abs', a)
export const sign = (a: Operand): Expression => unary('sign', a)
export const tanh = (a: Operand): Expression => unary('tanh', a)
export const erf = (a: Operand): Expression => unary('erf', a)
export const floor = (a: Operand): Expression => unary('floor', a)
export const rounded = (a: Operand): Expression => unary('rounded', a)

/** Folds what is the same for every number that can occur: 0 + a, a - 0, 1 * a, a / 1, and constants. `0 * a` too: see below. */
function binary(op: BinaryOp, left: Operand, right: Operand): Expression {
  const a = lift(left)
  const b = lift(right)
  if (a.kind === 'constant' && b.kind === 'constant') return constant(fold(op, a.value, b.value))
  if (op === 'add' && isConstant(a, 0)) return b
  if ((op === 'add' || op === 'sub') && isConstant(b, 0)) return a
  if (op === 'mul' && isConstant(a, 1)) return b
  if ((op === 'mul' || op === 'div') && isConstant(b, 1)) return a
  return binaryOf(op, a, b)
}

export function fold(op: BinaryOp, a: number, b: number): number {
  switch (op) {
    case 'add':
      return a + b
    case 'sub':
      return a - b
    case 'mul':
      return a * b
    case 'div':
      return a / b
    case 'min':
      return Math.min(a, b)
    case 'max':
      return Math.max(a, b)
    case 'pow':
      return a ** b
  }
}

export const add = (...terms: Operand[]): Expression => terms.map(lift).reduce((a, b) => binary('add', a, b))
export const sub = (a: Operand, b: Operand): Expression => binary('sub', a, b)
export const mul = (...factors: Operand[]): Expression => factors.map(lift).reduce((a, b) => binary('mul', a, b))
export const div = (a: Operand, b: Operand): Expression => binary('div', a, b)
export const min = (a: Operand, b: Operand): Expression => binary('min', a, b)
export const max = (a: Operand, b: Operand): Expression => binary('max', a, b)
export const pow = (a: Operand, b: Operand): Expression => binary('pow', a, b)
export const square = (a: Expression): Expression => mul(a, a)

export const select = (test: Test, a: Operand, b: Operand, yes: Operand, no: Operand): Expression =>
  selectOf(test, lift(a), lift(b), lift(yes), lift(no))

/** `yes` where a value is neither infinite nor NaN. */
export const ifFinite = (value: Expression, yes: Operand, no: Operand): Expression => select('finite', value, 0, yes, no)

export const guard = (guards: readonly Guard[], value: Expression, otherwise = 0): Expression =>
  guards.length === 0 ? value : guardOf(guards, value, otherwise)
export const within = (at: IndexLike, extent: Extent): Guard => ({ kind: 'within', at: index(at), extent })
export const divides = (at: IndexLike, by: number): Guard => ({ kind: 'divides', at: index(at), by })

export const sum = (axes: readonly Axis[], body: Operand): Expression => reduce('sum', axes, lift(body))
export const maximum = (axes: readonly Axis[], body: Operand): Expression => reduce('max', axes, lift(body))
export const argmax = (axes: readonly Axis[], body: Operand): Expression => reduce('argmax', axes, lift(body))
const reduce = (combine: Combiner, axes: readonly Axis[], body: Expression): Expression =>
  axes.length === 0 && combine !== 'argmax' ? body : reductionOf(combine, axes, body)

/** Children in evaluation order. */
export function children(e: Expression): readonly Expression[] {
  switch (e.kind) {
    case 'unary':
      return [e.a]
    case 'binary':
      return [e.a, e.b]
    case 'select':
      return [e.a, e.b, e.yes, e.no]
    case 'guard':
      return [e.value]
    case 'reduce':
      return [e.body]
    default:
      return []
  }
}

/** The same without a list: for walks over all of a tree. */
export function forEachChild(e: Expression, visit: (child: Expression) => void): void {
  switch (e.kind) {
    case 'unary':
      visit(e.a)
      break
    case 'binary':
      visit(e.a)
      visit(e.b)
      break
    case 'select':
      visit(e.a)
      visit(e.b)
      visit(e.yes)
      visit(e.no)
      break
    case 'guard':
      visit(e.value)
      break
    case 'reduce':
      visit(e.body)
      break
  }
}

/** Rebuilds a tree with `change` applied to every child. Shares what did not change. */
export function mapChildren(e: Expression, change: (child: Expression) => Expression): Expression {
  switch (e.kind) {
    case 'unary': {
      const a = change(e.a)
      return a === e.a ? e : unaryOf(e.op, a)
    }
    case 'binary': {
      const a = change(e.a)
      const b = change(e.b)
      return a === e.a && b === e.b ? e : binary(e.op, a, b)
    }
    case 'select':
      return selectOf(e.test, change(e.a), change(e.b), change(e.yes), change(e.no))
    case 'guard': {
      const value = change(e.value)
      return value === e.value ? e : guardOf(e.guards, value, e.otherwise)
    }
    case 'reduce': {
      const body = change(e.body)
      return body === e.body ? e : reductionOf(e.combine, e.axes, body)
    }
    default:
      return e
  }
}

/** Every node of a tree once, parents before children. Nodes in `seen` were visited before. */
export function walk(e: Expression, seen = new Set<Expression>()): Expression[] {
  const found: Expression[] = []
  const visit = (node: Expression): void => {
    if (seen.has(node)) return
    seen.add(node)
    found.push(node)
    forEachChild(node, visit)
  }
  visit(e)
  return found
}
