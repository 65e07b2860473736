import { freeAxes, reductions, steps } from '../../ir/analysis.ts'
import { blockAlong, statisticsBlock } from './statistics-block.ts'
import type { Expression, Reduction } from '../../ir/expression.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { computedOnLoad, loadOf, loadsWindowsWhole, windowsOver } from '../../ir/fused-producer.ts'
import { onceByShape } from '../../ir/once-by-shape.ts'
import { registerTiler } from './register-tile.ts'
import type { Schedule } from './schedule.ts'
import { onlyContraction } from './shared-tile.ts'
import { WORKGROUP_INVOCATIONS } from './workgroup.ts'
import { sharedTileSchedules } from './candidates.ts'
import { cooperativeCost, elementwiseCost, extentOf, type GpuModel, byRegret, type RatedSchedule, registerTileCost } from './cost-model.ts'
import { gemmAxes, type GemmAxes } from './gemm-axes.ts'
import { chooseUnroll } from './unroll.ts'

export interface ChoiceOptions {
  /** Batches that a schedule should be fast at. Default: one that nets are trained with. */
  readonly batches?: readonly number[]
  /** Candidates with shared-memory tiles, at most. */
  readonly mostStaged?: number
}

/** A machine, and the batches that a schedule should be fast at. */
interface Aim {
  readonly model: GpuModel
  readonly batches: readonly number[]
}

const USUAL_BATCHES = [64]

/** The schedule of an equation that the model of the machine takes for the fastest. */
export const chooseSchedule = (equation: Equation, model: GpuModel, batches?: readonly number[]): Schedule =>
  candidates(equation, model, { mostStaged: 1, ...(batches && { batches }) })[0]!

/** Schedules of an equation, from its shape alone: the one that the model takes for the fastest first. */
export function candidates(
  equation: Equation,
  model: GpuModel,
  { batches = USUAL_BATCHES, mostStaged = 24 }: ChoiceOptions = {},
): readonly Schedule[] {
  const aim = { model, batches }
  if (equation.fusedProducer) return fusedProducerSchedules(equation, aim, mostStaged).map(({ schedule }) => schedule)
  const sums = equation.stores.flatMap((s) => reductions(s.value))
  const serial = serialAxes(equation, sums)
  const main = sums.filter((r) => r.combine === 'sum' && r.body.kind === 'binary' && r.body.op === 'mul')
    .sort((a, b) => steps(b) - steps(a))[0]
  if (main && serial.length === 0 && steps(main) > 1) return contractions(equation, main, sums, aim, mostStaged)
  const unroll = new Map<Axis, number>()
  for (const r of sums) {
    const size = steps(r)
    if (Number.isFinite(size) && size <= model.unrolledTerms) { for (const a of r.axes) unroll.set(a, a.extent as number) }
  }
  if (equation.sides.length > 0)
    return [grouped(equation, { tile: model.parallel ? blockTile(equation) : pointwiseTile(equation, model), serial: [], unroll }, model)]
  const plain: Schedule = { tile: sums.length === 0 && serial.length === 0 ? pointwiseTile(equation, model) : new Map(), serial, unroll }
  const shared = model.parallel && serial.length === 0 ? cooperativeSchedules(equation, sums, model, Math.max(...batches)) : []
  return [...shared, plain]
}

/** Schedules of an equation with a fused producer: workgroups compute it while they stage it, so that each does so once for all its points. */
function fusedProducerSchedules(e: Equation, { model, batches }: Aim, most: number): readonly RatedSchedule[] {
  const [main, plainly] = [onlyContraction(e), onlyContraction(computedOnLoad(e))]
  const load = main && loadOf(main, e.fusedProducer!)
  if (!load || !plainly || !windowsOver(e, main, load)) return []
  const admits = (stage: ReadonlyMap<Axis, number>): boolean => loadsWindowsWhole(main, load, stage)
  return sharedTileSchedules({ equation: e, axes: gemmAxes(e, plainly), model, batches, most, admits })
}

/**
 * Why no workgroup can compute and store the producer of an equation while it loads it; or why a kernel of its own is cheaper, since many
 * workgroups stage the same elements and each would compute them again. Undefined: it pays.
 */
