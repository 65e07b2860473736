import { reductionOf } from '../../ir/expression-node.ts'
import { channelAxesIn } from '../../ir/equation.ts'
import { type Axis, type IndexLike } from '../../ir/affine.ts'
import { freeAxes } from '../../ir/analysis.ts'
import { divisors } from '../../ir/divisors.ts'
import { elementsPerSample, type Tensor } from '../../ir/tensor.ts'
import { replaceNode, substitute } from '../../ir/rewrite.ts'
import { batchReduction, isTransposed, largestLoad, mainOf, needsPacking, tileSchedule } from './contraction.ts'
import { describe, keptFrom, loopsOf, type Packed, packStage, tileOf, zeroedOf, zeroStage } from './contraction-nest.ts'
import { CPU, pointsOf } from './cost-model.ts'
import { joinPhases, type PhaseToJoin, tilesOfJoined } from './joined-phases.ts'
import { type LoopNest, type Stage, vectorLoops } from './loop-nest.ts'
import { rankTiles } from './micro-tile.ts'
import { packFactor } from './packing.ts'
import { epilogueStages, fillStage, hasEpilogue, mayFill } from './phases-epilogue.ts'
import { phasesOf, shareFactor, stridesOf } from './phases.ts'
import { type AxisFinder, AxisNames, type ContractionTile, type FactorName, fits, otherFactor, type PhasesSchedule } from './schedule.ts'
import type { Contraction } from './simplify.ts'
import { statisticsStage } from './statistics-stage.ts'
import { cutTasks, hasStatisticsBlocks, innerAxis, type TaskGrid, wantedTasks } from './tasks.ts'

/** Chooses a schedule; undefined where an equation is no transposed convolution of a stride. */
export function choosePhases(c: Contraction): PhasesSchedule | undefined {
  const { equation: e } = c
  const strides = stridesOf(c)
  const phases = strides && !batchReduction(c) && phasesOf(e, strides)
  const input = strides && inputOf(c, strides)
  if (!phases || !input || phases.every((p) => !p.main)) return undefined
  const names = new AxisNames(e)
  const shared = shareFactor(phases, [...strides.keys()], input)
  const packsInput = phases.some((p) => p.main && needsPacking(p.main.body[input]))
  if (packsInput && !shared) return undefined
  const packable = new Set<FactorName>(packsInput ? [input] : [])
  const tiles: (ContractionTile | null)[] = []
  let kept = 0
  const joined = tilesOfJoined(phases, strides, packsInput)
  for (const [i, phase] of phases.entries()) {
    if (!phase.main) {
      tiles.push(null)
      continue
    }
    const contraction = { equation: phase.equation, main: phase.main }
    // The input is packed for all phases, so in the order of memory.
    const tile = joined?.[i] ?? rankTiles(contraction, packable, 1, otherFactor(input))[0]
    if (!tile) return undefined
    if (tile.transposed) kept += largestLoad(phase.main.body[tile.vectorFactor])
    const back = new Map([...phase.axes].map(([whole, own]) => [own, whole]))
    const wholeNames: Pick<AxisNames, 'of' | 'sizes'> = {
      of: (a) => names.of(back.get(a) ?? a),
      sizes: (sizes) => names.sizes([...sizes].map(([a, size]) => [back.get(a) ?? a, size] as const)),
    }
    const packed = [...(packsInput ? [input] : []), ...(tile.transposed ? [tile.vectorFactor] : [])]
    tiles.push(tileSchedule(phase.main, tile, packed, wholeNames))
  }
  const { tasks, block } = chooseTasks(c, input, new Set(strides.keys()), kept)
  if (!hasStatisticsBlocks(e, new Map(block))) return undefined
  const schedule: PhasesSchedule = {
    algorithm: 'phases',
    tasks: tasks.map((a) => names.of(a)),
    ...(block.length > 0 && { taskBlock: names.sizes(block) }),
    strides: names.sizes(strides),
    tiles,
  }
  return planPhases(c, schedule) ? schedule : undefined
}

/** The factor that moves with the strided axes; undefined where both do. */
function inputOf({ main: { body } }: Contraction, strides: ReadonlyMap<Axis, number>): FactorName | undefined {
  const moves = (f: FactorName): boolean => [...strides.keys()].some((a) => freeAxes(body[f]).has(a))
  // A filter whose rows are counted from the phase on moves with it, too, but is no map.
  const maps = (['a', 'b'] as const).filter(moves)
  return maps.length === 1 ? maps[0] : maps.find((f) => [...freeAxes(body[f])].some((a) => typeof a.extent !== 'number'))
}

