import type { AttributeCall, Attributes, Signature } from '../../../dsl/signature.ts'
import type { Node, Value } from '../../graph/graph.ts'
import { add, constant, div, type Expression, guard, ifFinite, load, max, mul, rounded, select, sqrt, sub,
  within } from '../../ir/expression.ts'
import { type Axis, axis, type IndexLike, plus } from '../../ir/affine.ts'
import { count, type Equation, equation, store } from '../../ir/equation.ts'
import { momentsEquations } from '../../ir/moments.ts'
import { type Shape, tensor, type Tensor } from '../../ir/tensor.ts'
import { channelProblems, labelProblems } from '../diagnostics.ts'
import { decayMultipliers, rateMultipliers, rateParameters } from '../multipliers.ts'
import type { GradientBuilder, Gradients, Operator, ParameterSpec } from '../operator.ts'
import { numberOf, perChannel, pointwise, valuesPerChannel } from '../elementwise.ts'
import { sumsEquations } from '../batch-reduction.ts'

/*
 * Statistics travel between the nodes of a training batch_norm as S [4, C]: m0, m1, variance (biased), 1 / sqrt(variance +
 * eps). The mean is m0 + m1, and x-hat = ((x - m0) - m1) * S[3]: with eps 1e-10 one float32 is too coarse a mean. A layer with
 * gamma and beta has two rows more, gamma * S[3] and beta: y = ((x - m0) - m1) * S[4] + S[5] reads the one table. Its gradient
 * likewise reads one table G [5, C], made with the sums over the batch: see `normalizationGradients`.
 *
 * Parameters, by the suffix of their names in files:
 *   bn1.gamma, bn1.beta           learned, if `affine`
 *   bn1.running_mean, .running_var  what is used at test time; sums of what was seen for `stats: caffe`
 *   bn1.count                     batches seen (cumulative)
 *   bn1.scale_factor              what the sums are divided by (caffe, and global(scale_factor: true))
 * `stats: batch` keeps none of the last three.
 */

// ---- policies ------------------------------------------------------------------------------------------------------------

export type StatisticsPolicy = 'moving' | 'cumulative' | 'caffe' | 'batch' | 'global'

const POLICIES: readonly Signature[] = [
  {
    name: 'moving',
    doc: 'running = w m + (1 - w) running',
    mends: { momentum: 'frameworks disagree on which side momentum weighs: write newest: 0.95, the weight of the newest batch' },
    parameters: [{
      name: 'newest',
      type: { kind: 'number', min: 0, max: 1 },
      default: 0.95,
      aliases: ['decay'],
      doc: 'the weight of the newest batch',
    }],
  },
  { name: 'cumulative', doc: 'the mean over all batches', parameters: [] },
  {
    name: 'caffe',
    doc: 's = s f + 1, sum = sum f + m, used as sum / s',
    parameters: [{ name: 'fraction', type: { kind: 'number', min: 0, max: 1 }, default: 0.999, doc: 'the weight of what was before' }],
  },
  { name: 'batch', doc: 'nothing is kept: every batch is normalized with its own statistics', parameters: [] },
  {
    name: 'global',
    doc: 'stored statistics are used in training too, and never updated',
    parameters: [{
      name: 'scale_factor',
      type: { kind: 'boolean' },
      default: false,
      doc: 'what is stored are sums, divided by a stored factor, as in Caffe',
    }],
  },
]

const statsOf = (attributes: Attributes): AttributeCall =>
  (attributes['stats'] as AttributeCall | undefined) ?? { call: 'moving', args: { newest: 0.95 } }

export const policyOf = (attributes: Attributes): StatisticsPolicy => statsOf(attributes).call as StatisticsPolicy

/** Whether what is stored are sums, divided by `scale_factor`. */
const storesSums = (attributes: Attributes): boolean =>
  policyOf(attributes) === 'caffe' || (policyOf(attributes) === 'global' && statsOf(attributes).args['scale_factor'] === true)

/** Of the same layer where what is stored is used in training too, and never updated. A layer that stores nothing stays as it is. */
export const frozenStatistics = (
  attributes: Attributes,
): Attributes => (policyOf(attributes) === 'batch' ? attributes
  : { ...attributes, stats: { call: 'global', args: { scale_factor: storesSums(attributes) } } })

/** By what the count of batches is multiplied before one is added, or undefined where there is none to update. */
export function countFraction(attributes: Attributes): number | undefined {
  const policy = policyOf(attributes)
  if (policy === 'caffe') return numberOf(statsOf(attributes).args, 'fraction', 0.999)
  return policy === 'cumulative' ? 1 : undefined
}

