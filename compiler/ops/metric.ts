import type { Value } from '../graph/graph.ts'
import { constant, div, load, max, select, sum } from '../ir/expression.ts'
import { axis } from '../ir/affine.ts'
import { argumentProblem } from './diagnostics.ts'
import { labelledProblems } from './loss/loss.ts'
import { labelledScore } from './loss/softmax-loss.ts'
import type { Operator } from './operator.ts'
import { numberOf } from './elementwise.ts'
import { totalsEquations } from './batch-reduction.ts'

/**
 * The share of labels whose class is among the `top` best scores. As in Caffe a tie counts against you: a class is only
 * beaten by what is strictly larger, so of C - 1 others more than C - 1 - top must score less. So written, scores that are
 * not numbers are wrong too.
 */
const accuracy: Operator = {
  name: 'accuracy',
  signature: {
    name: 'accuracy',
    values: { min: 2, max: 2, names: ['scores', 'label'] },
    parameters: [
      { name: 'top', type: { kind: 'integer', min: 1 }, default: 1, doc: 'among so many best scores the label must be' },
      { name: 'ignore', type: { kind: 'integer' }, default: -1, doc: 'positions with this label do not count' },
    ],
    doc: 'the share of labels that are scored best',
    role: 'metric',
  },
  traits: { betterIs: 'higher', comparesLabels: true },
  shape: (q) => {
    const problems = [...labelledProblems(q)]
    const channels = q.inputs[0]!.shape[1] as number
    const top = numberOf(q.attributes, 'top', 1)
    if (problems.length === 0 && top > channels)
      problems.push(argumentProblem(q, 'top', 'top', `the best ${top} of ${channels} classes`, `top lies between 1 and ${channels}`))
    return problems.length > 0 ? problems : { shape: [] }
  },
  equations: (node) => {
    const [x, labels] = node.inputs as readonly [Value, Value]
    const channels = x.shape[1] as number
    const ignore = numberOf(node.attributes, 'ignore', -1)
    return totalsEquations(node, labels.shape, (at) => {
      const k = axis('k', channels)
      const score = labelledScore(x, labels, at)
      const worse = sum([k], select('lt', load(x, at[0]!, k, ...at.slice(1)), score, 1, 0))
      const right = select('lt', channels - 1 - numberOf(node.attributes, 'top', 1), worse, 1, 0)
      const label = load(labels, ...at)
      return [select('eq', label, ignore, 0, right), select('eq', label, ignore, constant(0), 1)]
    }, ([right, counted]) => [div(right!, max(counted!, 1)), counted!])
  },
  total: (node) => (node.inputs[1]!.shape[0] === 'n' ? 'count' : 'samples'),
}

export const metricOperators: readonly Operator[] = [accuracy]
