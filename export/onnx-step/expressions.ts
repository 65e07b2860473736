import { type Axis, axesOf, isAxis } from '../../compiler/ir/affine.ts'
import { type Expression, type Guard, LOWEST, type UnaryOp } from '../../compiler/ir/expression.ts'
import type { Known } from './folding.ts'
import { writeLoad } from './loads.ts'
import type { WritingContext } from './writing-context.ts'
import { isProduct, writeProduct } from './products.ts'
import { aligned, countOf, isMade, joined, type Made, numberIn, reshapeTo, type Scope, truths, Unwritable,
  type Written } from './written.ts'

const UNARY: Readonly<Partial<Record<UnaryOp, string>>> = {
  neg: 'Neg',
  abs: 'Abs',
  sign: 'Sign',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  tanh: 'Tanh',
  erf: 'Erf',
  floor: 'Floor',
}
const BINARY = { add: 'Add', sub: 'Sub', mul: 'Mul', div: 'Div', min: 'Min', max: 'Max', pow: 'Pow' } as const
const TESTS = { lt: 'Less', le: 'LessOrEqual', eq: 'Equal' } as const
/** A mask of more truths than this is made of smaller ones. */
const LARGE_MASK = 2 ** 14

/** Writes the expressions of one equation, each once. */
export class Expressions {
  private readonly context: WritingContext
  private readonly scope: Scope
  private readonly points: readonly Axis[]
  private readonly known = new Map<Expression, Written>()

  constructor(context: WritingContext, scope: Scope, points: readonly Axis[]) {
    this.context = context
    this.scope = scope
    this.points = points
    scope.enter(points)
  }

  write(e: Expression): Written {
    const before = this.known.get(e)
    if (before) return before
    const written = this.context.folding.of(e, this.scope.sorted) ?? this.make(e)
    this.known.set(e, written)
    return written
  }

  private make(e: Expression): Written {
    const { nodes } = this.context
    switch (e.kind) {
      case 'load':
        return writeLoad(e, this.context, this.scope)
      case 'scalar':
        return { name: this.context.scalar(e.name), axes: [] }
      case 'random':
        return { name: this.context.random(e.key), axes: this.points }
      case 'unary': {
        const a = this.write(e.a)
        const op = UNARY[e.op]
        // Nobody looks through a sum in ONNX: `rounded` is its operand.
        return op === undefined ? a : { name: nodes.add(op, [aligned(nodes, a, a.axes)]), axes: a.axes }
      }
      case 'binary':
        return this.binary(BINARY[e.op], this.write(e.a), this.write(e.b))
      case 'select':
        return this.select(e)
      case 'guard':
        return this.guarded(e)
      case 'reduce':
        return this.reduction(e)
      default:
        throw new Unwritable(`${e.kind} of the batch`)
    }
  }

  private binary(op: string, a: Written, b: Written): Written {
    const { nodes } = this.context
    if (op === 'Max' && isMade(a) && numberIn(b) === 0) return { name: nodes.add('Relu', [a.name]), axes: a.axes }
    const axes = joined(this.scope, [a, b])
    return { name: nodes.add(op, [aligned(nodes, a, axes), aligned(nodes, b, axes)]), axes }
  }

  private select({ test, a, b, yes, no }: Extract<Expression, { kind: 'select' }>): Written {
    const { nodes } = this.context
    const [left, right] = [this.write(a), this.write(b)]
    if (test === 'finite') {
      const size = nodes.add('Abs', [aligned(nodes, left, left.axes)])
      return this.where({ name: nodes.add('LessOrEqual', [size, nodes.number(-LOWEST)]), axes: left.axes }, this.write(yes), this.write(no))
    }
    const [x, y] = [numberIn(left), numberIn(right)]
    if (x !== undefined && y !== undefined) return this.write((test === 'lt' ? x < y : test === 'le' ? x <= y : x === y) ? yes : no)
    const axes = joined(this.scope, [left, right])
    const condition = nodes.add(TESTS[test], [aligned(nodes, left, axes), aligned(nodes, right, axes)])
    return this.where({ name: condition, axes }, this.write(yes), this.write(no))
  }

  /** `yes` where a value of truths holds. */
  private where(condition: Made, yes: Written, no: Written): Written {
    const { nodes } = this.context
    const axes = joined(this.scope, [yes, no, condition])
    return { name: nodes.add('Where', [aligned(nodes, condition, axes), aligned(nodes, yes, axes), aligned(nodes, no, axes)]), axes }
  }

