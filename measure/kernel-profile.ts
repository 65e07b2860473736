import { LocalNet } from '../runtime/net.ts'
import { scalarsAt } from '../bundle/learning-rate.ts'
import { sizeAt } from '../bundle/sizes.ts'
import { median } from './interleaved-timing.ts'

/** One dispatch of a program: its time beside what it computes and moves, counted from the plan. */
export interface KernelTime {
  readonly name: string
  readonly layers: readonly string[]
  /** The median of several runs. */
  readonly ms: number
  /** This kernel's part of the time of all, from 0 to 1. */
  readonly share: number
  readonly flops: number
  /** Read and written, each tensor once. */
  readonly bytes: number
  readonly gigaflopsPerSecond: number
  readonly gigabytesPerSecond: number
  /** The algorithm and schedule, where the plan names them. */
  readonly how?: string
}

/**
 * The time of each kernel of a program, longest first; undefined where the device cannot tell. Inputs are those that were written last,
 * and parameters stay as they are, since the learning rate is 0. FLOPs are those of the equation: of the direct convolution, also where
 * Winograd needs fewer.
 */
export async function kernelTimes(net: LocalNet, program: string, runs: number): Promise<KernelTime[] | undefined> {
  const executor = LocalNet.executorOf(net)
  const scalars = scalarsAt(net.manifest.train, 0, net.seed, 0)
  const samples: Float64Array[] = []
  for (let i = 0; i < runs; i++) {
    const sample = await executor.enqueue(async () => executor.session.profile?.(program, scalars))
    if (!sample) return undefined
    samples.push(sample)
  }
  const rows = executor.session.plan.programs[program]!.dispatches.map(({ name, facts }, i) => {
    const ns = median(samples.map((sample) => sample[i]!))
    // A bundle that was fetched to be run brings none.
    const flops = facts ? sizeAt(facts.flops, net.batch) : 0
    const bytes = facts ? sizeAt(facts.bytesRead, net.batch) + sizeAt(facts.bytesWritten, net.batch) : 0
    return {
      name,
      layers: facts?.layers ?? [],
      ms: ns / 1e6,
      flops,
      bytes,
      gigaflopsPerSecond: flops / ns,
      gigabytesPerSecond: bytes / ns,
      ...(facts?.how !== undefined && { how: facts.how }),
    }
  })
  const total = rows.reduce((sum, row) => sum + row.ms, 0)
  return rows.map((row) => ({ ...row, share: row.ms / total })).sort((a, b) => b.ms - a.ms)
}
