import { freeAxes } from '../../ir/analysis.ts'
import { blockAlong } from './statistics-block.ts'
import { atBatch, bytesOf, pointCost } from '../../ir/cost.ts'
import type { Expression, Reduction } from '../../ir/expression.ts'
import type { Axis } from '../../ir/affine.ts'
import { type Equation, reads, writes } from '../../ir/equation.ts'
import type { Schedule } from './schedule.ts'
import { leastMergeBytes } from './block-reduction.ts'
import { bytesOfStages, stageSizes, stagingOf } from './shared-tile.ts'
import { WORKGROUP_BYTES, WORKGROUP_INVOCATIONS } from './workgroup.ts'
import { loadsAlong, sharesIndex, writtenOut } from './unroll.ts'

/** The axes of a sum of products as schedules see them. */
export interface Roles {
  readonly main: Reduction
  /** Only in the factor that has fewer axes of its own (weights), in the other (a picture), last first. */
  readonly channels: readonly Axis[]
  readonly pixels: readonly Axis[]
  readonly picture: Expression
}

/** What the model takes a GPU for: so many processors, each running 128 invocations at a time. */
const PROCESSORS = 128
const WIDTH = 128
/** Cycles until what is loaded from memory is there, and all have met. */
const ROUND_LATENCY = 700
/** Of two smaller workgroups one computes while the other waits for what it stages: measured. */
const LARGE_WORKGROUP = 1.15
/** Multiplications that are done while a number is loaded from workgroup memory. */
const SHARED_LOAD = 4
/** The same for memory: with its address and guards; by invocations that lie far apart. */
const OWN_LOAD = 10
const SCATTERED_LOAD = 24
/** What memory gives all processors in a cycle; what passes until the next kernel has started. */
const BYTES_A_CYCLE = 1700
const LAUNCH = 3000
/** Instructions to stage a number, but for its arithmetic: where it lies, its guards. */
const STAGING = 14

/** A schedule and what it costs by the model, in cycles, at each batch that was asked for. */
export interface Rated {
  readonly schedule: Schedule
  readonly costs: readonly number[]
}

/** By how much each is slower than the best at a batch, over all batches. */
export function fastestFirst(rated: readonly Rated[]): readonly Rated[] {
  const best = (rated[0]?.costs ?? []).map((_, i) => rated.reduce((least, { costs }) => Math.min(least, costs[i]!), Infinity))
  const regret = ({ costs }: Rated): number => costs.reduce((sum, cost, i) => sum + Math.log(cost / best[i]!), 0)
  return [...rated].map((r) => ({ r, regret: regret(r) })).sort((a, b) => a.regret - b.regret).map(({ r }) => r)
}

