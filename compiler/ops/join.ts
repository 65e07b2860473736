import type { Node, Value } from '../graph/graph.ts'
import { add, constant, load, max, mul, select } from '../ir/expression.ts'
import type { Equation } from '../ir/equation.ts'
import { sameShape, type Shape, tensor } from '../ir/tensor.ts'
import { joinedEquations, joinShapes, joinTerms, MOST_OPERANDS, operandGradient, operandsOf, partEquation, type Term } from './broadcast.ts'
import { argumentProblem } from './diagnostics.ts'
import { numberOf } from './elementwise.ts'
import { gradientOf } from './gradients.ts'
import type { Operator } from './operator.ts'

const many = { min: 2, max: Infinity }

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
    const partOf = (x: Value, k: number): Value | undefined => {
      const factor = coeff[k] ?? 1
      if (factor === 1 && sameShape(x.shape, dy.shape)) return dy
      return gradientOf(x, `dx${k}`, build, { op: 'add_dx', inputs: [dy], attributes: { factor } })
    }
    return { inputs: node.inputs.map((x, k) => (build.needs(x) ? partOf(x, k) : undefined)) }
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
    inputs: node.inputs.map((x, k) => {
      const others = node.inputs.filter((_, j) => j !== k)
      return gradientOf(x, `dx${k}`, build, { op: 'mul_dx', inputs: [dy, ...others] })
    }),
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
    inputs: node.inputs.map((x, operand) =>
      gradientOf(x, `dx${operand}`, build, { op: 'max_dx', inputs: [dy, ...node.inputs], attributes: { operand } })
    ),
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

export const joinOperators: readonly Operator[] = [addOperator, addDx, mulOperator, mulDx, maxOperator, maxDx]
