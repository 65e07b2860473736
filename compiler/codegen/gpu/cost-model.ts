import type { Axis } from '../../ir/affine.ts'
import { atBatch, bytesOf, pointCost } from '../../ir/cost.ts'
import { type Equation, reads, writes } from '../../ir/equation.ts'
import type { GemmAxes } from './gemm-axes.ts'
import type { Schedule } from './schedule.ts'
import { loadsAlong } from './unroll.ts'

/**
 * The model of a machine that runs WGSL. Costs are cycles of one lane of one processor; an instruction, a multiply-add among them, is
 * one cycle.
 *
 * "Fitted" stands where no source is on record but that the choice was compared with kernels measured on an H200 (hardware) or on
 * SwiftShader (software): such a number is a weight of this model, no measurement of one quantity. `fusenet tune` measures what it guesses.
 */
export interface GpuModel {
  /**
   * Whether thousands of invocations run at once and workgroup memory is near. Then work is dealt out in small tiles, factors are staged
   * and long sums are shared. A CPU that pretends to be a GPU wants large register tiles instead, and one invocation a block.
   */
  readonly parallel: boolean
  /** Whether four sums are held in a vector where they can: a compiler with few registers does better with numbers. */
  readonly vectors: boolean

  /** Sums that one invocation holds in registers, at most. */
  readonly accumulators: number
  /** Points of a register tile along an M-axis (output channels) and along an N-axis (pixels), at most. */
  readonly mTile: number
  readonly nTile: number
  /** Whether a register tile may be a part of several rows: what rows share is worth more than their guards cost. */
  readonly partsOfRows: boolean
  /** Multiplications of the unrolled body of a loop, at most: it bounds the text and the time to compile it. */
  readonly bodyProducts: number
  /** A map without a batch is cut into so many register tiles at least, if tiles of `leastAccumulators` allow it. */
  readonly invocationsPerSample: number
  readonly leastAccumulators: number

  /** Sums of the smaller register tiles that are candidates beside the usual one. */
  readonly smallerTiles: readonly number[]
  /** Terms of a reduction that is unrolled whole, where it is no contraction, at most. */
  readonly unrolledTerms: number
  /** Neighbouring points that one invocation of an element-wise kernel computes: the first number that divides the last axis. */
  readonly pointwiseTiles: readonly number[]
  /** Invocations of a workgroup that takes statistics of a block, if there are channels enough. */
  readonly statisticsInvocations: number

  readonly registerTile: RegisterTileModel
  readonly cooperative: CooperativeModel
  readonly sharedTile: SharedTileModel
  readonly processor: ProcessorModel
}

/** Weights of `registerTile`: the cost of a tile is `waste ** wasteExponent * raggedEdge * (1 + loadWeight * loads / points)`. */
export interface RegisterTileModel {
  /** Multiply-adds that the load of a filter's element counts as. */
  readonly loadWeight: number
  /** Loads of a filter that the load of an input's element counts as: it is guarded against the padding. */
  readonly inputLoad: number
  /** The power of the points computed for each point needed: beyond the edge of a map, an invocation computes points for nothing. */
  readonly wasteExponent: number
  /** A factor for tiles that do not divide the map: their stores have guards. */
  readonly raggedEdge: number
}

/** Where workgroups compute one reduction together, and how. */
export interface CooperativeModel {
  /** Points of a kernel, at most: more keep a device busy with an invocation each. */
  readonly mostPoints: number
  /** Steps of the longest axis that is reduced, and terms of a reduction, at least. */
  readonly leastSteps: number
  readonly leastTerms: number
  /** Invocations that share a reduction, at least, and terms that each of them takes, about. */
  readonly leastInvocations: number
  readonly termsEach: number
  /** For contractions: invocations that share the steps of a register tile, and the sums of such a tile. */
  readonly contractionInvocations: number
  readonly accumulators: readonly number[]
}

/** The search space of shared-memory tiles. */
export interface SharedTileModel {
  /** Multiplications of the unrolled body of the loop over a staged part. */
  readonly bodyProducts: number
  /** Points of a register tile that reads workgroup memory, from and up to. */
  readonly leastPoints: number
  readonly mostPoints: number
  /** Sizes that a register tile may have along the M-axis, where they are not larger than it; along another N-axis than the first. */
  readonly mTiles: readonly number[]
  readonly secondTiles: readonly number[]
  /** Invocations of a workgroup, at least, and the numbers that shapes of workgroups aim at. */
  readonly leastInvocations: number
  readonly invocations: readonly number[]
  /** Invocations along the M-axis that a shape of a workgroup sets aside before it takes pixels. */
  readonly mInvocations: readonly number[]
  /** Parts of workgroup memory that the two factors may fill: with less, several workgroups are resident at once. */
  readonly memoryParts: readonly number[]
  /** Steps of one reduced axis that are staged at a time, at most. */
  readonly mostSteps: number
  /** About the factor by which padding against bank conflicts makes arrays larger; what is offered at last is counted exactly. */
  readonly padding: number
}

