import { HALF_PROGRAMS, type ProgramName, type Storage } from '../bundle/format.ts'
import { fusionPasses } from './fusion/passes.ts'
import { canonicalGraphText } from './graph/canonical.ts'
import type { Graph } from './graph/graph.ts'
import { printGraph } from './graph/print.ts'
import { SharedNodes } from './graph/share-nodes.ts'
import { packedSizes } from './graph/storage.ts'
import { passesFor, prepareGraph } from './graph-passes/passes.ts'
import { reads } from './ir/equation.ts'
import { beginGeneration, endWork } from './ir/once-by-node.ts'
import { printEquations } from './ir/print.ts'
import { bufferOf, type Tensor } from './ir/tensor.ts'
import type { Packing } from './pack-weights.ts'
import { buildPlan, type LaidOutPlan, type PlannedProgram } from './plan/layout.ts'
import { type CompilerStep, EMPTY, fuse, fusionStep, generate, type GraphContext, type GraphStep, graphStep, type KernelStep, lower,
  type PipelineOptions, prepack, rematerialize, verifyPassed, type Work } from './steps.ts'
import { onceForAll, whenCleared } from './compile-cache.ts'
import type { Schedules, Target } from './targets/target.ts'
import { TARGETS } from './targets/targets.ts'
import { invariant } from './invariant.ts'

/** Nodes of all programs of a net above which a compilation keeps none of them for the next one: they would take too much memory. */
const MOST_KEPT = 4000

export interface PipelineResult extends LaidOutPlan {
  readonly target: Target
  readonly programs: readonly PlannedProgram[]
  /** The schedules that were given and by which kernels are computed. Absent: none were given. */
  readonly schedules?: Schedules
}

/**
 * The compiler behind the front end, as one list. `graph-passes/passes.ts` and `fusion/passes.ts` say why their passes stand in this order. Steps over the graph run
 * once for all targets that store values alike, steps over kernels for each target; then `plan/layout.ts` places all programs of a target together.
 */
const STEPS: readonly (GraphStep | KernelStep)[] = [
  ...passesFor('f16').map(graphStep),
  lower,
  ...fusionPasses.map(fusionStep),
  fuse,
  rematerialize,
  prepack,
  generate,
]
const isGraphStep = (step: GraphStep | KernelStep): step is GraphStep => step.level === 'graph'
const GRAPH_STEPS = STEPS.filter(isGraphStep)
const STEPS_OVER_KERNELS = STEPS.filter((step): step is KernelStep => !isGraphStep(step))

/** Names of the steps that leave equations, in order; behind them kernel functions are generated. */
export const KERNEL_STEPS: readonly string[] = STEPS_OVER_KERNELS.filter(({ show }) => !show).map(({ name }) => name)

/** Name of the step that leaves kernel functions. */
export const GENERATE = generate.name

/** The names that `without` accepts: the passes over the graph, `fuse` for all passes over kernels, each of these, and `recompute`. */
export const REMOVABLE: readonly string[] = [...new Set(STEPS.filter(({ required }) => !required).map(({ name }) => name))]

/** The other steps: without them there is no bundle, or the bundle of another net. */
export const REQUIRED: readonly string[] = [...new Set(STEPS.filter(({ required }) => required).map(({ name }) => name))]

/** Names of all steps, in their order. */
export const STEP_NAMES: readonly string[] = [...new Set(STEPS.map(({ name }) => name))]

/** The programs, of some, in which a step runs when a net is compiled this way. */
export function programsOfStep(
  name: string,
  { target: targetName, ...options }: Pick<PipelineOptions, 'style' | 'memory' | 'without'> & { readonly target: string },
  programs: readonly ProgramName[],
): readonly ProgramName[] {
  const target = TARGETS.find((t) => t.name === targetName)
  invariant(target, () => `there is a target ${targetName}`)
  return programs.filter((program) =>
    STEPS.some((step) =>
      step.name === name && !isLeftOut(step, options.without) &&
      step.applies?.({ program, storage: target.storage ?? 'f32', options, target }) !== false
    )
  )
}

// Without `fuse` the passes in front of it do not apply; it lists the kernels all the same.
const isLeftOut = ({ name, required }: Pick<GraphStep, 'name' | 'required'>, without: readonly string[] | undefined): boolean =>
  !required && name !== fuse.name && without?.includes(name) === true

/** Why a step cannot be left out. */
export const sayRequired = (name: string): string =>
  `${name} is part of what a net means, and cannot be left out: without it there is another net, or none`

