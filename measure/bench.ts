import type { Device, Numbers } from '../bundle/device.ts'
import type { Bundle, Manifest, TensorData } from '../bundle/format.ts'
import { LocalNet } from '../runtime/net.ts'
import { openLocal } from '../runtime/open.ts'
import { sizeAt } from '../bundle/sizes.ts'
import { type Difference, largestOf, minus, normOf, type Results } from './compare-results.ts'
import { differenceBeyondNoise, noiseOf, shaken, shakenParameters } from './noise.ts'
import { type KernelTime, kernelTimes } from './kernel-profile.ts'
import { syntheticInputs, syntheticWeights } from './synthetic-data.ts'
import { type Subject, median, repeated, timeInterleaved } from './interleaved-timing.ts'

/** The two things that are measured: one inference, one training step. */
export type BenchProgram = 'infer' | 'train'

/** A bundle under a name. The first of a list is what all others are compared with. */
export interface Variant {
  readonly name: string
  readonly bundle: Bundle
  /** Whether the variant computes the same function as the first one, so that their results must agree. */
  readonly sameNet: boolean
}

/** Somebody else who computes the same net; opened for one program, and closed behind it. */
export interface Peer {
  readonly name: string
  /** The programs that this subject can run. */
  readonly programs: readonly BenchProgram[]
  readonly open: (work: Work) => Promise<OpenPeer>
}

export interface OpenPeer extends Subject {
  /** The results that must agree with those of the first variant. */
  readonly results: Results
  readonly version?: string
  close(): void
}

/** The weights and inputs that all subjects share. */
export interface Work {
  readonly program: BenchProgram
  readonly batch: number
  /** Every parameter, float32. */
  readonly parameters: ReadonlyMap<string, TensorData>
  readonly inputs: Readonly<Record<string, Numbers>>
}

export interface BenchOptions {
  readonly device: Device
  readonly batch: number
  readonly programs: readonly BenchProgram[]
  readonly peers?: readonly Peer[]
  readonly seed?: number
  /** Measurements of each. */
  readonly rounds: number
  /** Shorter iterations are repeated for so long and counted as their mean. */
  readonly atLeastMs?: number
  /** Everybody iterates for so long before anything counts: engines compile what is hot once more. */
  readonly warmUpMs?: number
  /** Whether the first variant's dispatches are timed, too. */
  readonly kernels?: boolean
  readonly stopped?: () => boolean
  /** Is called before each thing that takes a while. */
  readonly onStage?: (program: BenchProgram, text: string) => void
  readonly onMeasured?: (program: BenchProgram, name: string, ms: number) => void
}

export interface ProgramBench {
  readonly program: BenchProgram
  /** Operations of convolutions and inner products in the first variant, two for each multiplication and addition. */
  readonly flops: number
  /** Whether a stop was asked for before all rounds were done. */
  readonly stopped: boolean
  readonly contestants: readonly ContestantReport[]
  readonly kernels?: readonly KernelTime[]
  /** One text for each thing that could not be measured, and why. */
  readonly notes: readonly string[]
}

export interface ContestantReport {
  readonly name: string
  readonly version?: string
  /** The times in the order in which they were measured. */
  readonly times: readonly number[]
  readonly medianMs: number
  readonly minimumMs: number
  /** The ratio to the first subject. */
  readonly ratio: number
  readonly ratioOfMinima: number
  readonly gigaflopsPerSecond: number
  /** Bytes that the device holds for this subject. */
  readonly bytes?: number
  /** The difference from the first subject's results; absent for another net and for the first itself. */
  readonly difference?: Difference
  readonly wrong: boolean
}

/** Differences that are allowed: of outputs by their largest values; of a step by norms. */
const TOLERANCE = { infer: 1e-3, train: 1e-2 } as const
const SIZE = { infer: largestOf, train: normOf } as const
/** Times that everything is done on inputs and weights with other last places, to see what noise is. */
const SHAKEN = 2

/** Measures the variants of a net, and peers, on the same work. Results are compared before anything is timed. */
export async function bench(variants: readonly Variant[], options: BenchOptions): Promise<ProgramBench[]> {
  const reports: ProgramBench[] = []
  for (const program of options.programs) {
    if (options.stopped?.()) break
    reports.push(await benchProgram(variants, program, options))
  }
  return reports
}

