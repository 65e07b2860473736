import type { ModelLayer } from '../model-net.ts'
import type { GraphProto, NodeProto } from './proto.ts'

/** A node and all names that it reads, those of graphs within it too. */
export interface NeededNode {
  readonly node: NodeProto
  readonly reads: readonly string[]
}

/** Names that a node reads: its inputs, and what graphs in its attributes take from around them (and a few of their own). */
export function readsOf(node: NodeProto): string[] {
  const names = node.inputs.filter(Boolean)
  const open: GraphProto[] = node.attributes.flatMap(({ g }) => g ?? [])
  for (const graph of open) {
    for (const { name } of graph.outputs) names.push(name)
    for (const inner of graph.nodes) {
      for (const name of inner.inputs) if (name) names.push(name)
      for (const { g } of inner.attributes) if (g) open.push(g)
    }
  }
  return names
}

/** The nodes on which the wanted values depend, in the file's order, in which each reads only what is before it. */
export function neededNodes(graph: GraphProto, wanted: readonly string[]): readonly NeededNode[] {
  const needed = new Set(wanted)
  const kept: NeededNode[] = []
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!
    if (!node.outputs.some((name) => name && needed.has(name))) continue
    const reads = readsOf(node)
    for (const name of reads) needed.add(name)
    kept.push({ node, reads })
  }
  return kept.reverse()
}

/** Layers that others or the results read: a comparison may have become a part of what reads it. */
export function readLayers(layers: readonly ModelLayer[], results: readonly string[]): readonly ModelLayer[] {
  const read = new Set<string | number>(results)
  const kept = layers.toReversed().filter(({ output, inputs, sharesWith }) => {
    if (!read.has(output)) return false
    for (const input of inputs) read.add(input)
    if (sharesWith !== undefined) read.add(sharesWith)
    return true
  })
  return kept.reverse()
}
