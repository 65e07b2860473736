import { freeAxes } from '../../ir/analysis.ts'
import { divisors } from '../../ir/divisors.ts'
import type { Axis } from '../../ir/affine.ts'
import { elementsPerSample } from '../../ir/tensor.ts'
import { blockBatch, IN_A_ROW } from './batch-block.ts'
import { batchReduction, mayPack } from './contraction.ts'
import { CPU, pointsOf } from './cost-model.ts'
import { packFactor } from './packing.ts'
import { AxisNames, type ContractionSchedule, type FactorName, otherFactor } from './schedule.ts'
import type { Contraction } from './simplify.ts'
import { wantedTasks } from './tasks.ts'

/**
 * The schedule of a filter's gradient on small maps, as a matrix product whose sums run over a block of images: output channels in lanes, input channels
 * broadcast, both packed for a block. Image by image a map of 4 x 4 gives each sum sixteen terms, fewer than it takes to read and write the sum. Undefined
 * where an equation is no such gradient, where its maps are large enough by themselves, or where channels do not fill a tile.
 */
export function chooseFilterGradient(c: Contraction): ContractionSchedule | undefined {
  const { equation: e, main } = c
  const batch = batchReduction(c)
  const map = main.axes.filter((a) => a !== batch)
  if (!batch || !mayPack(c) || e.sides.length > 0 || map.length === 0 || map.some((a) => typeof a.extent !== 'number')) return undefined
  const pixels = pointsOf(map)
  const roles = rolesOf(c)
  if (!roles || pixels > mostPixels(roles.elements)) return undefined
  const { gradients, out, input, leading } = roles
  const names = new AxisNames(e)
  const chunks = typeof batch.extent === 'object' ? batch.extent.chunks : 1
  for (const images of [32, 16, 8, 4]) {
    if ((images > IN_A_ROW && images * pixels > GOOD_TERMS) || chunks * images > GOOD_BATCH) continue
    const blocked = blockBatch(c, batch, images)
    if (!blocked) return undefined
    const fixed = new Set([...leading, blocked.blocks])
    const { body } = blocked.contraction.main
    const packed = (f: FactorName, lanes: Axis): number | undefined => {
      const made = packFactor('factor', body[f], fixed, lanes, lanes)
      return made && elementsPerSample(made.into.shape)
    }
    const [left, right] = [packed(gradients, out), packed(otherFactor(gradients), blocked.row)]
    if (left === undefined || right === undefined) return undefined
    const products = pointsOf(e.axes.filter((a) => !leading.includes(a))) * pixels * CPU.batchProducts
    const pieces = wantedTasks(e, products) / pointsOf(leading)
    const block = chooseBlock({ input, out, left, right, pieces })
    if (!block || left > MOST_GRADIENTS) continue
    const [axis, size] = block
    const cut = size < (axis.extent as number)
    return {
      algorithm: 'contraction',
      tasks: [...leading.map((a) => names.of(a)), ...(cut ? [names.of(axis)] : [])],
      ...(cut && { taskBlock: names.sizes([[axis, size]]) }),
      vectorFactor: gradients,
      packed: [gradients, otherFactor(gradients)],
      transposed: gradients,
      registerTile: names.sizes([[input, INPUTS], [out, OUTPUTS]]),
      vectorAxis: names.of(out),
      unroll: names.sizes(unrolled(map)),
      batchBlock: images,
    }
  }
  return undefined
}

interface Packed {
  readonly input: Axis
  readonly out: Axis
  /** Elements that are packed: of the output's gradients, for each block of input channels; of inputs, for each block of output channels. */
  readonly left: number
  readonly right: number
  /** Tasks that are wanted. */
  readonly pieces: number
}

