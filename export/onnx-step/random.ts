import { layerKey } from '../../compiler/ops/dropout.ts'
import { randomUniform } from '../../compiler/targets/interpreter/random.ts'

/** The numbers in [0, 1) that a layer draws in a step of fusenet, for who wants the same of `random/LAYER`. `step` counts updates from 0. */
export function randomOf(
  layer: string,
  { seed, step, count }: { readonly seed: number; readonly step: number; readonly count: number },
): Float32Array {
  const key = layerKey(layer)
  return Float32Array.from({ length: count }, (_, at) => randomUniform(seed >>> 0, step, key, at))
}
