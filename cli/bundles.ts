import { dirname, join } from 'node:path'
import type { CompileOptions } from '../compiler/compile-options.ts'
import type { Source } from '../dsl/source.ts'
import { withNamesOf } from '../runtime/data/classes.ts'
import { withNamesOfWeights } from '../runtime/data/names-of-weights.ts'
import type { BestEntry, Bundle, InputEntry, Memory, ProgramName, Storage, Style, TensorData } from '../bundle/format.ts'
import { HALF_PLAN, SOFTWARE_PLAN, WASM, WEBGPU } from '../bundle/plans.ts'
import { MANIFEST_FILE, WEIGHTS_FILE } from '../runtime/loading/files.ts'
import { readBundle, readSnapshot } from '../runtime/node.ts'
import { HISTORY } from '../runtime/snapshot.ts'
import { programFor } from '../bundle/programs.ts'
import { BundleError, InputError } from '../bundle/errors.ts'
import { matchWeights, type WeightsMatch } from '../runtime/match-weights.ts'
import { isWide, mayBeWide } from '../runtime/wasm/wide.ts'
import { readSafetensors } from '../runtime/loading/safetensors.ts'
import { endingOf } from '../import/foreign-endings.ts'
import { refuseImport, refuseModel } from './imported.ts'
import { UsageError } from './exit.ts'
import { compileOnce } from './compile-once.ts'
import { compileToRun, type Runs } from './compile-to-run.ts'
import { isPretended } from './devices.ts'
import type { Lowering, Made, NetSource } from './net-source.ts'
import { drawDiagnostics } from './diagnostics.ts'
import type { Screen } from './screen.ts'
import { kindOf, mustExist, readBytes } from './files.ts'
import { olderBundle } from './older-bundle.ts'
import { showMatch } from './match-table.ts'
import { FRESH } from './options.ts'
import { readImport, readSource } from './source.ts'
import { withoutWrappers } from './state-dict.ts'
import { carriedSchedules, joinSchedules, type Tuned, tunedSchedules } from './tuned.ts'

/** Weights of another net, by name: what is not there, or asked for fresh, starts by its initializer. */
export interface Partial {
  readonly fresh?: readonly string[]
  told(match: WeightsMatch, file: string): void
}

export interface NetOptions extends Lowering {
  readonly weights?: string
  /** Takes of the weights what fits. Absent: all must fit. */
  readonly partial?: Partial
  /** Samples at a time in training, where the command line says so: a bundle of another batch is compiled again from its text. */
  readonly batch?: number
  readonly tuned?: Tuned
  /** Whether there are to be modules for vectors of twice the width. Verbs that run a bundle do not compile it again for their sake. */
  readonly wide?: boolean
  /** Programs that the work at hand needs beside the usual ones: a bundle without them is compiled again from its text. */
  readonly programs?: readonly ProgramName[]
  /** What is compiled for the work at hand alone holds no other programs, and is for no other device. */
  readonly runs?: Runs
  /** Exactly these programs, and these targets, of `fusenet compile`. */
  readonly only?: { readonly programs?: readonly string[]; readonly targets?: readonly string[] }
  /** A bundle of an older format is compiled again from the text that it carries. */
  readonly older?: boolean
  readonly screen: Screen
}

/**
 * The options of a command line that concern the net: `--style`, `--memory`, `--storage`, `--weights`, `--tuned` or `--cache`, and
 * `--device`.
 */
export async function netOptions(options: Readonly<Record<string, unknown>>, screen: Screen): Promise<NetOptions> {
  const tuned = await tunedSchedules(options, screen)
  // What was tuned is there to be run.
  const software = tuned?.schedules[SOFTWARE_PLAN] !== undefined || await isPretended(options['device'])
  return {
    style: options['style'] as Style | undefined,
    memory: options['memory'] as Memory | undefined,
    storage: options['storage'] as Storage | undefined,
    ...(options['precise'] === true && { precise: true }),
    freeze: options['freeze'] as readonly string[] | undefined,
    weights: options['weights'] as string | undefined,
    ...(tuned && { tuned }),
    screen,
    ...partialOption(options, screen),
    ...(software && { software }),
    ...(await wantsWide(options) && { wide: true }),
  }
}

/** Whether a net that is compiled has modules for vectors of twice the width: `compile` is told so, whoever runs it at once finds out. */
async function wantsWide({ device, wide }: Readonly<Record<string, unknown>>): Promise<boolean> {
  if (device === undefined) return wide === true
  return wide === true && mayBeWide() && (device === WASM || (device === 'auto' && await isPretended(WEBGPU))) && isWide()
}

