import { blockAlong } from './statistics-block.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { WORKGROUP_INVOCATIONS } from './workgroup.ts'
import type { GpuModel } from './cost-model.ts'
import type { GemmAxes } from './gemm-axes.ts'
import { loadsAlong } from './unroll.ts'

/**
 * The register tile of a contraction that loads from memory itself. Tries tiles of an M-axis and of one or two N-axes, and keeps the
 * cheapest by the weights of `RegisterTileModel`: numbers loaded for each product (an unrolled window that slides shares its loads),
 * times the points that hang over the edges.
 */
export function registerTile(
  e: Equation,
  { input, main, nAxes, mAxes }: GemmAxes,
  model: GpuModel,
  accumulators: number,
): Map<Axis, number> {
  const weights = model.registerTile
  const mayTileBatch = e.sides.length === 0
  const mAxis = largest(mAxes)
  // Blocks of statistics consist of whole tiles, and of no more of them than a workgroup has invocations.
  const fits = (a: Axis | undefined, size: number): boolean => !a || (blockAlong(e, a) ?? size) % size === 0
  const invocations = (sizeOf: (a: Axis) => number): number =>
    e.axes.reduce((p, a) => p * ((blockAlong(e, a) ?? 1) / (blockAlong(e, a) === undefined ? 1 : sizeOf(a))), 1)
  const spatial = nAxes.filter((a) => typeof a.extent === 'number')
  const batch = mayTileBatch ? nAxes.find((a) => a.extent === 'n') : undefined
  const first = spatial.at(-1) ?? batch
  const seconds: (Axis | undefined)[] = [
    undefined,
    ...spatial.filter((a) => a !== first),
    ...(batch && batch !== first && spatial.every((a) => a.extent === 1) ? [batch] : []),
  ]
  let best = new Map<Axis, number>()
  let bestCost = Infinity
  for (const mSize of mAxis ? sizesFor(mAxis, model.mTile) : [1]) {
    for (const second of seconds) {
      for (const firstSize of first ? sizesFor(first, model.nTile) : [1]) {
        // Otherwise a second axis is tiled only where the tile has the whole of the first: each row has guards of its own.
        if (!model.partsOfRows && second && firstSize !== first?.extent && first?.extent !== 'n') continue
        for (const secondSize of second ? sizesFor(second, 8).filter((t) => t > 1) : [1]) {
          const points = mSize * firstSize * secondSize
          if (points > accumulators || !fits(first, firstSize) || !fits(second, secondSize)) continue
          if (invocations((a) => (a === first ? firstSize : a === second ? secondSize : 1)) > WORKGROUP_INVOCATIONS) continue
          const waste = tailWaste(mAxis, mSize) * tailWaste(first, firstSize) * tailWaste(second, secondSize)
          const inputLoads = loadsAlong(input, main, first, firstSize) * loadsAlong(input, main, second, secondSize)
          const loads = mSize + weights.inputLoad * inputLoads
          const raggedEdge = waste > 1 ? weights.raggedEdge : 1
          const cost = waste ** weights.wasteExponent * raggedEdge * (1 + (weights.loadWeight * loads) / points)
          if (cost >= bestCost) continue
          bestCost = cost
          best = new Map()
          if (mAxis && mSize > 1) best.set(mAxis, mSize)
          if (second && secondSize > 1) best.set(second, secondSize)
          if (first && firstSize > 1) best.set(first, firstSize)
        }
      }
    }
  }
  return best
}

/** Sizes of a tile along an axis: all up to 8, then even ones. */
const sizesFor = (a: Axis, most: number): number[] => {
  if (a.extent === 'n') return [1, 4].filter((t) => t <= most)
  return Array.from({ length: Math.min(most, a.extent as number) }, (_, i) => i + 1).filter((t) => t <= 8 || t % 2 === 0)
}

/** Points computed for each point of an axis that tiles of `size` cover. */
const tailWaste = (a: Axis | undefined, size: number): number =>
  a && typeof a.extent === 'number' ? (Math.ceil(a.extent / size) * size) / a.extent : 1

const largest = (axes: readonly Axis[]): Axis | undefined =>
  axes.filter((a) => typeof a.extent === 'number').sort((a, b) => (b.extent as number) - (a.extent as number))[0]
