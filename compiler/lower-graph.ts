import type { Graph, Node } from './graph/graph.ts'
import { invariant } from './invariant.ts'
import type { Equation } from './ir/equation.ts'
import type { Operator } from './ops/operator.ts'
import type { Tensor } from './ir/tensor.ts'

export interface LoweredGraph {
  readonly equations: readonly Equation[]
  /** Values that are another value's storage under another shape. */
  readonly viewOf: ReadonlyMap<Tensor, Tensor>
  /** Results, and what lives longer than the program. */
  readonly kept: ReadonlySet<Tensor>
}

/** What a node took in is its work too. */
const withLayers = (
  equation: Equation,
  absorbed: readonly string[],
): Equation => (absorbed.length === 0 ? equation : { ...equation, layers: [...new Set([...equation.layers, ...absorbed])] })

/** Programs share the nodes that passes leave as they are: what is found of their equations is then found for all of them. */
const equationsOf = new WeakMap<Node, readonly Equation[]>()
const equationsInTasksOf = new WeakMap<Node, readonly Equation[]>()

/** Every node says its equations; from here on there are loops, and no layers. `inTasks`: a few tasks keep the target busy. */
export function lowerGraph(graph: Graph, operators: ReadonlyMap<string, Operator>, inTasks = false): LoweredGraph {
  const viewOf = new Map<Tensor, Tensor>()
  const equations = graph.nodes.flatMap((node: Node): readonly Equation[] => {
    const operator = operators.get(node.op)
    invariant(operator, `node ${node.name} has the unknown operator ${node.op}`)
    if (operator.traits?.view) {
      viewOf.set(node.outputs[0]!, node.inputs[0]!)
      return []
    }
    const own = inTasks ? operator.equationsInTasks : undefined
    const remembered = own ? equationsInTasksOf : equationsOf
    const known = remembered.get(node)
    if (known) return known
    const equations = (own ?? operator.equations)(node).map((equation) => withLayers(equation, node.absorbed ?? []))
    remembered.set(node, equations)
    return equations
  })
  const kept = new Set<Tensor>(graph.outputs.map((output) => output.value))
  for (const value of [...kept]) {
    // A result that is a view keeps what it is a view of.
    for (let of = viewOf.get(value); of; of = viewOf.get(of)) kept.add(of)
  }
  for (const node of graph.nodes) for (const out of node.outputs) if (out.storage) kept.add(out)
  return { equations, viewOf, kept }
}
