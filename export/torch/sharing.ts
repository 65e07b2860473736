import type { Graph, Node } from '../../compiler/graph/graph.ts'
import type { Sharing } from './print-net.ts'

const parentOf = (layer: string): string => layer.slice(0, layer.lastIndexOf('.') + 1)

/** Arguments that say nothing of what a layer computes. */
const OF_TRAINING = new Set(['weights', 'lr_mult', 'decay_mult', 'weight_init', 'bias_init', 'init'])

const computing = ({ op, attributes, inputs }: Node): string =>
  JSON.stringify([op, Object.entries(attributes).filter(([name]) => !OF_TRAINING.has(name)).sort(), inputs.map(({ shape }) => shape)])

/**
 * Layers that read another one's parameters. Where both are in the same block and alike, the owner's module is called again
 * (`ownerWithin`: its name there); elsewhere each has a module of its own (`shared`).
 */
export function sharedParameters(graph: Graph): { readonly ownerWithin: ReadonlyMap<Node, string>; readonly shared: readonly Sharing[] } {
  const owners = new Map(graph.parameters.map(({ value, layer }) => [value, layer]))
  const nodes = new Map(graph.nodes.map((node) => [node.layer, node]))
  const ownerWithin = new Map<Node, string>()
  const shared: Sharing[] = []
  for (const node of graph.nodes) {
    const owner = Object.values(node.parameters).map((value) => owners.get(value)).find((layer) => layer !== undefined)
    if (owner === undefined || owner === node.layer) continue
    const other = nodes.get(owner)!
    if (parentOf(owner) === parentOf(node.layer) && computing(other) === computing(node))
      ownerWithin.set(node, owner.slice(parentOf(owner).length))
    else shared.push({ layer: node.layer, owner })
  }
  return { ownerWithin, shared }
}
