import { adapterOf, knownOf, type ScheduleCache, schedulesOf, withTuned } from '../../measure/schedule-cache.ts'
import type { Tunable, Tuned } from '../../measure/tune.ts'
import type { Device } from '../../bundle/device.ts'
import { InputError } from '../../bundle/errors.ts'
import type { Bundle } from '../../bundle/format.ts'
import { planFor } from '../../bundle/plans.ts'
import { writeBundle } from '../../runtime/loading/node/write-bundle.ts'
import { checkBundlePlace } from '../outputs.ts'
import { netOptions, readNet } from '../bundles.ts'
import { type Checked, checkSchedules } from '../check-schedules.ts'
import { compileToRun, knownTo, targetsToRun } from '../compile-to-run.ts'
import type { NetCompileOptions, NetSource } from '../net-source.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { collect, hardwareDevice, memory, positiveInteger, positiveNumber, precise, style, weights } from '../options.ts'
import { progress } from '../progress.ts'
import type { Screen } from '../screen.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import { countOf } from '../../bundle/plain.ts'
import { changeCache, defaultCache, readCache } from '../tuned.ts'
import type { Verb } from '../verb.ts'
import { quoted } from '../../bundle/quoted.ts'

/** The programs that run most; `step`, `eval` and others share most of their kernels. */
const USUAL = ['infer', 'train']

export const tune: Verb = {
  name: 'tune',
  summary: "measure ways to compute a net's kernels on this device, and keep the fastest",
  describe(command) {
    hardwareDevice(weights(precise(memory(style(command.argument('<file.net|bundle>', 'the net'))))))
      .option('-o, --output <bundle>', 'write the net compiled with what was found')
      .option('--cache <file>', 'where schedules are kept; default: fusenet/schedules.json in XDG_CACHE_HOME or ~/.cache')
      .option('--program <name>', 'whose kernels; may be repeated; default: infer and train', collect)
      .option('--batch <n>', "samples at a time; default: the file's", positiveInteger)
      .option('--minutes <m>', 'measure no longer than this', positiveNumber)
      .addHelpText(
        'after',
        `
Schedules change how fast a kernel is and never what it computes, beyond rounding: each is checked before it is timed. They are kept for
this adapter (or processor and number of threads), whatever net a kernel is of; a second run measures only what is new. --tuned on compile, run, step, train, eval and
bench uses them.

Example: fusenet tune samples/mnist.net --batch 100 && fusenet train samples/mnist.net --tuned`,
      )
  },
  async run({ args, options, screen }) {
    const file = args[0]!
    const output = options['output'] as string | undefined
    if (output !== undefined) await checkBundlePlace(output)
    const cacheFile = (options['cache'] as string | undefined) ?? defaultCache(screen)
    await readCache(cacheFile) // Refused before any work is done, if it is something else.
    // The net is compiled as if the cache were empty; wide kernels are made of the same schedules.
    const asked = await netOptions({ ...options, cache: undefined, wide: false }, screen)
    const named = options['batch'] as number | undefined
    const net = await readNet(file, { ...asked, batch: named })
    const { lowering } = net
    const compiling = {
      style: asked.style ?? lowering.style,
      memory: asked.memory ?? lowering.memory,
      precise: asked.precise ?? lowering.precise,
      freeze: lowering.freeze,
      software: asked.software,
      batch: named ?? lowering.batch,
      // Whether a step would teach anything is another's question.
      ...(named !== undefined && { allowOneValue: true }),
    }
    const wanted = options['program'] as readonly string[] | undefined
    const place = options['device'] as string
    const running = { ...compiling, targets: await targetsToRun(net, place) }
    const untuned = wanted ? await compileToRun(net, running, { programs: wanted, device: place })
      : await net.compile({ ...running, programs: knownTo(net, USUAL) })
    const programs = programsOf(untuned, wanted)
    const batch = named ?? untuned.manifest.train?.batch ?? 1
    return withDevice(deviceOf(options, file, untuned), screen, async (device) => {
      const interrupts = listenToInterrupts(screen)
      const job: Job = { net, compiling, programs, batch, device, adapter: identified(device), cacheFile, interrupted: interrupts.any }
      const found = await measure(job, options['minutes'] as number | undefined, screen)
      const checked = await checkSchedules(
        { ...job, ...found, compile: (schedules) => net.compile({ ...running, programs, schedules }), stopped: interrupts.any },
        screen,
      ).finally(interrupts.close)
      const entry = adapterOf(checked.cache, planFor(device), job.adapter)
      const schedules = entry && { [entry.target]: schedulesOf(entry) }
      if (output !== undefined) {
        await writeBundle(await net.compile({ ...compiling, schedules }), output)
        screen.print(`wrote ${output}`)
      }
      show(found, checked, cacheFile, screen)
      const isUndone = found.left > 0 || checked.unchecked.length > 0
      const end = isUndone && interrupts.any() ? 'interrupted' : found.left > 0 ? 'out of time' : isUndone ? 'undecided' : 'done'
      const goOn = `fusenet tune ${[quoted(file), ...goingOn(options)].join(' ')}`
      if (isUndone && !screen.json) screen.note(`${end}: ${sayUndone(found, checked, cacheFile)}\ngo on by: ${goOn}`)
      screen.result({
        net: untuned.manifest.name,
        device: device.name,
        adapter: job.adapter,
        batch,
        programs,
        cache: cacheFile,
        end,
        kernels: found.kernels.length,
        known: found.known,
        left: found.left,
        tuned: found.tuned,
        kept: namesOf(checked.kept),
        ...(checked.unchecked.length > 0 && { unchecked: namesOf(checked.unchecked) }),
        ...(checked.givenUp.length > 0 && { givenUp: namesOf(checked.givenUp) }),
        ...(checked.reports.length > 0 && { programTimes: checked.reports }),
        ...(output !== undefined && { bundle: output }),
        ...(isUndone && { goOn }),
      })
      return end === 'interrupted' ? EXIT.interrupted : EXIT.done
    })
  },
}

