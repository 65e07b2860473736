import type { Tensor } from './tensor.ts'
import { type Axis, type Extent, index, type Index, type IndexLike } from './affine.ts'

/**
 * The value of one point of an equation, as a tree: plain data, float numbers only (labels load as numbers).
 * Reductions are ordinary nodes, so softmax is one expression and fusion is substitution of trees.
 */
export type Expression =
  | { readonly kind: 'constant'; readonly value: number }
  /** Always in bounds, except under a `guard` that says when. */
  | { readonly kind: 'load'; readonly tensor: Tensor; readonly at: readonly Index[] }
  /** An index as a number. */
  | { readonly kind: 'position'; readonly at: Index }
  /** A number that the runtime hands in with each dispatch. */
  | { readonly kind: 'scalar'; readonly name: ScalarName }
  | { readonly kind: 'unary'; readonly op: UnaryOp; readonly a: Expression }
  | { readonly kind: 'binary'; readonly op: BinaryOp; readonly a: Expression; readonly b: Expression }
  /** `test(a, b) ? yes : no`; every test with a NaN is false. `finite` looks at a alone, at its bits where the target assumes that there is no NaN. */
  | {
    readonly kind: 'select'
    readonly test: Test
    readonly a: Expression
    readonly b: Expression
    readonly yes: Expression
    readonly no: Expression
  }
  /** `value` where all guards hold, else `otherwise`: zero padding, strided gradients, slices of a concatenation. */
  | { readonly kind: 'guard'; readonly guards: readonly Guard[]; readonly value: Expression; readonly otherwise: number }
  | { readonly kind: 'reduce'; readonly combine: Combiner; readonly axes: readonly Axis[]; readonly body: Expression }
  /** Uniform in [0, 1), a function of (seed, step, key, at): the same number on every device. */
  | { readonly kind: 'random'; readonly key: number; readonly at: Index }

export type Load = Extract<Expression, { kind: 'load' }>
export type Reduction = Extract<Expression, { kind: 'reduce' }>

/**
 * `argmax`: position (row-major over the reduced axes) of the first largest. A NaN is larger than any number, so that maxima
 * carry it, and so do `min` and `max` of two: on the interpreter and on WebAssembly. WGSL allows compilers to assume that
 * there is none, so there nothing is said of it.
 */
export type Combiner = 'sum' | 'max' | 'argmax'
export type Test = 'lt' | 'le' | 'eq' | 'finite'
/**
 * `rounded` is its operand as float32 has it, and not to be looked through: shader compilers take sums for those of real
 * numbers, so that (x - m0) - m1 becomes x - (m0 + m1), and (k - (k + e)) + e becomes 0. Where arithmetic is done as it is
 * written it is nothing.
 */
export type UnaryOp = 'neg' | 'abs' | 'sign' | 'exp' | 'log' | 'sqrt' | 'tanh' | 'erf' | 'floor' | 'rounded'
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'pow'
/** `batch` is n; `rate` the learning rate of this step; corrections are Adam's 1 - b^(t+1). */
export type ScalarName = 'batch' | 'rate' | 'correction1' | 'correction2'

export type Guard =
  /** 0 <= at < extent */
  | { readonly kind: 'within'; readonly at: Index; readonly extent: Extent }
  /** at is a multiple of `by` */
  | { readonly kind: 'divides'; readonly at: Index; readonly by: number }

/** The largest negative float32, what a maximum starts with (WGSL has no literal for infinity). */
export const LOWEST = -3.4028234663852886e38

export type Operand = Expression | number

const lift = (value: Operand): Expression => (typeof value === 'number' ? { kind: 'constant', value } : value)
const isConstant = (e: Expression, value: number): boolean => e.kind === 'constant' && e.value === value

export const constant = (value: number): Expression => ({ kind: 'constant', value })
export const load = (tensor: Tensor, ...at: IndexLike[]): Expression => ({ kind: 'load', tensor, at: at.map(index) })
export const position = (at: IndexLike): Expression => ({ kind: 'position', at: index(at) })
export const scalar = (name: ScalarName): Expression => ({ kind: 'scalar', name })
export const random = (key: number, at: IndexLike): Expression => ({ kind: 'random', key, at: index(at) })

export const unary = (op: UnaryOp, a: Operand): Expression => ({ kind: 'unary', op, a: lift(a) })
export const neg = (a: Operand): Expression => unary('neg', a)
export const exp = (a: Operand): Expression => unary('exp', a)
export const log = (a: Operand): Expression => unary('log', a)
export const sqrt = (a: Operand): Expression => unary('sqrt', a)
export const abs = (a: Operand): Expression => unary('abs', a)
export const sign = (a: Operand): Expression => unary('sign', a)
export const tanh = (a: Operand): Expression => unary('tanh', a)
export const erf = (a: Operand): Expression => unary('erf', a)
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
  return { kind: 'binary', op, a, b }
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

export const select = (test: Test, a: Operand, b: Operand, yes: Operand, no: Operand): Expression => ({
  kind: 'select',
  test,
  a: lift(a),
  b: lift(b),
  yes: lift(yes),
  no: lift(no),
})

/** `yes` where a value is neither infinite nor NaN. */
export const ifFinite = (value: Expression, yes: Operand, no: Operand): Expression => select('finite', value, 0, yes, no)

export const guard = (guards: readonly Guard[], value: Expression, otherwise = 0): Expression =>
  guards.length === 0 ? value : { kind: 'guard', guards, value, otherwise }
export const within = (at: IndexLike, extent: Extent): Guard => ({ kind: 'within', at: index(at), extent })
export const divides = (at: IndexLike, by: number): Guard => ({ kind: 'divides', at: index(at), by })

export const sum = (axes: readonly Axis[], body: Operand): Expression => reduce('sum', axes, lift(body))
export const maximum = (axes: readonly Axis[], body: Operand): Expression => reduce('max', axes, lift(body))
export const argmax = (axes: readonly Axis[], body: Operand): Expression => reduce('argmax', axes, lift(body))
const reduce = (combine: Combiner, axes: readonly Axis[], body: Expression): Expression =>
  axes.length === 0 && combine !== 'argmax' ? body : { kind: 'reduce', combine, axes, body }

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
      return a === e.a ? e : { ...e, a }
    }
    case 'binary': {
      const a = change(e.a)
      const b = change(e.b)
      return a === e.a && b === e.b ? e : binary(e.op, a, b)
    }
    case 'select':
      return { ...e, a: change(e.a), b: change(e.b), yes: change(e.yes), no: change(e.no) }
    case 'guard': {
      const value = change(e.value)
      return value === e.value ? e : { ...e, value }
    }
    case 'reduce': {
      const body = change(e.body)
      return body === e.body ? e : { ...e, body }
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
