import type { Attributes } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import { abs, argmax, div, type Expression, load, mul, neg, position, select, sign, sqrt, square } from '../ir/expression.ts'
import type { Axis, IndexLike } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import type { Shape } from '../ir/tensor.ts'
import { axesOf, axesProblems, keptShape, pick, positionAlong } from './axes.ts'
import { labelProblems } from './diagnostics.ts'
import { axisAlong, pointAxes, pointwise } from './elementwise.ts'
import { firstInputGradient, positionGradient } from './gradients.ts'
import type { GradientBuilder, Gradients, Operator } from './operator.ts'
import { sampleReduction } from './sample-reduction.ts'

/*
 * Reductions along chosen axes of each sample. `keep: true` leaves axes of one element in their places, as Caffe's pooling and ONNX do.
 */

interface Kind {
  readonly name: string
  readonly doc: string
  readonly combine: 'sum' | 'max'
  readonly term: (x: Expression) => Expression
  /** The result, of the total of all terms and their number. */
  readonly result: (total: Expression, count: number) => Expression
  /** dx at an element, of dy, x and y there. Absent: all of dy goes to the element that was taken. */
  readonly dx?: (dy: Expression, x: () => Expression, y: () => Expression, count: number) => Expression
  /** What dx reads beside dy. */
  readonly reads?: readonly ('x' | 'y')[]
}

const KINDS: readonly Kind[] = [
  {
    name: 'mean',
    doc: 'the mean along axes',
    combine: 'sum',
    term: (x) => x,
    result: (total, count) => div(total, count),
    dx: (dy, _, __, count) => div(dy, count),
  },
  { name: 'sum', doc: 'the sum along axes', combine: 'sum', term: (x) => x, result: (total) => total, dx: (dy) => dy },
  { name: 'max', doc: 'the largest along axes', combine: 'max', term: (x) => x, result: (total) => total },
  { name: 'min', doc: 'the smallest along axes', combine: 'max', term: neg, result: neg },
  {
    name: 'l1',
    doc: 'the sum of absolute values along axes',
    combine: 'sum',
    term: abs,
    result: (total) => total,
    dx: (dy, x) => mul(dy, sign(x())),
    reads: ['x'],
  },
  {
    name: 'l2',
    doc: 'the root of the sum of squares along axes',
    combine: 'sum',
    term: square,
    result: sqrt,
    // Where all is 0 there is a kink: 0 is between its slopes.
    dx: (dy, x, y) => select('eq', y(), 0, 0, div(mul(dy, x()), y())),
    reads: ['x', 'y'],
  },
]

const kindOf = (name: unknown): Kind => KINDS.find((kind) => kind.name === name)!

/** Where a point of a shape lies in what is left of it. */
const reducedAt = (at: readonly IndexLike[], axes: readonly number[], keep: boolean): IndexLike[] =>
  keep ? at.map((a, d) => (axes.includes(d) ? 0 : a)) : at.filter((_, d) => !axes.includes(d))

const keepsAxes = (attributes: Attributes): boolean => attributes['keep'] !== false
const countOf = (shape: Shape, axes: readonly number[]): number => axes.reduce((product, d) => product * (shape[d] as number), 1)

/** x [n, ...] -> the same without `axes`, or with 1 in their places. Diagnostics: argument/axis, argument/axes, argument/batch-axis. */
const layerOf = (kind: Kind): Operator => ({
  name: `reduce_${kind.name}`,
  signature: {
    name: `reduce_${kind.name}`,
    parameters: [
      { name: 'axes', type: { kind: 'numbers', integer: true }, doc: 'the axes that are reduced; from the end where negative' },
      { name: 'keep', type: { kind: 'boolean' }, default: true, doc: 'whether they stay, of one element' },
    ],
    doc: kind.doc,
  },
  traits: { ...(kind.reads ? {} : { initSeesThrough: true }), pooling: true },
  shape: (q) => {
    const problems = [...labelProblems(q), ...axesProblems(q)]
    const { shape } = q.inputs[0]!
    return problems.length > 0 ? problems : { shape: keptShape(shape, axesOf(q.attributes, shape.length), keepsAxes(q.attributes)) }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    const out = node.outputs[0]!
    const axes = axesOf(node.attributes, x.shape.length)
    return sampleReduction({
      name: node.name,
      layers: [node.layer],
      shape: x.shape,
      reduced: axes,
      combine: kind.combine,
      terms: (at) => [kind.term(load(x, ...at))],
      stores: (at, [total]) => [
        store(out, reducedAt(at as IndexLike[], axes, keepsAxes(node.attributes)), kind.result(total!, countOf(x.shape, axes))),
      ],
    })
  },
  gradient: (node, dy, build) => (kind.dx ? spreadGradient(kind, node, dy, build) : takenGradient(kind, node, dy, build)),
})

