import { type Node, value } from '../graph/graph.ts'
import { decline, replace, rewrite } from '../graph/rewrite.ts'
import { policyOf } from '../ops/batch-norm/statistics-policy.ts'
import type { GraphPass } from './pass.ts'

/**
 * Prepares each batch_norm that `fold-batch-norm` left: in front of a convolution, behind pooling, of a value with several readers. Its
 * coefficients become nodes of `prepare`, so that an element costs y = (x - mean) k + beta and no root and no division:
 * little enough to be computed as the next layer reads it.
 */
export const prepareBatchNorm: GraphPass = {
  name: 'prepare-batch-norm',
  programs: ['infer', 'eval'],
  run: (graph) =>
    rewrite(graph, 'batch_norm', (bn) => {
      if (bn.attributes['style'] !== 'merged') return undefined
      if (policyOf(bn.attributes) === 'batch') return decline('test batches use their own statistics')
      const [x] = bn.inputs
      const name = `${bn.name}.coefficients`
      const rows = value(name, [3, x!.shape[1]!], bn.span, { storage: { role: 'prepared', slot: name, offset: 0 } })
      const prepare: Node = { ...bn, name, op: 'fold_statistics', inputs: [], outputs: [rows] }
      return replace([{ ...bn, op: 'normalize_folded', inputs: [x!, rows], parameters: {}, attributes: {} }], { prepare: [prepare] })
    }),
}
