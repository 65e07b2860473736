import { NUMBERS } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import { constant, type Expression, load, max, min, select } from '../ir/expression.ts'
import type { Equation } from '../ir/equation.ts'
import { type Shape, tensor } from '../ir/tensor.ts'
import { reducedBy } from './axes.ts'
import { joinedEquations, joinShapes, MOST_OPERANDS, operandGradient, partEquation, type Term } from './broadcast.ts'
import { numberOf } from './elementwise.ts'
import { gradientOf } from './gradients.ts'
import { allOperands, numbersOf, termOf } from './operands.ts'
import type { Operator } from './operator.ts'

/** The larger or the smaller of two. */
interface Extreme {
  readonly of: (a: Expression, b: Expression) => Expression
  /** `yes` where a goes beyond b, or (`orEqual`) is equal to it; else, and for a NaN, `no`. */
  readonly beyond: (a: Expression, b: Expression, orEqual: boolean, yes: Expression | number, no: Expression | number) => Expression
}

const LARGEST: Extreme = { of: max, beyond: (a, b, orEqual, yes, no) => select(orEqual ? 'le' : 'lt', b, a, yes, no) }
const SMALLEST: Extreme = { of: min, beyond: (a, b, orEqual, yes, no) => select(orEqual ? 'le' : 'lt', a, b, yes, no) }

interface Winner {
  /** The number of the operand that wins so far, and its value. */
  readonly which: Term
  readonly most: Term
}

/**
 * Which operand is the largest (smallest), as Caffe has it: of equal first two the second, a later one must be strictly larger (smaller). The
 * first NaN wins against any number.
 */
function winnerOf(
  node: Node,
  shape: Shape,
  terms: readonly Term[],
  { of, beyond }: Extreme,
): { before: readonly Equation[]; which: Term } {
  const beats = (so: Winner, term: Term, k: number): Winner => ({
    which: (at) => {
      const most = so.most(at)
      return k === 1 ? beyond(most, term(at), false, 0, select('eq', most, most, 1, 0))
        : beyond(most, term(at), true, so.which(at), select('eq', most, most, k, so.which(at)))
    },
    most: (at) => of(so.most(at), term(at)),
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

function operatorsOf(name: string, doc: string, extreme: Extreme): readonly Operator[] {
  return [{
    name,
    signature: {
      name,
      values: { min: 2, max: Infinity, numbers: true },
      parameters: [],
      doc: `${doc}, element by element; dimensions of 1 are repeated, and numbers may be operands`,
      mends: reducedBy(`reduce_${name}`),
    },
    traits: {
      bounds: (attributes) => {
        const numbers = (attributes[NUMBERS.values] ?? []) as readonly number[]
        return extreme === LARGEST ? [Math.max(-Infinity, ...numbers), Infinity] : [-Infinity, Math.min(Infinity, ...numbers)]
      },
    },
    shape: joinShapes,
    equations: (node) => joinedEquations(node, allOperands(node).map((operand) => termOf(operand, node.outputs[0]!.shape)), extreme.of),
    gradient: (node, dy, build) => ({
      inputs: allOperands(node).flatMap((operand, at) =>
        'number' in operand ? []
          : [gradientOf(operand.value, `dx${operand.input}`, build, {
            op: `${name}_dx`,
            inputs: [dy, ...node.inputs],
            attributes: { ...numbersOf(node.attributes), operand: at },
          })]
      ),
    }),
  }, {
    /** dx_k = dy where x_k is the largest (smallest), summed where it was repeated. Inputs: dy, all operands that are tensors. */
    name: `${name}_dx`,
    equations: (node) => {
      const [dy, ...inputs] = node.inputs as readonly [Value, ...Value[]]
      const terms = allOperands({ inputs, attributes: node.attributes }).map((operand) => termOf(operand, dy.shape))
      const { before, which } = winnerOf(node, dy.shape, terms, extreme)
      return [
        ...before,
        ...operandGradient(node, dy.shape, (at) => select('eq', which(at), numberOf(node.attributes, 'operand', 0), load(dy, ...at), 0)),
      ]
    },
  }]
}

export const extremeOperators: readonly Operator[] = [
  ...operatorsOf('max', 'the largest of its operands', LARGEST),
  ...operatorsOf('min', 'the smallest of its operands', SMALLEST),
]