/** Images and groups, and blocks of channels where those make too few tasks, or weights would not stay in the cache. */
function chooseTasks(
  { equation: e, main }: Contraction,
  input: FactorName,
  strided: ReadonlySet<Axis>,
  kept: number,
): { readonly tasks: readonly Axis[]; readonly block: readonly (readonly [Axis, number])[] } {
  const [inInput, inFilter] = [freeAxes(main.body[input]), freeAxes(main.body[otherFactor(input)])]
  const leading = e.axes.filter((a) =>
    typeof a.extent !== 'number' ||
    (a.extent > 1 && inInput.has(a) && inFilter.has(a) && e.sides.every((side) => channelAxesIn(side).includes(a)) &&
      !isMap(e.axes, a) && !strided.has(a))
  )
  const channel = e.axes.find((a) => inFilter.has(a) && !inInput.has(a) && !leading.includes(a) && typeof a.extent === 'number')
  const products = pointsOf(e.axes.filter((a) => !leading.includes(a))) * pointsOf(main.axes)
  const pieces = Math.max(
    Math.floor(wantedTasks(e, products) / pointsOf(leading)),
    Math.ceil(kept / CPU.goodKept),
  )
  const size = channel && pieces > 1 && e.sides.every((side) => side.keptAxis === channel)
    ? divisors(channel.extent as number).find((d) => d % (2 * CPU.lanes) === 0 && (channel.extent as number) / d <= pieces) : undefined
  if (!channel || size === undefined || size === channel.extent) return { tasks: leading, block: [] }
  const weightsStay = kept > 0 || largestLoad(main.body[otherFactor(input)]) >= CPU.bigWeights
  return { tasks: weightsStay ? [channel, ...leading] : [...leading, channel], block: [[channel, size]] }
}

/** Rows and columns are the last axes, unless what is stored is transposed. */
const isMap = (axes: readonly Axis[], a: Axis): boolean => axes.indexOf(a) >= axes.length - 2

interface PhasesPlan {
  readonly task: TaskGrid
  readonly strided: readonly Axis[]
  /** Whether phases store bare sums: see `hasEpilogue`. */
  readonly epilogue: boolean
  readonly pack: Packed | undefined
  readonly phases: readonly PlannedPhase[]
}

interface PlannedPhase extends PhaseToJoin {
  readonly packed: readonly Packed[]
}

