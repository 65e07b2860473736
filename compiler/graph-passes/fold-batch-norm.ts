import { type Node, value, type Value } from '../graph/graph.ts'
import { decline, type Uses, replace, rewrite } from '../graph/rewrite.ts'
import { policyOf } from '../ops/batch-norm/statistics-policy.ts'
import { linearOf, traitsOf } from '../ops/traits.ts'
import type { GraphPass, PassContext } from './pass.ts'

/**
 * Folds batch_norm into the convolution (or transposed convolution, or inner product) before it. Inference only: in
 * training the statistics belong to the batch.
 *   k[o] = gamma[o] / sqrt(var[o] + eps)
 *   W'[o,i,kh,kw] = W[o,i,kh,kw] * k[o];   b'[o] = (b[o] - mean[o]) * k[o] + beta[o]
 * Ioffe & Szegedy 2015, Algorithm 2, line 11. `merge-scale` ran before, so batch_norm owns gamma and beta however the file
 * spelled them. k, W' and b' become nodes of `prepare`: computed once, after weights are loaded, so that these stay
 * trainable and exchangeable.
 */
export const foldBatchNorm: GraphPass = {
  name: 'fold-batch-norm',
  programs: ['infer', 'eval'],
  run: (graph, { operators }) =>
    rewrite(graph, 'batch_norm', (bn, uses) => {
      if (bn.attributes['style'] !== 'merged') return undefined
      if (policyOf(bn.attributes) === 'batch') return decline('test batches use their own statistics')
      const before = bn.inputs[0]!
      const conv = uses.producerOf(before)
      const linear = conv && linearOf(operators, conv)
      if (!conv || !linear) return decline(nothingToFoldInto(conv, uses, operators))
      // A second reader, or the net's output, still needs the value before normalization.
      const others = uses.readersOf(before).filter((reader) => reader !== bn)
      if (others.length > 0) return decline(`${conv.name} is read elsewhere too, by ${others.map((other) => other.name).join(', ')}`)
      if (uses.isOutput(before)) return decline(`${conv.name} is an output of the net before ${bn.name}`)
      const folded = foldInto(conv, bn, linear.weightLayout(conv.attributes))
      return replace([folded.conv], { removed: [conv], prepare: folded.prepare })
    }),
}

function nothingToFoldInto(producer: Node | undefined, uses: Uses, operators: PassContext['operators']): string {
  if (!producer || !traitsOf(operators, producer).pooling) return 'no convolution in front'
  const behind = uses.producerOf(producer.inputs[0]!)
  return behind && linearOf(operators, behind) ? `pooling stands between it and ${behind.name}: ${producer.name}`
    : 'no convolution in front'
}

function foldInto(conv: Node, bn: Node, layout: string): { conv: Node; prepare: Node[] } {
  const name = `${conv.name}+${bn.name}`
  const { weight, bias } = conv.parameters
  const channels = [bn.inputs[0]!.shape[1]!]
  const prepared = (role: string, like: Value['shape']): Value =>
    value(`${name}.${role}`, like, conv.span, { storage: { role: 'prepared', slot: `${name}.${role}`, offset: 0 } })
  const k = value(`${name}.k`, channels, bn.span)
  const newBias = prepared('bias', channels)
  const newWeight = prepared('weight', weight!.shape)
  const joined = { layer: conv.layer, absorbed: [...(conv.absorbed ?? []), bn.layer, ...(bn.absorbed ?? [])] }
  return {
    conv: {
      ...conv,
      ...joined,
      name,
      outputs: bn.outputs,
      parameters: { ...conv.parameters, weight: newWeight, bias: newBias },
      attributes: { ...conv.attributes, bias: true },
    },
    prepare: [
      {
        ...joined,
        name: `${name}.coefficients`,
        op: 'fold_coefficients',
        span: bn.span,
        inputs: [],
        parameters: { ...bn.parameters, ...(bias && { bias }) },
        outputs: [k, newBias],
        attributes: bn.attributes,
      },
      {
        ...joined,
        name: `${name}.weight`,
        op: 'fold_weight',
        span: conv.span,
        inputs: [k],
        parameters: { weight: weight! },
        outputs: [newWeight],
        attributes: { layout, groups: conv.attributes['groups'] ?? 1 },
      },
    ],
  }
}
