import { type Graph, type Node, value, type Value } from '../graph/graph.ts'
import { isOutput, producers } from '../graph/query.ts'
import { statisticsShape } from '../ops/batch-norm.ts'
import type { GraphPass } from './pass.ts'

/** Tables that one kernel reads, at most: gamma, beta and its own result are bound too, and eight are granted everywhere. */
const MOST_TABLES = 5

/**
 * The statistics of what is concatenated along the channels are those of its parts, one after the other, and a value that
 * several layers normalize has one mean and one variance: these are taken once, by the kernel that makes the part, and only
 * what eps, gamma and beta make of them is computed for each layer. In DenseNet a layer then reads nothing for its statistics
 * that an earlier one has read before (Pleiss et al. 2017 store such values; here they are never missing).
 */
export const joinMoments: GraphPass = {
  name: 'join-moments',
  programs: ['infer/batch', 'eval/batch', 'gradients', 'step', 'train', 'accumulate'],
  run: (graph) => {
    const joining = new Joining(graph)
    const nodes = graph.nodes.flatMap((node) => (node.op === 'moments' && node.attributes['style'] !== 'split' ? joining.take(node) : [node]))
    return { graph: joining.changed ? { ...graph, nodes } : graph, declined: [] }
  },
}

class Joining {
  changed = false
  private readonly makers: ReadonlyMap<Value, Node>
  private readonly graph: Graph
  private readonly names: Set<string>
  /** Statistics that are there by now, by what they are of. */
  private readonly tables = new Map<Value, Value>()

  constructor(graph: Graph) {
    this.graph = graph
    this.makers = producers(graph)
    this.names = new Set(graph.nodes.map((node) => node.name))
  }

  take(moments: Node): Node[] {
    const x = moments.inputs[0]!
    const known = this.tables.get(x)
    const parts = known ? undefined : this.partsOf(x)
    this.tables.set(x, moments.outputs[0]!)
    if (!known && !parts) return [moments]
    this.changed = true
    const before: Node[] = []
    const inputs = known ? [known] : parts!.map((part) => this.tableOf(part, moments, before))
    return [...before, { ...moments, op: 'join_moments', inputs }]
  }

  /** What a value is made of along its channels, if that saves a pass over it. */
  private partsOf(x: Value): readonly Value[] | undefined {
    const maker = this.makers.get(x)
    if (maker?.op !== 'concat' || maker.inputs.length > MOST_TABLES || x.shape.length < 3) return undefined
    const axis = (maker.attributes['axis'] as number | undefined) ?? 1
    if (axis !== 1 && axis !== 1 - x.shape.length) return undefined
    // What is not computed, such as an image, has no kernel that could take its statistics on the way.
    return maker.inputs.every((part) => this.makers.has(part) && !isOutput(this.graph, part)) ? maker.inputs : undefined
  }

  private tableOf(x: Value, of: Node, before: Node[]): Value {
    const known = this.tables.get(x)
    if (known) return known
    const parts = this.partsOf(x)
    const inputs = parts ? parts.map((part) => this.tableOf(part, of, before)) : [x]
    const statistics = value(`${x.name}.statistics`, statisticsShape(x.shape, false), of.span)
    before.push({ ...of, name: this.unique(`${x.name}.moments`), op: parts ? 'join_moments' : 'moments', inputs, parameters: {}, outputs: [statistics] })
    this.tables.set(x, statistics)
    return statistics
  }

  private unique(wanted: string): string {
    let name = wanted
    for (let i = 2; this.names.has(name); i++) name = `${wanted}_${i}`
    this.names.add(name)
    return name
  }
}