/** `--partial` and `--fresh`, and that they go with `--weights`. */
function partialOption(options: Readonly<Record<string, unknown>>, screen: Screen): Pick<NetOptions, 'partial'> {
  const fresh = options['fresh'] as readonly string[] | undefined
  if (options['partial'] !== true) {
    if (fresh) throw new UsageError('--fresh names what --partial leaves out of --weights: add --partial')
    return {}
  }
  const { weights } = options
  if (weights === undefined || weights === FRESH) throw new UsageError('--partial takes what fits of --weights: name the weights')
  return {
    partial: {
      fresh,
      told: (match, file) => {
        if (!screen.json) showMatch(match, file, screen)
      },
    },
  }
}

/** The options of `compile` that say which schedules were found. */
export const scheduleOptions = (tuned: Tuned | undefined): Pick<CompileOptions, 'schedules' | 'onSchedules'> =>
  tuned ? { schedules: tuned.schedules, onSchedules: tuned.onSchedules } : {}

/** The bundle of the net that a verb is given: a .net file, which is compiled, or the folder of a bundle. */
export async function loadBundle(path: string, options: NetOptions): Promise<Bundle> {
  const { style, memory, precise, freeze, storage, software, tuned, wide, batch, only } = options
  const programs = options.programs ? ['default', ...options.programs] : only?.programs
  const choices = {
    software,
    ...scheduleOptions(tuned),
    programs,
    ...(wide && { wide }),
    ...(only?.targets && { targets: only.targets }),
    ...(batch !== undefined && { batch }),
  }
  if (path.endsWith('.net')) {
    const made = await compileToRun(await readNet(path, options), { style, memory, precise, freeze, storage, ...choices }, options.runs)
    if (!options.runs) tuned?.sayBatch(made.manifest.train?.batch)
    return made
  }
  const old = options.older ? await olderBundle(path) : undefined
  if (old) return (await netOf(path, old, options)).compile({ style, memory, precise, freeze, storage, ...choices })
  const bundle = await readBundleFolder(path, options.weights)
  const lowering = otherLowering(bundle, options)
  // Lowered otherwise, for another batch or for other programs, it is compiled again from the text that it carries; its weights fit.
  if (lowering || tuned || only || lacks(bundle, options.programs) || isForAnotherBatch(path, bundle, options)) {
    const stays = options.older && carriesWide(bundle) && only?.targets?.includes(WASM) !== false && { wide: true }
    const made = await compileToRun(await netOf(path, bundle, options), { ...lowering, ...stays, ...choices }, options.runs)
    if (!options.runs) tuned?.sayBatch(made.manifest.train?.batch)
    return made
  }
  if (options.weights === undefined) return bundle
  const { weights: _, ...bare } = bundle
  return withWeights(bare, options.weights, options.partial)
}

/** Names of classes and columns come with the weights, where the parameters are taken that they belong to. */
async function withWeights({ manifest: { best: _, ...manifest }, ...rest }: Bundle, weights: string, partial?: Partial): Promise<Bundle> {
  const bundle = { ...rest, manifest }
  if (weights === FRESH) return bundle
  if (!partial) {
    const all = await readWeights(weights, bundle)
    return named({ ...bundle, weights: all }, weights, new Set(all.keys()))
  }
  const tensors = withoutWrappers(await readTensors(weights), bundle)
  const match = matchWeights(bundle, tensors, { ...(partial.fresh && { fresh: partial.fresh }) })
  partial.told(match, weights)
  return named({ ...bundle, weights: match.weights }, weights, new Set(match.weights.keys()))
}

async function named(bundle: Bundle, weights: string, taken: ReadonlySet<string>): Promise<Bundle> {
  const { inputs, parameters } = bundle.manifest
  const learned = { from: weights, inputs: await learnedInputs(weights), taken }
  return { ...bundle, manifest: { ...bundle.manifest, inputs: withNamesOfWeights(inputs, parameters, learned) } }
}

/** Whether kernels of training were chosen for another batch, and can be chosen anew. It tells so. */
function isForAnotherBatch(path: string, { manifest: { train, source } }: Bundle, { batch, screen }: NetOptions): boolean {
  if (batch === undefined || !train || train.batch === batch) return false
  const has = source.files.length > 0
  if (!screen.json)
    screen.note(
      `${path} is compiled for batch ${train.batch}: ${
        has ? `its text is compiled again, for ${batch}` : `batches of ${batch} may be slower, and it carries no text to compile again`
      }`,
    )
  return has
}

const carriesWide = ({ manifest }: Bundle): boolean =>
  Object.values(manifest.plans).some(({ modules }) => Object.values(modules ?? {}).some(({ wide }) => wide !== undefined))

