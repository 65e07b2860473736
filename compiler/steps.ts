import { type Equation, reads, writes } from './ir/equation.ts'
import { inOrder } from './ir/in-order.ts'
import { onceByNodes } from './ir/once-by-node.ts'
import type { IsConstant, PrepackedKernel } from './ir/prepack.ts'
import { bufferOf, type StorageSlot } from './ir/tensor.ts'
import type { KernelFunction } from './codegen/kernel-function.ts'
import { printKernelFunction } from './codegen/print.ts'
import type { PrintedKernel } from './codegen/printed-kernel.ts'
import { verifyKernelFunction } from './codegen/verify.ts'
import { type Memory, type ProgramName, type Storage, type Style, TRAINING_PROGRAMS } from '../bundle/format.ts'
import type { TrainSettings } from '../dsl/program.ts'
import type { FusionContext, KernelPass } from './fusion/kernel-pass.ts'
import { KernelProgram } from './fusion/program.ts'
import type { Graph } from './graph/graph.ts'
import type { Declined } from './graph/rewrite.ts'
import type { GraphPass } from './graph-passes/pass.ts'
import { passesFor } from './graph-passes/passes.ts'
import { verifyGraph } from './graph-passes/verify.ts'
import { invariant } from './invariant.ts'
import { type LoweredGraph, lowerGraph } from './lower-graph.ts'
import { verifyKernels } from './ir/verify.ts'
import { operators } from './ops/registry.ts'
import type { KernelLaunch } from './plan/kernel-launch.ts'
import { rematerializeValues } from './plan/rematerialize.ts'
import { packWeights, type Packing } from './pack-weights.ts'
import type { Printer, Schedules, ScheduleUse, Target } from './targets/target.ts'

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
  /** Schedules for each target, by its name. */
  readonly schedules?: Readonly<Record<string, Schedules>>
  /** See `CompileOptions.onSchedules`. */
  readonly onSchedules?: (use: ScheduleUse) => void
  /** The batch for which kernels are chosen, and at which memory is packed best. */
  readonly batch: number
  /** See `CompileOptions.estimates`. */
  readonly estimates?: boolean
  readonly watch?: Watch
}

/** A program on its way through the compiler. What no step has made yet is empty. */
export interface Work {
  readonly graph: Graph
  /** Why passes over the graph left nodes alone. */
  readonly declined: readonly Declined[]
  /** The equations of all nodes, from `lower` on. */
  readonly lowered: LoweredGraph
  /** Kernels with their remarks, from `lower` on, in the order in which they run. */
  readonly kernels: readonly KernelLaunch[]
  /** The same while passes fuse them: changed in place. */
  readonly fusing: { readonly program: KernelProgram; readonly context: FusionContext } | undefined
  /** What is left to `prepare`; in `prepare` itself, by all other programs. */
  readonly packing: Packing
  /** Kernels as the target printed them. */
  readonly printed: readonly PrintedKernel[]
}

export interface GraphContext {
  readonly program: ProgramName
  readonly storage: Storage
  readonly options: PipelineOptions
}

/** How a net is lowered, as far as it decides which steps there are. */
type StepOptions = Pick<PipelineOptions, 'style' | 'memory' | 'without'>

/** What a step may ask to know whether it applies to a program. */
export interface Lowering extends Pick<GraphContext, 'program' | 'storage'> {
  readonly options: StepOptions
  readonly target?: Target
}

export interface KernelContext extends GraphContext {
  readonly target: Target
  readonly printer: Printer
}

/** A step of the compiler, over one program. */
export interface CompilerStep<Level extends string, Context> {
  readonly name: string
  readonly level: Level
  /** Whether the step applies to a program. Default: always. */
  readonly applies?: (lowering: Lowering) => boolean
  /** Gives the same graph, or the same kernels, where it changed nothing. */
  readonly run: (work: Work, context: Context) => Work
  /** There is no bundle without it, or it would be of another net. Default: `--without` may leave it out. */
  readonly required?: true
  /** The text of what it gives, where that is neither a graph nor a list of kernels. */
  readonly show?: (work: Work, context: Context) => string
  /** Checks what it gives before somebody looks at it. A fault is one of the compiler. */
  readonly verify?: (work: Work, context: Context) => void
}
export type GraphStep = CompilerStep<'graph', GraphContext>
export type KernelStep = CompilerStep<'kernels', KernelContext>

export const graphStep = (pass: GraphPass): GraphStep => ({
  name: pass.name,
  level: 'graph',
  ...(pass.required && { required: pass.required }),
  applies: ({ program, storage }) => pass.programs.includes(program) && passesFor(storage).includes(pass),
  verify: ({ graph }, { program }) => verifyPassed(graph, `after ${pass.name} (${program})`),
  run: (work, { program, options: { style, train } }) => {
    const { graph, declined } = pass.run(work.graph, { program, operators, style, ...(train && { train }) })
    return { ...work, graph, declined: [...work.declined, ...declined] }
  },
})

