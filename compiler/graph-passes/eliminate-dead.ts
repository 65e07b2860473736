import { PROGRAMS } from '../../bundle/format.ts'
import type { Graph, Node, Value } from '../graph/graph.ts'
import { readsOf } from '../graph/query.ts'
import type { GraphPass } from './pass.ts'

/** Removes nodes whose work neither a result nor an update of what outlives the program needs. */
export const eliminateDead: GraphPass = {
  name: 'eliminate-dead',
  required: true,
  programs: PROGRAMS,
  run: (graph) => {
    const nodes = living(
      graph.nodes,
      new Set(graph.outputs.map((output) => output.value)),
      (node) => node.outputs.some((out) => out.storage),
    )
    if (nodes.length === graph.nodes.length && !graph.prepare) return { graph, declined: [] }
    return { graph: withoutDeadPreparation({ ...graph, nodes }), declined: [] }
  },
}

function living(nodes: readonly Node[], wanted: Set<Value>, always: (node: Node) => boolean): Node[] {
  const kept: Node[] = []
  for (const node of [...nodes].reverse()) {
    if (!always(node) && !node.outputs.some((out) => wanted.has(out))) continue
    kept.push(node)
    for (const read of readsOf(node)) wanted.add(read)
  }
  return kept.reverse()
}

/** The graph without nodes of `prepare` whose results are no longer read. */
function withoutDeadPreparation(graph: Graph): Graph {
  if (!graph.prepare) return graph
  const wanted = new Set(graph.nodes.flatMap(readsOf))
  return { ...graph, prepare: living(graph.prepare, wanted, () => false) }
}