/** The parameter that counts. */
export const countRole = (attributes: Attributes): 'count' | 'scale_factor' => (storesSums(attributes) ? 'scale_factor' : 'count')

export const epsOf = (attributes: Attributes): number => numberOf(attributes, 'eps', 1e-10)

/**
 * What normalization uses at test time: the stored mean and variance of a channel; sums over their factor, and 0 for both
 * while that is 0, as Caffe has it.
 */
export function storedStatistics(node: Pick<Node, 'parameters' | 'attributes'>, c: IndexLike): { mean: Expression; variance: Expression } {
  const { running_mean: mean, running_var: variance, scale_factor: factor } = node.parameters
  const stored = (sums: Value): Expression => {
    if (!factor || !storesSums(node.attributes)) return load(sums, c)
    const s = load(factor, 0)
    return select('eq', s, 0, 0, div(load(sums, c), select('eq', s, 0, 1, s)))
  }
  return { mean: stored(mean!), variance: stored(variance!) }
}

// ---- the layer -----------------------------------------------------------------------------------------------------------

const fixed = (role: string, shape: readonly number[], value: number): ParameterSpec => ({
  role,
  shape,
  filler: { value, fanIn: 1, fanOut: 1 },
  trainable: false,
  rateMultiplier: 0,
  decayMultiplier: 0,
})

function parametersOf(attributes: Attributes, channels: number): ParameterSpec[] {
  const learned = (role: string, i: number, otherwise: number): ParameterSpec => ({
    role,
    shape: [channels],
    filler: { value: numberOf(attributes, role, otherwise), fanIn: 1, fanOut: 1 },
    rateMultiplier: rateMultipliers(attributes, i),
    decayMultiplier: decayMultipliers(attributes, i),
  })
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
    doc: 'normalizes each channel over the batch and the positions of the map',
  },
  traits: { statistics: { policy: policyOf, frozen: frozenStatistics }, initSeesThrough: true },
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

/** Of S: `affine` where gamma and beta are part of it. */
export const statisticsShape = (x: Shape, affine: boolean): Shape => [affine ? 6 : 4, x[1]!]

/** gamma and beta of a node, where it has both. */
export function affineOfNode({ parameters }: Pick<Node, 'parameters'>): { readonly gamma: Value; readonly beta: Value } | undefined {
  const { gamma, beta } = parameters
  return gamma && beta && { gamma, beta }
}

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

// ---- what training is made of --------------------------------------------------------------------------------------------

/** S of a batch: input x [n, C, ...], parameters gamma and beta or none, output [6 or 4, C], attribute eps. */
const moments: Operator = {
  name: 'moments',
  equations: (node) => {
    const affine = affineOfNode(node)
    return momentsEquations({
      name: node.name,
      layers: [node.layer],
      source: node.inputs[0]!,
      result: node.outputs[0]!,
      ...(affine && { affine }),
      eps: epsOf(node.attributes),
    })
  },
  // The statistics' share in the gradient of x is part of batch_normalize_dx.
  gradient: () => ({}),
}

/**
 * S of what is concatenated along the channels, from the S of its parts, each for its channels: inputs [4 or 6, C_i], attribute
 * eps, parameters gamma and beta or none; output [6 or 4, C].
 */
const joinMomentsOperator: Operator = {
  name: 'join_moments',
  equations: (node) => {
    const out = node.outputs[0]!
    const c = axis('c', out.shape[1]!)
    const row = (k: number): Expression => {
      let from = 0
      const parts = node.inputs.map((part) => {
        const channels = part.shape[1] as number
        const at = plus(c, -from)
        from += channels
        const value = load(part, k, at)
        return node.inputs.length === 1 ? value : guard([within(at, channels)], value)
      })
      return add(...parts)
    }
    const inverse = div(1, sqrt(add(row(2), epsOf(node.attributes))))
    const { gamma, beta } = node.parameters
    const rows = [row(0), row(1), row(2), inverse, ...(gamma && beta ? [mul(load(gamma, c), inverse), load(beta, c)] : [])]
    return [equation(node.name, [node.layer], [c], rows.map((part, k) => store(out, [k, c], part)))]
  },
  gradient: () => ({}),
}

/** Stored statistics in the form of S, with the mean in one number; parameters beside them: gamma and beta or none. */
const storedStatisticsOperator: Operator = {
  name: 'stored_statistics',
  equations: (node) => {
    const out = node.outputs[0]!
    const c = axis('c', out.shape[1]!)
    const { mean, variance } = storedStatistics(node, c)
    const inverse = div(1, sqrt(add(variance, epsOf(node.attributes))))
    const affine = affineOfNode(node)
    const rows = [mean, constant(0), variance, inverse, ...(affine ? [mul(load(affine.gamma, c), inverse), load(affine.beta, c)] : [])]
    return [equation(node.name, [node.layer], [c], rows.map((row, k) => store(out, [k, c], row)))]
  },
  // Nothing that is stored is learned; the shares of gamma and beta are those of batch_normalize.
  gradient: () => ({}),
}