/** Runs every program of a net through the steps, for each target, and places what came of it. */
export function runPipeline(graph: Graph, options: PipelineOptions): PipelineResult[] {
  const base = sharedWithEarlier(graph)
  const passed = passedByStorage(base, options)
  const { schedules = {}, onSchedules, targets } = options
  const made = targets.map((target) => runForTarget(target, base, passed(target), options))
  for (const target of Object.keys(schedules))
    if (!targets.some(({ name }) => name === target)) onSchedules?.({ target, compiled: false, used: [], refused: [], others: 0 })
  return made
}

/**
 * Plans alone. A plan depends on nothing but the graphs of its programs, as passes left them, and the options of the steps behind: what an earlier
 * compilation made of the same ones is taken again, whatever has changed in the text or in what the runtime is told (the learning rate).
 */
export function planPrograms(graph: Graph, options: PipelineOptions): (LaidOutPlan & Pick<PipelineResult, 'target' | 'schedules'>)[] {
  const { style, memory, batch, without = [], estimates = false, watch, schedules } = options
  // Who watches wants to see every step; schedules are many, and each is used once.
  if (watch || schedules) return runPipeline(graph, options)
  const base = sharedWithEarlier(graph)
  const passed = passedByStorage(base, options)
  const texts = new Map<Storage, string>()
  // What is computed again from a part of the memory depends on where values start.
  const placed = memory === 'small' ? (target: Target): Placeless => ({ programs: passed(target) }) : placelessByStorage(passed)
  return options.targets.map((target) => {
    const { storage = 'f32' } = target
    const text = texts.get(storage) ??
      canonicalGraphText([packedSizes(base), [...passed(target)].map(([name, { graph, declined }]) => [name, graph, declined])])
    texts.set(storage, text)
    const question = JSON.stringify([numberOf(target), style, memory, batch, without, estimates])
    let made: LaidOutPlan | undefined
    const { plan, files } = onceForAll('plan', `${question} ${text}`, () => {
      const { programs, offsets } = placed(target)
      const { plan, files } = made = runForTarget(target, base, programs, options, offsets)
      return { plan: JSON.stringify(plan), files: [...files].map(([name, data]) => [name, copied(data)] as const) }
    }, ({ plan, files }) => plan.length + files.reduce((sum, [, data]) => sum + data.length, 0))
    // What the caller is given is his to change: what is remembered is a copy, and stays.
    return made ? { ...made, target }
      : { target, plan: JSON.parse(plan) as LaidOutPlan['plan'], files: new Map(files.map(([name, data]) => [name, copied(data)])) }
  })
}

/**
 * The nodes of all programs of this compilation and the one before it: what is found of a node, of its equations and of what they become when fused is
 * found once as long as the node is in the net.
 */
const nodes = new SharedNodes(MOST_KEPT)
/** The same of nets that were planned, wherever their parameters start: those of an edited net start elsewhere from the edited layer on. */
const placelessNodes = new SharedNodes(MOST_KEPT)
whenCleared(() => {
  nodes.clear()
  placelessNodes.clear()
  endWork()
})

function sharedWithEarlier(graph: Graph): Graph {
  nodes.begin()
  beginGeneration()
  return nodes.share(graph)
}

/** Programs as they are planned, and where their values start. */
interface Placeless {
  readonly programs: ReadonlyMap<ProgramName, Work>
  readonly offsets?: ReadonlyMap<Tensor, number>
}

/** The programs over values that do not say where they start, made once for all targets that store values alike, and only where somebody asks. */
function placelessByStorage(passed: (target: Target) => ReadonlyMap<ProgramName, Work>): (target: Target) => Placeless {
  const made = new Map<Storage, Placeless>()
  return (target) => {
    const { storage = 'f32' } = target
    const known = made.get(storage)
    if (known) return known
    if (made.size === 0) placelessNodes.begin()
    const offsets = new Map<Tensor, number>()
    const share = (work: Work): Work => ({ ...work, graph: placelessNodes.share(work.graph, offsets) })
    const programs = new Map([...passed(target)].map(([name, work]) => [name, share(work)]))
    made.set(storage, { programs, offsets })
    return { programs, offsets }
  }
}

const copied = (data: string | Uint8Array): string | Uint8Array => (typeof data === 'string' ? data : data.slice())

/** Targets by identity: two of one name may print differently. */
const numberOf = (target: Target): number => {
  const number = targetNumbers.get(target) ?? ++targets
  targetNumbers.set(target, number)
  return number
}
const targetNumbers = new WeakMap<Target, number>()
let targets = 0

/** The programs behind the passes over the graph, made once for all targets that store values alike. */
function passedByStorage(base: Graph, options: PipelineOptions): (target: Target) => ReadonlyMap<ProgramName, Work> {
  const passed = new Map<Storage, ReadonlyMap<ProgramName, Work>>()
  return ({ storage = 'f32' }) => {
    const programs = passed.get(storage) ?? passPrograms(base, storage, options)
    passed.set(storage, programs)
    return programs
  }
}

