import type { Numbers } from '../bundle/device.ts'
import type { Bundle, InputEntry, TensorData } from '../bundle/format.ts'
import { stream } from '../runtime/random.ts'
import { elementCount } from '../bundle/sizes.ts'

/**
 * Synthetic numbers that stand for data and for a trained net. They depend on the seed and on names alone, so they are the same wherever
 * they are made.
 */

/** One batch of inputs: normally distributed numbers of deviation 1, and uniformly distributed labels. */
export function syntheticInputs(inputs: readonly InputEntry[], batch: number, seed: number): Record<string, Numbers> {
  return Object.fromEntries(inputs.map(({ name, shape, type, classes }) => {
    const random = stream(seed, name)
    const length = elementCount(shape, batch)
    return [
      name,
      type === 'i32' ? Int32Array.from({ length }, (_, i) => random.integer(i, classes ?? 2)) : Float32Array.from({ length }, (_, i) =>
        random.gaussian(i)),
    ]
  }))
}

/**
 * Weights of a net that looks trained. Gamma, beta and biases lie around the constants that they start with, running means near 0,
 * running variances from 1 to 2. With the starting constants themselves, normalization and its folding change nothing, and a wrong one
 * would not be seen. Sums of statistics (`stats: caffe`, `cumulative`) stay as they are.
 */
export function syntheticWeights({ manifest, weights }: Bundle, seed: number): Map<string, TensorData> {
  const counted = new Set(manifest.parameters.filter((p) => !p.trainable && !/\.running_(mean|var)$/.test(p.name)).map((p) => p.layer))
  const made = new Map<string, TensorData>(weights)
  for (const { name, shape, layer, trainable, initializer } of manifest.parameters) {
    if (initializer.kind !== 'constant' || made.has(name) || (!trainable && counted.has(layer))) continue
    const random = stream(seed, `${name} after a while`)
    const { value } = initializer
    const at = trainable || name.endsWith('.running_mean') ? (i: number) => value + 0.1 * random.gaussian(i) : (i: number) =>
      1 + random.uniform(i)
    made.set(name, { shape, type: 'f32', data: Float32Array.from({ length: elementCount(shape) }, (_, i) => at(i)) })
  }
  return made
}