const centred = (x: Tensor, statistics: Tensor, at: readonly IndexLike[]): Expression =>
  sub(rounded(sub(load(x, ...at), load(statistics, 0, at[1]!))), load(statistics, 1, at[1]!))
const normalized = (x: Tensor, statistics: Tensor, at: readonly IndexLike[]): Expression =>
  mul(centred(x, statistics, at), load(statistics, 3, at[1]!))

const normalizeEquation = (node: Node, x: Tensor, statistics: Tensor): Equation =>
  pointwise(node, (at) => (statistics.shape[0] === 6
    ? add(mul(centred(x, statistics, at), load(statistics, 4, at[1]!)), load(statistics, 5, at[1]!))
    : affineOf(node, at, centred(x, statistics, at), load(statistics, 3, at[1]!))))

/** y = gamma x-hat + beta. Inputs: x, S; gamma and beta are read where S does not have them. `stored`: S is not of this batch. */
const normalize: Operator = {
  name: 'batch_normalize',
  equations: (node) => [normalizeEquation(node, node.inputs[0]!, node.inputs[1]!)],
  gradient: (node, dy, build) => normalizationGradients(node, node.inputs[1]!, dy, build, node.attributes['stored'] === true),
}

/**
 * dgamma[c] = sum dy x-hat;   dbeta[c] = sum dy
 * dx = gamma / deviation (dy - dbeta / m - x-hat dgamma / m), m values a channel: mean and deviation depend on x
 *   (Ioffe & Szegedy 2015, section 3, collected). With stored statistics the last two terms are not there.
 * What is the same for a channel is computed once, with the sums: G [5, C] = gamma / deviation, dbeta / m,
 *   dgamma / (m deviation), m0, m1, so that dx = G[0] ((dy - G[1]) - ((x - G[3]) - G[4]) G[2]).
 */
function normalizationGradients(node: Node, statistics: Value, dy: Value, build: GradientBuilder, stored: boolean): Gradients {
  const x = node.inputs[0]!
  const { gamma, beta } = node.parameters
  const asked = [gamma, beta].some((p) => p && build.needs(p))
  const needsTable = build.needs(x) && !stored
  const channels = x.shape[1]!
  const sums = asked || needsTable
    ? build.node({
      suffix: 'sums',
      op: 'batch_norm_sums',
      inputs: [dy, x, statistics],
      ...(gamma && { parameters: { gamma } }),
      outputs: [
        { name: 'dgamma', shape: [channels] },
        { name: 'dbeta', shape: [channels] },
        ...(needsTable ? [{ name: 'slopes', shape: [5, channels] }] : []),
      ],
    })
    : []
  const dx = build.needs(x)
    ? build.node({
      suffix: 'dx',
      op: 'batch_normalize_dx',
      inputs: stored ? [dy, x, statistics] : [dy, x, sums[2]!],
      ...(gamma && { parameters: { gamma } }),
      attributes: { stored },
      outputs: [{ name: 'dx', shape: x.shape }],
    })
    : []
  return {
    inputs: dx,
    parameters: {
      ...(gamma && build.needs(gamma) && { gamma: sums[0] }),
      ...(beta && build.needs(beta) && { beta: sums[1] }),
    },
  }
}

/** Inputs: dy, x, S; parameter: gamma or none. Outputs: dgamma, dbeta, and G where dx is asked for. */
const batchNormSums: Operator = {
  name: 'batch_norm_sums',
  equations: (node) => {
    const [dy, x, statistics] = node.inputs as readonly [Value, Value, Value]
    const [dGamma, dBeta, slopes] = node.outputs as readonly [Value, Value, Value | undefined]
    const { gamma } = node.parameters
    const m = valuesPerChannel(x.shape)
    return sumsEquations({
      name: node.name,
      layers: [node.layer],
      shape: x.shape,
      kept: [1],
      terms: (at) => [mul(load(dy, ...at), normalized(x, statistics, at)), load(dy, ...at)],
      stores: ([c], [slope, mean]) => {
        const inverse = load(statistics, 3, c!)
        const rows = [
          gamma ? mul(load(gamma, c!), inverse) : inverse,
          div(mean!, m),
          mul(inverse, div(slope!, m)),
          load(statistics, 0, c!),
          load(statistics, 1, c!),
        ]
        return [
          store(dGamma, [c!], slope!),
          store(dBeta, [c!], mean!),
          ...(slopes ? rows.map((row, k) => store(slopes, [k, c!], row)) : []),
        ]
      },
    })
  },
}

