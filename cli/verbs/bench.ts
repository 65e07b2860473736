import { InvalidArgumentError, Option } from 'commander'
import type { BenchProgram, ContestantReport, Peer, ProgramBench, Variant } from '../../measure/bench.ts'
import type { CompileOptions } from '../../compiler/compile-options.ts'
import { InputError } from '../../bundle/errors.ts'
import type { Device } from '../../bundle/device.ts'
import type { Bundle } from '../../bundle/format.ts'
import { netOptions, readNet, scheduleOptions } from '../bundles.ts'
import { compileToRun, knownTo, targetsToRun } from '../compile-to-run.ts'
import type { NetSource } from '../net-source.ts'
import { deviceOf, withDevice } from '../devices.ts'
import { EXIT } from '../exit.ts'
import { hardwareDevice, memory, positiveInteger, precise, tuned, weights } from '../options.ts'
import { findPeers, PEERS } from '../peers.ts'
import { progress } from '../progress.ts'
import { type Screen, showBytes, showCount, showFlops } from '../screen.ts'
import { didYouMean } from '../../bundle/nearest.ts'
import type { Verb } from '../verb.ts'

/** Ways to run a net that fusenet itself has, beside the one that all are compared with. */
const OWN = ['merged', 'split', 'no-bn'] as const

const PROGRAMS: readonly BenchProgram[] = ['infer', 'train']

/** A list of words with commas between them, each one of those that are known. */
const wordsOf = (known: readonly string[]) => (text: string): readonly string[] => {
  const words = text.split(',').map((word) => word.trim()).filter(Boolean)
  for (const word of words)
    if (!known.includes(word)) throw new InvalidArgumentError(`There is no ${word}${didYouMean(word, known)}: ${known.join(', ')}.`)
  return words
}

export const bench: Verb = {
  name: 'bench',
  summary: 'measure a net beside itself in split style, itself without batch_norm, and other libraries',
  describe(command) {
    hardwareDevice(tuned(weights(precise(memory(command.argument('<file.net|bundle>', 'the net'))))))
      .addOption(
        new Option(
          '--against <names>',
          `whom to compare merged with, with commas: ${
            [...OWN.slice(1), ...PEERS].join(', ')
          }; default: split, no-bn, and who is installed`,
        ).argParser(wordsOf([...OWN, ...PEERS])),
      )
      .addOption(
        new Option('--programs <names>', 'infer, train, or both with a comma; default: those that the net has').argParser(
          wordsOf(PROGRAMS),
        ),
      )
      .option('--batch <n>', "samples at a time; default: the file's", positiveInteger)
      .addOption(new Option('--repeat <n>', 'measurements of each').argParser(positiveInteger).default(11))
      .option('--kernels', 'also the time of each kernel of merged, beside its FLOPs and bytes')
      .addHelpText(
        'after',
        `
They take turns (A B C A B C ...) on made-up data; results are compared before anything is timed. no-bn is the net without its
batch_norm layers (and scales of theirs), and nothing in their place: what it is slower with them is what they cost. Other
libraries come with the sources of fusenet (test/bench/peers), infer alone, and take nets of the layers that all of them have.

Example: fusenet bench samples/mnist.net --against split --kernels`,
      )
  },
  async run({ args, options, screen }) {
    const file = args[0]!
    const against = options['against'] as readonly string[] | undefined
    const asked = await netOptions(options, screen)
    const named = options['batch'] as number | undefined
    const net = await readNet(file, { ...asked, batch: named })
    const wanted = options['programs'] as readonly BenchProgram[] | undefined
    const place = options['device'] as string
    const compiling = {
      memory: asked.memory,
      precise: asked.precise,
      ...scheduleOptions(asked.tuned),
      targets: await targetsToRun(net, place),
      ...(asked.wide && { wide: true }),
      // Whether a step would teach anything is another's question.
      ...(named !== undefined && { batch: named, allowOneValue: true }),
    }
    const merged = wanted ? await compileToRun(net, { ...compiling, style: 'merged' }, { programs: wanted, device: place })
      : await net.compile({ ...compiling, style: 'merged', programs: knownTo(net, PROGRAMS) })
    const programs = programsOf(merged, wanted)
    return withDevice(deviceOf(options, file, merged), screen, async (device) => {
      const own = await variantsOf(net, merged, against, { ...compiling, programs })
      const found = await findPeers(against?.filter((name) => PEERS.includes(name)), net, device, options['threads'] as number | undefined)
      const notes = [...own.notes, ...found.notes]
      const batch = named ?? merged.manifest.train?.batch ?? 1
      const { reports, interrupted } = await measure(own.variants, found.peers, programs, batch, device, options, screen)
      for (const report of reports) show(report, screen)
      for (const note of notes) screen.print(screen.colors.dim(note))
      screen.result({
        net: merged.manifest.name,
        device: device.name,
        adapter: device.description,
        batch,
        interrupted,
        programs: reports,
        notes,
      })
      if (interrupted) return EXIT.interrupted
      return reports.some((report) => report.contestants.some((c) => c.wrong)) ? EXIT.input : EXIT.done
    })
  },
}

function programsOf({ manifest }: Bundle, wanted: readonly BenchProgram[] | undefined): readonly BenchProgram[] {
  const has = new Set(Object.values(manifest.plans).flatMap((plan) => Object.keys(plan.programs)))
  for (const name of wanted ?? []) {
    if (!has.has(name)) throw new InputError(`${manifest.name} has no program ${name}: it has no ${name === 'train' ? 'loss' : 'output'}`)
  }
  return wanted ?? PROGRAMS.filter((name) => has.has(name))
}

