import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Node, Value } from '../graph/graph.ts'
import { add, constant, type Expression, load, max, mul, select } from '../ir/expression.ts'
import { type Axis, type IndexLike, plus } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { type Dim, sameShape, type Shape, showShape, tensor, type Tensor } from '../ir/tensor.ts'
import { argumentProblem, labelProblems, shapeProblem } from './diagnostics.ts'
import type { GradientBuilder, Operator, ShapeAnswer, ShapeQuestion } from './operator.ts'
import { fromEnd, numberOf, pointAxes, pointwise } from './elementwise.ts'
import { sumsEquations } from './batch-reduction.ts'

// ---- broadcasting --------------------------------------------------------------------------------------------------

/** Where an operand is read for a point of the joint shape: its last dimensions meet the last ones; singletons repeat. */
const operandAt = (operand: Tensor, shape: Shape, at: readonly IndexLike[]): IndexLike[] => {
  const missing = shape.length - operand.shape.length
  return operand.shape.map((dim, i) => (dim === shape[i + missing] ? at[i + missing]! : 0))
}
const operand = (value: Tensor, shape: Shape, at: readonly IndexLike[]): Expression => load(value, ...operandAt(value, shape, at))

/** The joint shape: in each dimension all operands agree or are 1. Only what has no batch may lack leading dimensions. */
function joinShapes(q: ShapeQuestion): ShapeAnswer | readonly Diagnostic[] {
  const problems = labelProblems(q)
  if (problems.length > 0) return problems
  const rank = Math.max(...q.inputs.map((v) => v.shape.length))
  const fits = q.inputs.every((v) => v.shape.length === rank || v.shape[0] !== 'n')
  const joint = new Array<Dim>(rank).fill(1)
  for (const v of fits ? q.inputs : []) {
    for (const [i, dim] of v.shape.entries()) {
      const at = i + rank - v.shape.length
      if (dim === 1 || dim === joint[at]) continue
      if (joint[at] !== 1) return [joinMismatch(q)]
      joint[at] = dim
    }
  }
  return fits ? { shape: joint } : [joinMismatch(q)]
}

function joinMismatch(q: ShapeQuestion): Diagnostic {
  const shapes = q.inputs.map((v) => showShape(v.shape))
  return shapeProblem(
    q,
    `${q.op}-mismatch`,
    `${q.op} cannot join ${shapes.join(' with ')}`,
    q.inputs,
    hintForJoin(q.inputs[0]!.shape, q.inputs.find((v) => !sameShape(v.shape, q.inputs[0]!.shape))!.shape),
  )
}

function hintForJoin(a: Shape, b: Shape): string {
  if (a.length !== b.length) {
    const [less, more] = a.length < b.length ? [a, b] : [b, a]
    const sizes = [...less.slice(1), ...new Array<number>(more.length - less.length).fill(1)]
    return `give ${showShape(less)} as many dimensions, e.g. reshape([${sizes.join(', ')}])`
  }
  const space = a.some((dim, i) => i >= 2 && dim !== b[i])
  if (space && a[2] !== undefined && b[2] !== undefined && (a[2] as number) > (b[2] as number))
    return `bring both to one size, e.g. conv(${b[1]}, 1, stride: ${Math.round((a[2] as number) / (b[2] as number))}) on the larger one`
  if (space)
    return `bring both to one size, e.g. conv(${a[1]}, 1, stride: ${Math.round((b[2] as number) / (a[2] as number))}) on the larger one`
  if (a[1] !== b[1]) return `bring both to the same number of channels, e.g. conv(${a[1]}, 1) on the second, or join with concat`
  return 'dimensions must be equal, or 1 to be repeated'
}

/**
 * The gradient of one operand: what each point of the joint shape gives, summed over the dimensions in which the operand
 * was repeated.
 */