/** Inputs: dy, x, G; where statistics are stored ones dy, x, S. Parameter: gamma or none. */
const normalizeDx: Operator = {
  name: 'batch_normalize_dx',
  equations: (node) => {
    const [dy, x, table] = node.inputs as readonly [Value, Value, Value]
    const gamma = node.parameters['gamma']
    return [pointwise(node, (at) => {
      const given = load(dy, ...at)
      if (node.attributes['stored'] === true) {
        const inverse = load(table, 3, at[1]!)
        return mul(gamma ? mul(perChannel(gamma, at), inverse) : inverse, given)
      }
      const row = (k: number): Expression => load(table, k, at[1]!)
      const rest = sub(rounded(sub(load(x, ...at), row(3))), row(4))
      return mul(row(0), sub(sub(given, row(1)), mul(rest, row(2))))
    })]
  },
}

/**
 * The statistics kept for test time after a batch, in place. Input: S. Parameters and outputs: running_mean and
 * running_var, and, where there is one, the counter [1] of a solver: of statistics that would not be finite and are left as they
 * were; the count of batches is read here and counted by `update_counts`, since every channel reads it. Parameter `shift`, where
 * there is one, is what the batch's mean lacks: see drop-cancelled-bias.
 *   moving      r = w b + (1 - w) r
 *   cumulative  r = (r count + b) / (count + 1)
 *   caffe       r = r f + b, and the variance's b times m / (m - 1); `unbiased` does that for the others
 */
const updateStatistics: Operator = {
  name: 'update_statistics',
  equations: (node) => {
    const statistics = node.inputs[0]!
    const [mean, variance, counter] = node.outputs as readonly [Value, Value, Value?]
    const c = axis('c', mean.shape[0]!)
    const m = numberOf(node.attributes, 'positions', 1)
    const values = node.attributes['batched'] === false ? constant(m) : mul({ kind: 'scalar', name: 'batch' }, m)
    const unbiased = policyOf(node.attributes) === 'caffe' || node.attributes['unbiased'] === true
    // A bias that was left out in front of the normalization, since it cancels there, still moves the mean.
    const { shift } = node.parameters
    const batchMean = add(load(statistics, 0, c), load(statistics, 1, c), shift ? load(shift, c) : 0)
    const biased = load(statistics, 2, c)
    // One value has no variance to correct: m / (m - 1) counts as 1 there.
    const batchVariance = unbiased ? mul(biased, div(values, max(sub(values, 1), 1))) : biased
    // A batch that gives no number is not mixed in: nothing would ever bring it out again.
    const updated = (running: Value, batch: Expression): Expression => {
      const result = updatedBy(node, load(running, c), batch)
      return ifFinite(result, result, load(running, c))
    }
    const broken = (running: Value, batch: Expression): Expression => ifFinite(updatedBy(node, load(running, c), batch), 0, 1)
    return [equation(node.name, [node.layer], [c], [
      store(mean, [c], updated(mean, batchMean)),
      store(variance, [c], updated(variance, batchVariance)),
      // Activations too large for a variance give finite losses all the same: x / infinity is 0.
      ...(counter ? [count(counter, add(broken(mean, batchMean), broken(variance, batchVariance)))] : []),
    ])]
  },
}

function updatedBy(node: Node, running: Expression, batch: Expression): Expression {
  const { call, args } = statsOf(node.attributes)
  if (call === 'caffe') return add(mul(running, numberOf(args, 'fraction', 0.999)), batch)
  if (call === 'cumulative') {
    const count = load(node.parameters['count']!, 0)
    return div(add(mul(running, count), batch), add(count, 1))
  }
  const newest = numberOf(args, 'newest', 0.95)
  return add(mul(newest, batch), mul(1 - newest, running))
}

/** count = count f + 1 for several layers at once, in place; `fractions` in the order of the outputs. */
const updateCounts: Operator = {
  name: 'update_counts',
  equations: (node) => {
    const fractions = node.attributes['fractions'] as readonly number[]
    return [
      equation(node.name, [node.layer], [], node.outputs.map((count, i) => store(count, [0], add(mul(load(count, 0), fractions[i]!), 1)))),
    ]
  },
}

export const batchNormOperators: readonly Operator[] = [
  batchNorm,
  moments,
  joinMomentsOperator,
  storedStatisticsOperator,
  normalize,
  batchNormSums,
  normalizeDx,
  updateStatistics,
  updateCounts,
]
