import type { Attributes } from '../../../dsl/signature.ts'
import type { Node, Value } from '../../graph/graph.ts'
import { add, div, type Expression, load, mul, sqrt, sub } from '../../ir/expression.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { momentsEquations } from '../../ir/moments.ts'
import { tensor, type Tensor } from '../../ir/tensor.ts'
import { channelProblems, labelProblems } from '../diagnostics.ts'
import { numberOf, perChannel, pointwise } from '../elementwise.ts'
import { coefficients, rateParameters } from '../shared-parameters.ts'
import type { Operator, ParameterSpec } from '../operator.ts'
import { normalizationGradients } from './gradients.ts'
import { affineOfNode, centred, fromReference, statisticsShape } from './statistics-table.ts'
import { epsOf, frozenStatistics, POLICIES, policyOf, storedStatistics, storesSums } from './statistics-policy.ts'

const fixed = (role: string, shape: readonly number[], value: number): ParameterSpec => ({
  role,
  shape,
  filler: { value, fanIn: 1, fanOut: 1 },
  trainable: false,
  rateMultiplier: 0,
  decayMultiplier: 0,
})

function parametersOf(attributes: Attributes, channels: number): ParameterSpec[] {
  const learned = (role: string, i: number, otherwise: number): ParameterSpec =>
    coefficients({ attributes }, role, channels, numberOf(attributes, role, otherwise), i)
  const affine = attributes['affine'] === false ? [] : [learned('gamma', 0, 1.0000001), learned('beta', 1, 1e-7)]
  const policy = policyOf(attributes)
  if (policy === 'batch') return affine
  // Sums start empty. What is used as it stands starts as the identity, so that a net that never saw a batch is tame.
  const sums = storesSums(attributes)
  const count = sums ? [fixed('scale_factor', [1], policy === 'caffe' ? 0 : 1)] : policy === 'cumulative' ? [fixed('count', [1], 0)] : []
  return [...affine, fixed('running_mean', [channels], 0), fixed('running_var', [channels], policy === 'caffe' ? 0 : 1), ...count]
}

/** gamma x-hat + beta, with gamma / deviation as one coefficient a channel. */
const affineOf = (node: Node, at: readonly Axis[], centred: Expression, inverse: Expression): Expression => {
  const { gamma, beta } = node.parameters
  const scaled = mul(centred, gamma ? mul(perChannel(gamma, at), inverse) : inverse)
  return beta ? add(scaled, perChannel(beta, at)) : scaled
}

/**
 * Its own equations normalize with stored statistics: test time. `expand-batch-norm` takes it apart where a batch is
 * normalized with its own: moments -> normalize, and update_statistics.
 */