/** So many ways to stage a sum of products in workgroup memory, of those that are admitted, the fastest first by a model of a GPU. */
export function stagedSchedules(
  e: Equation,
  { main, channels, pixels, picture }: Roles,
  batches: readonly number[],
  most: number,
  admits: (stage: ReadonlyMap<Axis, number>) => boolean = () => true,
): readonly Rated[] {
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const channel = channels.filter((a) => typeof a.extent === 'number').sort((a, b) => (b.extent as number) - (a.extent as number))[0]
  const sizes = stageSizes(e, main)
  const pictureFirst = product.a === picture
  const [pictureCost, weightCost] = [picture, pictureFirst ? product.b : product.a].map((f) => STAGING + pointCost(f))
  const grid = e.axes.filter((a) => a !== channel && !pixels.includes(a))
  const usual = Math.max(...batches)
  const extent = (a: Axis): number => extentOf(a, usual)
  const mayJoinImages = e.sides.length === 0
  const found: Rated[] = []
  const seen = new Set<string>()
  const spatial = [...pixels].reverse().filter((a) => a.extent !== 1 && (mayJoinImages || a.extent !== 'n'))
  const [first, ...others] = spatial
  for (const c of channel ? [8, 4].filter((s) => s <= (channel.extent as number) && (channel.extent as number) % 4 === 0) : [1]) {
    for (const f of first ? tileSizes(first) : [1]) {
      for (
        const [second, s] of [
          [undefined, 1] as const,
          ...others.filter((a) => a.extent !== 'n').flatMap((a) => [2, 4].filter((t) => t <= extent(a)).map((t) => [a, t] as const)),
        ]
      ) {
        const points = c * f * s
        if (points < 4 || points > 64) continue
        const tile = new Map<Axis, number>()
        if (channel && c > 1) tile.set(channel, c)
        if (second) tile.set(second, s)
        if (first && f > 1) tile.set(first, f)
        const count = (a: Axis): number => Math.ceil(extent(a) / (tile.get(a) ?? 1))
        if (e.axes.some((a) => (blockAlong(e, a) ?? 1) % (blockAlong(e, a) === undefined ? 1 : tile.get(a) ?? 1) !== 0)) continue
        const unroll = writtenOut(product, main, tile, MOST_PRODUCTS)
        for (const given of groupShapes(e, channel, spatial, count, tile)) {
          const group = new Map(e.axes.filter((a) => given.has(a)).map((a) => [a, given.get(a)!]))
          const key = [...tile, ...group].map(([a, size]) => `${a.id}:${size}`).join()
          if (seen.has(key)) continue
          seen.add(key)
          // Along what both factors change with, too.
          const coversBlocks = e.axes.every((a) =>
            blockAlong(e, a) === undefined || blockAlong(e, a) === (tile.get(a) ?? 1) * (group.get(a) ?? 1)
          )
          if (!coversBlocks) continue
          const size = [...group.values()].reduce((p, g) => p * g, 1)
          if (size < 32 || size > WORKGROUP_INVOCATIONS) continue
          for (const budget of [0.9, 0.4]) {
            const merge = leastMergeBytes(e, group)
            const stage = largestStage(main, e, tile, group, (schedule) => {
              const [a, b] = sizes(schedule)
              return 4 * (a + b) * PADDED + merge <= WORKGROUP_BYTES * budget
            })
            if (!stage || !admits(stage)) continue
            const [a, b] = sizes({ tile, group, stage })
            const [ofPicture, ofWeights] = pictureFirst ? [a, b] : [b, a]
            const steps = [...stage.values()].reduce((p, n) => p * n, 1)
            const filling = Math.ceil(ofPicture / size) * pictureCost! +
              (channel && c > 1 ? Math.ceil(ofWeights / 4 / size) * (4 * weightCost!) : Math.ceil(ofWeights / size) * weightCost!)
            const loads = (channel && c > 1 ? c / 4 : 1) + loadsAlong(picture, main, first, f) * loadsAlong(picture, main, second, s)
            const computing = steps * (points + SHARED_LOAD * loads)
            const round = filling + computing
            const resident = Math.max(1, Math.min(Math.floor(1024 / size), Math.floor((96 * 1024) / (4 * (a + b) + merge))))
            const costs = batches.map((batch) => {
              const tiles = (axis: Axis): number =>
                Math.ceil(Math.ceil(extentOf(axis, batch) / (tile.get(axis) ?? 1)) / (group.get(axis) ?? 1))
              const workgroups = [...(channel ? [channel] : []), ...pixels, ...grid].reduce((p, axis) => p * tiles(axis), 1)
              const rounds = main.axes.reduce((p, axis) => p * Math.ceil(extentOf(axis, batch) / (stage.get(axis) ?? 1)), 1)
              // Either instructions keep processors busy, or one workgroup's rounds follow each other with nobody to hide them.
              const busy = Math.ceil(workgroups / PROCESSORS) * rounds * round * Math.max(1, size / WIDTH)
              const alone = Math.ceil(workgroups / (PROCESSORS * resident)) * rounds * (ROUND_LATENCY + round * Math.max(2.5, size / WIDTH))
              return (Math.max(busy, alone) + 0.2 * Math.min(busy, alone)) * (size > WIDTH ? LARGE_WORKGROUP : 1)
            })
            found.push({ costs, schedule: { tile, ...(channel && c % 4 === 0 && { lanes: channel }), serial: [], unroll, group, stage } })
          }
        }
      }
    }
  }
  const offered: Rated[] = []
  for (const rated of fastestFirst(found)) {
    const staging = stagingOf(e, rated.schedule)!
    if (bytesOfStages(rated.schedule, staging) + leastMergeBytes(e, rated.schedule.group!) <= WORKGROUP_BYTES) offered.push(rated)
    if (offered.length === most) break
  }
  return offered
}

/** What rows take that are kept apart, about; what is offered was counted. */
const PADDED = 1.1

const MOST_PRODUCTS = 512

const tileSizes = (a: Axis): number[] => {
  const most = typeof a.extent === 'number' ? a.extent : 8
  const sizes = [1, 2, 4, 8].filter((t) => t <= most)
  // A window of weights is one tile.
  return most <= 7 && !sizes.includes(most) ? [...sizes, most] : sizes
}

/** Shapes of workgroups: pixels side by side until there are enough, then channels; or some channels first. */
function groupShapes(
  e: Equation,
  channel: Axis | undefined,
  spatial: readonly Axis[],
  count: (a: Axis) => number,
  tile: ReadonlyMap<Axis, number>,
): Map<Axis, number>[] {
  const shapes: Map<Axis, number>[] = []
  for (const wanted of [64, 128, WORKGROUP_INVOCATIONS]) {
    for (const channelsFirst of [1, 2, 4, 8, 16, 32]) {
      const group = new Map<Axis, number>()
      let left = wanted
      const take = (a: Axis, most: number): void => {
        const size = Math.max(1, Math.min(most, left, count(a)))
        if (size > 1) group.set(a, size)
        left = Math.floor(left / size)
      }
      if (channel && count(channel) < channelsFirst) continue
      if (channel) left = Math.floor(left / channelsFirst)
      for (const a of spatial) {
        // Statistics are of a block, whatever was wanted.
        const block = blockAlong(e, a)
        if (block === undefined) take(a, wanted)
        else {
          const size = block / (tile.get(a) ?? 1)
          if (size > 1) group.set(a, size)
          left = Math.floor(left / size)
        }
      }
      if (channel) {
        left *= channelsFirst
        take(channel, wanted)
      }
      if (group.size > 0) shapes.push(group)
    }
  }
  return shapes
}

