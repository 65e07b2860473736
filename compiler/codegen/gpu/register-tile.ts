import { blockAlong } from './statistics-block.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { WORKGROUP_INVOCATIONS } from './workgroup.ts'
import type { GpuModel } from './cost-model.ts'
import type { GemmAxes } from './gemm-axes.ts'
import { loadsAlong } from './unroll.ts'

/** A register tile, and its cost by the weights of `RegisterTileModel`. */
interface RatedTile {
  readonly sizes: readonly (readonly [axis: Axis | undefined, size: number])[]
  readonly points: number
  readonly cost: number
}

/**
 * The register tiles of a contraction that loads from memory itself: gives the cheapest with so many accumulators at most, of those that the
 * model allows. Tiles lie along an M-axis and along one or two N-axes. A tile costs the numbers loaded for each product (an unrolled window
 * that slides shares its loads), times the points that hang over the edges. Where none is so small, since a workgroup would not cover a block of
 * statistics by it, the one with the fewest points.
 */
export function registerTiler(e: Equation, axes: GemmAxes, model: GpuModel): (accumulators: number) => Map<Axis, number> {
  const usual = ratedTiles(e, axes, model)
  // Rows of 11 and of 13 columns, say, have no parts.
  const tiles = usual.length > 0 ? usual : ratedTiles(e, axes, { ...model, partsOfRows: true })
  const fewest = Math.min(...tiles.map(({ points }) => points))
  return (accumulators) => {
    const most = Math.max(accumulators, fewest)
    let best: RatedTile | undefined
    for (const tile of tiles) if (tile.points <= most && (!best || tile.cost < best.cost)) best = tile
    const sizes = new Map<Axis, number>()
    for (const [a, size] of best?.sizes ?? []) if (a && size > 1) sizes.set(a, size)
    return sizes
  }
}

function ratedTiles(e: Equation, { input, main, nAxes, mAxes }: GemmAxes, model: GpuModel): RatedTile[] {
  const weights = model.registerTile
  const mayTileBatch = e.sides.length === 0
  const mAxis = largest(mAxes)
  // Blocks of statistics consist of whole tiles, and of no more of them than a workgroup has invocations.
  const blockOf = new Map(e.axes.map((a) => [a, blockAlong(e, a)]))
  const invocations = e.axes.reduce((p, a) => p * (blockOf.get(a) ?? 1), 1)
  const partsOf = (a: Axis | undefined, size: number): number => (a && blockOf.get(a) !== undefined ? size : 1)
  const along = (a: Axis | undefined, sizes: readonly number[]): Along[] =>
    sizes.filter((size) => !a || (blockOf.get(a) ?? size) % size === 0).map((size) => ({
      size,
      waste: tailWaste(a, size),
      loads: loadsAlong(input, main, a, size),
      parts: partsOf(a, size),
    }))
  const spatial = nAxes.filter((a) => typeof a.extent === 'number')
  const batch = mayTileBatch ? nAxes.find((a) => a.extent === 'n') : undefined
  const first = spatial.at(-1) ?? batch
  const seconds: (Axis | undefined)[] = [
    undefined,
    ...spatial.filter((a) => a !== first),
    ...(batch && batch !== first && spatial.every((a) => a.extent === 1) ? [batch] : []),
  ]
  const alongFirst = along(first, first ? sizesFor(first, model.nTile) : [1])
  const alongSeconds = seconds.map((second) => ({ second, sizes: along(second, second ? sizesFor(second, 8).filter((t) => t > 1) : [1]) }))
  const tiles: RatedTile[] = []
  // The M-axis may lie in a block, too: in the gradient of an inner product by its input it is an axis of the map.
  for (const m of along(mAxis, mAxis ? sizesFor(mAxis, model.mTile) : [1])) {
    for (const { second, sizes } of alongSeconds) {
      for (const one of alongFirst) {
        // Otherwise a second axis is tiled only where the tile has the whole of the first: each row has guards of its own.
        if (!model.partsOfRows && second && one.size !== first?.extent && first?.extent !== 'n') continue
        for (const two of sizes) {
          const points = m.size * one.size * two.size
          if (points > model.accumulators || invocations / (m.parts * one.parts * two.parts) > WORKGROUP_INVOCATIONS) continue
          const waste = m.waste * one.waste * two.waste
          const loads = m.size + weights.inputLoad * (one.loads * two.loads)
          const raggedEdge = waste > 1 ? weights.raggedEdge : 1
          tiles.push({
            sizes: [[mAxis, m.size], [second, two.size], [first, one.size]],
            points,
            cost: waste ** weights.wasteExponent * raggedEdge * (1 + (weights.loadWeight * loads) / points),
          })
        }
      }
    }
  }
  return tiles
}

/** A size of a tile along an axis: points computed for each that is needed, numbers loaded, and by how much it divides a block of statistics. */
interface Along {
  readonly size: number
  readonly waste: number
  readonly loads: number
  readonly parts: number
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
