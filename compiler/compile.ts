import { chooseTargets, DEFAULT_TARGET } from './targets/targets.ts'
import { type CompileOptions, type InspectOptions, checkCompile, checkInspect } from './compile-options.ts'
import type { Diagnostic } from '../dsl/diagnostic.ts'
import type { Program } from '../dsl/program.ts'
import type { Source } from '../dsl/source.ts'
import type { Bundle } from '../bundle/format.ts'
import { TARGET_NAMES, WASM } from '../bundle/plans.ts'
import { problemsOf } from '../bundle/validate/problems.ts'
import { CompileError } from './compile-error.ts'
import { choosePrograms, noneOf, PROGRAM_NAMES, programProblems, unknownNames } from './front-end/choose-programs.ts'
import { frontEnd } from './front-end/front-end.ts'
import type { Graph } from './graph/graph.ts'
import { manifestOf } from './manifest.ts'
import { operators } from './ops/registry.ts'
import { type PipelineResult, planPrograms, REMOVABLE, REQUIRED, runPipeline, sayRequired } from './pipeline.ts'
import { inspectManifest, type InspectReport } from './report.ts'
import type { PipelineOptions } from './steps.ts'
import type { Target } from './targets/target.ts'

/**
 * Compiles a `.net` text to a bundle: WGSL kernels, a WebAssembly module, their plans, initializers. A pure function of text and options.
 * Throws CompileError with every independent mistake, InputError for options that there are not.
 */
export function compile(source: string | Source, options: CompileOptions = {}): Bundle {
  checkCompile('compile', source, options)
  const unknown = unknownNames('target', options.targets, TARGET_NAMES)
  if (unknown.length > 0) throw new CompileError(unknown)
  const { bundle } = compileBy(planPrograms, source, chooseTargets(options), options)
  // Whatever is written can be read: what the text does wrong is told before, where it is wrong.
  const problems = problemsOf(bundle.manifest, bundle.files)
  if (problems.length > 0)
    throw new CompileError(
      problems.slice(0, 8).map(({ path, message }): Diagnostic => ({
        severity: 'error',
        code: 'bundle/refused',
        message: `the bundle of this net would be refused: ${path}: ${message}`,
        labels: [],
      })),
    )
  return bundle
}

/** The report that `fusenet inspect --json` prints: kernels, what is fused into each and why not more, FLOPs, bytes, memory. */
export function inspect(source: string | Source, options: InspectOptions = {}): InspectReport {
  checkInspect(source, options)
  // Numbers for so many samples, of the net as it is compiled for any.
  const { target = DEFAULT_TARGET.name, batch = 1, ...rest } = options
  return inspectManifest(compile(source, { estimates: true, ...rest, targets: [target] }).manifest, target, batch)
}

export interface Compiled<Result> {
  readonly bundle: Bundle
  /** What the pipeline made for each target. */
  readonly pipelines: readonly Result[]
  readonly warnings: readonly Diagnostic[]
}

/** Compiles for these targets, and gives the kernels of every program beside the bundle. */
export const compileFor = (source: string | Source, targets: readonly Target[], options: CompileOptions = {}): Compiled<PipelineResult> =>
  compileBy(runPipeline, source, targets, options)

function compileBy<Result extends Pick<PipelineResult, 'target' | 'plan' | 'files' | 'schedules'>>(
  run: (graph: Graph, options: PipelineOptions) => readonly Result[],
  source: string | Source,
  targets: readonly Target[],
  options: CompileOptions,
): Compiled<Result> {
  const { program: read, graph, diagnostics, sources } = frontEnd(source, options)
  if (!read || !graph) throw new CompileError(diagnostics)
  const program = withBatch(read, options.batch)
  const problems = [
    ...(options.without ?? []).filter((name) => REQUIRED.includes(name)).map((name): Diagnostic => ({
      severity: 'error',
      code: 'option/required-pass',
      message: sayRequired(name),
      labels: [],
      hint: `these may be: ${REMOVABLE.join(', ')}`,
    })),
    ...unknownNames('pass', options.without?.filter((name) => !REQUIRED.includes(name)), REMOVABLE),
    ...unknownNames('program', options.programs, PROGRAM_NAMES),
    ...(options.wide && !targets.some(({ wide }) => wide) ? [wideOfNone(targets)] : []),
    ...programProblems(graph, operators, options.programs),
  ]
  if (problems.length > 0) throw new CompileError([...diagnostics, ...problems])
  const programs = choosePrograms(graph, operators, program.train, options.programs)
  if (programs.length === 0 && options.programs)
    throw new CompileError([...diagnostics, noneOf(options.programs, choosePrograms(graph, operators, program.train))])
  const style = options.style ?? program.style ?? 'merged'
  const pipelines = run(graph, {
    targets: targets.map((target) => (options.precise ? target.precise : undefined) ?? target)
      .map((target) => (options.wide ? target.wide : undefined) ?? target),
    style,
    memory: options.memory ?? 'fast',
    programs,
    batch: program.train?.batch ?? options.batch ?? 1,
    ...(program.train && { train: program.train }),
    ...(options.schedules && { schedules: options.schedules }),
    ...(options.onSchedules && { onSchedules: options.onSchedules }),
    ...(options.without && { without: options.without }),
    ...(options.estimates && { estimates: true }),
    ...(options.watch && { watch: options.watch }),
  })
  const { freeze = [] } = options
  const taken = pipelines.flatMap(({ target, schedules }) =>
    schedules && Object.keys(schedules).length > 0 ? [[target.name, schedules] as const] : []
  )
  const lowering = {
    style,
    ...(options.memory === 'small' && { memory: options.memory }),
    ...(options.precise && { precise: options.precise }),
    ...(freeze.length > 0 && { freeze }),
    ...(taken.length > 0 && { schedules: Object.fromEntries(taken) }),
    ...(targets.length === 0 && options.programs && { programs }),
  }
  // What the text says is another net than one without its normalizations: nobody may compile that again from it.
  const carried = options.normalize === false ? [] : sources
  const manifest = manifestOf(
    program,
    graph,
    lowering,
    carried,
    Object.fromEntries(pipelines.map(({ target, plan }) => [target.name, plan])),
  )
  return { bundle: { manifest, files: new Map(pipelines.flatMap(({ files }) => [...files])) }, pipelines, warnings: diagnostics }
}

/** `wide` concerns a target with modules. */
const wideOfNone = (targets: readonly Target[]): Diagnostic => ({
  severity: 'error',
  code: 'option/wide',
  message: `wide is for ${WASM}, and ${
    targets.length === 0 ? 'nothing is compiled' : `the targets are ${targets.map(({ name }) => name).join(', ')}`
  }`,
  labels: [],
  hint: `name ${WASM} among the targets, or leave wide out`,
})

/** The program with another batch to train with, as the bundle tells it. */
const withBatch = (program: Program, batch: number | undefined): Program =>
  program.train && batch !== undefined ? { ...program, train: { ...program.train, batch } } : program
