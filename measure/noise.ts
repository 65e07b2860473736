import type { Numbers } from '../bundle/device.ts'
import type { TensorData } from '../bundle/format.ts'
import { stream } from '../runtime/random.ts'
import { type Difference, distances, type Measure, type Results } from './compare-results.ts'

/*
 * How far results may be apart that are both right. Kernels that add up in another order differ in their last places, and what becomes
 * of that is a matter of the net: a gradient that is 0 in exact arithmetic (of a bias or beta in front of a normalization) is
 * nothing but such noise, and a value that lies on the other side of ReLU's kink takes its gradients with it. No size of a result says that; so the same
 * kernels are asked: by how much do their results change if all that goes in changes in its last places?
 */

/** Of each number that goes in: some more than rounding does, so that what may happen by chance is seen to happen. */
const CHANGE = 2 ** -18
/** What is seen twice may be larger the third time. */
const MARGIN = 10
/** Of all results together: less is nobody's concern. */
const LEAST = 1e-4

/** Numbers with other last places; labels as they are. */
export function shaken<T extends Numbers>(values: T, name: string, seed: number): T {
  if (values instanceof Int32Array) return values
  const random = stream(seed, `${name} shaken`)
  return values.map((v: number, i: number) => v * (1 + CHANGE * (2 * random.uniform(i) - 1))) as T
}

export const shakenParameters = (parameters: ReadonlyMap<string, TensorData>, seed: number): Map<string, TensorData> =>
  new Map(
    [...parameters].map((
      [name, { shape, data }],
    ) => [name, { shape, type: 'f32', data: shaken(Float32Array.from(data as Float32Array), name, seed) }]),
  )

/** Of each result the largest change that was seen. */
export function noiseOf(results: Results, others: readonly Results[], size: Measure): Record<string, number> {
  const seen = others.map((other) => distances(other, results, size))
  return Object.fromEntries(Object.keys(results).map((name) => [name, Math.max(...seen.map((s) => s[name]!))]))
}

/**
 * How far results are apart, as a part of their size: of `want`, or where that is more of what noise would make of it, so that
 * whatever is above `tolerance` is more than noise. The worst of all.
 */
export function differenceBeyondNoise(
  got: Results,
  want: Results,
  noises: readonly Readonly<Record<string, number>>[],
  size: Measure,
  tolerance: number,
): Difference {
  const apart = distances(got, want, size)
  const whole = Math.hypot(...Object.values(want).map(size).filter(Number.isFinite))
  let found: Difference = { worst: 0, at: '' }
  for (const [name, distance] of Object.entries(apart)) {
    const noise = Math.max(0, ...noises.map((n) => n[name] ?? 0).filter(Number.isFinite))
    const scale = Math.max(size(want[name]!), MARGIN * noise / tolerance, LEAST * whole / tolerance)
    const worst = distance === 0 ? 0 : scale > 0 ? distance / scale : Infinity
    if (found.at === '' || worst > found.worst) found = { worst, at: name }
  }
  return found
}
