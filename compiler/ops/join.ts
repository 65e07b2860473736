import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Node, Value } from '../graph/graph.ts'
import { add, constant, div, type Expression, load, mul, neg, sub } from '../ir/expression.ts'
import { sameShape } from '../ir/tensor.ts'
import { reducedBy } from './axes.ts'
import { joinedEquations, joinShapes, joinTerms, operandGradient, operandsOf, type Term } from './broadcast.ts'
import { argumentProblem } from './diagnostics.ts'
import { numberOf, pointwise } from './elementwise.ts'
import { gradientOf } from './gradients.ts'
import { allOperands, numbersOf, type OperandOf, termOf } from './operands.ts'
import type { GradientBuilder, Gradients, Operator, ShapeQuestion } from './operator.ts'

const many = { min: 2, max: Infinity, numbers: true } as const
const two = { min: 2, max: 2, numbers: true } as const

const REPEATED = 'element by element; dimensions of 1 are repeated, and numbers may be operands'

/** The operands with the factor of each: tensors first, so that no two numbers meet, whose sum or product float32 might not hold. */
const weighed = (node: Pick<Node, 'inputs' | 'attributes'>): readonly { readonly operand: OperandOf; readonly factor: number }[] => {
  const given = node.attributes['coeff']
  const all = allOperands(node).map((operand, at) => ({
    operand,
    factor: Array.isArray(given) ? (given[at] as number | undefined) ?? 1 : 1,
  }))
  return [...all.filter(({ operand }) => 'value' in operand), ...all.filter(({ operand }) => 'number' in operand)]
}

/** dx_k of a sum: `factor` dy, or dy itself. */
function summandGradient(x: Value, k: number, factor: number, dy: Value, build: GradientBuilder): Value | undefined {
  if (!build.needs(x)) return undefined
  if (factor === 1 && sameShape(x.shape, dy.shape)) return dy
  return gradientOf(x, `dx${k}`, build, { op: 'add_dx', inputs: [dy], attributes: { factor } })
}

function coefficientProblems(q: ShapeQuestion): Diagnostic[] {
  const given = q.attributes['coeff']
  const operands = allOperands(q)
  if (!Array.isArray(given)) return []
  if (given.length !== operands.length) {
    return [
      argumentProblem(
        q,
        'coeff',
        'coeff-count',
        `${given.length} coefficients for ${operands.length} operands`,
        'write one for each operand, e.g. coeff: [1, -1]',
      ),
    ]
  }
  const large = operands.findIndex((operand, at) => 'number' in operand && !Number.isFinite(Math.fround(operand.number * given[at])))
  return large < 0 ? []
    : [
      argumentProblem(
        q,
        'coeff',
        'coeff-size',
        `operand ${large + 1} times its coefficient is more than float32 holds`,
        'write the product',
      ),
    ]
}

const addOperator: Operator = {
  name: 'add',
  signature: {
    name: 'add',
    values: many,
    parameters: [{ name: 'coeff', type: { kind: 'numbers' }, optional: true, named: true, doc: 'a factor for each operand' }],
    doc: `the sum of its operands, ${REPEATED}`,
  },
  shape: (q) => {
    const wrong = coefficientProblems(q)
    const answer = joinShapes(q)
    return 'shape' in answer ? (wrong.length > 0 ? wrong : answer) : [...wrong, ...answer]
  },
  equations: (node) => {
    const { shape } = node.outputs[0]!
    const terms = weighed(node).map(({ operand, factor }): Term => {
      const term = termOf(operand, shape)
      return (at) => mul(factor, term(at))
    })
    return joinedEquations(node, terms, (a, b) => add(a, b))
  },
  gradient: (node, dy, build) => ({
    inputs: weighed(node).flatMap(({ operand, factor }, k) =>
      'value' in operand ? [summandGradient(operand.value, k, factor, dy, build)] : []
    ),
  }),
}

/** dx_k = coeff_k dy, summed where x_k was repeated. */
const addDx: Operator = {
  name: 'add_dx',
  equations: (node) => {
    const dy = node.inputs[0]!
    return operandGradient(node, dy.shape, (at) => mul(numberOf(node.attributes, 'factor', 1), load(dy, ...at)))
  },
}

/** y = (a + b + ...) / count */
const meanOperator: Operator = {
  name: 'mean',
  signature: { name: 'mean', values: many, parameters: [], doc: `the mean of its operands, ${REPEATED}`, mends: reducedBy('reduce_mean') },
  shape: joinShapes,
  equations: (node) => {
    const { shape } = node.outputs[0]!
    const terms = weighed(node).map(({ operand }) => termOf(operand, shape))
    const { before, value } = joinTerms(node, shape, terms, (a, b) => add(a, b))
    return [...before, pointwise(node, (at) => div(value(at), terms.length))]
  },
  gradient: (node, dy, build) => ({
    inputs: node.inputs.map((x, k) => summandGradient(x, k, 1 / allOperands(node).length, dy, build)),
  }),
}

