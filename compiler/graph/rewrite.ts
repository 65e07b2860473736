import type { Graph, Node, Value } from './graph.ts'
import { isOutput, producers, readers } from './query.ts'

/** Why a rule left a node as it was. */
export interface Declined {
  /** The layer whose node it is. */
  readonly node: string
  readonly reason: string
}

/** What a rule sees beside the node: the graph as it is now. */
export interface Look {
  readonly graph: Graph
  readonly producerOf: (value: Value) => Node | undefined
  /** Each reader once. */
  readonly readersOf: (value: Value) => readonly Node[]
  readonly isOutput: (value: Value) => boolean
}

export interface Replacement {
  /** Stand where the node stood; empty: it goes. */
  readonly nodes: readonly Node[]
  /** Further nodes that go, e.g. the convolution that was folded into. */
  readonly removed?: readonly Node[]
  /** Further nodes that become others at their own places. */
  readonly changed?: ReadonlyMap<Node, Node>
  /** Readers and outputs of the key read the value instead. */
  readonly instead?: ReadonlyMap<Value, Value>
  /** New nodes of `prepare`. */
  readonly prepare?: readonly Node[]
}

export type Decision = { readonly keep: string } | { readonly replace: Replacement } | undefined

/** Declines with a reason. */
export const keep = (reason: string): Decision => ({ keep: reason })
export const replace = (nodes: readonly Node[], more: Omit<Replacement, 'nodes'> = {}): Decision => ({ replace: { nodes, ...more } })

export function lookAt(graph: Graph): Look {
  const made = producers(graph)
  const read = readers(graph)
  return {
    graph,
    producerOf: (value) => made.get(value),
    readersOf: (value) => [...new Set(read.get(value) ?? [])],
    isOutput: (value) => isOutput(graph, value),
  }
}

/**
 * Applies a rule to every node of an operator, in order; each sees what the ones before it made of the graph. A rule that
 * gives nothing has nothing to say about a node (not even a reason to keep it).
 */
export function rewrite(graph: Graph, op: string, rule: (node: Node, look: Look) => Decision): { graph: Graph; declined: readonly Declined[] } {
  const declined: Declined[] = []
  let current = graph
  let look = lookAt(current)
  for (const { name } of graph.nodes.filter((node) => node.op === op)) {
    // An earlier replacement may have taken the node away or changed what it reads.
    const node = current.nodes.find((other) => other.name === name)
    if (!node) continue
    const decision = rule(node, look)
    if (!decision) continue
    if ('keep' in decision) {
      declined.push({ node: node.layer, reason: decision.keep })
      continue
    }
    current = replaceNode(current, node, decision.replace)
    look = lookAt(current)
  }
  return { graph: current, declined }
}

export function replaceNode(graph: Graph, node: Node, change: Replacement): Graph {
  const gone = new Set(change.removed ?? [])
  const nodes = graph.nodes.flatMap((other) => (other === node ? change.nodes : gone.has(other) ? [] : [change.changed?.get(other) ?? other]))
  const replaced: Graph = {
    ...graph,
    nodes,
    ...(change.prepare && { prepare: [...(graph.prepare ?? []), ...change.prepare] }),
  }
  return change.instead ? substituteValues(replaced, change.instead) : replaced
}

/** Everything that read or gave out a key of the map reads or gives out its value. */
export function substituteValues(graph: Graph, instead: ReadonlyMap<Value, Value>): Graph {
  const now = (value: Value): Value => { const other = instead.get(value); return other ? now(other) : value }
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameValues(node, now)),
    outputs: graph.outputs.map((output) => (instead.has(output.value) ? { ...output, value: now(output.value) } : output)),
  }
}

/** The node with every value that it reads replaced; itself where nothing changes. What it makes stays. */
function renameValues(node: Node, now: (value: Value) => Value): Node {
  const inputs = node.inputs.map(now)
  const parameters = Object.fromEntries(Object.entries(node.parameters).map(([role, value]) => [role, now(value)]))
  const same = inputs.every((value, i) => value === node.inputs[i]) && Object.entries(parameters).every(([role, value]) => value === node.parameters[role])
  return same ? node : { ...node, inputs, parameters }
}
