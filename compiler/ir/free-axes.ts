import { children, type Expression } from './expression.ts'
import { type Axis, axesOf } from './affine.ts'

const known = new WeakMap<Expression, ReadonlySet<Axis>>()

/** Axes that a value changes with. */
export function freeAxes(e: Expression): ReadonlySet<Axis> {
  const before = known.get(e)
  if (before) return before
  const found = new Set<Axis>()
  if (e.kind === 'load') { for (const at of e.at) for (const a of axesOf(at)) found.add(a) }
  if (e.kind === 'position' || e.kind === 'random') { for (const a of axesOf(e.at)) found.add(a) }
  if (e.kind === 'guard') { for (const g of e.guards) for (const a of axesOf(g.at)) found.add(a) }
  for (const child of children(e)) for (const a of freeAxes(child)) found.add(a)
  if (e.kind === 'reduce') { for (const a of e.axes) found.delete(a) }
  known.set(e, found)
  return found
}
