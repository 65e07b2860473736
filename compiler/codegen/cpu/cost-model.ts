import { memoryStride } from '../../ir/analysis.ts'
import { pointCost } from '../../ir/cost.ts'
import { type Expression, walk } from '../../ir/expression.ts'
import { type Axis } from '../../ir/affine.ts'

/**
 * The model of one core with SIMD of four lanes and its caches. Costs count instructions: two for a product of four lanes
 * (multiply, add), one for a vector that is loaded, more where its elements lie scattered.
 *
 * Registers and lanes are facts of the machines. The other numbers are thresholds, chosen so that the kernels of this project's
 * samples run fast under V8 on x86-64: they are no measurements of one quantity, and `fusenet tune` measures what they guess.
 */
export interface CpuModel {
  /** Elements of a vector. */
  readonly lanes: number
  /** Vectors that a core holds. */
  readonly registers: number
  /** Vectors of sums that a register tile holds. */
  readonly accumulators: number
  /** The same in a sum over a batch, whose terms are points of maps: no step loads what the next one loads again, so that none is kept. */
  readonly gradientAccumulators: number
  /** Vectors of sums whose terms lie in lanes. */
  readonly sumsInLanes: number
  /** Multiplications of four lanes in the unrolled body of a loop. */
  readonly bodyProducts: number
  /** Longest side of a filter that is unrolled whole. */
  readonly unrolledFilter: number
  /** Instructions that load four lanes at stride 2, and at any other stride but 0 and 1. */
  readonly strideTwo: number
  readonly scattered: number
  /** Instructions that store four lanes at a stride; and where neighbours of the tile fill the gaps. */
  readonly scatteredStore: number
  readonly interleavedStore: number
  /** Loads that `exp`, `log`, `tanh` and `erf` count as. */
  readonly functionLoads: number
  /** Times that one of these takes behind the sums of a register tile, which are in its way, of one in a pass. */
  readonly functionsOfSums: number
  /** Steps of an axis whose length depends on the batch. */
  readonly batchSteps: number
  /** Terms of a sum up to which it is unrolled whole in a pointwise kernel. */
  readonly unrolledTerms: number
  /** The same where an axis of the map lies in lanes: 5 x 5, 1.7 times the speed of loops. */
  readonly unrolledWindow: number
  /** Points between two multiples of a divisor, up to which they are split into an axis of their own. */
  readonly splitPoints: number
  /** Points that share what they load from a divided index, from which on they are walked as an axis of their own. */
  readonly leastRun: number
  /** Points of a map (of a filter, in its gradient) that are computed together where channels lie in lanes. */
  readonly smallMap: number

  /** Products of a task: a sample is cut into tasks of so many, but into no more than `mostTasks`, so that several threads have work. */
  readonly taskProducts: number
  /** The same where the batch makes no tasks: a program that infers is asked for one sample, too. */
  readonly oneImageProducts: number
  readonly mostTasks: number
  /** Steps of the batch in `taskProducts`, where a sum runs over it. */
  readonly batchProducts: number
  /** Terms of a pointwise task: fewer are not worth one; more are cut where nothing else makes tasks. */
  readonly leastTask: number
  readonly goodTask: number
  /** Points of a map from which on a pointwise kernel that gathers statistics has a task for each channel. */
  readonly leastMap: number
  /** Tasks of a pointwise kernel without a batch: with as many, none is cut further. */
  readonly enoughTasks: number

  /** Ways of the first cache, and bytes of each: rows as far apart share a set of so many lines. */
  readonly ways: number
  readonly wayBytes: number
  /** Elements of a packed factor that a task should not exceed (192 KiB: half of a second-level cache of 512 KiB, or less), and must not. */
  readonly goodPack: number
  readonly mostPack: number
  /** Uses of an element that pay for packing it. */
  readonly leastUses: number
  /** Instructions that load, transpose and store four elements. */
  readonly transposedPack: number
  /** Elements of a transposed factor that is kept from image to image (640 KiB): blocks of channels are as small. */
  readonly goodKept: number
  /** Weights of more elements (256 KiB) stay in the cache over several samples: tasks count channels before images. */
  readonly bigWeights: number

  readonly winograd: WinogradModel

  readonly prices: Readonly<Work>
}

/**
 * What a kernel does, as an amount of each kind of work; or what one of each takes, in nanoseconds on one thread. `node test/bench/calibrate.mjs` measures
 * prices: a fit of least squares to the times of the passes of nets drawn at random.
 */
export interface Work {
  /** Operations on vectors of four lanes. */
  readonly arithmetic: number
  /** Exponentials and the like on vectors: calls. */
  readonly functions: number
  /** Vectors that are loaded; those whose elements lie apart count as so many. */
  readonly loads: number
  readonly stores: number
  /** Operations and loads of single values. */
  readonly scalars: number
  /** The same behind a sum whose terms lie in lanes: all that is computed of it are single values. */
  readonly behindSums: number
  /** Iterations of loops. */
  readonly iterations: number
  readonly tasks: number
  /** Bytes of the tensors that are read and written, each once. */
  readonly bytes: number
}

