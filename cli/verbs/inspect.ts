import { join } from 'node:path'
import { Option } from 'commander'
import type { CompileOptions } from '../../compiler/compile-options.ts'
import { inspectManifest, type InspectReport, type ProgramReport } from '../../compiler/report.ts'
import { InputError } from '../../bundle/errors.ts'
import type { Bundle, Memory, ProgramName, Style } from '../../bundle/format.ts'
import { halfPlanFor, PLAN_KINDS, WEBGPU } from '../../bundle/plans.ts'
import { carriedSources, otherLowering, readBundleFolder } from '../bundles.ts'
import { type Lowering, sayAbsent } from '../absent-pass.ts'
import { compileOnce } from '../compile-once.ts'
import { EXIT, UsageError } from '../exit.ts'
import { MANIFEST_FILE } from '../../runtime/loading/files.ts'
import { replaceFile, tryFolder } from '../../runtime/loading/node/files.ts'
import { kindOf } from '../files.ts'
import { collect, freeze, FRESH, memory, positiveInteger, storage, style, precise } from '../options.ts'
import { printPlan } from '../print-plan.ts'
import { type Screen, showBytes, showCount, showFlops } from '../screen.ts'
import { carriedSchedules } from '../tuned.ts'
import { readImport, readSource } from '../source.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import type { Verb } from '../verb.ts'
import { countOf } from '../../bundle/plain.ts'

/** Plans by what they run on; how they store values is another option. */
const SHOWN_PLANS = PLAN_KINDS.filter(({ storage }) => storage === 'f32').map(({ name }) => name)

export const inspect: Verb = {
  name: 'inspect',
  summary: 'show kernels, what is fused into each and why not more, FLOPs, bytes moved, peak memory',
  describe(command) {
    freeze(storage(precise(memory(style(command.argument('<file.net|bundle>', 'the net'))))))
      .option('--batch <n>', 'FLOPs, bytes and memory for so many samples (default: 1)', positiveInteger)
      .addOption(new Option('--device <device>', 'whose kernels').choices(SHOWN_PLANS).default(WEBGPU))
      .option('--program <name>', 'only this one (infer, train, ...); may be repeated', collect)
      .addOption(
        new Option(
          '--print <what>',
          "the compiler's own view instead: layers, loops after fusion, kernels before they are a text, or the plan with its memory",
        ).choices([
          'graph',
          'loops',
          'kernels',
          'plan',
        ]),
      )
      .option('--after <pass>', 'print what a pass over layers or kernels leaves: its name, or all')
      .option('--without <pass>', 'leave out a pass (fuse: all passes over kernels); may be repeated', collect)
      .option('--emit-dir <dir>', 'write what every pass leaves to numbered files')
  },
  async run({ args, options, screen }) {
    const file = args[0]!
    const wanted = options['program'] as readonly string[] | undefined
    const without = options['without'] as readonly string[] | undefined
    const batch = (options['batch'] as number | undefined) ?? 1
    const steps: Step[] = []
    refuseTogether(options)
    const folder = options['emitDir'] as string | undefined
    if (folder !== undefined) await checkFolder(folder)
    const seesCompiler = ['print', 'after', 'emitDir'].some((name) => options[name] !== undefined)
    const half = options['storage'] === 'f16'
    const device = options['device'] as string
    const target = half ? halfPlanFor(device) : device
    if (target === undefined) throw new UsageError('--storage f16 is for WebGPU: leave out --device')
    const compiling: CompileOptions = {
      targets: [target],
      style: options['style'] as Style | undefined,
      memory: options['memory'] as Memory | undefined,
      ...(options['precise'] === true && { precise: true }),
      freeze: options['freeze'] as readonly string[] | undefined,
      ...(!seesCompiler && { estimates: true }),
      ...(seesCompiler && {
        watch: (program, name, text) => {
          if (!wanted || wanted.includes(program)) steps.push({ program, name, text })
        },
      }),
    }
    if (without) {
      const { REMOVABLE, REQUIRED, sayRequired } = await import('../../compiler/pipeline.ts')
      const kept = without.find((name) => REQUIRED.includes(name))
      if (kept !== undefined) throw new UsageError(`${sayRequired(kept)} (these may be: ${REMOVABLE.join(', ')})`)
      refuseUnknown(without, REMOVABLE)
      Object.assign(compiling, { without })
    }
    const bundle = await load(file, compiling, screen)
    const plan = bundle.manifest.plans[target]
    if (!plan)
      throw new InputError(
        `${bundle.manifest.name} was compiled without kernels for ${target}: compile it again${half ? ' with --storage f16' : ''}`,
      )
    const { programs } = plan
    for (const name of wanted ?? []) {
      if (!Object.hasOwn(programs, name))
        throw new InputError(
          `${bundle.manifest.name} has no program ${name}${didYouMean(name, Object.keys(programs))} (it has ${
            Object.keys(programs).join(', ')
          })`,
        )
    }
    if (folder !== undefined) return emit(folder, bundle, target, steps, screen)
    if (options['after'] !== undefined) {
      const { STEP_NAMES } = await import('../../compiler/pipeline.ts')
      const { style, memory = 'fast' } = bundle.manifest
      const lowering = {
        style,
        memory,
        target,
        without: without ?? [],
        programs: Object.keys(programs) as ProgramName[],
        shown: wanted ?? [],
      }
      return printAfter(options['after'] as string, steps, { known: STEP_NAMES, lowering }, screen)
    }
    if (options['print'] === 'plan')
      return printTexts(
        (wanted ?? Object.keys(programs)).map((program) => ({
          program,
          name: 'plan',
          text: () => printPlan(bundle.manifest, target, program, batch),
        })),
        screen,
      )
    if (options['print'] !== undefined) {
      const { GENERATE, KERNEL_STEPS } = await import('../../compiler/pipeline.ts')
      const viewOf = (name: string): string => (name === GENERATE ? 'kernels' : KERNEL_STEPS.includes(name) ? 'loops' : 'graph')
      return printTexts(lastOf(steps.filter((step) => viewOf(step.name) === options['print'])), screen)
    }

    const whole = inspectManifest(bundle.manifest, target, batch)
    const report = wanted ? { ...whole, programs: Object.fromEntries(wanted.map((name) => [name, whole.programs[name]!])) } : whole
    show(report, screen)
    screen.result(report)
    return EXIT.done
  },
}