/** The two operands of a difference or quotient at each point. */
function bothOf(node: Pick<Node, 'inputs' | 'attributes' | 'outputs'>): readonly [Term, Term] {
  const [a, b] = allOperands(node).map((operand) => termOf(operand, node.outputs[0]!.shape))
  return [a!, b!]
}

/** Gradients of the first and the second operand, where they are tensors. */
function gradientsOfBoth(
  node: Node,
  first: (x: Value) => Value | undefined,
  second: (x: Value) => Value | undefined,
): Gradients {
  const [a, b] = allOperands(node) as readonly [OperandOf, OperandOf]
  return { inputs: ['value' in a ? [first(a.value)] : [], 'value' in b ? [second(b.value)] : []].flat() }
}

const subOperator: Operator = {
  name: 'sub',
  signature: { name: 'sub', values: two, parameters: [], doc: `its first operand minus its second, ${REPEATED}` },
  shape: joinShapes,
  equations: (node) => {
    const [a, b] = bothOf(node)
    return [pointwise(node, (at) => sub(a(at), b(at)))]
  },
  gradient: (node, dy, build) =>
    gradientsOfBoth(node, (a) => summandGradient(a, 0, 1, dy, build), (b) => summandGradient(b, 1, -1, dy, build)),
}

/** y = a / b;   da = dy / b;   db = -dy a / b^2 = -dy y / b */
const divOperator: Operator = {
  name: 'div',
  signature: { name: 'div', values: two, parameters: [], doc: `its first operand divided by its second, ${REPEATED}` },
  shape: joinShapes,
  equations: (node) => {
    const [a, b] = bothOf(node)
    return [pointwise(node, (at) => div(a(at), b(at)))]
  },
  gradient: (node, dy, build) => {
    const b = allOperands(node)[1]!
    const [inputs, attributes] = 'number' in b ? [[], { divisor: b.number }] : [[b.value], {}]
    return gradientsOfBoth(
      node,
      (x) => gradientOf(x, 'dx0', build, { op: 'div_dx', inputs: [dy, ...inputs], attributes }),
      (x) => gradientOf(x, 'dx1', build, { op: 'div_dx', inputs: [dy, x, node.outputs[0]!] }),
    )
  },
}

/** Inputs: dy; b where it is no number (`divisor`); y for the gradient of b. */
const divDx: Operator = {
  name: 'div_dx',
  equations: (node) => {
    const [dy, b, y] = node.inputs as readonly [Value, Value | undefined, Value | undefined]
    const divisor: Term = b ? operandsOf([b], dy.shape)[0]! : () => constant(numberOf(node.attributes, 'divisor', 1))
    const over = (at: Parameters<Term>[0]): Expression => (y ? neg(mul(load(dy, ...at), load(y, ...at))) : load(dy, ...at))
    return operandGradient(node, dy.shape, (at) => div(over(at), divisor(at)))
  },
}

const mulOperator: Operator = {
  name: 'mul',
  signature: { name: 'mul', values: many, parameters: [], doc: `the product of its operands, ${REPEATED}` },
  shape: joinShapes,
  equations: (node) => {
    const terms = weighed(node).map(({ operand }) => termOf(operand, node.outputs[0]!.shape))
    return joinedEquations(node, terms, (a, b) => mul(a, b))
  },
  gradient: (node, dy, build) => ({
    inputs: node.inputs.map((x, k) => {
      const others = node.inputs.filter((_, j) => j !== k)
      return gradientOf(x, `dx${k}`, build, { op: 'mul_dx', inputs: [dy, ...others], attributes: factorsOf(node) })
    }),
  }),
}

/** The numbers among the factors, for `mul_dx`. */
const factorsOf = ({ attributes }: Node): Node['attributes'] => {
  const { numbers } = numbersOf(attributes)
  return numbers === undefined ? {} : { factors: numbers }
}

/** dx_k = dy times the other operands, summed where x_k was repeated. Inputs: dy, the others that are tensors. */
const mulDx: Operator = {
  name: 'mul_dx',
  equations: (node) => {
    const { shape } = node.inputs[0]!
    const numbers = (node.attributes['factors'] as readonly number[] | undefined) ?? []
    const { before, value } = joinTerms(node, shape, operandsOf(node.inputs, shape), (a, b) => mul(a, b))
    return [...before, ...operandGradient(node, shape, (at) => numbers.reduce<Expression>((product, n) => mul(product, n), value(at)))]
  },
}

export const joinOperators: readonly Operator[] = [
  addOperator,
  addDx,
  subOperator,
  mulOperator,
  mulDx,
  divOperator,
  divDx,
  meanOperator,
]