function operandGradient(node: Node, shape: Shape, term: (at: readonly IndexLike[]) => Expression): readonly Equation[] {
  const out = node.outputs[0]!
  if (sameShape(out.shape, shape)) return [pointwise(node, term)]
  const missing = shape.length - out.shape.length
  const kept = out.shape.flatMap((dim, i) => (dim === shape[i + missing] ? [i + missing] : []))
  return sumsEquations({
    name: node.name,
    layers: [node.layer],
    shape,
    kept,
    terms: (at) => [term(at)],
    stores: (at, [total]) => [store(out, out.shape.map((_, i) => at[kept.indexOf(i + missing)] ?? 0), total!)],
  })
}

const gradientNode = (
  build: GradientBuilder,
  op: string,
  k: number,
  value: Value,
  inputs: readonly Value[],
  attributes: Node['attributes'],
): Value => build.node({ suffix: `dx${k}`, op, inputs, attributes, outputs: [{ name: `dx${k}`, shape: value.shape }] })[0]!

const many = { min: 2, max: Infinity }

type Term = (at: readonly IndexLike[]) => Expression

/** Operands of one equation, at most: with its result and what may be fused into it they stay within eight bindings. */
const MOST_OPERANDS = 6

/** Joins terms from left to right; of many, the first ones are stored before the rest joins them. */
function joinTerms(
  node: Node,
  shape: Shape,
  terms: readonly Term[],
  join: (a: Expression, b: Expression) => Expression,
): { before: readonly Equation[]; value: Term } {
  const valueOf = (some: readonly Term[]): Term => (at) => some.map((term) => term(at)).reduce(join)
  if (terms.length <= MOST_OPERANDS) return { before: [], value: valueOf(terms) }
  const first = tensor(`${node.name}.part`, shape)
  const { before, value } = joinTerms(node, shape, [(at) => load(first, ...at), ...terms.slice(MOST_OPERANDS)], join)
  return { before: [partEquation(node, shape, [[first, valueOf(terms.slice(0, MOST_OPERANDS))]]), ...before], value }
}

function partEquation(node: Node, shape: Shape, parts: readonly (readonly [Tensor, Term])[]): Equation {
  const at = pointAxes(shape)
  return equation(`${node.name}.part`, [node.layer], at, parts.map(([into, term]) => store(into, at, term(at))))
}

const operandsOf = (values: readonly Value[], shape: Shape): Term[] => values.map((x) => (at) => operand(x, shape, at))

function joinedEquations(node: Node, terms: readonly Term[], join: (a: Expression, b: Expression) => Expression): readonly Equation[] {
  const { before, value } = joinTerms(node, node.outputs[0]!.shape, terms, join)
  return [...before, pointwise(node, value)]
}

// ---- add, mul, max -------------------------------------------------------------------------------------------------

const coefficients = (node: Node): readonly number[] => {
  const given = node.attributes['coeff']
  return Array.isArray(given) ? (given as readonly number[]) : []
}

const addOperator: Operator = {
  name: 'add',
  signature: {
    name: 'add',
    values: many,
    parameters: [{ name: 'coeff', type: { kind: 'numbers' }, optional: true, named: true, doc: 'a factor for each operand' }],
    doc: 'the sum of its operands, element by element; singleton dimensions are repeated',
  },
  shape: (q) => {
    const given = q.attributes['coeff']
    const wrong = Array.isArray(given) && given.length !== q.inputs.length
      ? [
        argumentProblem(
          q,
          'coeff',
          'coeff-count',
          `${given.length} coefficients for ${q.inputs.length} operands`,
          'write one for each operand, e.g. coeff: [1, -1]',
        ),
      ]
      : []
    const answer = joinShapes(q)
    return 'shape' in answer ? (wrong.length > 0 ? wrong : answer) : [...wrong, ...answer]
  },
  equations: (node) => {
    const coeff = coefficients(node)
    const terms = operandsOf(node.inputs, node.outputs[0]!.shape)
    return joinedEquations(node, terms.map((term, k) => (at) => mul(coeff[k] ?? 1, term(at))), (a, b) => add(a, b))
  },
  gradient: (node, dy, build) => {
    const coeff = coefficients(node)
    const gradientOf = (x: Value, k: number): Value => {
      const factor = coeff[k] ?? 1
      if (factor === 1 && sameShape(x.shape, dy.shape)) return dy
      return gradientNode(build, 'add_dx', k, x, [dy], { factor })
    }
    return { inputs: node.inputs.map((x, k) => (build.needs(x) ? gradientOf(x, k) : undefined)) }
  },
}