export interface WinogradModel {
  /** Output channels, and by filter size input channels, below which the transformations of the other side do not pay. */
  readonly leastOutputs: number
  readonly leastInputs: Readonly<Record<number, number>>
  /** Input channels from which on they lie in the lanes of a filter's gradient, where output channels could as well. */
  readonly leastLaneInputs: number
  /** Tiles of a map up to which those of several images lie in lanes; up to which they are multiplied together in a filter's gradient. */
  readonly fewTiles: number
  readonly fewGradientTiles: number
  /** Transformed elements of such a block of more than eight images (1.5 MiB). */
  readonly goodImages: number
  /** Pixels of a map below which tiles side by side do not pay. */
  readonly leastPixels: number
  /** Output channels that are multiplied and transformed back at a time. */
  readonly channelBlock: number
  /** Output channels of a task that is not all of them. */
  readonly leastTaskChannels: number
  /** Output channels of a block of a filter's gradient: the input is transformed for each. */
  readonly leastBlock: number
  /** Tiles of a task that is not a whole map: with fewer, the transformed filter would be read too often. */
  readonly leastTaskTiles: number
  /** The same where one image is cut so that several threads have work. */
  readonly leastImageTiles: number
  /**
   * Images that are multiplied together in a filter's gradient, and elements of its transformed sums (2 MiB) beside them; elements of the sums of channels
   * that have no blocks of `goodTask`.
   */
  readonly goodTotals: number
  /** Transformed elements of a task: it should keep to the first (640 KiB, a second-level cache), and must keep to the second. */
  readonly goodTask: number
  readonly mostTask: number
  /** Transformed elements of a filter that a thread keeps from image to image (2.5 MiB). */
  readonly mostKept: number
  /**
   * Nanoseconds on one thread, where a filter is prepared: of a product of two transformed elements, of an element of a tile that is transformed (there or
   * back), of an element of the filter, which comes from memory or the last cache in one stream.
   */
  readonly prices: Readonly<Record<'product' | 'transformedElement' | 'filterElement', number>>
  /**
   * Where tiles end behind the map: to transform an element of an input or a result takes as long as so many products, and tiles may take this share
   * of the time of direct sums (3x3, 16 to 160 channels on 3x3 and 9x9: 1.27 and 0.94, 0.56 and 0.42 of their time).
   */
  readonly paddedTransform: number
  readonly paddedShare: number
  /** The same of an element of a tile of 6 x 6, where larger tiles that end behind the map stand against smaller ones that do not. */
  readonly tileTransform: number
  /** In a filter's gradient: the same of an element of a tile of 6 x 6, of inputs and of output gradients. */
  readonly gradientTransform: Readonly<Record<'input' | 'gradient', number>>
  /** The same of a convolution of stride 2 over its phases; `direct`: of a product of direct sums. */
  readonly phasePrices: Readonly<Record<'product' | 'transformedElement' | 'filterElement' | 'direct', number>>
  /**
   * Of a map that direct sums would compute, where the filter is prepared: tiles, products of input and output channels, both at least, and the share of
   * products that tiles may take.
   */
  readonly smallMaps: Readonly<Record<'leastTiles' | 'leastWeights' | 'productShare', number>>
  /** Elements of a panel of the prepared filter and of all tiles of as many input channels as are multiplied at a time (64 KiB). */
  readonly goodPanels: number
  /** Tiles that walk a block of the prepared filter so few times that its stream from memory is what they wait for. */
  readonly streamedTiles: number
}

