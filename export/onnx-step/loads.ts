import { type Axis, axesOf, type Index, isAxis } from '../../compiler/ir/affine.ts'
import type { Load } from '../../compiler/ir/expression.ts'
import type { Dim } from '../../compiler/ir/tensor.ts'
import type { WritingContext } from './writing-context.ts'
import { extentsOf } from './folding.ts'
import { type Made, reshapeTo, type Scope, Unwritable } from './written.ts'

/** A dimension of a tensor as it is read: the axes that stand for it, which it is cut into where they count through all of it. */
interface Read {
  readonly axes: readonly Axis[]
  /** The positions that are read, in the order of the axes; absent where it is all of them. */
  readonly positions?: readonly number[]
}

/**
 * A tensor as an equation reads it, a dimension for each axis. Positions are known when the model is written: dimensions are taken whole, cut
 * into several, or gathered from. A position behind an end is one that a condition leaves out: its nearest neighbour stands there.
 */
export function writeLoad({ tensor, at }: Load, context: WritingContext, scope: Scope): Made {
  const { nodes } = context
  const name = context.nameOf(tensor)
  const axes = at.map((form) => scope.sorted(axesOf(form)))
  const found = axes.flat()
  if (new Set(found).size < found.length) return jointly({ name, shape: tensor.shape, at }, context, scope)
  const reads = at.map((form, d) => readOf(form, axes[d]!, tensor.shape[d]!, context))
  let value = name
  // From behind: what a dimension becomes moves those behind it alone.
  reads.forEach((_, i) => {
    const d = reads.length - 1 - i
    const { positions, axes } = reads[d]!
    if (positions) value = gathered(value, d, positions, axes, context)
  })
  if (reads.some(({ positions, axes }) => !positions && axes.length !== 1)) value = nodes.reshape(value, reshapeTo(found))
  return { name: value, axes: found }
}

function readOf(form: Index, axes: readonly Axis[], dim: Dim, { folding }: WritingContext): Read {
  const [first] = axes
  if (axes.length === 1 && isAxis(form, first!) && first!.extent === dim) return { axes }
  if (axes.some(({ extent }) => typeof extent !== 'number')) throw new Unwritable('an element of the batch that moves')
  if (dim === 'n' && (axes.length > 0 || form.constant !== 0)) throw new Unwritable('a part of the batch')
  const last = dim === 'n' ? 0 : dim - 1
  const positions = folding.positions(form, axes).map((at) => Math.min(Math.max(at, 0), last))
  const isWhole = dim !== 'n' && positions.length === dim && positions.every((at, i) => at === i)
  return isWhole ? { axes } : { axes, positions }
}

function gathered(value: string, d: number, positions: readonly number[], axes: readonly Axis[], { nodes }: WritingContext): string {
  const [from, second] = positions as [number, number | undefined]
  const step = (second ?? from + 1) - from
  if (axes.length === 1 && step > 0 && positions.every((at, i) => at === from + i * step)) {
    const places = [from, positions.at(-1)! + 1, d, step].map((number) => nodes.integers([number]))
    return nodes.add('Slice', [value, ...places])
  }
  return nodes.add('Gather', [value, nodes.integers(positions, extentsOf(axes))], { axis: d })
}

/** Dimensions that move together, as those of a diagonal, are one that is gathered from. The batch stays by itself. */
function jointly(
  { name, shape, at }: { readonly name: string; readonly shape: readonly Dim[]; readonly at: readonly Index[] },
  context: WritingContext,
  scope: Scope,
): Made {
  const { nodes, folding } = context
  const [batch] = at
  const isBatched = shape[0] === 'n'
  const batchAxes = isBatched ? axesOf(batch!) : []
  if (isBatched && !(batchAxes.length === 1 && isAxis(batch!, batchAxes[0]!))) throw new Unwritable('an element of the batch that moves')
  const from = isBatched ? 1 : 0
  const inner = at.slice(from)
  const axes = scope.sorted(inner.flatMap(axesOf))
  const sizes = shape.slice(from) as readonly number[]
  const positions = inner.map((form, d) => folding.positions(form, axes).map((at) => Math.min(Math.max(at, 0), sizes[d]! - 1)))
  const count = extentsOf(axes).reduce((product, extent) => product * extent, 1)
  const places = Array.from({ length: count }, (_, i) => sizes.reduce((place, size, d) => place * size + positions[d]![i]!, 0))
  const flat = nodes.reshape(name, [...(isBatched ? [-1] : []), sizes.reduce((product, size) => product * size, 1)])
  const made = nodes.add('Gather', [flat, nodes.integers(places, extentsOf(axes))], { axis: from })
  return { name: made, axes: [...batchAxes, ...axes] }
}
