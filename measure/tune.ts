import { compileFor } from '../compiler/compile.ts'
import { TARGETS } from '../compiler/targets/targets.ts'
import type { CompileOptions } from '../compiler/compile-options.ts'
import type { Constant } from '../compiler/graph/graph.ts'
import { kernelKey } from '../compiler/ir/kernel-key.ts'
import type { Equation } from '../compiler/ir/equation.ts'
import type { ScheduleData } from '../compiler/targets/target.ts'
import type { Source } from '../dsl/source.ts'
import { type Device, DeviceError } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import { planFor, type PlanKind, planKind } from '../bundle/plans.ts'
import { compareResults, largestDifference, type Results } from './compare-results.ts'
import { oneKernel, OneKernel, type BenchmarkContext } from './kernel-benchmark.ts'
import { pause } from './interleaved-timing.ts'
import { isFaster } from './verdict.ts'

/** A kernel of a net that can be computed in several ways. */
export interface Tunable {
  /** `kernelKey`: what its schedule is kept under. */
  readonly key: string
  /** Names of the first layers that the kernel belongs to. */
  readonly name: string
  /** Dispatches of the programs that are tuned which it stands for. */
  readonly dispatches: number
  /** The programs that they are of. */
  readonly programs: readonly string[]
  readonly equation: Equation
  /** Multiplications, additions and bytes moved in all dispatches: those with the most are measured first. */
  readonly work: number
  readonly candidates: readonly ScheduleData[]
}

export interface TuneOptions {
  readonly device: Device
  readonly batch: number
  readonly programs: readonly string[]
  /** Asked between two candidates; then the kernel under way is given up. */
  readonly stopped?: () => boolean
  /** Is called after each candidate. */
  readonly onCandidate?: () => void
}

/** The result of tuning one kernel. */
export interface Tuned {
  readonly key: string
  readonly name: string
  readonly schedule: ScheduleData
  /** The time of one run as the compiler has it by itself, and with this schedule. */
  readonly defaultMs: number
  readonly ms: number
  readonly measured: number
  /** Candidates that were passed over, and why. */
  readonly notes: readonly string[]
}

/**
 * The kernels of a net for which its target knows several ways, the largest first, each once however many layers share it.
 * Throws CompileError; InputError where the target of the device knows one way only.
 */
export function tunables(
  source: Source,
  options: TuneOptions,
  compiling: CompileOptions,
): { kernels: Tunable[]; context: BenchmarkContext } {
  const target = TARGETS.find(({ name }) => name === planFor(options.device))
  if (!target?.candidates)
    throw new InputError(
      `there is nothing to tune on ${options.device.name}: it has one way to compute a kernel, by the compiler's own model`,
    )
  const { bundle, pipelines } = compileFor(source, [target], { ...compiling, programs: options.programs })
  const { plan, programs } = pipelines[0]!
  const trainBatch = bundle.manifest.train?.batch ?? compiling.batch ?? 1
  const found = new Map<string, Tunable>()
  const at = ({ fixed, perSample }: { fixed: number; perSample: number }): number => fixed + perSample * options.batch
  for (const program of programs) {
    if (!options.programs.includes(program.name)) continue
    for (const [i, { fused: { equation } }] of program.steps.entries()) {
      const { flops, bytesRead, bytesWritten } = plan.programs[program.name]!.dispatches[i]!.facts!
      const key = kernelKey(equation)
      const work = at(flops) + 4 * (at(bytesRead) + at(bytesWritten))
      const known = found.get(key)
      if (known) {
        const programs = [...new Set([...known.programs, program.name])]
        found.set(key, { ...known, dispatches: known.dispatches + 1, programs, work: known.work + work })
      } else found.set(key, {
          key,
          name: equation.name,
          dispatches: 1,
          programs: [program.name],
          equation,
          work,
          candidates: distinct(target.candidates(equation, trainBatch)),
        })
    }
  }
  const constants = new Map<string, Constant>(
    programs.flatMap(({ graph }) => (graph.constants ?? []).map((c) => [c.value.storage!.slot ?? '', c] as const)),
  )
  const packed = (role: string): number => Math.max(0, ...plan.buffers.filter((b) => b.role === role).map((b) => b.elements.fixed))
  return {
    kernels: [...found.values()].filter(({ candidates }) => candidates.length > 1).sort((a, b) => b.work - a.work),
    context: {
      target,
      batch: options.batch,
      trainBatch,
      constants,
      packed: { parameters: Math.max(...['parameters', 'gradients', 'history'].map(packed)), states: packed('states') },
    },
  }
}

const distinct = (
  candidates: readonly ScheduleData[],
): ScheduleData[] => [...new Map(candidates.map((schedule) => [JSON.stringify(schedule), schedule])).values()]

/** More than rounding: sums of a hundred thousand products in another order differ by less. Over the largest value of a tensor. */
const TOLERANCE = 1e-4
/** Runs in a row of a kernel: as many as take so long together. */
const IN_A_ROW_MS = 4
const MOST_IN_A_ROW = 40
/** Engines compile a WebAssembly function once more when it has proved hot, and meanwhile it is several times slower. */
const WARM_UP_MS: Readonly<Record<PlanKind['kernels'], number>> = { texts: 0, module: 250 }
/** A candidate that is so much slower than the best one at first sight is not looked at again. */
const HOPELESS = 1.3
/** Turns in which a candidate meets the best so far; those that decide; and what it must gain to be preferred to what the compiler chooses. */
const TURNS = 5
const DECIDING_TURNS = 13
const GAIN = 0.97

