import { freeAxes, reductions, steps } from '../../ir/analysis.ts'
import { blockAlong, blocksOf } from './statistics-block.ts'
import type { Expression, Reduction } from '../../ir/expression.ts'
import type { Axis } from '../../ir/affine.ts'
import type { Equation } from '../../ir/equation.ts'
import { computedOnLoad, loadOf, loadsWindowsWhole, windowsOver } from '../../ir/fused-producer.ts'
import { onceByShape } from '../../ir/once-by-shape.ts'
import { registerTile, type TileLimits } from './register-tile.ts'
import type { Schedule } from './schedule.ts'
import { onlyContraction } from './shared-tile.ts'
import { WORKGROUP_INVOCATIONS } from './workgroup.ts'
import { extentOf, fastestFirst, passCost, type Rated, rolesOf, sharedCost, stagedSchedules, tiledCost } from './candidates.ts'
import { writtenOut } from './unroll.ts'

/** What a target prefers. */
export interface TargetTraits extends TileLimits {
  /** Multiplications written out in a row in the innermost loop, at most: text size and compile time. */
  readonly bodyProducts: number
  /**
   * Whether thousands of invocations run at once and workgroup memory is near: then work is dealt out in small tiles, factors
   * are staged and long sums are shared. A CPU that pretends to be a GPU wants large tiles in registers instead.
   */
  readonly parallel: boolean
  /** Whether four sums are held in a vector where they can: a compiler with few registers does better with numbers. */
  readonly vectors: boolean
  /** Batches that it should be fast at. Default: one that nets are trained with. */
  readonly batches?: readonly number[]
}

const USUAL_BATCH = 64

export const chooseSchedule = (equation: Equation, traits: TargetTraits): Schedule => candidates(equation, traits, 1)[0]!

/**
 * Ways to walk through an equation, from its shape alone: the one that the model takes for the fastest first. So many of those
 * that stage factors are among them, at most.
 */
export function candidates(equation: Equation, traits: TargetTraits, mostStaged = 24): readonly Schedule[] {
  if (equation.onLoad) return makingOnLoad(equation, traits, mostStaged).map(({ schedule }) => schedule)
  const sums = equation.stores.flatMap((s) => reductions(s.value))
  const serial = serialAxes(equation, sums)
  const main = sums.filter((r) => r.combine === 'sum' && r.body.kind === 'binary' && r.body.op === 'mul')
    .sort((a, b) => steps(b) - steps(a))[0]
  if (main && serial.length === 0 && steps(main) > 1) return contractions(equation, main, sums, traits, mostStaged)
  const unroll = new Map<Axis, number>()
  for (const r of sums) {
    const size = steps(r)
    if (Number.isFinite(size) && size <= 16) { for (const a of r.axes) unroll.set(a, a.extent as number) }
  }
  if (equation.sides.length > 0)
    return [grouped(equation, { tile: traits.parallel ? blockTile(equation) : pointwiseTile(equation), serial: [], unroll }, traits)]
  const plain: Schedule = { tile: sums.length === 0 && serial.length === 0 ? pointwiseTile(equation) : new Map(), serial, unroll }
  const shared = traits.parallel && serial.length === 0 ? sharedSchedules(equation, sums, batchOf(traits)) : []
  return [...shared, plain]
}

/** What is made on load is made by those who stage it, once for a workgroup. */
function makingOnLoad(e: Equation, { batches = [USUAL_BATCH] }: TargetTraits, most: number): readonly Rated[] {
  const [main, plainly] = [onlyContraction(e), onlyContraction(computedOnLoad(e))]
  const load = main && loadOf(main, e.onLoad!)
  if (!load || !plainly || !windowsOver(e, main, load)) return []
  return stagedSchedules(e, rolesOf(e, plainly), batches, most, (stage) => loadsWindowsWhole(main, load, stage))
}

/** Why no workgroup can make on load what an equation would; or why a pass is cheaper, where many stage the same and each makes it again. */
export function refuseOnLoad(e: Equation, weigh: ReturnType<typeof weighingOnLoad>): string | undefined {
  const { tensor } = e.onLoad!.store
  const verdict = weigh(e)
  if (verdict === 'uncovered') return `windows of ${e.name} do not cover ${tensor.name}`
  return verdict === 'too often' ? `${tensor.name} would be computed too often in ${e.name}` : undefined
}

/** Whether an equation shall make on load what it would, for `refuseOnLoad`. */
export const weighingOnLoad = (traits: TargetTraits): (e: Equation) => 'uncovered' | 'too often' | undefined =>
  onceByShape((e) => {
    const { onLoad, ...plain } = e
    const [making] = makingOnLoad(e, traits, 1)
    if (!making) return 'uncovered'
    const main = onlyContraction(plain)!
    const { batches = [USUAL_BATCH] } = traits
    const [loading] = stagedSchedules(plain, rolesOf(plain, main), batches, 1)
    const alone = passCost({ ...plain, axes: onLoad!.axes, stores: [onLoad!.store], sides: [] }, batches[0]!)
    return loading && making.costs[0]! > loading.costs[0]! + alone ? 'too often' : undefined
  })

/** Of what a workgroup of this equation gathers statistics. */
export { blocksOf }

/**
 * The workgroup that covers a block of an image, and where that is small, several tiles of channels. Where memory of a workgroup
 * is dear, one invocation goes through the block.
 */