const lacks = ({ manifest }: Bundle, programs: readonly ProgramName[] = []): boolean =>
  Object.entries(manifest.plans).some(([name, plan]) =>
    name !== HALF_PLAN && programs.some((program) => !plan.programs[programFor(manifest, program)])
  )

/** All of what is wanted, where a bundle is something else; what is not named stays as it is. A plan more than wanted is no harm. */
export function otherLowering(
  { manifest }: Bundle,
  wanted: Lowering,
): Required<Omit<Lowering, 'software' | 'freeze'>> & Pick<Lowering, 'freeze'> | undefined {
  const { style, memory = 'fast', precise = false, freeze = [] } = manifest
  const storage = manifest.plans[HALF_PLAN] ? 'f16' : 'f32'
  const lowering = {
    style: wanted.style ?? style,
    memory: wanted.memory ?? memory,
    precise: wanted.precise ?? precise,
    freeze: wanted.freeze ?? freeze,
    storage: wanted.storage === 'f16' ? wanted.storage : storage,
  } as const
  return lowering.style === style && String(lowering.freeze) === String(freeze) && lowering.memory === memory &&
      lowering.precise === precise && lowering.storage === storage ? undefined : lowering
}

export async function readNet(path: string, options: Omit<NetOptions, 'tuned'>): Promise<NetSource> {
  if (!path.endsWith('.net')) return netOf(path, await readBundleFolder(path, options.weights), options)
  const { check } = await import('../compiler/check.ts')
  const main = await readSource(path)
  const { style, screen, batch } = options
  const diagnostics = check(main, { style, readImport, batch })
  // Errors are thrown by `compile`, with the warnings among them.
  if (!screen.json && diagnostics.length > 0 && diagnostics.every((d) => d.severity === 'warning'))
    screen.note(drawDiagnostics(diagnostics, screen))
  return sourceOf(main, readImport, options.weights, {}, undefined, options.partial)
}

async function netOf(path: string, bundle: Bundle, { weights, partial, runs, screen }: Omit<NetOptions, 'tuned'>): Promise<NetSource> {
  const carried = carriedSources(bundle)
  const { style, memory, precise, freeze, plans, train } = bundle.manifest
  const targets = Object.keys(plans).filter((target) => target !== HALF_PLAN && target !== SOFTWARE_PLAN)
  const programs = [...new Set(Object.values(plans).flatMap((plan) => Object.keys(plan.programs)))].filter((name) => name !== 'prepare')
  // Its own weights are still the best ones, however it is compiled.
  const { best } = bundle.manifest
  return sourceOf(
    carried.main,
    carried.readImport,
    weights ?? bundle.weights,
    {
      style,
      memory,
      precise,
      freeze,
      ...(plans[HALF_PLAN] && { storage: 'f16' }),
      ...(plans[SOFTWARE_PLAN] && { software: true }),
      ...(targets.length > 0 && { targets }),
      ...(programs.length > 0 && { programs }),
      ...(train && { batch: train.batch }),
      ...carriedSchedules(bundle.manifest, path, !runs, screen),
    },
    bundle.manifest.inputs,
    partial,
    weights === undefined ? best : undefined,
  )
}

/** `learned`: of a bundle, which was compiled before; at which batch it may run is asked where it is opened. */
function sourceOf(
  main: Source,
  readImport: NetSource['readImport'],
  weights: string | Bundle['weights'],
  lowering: Made,
  learned?: readonly InputEntry[],
  partial?: Partial,
  best?: BestEntry,
): NetSource {
  return {
    main,
    readImport,
    lowering,
    async compile(
      {
        style = lowering.style,
        memory = lowering.memory,
        precise = lowering.precise,
        freeze = lowering.freeze,
        storage = lowering.storage,
        software = lowering.software,
        programs = lowering.programs,
        batch = lowering.batch,
        schedules,
        onSchedules,
        ...options
      },
    ) {
      const targets = options.targets ??
        (lowering.targets && [...lowering.targets, ...(storage === 'f16' ? [HALF_PLAN] : []), ...(software ? [SOFTWARE_PLAN] : [])])
      const made = await compileOnce(main, {
        ...options,
        style,
        memory,
        precise,
        freeze,
        storage,
        software,
        readImport,
        ...(programs && { programs }),
        ...(targets && { targets }),
        ...(batch !== undefined && { batch }),
        ...joinSchedules({ schedules, onSchedules }, lowering),
        ...(learned && { allowOneValue: true }),
      })
      const bundle = { ...made, manifest: { ...made.manifest, inputs: withNamesOf(made.manifest.inputs, learned ?? []) } }
      // Without its normalizations it is another net, with fewer parameters.
      if (weights === undefined || options.normalize === false) return bundle
      return typeof weights === 'string' ? withWeights(bundle, weights, partial)
        : { ...bundle, manifest: { ...bundle.manifest, ...(best && { best }) }, weights }
    },
  }
}

