import type { Tensor } from './tensor.ts'
import { type Expression, forEachChild } from './expression.ts'
import { type Axis, index, type Index, type IndexLike, plus, times } from './affine.ts'

/** One tensor written by an equation: `tensor[at] = value` for every point of the axes. */
export interface Store {
  readonly tensor: Tensor
  readonly at: readonly Index[]
  readonly value: Expression
  /** The points whose value is not 0 are counted: their number is added to the only element of an i32 tensor, which nobody reads here. */
  readonly counts?: true
}

/**
 * An equation: every point of `axes` is computed on its own, in any order; it writes one element of each store.
 * An operator lowers to one or several; fusion joins them; one equation becomes one kernel.
 */
export interface Equation {
  /** `conv1`, after fusion `conv1+bn1+relu_1`. */
  readonly name: string
  /** Full names of the layers whose work it does. */
  readonly layers: readonly string[]
  /** Independent points. The batch, if there, comes first. */
  readonly axes: readonly Axis[]
  readonly stores: readonly Store[]
  /** Statistics of what is stored, in the same pass: see `moments.ts`. */
  readonly sides: readonly SideReduction[]
  /** A map that the kernel computes while it loads it, and stores too. */
  readonly fusedProducer?: FusedProducer
  /**
   * How many images its program is made for, where a target has another schedule by that: `many`, where it trains with a batch that fills blocks of them;
   * `one`, where it infers, and a single image should keep several threads busy.
   */
  readonly images?: 'many' | 'one'
  /** A constant factor of the equation's sum of products that the kernel reads in another form. */
  readonly prepacked?: Prepacked
  /** Set on the equations of one batch-statistics computation, so that fusion may move its first half. */
  readonly moments?: MomentsRole
  /** Set on the first equations of sums over the batch, so that fusion may move them. */
  readonly sums?: SumsRole
}

/**
 * A prologue with a result: what would have been stored by a pass of its own is computed as it is loaded, and stored, since others
 * read it later. Every point of `axes` is one element of the tensor; the equation's own values load it as if it were there.
 */
export interface FusedProducer {
  readonly axes: readonly Axis[]
  readonly store: Store
}

/**
 * Prepacking (of oneDNN, XNNPACK and others): a weight in the form in which a kernel multiplies it, which another kernel makes of it once, when parameters
 * have changed. The equation's values load `weight` all the same: that is what they mean; its kernel reads `packed`.
 */
export interface Prepacked {
  readonly weight: Tensor
  readonly packed: Tensor
  /** What `packed` holds: the transformed filter of Winograd's algorithm, or the weight with what a kernel has in its lanes innermost. */
  readonly form: 'winograd' | 'transposed'
  /** Output channels that lie side by side for each input channel, of Winograd's form (BLIS: the width of a panel). */
  readonly panel?: number
}

/**
 * A reduction of a stored tensor, taken by the kernel that stores it. Points are grouped in blocks along all axes but `keptAxis` (NumPy:
 * keepdims); each block writes its result for each point of that axis to `partials[block of axis 0, block of axis 1, ..., kept point, count]`:
 *   moments   reference, mean - reference, M2, number of values
 *   sums      the sum of each term
 */
export type SideReduction = SideMoments | SideSums

interface Side {
  /** The stored tensor, its dimensions in the order of the equation's axes; both axes of channels in groups count one dimension. */
  readonly source: Tensor
  /** The channel of `source` at which `keptAxis` starts, where only a part of it is stored. Moments alone have it. Absent: 0. */
  readonly channelOffset?: number
  readonly keptAxis: Axis
  /** Counts groups of channels, where `keptAxis` counts the channels of a group: channel group * keptAxis.extent + kept. */
  readonly groupAxis?: Axis
  /** Block size of every axis but these, in the order of the equation's axes. The batch's block is 1. */
  readonly blocks: readonly { readonly axis: Axis; readonly size: number }[]
  readonly partials: Tensor
}

export interface SideMoments extends Side {
  readonly kind: 'moments'
}

export interface SideSums extends Side, Terms {
  readonly kind: 'sums'
}

/** Values at one point of a tensor, `at` standing for its place: an axis a dimension. */
export interface Terms {
  readonly at: readonly Axis[]
  readonly terms: readonly Expression[]
}

export interface MomentsRole {
  /** The tensor whose statistics are taken. */
  readonly source: Tensor
  /** [4 or 6, C]: see `MomentsRequest`. */
  readonly result: Tensor
  readonly affine?: { readonly gamma: Tensor; readonly beta: Tensor }
  readonly eps: number
  /** See `MomentsRequest`. */
  readonly samples?: SampleGroups
  readonly stage: 'partial' | 'merge'
}

/** How many groups the channels of a sample are in, and whether the result has a row for each channel or for each group. */
export interface SampleGroups {
  readonly groups: number
  readonly perChannel: boolean
}

