import { HALF_PROGRAMS, type Memory, type ProgramName, type Storage, type Style, TRAINING_PROGRAMS } from '../bundle/format.ts'
import type { TrainSettings } from '../dsl/program.ts'
import type { Graph } from './graph/graph.ts'
import { printGraph } from './graph/print.ts'
import type { Declined } from './graph/rewrite.ts'
import { packedSizes } from './graph/storage.ts'
import { verifyGraph } from './graph-passes/verify.ts'
import { invariant } from './invariant.ts'
import type { FusionContext } from './fusion/kernel-pass.ts'
import { fusionPasses } from './fusion/passes.ts'
import { KernelProgram } from './fusion/program.ts'
import type { Equation } from './ir/equation.ts'
import type { Fused } from './ir/kernel.ts'
import { printEquations } from './ir/print.ts'
import { type LoweredGraph, lowerGraph } from './lower-graph.ts'
import { operators } from './ops/registry.ts'
import { passesFor, prepareGraph } from './graph-passes/passes.ts'
import { buildPlan, type LaidOutPlan, type PlannedProgram } from './plan/layout.ts'
import { recompute, type Step } from './plan/rematerialize.ts'
import type { Schedules, Target } from './targets/target.ts'

/** Steps over kernels, in order: lowering, each fusion pass, what all of them left (`fuse`), rematerialization. */
export const KERNEL_STEPS: readonly string[] = ['lower', ...fusionPasses.map(({ name }) => name), 'fuse', 'recompute']

/** What `without` may name: the passes over the graph, `fuse` for all passes over kernels, each of these, and `recompute`. */
export const REMOVABLE: readonly string[] = [
  ...new Set([...passesFor('f16').map(({ name }) => name), ...KERNEL_STEPS.filter((name) => name !== 'lower')]),
]

/** Called after every step with its name and a text of what it left, made only when asked for. */
export type Watch = (program: ProgramName, step: string, text: () => string, timeMs: number) => void

export interface PipelineOptions {
  readonly targets: readonly Target[]
  readonly style: Style
  readonly memory: Memory
  readonly programs: readonly ProgramName[]
  readonly train?: TrainSettings
  /** Names of steps to leave out (see `REMOVABLE`): bisects a wrong number. */
  readonly without?: readonly string[]
  /** Of each target by its name. */
  readonly schedules?: Readonly<Record<string, Schedules>>
  /** The batch at which memory is packed best. */
  readonly batch: number
  readonly watch?: Watch
}

export interface PipelineResult extends LaidOutPlan {
  readonly target: Target
  readonly programs: readonly PlannedProgram[]
}

/** Runs every program of a net through the passes, then for each target through loops and plan. */
export function runPipeline(base: Graph, options: PipelineOptions): PipelineResult[] {
  const passed = new Map<Storage, ReadonlyMap<ProgramName, PassedGraph>>()
  return options.targets.map((target) => {
    const { storage = 'f32' } = target
    const graphs = passed.get(storage) ?? passPrograms(base, storage, options)
    passed.set(storage, graphs)
    return planFor(target, base, graphs, options)
  })
}

function passPrograms(base: Graph, storage: Storage, options: PipelineOptions): Map<ProgramName, PassedGraph> {
  const graphs = new Map<ProgramName, PassedGraph>()
  for (const program of options.programs) {
    if (program !== 'prepare' && (storage === 'f32' || HALF_PROGRAMS.includes(program)))
      graphs.set(program, runPasses(base, program, storage, options))
  }
  const prepare = prepareGraph(base, [...graphs.values()].map((g) => g.graph))
  if (prepare.nodes.length > 0) graphs.set('prepare', { graph: prepare, declined: [] })
  return graphs
}

interface PassedGraph {
  readonly graph: Graph
  readonly declined: readonly Declined[]
}

function planFor(target: Target, base: Graph, graphs: ReadonlyMap<ProgramName, PassedGraph>, options: PipelineOptions): PipelineResult {
  const { print, link } = target.printer(options.batch, options.schedules?.[target.name])
  const programs = [...graphs].map(([name, { graph, declined }]): PlannedProgram => {
    const lowered = timed(
      options,
      name,
      'lower',
      () => lowerGraph(graph, operators),
      ({ equations }) => printEquations(unfused(equations)),
    )
    const fused = timed(options, name, 'fuse', () => toKernels(target, name, graph, lowered, declined, options), printEquations)
    const { steps, viewOf } = lessKept(name, graph, { steps: fused, viewOf: lowered.viewOf }, options)
    return { name, graph, viewOf, steps: steps.map((step) => ({ fused: step, kernel: print(step.equation) })) }
  })
  const constants = new Map(
    [...graphs.values()].flatMap(({ graph }) => (graph.constants ?? []).map((c) => [c.value.storage!.slot ?? '', c] as const)),
  )
  const laidOut = buildPlan({
    target: target.name,
    programs,
    packed: packedSizes(base),
    constants,
    batch: options.batch,
    sharesBuffers: target.sharesBuffers,
    ...(link && { link }),
  })
  return { ...laidOut, target, programs }
}