/** dx_k = coeff_k dy, summed where x_k was repeated. */
const addDx: Operator = {
  name: 'add_dx',
  equations: (node) => {
    const dy = node.inputs[0]!
    return operandGradient(node, dy.shape, (at) => mul(numberOf(node.attributes, 'factor', 1), load(dy, ...at)))
  },
}

const mulOperator: Operator = {
  name: 'mul',
  signature: {
    name: 'mul',
    values: many,
    parameters: [],
    doc: 'the product of its operands, element by element; singleton dimensions are repeated',
  },
  shape: joinShapes,
  equations: (node) => joinedEquations(node, operandsOf(node.inputs, node.outputs[0]!.shape), (a, b) => mul(a, b)),
  gradient: (node, dy, build) => ({
    inputs: node.inputs.map((
      x,
      k,
    ) => (build.needs(x) ? gradientNode(build, 'mul_dx', k, x, [dy, ...node.inputs.filter((_, j) => j !== k)], {}) : undefined)),
  }),
}

/** dx_k = dy times the other operands, summed where x_k was repeated. Inputs: dy, the others. */
const mulDx: Operator = {
  name: 'mul_dx',
  equations: (node) => {
    const { shape } = node.inputs[0]!
    const { before, value } = joinTerms(node, shape, operandsOf(node.inputs, shape), (a, b) => mul(a, b))
    return [...before, ...operandGradient(node, shape, value)]
  },
}

const maxOperator: Operator = {
  name: 'max',
  signature: {
    name: 'max',
    values: many,
    parameters: [],
    doc: 'the largest of its operands, element by element; singleton dimensions are repeated',
  },
  shape: joinShapes,
  equations: (node) => joinedEquations(node, operandsOf(node.inputs, node.outputs[0]!.shape), max),
  gradient: (node, dy, build) => ({
    inputs: node.inputs.map((
      x,
      k,
    ) => (build.needs(x) ? gradientNode(build, 'max_dx', k, x, [dy, ...node.inputs], { operand: k }) : undefined)),
  }),
}

interface Winner {
  /** The number of the operand that is the largest so far, and its value. */
  readonly which: Term
  readonly most: Term
}

/** Which operand is the largest, as Caffe has it: of equal first two the second, a later one must be strictly larger. The first NaN is larger than any number. */
function winnerOf(node: Node, shape: Shape, terms: readonly Term[]): { before: readonly Equation[]; which: Term } {
  const beats = (so: Winner, term: Term, k: number): Winner => ({
    which: (at) => {
      const most = so.most(at)
      return k === 1 ? select('lt', term(at), most, 0, select('eq', most, most, 1, 0))
        : select('le', term(at), most, so.which(at), select('eq', most, most, k, so.which(at)))
    },
    most: (at) => max(so.most(at), term(at)),
  })
  let winner: Winner = { which: () => constant(0), most: terms[0]! }
  const before: Equation[] = []
  terms.slice(1).forEach((term, i) => {
    // Fewer than of a sum: the gradient and two partial results are bound as well.
    if (i > 0 && i % (MOST_OPERANDS - 2) === 0) {
      const [which, most] = [tensor(`${node.name}.which`, shape), tensor(`${node.name}.most`, shape)]
      before.push(partEquation(node, shape, [[which, winner.which], [most, winner.most]]))
      winner = { which: (at) => load(which, ...at), most: (at) => load(most, ...at) }
    }
    winner = beats(winner, term, i + 1)
  })
  return { before, which: winner.which }
}

