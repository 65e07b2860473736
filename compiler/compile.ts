import type { Diagnostic } from '../dsl/diagnostic.ts'
import { loadProgram } from '../dsl/index.ts'
import type { Program } from '../dsl/program.ts'
import type { Source } from '../dsl/source.ts'
import { type Bundle, type DataType, FORMAT, FORMAT_VERSION, type Manifest, type Memory, type Plan, type Storage, type Style,
  type TrainEntry } from '../bundle/format.ts'
import { problemsOf } from '../bundle/validate/problems.ts'
import { boundProblems } from './front-end/bounds.ts'
import { accumulationProblems, divisorsOf } from './front-end/accumulation.ts'
import { choosePrograms, noneOf, normalizationsOf, PROGRAM_NAMES, programProblems, unknownNames } from './front-end/choose-programs.ts'
import { checkCompile, checkInspect } from './front-end/compile-options.ts'
import { CompileError } from './compile-error.ts'
import type { Graph, Value } from './graph/graph.ts'
import { sha256Hex } from './hash.ts'
import { inspectManifest, type InspectReport } from './report.ts'
import { operators } from './ops/registry.ts'
import { totalsOf } from './ops/totals.ts'
import { vocabulary } from './front-end/vocabulary.ts'
import { oneValueProblems } from './front-end/one-value.ts'
import { buildGraph } from './front-end/build-graph.ts'
import { dropNormalization } from './front-end/without-normalization.ts'
import { freezeParameters } from './front-end/freeze-parameters.ts'
import { type PipelineOptions, type PipelineResult, REMOVABLE, runPipeline } from './pipeline.ts'
import { scoredLabels } from './scored-labels.ts'
import type { Schedules, Target } from './targets/target.ts'
import { wasm, wasmPrecise } from './targets/wasm/target.ts'
import { wgsl, wgslHalf, wgslSoftware } from './targets/wgsl/target.ts'

export interface CompileOptions {
  /** The name under which errors speak of a text. Default `<text>`. */
  readonly file?: string
  /** Overrides what the file says. */
  readonly style?: Style
  /**
   * `small` trades time for memory: training computes again, kernel by kernel, what it would keep for the backward pass where that lowers
   * the peak. The same results, to rounding. Default `fast`.
   */
  readonly memory?: Memory
  /**
   * `true`: every output of a convolution is the sum of its own products, on the CPU too. By default 3x3 and 5x5 convolutions of some size
   * are computed there by Winograd's algorithm, in tiles of 4x4 or 2x2 outputs: faster, but the rounding of an output is then that of the
   * largest input of its tile (docs/numbers.md). Tuned schedules do not bring it back. Default false.
   */
  readonly precise?: boolean
  /** Gives the text of `import "./other.net"`; absent: imports are errors. */
  readonly readImport?: (path: string, from: Source) => Source | undefined
  /**
   * Only these programs (and what they need prepared). Default: all that the net has, but for training with stored statistics, which
   * is asked for by name: `['default', 'step/global', 'train/global']`, where `default` stands for all others.
   */
  readonly programs?: readonly string[]
  /** Only what runs on these: `webgpu`, `wasm`, `webgpu-f16`, `webgpu-software`. Default: the first two, and what `storage` and `software` add. */
  readonly targets?: readonly string[]
  /**
   * `f16`: one plan more, `webgpu-f16`, that infers with values between layers and weights stored as f16, for adapters that
   * have `shader-f16`. Arithmetic stays float32. Default `f32`.
   */
  readonly storage?: Storage
  /** One plan more, `webgpu-software`, for adapters that a CPU pretends to be. Default false: they run `webgpu`, slowly. */
  readonly software?: boolean
  /**
   * Parameters that do not learn, by patterns: `['conv*', 'stage1', '!stage1.conv2']` (`*` any letters, `?` one; a layer or block stands for all of
   * its parameters; `!` takes out again). Neither their gradients nor what only these need is computed, and the backward pass ends where nothing
   * below learns. A batch_norm whose running statistics are among them normalizes with those in training too, and keeps them to the bit.
   */
  readonly freeze?: readonly string[]
  /** Passes to leave out, to find out which one makes a number wrong. */
  readonly without?: readonly string[]
  /** Ways to compute kernels that are known to be fast, of each target by its name: what `fusenet tune` found. */
  readonly schedules?: Readonly<Record<string, Schedules>>
  /** `false`: another net, the same without its normalizations (`drop-normalization`), to compare with. It carries no text. */
  readonly normalize?: boolean
  /** Samples at a time in training, where that is not what the file says: what would not be learned at that batch is refused. */
  readonly batch?: number
  /** Lets the file train with a batch at which a `batch_norm` sees one value a channel: see `open`, which wants the same. Default false. */
  readonly allowOneValue?: boolean
  /** Told what every step left. */
  readonly watch?: PipelineOptions['watch']
}