export const CPU: CpuModel = {
  lanes: 4, // v128 of WebAssembly
  registers: 16, // SSE, AVX
  accumulators: 8, // of these; the others hold products and what is loaded
  gradientAccumulators: 9, // 3 x 12: 0.8 of the time of 2 x 12; 5 x 8 in place of 5 x 4, where windows are shared, took twice the time
  sumsInLanes: 10, // a step needs one vector of each factor beside them, and nothing that is broadcast
  bodyProducts: 256,
  unrolledFilter: 11,
  strideTwo: 3, // two loads and a shuffle
  scattered: 7, // four loads of a lane and three inserts
  scatteredStore: 5,
  interleavedStore: 2,
  functionLoads: 10,
  functionsOfSums: 1.3, // sigmoid and gelu behind 1 x 1 of 64 to 128 channels on maps of 7 to 28: 1.05 to 2.1, most 1.2 to 1.4
  batchSteps: 16,
  unrolledTerms: 16,
  unrolledWindow: 25,
  splitPoints: 4, // one vector
  leastRun: 16,
  smallMap: 36, // of 6 x 6
  taskProducts: 1_000_000,
  oneImageProducts: 150_000, // 3 us at 50 G/s, where to wait for each other takes one
  mostTasks: 8,
  batchProducts: 64,
  leastTask: 512,
  goodTask: 4096,
  leastMap: 32, // measured: 0.6 of the time at 16 x 16, 0.8 at 6 x 6, 1.3 at 5 x 5
  enoughTasks: 64,
  // 48 KiB (Intel since Ice Lake), the most that is common; 4 KiB a way on x86-64, on ARM that or a multiple.
  ways: 12,
  wayBytes: 4096,
  goodPack: 48 * 1024,
  mostPack: 2 ** 20,
  leastUses: 3,
  transposedPack: 6,
  goodKept: 160 * 1024,
  bigWeights: 64 * 1024,
  winograd: {
    leastOutputs: 8, // measured: twice the speed of register tiles at 8 and at 12
    leastInputs: { 2: 16, 3: 8, 4: 8, 5: 3 }, // the larger a filter, the fewer input channels pay
    leastLaneInputs: 16,
    fewTiles: 9, // measured: 1.4 to 2.2 times the speed with 4 and 9 tiles, less than 1 with 16
    fewGradientTiles: 16,
    goodImages: 384 * 1024,
    leastPixels: 64, // sixteen tiles of 2 x 2, four of 4 x 4
    channelBlock: 16,
    leastTaskChannels: 32,
    leastBlock: 16,
    leastTaskTiles: 8,
    leastImageTiles: 7, // no slower on one thread, where 6 took 1.3 of the time
    goodTotals: 512 * 1024,
    goodTask: 160 * 1024,
    mostTask: 2 ** 20,
    mostKept: 640 * 1024,
    // resnet18 at 224, batch 1: minima of many runs; 128 and 256 channels on 8 x 8, batch 32
    prices: { product: 0.05, transformedElement: 2, filterElement: 0.1 },
    paddedTransform: 15,
    paddedShare: 0.9,
    tileTransform: 5, // 3x3 of 12 to 256 channels on 14x14, 18x18, 22x22, 26x26: 0.65 to 0.92 of the time of tiles of 2x2
    // 3x3 of 8 to 256 channels on 7x7 to 33x33, 5x5 of 3 to 64 on 5x5 to 27x27: 0.23 to 0.89 of the time; 16 of 5x5 on 5x5 took 1.16
    gradientTransform: { input: 10, gradient: 4 },
    // 7 x 7 of 3 channels on 224 x 224, 3 x 3 of 64 and 128 on 56 x 56 and 28 x 28, each of stride 2 and by both algorithms
    phasePrices: { product: 0.05, transformedElement: 0.6, filterElement: 0.5, direct: 0.045 },
    // 3x3 of 192 to 512 channels on 5x5, 4x7, 5x6, 3x6: 0.60 to 0.96 of the time, with vectors of twice the width 0.68 to 0.79; of 128 0.89 and 1.02, of 64 up to
    // 1.07 and 1.7. Two tiles of 4x4 in place of eight of 2x2: 1.3 and 2 times the time.
    smallMaps: { leastTiles: 4, leastWeights: 2 ** 15, productShare: 0.65 },
    goodPanels: 16 * 1024, // 512 channels of 16 tiles in two blocks took 1.23 of the time
    streamedTiles: 16,
  },
  // `behindSums`: inner products with batch normalization and an activation took 5.6 to 8.4 ns a point for them, of passes there are none.
  prices: {
    arithmetic: 0.039,
    functions: 15,
    loads: 0.026,
    stores: 0.12,
    scalars: 0,
    behindSums: 1.2,
    iterations: 0,
    tasks: 0,
    bytes: 0.077,
  },
}

/** Points computed for each point of an axis that tiles of `size` cover: the last tile overlaps the one before (shiftInwards). */
export const tailWaste = (a: Pick<Axis, 'extent'> | undefined, size: number): number => {
  if (!a) return 1
  const extent = a.extent as number
  // An axis that is shorter than a tile has as many vectors as it needs.
  return extent < size ? Math.ceil(extent / CPU.lanes) * CPU.lanes / extent : Math.ceil(extent / size) * size / extent
}

/** Whether neighbours along an axis lie side by side, or as far apart as a filter's stride. */
export const isInnermost = (f: Expression, a: Axis): boolean =>
  walk(f).every((node) => node.kind !== 'load' || (memoryStride(node.tensor, node.at, a) ?? Infinity) <= 4)

/** Instructions for four lanes of a factor along an axis. */
export function loadCost(f: Expression, a: Axis, packed: boolean): number {
  if (packed) return 1
  let cost = pointCost(f)
  for (const node of walk(f)) if (node.kind === 'load') cost += costOfStride(memoryStride(node.tensor, node.at, a))
  return cost
}

export const costOfStride = (stride: number | undefined): number =>
  stride === 0 || stride === 1 ? 1 : stride === 2 ? CPU.strideTwo : CPU.scattered

/** Vectors of a long sum in a row: as many as an addition takes cycles. */
export const stepsAtOnce = (a: Axis): number => ((a.extent as number) >= 64 ? 4 : 2)

/** Points of axes; what depends on the batch counts as `perBatch`. */
export const pointsOf = (axes: Iterable<Axis>, perBatch = 1): number => {
  let points = 1
  for (const a of axes) points *= typeof a.extent === 'number' ? a.extent : perBatch
  return points
}
