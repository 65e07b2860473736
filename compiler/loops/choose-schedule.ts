import { children, type Expression } from './expression.ts'
import { freeAxes } from './free-axes.ts'
import type { Blocks } from './fuse.ts'
import { type Axis, axesOf } from './index-expression.ts'
import type { Equation } from './kernel.ts'
import type { Schedule } from './schedule.ts'

/** What a target prefers: how many sums one invocation may hold, and how wide its tiles may be. */
export interface TargetTraits {
  /** Sums held in registers at once, at most. */
  readonly accumulators: number
  /** Points along the weights' axis (output channels) and along the pixels' axis. */
  readonly tileOfOne: number
  readonly tileOfOther: number
  /** Multiplications written out in a row in the innermost loop, at most: text size and compile time. */
  readonly bodyProducts: number
}

type Reduction = Extract<Expression, { kind: 'reduce' }>

/**
 * A schedule from the shape of the equation alone. For a contraction (a sum of products) it tiles one axis that only the
 * one factor depends on and one or two that only the other does, so that each loaded number is used many times.
 */
export function chooseSchedule(equation: Equation, traits: TargetTraits): Schedule {
  const sums = equation.stores.flatMap((s) => reductions(s.value))
  const serial = serialAxes(equation, sums)
  const main = sums.filter((r) => r.combine === 'sum' && r.body.kind === 'binary' && r.body.op === 'mul')
    .sort((a, b) => steps(b) - steps(a))[0]
  if (main && serial.length === 0 && steps(main) > 1) return tileContraction(equation, main, traits)
  const unroll = new Map<Axis, number>()
  for (const r of sums) {
    const size = steps(r)
    if (Number.isFinite(size) && size <= 16) for (const a of r.axes) unroll.set(a, a.extent as number)
  }
  return { tile: sums.length === 0 && serial.length === 0 ? pointwiseTile(equation) : new Map(), serial, unroll }
}

/** Statistics are gathered tile by tile: of one image, and not where an invocation walks through its points. */
export function blocksOfSchedule(e: Equation, { tile, serial }: Schedule): Blocks | string {
  if (serial.length > 0) return `${e.name} walks through its points in a loop`
  if ((tile.get(e.axes[0]!) ?? 1) !== 1) return `${e.name} computes several images at once`
  return (a) => tile.get(a) ?? 1
}

/** Neighbouring points share index arithmetic and per-channel coefficients. */
function pointwiseTile(equation: Equation): Map<Axis, number> {
  const last = equation.axes.at(-1)
  if (!last || typeof last.extent !== 'number') return new Map()
  const size = [4, 2].find((t) => (last.extent as number) % t === 0)
  return new Map(size ? [[last, size]] : [])
}

/** Output axes over which some reduction does not change: softmax over its own channel axis. */
function serialAxes(equation: Equation, sums: readonly Reduction[]): Axis[] {
  return equation.axes.filter((a, i) => i > 0 && sums.some((r) => !freeAxes(r).has(a)))
}

function tileContraction(equation: Equation, main: Reduction, traits: TargetTraits): Schedule {
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const left = freeAxes(product.a)
  const right = freeAxes(product.b)
  const onlyLeft = equation.axes.filter((a) => left.has(a) && !right.has(a) && a.extent !== 1)
  const onlyRight = equation.axes.filter((a) => right.has(a) && !left.has(a) && a.extent !== 1)
  // The factor with more axes of its own is the picture (n, h, w), the other the weights (o).
  const pictureIsLeft = onlyLeft.length >= onlyRight.length
  const [pixels, weights] = pictureIsLeft ? [onlyLeft, onlyRight] : [onlyRight, onlyLeft]
  const picture = pictureIsLeft ? product.a : product.b
  // A small picture is cut into enough tiles to keep a device busy, whatever the batch; and its text stays short.
  const points = equation.axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const accumulators = Math.min(traits.accumulators, Math.max(LEAST_ACCUMULATORS, Math.floor(points / INVOCATIONS_A_SAMPLE)))
  const tile = bestTile(picture, main, pixels, largest(weights), { ...traits, accumulators }, equation.sides.length === 0)
  const unroll = writtenOut(product, main, tile, traits)
  const lanes = [...tile].filter(([, size]) => size % 4 === 0).sort(([a], [b]) => Number(weights.includes(a)) - Number(weights.includes(b)))[0]?.[0]
  return { tile, ...(lanes && { lanes }), serial: [], unroll }
}

/**
 * Tries tiles of a channel axis and of one or two picture axes, and keeps the cheapest by a small model: numbers loaded for
 * each product (a sliding window that is written out shares its loads), times what hangs over the edges. The weights of the
 * two were fitted to convolutions measured on a software adapter; a tuner may know better.
 */
