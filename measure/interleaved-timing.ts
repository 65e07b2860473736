/** Whoever is measured. An iteration begins with numbers in arrays and ends with the result in one. */
export interface Contestant {
  readonly name: string
  /** Milliseconds of an iteration: the mean of as many as take `atLeastMs` together. */
  measure(atLeastMs: number): Promise<number>
}

export interface TurnOptions {
  readonly rounds: number
  /** An iteration that is shorter is repeated. */
  readonly atLeastMs: number
  /** Asked between two measurements: whether to stop there. */
  readonly stopped?: () => boolean
  /** After each measurement. */
  readonly onMeasured?: (name: string, ms: number) => void
}

/**
 * Measures in turns, A B C A B C ..., so that whatever else the machine does falls on all alike. Gives the times of each in
 * milliseconds, in the order of the contestants; of all but the last round the same number.
 */
export async function takeTurns(
  contestants: readonly Contestant[],
  { rounds, atLeastMs, stopped, onMeasured }: TurnOptions,
): Promise<number[][]> {
  const times = contestants.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, contestant] of contestants.entries()) {
      await pause()
      if (stopped?.()) return times
      const ms = await contestant.measure(atLeastMs)
      times[i]!.push(ms)
      onMeasured?.(contestant.name, ms)
    }
  }
  return times
}

/** Iterations until they took so long together: milliseconds of one. */
export async function repeated(iterate: () => Promise<unknown>, atLeastMs: number): Promise<number> {
  const start = performance.now()
  for (let count = 1;; count++) {
    await iterate()
    const ms = performance.now() - start
    if (ms >= atLeastMs) return ms / count
  }
}

/** A device that computes on this thread leaves no room for signals and for drawing: here it is. */
export const pause = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve)
  })

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2
}