/** Undefined where a factor cannot be packed. Throws ScheduleMismatch. */
function planPhases(c: Contraction, schedule: PhasesSchedule): PhasesPlan | undefined {
  const names = new AxisNames(c.equation)
  const strides = new Map(names.findSizes(schedule.strides))
  const found = stridesOf(c)
  fits(found && [...found].every(([a, s]) => strides.get(a) === s) && found.size === strides.size, 'strides are others')
  const input = inputOf(c, strides)
  fits(input && !batchReduction(c), 'this is no transposed convolution')
  const task = cutTasks(c.equation, names, schedule)
  fits([...strides.keys()].every((a) => !task.grid.includes(a) && !task.cut.has(a)), 'what has phases counts no tasks')
  const phases = phasesOf(task.equation, strides)
  fits(phases && phases.length === schedule.tiles.length, `there are ${phases?.length} phases`)
  const fixed = new Set(task.grid)
  const packsInput = schedule.tiles.some((tile) => tile?.packed.includes(input))
  const shared = packsInput ? shareFactor(phases, [...strides.keys()], input) : undefined
  const made = shared && packFactor('staged', shared.whole, fixed, shared.windows.at(-1)!)
  if (packsInput && (!made || elementsPerSample(made.into.shape) > CPU.mostPack)) return undefined
  const epilogue = hasEpilogue(task.equation, [...strides.keys()])
  const planned: PlannedPhase[] = []
  for (const [i, phase] of phases.entries()) {
    const given = schedule.tiles[i]!
    fits(!given === !phase.main, 'a phase has a tile where it has a sum')
    if (!given || !phase.main) {
      planned.push({ phase, equation: phase.equation, unroll: new Map(), packed: [] })
      continue
    }
    const finder: AxisFinder = {
      find: (name) => own(names.find(name)),
      findSizes: (sizes) => names.findSizes(sizes).map(([a, size]) => [own(a), size]),
    }
    const own = (a: Axis): Axis => phase.axes.get(a) ?? innerAxis(task, a)
    fits(given.packed.includes(input) === packsInput && given.transposed !== input, 'the input is packed for all phases')
    fits(given.packed.every((f) => f === input || f === given.transposed), 'a filter is packed where it is transposed')
    const tile = tileOf({ equation: phase.equation, main: phase.main }, finder, given)
    const packed: Packed[] = []
    let value = phase.main.body as typeof phase.main.body.a
    if (packsInput && made && shared) {
      const places = shared.places[i] as ReadonlyMap<Axis, IndexLike>
      value = replaceNode(value, phase.main.body[input], substitute(made.value, places))
    }
    if (given.transposed) {
      const filter = phase.main.body[given.transposed]
      const lanes = tile.vectorAxis!
      const copy = packFactor(`filter_${i}`, filter, fixed, lanes, lanes)
      if (!copy || elementsPerSample(copy.into.shape) > CPU.mostPack) return undefined
      packed.push({ ...copy, of: filter, transposed: isTransposed(tile, given.transposed) })
      value = replaceNode(value, filter, copy.value)
    }
    const sum = reductionOf(phase.main.combine, phase.main.axes, value)
    const equation = {
      ...phase.equation,
      stores: phase.equation.stores.map((s) => ({ ...s, value: epilogue ? sum : replaceNode(s.value, phase.main!, sum) })),
    }
    planned.push({ phase, equation, tile, unroll: new Map(finder.findSizes(given.unroll)), packed })
  }
  return { task, strided: [...strides.keys()], epilogue, pack: made && { ...made, of: shared.whole, transposed: false }, phases: planned }
}

/** The loop nest of a schedule: the input is packed once, then phase after phase is multiplied. Throws ScheduleMismatch. */
export function phasesNest(c: Contraction, schedule: PhasesSchedule): LoopNest {
  const plan = planPhases(c, schedule)
  fits(plan, 'a factor cannot be packed')
  const { task, epilogue, pack, phases } = plan
  const fixed = new Set(task.grid)
  const packs = [...(pack ? [pack] : []), ...phases.flatMap((p) => p.packed)]
  const scratch: Tensor[] = packs.map(({ into }) => into)
  const isFilled = phases.some((p) => !p.tile) && mayFill(task.equation)
  const tiles = phases.flatMap(({ equation, tile }) => (tile ? [describe(tile, [], mainOf(equation).axes)] : []))
  return {
    grid: task.grid,
    stages: [
      ...packs.map((p) => ({ ...packStage(p, fixed), ...keptFrom(p.of, task) })),
      ...(isFilled ? [epilogue ? zeroStage(task.equation, task.grid) : fillStage(task)] : []),
      ...phaseStages(phases.filter((p) => p.tile || !isFilled), plan.strided, task),
      ...(epilogue ? epilogueStages(task) : c.equation.sides.map((side) => statisticsStage(side, task.equation, task))),
    ],
    scratch,
    ...zeroedOf(packs, fixed),
    summary: `${phases.length} phases of a stride; ${[...new Set(tiles)].join('; ')}${
      scratch.length > 0 ? `; prepares ${scratch.map((t) => t.shape.join('x')).join(' and ')}` : ''
    }`,
  }
}

/** A stage for each phase, or for two of neighbouring columns. */
function phaseStages(phases: readonly PlannedPhase[], strided: readonly Axis[], task: TaskGrid): Stage[] {
  const stages: Stage[] = []
  for (let i = 0; i < phases.length; i++) {
    const joined = joinPhases(phases.slice(i, i + 2), strided, task)
    stages.push(joined ?? phaseStage(phases[i]!, task))
    if (joined) i++
  }
  return stages
}

function phaseStage({ equation, tile, unroll }: PlannedPhase, task: TaskGrid): Stage {
  if (!tile) return { equation, loops: vectorLoops(equation.axes.filter((a) => !task.grid.includes(a))), unroll }
  const { vectorReduction } = tile
  return { equation, loops: loopsOf(equation, task, tile), unroll, ...(vectorReduction && { vectorReduction }) }
}
