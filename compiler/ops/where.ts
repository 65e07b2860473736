import type { Node, Value } from '../graph/graph.ts'
import { type Expression, load, select } from '../ir/expression.ts'
import { joinShapes, operandGradient, operandsOf, type Term } from './broadcast.ts'
import { argumentProblem } from './diagnostics.ts'
import { numberOf, pointwise } from './elementwise.ts'
import { gradientOf } from './gradients.ts'
import { allOperands, termOf } from './operands.ts'
import type { Operator } from './operator.ts'

/** `yes` where a mask is not 0: as PyTorch has it, what is NaN is not 0. */
const chosen = (mask: Expression, yes: Expression | number, no: Expression | number): Expression => select('eq', mask, 0, no, yes)

/**
 * y = a where mask is not 0, else b: what is not chosen is not looked at, NaN or infinity. da = dy where a was chosen, 0 elsewhere; db is the rest;
 * a mask has no gradient, a small change of it changes nothing. Diagnostics: argument/where-mask, and those of `add`.
 */
const whereOperator: Operator = {
  name: 'where',
  signature: {
    name: 'where',
    values: { min: 3, max: 3, numbers: true, names: ['mask', 'a', 'b'] },
    parameters: [],
    mends: Object.fromEntries(
      ['mask', 'condition', 'a', 'b', 'input', 'other', 'x', 'y'].map((name) => [name, 'operands have no names: write where(mask, a, b)']),
    ),
    doc:
      'its second operand where the first is not 0, else its third, element by element; dimensions of 1 are repeated, and both may be numbers',
  },
  shape: (q) => {
    const answer = joinShapes(q)
    const [mask, a, b] = allOperands(q)
    if (!('shape' in answer) || !mask || !('number' in mask)) return answer
    const side = mask.number === 0 ? b : a
    const mend = side && 'number' in side ? 'the first operand is the mask' : 'write what it takes, or a mask that is computed'
    return [argumentProblem(q, 'mask', 'where-mask', `the mask is ${mask.number} everywhere: where takes one side of it`, mend)]
  },
  equations: (node) => {
    const [mask, a, b] = allOperands(node).map((operand) => termOf(operand, node.outputs[0]!.shape)) as [Term, Term, Term]
    return [pointwise(node, (at) => chosen(mask(at), a(at), b(at)))]
  },
  traits: { isFlatIn: (input) => input === 0 },
  gradient: (node, dy, build) => ({
    inputs: allOperands(node).flatMap((operand, at) =>
      'number' in operand ? []
        : at === 0 ? [undefined]
        : [gradientOf(operand.value, `dx${operand.input}`, build, {
          op: 'where_dx',
          inputs: [dy, node.inputs[0]!],
          attributes: { operand: at },
        })]
    ),
  }),
}

/** Inputs: dy, the mask. `operand`: 1 for what is taken where the mask is not 0, 2 for the other. */
const whereDx: Operator = {
  name: 'where_dx',
  equations: (node: Node) => {
    const [dy, mask] = node.inputs as readonly [Value, Value]
    const of = operandsOf([mask], dy.shape)[0]!
    const isFirst = numberOf(node.attributes, 'operand', 1) === 1
    return operandGradient(node, dy.shape, (at) => {
      const given = load(dy, ...at)
      return isFirst ? chosen(of(at), given, 0) : chosen(of(at), 0, given)
    })
  },
}

export const whereOperators: readonly Operator[] = [whereOperator, whereDx]
