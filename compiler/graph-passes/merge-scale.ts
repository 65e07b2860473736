import { rewrite, decline, replace } from '../graph/rewrite.ts'
import { PROGRAMS } from '../../bundle/format.ts'
import type { GraphPass } from './pass.ts'

/**
 * Caffe's spelling, batch_norm(affine: false) -> scale, becomes one batch_norm that owns gamma and beta: the scale's weight
 * and bias under the names that they have. Merged style; `split-scale` is its inverse.
 *   scale(x-hat) = weight x-hat + bias = gamma x-hat + beta
 */
export const mergeScale: GraphPass = {
  name: 'merge-scale',
  programs: PROGRAMS,
  run: (graph) =>
    rewrite(graph, 'batch_norm', (bn, uses) => {
      if (bn.attributes['style'] !== 'merged') return undefined
      const [normalized] = bn.outputs
      const readers = uses.readersOf(normalized!)
      const scale = readers.find((reader) => reader.op === 'scale')
      if (!scale) return undefined
      if (bn.parameters['gamma']) return decline(`${bn.name} owns gamma and beta already, ${scale.name} stays a layer of its own`)
      // Somebody still needs the value before it is scaled.
      if (readers.length > 1)
        return decline(`${bn.name} is read elsewhere too, by ${readers.filter((r) => r !== scale).map((r) => r.name).join(', ')}`)
      if (uses.isOutput(normalized!))
        return decline(`${bn.name} is an output of the net before ${scale.name}`)
      const { weight, bias } = scale.parameters
      const merged = {
        ...bn,
        absorbed: [...(bn.absorbed ?? []), scale.layer],
        parameters: { ...bn.parameters, gamma: weight!, ...(bias && { beta: bias }) },
        outputs: scale.outputs,
        attributes: { ...bn.attributes, affine: true },
      }
      return replace([merged], { removed: [scale] })
    }),
}
