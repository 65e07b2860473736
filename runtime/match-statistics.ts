import type { TensorData } from '../bundle/format.ts'
import { showShape } from '../bundle/sizes.ts'

/** What became of stored statistics of another net. */
export interface MatchedStatistics {
  /** The tensors, in the form in which this net stores statistics. */
  readonly tensors: ReadonlyMap<string, TensorData>
  /** Names of tensors that were converted, or are left out, with what was done. */
  readonly converted: ReadonlyMap<string, string>
  readonly refused: ReadonlyMap<string, string>
}

const FACTOR = '.scale_factor'

/**
 * Running statistics of another net as this one stores them. `stats: caffe` and `global(scale_factor: true)` store sums, to be divided by
 * `scale_factor`; all others store means and variances. Sums are divided, unless their factor is 0: then there are no statistics yet. Means and
 * variances are sums over a factor of 1. `known`: shapes of this net's parameters.
 */
export function matchStatistics(given: ReadonlyMap<string, TensorData>, known: ReadonlyMap<string, string>): MatchedStatistics {
  const tensors = new Map(given)
  const converted = new Map<string, string>()
  const refused = new Map<string, string>()
  const pair = (layer: string): string[] => ['running_mean', 'running_var'].map((role) => `${layer}.${role}`)
  const fits = (name: string): boolean => given.has(name) && known.get(name) === showShape(given.get(name)!.shape)
  for (const [name, { data }] of given) {
    if (!name.endsWith(FACTOR) || known.has(name)) continue
    const layer = name.slice(0, -FACTOR.length)
    const factor = data.length === 1 ? Number(data[0]) : NaN
    for (const own of pair(layer).filter(fits)) {
      if (factor > 0 && Number.isFinite(factor)) {
        const { shape, data: sums } = given.get(own)!
        tensors.set(own, { shape, type: 'f32', data: Float32Array.from(sums as Float32Array, (sum) => sum / factor) })
        converted.set(own, `a sum there, divided by ${name}, ${Number(factor.toPrecision(6))}`)
      } else {
        tensors.delete(own)
        refused.set(own, `a sum there, and ${name} is ${factor}: there are no statistics yet`)
      }
    }
  }
  for (const name of known.keys()) {
    if (!name.endsWith(FACTOR) || given.has(name)) continue
    const layer = name.slice(0, -FACTOR.length)
    if (!pair(layer).every(fits)) continue
    tensors.set(name, { shape: [1], type: 'f32', data: Float32Array.of(1) })
    converted.set(name, 'statistics are means there: they are sums over a factor of 1')
  }
  return { tensors, converted, refused }
}
