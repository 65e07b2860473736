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
/** Shortest times that are so far apart are no chance, even where turns do not agree: something else kept the machine busy. */
const UNDECIDED = 0.95

type Verdict = 'faster' | 'slower' | 'same' | 'undecided'

function verdictOf(before: ProgramBench['contestants'][number], after: ProgramBench['contestants'][number]): Verdict {
  if (after.wrong || isFaster(before.times, after.times, PROGRAM_GAIN)) return 'slower'
  if (isFaster(after.times, before.times, PROGRAM_GAIN)) return 'faster'
  const ratio = Math.min(...after.times) / Math.min(...before.times)
  return ratio < UNDECIDED || ratio > 1 / UNDECIDED ? 'undecided' : 'same'
}

/**
 * What becomes of kernels with other schedules: `givenUp` are those of a program that has become slower or computes something else, and those of none that has become
 * faster, or may have. Kernels are measured alone; what they gain there may be lost beside others. `undecided` are those of a program whose turns do not agree while its shortest times are far
 * apart. `reports`: programs as the compiler has them by itself, and with the schedules; one that was not measured decides nothing.
 */
export function judge<K extends { readonly programs: readonly string[] }>(
  changed: readonly K[],
  reports: readonly Pick<ProgramBench, 'program' | 'contestants'>[],
): { readonly givenUp: readonly K[]; readonly undecided: readonly K[] } {
  const verdicts = new Map(reports.flatMap(({ program, contestants: [before, after] }) => (before && after ? [[
    program as string,
    verdictOf(before, after),
  ]] : [])))
  const own = ({ programs }: K): readonly Verdict[] => programs.flatMap((name) => verdicts.get(name) ?? [])
  const isGivenUp = (k: K): boolean => {
    const found = own(k)
    return found.includes('slower') || (found.length > 0 && !found.includes('faster') && !found.includes('undecided'))
  }
  return {
    givenUp: changed.filter(isGivenUp),
    undecided: changed.filter((k) => !isGivenUp(k) && own(k).includes('undecided')),
  }
}
