import type { Axis } from '../../compiler/ir/affine.ts'
import { extentsOf, type Known } from './folding.ts'
import type { StepNodes } from './step-nodes.ts'

/** A value of the model at all points of some axes: a dimension for each of them, in their order. */
export interface Made {
  readonly name: string
  readonly axes: readonly Axis[]
}

/** What an expression is: a value of the model, or numbers that are known already. */
export type Written = Made | Known

export const isMade = (of: Written): of is Made => 'name' in of

/** The number that it is everywhere, if it is one. */
export const numberIn = (of: Written): number | undefined => (!isMade(of) && of.axes.length === 0 ? of.values[0] : undefined)

/** The reason why an equation has no form in ONNX. */
export class Unwritable extends Error {
  override name = 'Unwritable'
}

/**
 * The axes of an equation in the order in which dimensions stand: those of its points, then those of its reductions, outer ones first. The
 * batch is an axis like others; of its extent nothing is known but that it is `n`.
 */
export class Scope {
  private readonly places = new Map<Axis, number>()

  enter(axes: readonly Axis[]): void {
    for (const axis of axes) if (!this.places.has(axis)) this.places.set(axis, this.places.size)
  }

  readonly sorted = (axes: Iterable<Axis>): readonly Axis[] => [...new Set(axes)].sort((a, b) => this.placeOf(a) - this.placeOf(b))

  private placeOf(axis: Axis): number {
    const place = this.places.get(axis)
    if (place === undefined) throw new Unwritable(`${axis.name} is an axis of nothing context it`)
    return place
  }
}

/** A shape as Reshape wants it: the batch is what is left. */
export const reshapeTo = (axes: readonly Axis[]): number[] => axes.map(({ extent }) => (typeof extent === 'number' ? extent : -1))

/** The axes of values that meet: in the order of the one that has all of them, so that the largest value stays as it lies; else in that of the scope. */
export function joined(scope: Scope, values: readonly Written[]): readonly Axis[] {
  const sorted = scope.sorted(values.flatMap(({ axes }) => axes))
  return values.find((value) => isMade(value) && value.axes.length === sorted.length)?.axes ?? sorted
}

/** The same value with its axes in the order that they have in a list. */
function ordered(nodes: StepNodes, of: Written, axes: readonly Axis[]): Written {
  const order = axes.filter((axis) => of.axes.includes(axis))
  if (order.every((axis, d) => of.axes[d] === axis)) return of
  if (isMade(of)) return { name: nodes.transpose(of.name, order.map((axis) => of.axes.indexOf(axis))), axes: order }
  const steps = of.axes.map((_, d) => countOf(of.axes.slice(d + 1)))
  const places = order.reduce<number[]>((before, axis) => {
    const step = steps[of.axes.indexOf(axis)]!
    return before.flatMap((at) => Array.from({ length: axis.extent as number }, (_, i) => at + i * step))
  }, [0])
  return { axes: order, values: places.map((at) => of.values[at]!) }
}

/** The name of a value of fewer axes that broadcasts over `axes`: ones stand for those that it lacks behind its first. `whole`: in front of it too. */
export function aligned(nodes: StepNodes, given: Written, axes: readonly Axis[], whole = false): string {
  const of = ordered(nodes, given, axes)
  const lead = whole ? 0 : axes.findIndex((axis) => of.axes.includes(axis))
  const over = of.axes.length === 0 && !whole ? [] : axes.slice(lead)
  const missing = over.flatMap((axis, d) => (of.axes.includes(axis) ? [] : [d]))
  if (isMade(of)) return nodes.unsqueeze(of.name, missing)
  return nodes.numbers(of.values, over.map((axis) => (of.axes.includes(axis) ? axis.extent as number : 1)))
}

/** A value of exactly `axes`, repeated along those that it lacks. `batch`: the batch as a shape [1]. */
export function spread(nodes: StepNodes, of: Written, axes: readonly Axis[], batch: () => string): string {
  const missing = axes.filter((axis) => !of.axes.includes(axis))
  if (missing.length === 0) return aligned(nodes, of, axes)
  const shape = axes.map((axis) => (of.axes.includes(axis) ? 1 : axis.extent))
  const sizes = shape.every((extent) => typeof extent === 'number') ? nodes.integers(shape)
    : nodes.add('Concat', shape.map((extent) => (typeof extent === 'number' ? nodes.integers([extent]) : batch())), { axis: 0 })
  return nodes.add('Expand', [aligned(nodes, of, axes, true), sizes])
}

/** Numbers as truths over their own axes, with ones for those of `axes` that they lack. */
export function truths(nodes: StepNodes, of: Known, axes: readonly Axis[]): string {
  const over = axes.slice(Math.max(0, axes.findIndex((axis) => of.axes.includes(axis))))
  const shape = of.axes.length === 0 ? [] : over.map((axis) => (of.axes.includes(axis) ? axis.extent as number : 1))
  return nodes.truths(of.values.map((value) => value !== 0), shape)
}

export const countOf = (axes: readonly Axis[]): number => extentsOf(axes).reduce((product, extent) => product * extent, 1)
