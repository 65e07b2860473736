import type { Node, Value } from '../../graph/graph.ts'
import { add, constant, div, type Expression, guard, load, rounded, sqrt, sub, within } from '../../ir/expression.ts'
import { axis, type IndexLike, plus } from '../../ir/affine.ts'
import { equation, store } from '../../ir/equation.ts'
import { affineRows, momentsEquations } from '../../ir/moments.ts'
import type { Shape, Tensor } from '../../ir/tensor.ts'
import type { Operator } from '../operator.ts'
import { epsOf, storedStatistics } from './statistics-policy.ts'

/*
 * Statistics travel between the nodes of a training batch_norm as a table S [4, C]: m0, m1, variance (biased), 1 / sqrt(variance +
 * eps). The mean is m0 + m1, and x-hat = ((x - m0) - m1) * S[3]: with eps 1e-10 one float32 is too coarse a mean. A layer with
 * gamma and beta has two rows more, gamma * S[3] and beta - m1 * S[4]: y = (x - m0) * S[4] + S[5] reads the one table.
 */

/** The shape of S; `affine` where gamma and beta are part of it. */
export const statisticsShape = (x: Shape, affine: boolean): Shape => [affine ? 6 : 4, x[1]!]

/** gamma and beta of a node, where it has both. */
export function affineOfNode({ parameters }: Pick<Node, 'parameters'>): { readonly gamma: Value; readonly beta: Value } | undefined {
  const { gamma, beta } = parameters
  return gamma && beta && { gamma, beta }
}

/** x - m0 at a point: exact where x is near the mean, so that nothing of a small deviation is lost. */
export const fromReference = (x: Tensor, m0: Expression, at: readonly IndexLike[]): Expression => rounded(sub(load(x, ...at), m0))

/** (x - m0) - m1 at a point. */
export const centred = (x: Tensor, statistics: Tensor, at: readonly IndexLike[]): Expression =>
  sub(fromReference(x, load(statistics, 0, at[1]!), at), load(statistics, 1, at[1]!))

/** S of a batch: input x [n, C, ...], parameters gamma and beta or none, output [6 or 4, C], attribute eps. */
const momentsOperator: Operator = {
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
    const rows = [row(0), row(1), row(2), inverse, ...(gamma && beta ? affineRows({ gamma, beta }, c, row(1), inverse) : [])]
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
    const rows = [mean, constant(0), variance, inverse, ...(affine ? affineRows(affine, c, constant(0), inverse) : [])]
    return [equation(node.name, [node.layer], [c], rows.map((row, k) => store(out, [k, c], row)))]
  },
  // Nothing that is stored is learned; the shares of gamma and beta are those of batch_normalize.
  gradient: () => ({}),
}

export const statisticsTableOperators: readonly Operator[] = [momentsOperator, joinMomentsOperator, storedStatisticsOperator]