function spreadGradient({ name, reads = [] }: Kind, node: Node, dy: Value, build: GradientBuilder): Gradients {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!]
  return firstInputGradient(node, build, {
    op: 'reduce_dx',
    inputs: [dy, ...reads.map((read) => (read === 'x' ? x : y))],
    attributes: { ...attributesOf(node), of: name },
  })
}

/** dx = dy at the first largest (smallest) in row order, 0 elsewhere. */
const takenGradient = ({ name }: Kind, node: Node, dy: Value, build: GradientBuilder): Gradients =>
  positionGradient(node, dy, build, {
    position: 'reduce_position',
    dx: 'reduce_taken_dx',
    attributes: { ...attributesOf(node), of: name },
  })

const attributesOf = ({ attributes }: Node): Attributes => ({ axes: attributes['axes']!, keep: keepsAxes(attributes) })

/** dx of each element from dy of what it went into. Inputs: dy, and of x and y what the reduction's gradient reads. */
const reduceDx: Operator = {
  name: 'reduce_dx',
  equations: (node) => {
    const [dy, ...others] = node.inputs as readonly [Value, ...Value[]]
    const { shape } = node.outputs[0]!
    const { dx, reads = [] } = kindOf(node.attributes['of'])
    const axes = axesOf(node.attributes, shape.length)
    return [pointwise(node, (at) => {
      const there = reducedAt(at, axes, keepsAxes(node.attributes))
      const read = (name: 'x' | 'y') => (): Expression => load(others[reads.indexOf(name)]!, ...(name === 'x' ? at : there))
      return dx!(load(dy, ...there), read('x'), read('y'), countOf(shape, axes))
    })]
  },
}

/** The position of the first largest (smallest) among the reduced axes, in row order. */
const reducePosition: Operator = {
  name: 'reduce_position',
  equations: (node) => [
    positionEquation(node, node.inputs[0]!, axesOf(node.attributes, node.inputs[0]!.shape.length), kindOf(node.attributes['of']).term),
  ],
}

function positionEquation(node: Node, x: Value, axes: readonly number[], term: (x: Expression) => Expression): Equation {
  const all = x.shape.map((_, d): Axis => axisAlong(x.shape, d))
  const kept = all.filter((_, d) => !axes.includes(d))
  const place = reducedAt(all, axes, keepsAxes(node.attributes))
  return equation(node.name, [node.layer], kept, [store(node.outputs[0]!, place, argmax(pick(all, axes), term(load(x, ...all))))])
}

/** dx = dy at the position that was taken. Inputs: dy, positions. */
const reduceTakenDx: Operator = {
  name: 'reduce_taken_dx',
  equations: (node) => {
    const [dy, taken] = node.inputs as readonly [Value, Value]
    const dx = node.outputs[0]!
    const axes = axesOf(node.attributes, dx.shape.length)
    const at = pointAxes(dx.shape)
    const there = reducedAt(at, axes, keepsAxes(node.attributes))
    const value = select('eq', load(taken, ...there), position(positionAlong(dx.shape, axes, at)), load(dy, ...there), 0)
    return [equation(node.name, [node.layer], at, [store(dx, at, value)])]
  },
}

export const reduceOperators: readonly Operator[] = [...KINDS.map(layerOf), reduceDx, reducePosition, reduceTakenDx]