/** Fails where a graph is unsound. `when`: for the message. */
export function verifyPassed(graph: Graph, when: string): void {
  const problems = verifyGraph(graph, operators)
  invariant(problems.length === 0, () => `${when}: ${problems.join('; ')}`)
}

/** Kernels as the step of this name left them. */
const verifyAfter =
  (name: string) => ({ kernels, lowered: { viewOf } }: Work, { program, target: { maxBindings } }: KernelContext): void => {
    const problems = verifyKernels(kernels, viewOf, maxBindings)
    invariant(problems.length === 0, () => `after ${name} (${program}): ${problems.join('; ')}`)
  }

/** Every node says its equations; from here on there are kernels, and no layers. */
export const lower: KernelStep = {
  name: 'lower',
  level: 'kernels',
  required: true,
  verify: verifyAfter('lower'),
  run: (work, { program, target: { inProgram, inTasks = false }, options: { batch } }) => {
    const plain = loweredOf(`${inTasks}`, work.graph)
    const trains = TRAINING_PROGRAMS.includes(program)
    // Whoever infers with the statistics of a batch has one.
    const lowered = inProgram && (trains || !plain.equations.some(({ moments }) => moments))
      ? { ...plain, equations: plain.equations.map((e) => inProgram(e, trains ? batch : undefined)) } : plain
    const all = work.packing.equations.length > 0 ? packWeights(lowered, work.packing) : lowered
    return { ...work, lowered: all, kernels: all.equations.map((equation) => ({ equation, why: [] })) }
  },
}

/** Targets that store values alike share equations: what is found of one is then found for all of them. */
const loweredOf = onceByNodes((inTasks, graph: Graph): LoweredGraph => lowerGraph(graph, operators, inTasks === 'true'))

/** Split style is what it says: a kernel a layer. */
const fuses = ({ options: { style, without } }: Lowering): boolean => style !== 'split' && !without?.includes('fuse')

export const fusionStep = (pass: KernelPass): KernelStep => ({
  name: pass.name,
  level: 'kernels',
  applies: fuses,
  verify: verifyAfter(pass.name),
  run: (work, context) => {
    const fusing = work.fusing ?? { program: new KernelProgram(work.lowered.equations), context: fusionContext(work, context) }
    const before = fusing.program.revision
    pass.run(fusing.program, fusing.context)
    // Kernels change in place: those of now are listed only for who watches each pass; `fuse` lists what all of them left.
    const isListed = context.options.watch && fusing.program.revision !== before
    return { ...work, fusing, kernels: isListed ? fusing.program.kernels() : work.kernels }
  },
})

/** What all fusion passes left, and why passes over the graph left nodes alone: a remark of the kernels of their layers. */
export const fuse: KernelStep = {
  name: 'fuse',
  level: 'kernels',
  verify: verifyAfter('fuse'),
  run: (work) => {
    const reasons = new Map<string, string[]>()
    for (const { node, reason } of work.declined) reasons.set(node, [...(reasons.get(node) ?? []), reason])
    const kernels = (work.fusing?.program.kernels() ?? work.kernels).map((kernel) => ({
      ...kernel,
      why: [...kernel.why, ...kernel.equation.layers.flatMap((layer) => (reasons.get(layer) ?? []).map((reason) => `${layer}: ${reason}`))],
    }))
    return { ...work, kernels, fusing: undefined }
  },
}

const rematerializes = ({ memory, without }: StepOptions): boolean => memory === 'small' && !without?.includes('recompute')

/** Memory `small`: the backward pass computes kernels of the forward pass again instead of keeping what they gave. */
export const rematerialize: KernelStep = {
  name: 'recompute',
  level: 'kernels',
  verify: verifyAfter('recompute'),
  applies: ({ program, options }) => rematerializes(options) && TRAINING_PROGRAMS.includes(program),
  run: (work, { options: { batch } }) => {
    const { outputs } = work.graph
    const { steps, viewOf } = rematerializeValues({
      steps: work.kernels,
      viewOf: work.lowered.viewOf,
      results: outputs.map(({ value }) => value),
      losses: outputs.filter(({ role }) => role === 'loss').map(({ value }) => value),
      batch,
    })
    return { ...work, kernels: steps, lowered: { ...work.lowered, viewOf } }
  },
}

/** Programs that change no parameters, so that what depends on these alone is done once for many runs, in `prepare`. */
const PREPACKED: readonly ProgramName[] = ['infer', 'eval']

const prepares = ({ program, options, target }: Lowering): boolean =>
  target?.prepack !== undefined && options.memory !== 'small' && PREPACKED.includes(program)

