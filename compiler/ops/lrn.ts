import type { Attributes } from '../../dsl/signature.ts'
import type { Node } from '../graph/graph.ts'
import { add, div, type Expression, guard, load, mul, pow, sqrt, square, sub, sum, within } from '../ir/expression.ts'
import { type Axis, axis, type IndexLike, plus } from '../ir/affine.ts'
import { type Equation, equation, store } from '../ir/equation.ts'
import { type Shape, tensor, type Tensor } from '../ir/tensor.ts'
import { argumentProblem, channelProblems, labelProblems } from './diagnostics.ts'
import { firstInputGradient } from './gradients.ts'
import type { Operator } from './operator.ts'
import { numberOf, pointAxes } from './elementwise.ts'
import { mapProblems } from './sliding-window.ts'

/*
 * Local response normalization (Krizhevsky et al. 2012, section 3.3), as Caffe has it:
 *   y = x s^-beta,   s = k + alpha / size   * sum of x^2 over `size` channels around      (region: across)
 *                    s = 1 + alpha / size^2 * sum of x^2 over size x size pixels around   (region: within)
 * A neighbour counts for its neighbour as that counts for it, so with q = alpha / size (size^2) the gradient is
 *   dx = dy s^-beta - 2 q beta x * sum over the same neighbours of dy x s^(-beta - 1)
 */

const isWithin = (attributes: Attributes): boolean => attributes['region'] === 'within'
const sizeOf = (attributes: Attributes): number => numberOf(attributes, 'size', 5)
const betaOf = (attributes: Attributes): number => numberOf(attributes, 'beta', 0.75)
/** The factor of each square. */
const shareOf = (attributes: Attributes): number =>
  numberOf(attributes, 'alpha', 1e-4) / sizeOf(attributes) ** (isWithin(attributes) ? 2 : 1)

/** s^-beta. Powers of a quarter are roots: `pow` of devices is a coarse exp of a log, and AlexNet's beta is 0.75. */
function inversePower(s: Expression, beta: number): Expression {
  if (!Number.isInteger(4 * beta) || beta <= 0 || beta > 2) return pow(s, -beta)
  const root = sqrt(s)
  const factors = [
    ...new Array<Expression>(Math.floor(beta)).fill(s),
    ...((4 * beta) & 2 ? [root] : []),
    ...((4 * beta) & 1 ? [sqrt(root)] : []),
  ]
  return div(1, mul(...factors))
}

/** The sum of `value` over the neighbours of a point, itself among them; what lies outside counts nothing. */
function overNeighbours(
  attributes: Attributes,
  shape: Shape,
  at: readonly Axis[],
  value: (at: readonly IndexLike[]) => Expression,
): Expression {
  const size = sizeOf(attributes)
  const around = isWithin(attributes) ? [2, 3] : [1]
  const steps = around.map((d) => axis(d === 1 ? 'k' : d === 2 ? 'kh' : 'kw', size))
  const there = at.map((a, d) => (around.includes(d) ? plus(a, steps[around.indexOf(d)]!, -(size - 1) / 2) : a))
  return sum(steps, guard(around.map((d) => within(there[d]!, shape[d]!)), value(there)))
}

/** s at every point. */
function scaleEquation(node: Node, x: Tensor, into: Tensor): Equation {
  const { attributes } = node
  const at = pointAxes(x.shape)
  const squares = overNeighbours(attributes, x.shape, at, (there) => square(load(x, ...there)))
  const k = isWithin(attributes) ? 1 : numberOf(attributes, 'k', 1)
  return equation(`${node.name}.scale`, [node.layer], at, [store(into, at, add(mul(squares, shareOf(attributes)), k))])
}

/** Any [n, C, ...] across channels, maps within them. Diagnostics: shape/lrn-rank, argument/lrn-size. */
const lrn: Operator = {
  name: 'lrn',
  signature: {
    name: 'lrn',
    parameters: [
      { name: 'size', type: { kind: 'integer', min: 1 }, default: 5, doc: 'how many neighbours count, itself among them' },
      { name: 'alpha', type: { kind: 'number' }, default: 1e-4, doc: 'how much their mean square counts' },
      { name: 'beta', type: { kind: 'number' }, default: 0.75, doc: 'the power' },
      { name: 'k', type: { kind: 'number' }, default: 1, doc: 'what is added; 1 within channels' },
      {
        name: 'region',
        type: { kind: 'word', words: ['across', 'within'] },
        default: 'across',
        named: true,
        doc: 'neighbouring channels, or pixels of the same channel',
      },
    ],
    doc: 'local response normalization',
  },
  traits: {
    initSeesThrough: true,
    idle: (attributes) => (isWithin(attributes) ? [{ name: 'k', by: 'region', value: 'within', why: 'within channels 1 is added' }] : []),
  },
  shape: (q) => {
    const rank = isWithin(q.attributes) ? mapProblems(q) : [...labelProblems(q), ...channelProblems(q)]
    const size = sizeOf(q.attributes)
    const even = size % 2 === 1 ? []
      : [argumentProblem(q, 'size', 'lrn-size', `a window of ${size} has no middle`, `an odd size is wanted, e.g. ${size + 1}`)]
    return rank.length + even.length > 0 ? [...rank, ...even] : { shape: q.inputs[0]!.shape }
  },
  equations: (node) => {
    const x = node.inputs[0]!
    const y = node.outputs[0]!
    const scale = tensor(`${node.name}.scale`, x.shape)
    const at = pointAxes(y.shape)
    const value = mul(load(x, ...at), inversePower(load(scale, ...at), betaOf(node.attributes)))
    return [scaleEquation(node, x, scale), equation(node.name, [node.layer], at, [store(y, at, value)])]
  },
  gradient: (node, dy, build) =>
    firstInputGradient(node, build, { op: 'lrn_dx', inputs: [dy, node.inputs[0]!], attributes: node.attributes }),
}

/** Inputs: dy, x. */
const lrnDx: Operator = {
  name: 'lrn_dx',
  equations: (node) => {
    const [dy, x] = node.inputs
    const dx = node.outputs[0]!
    const beta = betaOf(node.attributes)
    const scale = tensor(`${node.name}.scale`, dx.shape)
    const ratio = tensor(`${node.name}.ratio`, dx.shape)
    const ratioAt = pointAxes(dx.shape)
    const s = load(scale, ...ratioAt)
    const at = pointAxes(dx.shape)
    const own = mul(load(dy!, ...at), inversePower(load(scale, ...at), beta))
    const others = overNeighbours(node.attributes, dx.shape, at, (there) => load(ratio, ...there))
    return [
      scaleEquation(node, x!, scale),
      equation(`${node.name}.ratio`, [node.layer], ratioAt, [
        store(ratio, ratioAt, mul(load(dy!, ...ratioAt), div(mul(load(x!, ...ratioAt), inversePower(s, beta)), s))),
      ]),
      equation(node.name, [node.layer], at, [
        store(dx, at, sub(own, mul(mul(2 * shareOf(node.attributes) * beta, load(x!, ...at)), others))),
      ]),
    ]
  },
}

export const lrnOperators: readonly Operator[] = [lrn, lrnDx]
