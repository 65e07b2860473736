import type { Graph, Node, Value } from './graph.ts'

/** Everything that a node reads. */
export const readsOf = (node: Node): Value[] => [...node.inputs, ...Object.values(node.parameters)]

/** The node that makes each value. */
export function producers(graph: Graph): Map<Value, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((out) => [out, node] as const)))
}

/** The nodes that read each value; a node that reads it twice stands there twice. */
export function readers(graph: Graph): Map<Value, Node[]> {
  const found = new Map<Value, Node[]>()
  for (const node of graph.nodes) {
    for (const read of readsOf(node)) found.set(read, [...(found.get(read) ?? []), node])
  }
  return found
}

export const isOutput = (graph: Graph, value: Value): boolean => graph.outputs.some((output) => output.value === value)
