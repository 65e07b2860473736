import type { ProgramBench } from '../../measure/bench.ts'
import { adapterOf, knownOf, type ScheduleCache, schedulesOf, withoutSchedules, withTuned } from '../../measure/schedule-cache.ts'
import { givenUp } from '../../measure/verdict.ts'
import type { Tunable, Tuned } from '../../measure/tune.ts'
import type { Device } from '../../bundle/device.ts'
import { InputError } from '../../bundle/errors.ts'
import type { Bundle } from '../../bundle/format.ts'
import { planFor } from '../../bundle/plans.ts'
import { writeBundle } from '../../runtime/loading/node/write-bundle.ts'
import { checkBundlePlace } from '../outputs.ts'
import { netOptions, readNet } from '../bundles.ts'
import { compileToRun, knownTo, targetsToRun } from '../compile-to-run.ts'
import type { Lowering, NetSource } from '../net-source.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { collect, hardwareDevice, memory, positiveInteger, positiveNumber, precise, style, weights } from '../options.ts'
import { progress } from '../progress.ts'
import type { Screen } from '../screen.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import { changeCache, defaultCache, readCache } from '../tuned.ts'
import type { Verb } from '../verb.ts'

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
    // As it is compiled by itself, whatever the cache holds; wide kernels are made of the same schedules.
    const asked = await netOptions({ ...options, cache: undefined, wide: false }, screen)
    const net = await readNet(file, asked)
    const { lowering } = net
    const compiling = {
      style: asked.style ?? lowering.style,
      memory: asked.memory ?? lowering.memory,
      precise: asked.precise ?? lowering.precise,
      freeze: lowering.freeze,
      software: asked.software,
    }
    const wanted = options['program'] as readonly string[] | undefined
    const place = options['device'] as string
    const running = { ...compiling, targets: await targetsToRun(net, place) }
    const untuned = wanted ? await compileToRun(net, running, { programs: wanted, device: place })
      : await net.compile({ ...running, programs: knownTo(net, USUAL) })
    const programs = programsOf(untuned, wanted)
    const batch = (options['batch'] as number | undefined) ?? untuned.manifest.train?.batch ?? 1
    return withDevice(deviceOf(options, file, untuned), screen, async (device) => {
      const job: Job = { net, untuned, compiling, programs, batch, device, adapter: identified(device), cacheFile }
      const found = await measure(job, options['minutes'] as number | undefined, screen)
      const plan = planFor(device)
      const schedulesIn = (cache: ScheduleCache) => {
        const entry = adapterOf(cache, plan, job.adapter)
        return entry && { [plan]: schedulesOf(entry) }
      }
      const tuned = await net.compile({ ...running, programs, schedules: schedulesIn(found.cache) })
      const reports = found.end === 'interrupted' || isSame(untuned, tuned) ? [] : await compare(job, tuned, screen)
      const given = givenUp(found.changed, reports)
      const cache = given.length > 0
        ? await changeCache(cacheFile, (before) => withoutSchedules(before, plan, job.adapter, given.map(({ key }) => key)))
        : found.cache
      const schedules = schedulesIn(cache)
      if (output !== undefined) {
        await writeBundle(await net.compile({ ...compiling, schedules }), output)
        screen.print(`wrote ${output}`)
      }
      show(found, reports, given, screen)
      const goOn = `fusenet tune ${[file, ...goingOn(options)].join(' ')}`
      if (found.left > 0 && !screen.json)
        screen.note(`${found.end}: ${found.left} of ${found.kernels} kernels are left, ${cacheFile} keeps the others\ngo on by: ${goOn}`)
      screen.result({
        net: untuned.manifest.name,
        device: device.name,
        adapter: job.adapter,
        batch,
        programs,
        cache: cacheFile,
        end: found.end,
        kernels: found.kernels,
        known: found.known,
        left: found.left,
        tuned: found.tuned,
        ...(given.length > 0 && { givenUp: given.map(({ name }) => name) }),
        ...(reports.length > 0 && { programTimes: reports }),
        ...(output !== undefined && { bundle: output }),
        ...(found.left > 0 && { goOn }),
      })
      return found.end === 'interrupted' ? EXIT.interrupted : EXIT.done
    })
  },
}