function runSteps<Level extends string, Context extends GraphContext>(
  steps: readonly CompilerStep<Level, Context>[],
  start: Work,
  context: Context,
  isVerified = false,
): Work {
  const { program, options: { without, watch } } = context
  let work = start
  for (const step of steps) {
    const { name, level, applies, run, show, verify } = step
    if (applies?.(context) === false || isLeftOut(step, without)) continue
    const before = work
    const startMs = performance.now()
    work = run(work, context)
    const after = work
    if (isVerified) verify?.(after, context)
    const print = (): string => {
      if (show) return show(after, context)
      verify?.(after, context)
      const isUnchanged = level === 'graph' ? after.graph === before.graph : after.kernels === before.kernels
      return isUnchanged ? 'unchanged\n' : level === 'graph' ? printGraph(after.graph) : printEquations(after.kernels)
    }
    watch?.(program, name, print, performance.now() - startMs)
  }
  return work
}

/**
 * The passes over the graph, and the nodes of earlier graphs that say the same. What they leave is verified. Where it is unsound, or a pass
 * trips over what another left, they run again and are verified one by one, so that what is told names the pass that is at fault.
 */
function passVerified(base: Graph, context: GraphContext): Work {
  const passed = (isVerified: boolean): Work => runSteps(GRAPH_STEPS, { ...EMPTY, graph: base }, context, isVerified)
  // Whoever watches sees each step once.
  if (context.options.watch) {
    const work = passed(true)
    return { ...work, graph: nodes.share(work.graph) }
  }
  try {
    const work = passed(false)
    // Most shared nodes were verified before: in another program of the net, or in an earlier compilation.
    const graph = nodes.share(work.graph)
    verifyPassed(graph, `after all passes (${context.program})`)
    return { ...work, graph }
  } catch (error) {
    passed(true)
    throw error
  }
}

function passPrograms(base: Graph, storage: Storage, options: PipelineOptions): Map<ProgramName, Work> {
  const passed = new Map<ProgramName, Work>()
  for (const program of options.programs) {
    if (program === 'prepare' || (storage !== 'f32' && !HALF_PROGRAMS.includes(program))) continue
    passed.set(program, passVerified(base, { program, storage, options }))
  }
  const prepare = prepareGraph(base, [...passed.values()].map(({ graph }) => graph))
  if (prepare.nodes.length > 0) passed.set('prepare', { ...EMPTY, graph: prepare })
  return passed
}

function runForTarget(
  target: Target,
  base: Graph,
  passed: ReadonlyMap<ProgramName, Work>,
  options: PipelineOptions,
  offsets?: ReadonlyMap<Tensor, number>,
): PipelineResult {
  const { storage = 'f32' } = target
  const printer = target.printer(options.batch, options.schedules?.[target.name])
  const run = (name: ProgramName, start: Work): Work =>
    runSteps(STEPS_OVER_KERNELS, start, { program: name, storage, options, target, printer })
  const works = [...passed].filter(([name]) => name !== 'prepare').map(([name, start]) => [name, run(name, start)] as const)
  const packing = leftToPrepare(works.map(([, work]) => work))
  const start = passed.get('prepare') ?? (packing.equations.length > 0 ? { ...EMPTY, graph: prepareGraph(base, []) } : undefined)
  const programs = [...works, ...(start ? [['prepare', run('prepare', { ...start, packing })] as const] : [])]
    .map(([name, work]): PlannedProgram => ({
      name,
      graph: work.graph,
      viewOf: work.lowered.viewOf,
      steps: work.kernels.map((fused, i) => ({ fused, kernel: work.printed[i]! })),
    }))
  const constants = new Map(
    [...passed.values()].flatMap(({ graph }) => (graph.constants ?? []).map((c) => [c.value.storage!.slot ?? '', c] as const)),
  )
  const laidOut = buildPlan({
    target: target.name,
    extension: target.extension,
    programs,
    packed: packedSizes(base),
    constants,
    ...(offsets && { offsets }),
    batch: options.batch,
    sharesBuffers: target.sharesBuffers,
    ...(printer.link && { link: printer.link }),
  })
  endWork()
  const use = options.schedules?.[target.name] && printer.scheduleUse?.()
  if (!use) return { ...laidOut, target, programs }
  options.onSchedules?.({ target: target.name, compiled: true, ...use })
  return { ...laidOut, target, programs, schedules: printer.schedulesTaken!() }
}

/** What the programs of a target leave to `prepare`, together. */
function leftToPrepare(works: readonly Work[]): Packing {
  const read = works.flatMap(({ kernels }) => kernels.flatMap(({ equation }) => reads(equation))).map(bufferOf)
  return { equations: works.flatMap(({ packing }) => packing.equations), read: new Set(read.filter((buffer) => buffer !== undefined)) }
}