  private guarded({ guards, value, otherwise }: Extract<Expression, { kind: 'guard' }>): Written {
    const inside = this.write(value)
    const masks = this.masks(guards)
    const fallback: Known = { axes: [], values: [otherwise] }
    if (masks.length === 0) return inside
    const { nodes } = this.context
    const axes = this.scope.sorted(masks.flatMap((mask) => mask.axes))
    const condition = masks.map((mask) => truths(nodes, mask, axes)).reduce((all, mask) => nodes.add('And', [all, mask]))
    return this.where({ name: condition, axes }, inside, fallback)
  }

  /** Where guards hold, those of the same axes together; those that always do are none. */
  private masks(guards: readonly Guard[]): readonly Known[] {
    const { folding } = this.context
    const byAxes = new Map<string, { axes: readonly Axis[]; guards: Guard[] }>()
    for (const guard of guards) {
      const axes = this.scope.sorted(axesOf(guard.at))
      if (axes.some(({ extent }) => typeof extent !== 'number') || (guard.kind === 'within' && typeof guard.extent !== 'number')) {
        if (guard.kind === 'within' && axes.length === 1 && isAxis(guard.at, axes[0]!) && axes[0]!.extent === guard.extent) continue
        throw new Unwritable('a condition on the batch')
      }
      const key = axes.map(({ id }) => id).join()
      const known = byAxes.get(key)
      if (known) known.guards.push(guard)
      else byAxes.set(key, { axes, guards: [guard] })
    }
    const masks = [...byAxes.values()].map(({ axes, guards }): Known => ({ axes, values: folding.holds(guards, axes) }))
      .filter(({ values }) => values.some((value) => value === 0))
    const all = this.scope.sorted(masks.flatMap(({ axes }) => axes))
    return masks.length > 1 && countOf(all) <= LARGE_MASK ? [{ axes: all, values: folding.holds(guards, all) }] : masks
  }

  private reduction(e: Extract<Expression, { kind: 'reduce' }>): Written {
    this.scope.enter(e.axes)
    let [axes, body] = [e.axes, e.body]
    // Sums of sums are one sum.
    while (e.combine === 'sum' && body.kind === 'reduce' && body.combine === 'sum') {
      this.scope.enter(body.axes)
      axes = [...axes, ...body.axes]
      body = body.body
    }
    const { nodes } = this.context
    if (e.combine === 'sum' && body.kind === 'binary' && body.op === 'mul') {
      const factors = [this.write(body.a), this.write(body.b)] as const
      if (isProduct(factors, axes)) return writeProduct(nodes, factors, axes, this.scope)
    }
    const value = this.write(body)
    if (e.combine === 'argmax') return this.position(value, axes)
    const present = axes.filter((axis) => value.axes.includes(axis))
    const places = present.map((axis) => value.axes.indexOf(axis)).sort((a, b) => a - b)
    const left = value.axes.filter((axis) => !axes.includes(axis))
    const op = e.combine === 'sum' ? 'ReduceSum' : 'ReduceMax'
    const reduced: Made = { name: nodes.reduce(op, aligned(nodes, value, value.axes), places), axes: left }
    const repeated = axes.filter((axis) => !present.includes(axis))
    return e.combine === 'sum' && repeated.length > 0 ? this.binary('Mul', reduced, this.times(repeated)) : reduced
  }

  /** How many points some axes have. */
  private times(axes: readonly Axis[]): Written {
    const fixed = axes.filter(({ extent }) => typeof extent === 'number')
    const count: Known = { axes: [], values: [countOf(fixed)] }
    return fixed.length === axes.length ? count : this.binary('Mul', { name: this.context.scalar('batch'), axes: [] }, count)
  }

  /** The position of the first largest, row-major over the axes, as a number. */
  private position(value: Written, axes: readonly Axis[]): Written {
    const { nodes } = this.context
    if (axes.some((axis) => !value.axes.includes(axis))) throw new Unwritable('a position along what does not change')
    const left = value.axes.filter((axis) => !axes.includes(axis))
    const inFront = nodes.transpose(aligned(nodes, value, value.axes), [...left, ...axes].map((axis) => value.axes.indexOf(axis)))
    const flat = axes.length === 1 ? inFront : nodes.reshape(inFront, [...reshapeTo(left), countOf(axes)])
    const found = nodes.add('ArgMax', [flat], { axis: left.length, keepdims: 0 })
    return { name: nodes.add('Cast', [found], { to: 1 }), axes: left }
  }
}
