import { BATCH, showDimensions } from '../dimension.ts'
import { shortFloat32 } from '../float32.ts'
import type { OnnxNode } from '../node.ts'
import { type Constant, countOf, parameterOf, type Tensor } from '../value.ts'

/** The number that a constant has everywhere; undefined where there are several, and for a learned one that is more than a number. */
export function numberIn(c: Constant): number | undefined {
  const count = countOf(c.shape)
  if (c.dimensions || count === 0 || count > 4096) return undefined
  const values = c.values()
  return values.every((v) => v === values[0]) && (count === 1 || !c.learned) ? shortFloat32(values[0]!) : undefined
}

/** A shape with ones in front, of `rank` axes. */
export const alignedTo = (
  shape: readonly number[],
  rank: number,
): readonly number[] => [...new Array<number>(Math.max(0, rank - shape.length)).fill(1), ...shape]

/** Whether a constant is a number for each channel of x: [C, 1, 1] of [n, C, H, W], [C] of [n, C]. */
export function isPerChannel(c: Constant, x: Tensor): boolean {
  const shape = alignedTo(c.shape, x.dims.length + 1)
  return shape.length === x.dims.length + 1 && shape.every((dim, d) => dim === (d === 1 ? x.dims[0] : 1))
}

/** The shape of a sample of a constant that is broadcast against x; refuses what is no sample's. */
function sampleShape(node: OnnxNode, c: Constant, rank: number): readonly number[] {
  if (c.shape.length > rank)
    return node.refuse(`a constant ${showDimensions(c.shape)} has more axes than the ${rank} of what it is joined with`)
  const [batch, ...dims] = alignedTo(c.shape, rank)
  if (batch !== 1)
    return node.refuse(
      `a constant ${showDimensions(c.shape)} with ${batch} samples of its own`,
      'what is joined with samples must be the same for all',
    )
  return dims
}

/** A constant as an operand of a layer that joins it with x: a number, or a parameter (one that is not learned stays as it is). */
export function operandOf(node: OnnxNode, c: Constant, x: Tensor): Tensor | number {
  if (c.shape.length <= x.dims.length + 1) {
    const number = numberIn(c)
    // A constant larger than x repeats x.
    if (number !== undefined && alignedTo(c.shape, x.dims.length + 1).every((dim, d) => dim === 1 || (d > 0 && dim === x.dims[d - 1])))
      return number
  }
  const dims = sampleShape(node, c, x.dims.length + 1)
  return node.emit('parameter', [], { dims, ...(!c.learned && { lr_mult: 0 }) }, dims, {
    parameters: { weight: parameterOf(c, dims) },
    main: false,
  })
}

/** The shape of a sample of operands of equal rank, singleton axes repeated; refuses others. */
export function broadcastDims(node: OnnxNode, all: readonly (readonly number[])[]): readonly number[] {
  const rank = Math.max(...all.map((dims) => dims.length))
  if (all.some((dims) => dims.length !== rank))
    return node.refuse(
      `operands ${all.map((dims) => showDimensions([BATCH, ...dims])).join(' and ')}: their batch axes do not meet`,
      'give them the same number of axes in the model (Unsqueeze)',
    )
  return all[0]!.map((_, d) => {
    const sizes = [...new Set(all.map((dims) => dims[d]!))].filter((dim) => dim !== 1)
    return sizes.length <= 1 ? sizes[0] ?? 1 : node.refuse(`sizes ${sizes.join(' and ')} do not go together`)
  })
}
