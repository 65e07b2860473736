import type { OnnxNode } from '../node.ts'
import type { Tensor } from '../value.ts'

/** x under another shape of a sample; nothing where it is the same. */
export function reshapedTensor(node: OnnxNode, x: Tensor, dims: readonly number[]): Tensor {
  if (dims.join() === x.dims.join()) return x
  if (dims.length === 0) return node.refuse('a sample of no axes', 'keep an axis of one')
  if (dims.length === 1) return node.emit('flatten', [x], {}, dims, { type: x.type })
  return node.emit('reshape', [x], { dims }, dims, { type: x.type })
}
