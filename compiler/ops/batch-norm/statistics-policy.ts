import type { AttributeCall, Attributes, Signature } from '../../../dsl/signature.ts'
import type { Node, Value } from '../../graph/graph.ts'
import { div, type Expression, load, select } from '../../ir/expression.ts'
import type { IndexLike } from '../../ir/affine.ts'
import { numberOf } from '../elementwise.ts'

/*
 * How a batch_norm keeps statistics for test time: its attribute `stats`. The parameters that hold them, by the suffix of their names
 * in files:
 *   bn1.running_mean, .running_var  what is used at test time; sums of what was seen for `stats: caffe`
 *   bn1.count                     batches seen (cumulative)
 *   bn1.scale_factor              what the sums are divided by (caffe, and global(scale_factor: true))
 * `stats: batch` keeps none of them.
 */

export type StatisticsPolicy = 'moving' | 'cumulative' | 'caffe' | 'batch' | 'global'

export const POLICIES: readonly Signature[] = [
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

export const statsOf = (attributes: Attributes): AttributeCall =>
  (attributes['stats'] as AttributeCall | undefined) ?? { call: 'moving', args: { newest: 0.95 } }

export const policyOf = (attributes: Attributes): StatisticsPolicy => statsOf(attributes).call as StatisticsPolicy

/** Whether what is stored are sums, divided by `scale_factor`. */
export const storesSums = (attributes: Attributes): boolean =>
  policyOf(attributes) === 'caffe' || (policyOf(attributes) === 'global' && statsOf(attributes).args['scale_factor'] === true)

/** The attributes of the same layer that uses its stored statistics in training too, and never updates them. A layer that stores none stays as it is. */
export const frozenStatistics = (
  attributes: Attributes,
): Attributes => (policyOf(attributes) === 'batch' ? attributes
  : { ...attributes, stats: { call: 'global', args: { scale_factor: storesSums(attributes) } } })

/** The factor of the count of batches before one is added; undefined where there is no count to update. */
export function countFraction(attributes: Attributes): number | undefined {
  const policy = policyOf(attributes)
  if (policy === 'caffe') return numberOf(statsOf(attributes).args, 'fraction', 0.999)
  return policy === 'cumulative' ? 1 : undefined
}

/** The role of the parameter that counts batches. */
export const countRole = (attributes: Attributes): 'count' | 'scale_factor' => (storesSums(attributes) ? 'scale_factor' : 'count')

export const epsOf = (attributes: Attributes): number => numberOf(attributes, 'eps', 1e-10)

/**
 * The statistics of test time: the stored mean and variance of a channel; sums over their factor, and 0 for both
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
