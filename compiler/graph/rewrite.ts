import { invariant } from '../invariant.ts'
import type { Graph, Node, Value } from './graph.ts'
import { readsOf, resolved } from './query.ts'

/** A node that a rule left as it was, and the reason. */
export interface Declined {
  /** The layer whose node it is. */
  readonly node: string
  readonly reason: string
}

/** Who makes and who reads the values of a graph, as the graph is now: what a rule may ask beside the node. */
export interface Uses {
  readonly producerOf: (value: Value) => Node | undefined
  /** Each reader once, in order. */
  readonly readersOf: (value: Value) => readonly Node[]
  readonly isOutput: (value: Value) => boolean
}

export interface Replacement {
  /** The nodes that stand where the node stood; none: it goes. */
  readonly nodes: readonly Node[]
  /** Further nodes that go, for example the convolution that was folded into. */
  readonly removed?: readonly Node[]
  /** Further nodes that become others at their own places. */
  readonly changed?: ReadonlyMap<Node, Node>
  /** Readers and outputs of a key read its value from then on. */
  readonly replacements?: ReadonlyMap<Value, Value>
  /** New nodes of `prepare`. */
  readonly prepare?: readonly Node[]
}

export type Decision = { readonly decline: string } | { readonly replace: Replacement } | undefined

/** The decision to leave the node as it is, with the reason. */
export const decline = (reason: string): Decision => ({ decline: reason })
export const replace = (nodes: readonly Node[], more: Omit<Replacement, 'nodes'> = {}): Decision => ({ replace: { nodes, ...more } })

/**
 * Applies a rule to every node of an operator, in order; each sees what the ones before it made of the graph. A rule that
 * gives nothing has nothing to say about a node (not even a reason to keep it).
 */
export function rewrite(
  graph: Graph,
  op: string,
  rule: (node: Node, uses: Uses) => Decision,
): { graph: Graph; declined: readonly Declined[] } {
  const declined: Declined[] = []
  const names = graph.nodes.filter((node) => node.op === op).map(({ name }) => name)
  if (names.length === 0) return { graph, declined }
  const rewriting = new Rewriting(graph)
  for (const name of names) {
    // An earlier replacement may have taken the node away or changed what it reads.
    const node = rewriting.named(name)
    const decision = node && rule(node, rewriting)
    if (!decision) continue
    if ('decline' in decision) declined.push({ node: node.layer, reason: decision.decline })
    else rewriting.apply(node, decision.replace)
  }
  return { graph: rewriting.graph(), declined }
}

/** A graph while it changes: who makes and who reads what is known after every replacement, whatever the number of nodes. */
class Rewriting implements Uses {
  private readonly before: Graph
  private changed = false
  /** The nodes that stand where each node of the graph before stood. */
  private readonly slots: (readonly Node[])[]
  private readonly slotOf = new Map<Node, number>()
  private readonly byName = new Map<string, Node>()
  private readonly makers = new Map<Value, Set<Node>>()
  private readonly readers = new Map<Value, Set<Node>>()
  private outputs: Graph['outputs']
  private results: Set<Value>
  private readonly prepare: Node[] = []

  constructor(graph: Graph) {
    this.before = graph
    this.slots = graph.nodes.map((node) => [node])
    graph.nodes.forEach((node, slot) => this.link(node, slot))
    this.outputs = graph.outputs
    this.results = new Set(this.outputs.map(({ value }) => value))
  }

  graph(): Graph {
    if (!this.changed) return this.before
    const { before, prepare } = this
    return {
      ...before,
      nodes: this.slots.flat(),
      outputs: this.outputs,
      ...(prepare.length > 0 && { prepare: [...(before.prepare ?? []), ...prepare] }),
    }
  }

  named(name: string): Node | undefined {
    return this.byName.get(name)
  }

  readonly producerOf = (value: Value): Node | undefined => this.sorted(this.makers.get(value)).at(-1)
  readonly readersOf = (value: Value): readonly Node[] => this.sorted(this.readers.get(value))
  readonly isOutput = (value: Value): boolean => this.results.has(value)

  apply(node: Node, { nodes, removed = [], changed, replacements, prepare = [] }: Replacement): void {
    this.changed = true
    this.put(node, nodes)
    for (const other of removed) this.put(other, [])
    for (const [other, now] of changed ?? []) if (this.slotOf.has(other)) this.put(other, [now])
    this.prepare.push(...prepare)
    if (replacements) this.substitute(replacements)
  }

  private substitute(replacements: ReadonlyMap<Value, Value>): void {
    const touched = new Set([...replacements.keys()].flatMap((value) => [...(this.readers.get(value) ?? [])]))
    for (const reader of touched) this.put(reader, [renameValues(reader, replacements)])
    if (![...replacements.keys()].some((value) => this.results.has(value))) return
    this.outputs = replacedOutputs(this.outputs, replacements)
    this.results = new Set(this.outputs.map(({ value }) => value))
  }

  private put(node: Node, nodes: readonly Node[]): void {
    const slot = this.slotOf.get(node)
    invariant(slot !== undefined, `${node.name} is not in the graph`)
    this.slots[slot] = this.slots[slot]!.flatMap((other) => (other === node ? nodes : [other]))
    this.unlink(node)
    for (const now of nodes) this.link(now, slot)
  }

  private link(node: Node, slot: number): void {
    this.slotOf.set(node, slot)
    this.byName.set(node.name, node)
    for (const out of node.outputs) addTo(this.makers, out, node)
    for (const read of readsOf(node)) addTo(this.readers, read, node)
  }

  private unlink(node: Node): void {
    this.slotOf.delete(node)
    if (this.byName.get(node.name) === node) this.byName.delete(node.name)
    for (const out of node.outputs) this.makers.get(out)?.delete(node)
    for (const read of readsOf(node)) this.readers.get(read)?.delete(node)
  }

  private sorted(nodes: ReadonlySet<Node> | undefined): Node[] {
    if (!nodes || nodes.size < 2) return [...(nodes ?? [])]
    const place = (node: Node): [number, number] => {
      const slot = this.slotOf.get(node)!
      return [slot, this.slots[slot]!.indexOf(node)]
    }
    return [...nodes].map((node) => ({ node, at: place(node) })).sort((a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1]).map(({ node }) =>
      node
    )
  }
}

function addTo(map: Map<Value, Set<Node>>, value: Value, node: Node): void {
  const known = map.get(value)
  if (known) known.add(node)
  else map.set(value, new Set([node]))
}

/** Everything that read or gave out a key of the map reads or gives out its value. */
export function substituteValues(graph: Graph, replacements: ReadonlyMap<Value, Value>): Graph {
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameValues(node, replacements)),
    outputs: replacedOutputs(graph.outputs, replacements),
  }
}

const replacedOutputs = (outputs: Graph['outputs'], replacements: ReadonlyMap<Value, Value>): Graph['outputs'] =>
  outputs.map((output) => {
    const { value } = output
    return replacements.has(value) ? { ...output, value: resolved(value, replacements) } : output
  })

/** The node with every value that it reads replaced; itself where nothing changes. What it makes stays. */
function renameValues(node: Node, replacements: ReadonlyMap<Value, Value>): Node {
  if (!readsOf(node).some((value) => replacements.has(value))) return node
  const now = (value: Value): Value => resolved(value, replacements)
  return {
    ...node,
    inputs: node.inputs.map(now),
    parameters: Object.fromEntries(Object.entries(node.parameters).map(([role, value]) => [role, now(value)])),
  }
}
