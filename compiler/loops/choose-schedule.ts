import { children, type Expression } from './expression.ts'
import { freeAxes } from './free-axes.ts'
import { type Axis, axesOf, type Extent } from './index-expression.ts'
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
  const tileable = (a: Axis): boolean => typeof a.extent === 'number' ? a.extent > 1 : a.extent === 'n'
  const onlyLeft = equation.axes.filter((a) => left.has(a) && !right.has(a) && tileable(a))
  const onlyRight = equation.axes.filter((a) => right.has(a) && !left.has(a) && tileable(a))
  // The factor with more exclusive axes is the picture (n, h, w), the other the weights (o).
  const [pixels, weights] = onlyLeft.length >= onlyRight.length ? [onlyLeft, onlyRight] : [onlyRight, onlyLeft]
  const tile = new Map<Axis, number>()
  const unroll = new Map<Axis, number>()
  const channel = largest(weights)
  const channelTile = channel ? bestDivisor(channel.extent, traits.tileOfOne) : 1
  if (channel && channelTile > 1) tile.set(channel, channelTile)
  const budget = Math.max(1, Math.floor(traits.accumulators / channelTile))
  let left_ = Math.min(budget, channel ? traits.tileOfOther : traits.tileOfOther)
  const ordered = pixels.filter((a) => typeof a.extent === 'number').reverse()
  for (const a of ordered) {
    if (left_ < 2) break
    const size = bestDivisor(a.extent, left_)
    if (size > 1) tile.set(a, size)
    left_ = Math.floor(left_ / size)
  }
  const batch = pixels.find((a) => a.extent === 'n')
  if (batch && left_ >= 4 && ordered.every((a) => a.extent === 1 || tile.get(a) === a.extent) && equation.sides.length === 0) tile.set(batch, 4)
  // Write out the axes of windows that slide along a tiled axis: neighbours then share what they load.
  let products = [...tile.values()].reduce((p, t) => p * t, 1)
  const windows = main.axes.filter((a) => typeof a.extent === 'number' && a.extent <= 7).reverse()
  for (const a of windows) {
    const size = a.extent as number
    if (products * size > traits.bodyProducts) continue
    if (size === 1 || sharesIndexWithTile(product, a, tile)) {
      unroll.set(a, size)
      products *= size
    }
  }
  const innermost = [...main.axes].reverse().find((a) => typeof a.extent === 'number' && !unroll.has(a))
  if (innermost && products * 2 <= traits.bodyProducts) {
    const most = Math.min(4, Math.floor(traits.bodyProducts / products))
    const size = [4, 3, 2].find((t) => t <= most && (innermost.extent as number) % t === 0) ?? 1
    if (size > 1) unroll.set(innermost, size)
  }
  const lanes = [...tile].reverse().find(([a, size]) => size % 4 === 0 && a !== channel)?.[0] ?? (channelTile % 4 === 0 ? channel : undefined)
  return { tile, ...(lanes && { lanes }), serial: [], unroll }
}

/** The largest factor up to `most` that wastes little at the edge: an exact divisor where there is a good one. */
function bestDivisor(extent: Extent, most: number): number {
  if (typeof extent !== 'number') return 1
  let best = 1
  let bestScore = 0
  for (let t = 1; t <= Math.min(most, extent); t++) {
    const waste = (Math.ceil(extent / t) * t) / extent
    // Work saved grows with the tile; what hangs over the edge is lost; fours fill vectors.
    const score = (t / (t + 2)) / waste * (t % 4 === 0 ? 1.05 : 1)
    if (score > bestScore) { best = t; bestScore = score }
  }
  return best
}

/** Whether an index adds this reduced axis to a tiled one, as windows do. */
function sharesIndexWithTile(e: Expression, reduced: Axis, tile: ReadonlyMap<Axis, number>): boolean {
  if (e.kind === 'load') {
    return e.at.some((at) => { const used = axesOf(at); return used.includes(reduced) && used.some((a) => (tile.get(a) ?? 1) > 1) })
  }
  return children(e).some((child) => sharesIndexWithTile(child, reduced, tile))
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
