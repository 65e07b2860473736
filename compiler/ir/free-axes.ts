import type { Expression } from './expression.ts'
import { type Axis, axesOf } from './affine.ts'

const known = new WeakMap<Expression, ReadonlySet<Axis>>()
const NONE: ReadonlySet<Axis> = new Set()

/** Axes that a value changes with. A node that changes with no more than its first child shares the child's set. */
export function freeAxes(e: Expression): ReadonlySet<Axis> {
  const before = known.get(e)
  if (before) return before
  const found = find(e)
  known.set(e, found)
  return found
}

function find(e: Expression): ReadonlySet<Axis> {
  switch (e.kind) {
    case 'constant':
    case 'scalar':
      return NONE
    case 'load':
      return new Set(e.at.length === 1 ? axesOf(e.at[0]!) : e.at.flatMap(axesOf))
    case 'position':
    case 'random':
      return new Set(axesOf(e.at))
    case 'unary':
      return freeAxes(e.a)
    case 'binary':
      return joined(freeAxes(e.a), freeAxes(e.b))
    case 'select':
      return [e.b, e.yes, e.no].reduce((found, child) => joined(found, freeAxes(child)), freeAxes(e.a))
    case 'guard':
      return joined(new Set(e.guards.flatMap((g) => axesOf(g.at))), freeAxes(e.value))
    case 'reduce':
      return new Set([...freeAxes(e.body)].filter((a) => !e.axes.includes(a)))
  }
}

function joined(a: ReadonlySet<Axis>, b: ReadonlySet<Axis>): ReadonlySet<Axis> {
  if (a === b) return a
  for (const axis of b) if (!a.has(axis)) return new Set([...a, ...b])
  return a
}
