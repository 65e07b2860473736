import { join } from 'node:path'
import { Option } from 'commander'
import { bundleFiles, MANIFEST_FILE, WEIGHTS_FILE } from '../../runtime/loading/files.ts'
import { type Bundle, PROGRAMS } from '../../bundle/format.ts'
import { HALF_PLAN, WASM } from '../../bundle/plans.ts'
import { missingProgram } from '../../bundle/programs.ts'
import type { WeightsMatch } from '../../runtime/match-weights.ts'
import { InputError } from '../../bundle/errors.ts'
import type { StoredManifest } from '../../bundle/stored.ts'
import { writeBundle } from '../../runtime/loading/node/write-bundle.ts'
import { checkBundlePlace } from '../outputs.ts'
import { loadBundle, netOptions } from '../bundles.ts'
import { EXIT, UsageError } from '../exit.ts'
import { kindOf } from '../files.ts'
import { matchReport } from '../match-table.ts'
import { checkModule, writeModule } from '../module.ts'
import { freeze, FRESH, memory, names, partial, positiveInteger, precise, storage, style, tuned, weights } from '../options.ts'
import { type Screen, showBytes } from '../screen.ts'
import { readFrom } from '../tensors.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import type { Verb } from '../verb.ts'
import { countOf } from '../../bundle/plain.ts'
import { quoted } from '../../bundle/quoted.ts'

export const compile: Verb = {
  name: 'compile',
  summary: 'compile a .net file to a bundle',
  describe(command) {
    freeze(storage(precise(tuned(partial(weights(memory(style(
      command.argument('<file.net>', 'a program, or a bundle to compile again')
        .requiredOption('-o, --output <path>', 'the folder of the bundle; with --format esm a .js file'),
    ))))))))
      .option(
        '--programs <list>',
        'only these: infer, eval, step, train, gradients, infer/batch, train/global, ...; default stands for the usual ones (default,step/global)',
        names,
      )
      .option('--batch <n>', "samples that an update takes, for which kernels are chosen; default: the file's", positiveInteger)
      .option('--targets <list>', 'only for these: webgpu, wasm, webgpu-f16, webgpu-software (default: webgpu,wasm)', names)
      .option(
        '--wide',
        'with modules for vectors of twice the width on the CPU, which Node has from 24 on (x86-64 with AVX2); others do not read them',
      )
      .option('--weights-beside', 'with --format esm: the weights are a file beside the module, which it fetches')
      .option('--no-worker', 'with --format esm: without the script that open({ worker: true }) runs in a worker, 130 KB')
      .addOption(
        new Option('--format <format>', 'a folder of files, or one ES module with everything in it').choices(['folder', 'esm']).default(
          'folder',
        ),
      )
  },
  async run({ args, options, screen }) {
    const output = options['output'] as string
    const asModule = options['format'] === 'esm'
    const weightsBeside = options['weightsBeside'] === true
    if (weightsBeside && !asModule) throw new UsageError('--weights-beside is for --format esm: in a folder they are a file of their own')
    if (options['worker'] === false && !asModule) throw new UsageError('--no-worker is for --format esm: a folder holds no script')
    const programs = await knownNames('program', options['programs'] as readonly string[] | undefined)
    const listed = await knownNames('target', options['targets'] as readonly string[] | undefined)
    const targets = listed && [...new Set([...listed, ...(options['storage'] === 'f16' ? [HALF_PLAN] : [])])]
    if (options['wide'] === true && targets && !targets.includes(WASM))
      throw new UsageError(`--wide is for ${WASM}, which --targets ${targets.join(',')} leaves out`)
    await (asModule ? checkModule(output, readFrom(args[0]!, options, []), weightsBeside) : checkBundlePlace(output))
    // A bundle is compiled again for wide modules too.
    const only = (programs || targets || options['wide'] === true) &&
      { only: { ...(programs && { programs }), ...(targets && { targets }) } }
    const net = await netOptions(options, screen)
    let match: WeightsMatch | undefined
    const partial = net.partial && {
      ...net.partial,
      told: (found: WeightsMatch, from: string): void => {
        net.partial!.told(match = found, from)
      },
    }
    const batch = options['batch'] as number | undefined
    const bundle = await loadBundle(args[0]!, { ...net, partial, ...only, ...(batch !== undefined && { batch }), older: true })
    refuseAbsent(bundle, programs)
    sayIdle(options, bundle, screen)
    if (!asModule && options['weights'] === undefined) await refuseLoss(output, bundle)
    const written = asModule ? await writeModule(output, bundle, { weightsBeside, worker: options['worker'] !== false })
      : await writeFolder(output, bundle)
    const { manifest } = bundle
    const kernels = Object.values(manifest.plans).reduce((sum, plan) => sum + plan.kernels.length, 0)
    const held = PROGRAMS.filter((name) => Object.values(manifest.plans).some((plan) => plan.programs[name]))
    const [first] = Object.values(manifest.plans)
    const dispatches = Object.fromEntries(held.map((name) => [name, first?.programs[name]?.dispatches.length ?? 0]))
    screen.print(
      `${output}: ${manifest.name}, ${manifest.style}${manifest.memory ? `, memory ${manifest.memory}` : ''}, ${
        countOf(kernels, 'kernel')
      }, ${showBytes(written.bytes)}${bundle.weights ? ' with weights' : ', without weights'}`,
    )
    screen.table(['program', 'dispatches'], Object.entries(dispatches), [1])
    const fetched = 'stored' in written ? fetchedFor(written.stored, written.manifestBytes) : []
    if (fetched.length > 0) showFetched(fetched, screen)
    screen.result({
      output,
      name: manifest.name,
      style: manifest.style,
      memory: manifest.memory ?? 'fast',
      kernels,
      programs: dispatches,
      targets: Object.keys(manifest.plans),
      weights: bundle.weights !== undefined,
      ...(net.tuned && { schedules: net.tuned.uses }),
      ...(match && { match: matchReport(match) }),
      files: written.files,
      bytes: written.bytes,
      ...(fetched.length > 0 && { fetched }),
    })
    return EXIT.done
  },
}