/** The inputs, with names of classes, of the bundle that weights come from. */
async function learnedInputs(weights: string | Bundle['weights']): Promise<readonly InputEntry[]> {
  if (typeof weights !== 'string' || weights === FRESH || await kindOf(weights) !== 'folder') return []
  return (await readBundleFolder(weights)).manifest.inputs
}

/** The texts that a bundle was made of, as the compiler takes them. */
export function carriedSources(bundle: Bundle): { main: Source; readImport: typeof readImport } {
  const files = bundle.manifest.source.files.map(({ name, text }) => ({ file: name, text }))
  const main = files[0]
  if (!main) throw new BundleError([{ path: 'source.files', message: 'holds no text to compile again' }])
  return { main, readImport: (path, from) => files.find((file) => file.file === join(dirname(from.file), path)) }
}

/** `weights`: what is to take the place of those that the bundle brings, which need not be there then. */
export async function readBundleFolder(path: string, weights?: string): Promise<Bundle> {
  if (await mustExist(path) === 'file') {
    refuseModel(path)
    throw new InputError(`${path} is a file; a bundle is a folder with ${MANIFEST_FILE}, a program ends in .net`)
  }
  await refuseImport(path)
  return readBundle(path, { weights: weights === undefined })
}

/** Parameters from a file, checked against the net: all that does not fit is told at once. */
export const readWeights = async (file: string, bundle: Bundle): Promise<Map<string, TensorData>> =>
  fitting(withoutWrappers(await readTensors(file), bundle), file, bundle)

/** Endings of weights by themselves: those of PyTorch are told by what is in them. */
const SAVED: readonly string[] = ['safetensors', 'pt', 'pth', 'ckpt']

/** The parameters of a file or a bundle, whatever net they are of. */
async function readTensors(file: string): Promise<Map<string, TensorData>> {
  if (await mustExist(file) === 'folder') {
    const { weights } = await readBundleFolder(file)
    if (!weights) throw new InputError(`the bundle ${file} holds no ${WEIGHTS_FILE}`)
    return new Map(weights)
  }
  if (!SAVED.includes(endingOf(file))) refuseModel(file)
  const { tensors, metadata } = readSafetensors(await readBytes(file), file)
  // A snapshot of a training has the parameters among others; damaged, it is worth as little here.
  if (metadata['format'] !== 'fusenet-snapshot') return tensors
  return new Map([...(await readSnapshot(file)).tensors].filter(([name]) => !name.startsWith(HISTORY)))
}

/** A hint where names are PyTorch's: its normalizations call gamma `weight` and beta `bias`. */
function otherNames(found: ReadonlyMap<string, TensorData>, parameters: ReadonlyMap<string, string>): string {
  const torch = [...found.keys()].find((name) =>
    name.endsWith('.weight') && !parameters.has(name) && parameters.has(name.replace(/weight$/, 'gamma'))
  )
  const layer = torch?.replace(/\.weight$/, '')
  return layer === undefined ? ''
    : `\nthese are PyTorch's names: rename ${layer}.weight to ${layer}.gamma and ${layer}.bias to ${layer}.beta, of each normalization, and leave out num_batches_tracked`
}

function fitting(found: Map<string, TensorData>, file: string, bundle: Bundle): Map<string, TensorData> {
  const wrong: string[] = []
  const parameters = new Map(bundle.manifest.parameters.map((parameter) => [parameter.name, parameter.shape.join(', ')]))
  for (const [name, shape] of parameters) {
    const tensor = found.get(name)
    if (!tensor) wrong.push(`${name} [${shape}] is missing`)
    else if (tensor.shape.join(', ') !== shape) wrong.push(`${name} is [${tensor.shape.join(', ')}], the net has [${shape}]`)
  }
  for (const [name, { shape }] of found) if (!parameters.has(name)) wrong.push(`${name} [${shape.join(', ')}] is not of this net`)
  if (wrong.length > 0)
    throw new InputError(
      `the weights of ${file} do not fit ${bundle.manifest.name}:\n  ${wrong.join('\n  ')}${otherNames(found, parameters)}${
        found.size > 0 ? '\n--partial takes what fits, and lets all else start fresh' : ''
      }`,
    )
  return found
}
