import { type Constant, value, type Value } from '../graph/graph.ts'
import { replace, rewrite } from '../graph/rewrite.ts'
import { divisorBuffer } from '../ops/loss/normalization.ts'
import type { GraphPass } from './pass.ts'

/**
 * Where an update adds up several batches, a mean over the labels that are not ignored is one over those of all of them: what gradients are
 * divided by is then no count of one batch. The host, which has the labels of all, writes it before they run, as one number for each
 * label input and ignored label; nothing is counted on the device.
 */
export const givenDivisors: GraphPass = {
  name: 'given-divisors',
  required: true,
  programs: ['train', 'accumulate', 'train/global', 'accumulate/global'],
  run: (graph, { train }) => {
    if ((train?.accumulate ?? 1) === 1) return { graph, declined: [] }
    const given = new Map<string, Value>()
    const constants: Constant[] = []
    const { graph: changed, declined } = rewrite(graph, 'loss_divisor', (node) => {
      const slot = divisorBuffer(node)
      if (slot === undefined) return undefined
      const known = given.get(slot) ?? value(slot, [], node.span, { storage: { role: 'constants', slot, offset: 0 } })
      if (!given.has(slot)) constants.push({ value: known, values: [{ times: 1, values: [1] }] })
      given.set(slot, known)
      return replace([], { replacements: new Map([[node.outputs[0]!, known]]) })
    })
    return { graph: constants.length > 0 ? { ...changed, constants: [...(changed.constants ?? []), ...constants] } : changed, declined }
  },
}