/** Throughput and latency of the processors. */
export interface ProcessorModel {
  readonly processors: number
  /** Invocations that one processor runs at a time. */
  readonly width: number
  /** Invocations, and bytes of workgroup memory, that one processor keeps resident. */
  readonly residentInvocations: number
  readonly residentBytes: number
  /** Cycles until what is loaded from memory is there and all invocations have met at the barrier. */
  readonly roundLatency: number
  /** The same for a step of a loop that loads from memory itself: neighbouring steps overlap. */
  readonly stepLatency: number
  /** Cycles of an instruction of an invocation that has no others beside it to hide how long each takes. */
  readonly dependentInstruction: number
  /** The part that is not hidden of the smaller of two times (instructions, latencies) that overlap. */
  readonly notHidden: number
  /** A factor for workgroups of more than `width`: of two smaller ones, one computes while the other waits for what it stages. */
  readonly largeWorkgroup: number
  /** Multiply-adds that are done while a number is loaded: from workgroup memory; from memory by neighbours; by invocations that lie apart. */
  readonly sharedLoad: number
  readonly memoryLoad: number
  readonly scatteredLoad: number
  /** Instructions to stage a number beside its arithmetic: its address and its guards. */
  readonly staging: number
  /** Cycles of each of the log2 levels of a cooperative reduction: the barrier, and for each point that is reduced. */
  readonly reductionLevel: number
  readonly reductionPoint: number
  /** Bytes that memory gives all processors together in a cycle. */
  readonly bytesPerCycle: number
  /** Cycles from the end of a kernel until the next has started. */
  readonly launch: number
}

export const HARDWARE: GpuModel = {
  parallel: true,
  vectors: true,
  accumulators: 128, // measured on an H200
  mTile: 8, // measured on an H200
  nTile: 16, // measured on an H200
  partsOfRows: false, // measured on an H200
  bodyProducts: 1024, // measured on an H200
  invocationsPerSample: 64, // fitted
  leastAccumulators: 16, // fitted
  smallerTiles: [64, 32, 16, 8], // fitted
  unrolledTerms: 16, // fitted: windows of 4 x 4
  pointwiseTiles: [4, 2], // fitted
  statisticsInvocations: 64, // fitted: two warps
  registerTile: { // fitted to convolutions measured on SwiftShader; hardware has no other weights
    loadWeight: 8,
    inputLoad: 2,
    wasteExponent: 1.5,
    raggedEdge: 1.1,
  },
  cooperative: { // all fitted
    mostPoints: 16384,
    leastSteps: 32, // a warp
    leastTerms: 64,
    leastInvocations: 32, // a warp
    termsEach: 4,
    contractionInvocations: 64,
    accumulators: [16, 4],
  },
  sharedTile: { // all fitted
    bodyProducts: 512,
    leastPoints: 4,
    mostPoints: 64,
    mTiles: [8, 4], // whole vectors of four
    secondTiles: [2, 4],
    leastInvocations: 32, // a warp
    invocations: [64, 128, 256], // the last is what every WebGPU grants (limit maxComputeInvocationsPerWorkgroup)
    mInvocations: [1, 2, 4, 8, 16, 32],
    memoryParts: [0.9, 0.4],
    mostSteps: 64,
    padding: 1.1,
  },
  processor: {
    processors: 128, // of the order of an H200's 132 multiprocessors
    width: 128, // lanes of f32 of one of them
    residentInvocations: 1024, // fitted
    residentBytes: 96 * 1024, // fitted
    roundLatency: 700, // fitted
    stepLatency: 30, // fitted
    dependentInstruction: 2.5, // fitted
    notHidden: 0.2, // fitted
    largeWorkgroup: 1.15, // measured
    sharedLoad: 4, // fitted
    memoryLoad: 10, // fitted
    scatteredLoad: 24, // fitted
    staging: 14, // fitted
    reductionLevel: 40, // fitted
    reductionPoint: 4, // fitted
    bytesPerCycle: 1700, // fitted
    launch: 3000, // fitted
  },
}

