import { PROGRAMS } from '../../bundle/format.ts'
import { type Node, value } from '../graph/graph.ts'
import { replace, rewrite } from '../graph/rewrite.ts'
import type { GraphPass } from './pass.ts'

/**
 * Dragon's spelling, a batch_norm that owns gamma and beta, becomes Caffe's two layers: batch_norm(affine: false) -> scale,
 * with the parameters under the names that they have. Split style; `merge-scale` is its inverse.
 */
export const splitScale: GraphPass = {
  name: 'split-scale',
  programs: PROGRAMS,
  run: (graph) =>
    rewrite(graph, 'batch_norm', (bn) => {
      const { gamma, beta, ...statistics } = bn.parameters
      if (bn.attributes['style'] !== 'split' || !gamma) return undefined
      const [out] = bn.outputs
      const normalized = value(`${bn.name}.normalized`, out!.shape, bn.span)
      const plain: Node = { ...bn, parameters: statistics, outputs: [normalized], attributes: { ...bn.attributes, affine: false } }
      const scale: Node = {
        name: `${bn.name}.scale`,
        op: 'scale',
        layer: bn.layer,
        span: bn.span,
        inputs: [normalized],
        outputs: bn.outputs,
        parameters: { weight: gamma, ...(beta && { bias: beta }) },
        attributes: { bias: beta !== undefined },
      }
      return replace([plain, scale])
    }),
}
