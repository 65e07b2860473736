import { type Axis, axesOf, isAxis } from '../../compiler/ir/affine.ts'
import type { Equation, Store } from '../../compiler/ir/equation.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import { Expressions } from './expressions.ts'
import type { WritingContext } from './writing-context.ts'
import { extentsOf } from './folding.ts'
import { Scope, spread, Unwritable, type Written } from './written.ts'

export interface EquationContext extends WritingContext {
  /** Says which value of the model holds a tensor from now on. */
  readonly wrote: (tensor: Tensor, name: string) => void
  /** A number of elements, to be added to a counter. */
  readonly counted: (count: string) => void
  /** The batch as a shape [1]. */
  readonly batchShape: () => string
}

/** Writes an equation: whatever it stores is a value of the model afterwards. */
export function writeEquation({ axes, stores }: Equation, context: EquationContext): void {
  const scope = new Scope()
  const expressions = new Expressions(context, scope, axes)
  // All is read before anything is written: an equation may update in place.
  const values = stores.map(({ value }) => expressions.write(value))
  const byTensor = new Map<Tensor, { store: Store; value: Written }[]>()
  stores.forEach((store, i) => {
    const value = values[i]!
    if (store.counts) {
      const all = spread(context.nodes, value, axes, context.batchShape)
      context.counted(context.nodes.reduce('ReduceSum', all, axes.map((_, d) => d)))
      return
    }
    const found = byTensor.get(store.tensor)
    if (found) found.push({ store, value })
    else byTensor.set(store.tensor, [{ store, value }])
  })
  for (const [tensor, parts] of byTensor) context.wrote(tensor, whole(tensor, parts, context, scope))
}

/** A tensor of all that is stored to it: one store, or one for each position of a dimension. */
function whole(
  { name, shape }: Tensor,
  parts: readonly { readonly store: Store; readonly value: Written }[],
  context: EquationContext,
  scope: Scope,
): string {
  const { nodes } = context
  const rows = parts.map(({ store: { at }, value }) => {
    const axes = at.map((form, d) => counting(form, scope.sorted(axesOf(form)), shape[d]!, context))
    const order = axes.flat()
    if (value.axes.some((axis) => !order.includes(axis))) throw new Unwritable(`${name} is stored several times`)
    const all = spread(nodes, value, order, context.batchShape)
    const sizes = axes.map((some, d) => (some.length === 0 ? 1 : shape[d]!))
    const isPlain = axes.every((some) => some.length === 1)
    return { at, axes, value: isPlain ? all : nodes.reshape(all, sizes.map((size) => (size === 'n' ? -1 : size))) }
  })
  const fixed = shape.flatMap((_, d) => (rows[0]!.axes[d]!.length === 0 && shape[d] !== 1 ? [d] : []))
  if (fixed.length === 0 && rows.length === 1) return rows[0]!.value
  const [d] = fixed
  const sorted = [...rows].sort((a, b) => a.at[d!]!.constant - b.at[d!]!.constant)
  if (fixed.length !== 1 || sorted.length !== shape[d!] || sorted.some(({ at }, i) => at[d!]!.constant !== i))
    throw new Unwritable(`${name} is stored in parts`)
  return nodes.add('Concat', sorted.map(({ value }) => value), { axis: d! })
}

/** The axes that count through a dimension, outer ones first; none where one position is stored. */
function counting(form: Store['at'][number], axes: readonly Axis[], dim: number | 'n', { folding }: WritingContext): readonly Axis[] {
  if (axes.length === 0) return []
  if (axes.length === 1 && isAxis(form, axes[0]!) && axes[0]!.extent === dim) return axes
  if (axes.some(({ extent }) => typeof extent !== 'number')) throw new Unwritable('a part of the batch is stored')
  // The axis that moves furthest comes first.
  const order = [...axes].sort((a, b) => stepOf(form, b) - stepOf(form, a))
  const positions = folding.positions(form, order)
  if (extentsOf(order).reduce((product, extent) => product * extent, 1) !== dim || positions.some((at, i) => at !== i))
    throw new Unwritable('some elements are stored')
  return order
}

const stepOf = ({ terms }: Store['at'][number], axis: Axis): number =>
  terms.find(({ atom }) => atom.kind === 'axis' && atom.axis === axis)?.coefficient ?? 0