/**
 * Compiles a `.net` text to a bundle: WGSL kernels, a WebAssembly module, their plans, initializers. A pure function of text and options.
 * Throws CompileError with every independent mistake, InputError for options that there are not.
 */
export function compile(source: string | Source, options: CompileOptions = {}): Bundle {
  checkCompile('compile', source, options)
  const unknown = unknownNames('target', options.targets, TARGET_NAMES)
  if (unknown.length > 0) throw new CompileError(unknown)
  const wanted = options.targets ??
    [wgsl.name, wasm.name, ...(options.storage === 'f16' ? [wgslHalf.name] : []), ...(options.software ? [wgslSoftware.name] : [])]
  const { bundle } = compileFor(source, TARGETS.filter(({ name }) => wanted.includes(name)), options)
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

export const TARGETS: readonly Target[] = [wgsl, wasm, wgslHalf, wgslSoftware]
export const TARGET_NAMES: readonly string[] = TARGETS.map(({ name }) => name)

export interface InspectOptions extends CompileOptions {
  /** Samples that the numbers are for. Default 1. */
  readonly batch?: number
  /** Whose kernels: `webgpu` (the default), `wasm`, `webgpu-f16` or `webgpu-software`. */
  readonly target?: string
}

/** What `fusenet inspect --json` prints: kernels, what is fused into each and why not more, FLOPs, bytes, memory. */
export function inspect(source: string | Source, options: InspectOptions = {}): InspectReport {
  checkInspect(source, options)
  const { target = wgsl.name, ...rest } = options
  return inspectManifest(compile(source, { ...rest, targets: [target] }).manifest, target, rest.batch ?? 1)
}

/** Errors and warnings of a text; nothing else. */
export function check(source: string | Source, options: CompileOptions = {}): readonly Diagnostic[] {
  checkCompile('check', source, options)
  const { diagnostics } = frontEnd(source, options)
  return diagnostics
}

export interface Compiled {
  readonly bundle: Bundle
  /** For each target. */
  readonly pipelines: readonly PipelineResult[]
  readonly warnings: readonly Diagnostic[]
}

export function compileFor(source: string | Source, targets: readonly Target[], options: CompileOptions = {}): Compiled {
  const { program, graph, diagnostics, sources } = frontEnd(source, options)
  if (!program || !graph) throw new CompileError(diagnostics)
  const problems = [
    ...unknownNames('pass', options.without, REMOVABLE),
    ...unknownNames('program', options.programs, PROGRAM_NAMES),
    ...programProblems(graph, options.programs),
  ]
  if (problems.length > 0) throw new CompileError([...diagnostics, ...problems])
  const programs = choosePrograms(graph, program.train, options.programs)
  if (programs.length === 0 && options.programs)
    throw new CompileError([...diagnostics, noneOf(options.programs, choosePrograms(graph, program.train))])
  const style = options.style ?? program.style ?? 'merged'
  const pipelines = runPipeline(graph, {
    targets: options.precise ? targets.map((target) => (target === wasm ? wasmPrecise : target)) : targets,
    style,
    memory: options.memory ?? 'fast',
    programs,
    batch: program.train?.batch ?? 1,
    ...(program.train && { train: program.train }),
    ...(options.schedules && { schedules: options.schedules }),
    ...(options.without && { without: options.without }),
    ...(options.watch && { watch: options.watch }),
  })
  const { freeze = [] } = options
  const lowering = {
    style,
    ...(options.memory === 'small' && { memory: options.memory }),
    ...(options.precise && { precise: options.precise }),
    ...(freeze.length > 0 && { freeze }),
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

interface FrontEnd {
  readonly program?: Program
  readonly graph?: Graph
  readonly diagnostics: readonly Diagnostic[]
  /** Every text that was read, the main one first. */
  readonly sources: readonly Source[]
}

export function frontEnd(source: string | Source, options: CompileOptions): FrontEnd {
  const main = typeof source === 'string' ? { file: options.file ?? '<text>', text: source } : source
  const sources = [main]
  const readImport = options.readImport && ((path: string, from: Source): Source | undefined => {
    const found = options.readImport!(path, from)
    if (found && !sources.some((s) => s.file === found.file)) sources.push(found)
    return found
  })
  const loaded = loadProgram(main, { vocabulary, ...(readImport && { readImport }) })
  if (!loaded.program) return { diagnostics: loaded.diagnostics, sources }
  const program = options.normalize === false ? dropNormalization(loaded.program) : loaded.program
  const built = buildGraph(program, { operators, ...(options.style && { style: options.style }) })
  const frozen = built.graph && options.freeze?.length ? freezeParameters(built.graph, options.freeze) : undefined
  const graph = frozen?.graph ?? built.graph
  const values = graph && !options.allowOneValue ? oneValueProblems(graph, program.train, options.batch) : []
  const bounds = graph ? boundProblems(program, graph) : []
  const sums = graph ? accumulationProblems(graph, program.train) : []
  const diagnostics = [...loaded.diagnostics, ...built.diagnostics, ...(frozen?.diagnostics ?? []), ...values, ...bounds, ...sums]
  if (diagnostics.some((d) => d.severity === 'error')) return { diagnostics, sources }
  return { program, ...(graph && { graph }), diagnostics, sources }
}

function manifestOf(
  program: Program,
  graph: Graph,
  choices: Pick<Manifest, 'style' | 'memory' | 'precise' | 'freeze'>,
  sources: readonly Source[],
  plans: Record<string, Plan>,
): Manifest {
  const declared = new Map(program.inputs.map((input) => [input.name, input]))
  const ignored = ignoredLabels(graph)
  const scored = scoredLabels(graph)
  const totals = totalsOf(graph, operators)
  const divisors = divisorsOf(graph, program.train)
  return {
    format: FORMAT,
    version: FORMAT_VERSION,
    name: program.name,
    ...choices,
    source: { files: sources.map(({ file, text }) => ({ name: file, text })), sha256: sha256Hex(sources.map((s) => s.text).join('\0')) },
    inputs: graph.inputs.map((input) => ({
      name: input.name,
      type: input.type as DataType,
      shape: input.shape,
      ...(declared.get(input.name)?.classes !== undefined && { classes: declared.get(input.name)!.classes }),
      ...(declared.get(input.name)?.classNames && { classNames: declared.get(input.name)!.classNames }),
      ...(ignored.has(input.name) && { ignore: ignored.get(input.name)! }),
    })),
    outputs: graph.outputs.filter((o) => o.role !== 'gradient').map((o) => ({
      name: o.name,
      role: o.role as 'output' | 'loss' | 'metric',
      shape: o.value.shape,
      ...(o.weight !== undefined && o.weight !== 1 && { weight: o.weight }),
      ...(o.role === 'metric' && betterOf(graph, o.value)),
      ...(scored.has(o.name) && { scores: scored.get(o.name)! }),
      ...(totals.has(o.name) && { total: totals.get(o.name)! }),
    })),
    parameters: graph.parameters.map((p) => ({
      name: p.name,
      shape: p.value.shape as readonly number[],
      offset: p.value.storage!.offset,
      trainable: p.trainable,
      ...(p.frozen && { frozen: p.frozen }),
      initializer: p.initializer,
      layer: p.layer,
    })),
    normalizations: normalizationsOf(graph),
    ...(program.train && { train: { ...trainEntry(program.train), ...(divisors.length > 0 && { divisors }) } }),
    plans,
  }
}

/** Of a share that is right more is better, of a loss less. */
function betterOf(graph: Graph, metric: Value): { readonly better?: 'higher' | 'lower' } {
  const op = graph.nodes.find((node) => node.outputs.includes(metric))?.op ?? ''
  return op === 'accuracy' ? { better: 'higher' } : op.endsWith('_loss') ? { better: 'lower' } : {}
}

/** Labels that a loss or a metric passes over, beside the classes: no others mean anything. */
function ignoredLabels(graph: Graph): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const node of graph.nodes) {
    const ignore = node.attributes['ignore']
    const label = node.inputs[1]
    if (label?.type !== 'i32') continue
    found.set(label.name, [...new Set([...(found.get(label.name) ?? []), ...(typeof ignore === 'number' ? [ignore] : [])])])
  }
  return found
}

function trainEntry(train: NonNullable<Program['train']>): TrainEntry {
  const { span: _, batchSpan: _batch, ...rest } = train
  return rest as TrainEntry
}
