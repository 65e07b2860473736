import { load } from '../ir/expression.ts'
import { store } from '../ir/equation.ts'
import type { Operator } from './operator.ts'
import { numberOf } from './elementwise.ts'
import { sumsEquations } from './batch-reduction.ts'

/** db[c] = sum over n and the map of dy[n, c, ...]: the gradient of whatever is added to each channel, or along attribute `axis`. */
const channelSum: Operator = {
  name: 'channel_sum',
  equations: (node) => {
    const dy = node.inputs[0]!
    const out = node.outputs[0]!
    return sumsEquations({
      name: node.name,
      layers: [node.layer],
      shape: dy.shape,
      kept: [numberOf(node.attributes, 'axis', 1)],
      terms: (at) => [load(dy, ...at)],
      stores: (at, [total]) => [store(out, at, total!)],
    })
  },
}

export const channelSumOperators: readonly Operator[] = [channelSum]