interface Job {
  readonly net: NetSource
  readonly untuned: Bundle
  readonly compiling: Lowering
  readonly programs: readonly string[]
  readonly batch: number
  readonly device: Device
  readonly adapter: Readonly<Record<string, string>>
  readonly cacheFile: string
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
  readonly end: 'done' | 'interrupted' | 'out of time'
  /** The number of kernels that can be tuned. `known` were tuned before, `left` were not measured. */
  readonly kernels: number
  readonly known: number
  readonly left: number
  readonly tuned: readonly Tuned[]
  /** The kernels of the net for which the cache has another schedule than the compiler's own, found now or before. */
  readonly changed: readonly Tunable[]
}

/** Kernel after kernel, the largest first; what is found is kept at once. */
async function measure(
  { net, compiling, programs, batch, device, adapter, cacheFile }: Job,
  minutes: number | undefined,
  screen: Screen,
): Promise<Found> {
  const { tunables, tuneKernel } = await import('../../measure/tune.ts')
  let interrupts = 0
  const unlisten = screen.terminal.onInterrupt(() => {
    if (++interrupts > 1) process.exit(EXIT.interrupted)
  })
  const until = minutes === undefined ? Infinity : performance.now() + 60_000 * minutes
  const options = {
    device,
    batch,
    programs,
    stopped: () => interrupts > 0 || performance.now() > until,
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
    unlisten()
  }
  const left = fresh.length - tuned.length
  const schedules = schedulesOf(adapterOf(cache, planFor(device), adapter) ?? { target: '', adapter: {}, kernels: {} })
  return {
    cache,
    changed: kernels.filter(({ key }) => Object.hasOwn(schedules, key)),
    kernels: kernels.length,
    known: kernels.length - fresh.length,
    left,
    tuned,
    end: interrupts > 0 ? 'interrupted' : left > 0 ? 'out of time' : 'done',
  }
}

/** Whether the compiler's own choice was the fastest everywhere. */
const isSame = (a: Bundle, b: Bundle): boolean =>
  JSON.stringify(a.manifest.plans) === JSON.stringify(b.manifest.plans) &&
  [...a.files].every(([file, data]) => String(b.files.get(file)) === String(data))

/** Turns of whole programs. */
const ROUNDS = 13

/** Whole programs with and without: kernels were measured alone, and what counts is the net. */
async function compare({ untuned, programs, batch, device }: Job, tuned: Bundle, screen: Screen): Promise<readonly ProgramBench[]> {
  const { bench } = await import('../../measure/bench.ts')
  const measured = (['infer', 'train'] as const).filter((program) => programs.includes(program))
  const bar = progress(screen, 'compare', 2 * ROUNDS * measured.length, 'measurements')
  let done = 0
  try {
    return await bench([{ name: 'by itself', bundle: untuned, sameNet: true }, { name: 'tuned', bundle: tuned, sameNet: true }], {
      device,
      batch,
      programs: measured,
      rounds: ROUNDS,
      onMeasured: (program, who) => bar.update(++done, done, `${program} ${who}`),
    })
  } finally {
    bar.stop()
  }
}

function show({ tuned }: Found, reports: readonly ProgramBench[], given: readonly Tunable[], screen: Screen): void {
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
  if (reports.length === 0) return
  screen.table(
    ['program', 'ms by itself', 'ms tuned', 'ratio', 'difference'],
    reports.flatMap(({ program, contestants: [before, after] }) => (before && after ? [[
      program,
      showMs(before.minimumMs),
      showMs(after.minimumMs),
      after.ratioOfMinima.toFixed(2),
      after.difference!.worst.toExponential(1),
    ]] : [])),
    [1, 2, 3, 4],
  )
  if (given.length > 0)
    screen.print(`not kept, since the whole is no faster by them: ${given.map(({ name }) => name).join(', ')}`)
}

const showMs = (ms: number): string => ms.toFixed(ms < 10 ? 3 : 1)

/** The same command again. */
function goingOn(options: Readonly<Record<string, unknown>>): string[] {
  const named = ['cache', 'batch', 'threads', 'style', 'memory', 'weights', 'minutes', 'output'].filter((name) =>
    options[name] !== undefined
  ).map((
    name,
  ) => `--${name} ${String(options[name])}`)
  const device = options['device'] === 'auto' ? [] : [`--device ${String(options['device'])}`]
  return [
    ...named,
    ...(options['precise'] ? ['--precise'] : []),
    ...device,
    ...((options['program'] as readonly string[] | undefined) ?? []).map((name) => `--program ${name}`),
  ]
}
