import { type Graph, type Node, value, type Value } from '../graph/graph.ts'
import { resolved } from '../graph/query.ts'
import type { Operator } from '../ops/operator.ts'
import { traitsOf } from '../ops/traits.ts'
import { isBatched, nextTensorId } from '../ir/tensor.ts'
import type { GraphPass } from './pass.ts'

/**
 * Stores as f16 what a net that infers moves most: values between layers, and the weights of convolutions and inner
 * products, folded or as they are. Each is rounded as `infer` or `prepare` stores it and widened as it is loaded, so all
 * arithmetic stays float32: an element is off by 2^-11 of itself at most, where it lies between 2^-14 and 65504.
 * Stays float32: what the net takes in and gives out, and every view of it; what a layer keeps to itself (partial sums);
 * statistics, biases and the coefficients of a normalization, which are few, and whose error would be that of a whole channel.
 * For programs that only read parameters: what is trained is not rounded.
 */
export const storeHalves: GraphPass = {
  name: 'store-halves',
  programs: ['infer', 'eval'],
  run: (graph, { operators }) => {
    const fixed = fixedRoots(graph, operators)
    const halves = new Map<Value, Value>()
    const half = (of: Value): Value => {
      const known = halves.get(of) ?? { ...of, id: nextTensorId(), type: 'f16' }
      halves.set(of, known)
      return known
    }
    const between = new Set(
      graph.nodes.flatMap((node) => node.outputs).filter((out) => out.type === 'f32' && isBatched(out.shape) && !fixed(out)),
    )
    const prepare: Node[] = []
    const weightOf = (node: Node, weight: Value): Value => {
      if (weight.storage?.role === 'prepared' || halves.has(weight)) return half(weight)
      const name = `${weight.name}.f16`
      const rounded = value(name, weight.shape, weight.madeAt, { type: 'f16', storage: { role: 'prepared', slot: name, offset: 0 } })
      halves.set(weight, rounded)
      prepare.push({
        name,
        op: 'round_weight',
        layer: node.layer,
        inputs: [],
        parameters: { weight },
        outputs: [rounded],
        attributes: {},
        span: node.span,
      })
      return rounded
    }
    const now = (of: Value): Value => (between.has(of) ? half(of) : of)
    const nodes = graph.nodes.map((node) => {
      const { weight } = node.parameters
      return {
        ...node,
        inputs: node.inputs.map(now),
        outputs: node.outputs.map(now),
        ...(weight && traitsOf(operators, node).linear && { parameters: { ...node.parameters, weight: weightOf(node, weight) } }),
      }
    })
    const made = (graph.prepare ?? []).map((node) => ({ ...node, outputs: node.outputs.map((out) => halves.get(out) ?? out) }))
    return { graph: { ...graph, nodes, prepare: [...made, ...prepare] }, declined: [] }
  },
}

/** Tells which values stay float32, since somebody outside reads or writes their storage; a view has the storage of its source. */
function fixedRoots(graph: Graph, operators: ReadonlyMap<string, Operator>): (of: Value) => boolean {
  const viewOf = new Map(
    graph.nodes.filter((node) => traitsOf(operators, node).view).map((node) => [node.outputs[0]!, node.inputs[0]!] as const),
  )
  const root = (of: Value): Value => resolved(of, viewOf)
  const results = new Set(graph.outputs.map((output) => root(output.value)))
  return (of) => root(of).storage !== undefined || results.has(root(of))
}
