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

/** Relative change of each input. It is larger than a rounding, so that what rounding may do becomes visible in few runs. */
const CHANGE = 2 ** -18
/** Safety factor: the noise that a few runs show is not the largest possible. */
const MARGIN = 10
/** Differences below this part of the norm of all results are ignored. */
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

/** The largest change of each result that was seen. */
export function noiseOf(results: Results, others: readonly Results[], size: Measure): Record<string, number> {
  const seen = others.map((other) => distances(other, results, size))
  return Object.fromEntries(Object.keys(results).map((name) => [name, Math.max(...seen.map((s) => s[name]!))]))
}

/**
 * The difference of results relative to their size, the worst of all. The size is that of `want`, or a multiple of the noise where that
 * is more, so that a difference above `tolerance` is more than noise.
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
