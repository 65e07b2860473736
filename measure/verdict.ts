import type { ProgramBench } from './bench.ts'

/** The part of turns that must agree: of 9 that are a matter of luck, 8 agree in one of fifty cases. */
const AGREE = 0.85

/**
 * Whether one of two subjects that took turns is faster by a part (`gain` 0.97: by 3 %) that is more than noise: its shortest time is, and it was the faster one in nearly
 * every turn. What else the machine does in a turn slows both, and the turn counts as one only.
 */
export function isFaster(times: readonly number[], others: readonly number[], gain: number): boolean {
  const turns = Math.min(times.length, others.length)
  if (turns === 0) return false
  const wins = times.slice(0, turns).filter((ms, i) => ms < others[i]!).length
  return wins >= AGREE * turns && Math.min(...times) < gain * Math.min(...others)
}

/** By so much a program must be faster, or slower: another place of its kernels in memory makes as much. */
const PROGRAM_GAIN = 0.99

/**
 * The kernels whose schedules are not kept: those of a program that has become slower or computes something else, and those of none that has become faster. Kernels are measured alone; what they
 * gain there may be lost beside others. `reports`: programs as the compiler has them by itself, and with the schedules; one that was not measured decides nothing.
 */
export function givenUp<K extends { readonly programs: readonly string[] }>(
  changed: readonly K[],
  reports: readonly Pick<ProgramBench, 'program' | 'contestants'>[],
): readonly K[] {
  const verdicts = new Map(reports.flatMap(({ program, contestants: [before, after] }) => (before && after ? [[
    program as string,
    after.wrong || isFaster(before.times, after.times, PROGRAM_GAIN) ? 'slower'
      : isFaster(after.times, before.times, PROGRAM_GAIN) ? 'faster' : 'same',
  ]] : [])))
  return changed.filter(({ programs }) => {
    const own = programs.flatMap((name) => verdicts.get(name) ?? [])
    return own.includes('slower') || (own.length > 0 && !own.includes('faster'))
  })
}