interface Job {
  readonly net: NetSource
  readonly compiling: NetCompileOptions
  readonly programs: readonly string[]
  readonly batch: number
  readonly device: Device
  readonly adapter: Readonly<Record<string, string>>
  readonly cacheFile: string
  readonly interrupted: () => boolean
}

/** Hears Ctrl-C until it is closed; the second ends the process. */
function listenToInterrupts(screen: Screen): { readonly any: () => boolean; readonly close: () => void } {
  let count = 0
  const close = screen.terminal.onInterrupt(() => {
    if (++count > 1) process.exit(EXIT.interrupted)
  })
  return { any: () => count > 0, close }
}

function programsOf({ manifest }: Bundle, wanted: readonly string[] | undefined): readonly string[] {
  const has = [...new Set(Object.values(manifest.plans).flatMap((plan) => Object.keys(plan.programs)))]
  for (const name of wanted ?? []) {
    if (!has.includes(name))
      throw new InputError(`${manifest.name} has no program ${name}${didYouMean(name, has)} (it has ${has.join(', ')})`)
  }
  return wanted ?? USUAL.filter((name) => has.includes(name))
}

/** The identity of a device by which schedules are kept. */
function identified({ description, identity }: Device): Readonly<Record<string, string>> {
  if (!identity) throw new InputError(`${description} does not say what it is, so nothing can be kept about it`)
  return identity
}

interface Found {
  readonly cache: ScheduleCache
  /** The kernels that can be tuned. `known` were tuned before, `left` were not measured. */
  readonly kernels: readonly Tunable[]
  readonly known: number
  readonly left: number
  readonly tuned: readonly Tuned[]
}

