import type { Initializer, ParameterEntry } from '../bundle/format.ts'
import { stream } from './random.ts'
import { elementCount } from '../bundle/sizes.ts'

/**
 * A parameter's first values, float32 on every device: known by (seed, name) and nothing else, so neither the order of
 * parameters nor what the rest of the net looks like changes them.
 */
export function initialValues(parameter: Pick<ParameterEntry, 'name' | 'shape' | 'initializer'>, seed: number): Float32Array {
  const values = new Float32Array(elementCount(parameter.shape))
  const valueAt = filler(parameter.initializer, parameter.shape, seed, parameter.name)
  for (let i = 0; i < values.length; i++) values[i] = valueAt(i)
  return values
}

function filler(init: Initializer, shape: readonly number[], seed: number, name: string): (i: number) => number {
  const random = stream(seed, name)
  switch (init.kind) {
    case 'constant':
      return () => init.value
    case 'gaussian':
      return (i) => init.mean + init.deviation * random.gaussian(i)
    case 'uniform':
      return (i) => {
        const value = init.low + (init.high - init.low) * random.uniform(i)
        // Rounding to float32 may reach the excluded end.
        return Math.fround(value) < init.high ? value : init.low
      }
    // Caffe's BilinearFiller: f = ceil(k/2), c = (k - 1) / 2f, (1 - |x/f - c|)(1 - |y/f - c|).
    case 'bilinear': {
      const k = shape.at(-1)!
      const f = Math.ceil(k / 2)
      const c = (k - 1) / (2 * f)
      return (i) => (1 - Math.abs((i % k) / f - c)) * (1 - Math.abs((Math.floor(i / k) % k) / f - c))
    }
  }
}