export function rejectFusedProducer(e: Equation, weigh: ReturnType<typeof fusedProducerVerdict>): string | undefined {
  const { tensor } = e.fusedProducer!.store
  const verdict = weigh(e)
  if (verdict === 'uncovered') return `windows of ${e.name} do not cover ${tensor.name}`
  return verdict === 'too often' ? `${tensor.name} would be computed too often in ${e.name}` : undefined
}

/** What speaks against the fused producer of an equation, once for equations of the same shape; for `rejectFusedProducer`. */
export const fusedProducerVerdict = (
  model: GpuModel,
  batches: readonly number[] = USUAL_BATCHES,
): (e: Equation) => 'uncovered' | 'too often' | undefined =>
  onceByShape((e) => {
    const { fusedProducer: onLoad, ...plain } = e
    const [fused] = fusedProducerSchedules(e, { model, batches }, 1)
    if (!fused) return 'uncovered'
    const main = onlyContraction(plain)!
    const [loading] = sharedTileSchedules({ equation: plain, axes: gemmAxes(plain, main), model, batches, most: 1 })
    const alone = elementwiseCost(model, { ...plain, axes: onLoad!.axes, stores: [onLoad!.store], sides: [] }, batches[0]!)
    return loading && fused.costs[0]! > loading.costs[0]! + alone ? 'too often' : undefined
  })

export { statisticsBlock }

/**
 * The workgroup that covers a block of an image, and where that is small, several tiles of channels. Where memory of a workgroup
 * is dear, one invocation goes through the block.
 */
function grouped(e: Equation, schedule: Schedule, { parallel, statisticsInvocations }: GpuModel): Schedule {
  const tilesOfBlock = (a: Axis): number => {
    const block = blockAlong(e, a)
    return block === undefined ? 1 : block / (schedule.tile.get(a) ?? 1)
  }
  const groupOf = (sizeOf: (a: Axis) => number): Map<Axis, number> =>
    new Map(e.axes.map((a) => [a, sizeOf(a)] as const).filter(([, size]) => size > 1))
  if (!parallel) return { ...schedule, group: groupOf(tilesOfBlock), inTurn: true }
  const kept = e.sides[0]!.keptAxis
  const invocations = e.axes.reduce((product, a) => product * tilesOfBlock(a), 1)
  const channels = Math.max(
    1,
    Math.min(Math.ceil((kept.extent as number) / (schedule.tile.get(kept) ?? 1)), Math.floor(statisticsInvocations / invocations)),
  )
  const group = groupOf((a) => (a === kept ? channels : tilesOfBlock(a)))
  if (group.size === 0) group.set(kept, 1)
  return { ...schedule, group }
}

/** Whole rows, or parts of them, until a block of statistics is no more than a workgroup. */
function blockTile(e: Equation): Map<Axis, number> {
  const tile = new Map<Axis, number>()
  let invocations = e.axes.reduce((product, a) => product * (blockAlong(e, a) ?? 1), 1)
  for (const a of e.axes.slice(2).reverse()) {
    const block = blockAlong(e, a)!
    const size = divisorsOf(block).find((t) => invocations / t <= WORKGROUP_INVOCATIONS) ?? block
    if (size > 1) tile.set(a, size)
    invocations /= size
  }
  return tile
}

const divisorsOf = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0)

/** Neighbouring points share index arithmetic and per-channel coefficients. */
function pointwiseTile(equation: Equation, { pointwiseTiles }: GpuModel): Map<Axis, number> {
  const last = equation.axes.at(-1)
  if (!last || typeof last.extent !== 'number') return new Map()
  const size = pointwiseTiles.find((t) => (blockAlong(equation, last) ?? (last.extent as number)) % t === 0)
  return new Map(size ? [[last, size]] : [])
}

/** Output axes over which some reduction does not change: softmax over its own channel axis. */
function serialAxes(equation: Equation, sums: readonly Reduction[]): Axis[] {
  return equation.axes.filter((a, i) => i > 0 && sums.some((r) => !freeAxes(r).has(a)))
}

