import { type Axis, axis, type Index, index, type IndexLike, plus, times } from '../ir/affine.ts'

/** Channels that are split into groups: the loop over the groups, which both sides of a convolution share. */
export interface Groups {
  readonly count: number
  /** The axis that counts groups. Absent where there is one group only. */
  readonly axis?: Axis
}

export const groupsOf = (count: number): Groups => (count === 1 ? { count } : { count, axis: axis('g', count) })

/** The channels of one side. Indices stay affine: channel = group * size of a group + position in it. */
export interface Channels {
  /** Loops within a group: none in a depthwise convolution, whose groups have one channel each. */
  readonly own: readonly Axis[]
  readonly inGroup: Index
  readonly inAll: Index
}

export function channelsIn(groups: Groups, name: string, perGroup: number): Channels {
  const own = groups.axis && perGroup === 1 ? [] : [axis(name, perGroup)]
  const inGroup: IndexLike = own[0] ?? 0
  return { own, inGroup: index(inGroup), inAll: groups.axis ? plus(times(groups.axis, perGroup), inGroup) : index(inGroup) }
}

/** The loops over all channels of one side, groups first. */
export const allChannels = (groups: Groups, channels: Channels): readonly Axis[] => [...(groups.axis ? [groups.axis] : []), ...channels.own]
