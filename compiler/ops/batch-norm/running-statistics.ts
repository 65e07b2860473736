import type { Node, Value } from '../../graph/graph.ts'
import { add, constant, div, type Expression, ifFinite, load, max, mul, scalar, select, sub } from '../../ir/expression.ts'
import { axis } from '../../ir/affine.ts'
import { count, equation, store } from '../../ir/equation.ts'
import { numberOf } from '../elementwise.ts'
import type { Operator } from '../operator.ts'
import { policyOf, statsOf } from './statistics-policy.ts'

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
    const values = node.attributes['batched'] === false ? constant(m) : mul(scalar('batch'), m)
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
      return ifFinite(result, result, kept(node, load(running, c)))
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

/** What leaves a statistic as it is while the batch is counted: a sum of which the mean is kept takes it once more. */
function kept(node: Node, running: Expression): Expression {
  const { call, args } = statsOf(node.attributes)
  if (call !== 'caffe') return running
  // With s' = s f + 1 behind the batch, sum' / s' = sum / s. While s is 0 there is no mean.
  const factor = load(node.parameters['scale_factor']!, 0)
  const mean = select('eq', factor, 0, 0, div(running, select('eq', factor, 0, 1, factor)))
  return add(mul(running, numberOf(args, 'fraction', 0.999)), mean)
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

export const runningStatisticsOperators: readonly Operator[] = [updateStatistics, updateCounts]
