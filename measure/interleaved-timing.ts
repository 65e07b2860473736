/** A subject of the measurement. An iteration starts from numbers in arrays and ends with its result in an array. */
export interface Subject {
  readonly name: string
  /** The time of an iteration in milliseconds: the mean over as many iterations as take `atLeastMs` together. */
  measure(atLeastMs: number): Promise<number>
}

export interface InterleavedTimingOptions {
  readonly rounds: number
  /** An iteration is repeated until this many milliseconds have passed. */
  readonly atLeastMs: number
  /** Asked before each measurement: true ends the timing. */
  readonly stopped?: () => boolean
  /** Called after each measurement. */
  readonly onMeasured?: (name: string, ms: number) => void
}

/**
 * Interleaved timing, A B C A B C ...: whatever else the machine does disturbs all subjects alike. Gives the milliseconds of each
 * subject, in the order of the subjects. Where it was stopped, the last round may lack some.
 */
export async function timeInterleaved(
  subjects: readonly Subject[],
  { rounds, atLeastMs, stopped, onMeasured }: InterleavedTimingOptions,
): Promise<number[][]> {
  const times = subjects.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, subject] of subjects.entries()) {
      await pause()
      if (stopped?.()) return times
      const ms = await subject.measure(atLeastMs)
      times[i]!.push(ms)
      onMeasured?.(subject.name, ms)
    }
  }
  return times
}

/** Repeats an iteration until `atLeastMs` have passed, and gives the milliseconds of one. */
export async function repeated(iterate: () => Promise<unknown>, atLeastMs: number): Promise<number> {
  const start = performance.now()
  for (let count = 1;; count++) {
    await iterate()
    const ms = performance.now() - start
    if (ms >= atLeastMs) return ms / count
  }
}

/** Lets signals and drawing have this thread, which a device that computes on it does not. */
export const pause = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve)
  })

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2
}
