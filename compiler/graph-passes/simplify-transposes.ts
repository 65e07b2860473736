import { PROGRAMS } from '../../bundle/format.ts'
import type { Node, Value } from '../graph/graph.ts'
import { substituteValues } from '../graph/rewrite.ts'
import { orderOf } from '../ops/transpose.ts'
import { isBatched, type Shape } from '../ir/tensor.ts'
import type { GraphPass } from './pass.ts'

/**
 * Makes one transposition of several in a row, and none where that moves nothing. One that moves axes of one element alone leaves the
 * numbers in their places: it becomes a `reshape`, which is a view.
 *   transpose(transpose(x, p), q) = transpose(x, r),   r[i] = p[q[i]]
 */
export const simplifyTransposes: GraphPass = {
  name: 'simplify-transposes',
  programs: PROGRAMS,
  run: (graph) => {
    if (!graph.nodes.some(({ op }) => op === 'transpose')) return { graph, declined: [] }
    /** What is transposed, and in which order, by the value that the transposition makes. */
    const known = new Map<Value, { readonly of: Value; readonly order: readonly number[] }>()
    const replacements = new Map<Value, Value>()
    const nodes = graph.nodes.flatMap((node): Node[] => {
      if (node.op !== 'transpose') return [node]
      const [x, y] = [node.inputs[0]!, node.outputs[0]!]
      const own = orderOf(node.attributes, x.shape.length)
      const before = known.get(x)
      const of = before?.of ?? x
      const order = before ? own.map((axis) => before.order[axis]!) : own
      known.set(y, { of, order })
      if (order.every((axis, d) => axis === d)) {
        replacements.set(y, of)
        return []
      }
      if (keepsPlaces(order, of.shape))
        return [{
          ...node,
          op: 'reshape',
          inputs: [of],
          attributes: { dims: isBatched(y.shape) ? y.shape.slice(1) as number[] : y.shape as number[] },
        }]
      return [before ? { ...node, inputs: [of], attributes: { order } } : node]
    })
    return { graph: substituteValues({ ...graph, nodes }, replacements), declined: [] }
  },
}

/** Whether all axes of more than one element stay in their order. */
function keepsPlaces(order: readonly number[], shape: Shape): boolean {
  const long = order.filter((axis) => shape[axis] !== 1)
  return long.every((axis, i) => i === 0 || axis > long[i - 1]!)
}