function grouped(e: Equation, schedule: Schedule, { parallel }: TargetTraits): Schedule {
  const tilesOfBlock = (a: Axis): number => {
    const block = blockAlong(e, a)
    return block === undefined ? 1 : block / (schedule.tile.get(a) ?? 1)
  }
  const groupOf = (sizeOf: (a: Axis) => number): Map<Axis, number> =>
    new Map(e.axes.map((a) => [a, sizeOf(a)] as const).filter(([, size]) => size > 1))
  if (!parallel) return { ...schedule, group: groupOf(tilesOfBlock), inTurn: true }
  const kept = e.sides[0]!.kept
  const invocations = e.axes.reduce((product, a) => product * tilesOfBlock(a), 1)
  const channels = Math.max(
    1,
    Math.min(Math.ceil((kept.extent as number) / (schedule.tile.get(kept) ?? 1)), Math.floor(LEAST_INVOCATIONS / invocations)),
  )
  const group = groupOf((a) => (a === kept ? channels : tilesOfBlock(a)))
  if (group.size === 0) group.set(kept, 1)
  return { ...schedule, group }
}

const LEAST_INVOCATIONS = 64

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
function pointwiseTile(equation: Equation): Map<Axis, number> {
  const last = equation.axes.at(-1)
  if (!last || typeof last.extent !== 'number') return new Map()
  const size = [4, 2].find((t) => (blockAlong(equation, last) ?? (last.extent as number)) % t === 0)
  return new Map(size ? [[last, size]] : [])
}

/** Output axes over which some reduction does not change: softmax over its own channel axis. */
function serialAxes(equation: Equation, sums: readonly Reduction[]): Axis[] {
  return equation.axes.filter((a, i) => i > 0 && sums.some((r) => !freeAxes(r).has(a)))
}

/** Few sums that take in much: a workgroup computes one, or it would be a long chain of one invocation. */
function sharedSchedules(e: Equation, sums: readonly Reduction[], batch: number): Schedule[] {
  const nominal = (axes: readonly Axis[]): number => axes.reduce((product, a) => product * extentOf(a, batch), 1)
  const outer = sums.filter((r) => !sums.some((other) => other !== r && reductions(other.body).includes(r)))
  if (outer.length === 0 || outer.some((r) => r.combine === 'argmax')) return []
  const [terms, points] = [Math.max(...outer.map((r) => nominal(r.axes))), nominal(e.axes)]
  const longest = Math.max(...outer.map((r) => Math.max(...r.axes.map((a) => nominal([a])))))
  if (points > MOST_SHARED_POINTS || longest < 32 || terms < 64) return []
  const wanted = Math.min(WORKGROUP_INVOCATIONS, Math.max(32, 2 ** Math.round(Math.log2(Math.min(longest, terms / 4)))))
  const unroll = new Map<Axis, number>()
  return [{ tile: new Map(), serial: [], unroll, share: wanted }]
}

const MOST_SHARED_POINTS = 16384
const batchOf = ({ batches = [USUAL_BATCH] }: TargetTraits): number => Math.max(...batches)

function contractions(
  equation: Equation,
  main: Reduction,
  sums: readonly Reduction[],
  traits: TargetTraits,
  mostStaged: number,
): readonly Schedule[] {
  const { batches = [USUAL_BATCH] } = traits
  const product = main.body as Extract<Expression, { kind: 'binary' }>
  const roles = rolesOf(equation, main)
  // A small picture is cut into enough tiles to keep a device busy, whatever the batch; and its text stays short.
  const points = equation.axes.reduce((product, a) => product * (typeof a.extent === 'number' ? a.extent : 1), 1)
  const tiled = (accumulators: number): Schedule => {
    const tile = registerTile(equation, roles, { ...traits, accumulators })
    const unroll = writtenOut(product, main, tile, traits.bodyProducts)
    const lanes = !traits.vectors ? undefined
      : [...tile].filter(([, size]) => size % 4 === 0).sort(([a], [b]) =>
        Number(roles.channels.includes(a)) - Number(roles.channels.includes(b))
      )[0]?.[0]
    const schedule: Schedule = { tile, ...(lanes && { lanes }), serial: [], unroll }
    return equation.sides.length > 0 ? grouped(equation, schedule, traits) : schedule
  }
  const usual = tiled(Math.min(traits.accumulators, Math.max(LEAST_ACCUMULATORS, Math.floor(points / INVOCATIONS_A_SAMPLE))))
  const alone = onlyContraction(equation) !== undefined
  if (!alone) return [...(traits.parallel && equation.sides.length === 0 ? sharedSchedules(equation, sums, batchOf(traits)) : []), usual]
  // A software adapter takes the usual one: staging never paid there.
  if (!traits.parallel && mostStaged === 1) return [usual]
  const staged = stagedSchedules(equation, roles, batches, mostStaged)
  const small = [64, 32, 16, 8].map(tiled)
  if (!traits.parallel) return [usual, ...small, ...staged.map(({ schedule }) => schedule)]
  const shared = equation.sides.length > 0 ? [] : [16, 4].map((accumulators): Schedule => {
    const tile = registerTile(equation, roles, { ...traits, accumulators })
    return { tile, serial: [], unroll: writtenOut(product, main, tile, traits.bodyProducts), share: 64 }
  }).filter(() => main.axes.some((a) => extentOf(a, batchOf(traits)) >= 32))
  const rated = (schedule: Schedule, cost: typeof tiledCost): Rated => ({
    schedule,
    costs: batches.map((batch) => cost(equation, roles, schedule, batch)),
  })
  return fastestFirst([
    ...staged,
    ...[usual, ...small].map((schedule) => rated(schedule, tiledCost)),
    ...shared.map((schedule) => rated(schedule, sharedCost)),
  ]).map(({ schedule }) => schedule)
}

const LEAST_ACCUMULATORS = 16
const INVOCATIONS_A_SAMPLE = 64
