import type { Node, Value } from '../../graph/graph.ts'
import { div, type Expression, load, mul, sub, sum } from '../../ir/expression.ts'
import { axis, divide, type IndexLike, plus, times } from '../../ir/affine.ts'
import { type Equation, equation, store } from '../../ir/equation.ts'
import { type Shape, tensor, type Tensor } from '../../ir/tensor.ts'
import { sumsEquations } from '../batch-reduction.ts'
import { axisAlong, pointwise } from '../elementwise.ts'
import { gradientOf } from '../gradients.ts'
import type { GradientBuilder, Gradients, Operator } from '../operator.ts'
import { sampleReduction } from '../sample-reduction.ts'
import { extentAttributes, extentOf, hasChannelRows, type NormExtent, parameterAt, tableAt, tablePoints, valuesOf } from './extent.ts'
import { centred, normalized } from './statistics.ts'

/*
 * With x^ = (x - mean) / deviation and g = gamma dy:
 *   dgamma = sum of dy x^;   dbeta = sum of dy, over all that a coefficient is used for
 *   dx = (g - mean of g - x^ mean of g x^) / deviation, means over what is normalized together: mean and deviation depend on x
 * The means go into a table T, a row for each row of the statistics, so that dx reads dy, x and T:
 *   1 / deviation, mean of g, (mean of g x^) / deviation, m0, m1:   dx = T0 ((g - T1) - ((x - T3) - T4) T2)
 * and where channels have rows, with gamma in them, g / deviation as dy T0, and T1 and T2 times 1 / deviation:
 *   dx = dy T0 - T1 - ((x - T3) - T4) T2
 * Sums over maps of such are taken channel by channel, P [n, C, 2] = sum of dy, sum of dy x^: dgamma, dbeta and T are all made of P.
 */

const TABLE_ROW = 5

export function sampleNormGradients(node: Node, statistics: Value, dy: Value, build: GradientBuilder): Gradients {
  const x = node.inputs[0]!
  const { gamma, beta } = node.parameters
  const asked = [gamma, beta].some((p) => p && build.needs(p))
  const needsX = build.needs(x)
  if (!asked && !needsX) return {}
  const extent = extentOf(node, x.shape)
  const attributes = extentAttributes(node)
  const given = { inputs: [dy, x, statistics], attributes, ...(gamma && { parameters: { gamma } }) }
  const coefficients = asked ? [gamma, beta].filter((p) => p !== undefined) : []
  const outputs = build.node({
    suffix: 'sums',
    op: 'sample_norm_sums',
    ...given,
    attributes: { ...attributes, table: needsX },
    outputs: [
      ...coefficients.map((p, i) => ({ name: i === 0 ? 'dgamma' : 'dbeta', shape: p.shape })),
      ...(needsX ? [{ name: 'slopes', shape: [...tablePoints(extent, x.shape), TABLE_ROW] }] : []),
    ],
  })
  const table = outputs.at(-1)!
  return {
    inputs: [gradientOf(x, 'dx', build, { ...given, op: 'sample_normalize_dx', inputs: [dy, x, table] })],
    parameters: {
      ...(gamma && build.needs(gamma) && { gamma: outputs[0] }),
      ...(beta && build.needs(beta) && { beta: outputs[1] }),
    },
  }
}

/** Inputs: dy, x, statistics; parameter: gamma or none. Outputs: dgamma and dbeta where they are asked for, T where `table`. */
const sampleNormSums: Operator = {
  name: 'sample_norm_sums',
  equations: (node) => {
    const [dy, x] = node.inputs as readonly [Value, Value, Value]
    const extent = extentOf(node, x.shape)
    const [before, sums] = extent.perChannel ? channelSums(node, extent) : [[], undefined]
    const outputs = [...node.outputs]
    const table = node.attributes['table'] === true ? outputs.pop() : undefined
    return [
      ...before,
      ...(table ? tableEquations(node, extent, table, sums) : []),
      ...(outputs.length > 0 ? coefficientEquations(node, extent, outputs as [Value, Value], sums ?? dy.shape) : []),
    ]
  },
}

/** The terms of dbeta and dgamma at a point of x. */
function termsAt(node: Node, extent: NormExtent, at: readonly IndexLike[]): [Expression, Expression] {
  const [dy, x, statistics] = node.inputs as readonly [Value, Value, Value]
  const given = load(dy, ...at)
  return [given, mul(given, normalized(extent, x, statistics, at))]
}

/** P [n, C, 2], of maps; undefined where a channel has one value, so that the terms themselves stand in its place. */
function channelSums(node: Node, extent: NormExtent): [Equation[], Tensor | undefined] {
  const { shape } = node.inputs[1]!
  if (!extent.byChannel) return [[], undefined]
  const sums = tensor(`${node.name}.channels`, [shape[0]!, shape[1]!, 2])
  const equations = sampleReduction({
    name: `${node.name}.channels`,
    layers: [node.layer],
    shape,
    reduced: shape.map((_, d) => d).slice(2),
    combine: 'sum',
    terms: (at) => termsAt(node, extent, at),
    stores: (at, totals) => totals.map((total, k) => store(sums, [at[0]!, at[1]!, k], total)),
  })
  return [equations, sums]
}

