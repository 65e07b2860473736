import type { OnnxNode } from '../node.ts'
import type { Tensor, Value } from '../value.ts'
import { numberIn } from './operand.ts'

/** Whether both are one value, or one number. */
export const isSame = (a: Value, b: Value): boolean =>
  a.kind === 'tensor' ? b.kind === 'tensor' && a.name === b.name
    : a.kind === 'constant' && b.kind === 'constant' && numberIn(a) !== undefined && numberIn(a) === numberIn(b)

/** x where x > t, else 0. */
export const above = (node: OnnxNode, x: Tensor, t: number): Tensor =>
  t === 0 ? node.emit('relu', [x], {}, x.dims) : node.emit('thresholded_relu', [x], { alpha: t }, x.dims)

/** x times whether x > t: above t itself, below it 0. Undefined for another product. */
export function masked(node: OnnxNode): Tensor | undefined {
  const [a, b] = [node.value(0), node.value(1)]
  for (const [x, mask] of [[a, b], [b, a]] as const) {
    const known = mask.kind === 'tensor' ? node.net.comparisons.get(mask.name) : undefined
    if (!known || x.kind !== 'tensor') continue
    const { more, less, equal } = known
    const bound = less.kind === 'constant' ? numberIn(less) : undefined
    if (isSame(x, more) && bound !== undefined && (bound === 0 || !equal)) return above(node, x, bound)
    if (isSame(x, less) && more.kind === 'constant' && numberIn(more) === 0) return node.emit('min', [x, 0], {}, x.dims)
  }
  return undefined
}
