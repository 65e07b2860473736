import { nowhere } from '../../dsl/source.ts'
import type { Attributes } from '../../dsl/signature.ts'
import { onceByNode } from '../ir/once-by-node.ts'
import { nextTensorId, type Tensor } from '../ir/tensor.ts'
import { canonicalGraphText } from './canonical.ts'
import type { Graph, NamedOutput, Node, Value } from './graph.ts'

/** What stands in graphs, by a text that says it. */
interface Generation {
  /** A graph that has several values alike has the n-th of each list. */
  readonly values: Map<string, (Value | undefined)[]>
  readonly nodes: Map<string, Node>
}

const emptyGeneration = (): Generation => ({ values: new Map(), nodes: new Map() })

/**
 * Makes graphs share the nodes that say the same: those of the programs of a net, each of which is passed by itself, so that most of its backward pass
 * is a copy of another program's, and those of a net that has changed in a layer. What is then found of a node's equations (their values, texts, what
 * they become when fused) is found for all that have it. Graphs stay what they were: the values of a graph are told apart as before, by
 * other objects. Shared nodes and values know nothing of the text that they come from.
 */
export class SharedNodes {
  private now = emptyGeneration()
  private before = emptyGeneration()
  private readonly most: number

  /** `most`: of this many nodes or more, none outlives its generation. */
  constructor(most = Infinity) {
    this.most = most
  }

  /** Begins another generation: what neither it nor the next one uses is forgotten. */
  begin(): void {
    this.before = this.now.nodes.size < this.most ? this.now : emptyGeneration()
    this.now = emptyGeneration()
  }

  /** Forgets everything. */
  clear(): void {
    this.before = this.now = emptyGeneration()
  }

  /**
   * The graph, with nodes and values of earlier ones where they say the same. Two values of one graph stay two. `offsets`: values are the same wherever they
   * start in their buffers, which is put there instead: a layer that takes more parameters moves those of all layers behind it.
   */
  share(graph: Graph, offsets?: Map<Tensor, number>): Graph {
    const stands = new Map<Value, Value>()
    const alike = new Map<string, number>()
    const shared = (value: Value): Value => {
      const known = stands.get(value)
      if (known) return known
      const key = offsets ? placelessText(value) : textOf(value)
      let at = alike.get(key) ?? 0
      // One value has one place in all programs of a net.
      while (offsets && isElsewhere(this.now.values.get(key)?.[at], value, offsets)) at++
      alike.set(key, at + 1)
      const stand = this.valueOf(key, at, value, offsets ? placeless : ownCopy)
      if (offsets && value.storage) offsets.set(stand, value.storage.offset)
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
        attributesText(node.attributes),
      ].join(' ')
      const known = this.now.nodes.get(key) ?? this.before.nodes.get(key) ??
        { ...node, inputs, parameters, outputs, attributes: copied(node.attributes), span: nowhere }
      this.now.nodes.set(key, known)
      return known
    }
    const output = (each: NamedOutput): NamedOutput => ({ ...each, value: shared(each.value) })
    return {
      ...graph,
      inputs: all(graph.inputs),
      parameters: graph.parameters.map((entry) => ({ ...entry, value: shared(entry.value) })),
      nodes: graph.nodes.map(sharedNode),
      outputs: graph.outputs.map(output),
      ...(graph.prepare && { prepare: graph.prepare.map(sharedNode) }),
      ...(graph.constants && { constants: graph.constants.map((each) => ({ ...each, value: shared(each.value) })) }),
    }
  }

  private valueOf(key: string, at: number, value: Value, copy: (value: Value) => Value): Value {
    const list = this.now.values.get(key) ?? []
    this.now.values.set(key, list)
    if (list[at]) return list[at]
    // A value that stands already may come behind another that says the same: each object stands for one.
    const made = [this.before.values.get(key)?.[at], copy(value)].find((one) => one && !list.includes(one))
    return list[at] = made ?? { ...value, id: nextTensorId() }
  }
}

/** What is kept is nobody else's: a manifest says shapes and settings of the graph that it is made of, and its caller may change it. */
const ownCopy = (value: Value): Value =>
  value.madeAt === nowhere ? value
    : { ...value, shape: [...value.shape], ...(value.storage && { storage: { ...value.storage } }), madeAt: nowhere }

/** Where it starts is nobody's to read. */
const placeless = (value: Value): Value => ({
  ...value,
  id: nextTensorId(),
  shape: [...value.shape],
  ...(value.storage && { storage: { ...value.storage, offset: NaN } }),
  madeAt: nowhere,
})

/** Whether a value stands for one that starts elsewhere. */
const isElsewhere = (stand: Value | undefined, { storage }: Value, offsets: ReadonlyMap<Tensor, number>): boolean =>
  stand !== undefined && (offsets.get(stand) ?? storage?.offset) !== storage?.offset

const placelessText = onceByNode(({ name, type, shape, storage }: Value): string =>
  `${name} ${type} ${shape.join()} ${storage ? `${storage.role} ${storage.slot ?? ''}` : ''}`
)

/** Programs of a net have values in common, whose texts are asked for in each. */
const textOf = onceByNode(({ name, type, shape, storage }: Value): string =>
  `${name} ${type} ${shape.join()} ${storage ? `${storage.role} ${storage.slot ?? ''} ${storage.offset}` : ''}`
)

const attributesText = onceByNode((attributes: Attributes): string => canonicalGraphText(attributes))

const idsOf = (values: readonly Value[]): string => values.map(({ id }) => id).join()

/** A copy of plain data. */
function copied<T>(data: T): T {
  if (Array.isArray(data)) return data.map(copied) as T
  if (typeof data !== 'object' || data === null) return data
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, copied(value)])) as T
}