function bestTile(picture: Expression, main: Reduction, pixels: readonly Axis[], channel: Axis | undefined, traits: TargetTraits, mayTileBatch: boolean): Map<Axis, number> {
  const spatial = pixels.filter((a) => typeof a.extent === 'number')
  const batch = mayTileBatch ? pixels.find((a) => a.extent === 'n') : undefined
  const first = spatial.at(-1) ?? batch
  const seconds: (Axis | undefined)[] = [undefined, ...spatial.filter((a) => a !== first), ...(batch && batch !== first && spatial.every((a) => a.extent === 1) ? [batch] : [])]
  let best = new Map<Axis, number>()
  let bestCost = Infinity
  for (const channelSize of channel ? sizesFor(channel, traits.tileOfOne) : [1]) {
    for (const second of seconds) {
      for (const firstSize of first ? sizesFor(first, traits.tileOfOther) : [1]) {
        // A second axis only where the first is used up: rows of a picture have guards of their own.
        if (second && firstSize !== first?.extent && first?.extent !== 'n') continue
        for (const secondSize of second ? sizesFor(second, 8).filter((t) => t > 1) : [1]) {
          const points = channelSize * firstSize * secondSize
          if (points > traits.accumulators) continue
          const waste = overhang(channel, channelSize) * overhang(first, firstSize) * overhang(second, secondSize)
          const loads = channelSize + PICTURE_LOAD * loadsAlong(picture, main, first, firstSize) * loadsAlong(picture, main, second, secondSize)
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
const LEAST_ACCUMULATORS = 16
const INVOCATIONS_A_SAMPLE = 64
/** A number of the picture costs more than a weight: it is guarded against the padding. */
const PICTURE_LOAD = 2

const sizesFor = (a: Axis, most: number): number[] => {
  if (a.extent === 'n') return [1, 4].filter((t) => t <= most)
  return Array.from({ length: Math.min(most, a.extent as number) }, (_, i) => i + 1).filter((t) => t <= 8 || t % 2 === 0)
}

const overhang = (a: Axis | undefined, size: number): number =>
  a && typeof a.extent === 'number' ? (Math.ceil(a.extent / size) * size) / a.extent : 1

/** Numbers loaded along an axis for one step, when the window that slides along it is written out. */
function loadsAlong(picture: Expression, main: Reduction, a: Axis | undefined, size: number): number {
  if (!a) return 1
  const partner = main.axes.find((r) => typeof r.extent === 'number' && sharesIndex(picture, r, a))
  if (!partner) return size
  const steps = stepsWrittenOut(partner)
  return (size + steps - 1) / steps
}

const stepsWrittenOut = (a: Axis): number =>
  (a.extent as number) <= 7 ? (a.extent as number) : ([4, 3, 2].find((t) => (a.extent as number) % t === 0) ?? 1)

/** Windows that slide along a tiled axis are written out, so neighbours share what they load; then a little of the innermost loop. */
function writtenOut(product: Expression, main: Reduction, tile: ReadonlyMap<Axis, number>, traits: TargetTraits): Map<Axis, number> {
  const unroll = new Map<Axis, number>()
  let products = [...tile.values()].reduce((p, t) => p * t, 1)
  const add = (a: Axis, size: number): void => {
    if (size <= 1 && a.extent !== 1) return
    if (products * size > traits.bodyProducts) return
    unroll.set(a, size)
    products *= size
  }
  const fixed = [...main.axes].reverse().filter((a) => typeof a.extent === 'number')
  for (const a of fixed) {
    if (a.extent === 1 || [...tile].some(([t, size]) => size > 1 && sharesIndex(product, a, t))) add(a, stepsWrittenOut(a))
  }
  const innermost = fixed.find((a) => !unroll.has(a))
  if (innermost && unroll.size === 0) add(innermost, [4, 3, 2].find((t) => (innermost.extent as number) % t === 0) ?? 1)
  return unroll
}

/** Whether some index adds the two axes, as windows do. */
function sharesIndex(e: Expression, a: Axis, b: Axis): boolean {
  if (e.kind === 'load') return e.at.some((at) => { const used = axesOf(at); return used.includes(a) && used.includes(b) })
  return children(e).some((child) => sharesIndex(child, a, b))
}

const largest = (axes: readonly Axis[]): Axis | undefined =>
  axes.filter((a) => typeof a.extent === 'number').sort((a, b) => (b.extent as number) - (a.extent as number))[0]

const steps = (r: Reduction): number =>
  r.axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : Infinity), 1)

function reductions(e: Expression, found = new Set<Reduction>(), seen = new Set<Expression>()): Reduction[] {
  if (!seen.has(e)) {
    seen.add(e)
    if (e.kind === 'reduce') found.add(e)
    for (const child of children(e)) reductions(child, found, seen)
  }
  return [...found]
}
