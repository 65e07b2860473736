import type { Graph, Node, Value } from './graph.ts'

/** All values that a node reads: its inputs, then its parameters. */
export const readsOf = (node: Node): Value[] => [...node.inputs, ...Object.values(node.parameters)]

/** The node that makes each value. */
export function producers(graph: Graph): Map<Value, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((out) => [out, node] as const)))
}

/** The nodes that read each value, each once, in order. */
export function readers(graph: Graph): Map<Value, Node[]> {
  const found = new Map<Value, Node[]>()
  for (const node of graph.nodes) {
    for (const read of new Set(readsOf(node))) {
      const known = found.get(read)
      if (known) known.push(node)
      else found.set(read, [node])
    }
  }
  return found
}

export const outputValues = (graph: Graph): Set<Value> => new Set(graph.outputs.map((output) => output.value))

/** The last replacement of a value, where a replacement may be replaced itself. */
export function resolved<T>(of: T, replacements: ReadonlyMap<T, T>): T {
  let now = of
  for (let next = replacements.get(now); next !== undefined; next = replacements.get(now)) now = next
  return now
}
