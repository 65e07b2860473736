import { InputError } from '../bundle/errors.ts'
import type { ParameterEntry, TensorData } from '../bundle/format.ts'
import type { TrainStats } from '../bundle/programs.ts'
import type { Executor } from './executor.ts'

const FACTOR = '.scale_factor'
const layerOf = (name: string): string => name.slice(0, name.lastIndexOf('.'))

/**
 * What refuses a training step that normalizes with stored statistics of which there are none: sums (`stats: caffe`) over a factor of 0. Mean and variance
 * are 0 then, so that values become some 1 / sqrt(eps) as large. It reads parameters, at its turn. Undefined where there are some, as far as is known.
 */
export function refuseNoStatistics(executor: Executor, stats?: TrainStats): (() => Promise<void>) | undefined {
  const isStored = ({ name, frozen }: ParameterEntry): boolean =>
    name.endsWith(FACTOR) && (stats === 'global' || frozen === true) && !executor.seenFactors.has(name)
  const names = executor.manifest.parameters.filter(isStored).map(({ name }) => name)
  if (names.length === 0) return undefined
  return async () => {
    const values = await executor.store.values(names)
    const empty = names.filter((name) => values.get(name)?.[0] === 0).map(layerOf)
    if (empty.length > 0)
      throw new InputError(
        `${empty.slice(0, 4).join(', ')}${
          empty.length > 4 ? ` and ${empty.length - 4} more` : ''
        }: there are no stored statistics to train with, ${
          empty[0]
        }${FACTOR} is 0. Train with those of each batch first (stats: 'batch'), or start from weights that have some`,
      )
    for (const name of names) executor.seenFactors.add(name)
  }
}

/** Layers whose running statistics are as they were made, mean 0 and variance 1: what is normalized with them passes as it is. */
export function untouchedStatistics(parameters: ReadonlyMap<string, TensorData>): string[] {
  const all = (name: string, value: number): boolean =>
    Array.from(parameters.get(name)?.data as Float32Array ?? []).every((v) => v === value)
  return [...parameters.keys()].filter((name) => name.endsWith('.running_var')).map(layerOf)
    .filter((layer) => all(`${layer}.running_mean`, 0) && all(`${layer}.running_var`, 1))
}
