import type { Numbers } from '../runtime/device.ts'

/** Results by name. */
export type Results = Readonly<Record<string, ArrayLike<number>>>

export interface Difference {
  /** The largest of all. NaN, and what is missing or of another length, is infinitely far. */
  readonly worst: number
  /** Whose it is. */
  readonly at: string
}

/** How far results are apart: for each array of `want` by `of`, and the worst of them. */
export function compareResults(got: Results, want: Results, of: (got: ArrayLike<number>, want: ArrayLike<number>) => number): Difference {
  let found: Difference = { worst: 0, at: '' }
  for (const [name, expected] of Object.entries(want)) {
    const actual = got[name]
    const worst = actual?.length === expected.length ? of(actual, expected) : Infinity
    if (found.at === '' || worst > found.worst) found = { worst, at: name }
  }
  return found
}

/** The largest difference over the largest value of `want`. */
export function largestDifference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let largest = 0
  let difference = 0
  for (let i = 0; i < want.length; i++) {
    largest = Math.max(largest, Math.abs(want[i]!))
    if (got[i] === want[i]) continue
    const here = Math.abs(got[i]! - want[i]!)
    difference = here >= 0 ? Math.max(difference, here) : Infinity
  }
  return largest === 0 || difference === Infinity ? difference : difference / largest
}

/** The norm of the difference over the norm of `want`: one value among many that took another turn counts as little as it is. */
export function differenceOfNorms(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let value = 0
  let difference = 0
  for (let i = 0; i < want.length; i++) {
    value += want[i]! ** 2
    difference += (got[i]! - want[i]!) ** 2
  }
  if (!Number.isFinite(difference)) return Infinity
  return Math.sqrt(value === 0 ? difference : difference / value)
}

/** a - b, element by element, in float64. */
export function minus(a: Numbers, b: Numbers): Float64Array {
  return Float64Array.from(a as Float32Array, (x, i) => x - b[i]!)
}
