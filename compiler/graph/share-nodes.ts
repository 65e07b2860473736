import { canonicalGraphText } from './canonical.ts'
import type { Graph, NamedOutput, Node, Value } from './graph.ts'

/**
 * Makes programs of one net share the nodes that say the same. Each program is passed by itself, so that most of its backward pass is a
 * copy of another program's, node by node; what is then found of a node's equations (their values, texts, what they become when fused) is
 * found for all programs that have it. Graphs stay what they were: the values of a graph are told apart as before, by other objects.
 */
export class SharedNodes {
  /** Values by what stands in them; a graph that has several alike has the n-th of each list. */
  private readonly values = new Map<string, Value[]>()
  private readonly nodes = new Map<string, Node>()

  /** The graph, with nodes and values of earlier ones where they say the same. */
  share(graph: Graph): Graph {
    const stands = new Map<Value, Value>()
    // These are the net's own, the same in all programs.
    for (const given of [...graph.inputs, ...graph.parameters.map((entry) => entry.value)]) stands.set(given, given)
    const alike = new Map<string, number>()
    const shared = (value: Value): Value => {
      const known = stands.get(value)
      if (known) return known
      const { name, type, shape, storage } = value
      const key = `${name} ${type} ${shape.join()} ${storage ? `${storage.role} ${storage.slot ?? ''} ${storage.offset}` : ''}`
      const at = alike.get(key) ?? 0
      alike.set(key, at + 1)
      const list = this.values.get(key) ?? []
      this.values.set(key, list)
      const stand = list[at] ??= value
      stands.set(value, stand)
      return stand
    }
    const all = (values: readonly Value[]): readonly Value[] => values.map(shared)
    const sharedNode = (node: Node): Node => {
      const inputs = all(node.inputs)
      const outputs = all(node.outputs)
      const parameters = Object.fromEntries(Object.entries(node.parameters).map(([role, value]) => [role, shared(value)]))
      const key = [
        node.name,
        node.op,
        node.layer,
        node.absorbed?.join() ?? '',
        idsOf(inputs),
        Object.entries(parameters).map(([role, { id }]) => `${role}:${id}`).join(),
        idsOf(outputs),
        canonicalGraphText(node.attributes),
      ].join(' ')
      const known = this.nodes.get(key)
      if (known) return known
      const made = { ...node, inputs, parameters, outputs }
      this.nodes.set(key, made)
      return made
    }
    const output = (each: NamedOutput): NamedOutput => ({ ...each, value: shared(each.value) })
    return {
      ...graph,
      nodes: graph.nodes.map(sharedNode),
      outputs: graph.outputs.map(output),
      ...(graph.prepare && { prepare: graph.prepare.map(sharedNode) }),
      ...(graph.constants && { constants: graph.constants.map((each) => ({ ...each, value: shared(each.value) })) }),
    }
  }
}

const idsOf = (values: readonly Value[]): string => values.map(({ id }) => id).join()
