import type { Attributes } from '../../../dsl/signature.ts'
import type { Node } from '../../graph/graph.ts'
import { divide, type IndexLike } from '../../ir/affine.ts'
import { rowLength } from '../../ir/sample-moments.ts'
import type { Shape } from '../../ir/tensor.ts'
import { axisRange } from '../axes.ts'

/** What of a sample is normalized together, and where the numbers for it lie. */
export interface NormExtent {
  /** The dimensions that are normalized: of groups, all but the batch. */
  readonly axes: readonly number[]
  /** How many groups the channels are in. Absent: `axes` are normalized at every point of the others. */
  readonly groups?: number
  /** Whether gamma and beta are of channels; else of the normalized axes. */
  readonly perChannel: boolean
  /**
   * Whether statistics are first taken of every channel of a map and then merged: what makes the map may take them as it stores it.
   * With `perChannel` each channel has a row of the table then.
   */
  readonly byChannel: boolean
}

/** The extent of `group_norm`, `instance_norm` (as many groups as channels) and `layer_norm`, and of the nodes that they become. */
export function extentOf({ op, attributes }: Pick<Node, 'op' | 'attributes'>, shape: Shape): NormExtent {
  const rank = shape.length
  const groups = op === 'instance_norm' ? shape[1] as number : attributes['groups']
  if (typeof groups === 'number')
    return { axes: behindBatch(rank), groups, perChannel: true, byChannel: isMap(shape) }
  const axes = axisRange(attributes, rank)
  const isWhole = axes[0] === 1 && axes.length === rank - 1
  return isWhole && isMap(shape) ? { axes, groups: 1, perChannel: false, byChannel: true } : { axes, perChannel: false, byChannel: false }
}

const behindBatch = (rank: number): number[] => Array.from({ length: rank - 1 }, (_, d) => d + 1)

/** Whether a channel has several values. */
const isMap = (shape: Shape): boolean => shape.slice(2).some((dim) => dim !== 1)

/** How many values are normalized together. */
export const valuesOf = ({ axes, groups = 1 }: NormExtent, shape: Shape): number =>
  axes.reduce((product, d) => product * (shape[d] as number), 1) / groups

/** Whether every channel has a row of the table. */
export const hasChannelRows = ({ perChannel, byChannel }: NormExtent): boolean => perChannel && byChannel

/** The points of a table, a row each: without the row itself. */
export function tablePoints(extent: NormExtent, shape: Shape): Shape {
  if (hasChannelRows(extent)) return shape.slice(0, 2)
  return extent.groups === undefined ? shape.filter((_, d) => !extent.axes.includes(d)) : [shape[0]!, extent.groups]
}

/** The shape of the statistics: see `sample-moments.ts`. */
export const statisticsShape = (
  extent: NormExtent,
  shape: Shape,
  affine: boolean,
): Shape => [...tablePoints(extent, shape), rowLength(affine && hasChannelRows(extent))]

/** Where the row of a point of x lies in the table. */
export function tableAt(extent: NormExtent, shape: Shape, at: readonly IndexLike[]): IndexLike[] {
  if (hasChannelRows(extent)) return at.slice(0, 2)
  const { groups, axes } = extent
  return groups === undefined ? at.filter((_, d) => !axes.includes(d)) : [at[0]!, divide(at[1]!, (shape[1] as number) / groups)]
}

/** The shape of gamma and beta. */
export const parameterShape = ({ perChannel, axes }: NormExtent, shape: Shape): number[] =>
  (perChannel ? [shape[1]!] : axes.map((d) => shape[d]!)) as number[]

/** Where the coefficient of a point of x lies in gamma and beta. */
export const parameterAt = ({ perChannel, axes }: NormExtent, at: readonly IndexLike[]): IndexLike[] =>
  perChannel ? [at[1]!] : axes.map((d) => at[d]!)

/** The attributes by which the nodes that a layer becomes find the same extent. */
export function extentAttributes({ op, attributes, inputs }: Pick<Node, 'op' | 'attributes' | 'inputs'>): Attributes {
  const { eps, axis, end } = attributes
  const shape = inputs[0]!.shape
  const groups = op === 'instance_norm' ? shape[1] as number : attributes['groups']
  return { ...(eps !== undefined && { eps }), ...(groups === undefined ? { axis: axis ?? 1, end: end ?? -1 } : { groups }) }
}