/** A subject whose results are known, ready to be timed. */
interface Ready extends Subject {
  readonly results: Results
  /** The largest change of each result that rounding alone may cause (`noiseOf`). Absent where it is not known. */
  readonly noise?: Readonly<Record<string, number>>
  readonly sameNet: boolean
  readonly bytes?: number
  readonly version?: string
  close(): void
}

async function benchProgram(variants: readonly Variant[], program: BenchProgram, options: BenchOptions): Promise<ProgramBench> {
  const { device, batch, seed = 1, rounds, atLeastMs = 20, warmUpMs = 300, peers = [], onStage } = options
  const first = variants[0]!.bundle
  const weights = syntheticWeights(first, seed)
  const inputs = syntheticInputs(first.manifest.inputs, batch, seed)
  const notes: string[] = []
  const ready: Ready[] = []
  let reference: LocalNet | undefined
  const stopped = (): boolean => options.stopped?.() ?? false
  try {
    for (const variant of variants) {
      if (stopped()) break
      onStage?.(program, `${variant.name} gets ready`)
      const net = await openVariant(variant.bundle, weights, {
        device,
        batch,
        seed,
        programs: programsRun(program, variant.bundle.manifest),
      })
      reference ??= net
      const found = { ...variant, bytes: LocalNet.executorOf(net).session.allocatedBytes, close: () => net.close() }
      const check = CHECKS[program]
      const results = await check.results(net, inputs)
      const others: Results[] = []
      for (let i = 1; variants.length + peers.length > 1 && variant.sameNet && i <= SHAKEN; i++) {
        await net.reset()
        await net.setParameters(shakenParameters(await net.parameters(), i))
        others.push(
          await check.results(net, Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, shaken(values, name, i)]))),
        )
      }
      if (others.length > 0) await net.reset()
      const iterate = check.iterate(net, inputs)
      ready.push({
        ...found,
        results,
        ...(others.length > 0 && { noise: noiseOf(results, others, SIZE[program]) }),
        measure: (ms) => repeated(iterate, ms),
      })
    }
    for (const peer of peers.filter(({ programs }) => reference && programs.includes(program))) {
      if (stopped()) break
      onStage?.(program, `${peer.name} gets ready`)
      try {
        const opened = await peer.open({ program, batch, parameters: await reference!.parameters(), inputs })
        ready.push(mayFail(opened, (reason) => notes.push(reason)))
      } catch (error) {
        notes.push(`${peer.name}: ${firstLine(error)}`)
      }
    }
    for (const subject of stopped() ? [] : ready) {
      onStage?.(program, `${subject.name} warms up`)
      await subject.measure(warmUpMs)
    }
    const times = await timeInterleaved(ready, {
      rounds,
      atLeastMs,
      stopped,
      onMeasured: (name, ms) => options.onMeasured?.(program, name, ms),
    })
    let kernels: readonly KernelTime[] | undefined
    if (options.kernels && reference && !stopped()) {
      onStage?.(program, 'kernel by kernel')
      kernels = await kernelTimes(reference, program, Math.min(rounds, 9))
      if (!kernels) notes.push(`${device.description} cannot tell the time of a kernel`)
    }
    const flops = reference ? productsOf(reference, program) : 0
    return { program, flops, stopped: stopped(), contestants: reportsOf(program, ready, times, flops), ...(kernels && { kernels }), notes }
  } finally {
    for (const subject of ready) subject.close()
  }
}

/** Weights that the variant has a place for: a net without normalization has none for gamma and beta. */
async function openVariant(
  bundle: Bundle,
  weights: ReadonlyMap<string, TensorData>,
  options: { device: Device; batch: number; seed: number; programs: readonly string[] },
): Promise<LocalNet> {
  const own = new Set(bundle.manifest.parameters.map((p) => p.name))
  return openLocal(bundle, { ...options, weights: new Map([...weights].filter(([name]) => own.has(name))) })
}

