import type { Size } from '../../bundle/format.ts'
import type { Extent } from '../ir/affine.ts'

/** Points of a grid, linear in the batch: in the place of fixed * ceil(n / chunks) stands fixed * (n / chunks + 1), and the kernel stops what is beyond. */
export function gridSize(extents: readonly Extent[]): Size {
  const fixed = extents.reduce<number>((product, e) => product * (typeof e === 'number' ? e : 1), 1)
  const batched = extents.find((e) => typeof e !== 'number')
  if (batched === undefined) return { fixed, perSample: 0 }
  if (batched === 'n') return { fixed: 0, perSample: fixed }
  return { fixed, perSample: fixed / (batched as { chunks: number }).chunks }
}