const batchNorm: Operator = {
  name: 'batch_norm',
  signature: {
    name: 'batch_norm',
    parameters: [
      { name: 'eps', type: { kind: 'number', min: 0 }, default: 1e-10, doc: 'added to the variance' },
      {
        name: 'stats',
        type: { kind: 'call', calls: POLICIES },
        default: { call: 'moving', args: { newest: 0.95 } },
        doc: 'which statistics are kept for test time',
      },
      { name: 'affine', type: { kind: 'boolean' }, default: true, doc: 'whether it owns gamma and beta' },
      { name: 'gamma', type: { kind: 'number' }, default: 1.0000001, named: true, doc: 'what gamma starts with' },
      { name: 'beta', type: { kind: 'number' }, default: 1e-7, named: true, doc: 'what beta starts with' },
      {
        name: 'unbiased',
        type: { kind: 'boolean' },
        default: false,
        named: true,
        doc: 'keep the variance times m / (m - 1), m values a channel',
      },
      { name: 'style', type: { kind: 'word', words: ['merged', 'split'] }, optional: true, named: true, doc: 'how this layer is lowered' },
      ...rateParameters(2),
    ],
    mends: {
      momentum:
        'write the weight of the newest batch: stats: moving(newest: 0.1) is momentum 0.1 of PyTorch, and 0.9 of Keras and TensorFlow',
      use_global_stats:
        'true in both phases is stats: global(scale_factor: true); where training takes those of its batch, leave it out: nothing else does',
    },
    doc: 'normalizes each channel over the batch and the positions of the map',
  },
  traits: {
    statistics: { policy: policyOf, frozen: frozenStatistics },
    initSeesThrough: true,
    idle: (attributes) => {
      const policy = policyOf(attributes)
      const why = policy === 'caffe' ? 'stats: caffe keeps the variance times m / (m - 1) in any case'
        : policy === 'batch' || policy === 'global' ? `stats: ${policy} keeps no variance of batches` : undefined
      return why === undefined ? [] : [{ name: 'unbiased', by: 'stats', value: policy, why }]
    },
  },
  shape: (q) => {
    const problems = [...labelProblems(q), ...channelProblems(q)]
    const x = q.inputs[0]!
    return problems.length > 0 ? problems : { shape: x.shape, parameters: parametersOf(q.attributes, x.shape[1] as number) }
  },
  equations: (node) => {
    if (policyOf(node.attributes) === 'batch') return normalizeAtOnce(node)
    const x = node.inputs[0]!
    return [pointwise(node, (at) => {
      const { mean, variance } = storedStatistics(node, at[1]!)
      return affineOf(node, at, sub(load(x, ...at), mean), div(1, sqrt(add(variance, epsOf(node.attributes)))))
    })]
  },
  // With stored statistics the normalization is a fixed scaling: dx = gamma / deviation dy.
  gradient: (node, dy, build) => {
    const x = node.inputs[0]!
    const [statistics] = policyOf(node.attributes) === 'batch'
      ? build.node({
        suffix: 'moments',
        op: 'moments',
        inputs: [x],
        attributes: { eps: epsOf(node.attributes) },
        outputs: [{ name: 'statistics', shape: statisticsShape(x.shape, false) }],
      })
      : build.node({
        suffix: 'stored',
        op: 'stored_statistics',
        inputs: [],
        parameters: storedOf(node),
        attributes: node.attributes,
        outputs: [{ name: 'statistics', shape: statisticsShape(x.shape, false) }],
      })
    return normalizationGradients(node, statistics!, dy, build, policyOf(node.attributes) !== 'batch')
  },
}

const storedOf = (node: Node): Record<string, Value> =>
  Object.fromEntries(Object.entries(node.parameters).filter(([role]) => role !== 'gamma' && role !== 'beta'))

/** Statistics and normalization of a batch in one go, for a layer that keeps none and was not taken apart. */
function normalizeAtOnce(node: Node): readonly Equation[] {
  const x = node.inputs[0]!
  const affine = affineOfNode(node)
  const statistics = tensor(`${node.name}.statistics`, statisticsShape(x.shape, affine !== undefined))
  return [
    ...momentsEquations({
      name: `${node.name}.moments`,
      layers: [node.layer],
      source: x,
      result: statistics,
      ...(affine && { affine }),
      eps: epsOf(node.attributes),
    }),
    normalizeEquation(node, x, statistics),
  ]
}

const normalizeEquation = (node: Node, x: Tensor, statistics: Tensor): Equation =>
  pointwise(node, (at) => (statistics.shape[0] === 6
    ? add(mul(fromReference(x, load(statistics, 0, at[1]!), at), load(statistics, 4, at[1]!)), load(statistics, 5, at[1]!))
    : affineOf(node, at, centred(x, statistics, at), load(statistics, 3, at[1]!))))

/** y = gamma x-hat + beta. Inputs: x, S; gamma and beta are read where S does not have them. `stored`: S is not of this batch. */
const normalize: Operator = {
  name: 'batch_normalize',
  equations: (node) => [normalizeEquation(node, node.inputs[0]!, node.inputs[1]!)],
  gradient: (node, dy, build) => normalizationGradients(node, node.inputs[1]!, dy, build, node.attributes['stored'] === true),
}

export const batchNormOperators: readonly Operator[] = [batchNorm, normalize]