/** The channels that tasks have blocks of, those of the input or the output, and how many: what packs less. */
function chooseBlock({ input, out, left, right, pieces }: Packed): readonly [Axis, number] | undefined {
  const [inputs, outputs] = [input.extent as number, out.extent as number]
  // Whole tiles; all of them where nothing divides channels so.
  const sizes = divisors(inputs).filter((d) =>
    (d === inputs || (d % INPUTS === 0 && d >= LEAST_INPUTS)) && right * d / inputs <= 2 * CPU.goodPack
  )
  const size = sizes.findLast((d) => d * pieces <= inputs || pieces <= 1) ?? sizes[0]
  const outputSize = right > 2 * CPU.goodPack ? undefined
    : divisors(outputs).findLast((d) => d % OUTPUTS === 0 && d * pieces <= outputs)
  if (outputSize !== undefined && (size === undefined || left + right * outputs / outputSize < left * inputs / size + right))
    return [out, outputSize]
  return size === undefined ? undefined : [input, size]
}

/** Output channels of a register tile. */
const OUTPUTS = 2 * CPU.lanes
/** Input channels of a register tile, and of a task at least: gradients of the output are packed for each task. */
const INPUTS = 4
const LEAST_INPUTS = 8
/**
 * Pixels of a map up to which a sum has too few terms in one image, of filters of 1 x 1, of few elements and of others; terms of a block of images
 * that are enough. Measured with filters of 1 x 1, 128 to 512 channels, batches of 4, 16 and 64: image by image maps of 5 x 5 to 8 x 8 run at 37 to 50
 * GFLOP/s, in blocks at 12 to 45, the less the fewer images a chunk of the batch has; 3 x 3 at 25 and 35, 4 x 4 at either. Filters
 * of 2 x 2 at a stride of 2: 5 x 5 at 33 and 48, 5 x 7 to 8 x 8 at 42 to 50, in blocks at 38 to 45 with a batch of 32, at 20 with one of 16.
 */
const MOST_FLAT_PIXELS = 16
const MOST_PIXELS_OF_FEW = 25
const FEW_ELEMENTS = 4
const MOST_PIXELS = 64
const GOOD_TERMS = 256
/** Images that chunks of a batch have together: with more, blocks would not be filled. */
const GOOD_BATCH = 32
/** Elements of the packed gradients of the output (1 MiB): of each vector's slab, all is in the first cache. */
const MOST_GRADIENTS = 256 * 1024

const mostPixels = (elements: number): number =>
  elements === 1 ? MOST_FLAT_PIXELS : elements <= FEW_ELEMENTS ? MOST_PIXELS_OF_FEW : MOST_PIXELS

interface Roles {
  /** The factor of the output's gradients: its axes alone tell output channels apart. */
  readonly gradients: FactorName
  readonly out: Axis
  readonly input: Axis
  /** Of the filter, for a channel of the input. */
  readonly elements: number
  /** Groups, chunks of the batch: what both factors change with. */
  readonly leading: readonly Axis[]
}

function rolesOf({ equation: e, main: { body } }: Contraction): Roles | undefined {
  for (const gradients of ['a', 'b'] as const) {
    const [inGradients, inInputs] = [freeAxes(body[gradients]), freeAxes(body[otherFactor(gradients)])]
    const own = e.axes.filter((a) => inGradients.has(a) && !inInputs.has(a))
    const others = e.axes.filter((a) => inInputs.has(a) && !inGradients.has(a))
    const [out, input] = [own[0], others[0]]
    if (own.length !== 1 || !out || !input || !has(out, 2 * CPU.lanes) || !has(input, INPUTS)) continue
    return {
      gradients,
      out,
      input,
      elements: pointsOf(others.filter((a) => a !== input)),
      leading: e.axes.filter((a) => inGradients.has(a) && inInputs.has(a)),
    }
  }
  return undefined
}

const has = ({ extent }: Axis, points: number): boolean => typeof extent === 'number' && extent >= points

/** Sides of the map that are written out beside a row of images. */
function unrolled(map: readonly Axis[]): [Axis, number][] {
  let products = CPU.accumulators * IN_A_ROW
  return [...map].reverse().flatMap((a): [Axis, number][] => {
    products *= a.extent as number
    return products <= CPU.bodyProducts ? [[a, a.extent as number]] : []
  })
}
