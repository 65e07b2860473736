import type { TotalTerm } from '../../bundle/format.ts'
import { NUMBERS } from '../../dsl/signature.ts'
import type { Graph, Node, Value } from '../graph/graph.ts'
import { producers } from '../graph/query.ts'
import type { Operator } from './operator.ts'

/*
 * What the values of several batches make together: for a loss that is a mean over samples their mean by samples, for one over labels that
 * are not ignored their mean by these, for a sum their sum. So the whole has one value however it is cut into batches.
 */

/** One of these and its share in a result: factor times what the node makes. */
interface Leaf {
  readonly node: Node
  readonly factor: number
}

/** A result as a sum of nodes whose values can be put together. Undefined where it is something else, such as a product of two sums. */
export function leavesOf(
  of: Value,
  makers: ReadonlyMap<Value, Node>,
  operators: ReadonlyMap<string, Operator>,
  factor = 1,
): Leaf[] | undefined {
  const node = makers.get(of)
  if (!node) return undefined
  if (operators.get(node.op)?.total) return [{ node, factor }]
  const factors = factorsOf(node)
  if (!factors) return undefined
  const leaves: Leaf[] = []
  for (const [i, input] of node.inputs.entries()) {
    const own = leavesOf(input, makers, operators, factor * factors[i]!)
    if (!own) return undefined
    leaves.push(...own)
  }
  return leaves
}

/** The factor of each input in a node that is linear in all of them; undefined for another node, and where a number is added. */
function factorsOf({ op, inputs, attributes }: Node): readonly number[] | undefined {
  const numbers = attributes[NUMBERS.values] as readonly number[] | undefined
  const places = attributes[NUMBERS.places] as readonly number[] | undefined
  switch (op) {
    case 'add':
      return numbers ? undefined : inputs.map((_, i) => (attributes['coeff'] as readonly number[] | undefined)?.[i] ?? 1)
    case 'sub':
      return numbers ? undefined : [1, -1]
    case 'mean':
      return numbers ? undefined : inputs.map(() => 1 / inputs.length)
    case 'neg':
      return [-1]
    case 'mul':
      return numbers && inputs.length === 1 ? [numbers.reduce((a, b) => a * b, 1)] : undefined
    case 'div':
      return numbers && places?.[0] === 1 ? [1 / numbers[0]!] : undefined
    default:
      return undefined
  }
}

/** The names of the results that a host reads to put a total together: `part` and `count` of a node. */
export const partName = (node: Node): string => `part/${node.name}`
export const countName = (node: Node): string => `count/${node.name}`

/**
 * How the results of a net that are one number are put together, by name: terms to add up; none where the number of a batch
 * is all that there is. Absent where it is a plain mean over samples.
 */
export function totalsOf(graph: Graph, operators: ReadonlyMap<string, Operator>): Map<string, readonly TotalTerm[]> {
  const makers = producers(graph)
  const found = new Map<string, readonly TotalTerm[]>()
  for (const { name, value, role } of graph.outputs) {
    if (role !== 'loss' && role !== 'metric') continue
    const leaves = leavesOf(value, makers, operators)
    const terms = (leaves ?? []).map(({ node, factor }): TotalTerm => {
      const over = operators.get(node.op)!.total!(node)
      return {
        result: node.outputs[0] === value ? name : partName(node),
        ...(factor !== 1 && { factor }),
        over,
        ...(over === 'count' && { count: countName(node) }),
      }
    })
    // A sum of means over samples is one.
    if (leaves && terms.every(({ over }) => over === 'samples')) continue
    found.set(name, terms)
  }
  return found
}
