import { taskOf } from '../../bundle/format.ts'
import { type NamedOutput, type Node, value, type Value } from '../graph/graph.ts'
import { producers } from '../graph/query.ts'
import { countName, leavesOf, partName, totalsOf } from '../ops/totals.ts'
import type { GraphPass } from './pass.ts'

/**
 * Gives out what a host needs to put the losses and metrics of several batches together: of a mean over the labels that are not
 * ignored, how many these were (one store more in the kernel that divides by them), and of a result that is a sum of others each of them.
 * For evaluation, and for the batches that are added up before one update.
 */
export const totalResults: GraphPass = {
  name: 'total-results',
  required: true,
  programs: ['eval', 'eval/batch', 'train', 'accumulate', 'train/global', 'accumulate/global'],
  run: (graph, { program, operators, train }) => {
    if (taskOf(program) !== 'eval' && (train?.accumulate ?? 1) === 1) return { graph, declined: [] }
    const makers = producers(graph)
    const totals = totalsOf(graph, operators)
    const outputs = new Map<string, NamedOutput>()
    const counted = new Map<Node, Value>()
    for (const output of graph.outputs) {
      for (const { node } of totals.has(output.name) ? leavesOf(output.value, makers, operators) ?? [] : []) {
        if (node.outputs[0] !== output.value) outputs.set(partName(node), { name: partName(node), role: 'count', value: node.outputs[0]! })
        if (operators.get(node.op)!.total!(node) !== 'count') continue
        if (!counted.has(node)) counted.set(node, value(`${node.name}.counted`, [], node.span))
        outputs.set(countName(node), { name: countName(node), role: 'count', value: counted.get(node)! })
      }
    }
    if (outputs.size === 0) return { graph, declined: [] }
    const nodes = graph.nodes.map((node) => (counted.has(node) ? { ...node, outputs: [node.outputs[0]!, counted.get(node)!] } : node))
    return { graph: { ...graph, nodes, outputs: [...graph.outputs, ...outputs.values()] }, declined: [] }
  },
}