/** A peer that fails is out, and its reason told; the others go on. */
function mayFail(peer: OpenPeer, tell: (reason: string) => void): Ready {
  let failed = false
  const measure = async (atLeastMs: number): Promise<number> => {
    if (failed) return NaN
    try {
      return await peer.measure(atLeastMs)
    } catch (error) {
      failed = true
      tell(`${peer.name}: ${firstLine(error)}`)
      return NaN
    }
  }
  return {
    name: peer.name,
    results: peer.results,
    sameNet: true,
    ...(peer.version !== undefined && { version: peer.version }),
    measure,
    close: () => peer.close(),
  }
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!

interface Check {
  readonly results: (net: LocalNet, inputs: Readonly<Record<string, Numbers>>) => Promise<Results>
  readonly iterate: (net: LocalNet, inputs: Readonly<Record<string, Numbers>>) => () => Promise<unknown>
}

const CHECKS: Readonly<Record<BenchProgram, Check>> = {
  infer: { results: (net, inputs) => net.run(inputs), iterate: (net, inputs) => () => net.run(inputs) },

  /**
   * The move of each parameter and statistic by a step at the rate of the file, with its loss and the next one's. The steps that are
   * timed have a rate of 0: they do the same work, and each starts from where the last one did.
   */
  train: {
    results: async (net, inputs) => {
      const before = await net.parameters()
      const first = await step(net, inputs)
      const after = await net.parameters()
      const moves = net.manifest.parameters.map(({ name }) =>
        [`the move of ${name}`, minus(after.get(name)!.data as Numbers, before.get(name)!.data as Numbers)] as const
      )
      return { 'the loss': Float64Array.of(first), 'the next loss': Float64Array.of(await step(net, inputs)), ...Object.fromEntries(moves) }
    },
    iterate: (net, inputs) => () => step(net, inputs, 0),
  },
}

async function step(net: LocalNet, inputs: Readonly<Record<string, Numbers>>, rate?: number): Promise<number> {
  const { accumulate = 1 } = net.manifest.train ?? {}
  const batches = accumulate > 1 ? Array.from({ length: accumulate }, () => inputs) : inputs
  return (await net.trainStep(batches, { ...(rate !== undefined && { rate }), keepGoing: true })).loss
}

/** The programs of one iteration: where gradients of several batches are added up, all but the last batch have one of their own. */
const programsRun = (program: BenchProgram, { train }: Manifest): string[] =>
  program === 'train' && (train?.accumulate ?? 1) > 1 ? ['train', 'accumulate'] : [program]

function productsOf(net: LocalNet, program: BenchProgram): number {
  const { programs } = LocalNet.executorOf(net).session.plan
  const { manifest, batch } = net
  const of = (name: string): number =>
    programs[name]!.dispatches.reduce((sum, { facts }) => sum + (facts ? sizeAt(facts.products, batch) : 0), 0)
  return programsRun(program, manifest).reduce(
    (sum, name) => sum + of(name) * (name === 'accumulate' ? manifest.train!.accumulate! - 1 : 1),
    0,
  )
}

function reportsOf(
  program: BenchProgram,
  ready: readonly Ready[],
  times: readonly (readonly number[])[],
  flops: number,
): ContestantReport[] {
  const base = times[0] ?? []
  return ready.flatMap(({ name, version, bytes, results, noise, sameNet }, i) => {
    const own = times[i]!.filter((ms) => !Number.isNaN(ms))
    if (own.length === 0) return []
    const [medianMs, minimumMs] = [median(own), Math.min(...own)]
    const noises = [ready[0]!.noise, noise].filter((known) => known !== undefined)
    const difference = i > 0 && sameNet
      ? differenceBeyondNoise(results, pick(ready[0]!.results, results), noises, SIZE[program], TOLERANCE[program]) : undefined
    return [{
      name,
      ...(version !== undefined && { version }),
      times: own,
      medianMs,
      minimumMs,
      ratio: medianMs / median(base),
      ratioOfMinima: minimumMs / Math.min(...base),
      gigaflopsPerSecond: flops / medianMs / 1e6,
      ...(bytes !== undefined && { bytes }),
      ...(difference && { difference }),
      wrong: difference !== undefined && !(difference.worst <= TOLERANCE[program]),
    }]
  })
}

/** The results of the first subject that the other one has too; all of them where it has none. */
function pick(all: Results, like: Results): Results {
  const names = Object.keys(all).filter((name) => name in like)
  return names.length > 0 ? Object.fromEntries(names.map((name) => [name, all[name]!])) : all
}
