import type { Numbers } from '../bundle/device.ts'

/** Results by name. */
export type Results = Readonly<Record<string, ArrayLike<number>>>

export interface Difference {
  /** The largest of all. NaN, and what is missing or of another length, is infinitely far. */
  readonly worst: number
  /** Name of the result with the largest difference. */
  readonly at: string
}

/** Says how far results are apart: for each array of `want` by `of`, and the worst of them. */
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

export const largestOf = (values: ArrayLike<number>): number => {
  let largest = 0
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!))
  return largest
}

export const normOf = (values: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2
  return Math.sqrt(sum)
}

/** A norm that measures the size of an array: its largest value, or its Euclidean norm. */
export type Measure = typeof largestOf

/** Says by how much each array differs, in its own numbers. What is missing or no number is infinitely far; equal infinities are equal. */
export function distances(got: Results, want: Results, size: Measure): Record<string, number> {
  return Object.fromEntries(
    Object.entries(want).map(([name, expected]) => {
      const actual = got[name]
      if (actual?.length !== expected.length) return [name, Infinity]
      const distance = size(Float64Array.from(expected, (value, i) => (actual[i] === value ? 0 : actual[i]! - value)))
      return [name, Number.isNaN(distance) ? Infinity : distance]
    }),
  )
}

/** a - b, element by element, in float64. */
export function minus(a: Numbers, b: Numbers): Float64Array {
  return Float64Array.from(a as Float32Array, (x, i) => x - b[i]!)
}