/** Points along an axis at a batch. */
export const extentOf = (
  a: Axis,
  batch: number,
): number => (typeof a.extent === 'number' ? a.extent : a.extent === 'n' ? batch : Math.ceil(batch / a.extent.chunks))

/** The same model for tiles that load from memory themselves: every load is an instruction that others share a cache for. */
export function tiledCost(e: Equation, { main, picture, pixels, channels }: Roles, { tile }: Schedule, batch: number): number {
  const points = [...tile.values()].reduce((p, n) => p * n, 1)
  const invocations = e.axes.reduce((p, a) => p * Math.ceil(extentOf(a, batch) / (tile.get(a) ?? 1)), 1)
  const steps = main.axes.reduce((p, a) => p * extentOf(a, batch), 1)
  const ofPixels = pixels.filter((a) => tile.has(a)).reduce((p, a) => p * loadsAlong(picture, main, a, tile.get(a)!), 1)
  const ofChannels = channels.reduce((p, a) => p * (tile.get(a) ?? 1), 1)
  const step = points + OWN_LOAD * (ofPixels * (1 + pointCost(picture) / 4) + ofChannels)
  const busy = (invocations / (PROCESSORS * WIDTH)) * steps * step
  return Math.max(busy, steps * (step * 2.5 + 30))
}

/** A pass that goes through maps point by point, and does nothing that takes longer than memory. */
export const passCost = (e: Equation, batch: number): number =>
  LAUNCH + [...reads(e), ...writes(e)].reduce((sum, t) => sum + atBatch(bytesOf(t), batch), 0) / BYTES_A_CYCLE

/** The same for a workgroup that shares the steps of one tile. */
export function sharedCost(e: Equation, { main, picture }: Roles, { tile, share = 1 }: Schedule, batch: number): number {
  const points = [...tile.values()].reduce((p, n) => p * n, 1)
  const workgroups = e.axes.reduce((p, a) => p * Math.ceil(extentOf(a, batch) / (tile.get(a) ?? 1)), 1)
  const steps = main.axes.reduce((p, a) => p * extentOf(a, batch), 1)
  const loads = [...tile.values()].reduce((p, n) => p + n, 0)
  const step = points + SCATTERED_LOAD * loads * (1 + pointCost(picture) / 4)
  const gather = Math.log2(share) * (40 + 4 * points)
  const busy = (workgroups * share / (PROCESSORS * WIDTH)) * ((steps / share) * step + gather)
  return Math.max(busy, Math.ceil((workgroups * share) / (PROCESSORS * 1024)) * ((steps / share) * (step * 2.5 + 30) + gather))
}

/** Windows whole, then as many steps of the other reduced axes as there is memory for, innermost first. */
function largestStage(
  main: Reduction,
  e: Equation,
  tile: ReadonlyMap<Axis, number>,
  group: ReadonlyMap<Axis, number>,
  fits: (s: Pick<Schedule, 'tile' | 'group' | 'stage'>) => boolean,
): Map<Axis, number> | undefined {
  const moves = (a: Axis): boolean => (tile.get(a) ?? 1) * (group.get(a) ?? 1) > 1
  const slides = (r: Axis): boolean => e.axes.some((a) => moves(a) && sharesIndex(main.body, r, a))
  const stage = new Map<Axis, number>()
  const trial = (): boolean => fits({ tile, group, stage })
  if (!trial()) return undefined
  const fixed = [...main.axes].reverse().filter((a) => typeof a.extent === 'number' && a.extent > 1)
  for (const a of [...fixed.filter(slides), ...fixed.filter((a) => !slides(a))]) {
    for (const size of divisorsOf(a.extent as number)) {
      stage.set(a, size)
      if (trial()) break
      stage.delete(a)
    }
  }
  return stage
}

const MOST_STEPS = 64
const divisors = new Map<number, readonly number[]>()
const divisorsOf = (n: number): readonly number[] => {
  let known = divisors.get(n)
  if (!known)
    divisors.set(
      n,
      known = Array.from({ length: Math.min(n, MOST_STEPS) }, (_, i) => Math.min(n, MOST_STEPS) - i).filter((d) => d > 1 && n % d === 0),
    )
  return known
}

/** Which axes only the one factor has, which only the other. */
export function rolesOf(equation: Equation, main: Reduction): Roles {
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const left = freeAxes(product.a)
  const right = freeAxes(product.b)
  const onlyLeft = equation.axes.filter((a) => left.has(a) && !right.has(a) && a.extent !== 1)
  const onlyRight = equation.axes.filter((a) => right.has(a) && !left.has(a) && a.extent !== 1)
  // The factor with more axes of its own is the picture (n, h, w), the other the weights (o).
  const pictureIsLeft = onlyLeft.length >= onlyRight.length
  const [pixels, channels] = pictureIsLeft ? [onlyLeft, onlyRight] : [onlyRight, onlyLeft]
  return { main, pixels, channels, picture: pictureIsLeft ? product.a : product.b }
}
