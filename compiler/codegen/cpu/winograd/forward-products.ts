import { add, load, mul, sum } from '../../../ir/expression.ts'
import { type Axis, axis, plus, times } from '../../../ir/affine.ts'
import { divisors } from '../../../ir/divisors.ts'
import { equation, store } from '../../../ir/equation.ts'
import { CPU } from '../cost-model.ts'
import { scalarLoops, type Stage, type StageGroup } from '../loop-nest.ts'
import { filterPlace, type ForwardPlan, productPlace } from './forward-plan.ts'

/** One matrix product for each element of a transformed tile. */
export function multiply(p: ForwardPlan): (Stage | StageGroup)[] {
  if (p.prepacked && (p.images || !tilesInLanes(p))) return multiplyPrepared(p)
  const { inputs, outputs, tiles, tensors, images } = p
  if (images) return [multiplyImages(p, images.size)]
  const [f, o, t, k] = [axis('f', p.size ** 2), axis('o', outputs), axis('tile', tiles), axis('c', inputs)]
  const product = mul(load(tensors.transformed, f, plus(times(k, tiles), t)), load(tensors.filter, f, filterPlace(p, o, k)))
  return [{
    equation: equation('multiply', [], [f, ...blocksOf(p), o, t], [store(tensors.products, [f, productPlace(p, o, t)], sum([k], product))]),
    loops: [
      ...scalarLoops([f, ...blocksOf(p)]),
      { axis: o, tile: Math.min(tiles >= 8 ? 4 : 8, outputs) },
      { axis: t, tile: tiles >= 8 ? 2 : 1, vectorized: tiles >= 4 },
    ],
    unroll: new Map([[k, [8, 4, 2].find((d) => inputs % d === 0) ?? 1]]),
  }]
}

/** The blocks of output channels that are multiplied for an element before the next one. */
const blocksOf = ({ multipliesAll, channelBlocks }: ForwardPlan): readonly Axis[] => (multipliesAll ? [channelBlocks] : [])

/**
 * Whether tiles lie in the lanes, though a prepared filter could: sums are too short to pay for storing their vectors transposed (12 channels: 0.82 of the time in
 * Node 20, with vectors of twice the width 0.57), or register tiles of two vectors would cover a panel worse than they cover the tiles (blocks of 12 channels: 0.8 and
 * 0.6 of the time, of 4 channels 0.6 and 0.3).
 */
const tilesInLanes = ({ inputs, outputs, tiles }: ForwardPlan): boolean =>
  tiles >= TILE && (inputs < SHORT_SUM || waste(tiles) < waste(outputs))
const TILE = 2 * CPU.lanes
const waste = (points: number): number => TILE * Math.ceil(points / TILE) / points
const SHORT_SUM = 16

/**
 * The same with a prepared filter: its panels are loaded in vectors, tiles are broadcast. A panel and all tiles are walked several times over, so input channels
 * are taken in as many blocks (BLIS: blocks of K) as let both keep near to the first cache; sums go on in memory from block to block. A panel is
 * read to its end before the next one, which follows it in memory: 1024 channels on 7 x 7 and 13 x 13 take 0.7 to 0.9 of the time.
 */
function multiplyPrepared(p: ForwardPlan): StageGroup[] {
  const { inputs, outputs, tiles, tensors, images, lane } = p
  const most = Math.max(CPU.lanes, CPU.winograd.goodPanels / (outputs + tiles))
  const size = divisors(inputs).filter((d) => d <= most).at(-1)!
  // Many short sums would do little but begin.
  const block = size >= Math.min(inputs, LEAST_BLOCK) ? size : inputs
  const [f, o, k] = [axis('f', p.size ** 2), axis('o', outputs), axis('c', block)]
  const place = axis('tile', images ? tiles / images.size : tiles)
  const tile = images ? plus(times(place, images.size), lane) : place
  const total = [f, productPlace(p, o, tile)] as const
  const inVectors = outputs / CPU.lanes
  const stages = Array.from({ length: inputs / block }, (_, i): Stage => {
    const channel = plus(k, i * block)
    const product = mul(
      load(tensors.transformed, f, plus(times(channel, tiles), tile)),
      load(tensors.filter, f, filterPlace(p, o, channel)),
    )
    const value = i === 0 ? sum([k], product) : add(load(tensors.products, ...total), sum([k], product))
    return {
      equation: equation('multiply', [], [o, place, ...(images ? [lane] : [])], [store(tensors.products, total, value)]),
      loops: [
        { axis: o, tile: Math.min(2, inVectors), vectorized: true },
        ...(images ? [{ axis: place, tile: 1 }, { axis: lane, tile: CPU.lanes }]
          : [{ axis: place, tile: Math.min(inVectors > 1 ? 4 : 8, tiles) }]),
      ],
      unroll: new Map([[k, [8, 4, 2].find((d) => block % d === 0) ?? 1]]),
    }
  })
  return [{ each: scalarLoops([f, ...blocksOf(p)]), stages }]
}

/** Input channels of a block of a sum, at least. */
const LEAST_BLOCK = 64

/** The same where tiles of the images of a block lie side by side. */
function multiplyImages(p: ForwardPlan, images: number): Stage {
  const { inputs, outputs, tiles, tensors, lane } = p
  const [f, o, place, k] = [axis('f', p.size ** 2), axis('o', outputs), axis('tile', tiles / images), axis('c', inputs)]
  const tile = plus(times(place, images), lane)
  const product = mul(load(tensors.transformed, f, plus(times(k, tiles), tile)), load(tensors.filter, f, filterPlace(p, o, k)))
  return {
    equation: equation('multiply', [], [f, o, place, lane], [store(tensors.products, [f, productPlace(p, o, tile)], sum([k], product))]),
    loops: [{ axis: f, tile: 1 }, { axis: place, tile: 1 }, { axis: o, tile: 4 }, { axis: lane, tile: 2, vectorized: true }],
    unroll: new Map([[k, [8, 4, 2].find((d) => inputs % d === 0) ?? 1]]),
  }
}