/** Refuses what is none, before anything is compiled. */
async function knownNames(what: 'program' | 'target', asked: readonly string[] | undefined): Promise<readonly string[] | undefined> {
  if (!asked) return undefined
  const { PROGRAM_NAMES, TARGET_NAMES } = await import('../../compiler/index.ts')
  const known = (what === 'program' ? PROGRAM_NAMES : TARGET_NAMES).filter((name) => name !== 'prepare')
  for (const name of asked)
    if (!known.includes(name)) throw new UsageError(`there is no ${what} ${name}${didYouMean(name, known)} (there are ${known.join(', ')})`)
  return asked
}

/** Throws where a program that was asked for by name is absent: the page that is written for it would fail. */
function refuseAbsent({ manifest }: Bundle, asked: readonly string[] = []): void {
  const held = [...new Set(Object.values(manifest.plans).flatMap((plan) => Object.keys(plan.programs)))]
  for (const name of asked) {
    if (name === 'default' || held.includes(name) || (name.endsWith('/global') && held.includes(name.replace('/global', '')))) continue
    if (name === 'accumulate')
      throw new InputError(`${manifest.name} has no program accumulate: its train block adds up no batches (accumulate: 2)`)
    if (name.endsWith('/batch') && manifest.normalizations?.length === 0)
      throw new InputError(`${manifest.name} has no program ${name}: it normalizes nothing, so that is ${name.replace('/batch', '')}`)
    throw new InputError(missingProgram(manifest, name, held, 'f32'))
  }
}

/** Tells which options change nothing of what is compiled. */
function sayIdle(options: Readonly<Record<string, unknown>>, { manifest }: Bundle, screen: Screen): void {
  const of = (...names: readonly string[]): string =>
    names.filter((name) => options[name] !== undefined).map((name) => `--${name}`).join(', ')
  const training = manifest.train ? '' : of('memory', 'batch', 'freeze')
  if (screen.json) return
  if (training) screen.note(`${training}: nothing changes by it, ${manifest.name} has no loss and is not trained`)
  if (options['precise'] === true && !manifest.plans[WASM])
    screen.note(`--precise: nothing changes by it, Winograd's algorithm is used for ${WASM} alone`)
}

/** Throws InputError where trained weights would go with the bundle that is replaced, and nobody said so. */
async function refuseLoss(output: string, { weights }: Bundle): Promise<void> {
  if (weights || await kindOf(join(output, WEIGHTS_FILE)) === undefined) return
  throw new InputError(
    `${output} holds weights, and what is compiled now has none: --weights ${
      quoted(output)
    } takes them along, --weights ${FRESH} leaves them out`,
  )
}

interface Written {
  readonly files: string[]
  readonly bytes: number
  readonly stored: StoredManifest
  readonly manifestBytes: number
}

async function writeFolder(output: string, bundle: Bundle): Promise<Written> {
  await writeBundle(bundle, output)
  const files = await bundleFiles(bundle)
  const manifest = files.get(MANIFEST_FILE)!
  const stored = JSON.parse(new TextDecoder().decode(manifest)) as StoredManifest
  return {
    files: [...files.keys()],
    bytes: [...files.values()].reduce((sum, data) => sum + data.length, 0),
    stored,
    manifestBytes: manifest.length,
  }
}

/** The files that a page fetches for some programs on a target, besides the weights. */
interface Fetched {
  readonly target: string
  readonly programs: readonly string[]
  readonly files: number
  readonly bytes: number
}

function fetchedFor(stored: StoredManifest, manifestBytes: number): Fetched[] {
  return Object.entries(stored.plans).flatMap(([target, { parts }]) =>
    parts.map((_, i): Fetched => {
      const upTo = parts.slice(0, i + 1)
      const names = upTo.flatMap(({ plan, kernels = [], module }) => [plan, ...kernels, ...(module ? [module.file] : [])])
      return {
        target,
        programs: upTo.flatMap((each) => each.programs).filter((name) => name !== 'prepare'),
        files: 1 + names.length,
        bytes: names.reduce((sum, name) => sum + stored.files[name]!.bytes, manifestBytes),
      }
    })
  )
}

function showFetched(fetched: readonly Fetched[], screen: Screen): void {
  screen.print('\na page fetches, beside the weights:')
  screen.table(
    ['on', 'to run', 'files', 'bytes'],
    fetched.map((
      { target, programs, files, bytes },
    ) => [target, programs.length > 4 ? 'all' : programs.join(', '), files, showBytes(bytes)]),
    [2, 3],
  )
}