interface Step {
  readonly program: string
  readonly name: string
  /** Made when it is asked for: the text of a large graph is not free. */
  readonly text: () => string
}

/** One view at a time; --batch is of those that have amounts. */
function refuseTogether(options: Readonly<Record<string, unknown>>): void {
  const [view, other] = (['print', 'after', 'emitDir'] as const).filter((name) => options[name] !== undefined).map((name) =>
    name === 'emitDir' ? '--emit-dir' : name === 'print' ? `--print ${String(options['print'])}` : '--after'
  )
  if (other !== undefined) throw new UsageError(`${view} and ${other} are two views: leave out one of them`)
  if (options['batch'] !== undefined && view !== undefined && view !== '--print plan')
    throw new UsageError(`--batch says nothing of what ${view} shows: leave it out`)
}

/** A .net file is compiled; a bundle is read, and compiled from the text it carries where that is needed. */
async function load(path: string, options: CompileOptions, screen: Screen): Promise<Bundle> {
  if (path.endsWith('.net')) return compileOnce(await readSource(path), { ...options, readImport })
  // What it weighs is not asked.
  const bundle = await readBundleFolder(path, FRESH)
  const lowering = otherLowering(bundle, options)
  if (!options.watch && !options.without && !lowering && hasFacts(bundle)) return bundle
  const { main, readImport: carried } = carriedSources(bundle)
  const { style, memory, precise, freeze } = bundle.manifest
  return compileOnce(main, {
    ...options,
    ...(lowering ?? { style, memory, precise, freeze }),
    ...carriedSchedules(bundle.manifest, path, false, screen),
    readImport: carried,
  })
}

/** Whether a bundle has FLOPs, bytes and reasons. A bundle that a page saved, after it fetched only what it ran, has none. */
const hasFacts = ({ manifest }: Bundle): boolean =>
  Object.values(manifest.plans).every((plan) => Object.values(plan.programs).every(({ dispatches }) => dispatches.every((d) => d.facts)))

function refuseUnknown(names: readonly string[], known: readonly string[]): void {
  for (const name of names)
    if (!known.includes(name)) throw new UsageError(`there is no pass ${name}${didYouMean(name, known)} (there are ${known.join(', ')})`)
}

/** The last of some steps of each program. */
function lastOf(steps: readonly Step[]): Step[] {
  const last = new Map<string, Step>()
  for (const step of steps.toReversed()) {
    const seen = last.get(step.program)
    // A step that changed nothing says so instead of printing what it saw: the one before has it.
    if (!seen || isUnchanged(seen)) last.set(step.program, step)
  }
  return [...last.values()].reverse()
}

