import { blockAlong } from './statistics-block.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { WORKGROUP_INVOCATIONS } from './workgroup.ts'
import type { Roles } from './candidates.ts'
import { loadsAlong } from './unroll.ts'

/** How many sums one invocation may hold, and how wide its tiles may be. */
export interface TileLimits {
  /** Sums held in registers at once, at most. */
  readonly accumulators: number
  /** Points along the weights' axis (output channels) and along the pixels' axis. */
  readonly tileOfOne: number
  readonly tileOfOther: number
  /** Whether a tile may be a part of several rows: what rows share is worth more than their guards cost. */
  readonly partsOfRows: boolean
}

/**
 * Tries tiles of a channel axis and of one or two picture axes, and keeps the cheapest by a small model: numbers loaded for
 * each product (a sliding window that is written out shares its loads), times what hangs over the edges. The weights of the
 * two were fitted to convolutions measured on a software adapter; a tuner may know better.
 */
export function registerTile(e: Equation, { picture, main, pixels, channels }: Roles, traits: TileLimits): Map<Axis, number> {
  const mayTileBatch = e.sides.length === 0
  const channel = largest(channels)
  // Where statistics are gathered, tiles make up their blocks exactly, and a block is no more than a workgroup.
  const fits = (a: Axis | undefined, size: number): boolean => !a || (blockAlong(e, a) ?? size) % size === 0
  const invocations = (sizeOf: (a: Axis) => number): number =>
    e.axes.reduce((p, a) => p * ((blockAlong(e, a) ?? 1) / (blockAlong(e, a) === undefined ? 1 : sizeOf(a))), 1)
  const spatial = pixels.filter((a) => typeof a.extent === 'number')
  const batch = mayTileBatch ? pixels.find((a) => a.extent === 'n') : undefined
  const first = spatial.at(-1) ?? batch
  const seconds: (Axis | undefined)[] = [
    undefined,
    ...spatial.filter((a) => a !== first),
    ...(batch && batch !== first && spatial.every((a) => a.extent === 1) ? [batch] : []),
  ]
  let best = new Map<Axis, number>()
  let bestCost = Infinity
  for (const channelSize of channel ? sizesFor(channel, traits.tileOfOne) : [1]) {
    for (const second of seconds) {
      for (const firstSize of first ? sizesFor(first, traits.tileOfOther) : [1]) {
        // Else a second axis only where the first is used up: rows of a picture have guards of their own.
        if (!traits.partsOfRows && second && firstSize !== first?.extent && first?.extent !== 'n') continue
        for (const secondSize of second ? sizesFor(second, 8).filter((t) => t > 1) : [1]) {
          const points = channelSize * firstSize * secondSize
          if (points > traits.accumulators || !fits(first, firstSize) || !fits(second, secondSize)) continue
          if (invocations((a) => (a === first ? firstSize : a === second ? secondSize : 1)) > WORKGROUP_INVOCATIONS) continue
          const waste = overhang(channel, channelSize) * overhang(first, firstSize) * overhang(second, secondSize)
          const loads = channelSize +
            PICTURE_LOAD * loadsAlong(picture, main, first, firstSize) * loadsAlong(picture, main, second, secondSize)
          const cost = waste ** 1.5 * (waste > 1 ? 1.1 : 1) * (1 + (LOAD_WEIGHT * loads) / points)
          if (cost >= bestCost) continue
          bestCost = cost
          best = new Map()
          if (channel && channelSize > 1) best.set(channel, channelSize)
          if (second && secondSize > 1) best.set(second, secondSize)
          if (first && firstSize > 1) best.set(first, firstSize)
        }
      }
    }
  }
  return best
}

const LOAD_WEIGHT = 8
/** A number of the picture costs more than a weight: it is guarded against the padding. */
const PICTURE_LOAD = 2

const sizesFor = (a: Axis, most: number): number[] => {
  if (a.extent === 'n') return [1, 4].filter((t) => t <= most)
  return Array.from({ length: Math.min(most, a.extent as number) }, (_, i) => i + 1).filter((t) => t <= 8 || t % 2 === 0)
}

const overhang = (a: Axis | undefined, size: number): number =>
  a && typeof a.extent === 'number' ? (Math.ceil(a.extent / size) * size) / a.extent : 1

const largest = (axes: readonly Axis[]): Axis | undefined =>
  axes.filter((a) => typeof a.extent === 'number').sort((a, b) => (b.extent as number) - (a.extent as number))[0]
