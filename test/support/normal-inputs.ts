import type { Bundle } from '../../bundle/format.ts'
import { normals } from './random-net.ts'

/** Normal numbers for each input of a bundle by its name, for a batch of `batch` samples. */
export const normalInputs = ({ manifest }: Bundle, batch: number): Record<string, Float32Array> =>
  Object.fromEntries(
    manifest.inputs.map(({ name, shape }, i) => [
      name,
      normals(batch * shape.slice(1).reduce<number>((p, d) => p * (d as number), 1), i + 1),
    ]),
  )
