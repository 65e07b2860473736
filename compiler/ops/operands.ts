import { type Attributes, NUMBERS } from '../../dsl/signature.ts'
import type { Node, Value } from '../graph/graph.ts'
import { constant } from '../ir/expression.ts'
import type { Shape } from '../ir/tensor.ts'
import { operandsOf, type Term } from './broadcast.ts'

/*
 * Layers that join tensors take numbers of the file in the place of some of them: `add(x, 1)`, `sub(1, x)`. The tensors are the node's
 * inputs, the numbers and their places its attributes.
 */

/** An operand at its place in the call: a tensor, which is the node's input of that number, or a number. */
export type OperandOf = { readonly value: Value; readonly input: number } | { readonly number: number }

const listOf = (attributes: Attributes, name: string): readonly number[] => (attributes[name] as readonly number[] | undefined) ?? []

/** All operands in the order of the call. */
export function allOperands({ inputs, attributes }: Pick<Node, 'inputs' | 'attributes'>): readonly OperandOf[] {
  const places = listOf(attributes, NUMBERS.places)
  const numbers = listOf(attributes, NUMBERS.values)
  let input = 0
  return Array.from({ length: inputs.length + numbers.length }, (_, at): OperandOf => {
    const k = places.indexOf(at)
    return k >= 0 ? { number: numbers[k]! } : { value: inputs[input]!, input: input++ }
  })
}

/** An operand at each point of the joint shape. */
export const termOf = (operand: OperandOf, shape: Shape): Term =>
  'number' in operand ? () => constant(operand.number) : operandsOf([operand.value], shape)[0]!

/** The numbers of another node with the same operands. */
export const numbersOf = (attributes: Attributes): Attributes =>
  attributes[NUMBERS.values] === undefined ? {}
    : { [NUMBERS.values]: attributes[NUMBERS.values]!, [NUMBERS.places]: attributes[NUMBERS.places]! }
