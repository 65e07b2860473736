import { type Graph, type Node, value, type Value } from '../graph/graph.ts'
import { outputValues, producers } from '../graph/query.ts'
import { statisticsShape } from '../ops/batch-norm/statistics-table.ts'
import { UniqueNames } from '../unique-names.ts'
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
    const nodes = graph.nodes.flatMap((node) => (isMerged(node) ? joining.take(node) : [node]))
    return { graph: joining.changed ? { ...graph, nodes } : graph, declined: [] }
  },
}

const isMerged = ({ op, attributes }: Node): boolean => op === 'moments' && attributes['style'] !== 'split'

class Joining {
  changed = false
  private readonly makers: ReadonlyMap<Value, Node>
  private readonly results: ReadonlySet<Value>
  private readonly names: UniqueNames
  /** Statistics that are there by now, by what they are of. */
  private readonly tables = new Map<Value, Value>()

  constructor(graph: Graph) {
    this.results = outputValues(graph)
    this.makers = producers(graph)
    this.names = new UniqueNames(graph.nodes.map((node) => node.name))
  }

  take(moments: Node): Node[] {
    const x = moments.inputs[0]!
    const known = this.tables.get(x)
    const parts = known ? undefined : this.partsOf(x)
    this.tables.set(x, moments.outputs[0]!)
    if (!known && !parts) return [moments]
    this.changed = true
    const before: Node[] = []
    for (const part of parts ?? []) this.makeTables(part, moments, before)
    const inputs = known ? [known] : parts!.map((part) => this.tables.get(part)!)
    return [...before, { ...moments, op: 'join_moments', inputs }]
  }

  /** The parts that a value is concatenated of along its channels, if that saves a pass over it. */
  private partsOf(x: Value): readonly Value[] | undefined {
    const maker = this.makers.get(x)
    if (maker?.op !== 'concat' || maker.inputs.length > MOST_TABLES || x.shape.length < 3) return undefined
    const axis = (maker.attributes['axis'] as number | undefined) ?? 1
    if (axis !== 1 && axis !== 1 - x.shape.length) return undefined
    // What is not computed, such as an image, has no kernel that could take its statistics on the way.
    return maker.inputs.every((part) => this.makers.has(part) && !this.results.has(part)) ? maker.inputs : undefined
  }

  /** The table of a value, those of its parts before it: in DenseNet a thousand of them may lie within each other. */
  private makeTables(wanted: Value, of: Node, before: Node[]): void {
    const open = [wanted]
    for (let x = open.at(-1); x; x = open.at(-1)) {
      const parts = this.tables.has(x) ? undefined : this.partsOf(x)
      const missing = parts?.find((part) => !this.tables.has(part))
      if (missing) {
        open.push(missing)
        continue
      }
      open.pop()
      if (this.tables.has(x)) continue
      const statistics = value(`${x.name}.statistics`, statisticsShape(x.shape, false), of.span)
      const inputs = parts ? parts.map((part) => this.tables.get(part)!) : [x]
      before.push({
        ...of,
        name: this.names.give(`${x.name}.moments`),
        op: parts ? 'join_moments' : 'moments',
        inputs,
        parameters: {},
        outputs: [statistics],
      })
      this.tables.set(x, statistics)
    }
  }
}
