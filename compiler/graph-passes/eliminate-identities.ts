import type { Node } from '../graph/graph.ts'
import { substituteValues } from '../graph/rewrite.ts'
import { traitsOf } from '../ops/traits.ts'
import type { GraphPass } from './pass.ts'

/** Takes out what does nothing when testing: dropout was scaled in training already, so its input stands for its output. */
export const eliminateIdentities: GraphPass = {
  name: 'eliminate-identities',
  required: true,
  programs: ['infer', 'infer/batch', 'eval', 'eval/batch'],
  run: (graph, { operators }) => {
    const idle = (node: Node): boolean => traitsOf(operators, node).identityAtTest === true
    if (!graph.nodes.some(idle)) return { graph, declined: [] }
    const replacements = new Map(graph.nodes.filter(idle).map((node) => [node.outputs[0]!, node.inputs[0]!] as const))
    return { graph: substituteValues({ ...graph, nodes: graph.nodes.filter((node) => !idle(node)) }, replacements), declined: [] }
  },
}
