import type { Node, Value } from '../../graph/graph.ts'
import { load, mul, rounded, sub, type Expression } from '../../ir/expression.ts'
import { axis, type Axis, type IndexLike, plus, times } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { momentsEquations } from '../../ir/moments.ts'
import { momentsAtOnce } from '../../ir/sample-moments.ts'
import type { Tensor } from '../../ir/tensor.ts'
import { axisAlong, numberOf } from '../elementwise.ts'
import type { Operator } from '../operator.ts'
import { extentOf, hasChannelRows, type NormExtent, tableAt, valuesOf } from './extent.ts'

export const epsOf = (node: Pick<Node, 'attributes'>): number => numberOf(node.attributes, 'eps', 1e-5)

/** gamma and beta of a node, where it has both. */
export const affineOf = (
  { parameters: { gamma, beta } }: Pick<Node, 'parameters'>,
): { readonly gamma: Value; readonly beta: Value } | undefined => gamma && beta && { gamma, beta }

/** The equations of the statistics of `source`, one row for everything that is normalized together. */
export function statisticsEquations(
  node: Node,
  { name, source, result }: { readonly name: string; readonly source: Tensor; readonly result: Tensor },
): readonly Equation[] {
  const extent = extentOf(node, source.shape)
  const request = { name, layers: [node.layer], source, result, eps: epsOf(node) }
  if (!extent.byChannel) return [momentsAtOnce({ ...request, ...pointsOf(extent, source) })]
  const affine = hasChannelRows(extent) ? affineOf(node) : undefined
  return momentsEquations({ ...request, ...(affine && { affine }), samples: { groups: extent.groups!, perChannel: extent.perChannel } })
}

/** The points of the table, and the values of each. */
function pointsOf(extent: NormExtent, { shape }: Tensor): Pick<Parameters<typeof momentsAtOnce>[0], 'axes' | 'count' | 'inner' | 'at'> {
  const { axes: normalized, groups } = extent
  const count = valuesOf(extent, shape)
  if (groups === undefined) {
    const points = shape.map((_, d) => (normalized.includes(d) ? undefined : axisAlong(shape, d)))
    return {
      axes: points.filter((a) => a !== undefined),
      count,
      inner: () => normalized.map((d) => axisAlong(shape, d)),
      at: (inner) => points.map((a, d): IndexLike => a ?? inner[normalized.indexOf(d)]!),
    }
  }
  const size = (shape[1] as number) / groups
  const [n, g] = [axisAlong(shape, 0), axis('g', groups)]
  const zeros = shape.slice(2).map(() => 0)
  return {
    axes: [n, g],
    count,
    inner: (): readonly Axis[] => [axis('c', size)],
    at: ([c]) => [n, plus(times(g, size), c!), ...zeros],
  }
}

/** (x - m0) - m1 at a point. */
export function centred(
  extent: NormExtent,
  x: Tensor,
  table: Tensor,
  at: readonly IndexLike[],
  rows: readonly [number, number] = [0, 1],
): Expression {
  const row = tableAt(extent, x.shape, at)
  return sub(rounded(sub(load(x, ...at), load(table, ...row, rows[0]))), load(table, ...row, rows[1]))
}

/** x-hat at a point. */
export const normalized = (extent: NormExtent, x: Tensor, table: Tensor, at: readonly IndexLike[]): Expression =>
  mul(centred(extent, x, table, at), load(table, ...tableAt(extent, x.shape, at), 2))

/** The statistics of each sample of x. Parameters: gamma and beta where the table has them. Attributes: `groups`, or `axis` and `end`; eps. */
const sampleMoments: Operator = {
  name: 'sample_moments',
  equations: (node) => statisticsEquations(node, { name: node.name, source: node.inputs[0]!, result: node.outputs[0]! }),
  // The statistics' share in the gradient of x is part of `sample_normalize_dx`.
  gradient: () => ({}),
}

export const sampleStatisticsOperators: readonly Operator[] = [sampleMoments]