/** Kernel after kernel, the largest first; what is found is kept at once. */
async function measure(
  { net, compiling, programs, batch, device, adapter, cacheFile, interrupted }: Job,
  minutes: number | undefined,
  screen: Screen,
): Promise<Found> {
  const { tunables, tuneKernel } = await import('../../measure/tune.ts')
  const until = minutes === undefined ? Infinity : performance.now() + 60_000 * minutes
  const options = {
    device,
    batch,
    programs,
    stopped: () => interrupted() || performance.now() > until,
    onCandidate: () => bar.update(++done, done, name),
  }
  const { kernels, context } = tunables(net.main, options, { ...compiling, readImport: net.readImport })
  let cache = await readCache(cacheFile)
  const isKnown = (kernel: Tunable): boolean => knownOf(cache, planFor(device), adapter, kernel, batch) !== undefined
  const fresh = kernels.filter((kernel) => !isKnown(kernel))
  screen.note(
    `${net.main.file} at batch ${batch} on ${device.description}: ${kernels.length} kernels can be computed in several ways, ${
      kernels.length - fresh.length
    } are known`,
  )
  const bar = progress(screen, 'tune', fresh.reduce((sum, kernel) => sum + kernel.candidates.length - 1, 0), 'candidates')
  const tuned: Tuned[] = []
  let done = 0
  let name = ''
  try {
    for (const kernel of fresh) {
      if (options.stopped()) break
      name = kernel.name
      const found = await tuneKernel(kernel, context, options)
      if (!found) break
      tuned.push(found)
      cache = await changeCache(cacheFile, (before) => withTuned(before, planFor(device), adapter, kernel, found, batch))
      if (found.ms < found.defaultMs) bar.line(`${kernel.name}: ${showMs(found.defaultMs)} -> ${showMs(found.ms)} ms`)
      for (const note of found.notes) bar.line(`${kernel.name}: passed over ${note}`)
    }
  } finally {
    bar.stop()
  }
  return { cache, kernels, known: kernels.length - fresh.length, left: fresh.length - tuned.length, tuned }
}

const namesOf = (kernels: readonly Tunable[]): string[] => kernels.map(({ name }) => name)

/** What a run that did not end leaves to the next one. */
function sayUndone({ left, kernels }: Found, { unchecked, reports }: Checked, cacheFile: string): string {
  const schedules = countOf(unchecked.length, 'schedule')
  const waiting = reports.length > 0
    ? `turns of the whole net do not agree on ${schedules}, which are not used before they do: the machine is busy with something else`
    : `${schedules} not yet compared in the whole net, and not used before that`
  return [
    ...(left > 0 ? [`${left} of ${kernels.length} kernels are left, ${cacheFile} keeps the others`] : []),
    ...(unchecked.length > 0 ? [waiting] : []),
  ].join('; ')
}

function show({ tuned, kernels, known }: Found, { reports, givenUp, kept, unchecked }: Checked, cacheFile: string, screen: Screen): void {
  if (tuned.length > 0) {
    screen.table(
      ['kernel', 'ways', 'ms by itself', 'ms tuned', 'ratio', 'schedule'],
      tuned.map((t) => [
        t.name,
        t.measured,
        showMs(t.defaultMs),
        showMs(t.ms),
        (t.ms / t.defaultMs).toFixed(2),
        t.ms < t.defaultMs ? JSON.stringify(t.schedule) : '',
      ]),
      [1, 2, 3, 4],
    )
  }
  if (reports.length > 0) showPrograms(reports, screen)
  if (givenUp.length > 0) screen.print(`not kept, since the whole is no faster by them: ${namesOf(givenUp).join(', ')}`)
  if (known > 0 && known === kernels.length && reports.length === 0) screen.print('nothing is measured: all was known')
  if (unchecked.length > 0) return
  screen.print(
    kept.length > 0 ? `by schedules of ${cacheFile}: ${namesOf(kept).join(', ')}`
      : `no schedule is kept: none is faster than the compiler's own choice`,
  )
}

function showPrograms(reports: Checked['reports'], screen: Screen): void {
  screen.table(
    ['program', 'ms before', 'ms tuned', 'ratio', 'difference'],
    reports.flatMap(({ program, contestants: [before, after] }) => (before && after ? [[
      program,
      showMs(before.minimumMs),
      showMs(after.minimumMs),
      after.ratioOfMinima.toFixed(2),
      after.difference!.worst.toExponential(1),
    ]] : [])),
    [1, 2, 3, 4],
  )
}

const showMs = (ms: number): string => ms.toFixed(ms < 10 ? 3 : 1)

/** The same command again. */
function goingOn(options: Readonly<Record<string, unknown>>): string[] {
  const named = ['cache', 'batch', 'threads', 'style', 'memory', 'weights', 'minutes', 'output'].filter((name) =>
    options[name] !== undefined
  ).map((
    name,
  ) => `--${name} ${quoted(String(options[name]))}`)
  const device = options['device'] === 'auto' ? [] : [`--device ${String(options['device'])}`]
  return [
    ...named,
    ...(options['precise'] ? ['--precise'] : []),
    ...device,
    ...((options['program'] as readonly string[] | undefined) ?? []).map((name) => `--program ${name}`),
  ]
}
