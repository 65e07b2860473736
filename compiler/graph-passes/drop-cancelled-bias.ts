import type { Node } from '../graph/graph.ts'
import { decline, replace, rewrite } from '../graph/rewrite.ts'
import { linearOf } from '../ops/traits.ts'
import type { GraphPass } from './pass.ts'

/**
 * A bias in front of a normalization by the batch's own statistics cancels: it moves every value and the mean alike.
 *   (x + b) - mean(x + b) = x - mean(x),   var(x + b) = var(x),   so d loss / d b = 0
 * Merged style leaves it out of the kernel, adds it to the mean where that is kept for test time (`shift`), and asks for no
 * gradient: what is in the buffer for it stays zero. Runs behind `expand-batch-norm`, which tells which layers use the
 * batch's statistics, and before outputs are left out, so that all training programs agree on what has a gradient.
 */
export const dropCancelledBias: GraphPass = {
  name: 'drop-cancelled-bias',
  programs: ['infer/batch', 'eval/batch', 'gradients', 'step', 'train', 'accumulate'],
  run: (graph, { operators }) =>
    rewrite(graph, 'moments', (moments, uses) => {
      const x = moments.inputs[0]!
      const layer = uses.producerOf(x)
      const bias = layer?.parameters['bias']
      if (!layer || !bias || !linearOf(operators, layer)) return undefined
      const readers = uses.readersOf(x)
      const normalizations = readers.filter((reader) => reader.op === 'batch_normalize')
      if (normalizations.some((normalize) => normalize.attributes['style'] !== 'merged')) return undefined
      // What is normalized with stored statistics feels the bias.
      const others = readers.filter((reader) =>
        (reader.op !== 'batch_normalize' || reader.attributes['stored'] === true) && reader.op !== 'moments'
      )
      if (others.length > 0) return decline(`${layer.name} is read elsewhere too, by ${others.map((other) => other.name).join(', ')}`)
      if (uses.isOutput(x)) return decline(`${layer.name} is an output of the net`)
      const { bias: _, ...parameters } = layer.parameters
      const changed = new Map<Node, Node>([[layer, { ...layer, parameters, attributes: { ...layer.attributes, bias: false } }]])
      for (const other of readers) {
        if (other.op !== 'moments') continue
        for (const update of uses.readersOf(other.outputs[0]!)) {
          if (update.op === 'update_statistics') changed.set(update, { ...update, parameters: { ...update.parameters, shift: bias } })
        }
      }
      return replace([moments], { changed })
    }),
}