/** Sums over all dimensions but `kept`, on their way to `into[term, chunk, kept]`, which one later equation adds up. */
export interface SumsRole extends Terms {
  readonly into: Tensor
  readonly kept: number
  readonly stage: 'partial' | 'merge'
}

// Equations and stores name all of their fields, those that they do not have too: all equations then have one layout in memory, and so have their copies.

export const store = (tensor: Tensor, at: readonly IndexLike[], value: Expression): Store => ({
  tensor,
  at: at.map(index),
  value,
  counts: undefined,
})

export const count = (tensor: Tensor, value: Expression): Store => ({ tensor, at: [index(0)], value, counts: true })

export const equation = (name: string, layers: readonly string[], axes: readonly Axis[], stores: readonly Store[]): Equation => ({
  name,
  layers,
  axes,
  stores,
  sides: [],
  fusedProducer: undefined,
  images: undefined,
  prepacked: undefined,
  moments: undefined,
  sums: undefined,
})

/** Tensors that are read, each once, in order of first use; without the map of its fused producer, and with a weight as it is packed. */
export function reads(e: Equation): readonly Tensor[] {
  const known = knownReads.get(e)
  if (known) return known
  const found: Tensor[] = []
  const seen = new Set<Expression>()
  let source: Tensor | undefined
  const visit = (node: Expression): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind !== 'load') forEachChild(node, visit)
    else if (node.tensor !== source && !found.includes(node.tensor)) found.push(node.tensor)
  }
  if (e.fusedProducer) visit(e.fusedProducer.store.value)
  for (const s of e.stores) visit(s.value)
  for (const side of e.sides) {
    if (side.kind !== 'sums') continue
    source = side.source
    for (const term of side.terms) visit(term)
  }
  const made = e.fusedProducer?.store.tensor
  const tensors = found.filter((t) => t !== made).map((t) => (t === e.prepacked?.weight ? e.prepacked.packed : t))
  knownReads.set(e, tensors)
  return tensors
}

const knownReads = new WeakMap<Equation, readonly Tensor[]>()

/** Tensors that are written. */
export function writes(e: Equation): readonly Tensor[] {
  const known = knownWrites.get(e)
  if (known) return known
  const tensors = [
    ...new Set([
      ...(e.fusedProducer ? [e.fusedProducer.store.tensor] : []),
      ...e.stores.map((s) => s.tensor),
      ...e.sides.map((side) => side.partials),
    ]),
  ]
  knownWrites.set(e, tensors)
  return tensors
}

const knownWrites = new WeakMap<Equation, readonly Tensor[]>()

/** How many points along an axis lie in one block. */
export type BlockSizes = (a: Axis) => number

/** The axes of an equation that count the channels of what it stores. */
export type ChannelAxes = Pick<SideReduction, 'keptAxis' | 'groupAxis'>

/** The same as a list, groups first. */
export const channelAxesIn = ({ keptAxis, groupAxis }: ChannelAxes): readonly Axis[] => [...(groupAxis ? [groupAxis] : []), keptAxis]

/** How many channels they count. */
export const channelCount = ({ keptAxis, groupAxis }: ChannelAxes): number =>
  (keptAxis.extent as number) * ((groupAxis?.extent as number | undefined) ?? 1)

/** Those of [n, C, ...], stored in the order of the axes: one axis, or one of groups and one of the channels of a group. Undefined where it is not. */
export function channelAxesOf({ axes }: Equation, { tensor, at }: Store): ChannelAxes | undefined {
  const groups = axes.length - tensor.shape.length
  const [image, first, second] = axes
  if (!first || groups < 0 || groups > 1 || at.length !== tensor.shape.length) return undefined
  const [keptAxis, groupAxis] = groups === 1 ? [second, first] : [first, undefined]
  if (!keptAxis || typeof keptAxis.extent !== 'number') return undefined
  const channel = groupAxis ? plus(times(groupAxis, keptAxis.extent), keptAxis) : index(keptAxis)
  const found: ChannelAxes = { keptAxis, ...(groupAxis && { groupAxis }) }
  const places = [index(image!), channel, ...axes.slice(2 + groups).map((a) => index(a))]
  const extents = [image!.extent, channelCount(found), ...axes.slice(2 + groups).map((a) => a.extent)]
  return places.every((place, d) => place.key === at[d]!.key && extents[d] === tensor.shape[d]) ? found : undefined
}

/** Blocks of all axes but those of channels, and how many there are of each: the first dimensions of what a side reduction writes to. */
export function blocksAround(
  { keptAxis, groupAxis }: ChannelAxes,
  axes: readonly Axis[],
  sizeOf: BlockSizes,
): { readonly blocks: SideReduction['blocks']; readonly counts: readonly (number | 'n')[] } {
  const blocks = axes.filter((a) => a !== keptAxis && a !== groupAxis).map((a) => ({ axis: a, size: sizeOf(a) }))
  return {
    blocks,
    counts: blocks.map(({ axis: a, size }) => (typeof a.extent === 'number' ? Math.ceil(a.extent / size) : a.extent as 'n')),
  }
}
