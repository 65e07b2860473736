import { type Node, value } from '../graph/graph.ts'
import { extentAttributes, extentOf, hasChannelRows, statisticsShape } from '../ops/sample-norm/extent.ts'
import { affineOf } from '../ops/sample-norm/statistics.ts'
import { traitsOf } from '../ops/traits.ts'
import type { GraphPass } from './pass.ts'

/**
 * Takes normalizations of samples apart, so that the gradient reads the statistics that the forward pass took:
 *   sample_moments    the table of statistics
 *   sample_normalize  y = gamma x-hat + beta
 * Programs without gradients leave them whole: the table is then the layer's own, and of float32 whatever values are stored as.
 */
export const expandSampleNorm: GraphPass = {
  name: 'expand-sample-norm',
  programs: ['gradients', 'step', 'train', 'accumulate', 'gradients/global', 'step/global', 'train/global', 'accumulate/global'],
  run: (graph, { operators }) => {
    const isOne = (node: Node): boolean => traitsOf(operators, node).normalizesSamples === true
    if (!graph.nodes.some(isOne)) return { graph, declined: [] }
    return { graph: { ...graph, nodes: graph.nodes.flatMap((node) => (isOne(node) ? expanded(node) : [node])) }, declined: [] }
  },
}

function expanded(node: Node): Node[] {
  const x = node.inputs[0]!
  const affine = affineOf(node)
  const extent = extentOf(node, x.shape)
  const statistics = value(`${node.name}.statistics`, statisticsShape(extent, x.shape, affine !== undefined), node.span)
  const attributes = extentAttributes(node)
  return [
    {
      ...node,
      name: `${node.name}.moments`,
      op: 'sample_moments',
      parameters: hasChannelRows(extent) ? { ...affine } : {},
      outputs: [statistics],
      attributes,
    },
    { ...node, op: 'sample_normalize', inputs: [x, statistics], attributes },
  ]
}