/**
 * Finds the fastest way to compute one kernel. It is measured alone, on tensors of the sizes that it has in its net at this batch and on
 * synthetic numbers, many times in a row: no program has to be compiled for a candidate, candidates of one kernel do not disturb
 * another's, and what one computes can be compared before it is timed. What that leaves out, and what it reads may be nearer to the
 * processor than in a net, is the same for all candidates; `bench` with the schedules that were found has the last word.
 *
 * Every candidate's results are compared with the first one's, what the compiler chooses by itself; one that differs by more than
 * rounding, or that the device refuses, is passed over with a note. Then it takes turns with the best so far.
 */
export async function tuneKernel(
  kernel: Tunable,
  context: BenchmarkContext,
  { device, stopped, onCandidate }: TuneOptions,
): Promise<Tuned | undefined> {
  const notes: string[] = []
  const once = await load(kernel, kernel.candidates[0]!, context, device, 1)
  let times: number
  let want: Results
  let positive = false
  try {
    await once.time()
    times = Math.max(1, Math.min(MOST_IN_A_ROW, Math.ceil(IN_A_ROW_MS / Math.max(1e-4, await once.time()))))
    want = await once.results(positive)
    if (!isFinite(want)) {
      positive = true
      want = await once.results(positive)
    }
  } finally {
    once.session.close()
  }
  const first = await load(kernel, kernel.candidates[0]!, context, device, times)
  let best = { schedule: kernel.candidates[0]!, running: first, ms: Infinity }
  let measured = 1
  try {
    await first.results(positive)
    await warmUp(first, device)
    best.ms = await first.time(IN_A_ROW_MS)
    for (const schedule of kernel.candidates.slice(1)) {
      await pause()
      if (stopped?.()) return undefined
      let running: OneKernel | undefined
      try {
        running = await load(kernel, schedule, context, device, times)
        const { worst, at } = compareResults(await running.results(positive), want, largestDifference)
        if (!(worst <= TOLERANCE)) throw new Refused(`${at} differs by ${worst.toExponential(1)}`)
        await warmUp(running, device)
        measured++
        if (await running.time(IN_A_ROW_MS) > HOPELESS * best.ms) continue
        const [own, others] = await inTurns(running, best.running, TURNS)
        best.ms = Math.min(best.ms, ...others)
        if (Math.min(...own) >= best.ms) continue
        if (best.running !== first) best.running.session.close()
        best = { schedule, running, ms: Math.min(...own) }
      } catch (error) {
        if (!(error instanceof Refused || error instanceof DeviceError)) throw error
        notes.push(`${JSON.stringify(schedule)}: ${error.message}`)
      } finally {
        if (running && running !== best.running) running.session.close()
        onCandidate?.()
      }
    }
    // Once more beside the compiler's own: the best of many may have been lucky.
    const [own, usual] = best.running === first ? [[best.ms], [best.ms]] as const : await inTurns(best.running, first, DECIDING_TURNS)
    const isBetter = best.running !== first && isFaster(own, usual, GAIN)
    const defaultMs = Math.min(...usual)
    return {
      key: kernel.key,
      name: kernel.name,
      schedule: isBetter ? best.schedule : kernel.candidates[0]!,
      defaultMs,
      ms: isBetter ? Math.min(...own) : defaultMs,
      measured,
      notes,
    }
  } finally {
    first.session.close()
    if (best.running !== first) best.running.session.close()
  }
}

class Refused extends Error {}

const isFinite = (results: Results): boolean => Object.values(results).every((values) => Array.from(values).every(Number.isFinite))

async function load(
  { key, equation }: Tunable,
  schedule: ScheduleData,
  context: BenchmarkContext,
  device: Device,
  times: number,
): Promise<OneKernel> {
  const { bundle, tensors } = oneKernel(equation, { [key]: schedule }, context, times)
  return new OneKernel(await device.load(bundle, context.batch), equation, tensors, times)
}

async function warmUp(running: OneKernel, device: Device): Promise<void> {
  const kernels = planKind(planFor(device))?.kernels ?? 'texts'
  const until = performance.now() + WARM_UP_MS[kernels]
  do await running.time()
  while (performance.now() < until)
}

/** The times of both in turns, in milliseconds: who begins changes, since the second finds what the first left in the caches. */
async function inTurns(a: OneKernel, b: OneKernel, turns: number): Promise<readonly [readonly number[], readonly number[]]> {
  const times: readonly [number[], number[]] = [[], []]
  for (let i = 0; i < turns; i++) {
    const order = i % 2 === 0 ? ([[a, 0], [b, 1]] as const) : ([[b, 1], [a, 0]] as const)
    for (const [one, at] of order) times[at].push(await one.time(IN_A_ROW_MS))
  }
  return times
}
