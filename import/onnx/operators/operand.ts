import { elementCount } from '../../../bundle/sizes.ts'
import { BATCH, showDimensions } from '../dimension.ts'
import { shortFloat32 } from '../float32.ts'
import type { OnnxNode } from '../node.ts'
import { type Constant, lazyConstant, parameterOf, rankOf, shapeOf, type Tensor } from '../value.ts'

/** The number that a constant has everywhere; undefined where there are several, and for a learned one that is more than a number. */
export function numberIn(c: Constant): number | undefined {
  const count = elementCount(c.shape)
  if (c.dimensions || count === 0 || count > 4096) return undefined
  const values = c.values()
  return values.every((v) => v === values[0]) && (count === 1 || !c.learned) ? shortFloat32(values[0]!) : undefined
}

/** A shape with ones in front, of `rank` axes. */
export const alignedTo = (
  shape: readonly number[],
  rank: number,
): readonly number[] => [...new Array<number>(Math.max(0, rank - shape.length)).fill(1), ...shape]

/** The shape of a constant among the axes of a sample of x; undefined where it has samples of its own, or more axes than x. */
export function withinSample(c: Constant, x: Tensor): readonly number[] | undefined {
  if (c.shape.length > rankOf(x)) return undefined
  const shape = alignedTo(c.shape, rankOf(x))
  if (x.bare) return shape
  return shape[0] === 1 ? shape.slice(1) : undefined
}

/** A constant that a model of a fixed batch holds once for each sample, all equal, as one sample has it; others as they are. */
export function ofOneSample({ net: { declaredBatch = 1 } }: OnnxNode, c: Constant, x: Tensor): Constant {
  if (x.bare || declaredBatch === 1 || c.dimensions || c.shape.length !== rankOf(x) || c.shape[0] !== declaredBatch) return c
  const values = c.values()
  const part = values.length / declaredBatch
  for (let i = part; i < values.length; i++) if (values[i] !== values[i - part]) return c
  return lazyConstant(c, [1, ...c.shape.slice(1)], () => c.values().subarray(0, part))
}

/** Whether a constant is a number for each channel of x: [C, 1, 1] of [n, C, H, W], [C] of [n, C]. */
export const isPerChannel = (c: Constant, x: Tensor): boolean =>
  withinSample(c, x)?.every((dim, d) => dim === (d === 0 ? x.dims[0] : 1)) ?? false

/** What no net learns: -1e9 or -Infinity in a mask, which is stored as weights are. */
const MASKING = 1e9

/** A constant as an operand of a layer that joins it with x: a number, or a parameter (one that is not learned stays as it is). */
export function operandOf(node: OnnxNode, given: Constant, x: Tensor): Tensor | number {
  const c = ofOneSample(node, given, x)
  const dims = withinSample(c, x)
    ?? node.refuse(
      `a constant ${showDimensions(c.shape)} does not go with ${showDimensions(shapeOf(x))}`,
      'what is joined with samples must be the same for all',
    )
  const number = numberIn(c)
  // A constant larger than x repeats x.
  if (number !== undefined && dims.every((dim, d) => dim === 1 || dim === x.dims[d])) return number
  const learns = c.learned && !c.values().some((v) => !(Math.abs(v) < MASKING))
  const parameter = node.emit('parameter', [], { dims, ...(!learns && { lr_mult: 0 }) }, dims, {
    parameters: { weight: parameterOf(c, dims) },
    main: false,
  })
  return x.bare ? { ...parameter, bare: true } : parameter
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
