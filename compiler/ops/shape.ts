import type { Node, Value } from '../graph/graph.ts'
import { guard, load, within } from '../ir/expression.ts'
import { type Axis, divide, type Index, index, type IndexLike, minus, plus, remainder, times } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { elementsPerSample, isBatched, type Shape, showShape } from '../ir/tensor.ts'
import { argumentProblem, axisProblem, batchAxisProblem, labelProblems, shapeProblem } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator, ShapeQuestion } from './operator.ts'
import { fromEnd, numberOf, pointAxes, pointwise } from './elementwise.ts'

// ---- views: the same elements under another shape --------------------------------------------------------------------

/** Row-major position within a sample (the batch apart). */
function flat(shape: Shape, at: readonly Axis[]): Index {
  return at.reduce<Index>(
    (position, a, i) => (i === 0 && isBatched(shape) ? position : plus(times(position, shape[i] as number), a)),
    index(0),
  )
}

function unflat(shape: Shape, position: Index): IndexLike[] {
  let rest = position
  const at: IndexLike[] = []
  for (let i = shape.length - 1; i >= (isBatched(shape) ? 1 : 0); i--) {
    const first = i === (isBatched(shape) ? 1 : 0)
    at.unshift(first ? rest : remainder(rest, shape[i] as number))
    rest = divide(rest, shape[i] as number)
  }
  return at
}

/** A view as a copy, for targets that cannot read storage under another shape. */
const copy = (node: Node): readonly Equation[] => {
  const x = node.inputs[0]!
  return [pointwise(node, (at) => {
    const { shape } = node.outputs[0]!
    const inner = unflat(x.shape, flat(shape, at))
    return load(x, ...(isBatched(x.shape) ? [at[0]!, ...inner] : inner))
  })]
}

const viewGradient: Operator['gradient'] = (node, dy, build) => firstInputGradient(node, build, { op: 'reshape', inputs: [dy] })

const flatten: Operator = {
  name: 'flatten',
  signature: {
    name: 'flatten',
    parameters: [
      { name: 'axis', type: { kind: 'integer' }, default: 1, doc: 'the first axis that is joined' },
      { name: 'end', type: { kind: 'integer' }, default: -1, doc: 'the last axis that is joined' },
    ],
    doc: 'joins several axes into one',
  },
  traits: { view: true, initSeesThrough: true },
  shape: (q) => {
    const problems = labelProblems(q)
    if (problems.length > 0) return problems
    const x = q.inputs[0]!
    const rank = x.shape.length
    const from = fromEnd(numberOf(q.attributes, 'axis', 1), rank)
    const to = fromEnd(numberOf(q.attributes, 'end', -1), rank)
    // [n] has no axis 1: flattening gives each sample one feature.
    if (rank === 1 && isBatched(x.shape) && from === 1) return { shape: ['n', 1] }
    if (from < 0 || from >= rank) return [axisProblem(q, x)]
    if (to < from || to >= rank) {
      return [
        argumentProblem(
          q,
          'end',
          'flatten-range',
          `flatten from axis ${from} to axis ${q.attributes['end']} joins nothing of ${showShape(x.shape)}`,
          `\`end\` must be between ${from} and ${rank - 1}, or -1 for the last`,
        ),
      ]
    }
    if (from === 0 && isBatched(x.shape)) return [batchAxisProblem(q)]
    const joined = x.shape.slice(from, to + 1).reduce<number>((product, dim) => product * (dim as number), 1)
    return { shape: [...x.shape.slice(0, from), joined, ...x.shape.slice(to + 1)] }
  },
  equations: copy,
  gradient: viewGradient,
}

const reshape: Operator = {
  name: 'reshape',
  signature: {
    name: 'reshape',
    parameters: [{ name: 'dims', type: { kind: 'numbers', integer: true }, doc: 'the shape of one sample; one -1 is worked out' }],
    doc: 'the same numbers under another shape',
  },
  traits: { view: true, initSeesThrough: true },
  shape: (q) => {
    const problems = labelProblems(q)
    if (problems.length > 0) return problems
    const x = q.inputs[0]!
    const dims = q.attributes['dims'] as readonly number[]
    const wrong = dims.find((dim) => dim < 1 && dim !== -1)
    if (wrong !== undefined)
      return [
        argumentProblem(
          q,
          'dims',
          'reshape-dimension',
          `${wrong} is not a dimension`,
          'dimensions are 1 or more, or -1 for the one that is worked out',
        ),
      ]
    if (dims.filter((dim) => dim === -1).length > 1)
      return [argumentProblem(q, 'dims', 'reshape-unknowns', 'more than one dimension is -1', 'one can be worked out; write the others')]
    const count = elementsPerSample(x.shape)
    const known = dims.reduce((product, dim) => (dim === -1 ? product : product * dim), 1)
    const sizes = dims.map((dim) => (dim === -1 ? count / known : dim))
    if (sizes.some((dim) => !Number.isInteger(dim)) || sizes.reduce((product, dim) => product * dim, 1) !== count)
      return [reshapeMismatch(q, dims, count)]
    return { shape: isBatched(x.shape) ? ['n', ...sizes] : sizes }
  },
  equations: copy,
  gradient: viewGradient,
}