const isUnchanged = (step: Step): boolean => step.text().trim() === 'unchanged'

async function printAfter(
  name: string,
  steps: readonly Step[],
  { known, lowering }: { readonly known: readonly string[]; readonly lowering: Lowering },
  screen: Screen,
): Promise<number> {
  if (name !== 'all') {
    refuseUnknown([name], known)
    if (!steps.some((step) => step.name === name)) throw new UsageError(await sayAbsent(name, lowering))
  }
  return printTexts(steps.filter((step) => name === 'all' || step.name === name), screen)
}

function printTexts(steps: readonly Step[], screen: Screen): number {
  const made = steps.map(({ program, name, text }) => ({ program, name, text: text() }))
  for (const { program, name, text } of made) screen.print(`${screen.colors.bold(`# ${program} after ${name}`)}\n${text.trimEnd()}\n`)
  screen.result({ steps: made })
  return EXIT.done
}

/** Numbered files go beside others, but not into a bundle, whose kernels they would replace. */
async function checkFolder(folder: string): Promise<void> {
  if (await kindOf(folder) === 'file') throw new InputError(`${folder} is a file; --emit-dir names a folder`)
  if (await kindOf(join(folder, MANIFEST_FILE)) !== undefined)
    throw new InputError(`${folder} is a bundle: name another folder by --emit-dir`)
  await tryFolder(folder)
}

/** `infer/03-fold-batch-norm.txt`, what every step left, and the kernels. */
async function emit(folder: string, bundle: Bundle, target: string, steps: readonly Step[], screen: Screen): Promise<number> {
  const files: string[] = []
  const write = async (name: string, data: string | Uint8Array): Promise<void> => {
    files.push(join(folder, name))
    await replaceFile(join(folder, name), data)
  }
  for (const program of new Set(steps.map((step) => step.program))) {
    const mine = steps.filter((step) => step.program === program)
    const all = [...mine, { program, name: 'plan', text: () => printPlan(bundle.manifest, target, program, 1) }]
    for (const [i, { name, text }] of all.entries())
      await write(join(program.replace('/', '-'), `${String(i + 1).padStart(2, '0')}-${name}.txt`), text())
  }
  for (const [name, data] of bundle.files) await write(name, data)
  screen.print(`wrote ${countOf(files.length, 'file')} to ${folder}`)
  screen.result({ files })
  return EXIT.done
}

function show(report: InspectReport, screen: Screen): void {
  const { bold, dim } = screen.colors
  screen.print(
    `${bold(report.name)} (${report.style}${report.memory === 'fast' ? '' : `, memory ${report.memory}`}), batch ${report.batch}${
      report.threadBytes === undefined ? '' : `; ${showBytes(report.threadBytes)} for each thread beside the peaks`
    }`,
  )
  for (const [name, program] of Object.entries(report.programs)) {
    screen.print(
      `\n${bold(name)}: ${countOf(program.kernels.length, 'kernel')}, ${showFlops(program.flops)}${
        program.flopsAgain > 0 ? ` (${showCount(program.flopsAgain)} of them again)` : ''
      }, ${showBytes(program.bytesRead)} read, ${showBytes(program.bytesWritten)} written, peak ${showBytes(program.peakBytes)}, of which ${
        showBytes(program.lastingBytes)
      } outlive the program`,
    )
    screen.print(dim(boundOf(program)))
    screen.table(
      ['kernel', 'layers', 'FLOP', 'read', 'written'],
      program.kernels.map((kernel) => [
        kernel.name,
        kernel.layers.join(' + '),
        showCount(kernel.flops),
        showBytes(kernel.bytesRead),
        showBytes(kernel.bytesWritten),
      ]),
      [2, 3, 4],
    )
    const ways = program.kernels.flatMap((kernel) => (kernel.how === undefined ? [] : [`  ${kernel.name}: ${kernel.how}`]))
    if (ways.length > 0) screen.print(dim(['how the work is done:', ...ways].join('\n')))
    const reasons = program.kernels.flatMap((kernel) => kernel.why.map((why) => `  ${kernel.name}: ${why}`))
    if (reasons.length > 0) screen.print(dim(['what was fused, and why not more:', ...reasons].join('\n')))
  }
}

const boundOf = ({ lowerBound: bound }: ProgramReport): string =>
  `no plan could go below ${showFlops(bound.flops)}, ${showBytes(bound.bytesRead)} read, ${showBytes(bound.bytesWritten)} written, ${
    showBytes(bound.peakBytes)
  } at once`