async function variantsOf(
  net: NetSource,
  merged: Bundle,
  against: readonly string[] | undefined,
  compiling: CompileOptions,
): Promise<{ variants: Variant[]; notes: string[] }> {
  const wants = (name: (typeof OWN)[number]): boolean => against?.includes(name) ?? true
  const variants: Variant[] = [{ name: 'merged', bundle: merged, sameNet: true }]
  if (wants('split')) variants.push({ name: 'split', bundle: await net.compile({ ...compiling, style: 'split' }), sameNet: true })
  if (!wants('no-bn')) return { variants, notes: [] }
  const bare = await net.compile({ ...compiling, style: 'merged', normalize: false })
  if (bare.manifest.parameters.length === merged.manifest.parameters.length)
    return { variants, notes: [`no-bn: ${merged.manifest.name} has no batch_norm to leave out`] }
  return { variants: [...variants, { name: 'no-bn', bundle: bare, sameNet: false }], notes: [] }
}

async function measure(
  variants: readonly Variant[],
  peers: readonly Peer[],
  programs: readonly BenchProgram[],
  batch: number,
  device: Device,
  options: Readonly<Record<string, unknown>>,
  screen: Screen,
): Promise<{ reports: ProgramBench[]; interrupted: boolean }> {
  const { bench: run } = await import('../../measure/bench.ts')
  const rounds = options['repeat'] as number
  let interrupts = 0
  const unlisten = screen.terminal.onInterrupt(() => {
    if (++interrupts > 1) process.exit(EXIT.interrupted)
  })
  screen.note(`${variants[0]!.bundle.manifest.name} at batch ${batch} on ${device.name}: ${device.description}`)
  const total = rounds *
    programs.reduce((sum, program) => sum + variants.length + peers.filter((peer) => peer.programs.includes(program)).length, 0)
  const bar = progress(screen, 'bench', total, 'measurements')
  let done = 0
  try {
    const reports = await run(variants, {
      device,
      batch,
      programs,
      rounds,
      peers,
      kernels: options['kernels'] === true,
      stopped: () => interrupts > 0,
      onStage: (program, text) => bar.update(done, done, `${program}: ${text}`),
      onMeasured: (program, name, ms) => bar.update(++done, done, `${program}: ${name} ${showMs(ms)} ms`),
    })
    return { reports, interrupted: interrupts > 0 }
  } finally {
    bar.stop()
    unlisten()
  }
}

const TITLES: Readonly<Record<BenchProgram, string>> = { infer: 'inference', train: 'training step' }

function show({ program, flops, stopped, contestants, kernels, notes }: ProgramBench, screen: Screen): void {
  const { bold, dim, red } = screen.colors
  const count = Math.max(0, ...contestants.map((c) => c.times.length))
  if (count === 0) {
    screen.print(`\n${bold(TITLES[program])}: interrupted before anything was measured`)
    return
  }
  screen.print(
    `\n${bold(TITLES[program])}: ${showFlops(flops)} in convolutions and inner products, ${
      stopped ? `interrupted after ${count}` : count
    } measurement${count === 1 ? '' : 's'} each`,
  )
  screen.table(
    ['', 'median ms', 'min ms', `x ${contestants[0]?.name ?? ''}`, 'of minima', 'GFLOP/s', 'memory', 'difference'],
    contestants.map((c) => [
      c.version === undefined ? c.name : `${c.name} ${c.version}`,
      showMs(c.medianMs),
      showMs(c.minimumMs),
      c.ratio.toFixed(2),
      c.ratioOfMinima.toFixed(2),
      c.gigaflopsPerSecond.toFixed(1),
      c.bytes === undefined ? '' : showBytes(c.bytes),
      c.wrong ? red(`${sayDifference(c)} WRONG: ${c.difference?.at ?? ''}`) : sayDifference(c),
    ]),
    [1, 2, 3, 4, 5, 6],
  )
  if (kernels) {
    screen.print(bold(`\n${TITLES[program]} of ${contestants[0]?.name ?? 'merged'}, kernel by kernel`))
    const total = kernels.reduce((sum, k) => ({ ms: sum.ms + k.ms, flops: sum.flops + k.flops, bytes: sum.bytes + k.bytes }), {
      ms: 0,
      flops: 0,
      bytes: 0,
    })
    const rate = (amount: number, ms: number): string => (ms > 0 ? (amount / ms / 1e6).toFixed(1) : '-')
    screen.table(
      ['kernel', 'ms', 'share', 'FLOP', 'GFLOP/s', 'moved', 'GB/s'],
      [...kernels, { name: 'all', share: 1, ...total }].map((k) => [
        k.name,
        showMs(k.ms),
        `${(100 * k.share).toFixed(1)} %`,
        showCount(k.flops),
        rate(k.flops, k.ms),
        showBytes(k.bytes),
        rate(k.bytes, k.ms),
      ]),
      [1, 2, 3, 4, 5, 6],
    )
  }
  for (const note of notes) screen.print(dim(note))
}

const sayDifference = ({ difference }: ContestantReport): string => (difference ? difference.worst.toExponential(1) : '')

const showMs = (ms: number): string => ms.toFixed(ms < 10 ? 3 : 1)