function reshapeMismatch(q: ShapeQuestion, dims: readonly number[], count: number) {
  const x = q.inputs[0]!
  const per = isBatched(x.shape) ? ' a sample' : ''
  const product = dims.reduce((a, b) => a * b, 1)
  const has = product < 0 ? `a multiple of ${-product}` : String(product)
  return shapeProblem(
    q,
    'reshape-mismatch',
    `${showShape(x.shape)} has ${count} numbers${per}, and [${dims.join(', ')}] wants ${has}`,
    [x],
    dims.length > 1 && Math.abs(product) === count * Math.abs(dims[0]!) ? `the batch is not written: reshape([${dims.slice(1).join(', ')}])`
      : dims.includes(-1) ? 'the other dimensions must divide what is there'
      : `write -1 for one of them and it is worked out${per && '; the batch is not written'}`,
  )
}

// ---- slice -----------------------------------------------------------------------------------------------------------

interface Range {
  readonly along: number
  readonly from: number
  readonly to: number
}

function rangeIn(node: { readonly attributes: Node['attributes'] }, x: Value): Range {
  const along = fromEnd(numberOf(node.attributes, 'axis', 1), x.shape.length)
  const length = x.shape[along] as number
  return {
    along,
    from: fromEnd(numberOf(node.attributes, 'from', 0), length),
    to: fromEnd(numberOf(node.attributes, 'to', length), length),
  }
}

const moved = (at: readonly Axis[], along: number, move: (a: Axis) => IndexLike): IndexLike[] =>
  at.map((a, i) => (i === along ? move(a) : a))

const slice: Operator = {
  name: 'slice',
  signature: {
    name: 'slice',
    parameters: [
      { name: 'axis', type: { kind: 'integer' }, doc: 'the axis that is cut; from the end where negative' },
      { name: 'from', type: { kind: 'integer' }, doc: 'the first that is taken; from the end where negative' },
      { name: 'to', type: { kind: 'integer' }, optional: true, doc: 'the first that is not taken any more; absent: all that follow' },
    ],
    doc: 'a part of its input along one axis',
  },
  traits: { initSeesThrough: true },
  shape: (q) => {
    const problems = labelProblems(q)
    if (problems.length > 0) return problems
    const x = q.inputs[0]!
    const axis = fromEnd(numberOf(q.attributes, 'axis', 1), x.shape.length)
    if (axis < 0 || axis >= x.shape.length) return [axisProblem(q, x)]
    if (axis === 0 && isBatched(x.shape)) return [batchAxisProblem(q)]
    const { from, to, along } = rangeIn(q, x)
    const length = x.shape[along] as number
    if (from < 0 || to > length || from >= to) {
      return [
        shapeProblem(
          q,
          'slice-range',
          `a slice from ${q.attributes['from']} to ${q.attributes['to'] ?? 'the end'} is not within the ${length} of axis ${along}`,
          [x],
          `from and to lie between 0 and ${length}, from before to`,
        ),
      ]
    }
    return { shape: x.shape.map((dim, i) => (i === along ? to - from : dim)) }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    const { along, from } = rangeIn(node, x)
    return [pointwise(node, (at) => load(x, ...moved(at, along, (a) => plus(a, from))))]
  },
  gradient: (node, dy, build) => {
    const { along, from } = rangeIn(node, node.inputs[0]!)
    return firstInputGradient(node, build, { op: 'slice_dx', inputs: [dy], attributes: { axis: along, from } })
  },
}

/** dy where the slice was taken, 0 elsewhere. */
const sliceDx: Operator = {
  name: 'slice_dx',
  equations: (node) => {
    const dy = node.inputs[0]!
    const out = node.outputs[0]!
    const along = numberOf(node.attributes, 'axis', 1)
    const from = numberOf(node.attributes, 'from', 0)
    const at = pointAxes(out.shape)
    const inside = minus(at[along]!, from)
    const value = guard([within(inside, dy.shape[along]!)], load(dy, ...moved(at, along, () => inside)))
    return [equation(node.name, [node.layer], at, [store(out, at, value)])]
  },
}

export const shapeOperators: readonly Operator[] = [flatten, reshape, slice, sliceDx]
