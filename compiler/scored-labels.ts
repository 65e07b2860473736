import type { Graph, Value } from './graph/graph.ts'
import type { Operator } from './ops/operator.ts'
import { traitsOf } from './ops/traits.ts'

/**
 * The label whose classes an output scores, by the output's name: the output goes into a loss or a metric with that label, or is the
 * softmax of what does. A host then knows what its channels are called.
 */
export function scoredLabels({ nodes, outputs }: Graph, operators: ReadonlyMap<string, Operator>): Map<string, string> {
  const labels = new Map<Value, string>()
  for (const node of nodes) {
    const [scores, label] = node.inputs
    if (traitsOf(operators, node).comparesLabels && scores && label?.type === 'i32' && label.storage?.role === 'input')
      labels.set(scores, label.name)
  }
  for (const node of nodes) {
    const label = traitsOf(operators, node).keepsClasses ? labels.get(node.inputs[0]!) : undefined
    if (label !== undefined) labels.set(node.outputs[0]!, label)
  }
  return new Map(
    outputs.flatMap(({ name, role, value }) => (role === 'output' && labels.has(value) ? [[name, labels.get(value)!] as const] : [])),
  )
}