function runPasses(base: Graph, program: ProgramName, storage: Storage, options: PipelineOptions): PassedGraph {
  let graph = base
  const declined: Declined[] = []
  for (const pass of passesFor(storage)) {
    if (!pass.programs.includes(program) || options.without?.includes(pass.name)) continue
    const before = graph
    const result = timed(
      options,
      program,
      pass.name,
      () => pass.run(graph, { program, operators, style: options.style, ...(options.train && { train: options.train }) }),
      (r) => (r.graph === graph ? 'unchanged\n' : printGraph(r.graph)),
    )
    graph = result.graph
    declined.push(...result.declined)
    if (graph === before) continue
    const problems = verifyGraph(graph, operators)
    invariant(problems.length === 0, `after ${pass.name} (${program}): ${problems.join('; ')}`)
  }
  return { graph, declined }
}

function toKernels(
  target: Target,
  name: ProgramName,
  graph: Graph,
  lowered: LoweredGraph,
  declined: readonly Declined[],
  options: PipelineOptions,
): readonly Fused[] {
  const reasons = new Map<string, string[]>()
  for (const { node, reason } of declined) reasons.set(node, [...(reasons.get(node) ?? []), reason])
  // Split style is what it says: a pass a layer.
  const isSplit = options.style === 'split' || options.without?.includes('fuse')
  const kernels = isSplit ? unfused(lowered.equations) : fuse(name, lowered, fusionContext(target, graph, lowered, options), options)
  return kernels.map((kernel) => ({
    ...kernel,
    why: [...kernel.why, ...kernel.equation.layers.flatMap((layer) => (reasons.get(layer) ?? []).map((reason) => `${layer}: ${reason}`))],
  }))
}

const unfused = (equations: readonly Equation[]): Fused[] => equations.map((equation) => ({ equation, why: [] }))

function fusionContext(target: Target, graph: Graph, { kept, viewOf }: LoweredGraph, options: PipelineOptions): FusionContext {
  const { maxBindings, prologueLoads, blocksOf, refuseOnLoad } = target
  return {
    kept,
    viewOf,
    maxBindings,
    maxPrologueInputs: prologueLoads,
    statisticsBlock: blocksOf,
    // What one kernel makes for itself and for others cannot be made again for one of them.
    ...(refuseOnLoad && !recomputes(options) && { rejectFusedProducer: (e) => refuseOnLoad(e, options.batch) }),
    unfusedLayers: new Set(graph.nodes.filter((node) => node.attributes['style'] === 'split').map((node) => node.layer)),
  }
}

/** Runs the fusion passes over the equations of a program. */
function fuse(name: ProgramName, { equations }: LoweredGraph, context: FusionContext, options: PipelineOptions): Fused[] {
  const program = new KernelProgram(equations)
  for (const pass of fusionPasses) {
    if (options.without?.includes(pass.name)) continue
    const before = program.revision
    timed(
      options,
      name,
      pass.name,
      () => {
        pass.run(program, context)
        // A program changes in place: what is printed later is what there is now.
        return options.watch && program.revision !== before ? program.kernels() : undefined
      },
      (kernels) => (kernels ? printEquations(kernels) : 'unchanged\n'),
    )
  }
  return program.kernels()
}

const recomputes = ({ memory, without }: PipelineOptions): boolean => memory === 'small' && !without?.includes('recompute')

interface Kernels {
  readonly steps: readonly Step[]
  readonly viewOf: LoweredGraph['viewOf']
}

function lessKept(name: ProgramName, { outputs }: Graph, kernels: Kernels, options: PipelineOptions): Kernels {
  if (!recomputes(options) || !TRAINING_PROGRAMS.includes(name)) return kernels
  const losses = outputs.filter(({ role }) => role === 'loss').map(({ value }) => value)
  const request = { ...kernels, results: outputs.map(({ value }) => value), losses, batch: options.batch }
  return timed(
    options,
    name,
    'recompute',
    () => recompute(request),
    (r) => (r.steps === kernels.steps ? 'unchanged\n' : printEquations(r.steps)),
  )
}

function timed<T>(options: PipelineOptions, program: ProgramName, step: string, run: () => T, print: (result: T) => string): T {
  const start = performance.now()
  const result = run()
  options.watch?.(program, step, () => print(result), performance.now() - start)
  return result
}