/**
 * A software adapter (SwiftShader, llvmpipe). Workgroup memory never paid there, so the search space and the processors are the
 * hardware's: they rank the few candidates with shared memory that a tuner tries.
 */
export const SOFTWARE: GpuModel = {
  ...HARDWARE,
  parallel: false,
  vectors: false,
  accumulators: 256, // measured on SwiftShader
  partsOfRows: true, // measured on SwiftShader
  bodyProducts: 4096, // measured on SwiftShader
}

/** A schedule and its modelled cost, in cycles, at each batch that was asked for. */
export interface RatedSchedule {
  readonly schedule: Schedule
  readonly costs: readonly number[]
}

/**
 * Schedules by regret, the least first: how much slower each is than the best at a batch, as a product over all batches. Few of many are
 * asked for, so each is looked for when it is.
 */
export function* byRegret<Rated extends Pick<RatedSchedule, 'costs'>>(rated: readonly Rated[]): Generator<Rated> {
  const best = (rated[0]?.costs ?? []).map((_, i) => rated.reduce((least, { costs }) => Math.min(least, costs[i]!), Infinity))
  const regrets = Float64Array.from(rated, ({ costs }) => costs.reduce((sum, cost, i) => sum + Math.log(cost / best[i]!), 0))
  const left = [...rated.keys()]
  while (left.length > 0) {
    let least = 0
    for (let i = 1; i < left.length; i++) if (regrets[left[i]!]! < regrets[left[least]!]!) least = i
    yield rated[left.splice(least, 1)[0]!]!
  }
}

/** Points along an axis at a batch. */
export const extentOf = (
  a: Axis,
  batch: number,
): number => (typeof a.extent === 'number' ? a.extent : a.extent === 'n' ? batch : Math.ceil(batch / a.extent.chunks))

/** Cycles of a contraction whose register tiles load from memory themselves: every load is an instruction, neighbours share a cache. */
export function registerTileCost({ processor }: GpuModel, e: Equation, axes: GemmAxes, { tile }: Schedule, batch: number): number {
  const { main, input, nAxes, mAxes } = axes
  const points = [...tile.values()].reduce((p, n) => p * n, 1)
  const invocations = e.axes.reduce((p, a) => p * Math.ceil(extentOf(a, batch) / (tile.get(a) ?? 1)), 1)
  const steps = main.axes.reduce((p, a) => p * extentOf(a, batch), 1)
  const inputLoads = nAxes.filter((a) => tile.has(a)).reduce((p, a) => p * loadsAlong(input, main, a, tile.get(a)!), 1)
  const filterLoads = mAxes.reduce((p, a) => p * (tile.get(a) ?? 1), 1)
  const step = points + processor.memoryLoad * (inputLoads * (1 + pointCost(input) / 4) + filterLoads)
  const busy = (invocations / (processor.processors * processor.width)) * steps * step
  return Math.max(busy, steps * (step * processor.dependentInstruction + processor.stepLatency))
}

/** Cycles of a contraction whose workgroups share the reduction steps of one register tile each. */
export function cooperativeCost({ processor }: GpuModel, e: Equation, axes: GemmAxes, schedule: Schedule, batch: number): number {
  const { main, input } = axes
  const { tile, share = 1 } = schedule
  const points = [...tile.values()].reduce((p, n) => p * n, 1)
  const workgroups = e.axes.reduce((p, a) => p * Math.ceil(extentOf(a, batch) / (tile.get(a) ?? 1)), 1)
  const steps = main.axes.reduce((p, a) => p * extentOf(a, batch), 1)
  const loads = [...tile.values()].reduce((p, n) => p + n, 0)
  const step = points + processor.scatteredLoad * loads * (1 + pointCost(input) / 4)
  const reduction = Math.log2(share) * (processor.reductionLevel + processor.reductionPoint * points)
  const busy = (workgroups * share / (processor.processors * processor.width)) * ((steps / share) * step + reduction)
  const waves = Math.ceil((workgroups * share) / (processor.processors * processor.residentInvocations))
  return Math.max(busy, waves * ((steps / share) * (step * processor.dependentInstruction + processor.stepLatency) + reduction))
}

/** Cycles of a kernel that computes its maps point by point, limited by memory alone. */
export const elementwiseCost = ({ processor }: GpuModel, e: Equation, batch: number): number =>
  processor.launch + [...reads(e), ...writes(e)].reduce((sum, t) => sum + atBatch(bytesOf(t), batch), 0) / processor.bytesPerCycle
