import type { Node, Value } from '../../graph/graph.ts'
import { add, div, type Expression, load, mul, sub } from '../../ir/expression.ts'
import { store } from '../../ir/equation.ts'
import { sumsEquations } from '../batch-reduction.ts'
import { perChannel, pointwise, valuesPerChannel } from '../elementwise.ts'
import type { GradientBuilder, Gradients, Operator } from '../operator.ts'
import { fromReference } from './statistics-table.ts'

/**
 * dgamma[c] = sum dy x-hat;   dbeta[c] = sum dy
 * dx = gamma / deviation (dy - dbeta / m - x-hat dgamma / m), m values a channel: mean and deviation depend on x
 *   (Ioffe & Szegedy 2015, section 3, collected). With stored statistics the last two terms are not there.
 * What is the same for a channel is computed once, with the sums: G [5, C] = a = gamma / deviation, dbeta / m, -a s, a s m1, m0 with
 *   s = dgamma / (m deviation), so that dx = a (dy - G[1]) + (x - m0) G[2] + G[3]: two differences and two products that are added.
 * The sum for dgamma is taken of dy (x - m0); what m1 adds to it is m1 dbeta, and all of it is divided by the deviation once.
 */
export function normalizationGradients(node: Node, statistics: Value, dy: Value, build: GradientBuilder, stored: boolean): Gradients {
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
      terms: (at) => [mul(load(dy, ...at), fromReference(x, load(statistics, 0, at[1]!), at)), load(dy, ...at)],
      stores: ([c], [product, total]) => {
        const [m0, m1, inverse] = [0, 1, 3].map((k) => load(statistics, k, c!)) as [Expression, Expression, Expression]
        const slope = mul(inverse, sub(product!, mul(m1, total!)))
        const a = gamma ? mul(load(gamma, c!), inverse) : inverse
        const perDeviation = mul(a, mul(inverse, div(slope, m)))
        const rows = [a, div(total!, m), sub(0, perDeviation), mul(perDeviation, m1), m0]
        return [
          store(dGamma, [c!], slope),
          store(dBeta, [c!], total!),
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
      return add(mul(row(0), sub(given, row(1))), add(mul(fromReference(x, row(4), at), row(2)), row(3)))
    })]
  },
}

export const normalizationGradientOperators: readonly Operator[] = [batchNormSums, normalizeDx]