/** Few sums that take in much: a workgroup computes one, or it would be a long chain of one invocation. */
function cooperativeSchedules(e: Equation, sums: readonly Reduction[], { cooperative }: GpuModel, batch: number): Schedule[] {
  const nominal = (axes: readonly Axis[]): number => axes.reduce((product, a) => product * extentOf(a, batch), 1)
  const outer = sums.filter((r) => !sums.some((other) => other !== r && reductions(other.body).includes(r)))
  if (outer.length === 0 || outer.some((r) => r.combine === 'argmax')) return []
  const [terms, points] = [Math.max(...outer.map((r) => nominal(r.axes))), nominal(e.axes)]
  const longest = Math.max(...outer.map((r) => Math.max(...r.axes.map((a) => nominal([a])))))
  if (points > cooperative.mostPoints || longest < cooperative.leastSteps || terms < cooperative.leastTerms) return []
  const invocations = 2 ** Math.round(Math.log2(Math.min(longest, terms / cooperative.termsEach)))
  const share = Math.min(WORKGROUP_INVOCATIONS, Math.max(cooperative.leastInvocations, invocations))
  const unroll = new Map<Axis, number>()
  return [{ tile: new Map(), serial: [], unroll, share }]
}

/** Schedules of a contraction: register tiles that load from memory; and on hardware shared-memory tiles and cooperative reductions too. */
function contractions(
  equation: Equation,
  main: Reduction,
  sums: readonly Reduction[],
  { model, batches }: Aim,
  mostStaged: number,
): readonly Schedule[] {
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const axes = gemmAxes(equation, main)
  const registerTile = registerTiler(equation, axes, model)
  const largestBatch = Math.max(...batches)
  // A small map is cut into enough tiles to keep a device busy, whatever the batch; and its text stays short.
  const points = equation.axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const tiled = (accumulators: number): Schedule => {
    const tile = registerTile(accumulators)
    const unroll = chooseUnroll(product, main, tile, model.bodyProducts)
    const lanes = model.vectors ? vectorAxis(tile, axes) : undefined
    const schedule: Schedule = { tile, ...(lanes && { lanes }), serial: [], unroll }
    return equation.sides.length > 0 ? grouped(equation, schedule, model) : schedule
  }
  const forSample = Math.max(model.leastAccumulators, Math.floor(points / model.invocationsPerSample))
  const usual = tiled(Math.min(model.accumulators, forSample))
  const mayCooperate = model.parallel && equation.sides.length === 0
  if (!onlyContraction(equation)) return [...(mayCooperate ? cooperativeSchedules(equation, sums, model, largestBatch) : []), usual]
  // A software adapter takes the usual one: staging never paid there.
  if (!model.parallel && mostStaged === 1) return [usual]
  const staged = sharedTileSchedules({ equation, axes, model, batches, most: mostStaged })
  const small = model.smallerTiles.map(tiled)
  if (!model.parallel) return [usual, ...small, ...staged.map(({ schedule }) => schedule)]
  const cooperative = !mayCooperate ? [] : model.cooperative.accumulators.map((accumulators): Schedule => {
    const tile = registerTile(accumulators)
    return {
      tile,
      serial: [],
      unroll: chooseUnroll(product, main, tile, model.bodyProducts),
      share: model.cooperative.contractionInvocations,
    }
  }).filter(() => main.axes.some((a) => extentOf(a, largestBatch) >= model.cooperative.leastSteps))
  const rated = (schedule: Schedule, cost: typeof registerTileCost): RatedSchedule => ({
    schedule,
    costs: batches.map((batch) => cost(model, equation, axes, schedule, batch)),
  })
  return [...byRegret([
    ...staged,
    ...[usual, ...small].map((schedule) => rated(schedule, registerTileCost)),
    ...cooperative.map((schedule) => rated(schedule, cooperativeCost)),
  ])].map(({ schedule }) => schedule)
}

/** The axis of a tile whose points fill vectors of four: an N-axis if there is one, whose neighbours share the filter's element. */
const vectorAxis = (tile: ReadonlyMap<Axis, number>, { mAxes }: GemmAxes): Axis | undefined =>
  [...tile].filter(([, size]) => size % 4 === 0).sort(([a], [b]) => Number(mAxes.includes(a)) - Number(mAxes.includes(b)))[0]?.[0]