/** dx_k = dy where x_k is the largest, summed where it was repeated. Inputs: dy, all operands. */
const maxDx: Operator = {
  name: 'max_dx',
  equations: (node) => {
    const [dy, ...operands] = node.inputs as readonly [Value, ...Value[]]
    const { before, which } = winnerOf(node, dy.shape, operandsOf(operands, dy.shape))
    return [
      ...before,
      ...operandGradient(node, dy.shape, (at) => select('eq', which(at), numberOf(node.attributes, 'operand', 0), load(dy, ...at), 0)),
    ]
  },
}

// ---- concat --------------------------------------------------------------------------------------------------------

/** Where each operand starts along the axis. */
function starts(node: { readonly inputs: readonly Tensor[] }, along: number): number[] {
  let from = 0
  return node.inputs.map((x) => {
    const here = from
    from += x.shape[along] as number
    return here
  })
}

const shifted = (at: readonly Axis[], along: number, by: number): IndexLike[] => at.map((a, i) => (i === along ? plus(a, by) : a))

const concat: Operator = {
  name: 'concat',
  signature: {
    name: 'concat',
    values: { min: 1, max: Infinity },
    parameters: [{
      name: 'axis',
      type: { kind: 'integer' },
      default: 1,
      doc: 'the axis along which operands follow each other; from the end where negative',
    }],
    doc: 'its operands one after the other along an axis',
  },
  shape: (q) => {
    const problems = labelProblems(q)
    if (problems.length > 0) return problems
    const first = q.inputs[0]!
    const rank = first.shape.length
    const along = fromEnd(numberOf(q.attributes, 'axis', 1), rank)
    if (along < 0 || along >= rank) return [axisProblem(q, first)]
    if (along === 0 && q.inputs.some((v) => v.shape[0] === 'n')) return [batchAxisProblem(q)]
    const fits = q.inputs.every((v) => v.shape.length === rank && v.shape.every((dim, i) => i === along || dim === first.shape[i]))
    if (!fits) {
      return [
        shapeProblem(
          q,
          'concat-mismatch',
          `concat along axis ${along} cannot join ${q.inputs.map((v) => showShape(v.shape)).join(' with ')}`,
          q.inputs,
          `all dimensions but axis ${along} must be equal`,
        ),
      ]
    }
    const total = q.inputs.reduce((sum, v) => sum + (v.shape[along] as number), 0)
    return { shape: first.shape.map((dim, i) => (i === along ? total : dim)) }
  },
  // One equation an operand, each over the operand's own points, storing into its slice.
  equations: (node) => {
    const out = node.outputs[0]!
    const along = fromEnd(numberOf(node.attributes, 'axis', 1), out.shape.length)
    const from = starts(node, along)
    return node.inputs.map((x, k) => {
      const at = pointAxes(x.shape)
      return equation(node.inputs.length > 1 ? `${node.name}.${k}` : node.name, [node.layer], at, [
        store(out, shifted(at, along, from[k]!), load(x, ...at)),
      ])
    })
  },
  gradient: (node, dy, build) => {
    const along = fromEnd(numberOf(node.attributes, 'axis', 1), dy.shape.length)
    const from = starts(node, along)
    return {
      inputs: node.inputs.map((
        x,
        k,
      ) => (build.needs(x)
        ? gradientNode(build, 'slice', k, x, [dy], { axis: along, from: from[k]!, to: from[k]! + (x.shape[along] as number) }) : undefined)
      ),
    }
  },
}

export const axisProblem = (q: ShapeQuestion, x: Value): Diagnostic =>
  argumentProblem(
    q,
    'axis',
    'axis',
    `${showShape(x.shape)} has no axis ${q.attributes['axis']}`,
    `axes count from 0 to ${x.shape.length - 1}, or from -1 backwards`,
  )

export const batchAxisProblem = (q: ShapeQuestion): Diagnostic =>
  argumentProblem(
    q,
    'axis',
    'batch-axis',
    `${q.op} along axis 0 would change the batch, which is chosen when the net is opened`,
    'take another axis, or declare the inputs `whole`',
  )

export const joinOperators: readonly Operator[] = [addOperator, addDx, mulOperator, mulDx, maxOperator, maxDx, concat]
