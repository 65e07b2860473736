import { type Node, value, type Value } from '../graph/graph.ts'
import { decline, replace, rewrite } from '../graph/rewrite.ts'
import { channelNormalization } from '../ops/normalize.ts'
import { linearOf } from '../ops/traits.ts'
import type { GraphPass } from './pass.ts'

/** b' = b - sum of W mean / std loses the digits by which mean / std exceeds 1: three of 24 bits at most. */
const MOST_SHIFT = 8

/**
 * Folds a normalization by constants into the convolution or inner product that reads it, where every output sees all of the
 * weight: without padding, since pads are zero behind the normalization and not in front of it.
 *   W'[o,i,kh,kw] = W[o,i,kh,kw] / std[i];   b'[o] = b[o] - sum over i, kh, kw of W[o,i,kh,kw] mean[i] / std[i]
 * W' and b' become nodes of `prepare`; `fold-batch-norm`, which runs behind, folds these again. Elsewhere the normalization is
 * computed as the next layer loads what it reads.
 */
export const foldNormalize: GraphPass = {
  name: 'fold-normalize',
  programs: ['infer', 'eval'],
  run: (graph, { style, operators }) => (style === 'split' ? { graph, declined: [] } : rewrite(graph, 'normalize', (node, uses) => {
    const out = node.outputs[0]!
    const readers = uses.readersOf(out)
    const [layer] = readers
    if (uses.isOutput(out)) return decline(`${node.name} is an output of the net`)
    if (!layer || readers.length > 1)
      return readers.length > 1 ? decline(`it is read by ${readers.map((reader) => reader.name).join(', ')}`) : undefined
    const foldsInput = linearOf(operators, layer)?.foldsInput
    if (!foldsInput) return decline(`${layer.name} behind it is no convolution or inner product`)
    if (!foldsInput(layer.attributes)) return decline(`${layer.name} pads with zeros behind it`)
    const { mean, inverse } = channelNormalization(node.attributes, out.shape[1] as number)
    if (mean.some((m, c) => Math.abs(m) * inverse[c]! > MOST_SHIFT))
      return decline('its mean is so many deviations from zero that a bias would lose digits')
    const folded = foldInto(layer, node)
    return replace([], { changed: new Map([[layer, folded.layer]]), prepare: folded.prepare })
  })),
}

function foldInto(layer: Node, node: Node): { layer: Node; prepare: Node[] } {
  const x = node.inputs[0]!
  const name = `${node.name}+${layer.name}`
  const { weight, bias } = layer.parameters
  const made = (role: string, like: Value['shape']): Value =>
    value(`${name}.${role}`, like, layer.span, { storage: { role: 'prepared', slot: `${name}.${role}`, offset: 0 } })
  const [newWeight, newBias] = [made('weight', weight!.shape), made('bias', [layer.outputs[0]!.shape[1]!])]
  const joined = { layer: layer.layer, absorbed: [...(layer.absorbed ?? []), node.layer] }
  const attributes = {
    ...node.attributes,
    of: layer.op,
    groups: layer.attributes['groups'] ?? 1,
    transpose: layer.attributes['transpose'] === true,
    space: x.shape.slice(2).reduce<number>((product, dim) => product * (dim as number), 1),
  }
  const parameters = { ...node.parameters, weight: weight! }
  return {
    layer: {
      ...layer,
      ...joined,
      name,
      inputs: layer.inputs.map((input) => (input === node.outputs[0] ? x : input)),
      parameters: { weight: newWeight, bias: newBias },
      attributes: { ...layer.attributes, bias: true },
    },
    prepare: [
      {
        ...joined,
        name: `${name}.weight`,
        op: 'normalize_weight',
        span: node.span,
        inputs: [],
        parameters,
        outputs: [newWeight],
        attributes,
      },
      {
        ...joined,
        name: `${name}.bias`,
        op: 'normalize_bias',
        span: node.span,
        inputs: [],
        parameters: { ...parameters, ...(bias && { bias }) },
        outputs: [newBias],
        attributes,
      },
    ],
  }
}
