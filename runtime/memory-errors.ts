import { type Manifest, type ProgramName, TRAINING_PROGRAMS } from '../bundle/format.ts'

/** The advice for a batch that does not fit: the largest batch that does. */
export function mostThatFits(batch: number, fits: (n: number) => boolean): string {
  let [most, more] = [0, batch]
  while (more - most > 1) {
    const n = Math.floor((most + more) / 2)
    if (fits(n)) most = n
    else more = n
  }
  return most >= 1 ? `use a batch of at most ${most}` : 'no batch is small enough'
}

/** Further advice where the memory of the device is short. Only compiling tells whether it is enough. */
export function lessMemory({ memory }: Manifest, programs: readonly string[]): string {
  const trains = programs.some((name) => TRAINING_PROGRAMS.includes(name as ProgramName))
  return trains && memory !== 'small' ? '; compiled with --memory small, training takes less' : ''
}

/** Bytes for people, in KiB or MiB. */
export const showBytes = (bytes: number): string =>
  bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`
