import type { Axis, Extent, Index } from './affine.ts'
import type { Tensor } from './tensor.ts'

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

/*
 * How nodes of expressions are made. Those that trees consist of have one layout in memory, whatever their kind: every pass walks trees and asks each node for
 * its kind, and an engine answers that with one load where all have one layout. So nodes are not copied by spreading them. Kinds that are rare have their
 * fields in a second layout, which begins alike.
 */

class ExpressionNode {
  /** See `rememberedAxes`, `rememberedKinds`. */
  #axes: ReadonlySet<Axis> | undefined
  #kinds: number | undefined
  declare readonly kind: Expression['kind']
  declare op: UnaryOp | BinaryOp | undefined
  declare a: Expression | undefined
  declare b: Expression | undefined
  declare value: number | Expression | undefined
  declare tensor: Tensor | undefined
  declare at: Index | readonly Index[] | undefined

  constructor(kind: Expression['kind']) {
    this.kind = kind
    this.op = undefined
    this.a = undefined
    this.b = undefined
    this.value = undefined
    this.tensor = undefined
    this.at = undefined
  }

  static axesOf(e: Expression, find: (e: Expression) => ReadonlySet<Axis>): ReadonlySet<Axis> {
    return #axes in e ? e.#axes ??= find(e) : find(e)
  }

  static kindsOf(e: Expression, find: (e: Expression) => number): number {
    return #kinds in e ? e.#kinds ??= find(e) : find(e)
  }
}

class RareExpressionNode extends ExpressionNode {
  declare guards: readonly Guard[] | undefined
  declare otherwise: number | undefined
  declare combine: Combiner | undefined
  declare axes: readonly Axis[] | undefined
  declare body: Expression | undefined
  declare test: Test | undefined
  declare yes: Expression | undefined
  declare no: Expression | undefined
  declare name: ScalarName | undefined
  declare key: number | undefined

  constructor(kind: Expression['kind']) {
    super(kind)
    this.guards = undefined
    this.otherwise = undefined
    this.combine = undefined
    this.axes = undefined
    this.body = undefined
    this.test = undefined
    this.yes = undefined
    this.no = undefined
    this.name = undefined
    this.key = undefined
  }
}

/*
 * What a node remembers of itself once `find` has found it, since everybody asks for it all the time: the axes that its value changes with, and bits for
 * kinds of nodes in it.
 */
export const rememberedAxes: (e: Expression, find: (e: Expression) => ReadonlySet<Axis>) => ReadonlySet<Axis> = ExpressionNode.axesOf
export const rememberedKinds: (e: Expression, find: (e: Expression) => number) => number = ExpressionNode.kindsOf

type Of<Kind extends Expression['kind']> = Extract<Expression, { kind: Kind }>

export function constant(value: number): Of<'constant'> {
  const node = new ExpressionNode('constant')
  node.value = value
  return node as Of<'constant'>
}

export function loadAt(tensor: Tensor, at: readonly Index[]): Load {
  const node = new ExpressionNode('load')
  node.tensor = tensor
  node.at = at
  return node as Load
}

export function positionAt(at: Index): Of<'position'> {
  const node = new ExpressionNode('position')
  node.at = at
  return node as Of<'position'>
}

export function randomAt(key: number, at: Index): Of<'random'> {
  const node = new RareExpressionNode('random')
  node.key = key
  node.at = at
  return node as Of<'random'>
}

export function scalar(name: ScalarName): Of<'scalar'> {
  const node = new RareExpressionNode('scalar')
  node.name = name
  return node as Of<'scalar'>
}

export function unaryOf(op: UnaryOp, a: Expression): Of<'unary'> {
  const node = new ExpressionNode('unary')
  node.op = op
  node.a = a
  return node as Of<'unary'>
}

export function binaryOf<A extends Expression, B extends Expression>(op: BinaryOp, a: A, b: B): Of<'binary'> & { a: A; b: B } {
  const node = new ExpressionNode('binary')
  node.op = op
  node.a = a
  node.b = b
  return node as Expression as Of<'binary'> & { a: A; b: B }
}

export function selectOf(test: Test, a: Expression, b: Expression, yes: Expression, no: Expression): Of<'select'> {
  const node = new RareExpressionNode('select')
  node.test = test
  node.a = a
  node.b = b
  node.yes = yes
  node.no = no
  return node as Of<'select'>
}

export function guardOf(guards: readonly Guard[], value: Expression, otherwise: number): Of<'guard'> {
  const node = new RareExpressionNode('guard')
  node.guards = guards
  node.value = value
  node.otherwise = otherwise
  return node as Of<'guard'>
}

export function reductionOf<Body extends Expression>(
  combine: Combiner,
  axes: readonly Axis[],
  body: Body,
): Reduction & { readonly body: Body } {
  const node = new RareExpressionNode('reduce')
  node.combine = combine
  node.axes = axes
  node.body = body
  return node as Expression as Reduction & { readonly body: Body }
}

/** The node with every index of its own changed; itself where it has none. */
export function withIndices(e: Expression, change: (at: Index) => Index): Expression {
  switch (e.kind) {
    case 'load':
      return loadAt(e.tensor, e.at.map(change))
    case 'position':
      return positionAt(change(e.at))
    case 'random':
      return randomAt(e.key, change(e.at))
    case 'guard':
      return guardOf(e.guards.map((g) => withIndex(g, change)), e.value, e.otherwise)
    default:
      return e
  }
}

const withIndex = (g: Guard, change: (at: Index) => Index): Guard =>
  g.kind === 'within' ? { kind: 'within', at: change(g.at), extent: g.extent } : { kind: 'divides', at: change(g.at), by: g.by }
