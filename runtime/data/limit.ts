import { permutation } from '../random.ts'
import { InputError } from '../../bundle/errors.ts'
import { say, countOf } from '../../bundle/plain.ts'
import { checkDataset, type Dataset, select } from './dataset.ts'

/** The labels of a dataset's first field that has one label a sample; undefined where there is none. */
export async function labelsOf(dataset: Dataset): Promise<{ readonly field: string; readonly labels: Int32Array } | undefined> {
  const found = Object.entries(dataset.fields).find(([, { type, shape }]) =>
    type === 'i32' && shape.reduce((product, dim) => product * dim, 1) === 1
  )
  if (!found) return undefined
  const labels = new Int32Array(dataset.length)
  await dataset.read(Array.from(labels, (_, i) => i), { [found[0]]: labels })
  return { field: found[0], labels }
}

/**
 * `limit` samples of a dataset, the same ones for the same seed: of each class as large a share as in the whole, and of every class one
 * at least where there are as many as classes. Their order is that of the dataset. Without labels: any.
 */
export async function limited(dataset: Dataset, limit: number, seed: number): Promise<Dataset> {
  return limit >= dataset.length ? dataset : select(dataset, await chosen(dataset, limit, seed))
}

/**
 * A dataset in two: `share` of it kept back (0.1: a tenth; from 2 on: so many samples), of each class as large a share as in the whole, but not its last sample
 * while others have more, and the rest. The same for the same seed, both in the order of the dataset. Throws InputError where nothing would be kept back, or left.
 */
export async function holdOut(dataset: Dataset, share: number, seed = 1): Promise<{ readonly rest: Dataset; readonly held: Dataset }> {
  checkDataset(dataset)
  if (!isShare(share)) throw new InputError(`holdOut takes a share between 0 and 1, or a number of samples from 2 on, not ${say(share)}`)
  const { length } = dataset
  const count = share < 1 ? Math.max(1, Math.round(share * length)) : share
  if (count >= length) throw new InputError(`${count} of ${countOf(length, 'sample')} cannot be kept back: none would be left`)
  const held = await chosen(dataset, count, seed, 1)
  const out = new Set(held)
  return { held: select(dataset, held), rest: select(dataset, Array.from({ length }, (_, i) => i).filter((i) => !out.has(i))) }
}

/** Whether a number is a share of a whole, or a count that is none. */
export const isShare = (value: unknown): value is number =>
  typeof value === 'number' && ((value > 0 && value < 1) || (Number.isSafeInteger(value) && value >= 2))

/** Indices of so many samples of all classes, in order; so many of each stay where they are, if that leaves enough. */
async function chosen(dataset: Dataset, limit: number, seed: number, stay = 0): Promise<number[]> {
  const labels = (await labelsOf(dataset))?.labels ?? new Int32Array(dataset.length)
  const classes = new Map<number, number[]>()
  labels.forEach((label, i) => {
    classes.has(label) ? classes.get(label)!.push(i) : classes.set(label, [i])
  })
  const groups = [...classes].sort(([a], [b]) => a - b).map(([, indices]) => indices)
  const sizes = groups.map((group) => group.length)
  const counts = shares(sizes, limit, limit <= dataset.length - stay * groups.length ? sizes.map((size) => size - stay) : sizes)
  return groups.flatMap((group, k) => Array.from(permutation(group.length, seed, k).subarray(0, counts[k]), (i) => group[i]!)).sort((
    a,
    b,
  ) => a - b)
}

/** Divides `total` among groups by their sizes: whole numbers by the largest remainder, and none is left out for being small. `most`: of each group. */
export function shares(sizes: readonly number[], total: number, most: readonly number[] = sizes): number[] {
  const all = sizes.reduce((sum, size) => sum + size, 0)
  const least = total >= sizes.length ? 1 : 0
  const exact = sizes.map((size) => (size * total) / all)
  const counts = exact.map((share, k) => Math.min(most[k]!, Math.max(least, Math.floor(share))))
  const sum = (): number => counts.reduce((a, b) => a + b, 0)
  const byNeed = (sign: 1 | -1): number[] =>
    [...sizes.keys()].sort((a, b) => sign * ((exact[b]! - counts[b]!) - (exact[a]! - counts[a]!)) || a - b)
  while (sum() < total) counts[byNeed(1).find((k) => counts[k]! < most[k]!)!]!++
  while (sum() > total) counts[byNeed(-1).find((k) => counts[k]! > least)!]!--
  return counts
}