/** What is constant beside these equations. */
function isConstantIn(equations: readonly Equation[]): IsConstant {
  const written = new Set(equations.flatMap(writes).map((t) => bufferOf(t)))
  return (t) => t.storage !== undefined && CONSTANT_ROLES.includes(t.storage.role) && !written.has(bufferOf(t))
}

const prepackedBy = (e: Equation, isConstant: IsConstant, { target, options: { batch } }: KernelContext): PrepackedKernel | undefined =>
  prepackedOf(`${batch} ${reads(e).map(isConstant).join()}`, target, e)

/** What would be packed for a kernel, by the target's own choice: fusion is the same whatever schedules are given. */
function preparedIn(context: KernelContext, equations: readonly Equation[]): (e: Equation) => string | undefined {
  let isConstant: IsConstant | undefined
  return (e) => prepackedBy(e, isConstant ??= isConstantIn(equations), context)?.equation.prepacked?.packed.name
}

/** Constant weights of `infer` and `eval` are packed by `prepare`, into memory of their own. Memory `small` does without. */
export const prepack: KernelStep = {
  name: 'prepack',
  level: 'kernels',
  verify: verifyAfter('prepack'),
  applies: prepares,
  run: (work, context) => {
    const { target, options: { batch, schedules } } = context
    const isConstant = isConstantIn(work.kernels.map(({ equation }) => equation))
    const equations: (readonly Equation[])[] = []
    const kernels = work.kernels.map((kernel) => {
      const { equation } = kernel
      const found = schedules ? target.prepack!(inOrder(equation), isConstant, batch, schedules[target.name])
        : prepackedBy(equation, isConstant, context)
      if (!found) return kernel
      equations.push(found.preparation)
      const { weight } = found.equation.prepacked!
      return { ...kernel, equation: found.equation, why: [...kernel.why, `${weight.name} is packed once, by the program prepare`] }
    })
    return equations.length > 0 ? { ...work, kernels, packing: { ...work.packing, equations } } : work
  },
}

/** `question`: the batch, and which of what the equation reads is constant. */
const prepackedOf = onceByNodes((question, target: Target, e: Equation) => {
  const [batch, constant] = question.split(' ')
  const answers = new Map(reads(e).map((t, i) => [t, constant!.split(',')[i] === 'true']))
  return target.prepack!(inOrder(e), (t) => answers.get(t) ?? false, Number(batch))
})

/** What these programs read and nobody writes while they run. */
const CONSTANT_ROLES: readonly StorageSlot['role'][] = ['parameters', 'states', 'prepared']

/** The target prints each kernel. */
export const generate: KernelStep = {
  name: 'generate',
  level: 'kernels',
  required: true,
  run: (work, { printer }) => ({ ...work, printed: work.kernels.map(({ equation }) => printer.print(equation)) }),
  show: ({ kernels }, { target, printer }) =>
    kernels.flatMap(({ equation }) => (printer.lower?.(equation) ?? []).map((f) => showVerified(f, target))).join('\n'),
}

function showVerified(f: KernelFunction, { name, capabilities }: Target): string {
  const problems = capabilities ? verifyKernelFunction(f, capabilities) : []
  invariant(problems.length === 0, () => `${name}: ${problems.join('; ')}`)
  return printKernelFunction(f)
}

function fusionContext({ graph, lowered: { equations, kept, viewOf } }: Work, context: KernelContext): FusionContext {
  const { target, options } = context
  const {
    maxBindings,
    maxPrologueInputs,
    storesPrologues = false,
    packsPrologue,
    statisticsBlock,
    rejectFusedProducer,
    rejectJoined,
    price,
  } = target
  return {
    kept,
    viewOf,
    maxBindings,
    maxPrologueInputs,
    storesPrologues: storesPrologues && !rematerializes(options),
    ...(packsPrologue && { packsPrologue }),
    statisticsBlock,
    // What one kernel makes for itself and for others cannot be made again for one of them.
    ...(rejectFusedProducer && !rematerializes(options) && { rejectFusedProducer: (e) => rejectFusedProducer(e, options.batch) }),
    ...(prepares(context) && { preparedFor: preparedIn(context, equations) }),
    ...(rejectJoined && !rematerializes(options) && { rejectJoined }),
    ...(price && !rematerializes(options) && { price, estimates: options.estimates === true }),
    unfusedLayers: new Set(graph.nodes.filter((node) => node.attributes['style'] === 'split').map((node) => node.layer)),
  }
}

/** The state of a program before its first step. */
export const EMPTY: Omit<Work, 'graph'> = {
  declined: [],
  lowered: { equations: [], viewOf: new Map(), kept: new Set() },
  kernels: [],
  fusing: undefined,
  packing: { equations: [], read: new Set() },
  printed: [],
}