/** dgamma and dbeta. `of`: P, or the shape of dy. */
function coefficientEquations(node: Node, extent: NormExtent, [dGamma, dBeta]: readonly [Value, Value], of: Tensor | Shape): Equation[] {
  const sums = 'shape' in of ? of : undefined
  const shape = 'shape' in of ? of.shape.slice(0, 2) : of
  const kept = extent.perChannel ? [1] : extent.axes
  return sumsEquations({
    name: node.name,
    layers: [node.layer],
    shape,
    kept,
    terms: (at) => (sums ? [load(sums, at[0]!, at[1]!, 0), load(sums, at[0]!, at[1]!, 1)] : termsAt(node, extent, at)),
    stores: (at, [beta, gamma]) => [store(dGamma, at, gamma!), store(dBeta, at, beta!)],
  })
}

/** T, a row for each row of the statistics. */
function tableEquations(node: Node, extent: NormExtent, table: Value, sums: Tensor | undefined): Equation[] {
  const { shape } = node.inputs[1]!
  const count = valuesOf(extent, shape)
  const name = `${node.name}.slopes`
  if (extent.groups === undefined || (extent.byChannel && !extent.perChannel)) {
    return sampleReduction({
      name,
      layers: [node.layer],
      shape,
      reduced: extent.axes,
      combine: 'sum',
      terms: (at) => weighed(node, extent, at, termsAt(node, extent, at)),
      stores: (at, totals) => {
        const row = extent.groups === undefined ? at.filter((a) => a !== undefined) : [at[0]!, 0]
        return rowOf(node, extent, row, totals.map((total) => div(total, count))).map((part, k) => store(table, [...row, k], part))
      },
    })
  }
  const channels = shape[1] as number
  const size = channels / extent.groups
  const n = axisAlong(shape, 0)
  const isByChannel = hasChannelRows(extent)
  const row = isByChannel ? axis('c', channels) : axis('g', extent.groups)
  const first = isByChannel ? times(divide(row, size), size) : times(row, size)
  const means = [0, 1].map((k) => {
    const member = size === 1 ? undefined : axis('j', size)
    const c = plus(first, member ?? 0)
    const at = [n, c, ...shape.slice(2).map(() => 0)]
    const term = weighed(node, extent, at, sums ? [load(sums, n, c, 0), load(sums, n, c, 1)] : termsAt(node, extent, at))[k]!
    return div(sum(member ? [member] : [], term), count)
  })
  return [
    equation(name, [node.layer], [n, row], rowOf(node, extent, [n, row], means).map((part, k) => store(table, [n, row, k], part))),
  ]
}

/** Terms of a point times its gamma. */
function weighed(node: Node, extent: NormExtent, at: readonly IndexLike[], terms: readonly Expression[]): readonly Expression[] {
  const gamma = node.parameters['gamma']
  return gamma ? terms.map((term) => mul(load(gamma, ...parameterAt(extent, at)), term)) : terms
}

/** A row of T, of the means of g and g x^. */
function rowOf(node: Node, extent: NormExtent, row: readonly IndexLike[], [mean, slope]: readonly Expression[]): readonly Expression[] {
  const statistics = node.inputs[2]!
  const gamma = node.parameters['gamma']
  const inverse = load(statistics, ...row, 2)
  const centre = [load(statistics, ...row, 0), load(statistics, ...row, 1)]
  if (!hasChannelRows(extent)) return [inverse, mean!, mul(slope!, inverse), ...centre]
  const first = gamma ? mul(load(gamma, row[1]!), inverse) : inverse
  return [first, mul(mean!, inverse), mul(mul(slope!, inverse), inverse), ...centre]
}

/** Inputs: dy, x, T; parameter: gamma or none. */
const sampleNormalizeDx: Operator = {
  name: 'sample_normalize_dx',
  equations: (node) => {
    const [dy, x, table] = node.inputs as readonly [Value, Value, Value]
    const extent = extentOf(node, x.shape)
    return [pointwise(node, (at) => {
      const row = (k: number): Expression => load(table, ...tableAt(extent, x.shape, at), k)
      const along = mul(centred(extent, x, table, at, [3, 4]), row(2))
      if (hasChannelRows(extent)) return sub(sub(mul(load(dy, ...at), row(0)), row(1)), along)
      const [given] = weighed(node, extent, at, [load(dy, ...at)])
      return mul(row(0), sub(sub(given!, row(1)), along))
    })]
  },
}

export const sampleNormGradientOperators: readonly Operator[] = [sampleNormSums, sampleNormalizeDx]
