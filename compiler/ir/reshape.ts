import { children, type Expression, guard, type Guard, type Reduction } from './expression.ts'
import { bottomUp, mapIndices, mapValues, substituteReduced } from './rewrite.ts'
import { type Axis, axis, type Index, type IndexLike, linearIndex, plus, rangeOf, substitute as substituteIndex, times } from './affine.ts'
import type { Equation } from './equation.ts'
import { strideOf } from './analysis.ts'
import { onceAtWork } from './once-by-node.ts'
import { reductionOf } from './expression-node.ts'

/** The same equation over other axes: each axis in the map is replaced, `axes` are what is left. */
export function overAxes(e: Equation, map: ReadonlyMap<Axis, IndexLike>, axes: readonly Axis[]): Equation {
  const change = (at: Index): Index => substituteIndex(at, map)
  // One for all stores: a sum that several of them share stays one sum.
  const values = mapIndices(change)
  return { ...e, axes, stores: e.stores.map((s) => ({ ...s, at: s.at.map(change), value: values(s.value) })) }
}

/** `a` as blocks of `size` elements, which divides it. */
export function splitAxis(e: Equation, a: Axis, size: number): { equation: Equation; outer: Axis; inner: Axis } {
  const outer = axis(`${a.name}_block`, (a.extent as number) / size)
  const inner = axis(a.name, size)
  const equation = overAxes(e, new Map([[a, plus(times(outer, size), inner)]]), e.axes.flatMap((x) => (x === a ? [outer, inner] : [x])))
  return { equation, outer, inner }
}

/** The points of `a` from `first` on, so many of them. */
export function pointsFrom(e: Equation, a: Axis, first: number, count: number): { equation: Equation; axis: Axis } {
  if (first === 0 && count === a.extent) return { equation: e, axis: a }
  const part = axis(a.name, count)
  return { equation: overAxes(e, new Map([[a, plus(part, first)]]), e.axes.map((x) => (x === a ? part : x))), axis: part }
}

/** Where the multiples of a divisor end along an axis, and what is left behind the last one. */
export const wholeAndRest = (a: Axis, by: number): { readonly whole: number; readonly rest: number } => {
  const rest = (a.extent as number) % by
  return { whole: (a.extent as number) - rest, rest }
}

/**
 * Cuts axes that are divided somewhere (a pixel's window in the gradient of pooling, upsampling) so that each step between two
 * multiples is an axis of its own: with those written out no division is left, and neighbours lie side by side. `inner` are
 * the new short axes, by the axis that counts multiples. `splits` says which divisors are worth it, `leaves` whether points behind the last multiple
 * may be left out; then `isWhole` tells whether there are any.
 */
export function splitDivided(
  e: Equation,
  splits: (by: number) => boolean,
  leaves = false,
): { equation: Equation; inner: ReadonlyMap<Axis, Axis>; isWhole: boolean } {
  const inner = new Map<Axis, Axis>()
  let [result, isWhole] = [e, true]
  for (const a of e.axes) {
    const by = divisorOf(e, a)
    if (by === undefined || !splits(by) || typeof a.extent !== 'number' || a.extent / by < 4) continue
    const { whole, rest } = wholeAndRest(a, by)
    if (rest > 0 && !leaves) continue
    isWhole &&= rest === 0
    const part = pointsFrom(result, a, 0, whole)
    const cut = splitAxis(part.equation, part.axis, by)
    result = cut.equation
    inner.set(cut.outer, cut.inner)
  }
  return { equation: result, inner, isWhole }
}

/** The forms of an equation that divide. Most have none, and each axis is looked for in all of them. */
const dividingForms = onceAtWork((e: Equation): readonly Index[] => {
  const [places, values]: [Index[], Index[]] = [[], []]
  for (const s of e.stores) collect(s.value, places, values)
  return [...places, ...values].filter(({ terms }) => terms.some(({ atom }) => atom.kind !== 'axis'))
})

/** What an axis is divided by, if always by the same. */
function divisorOf(e: Equation, a: Axis): number | undefined {
  const found = new Set<number>()
  const visit = (at: Index): void => {
    for (const { atom } of at.terms) {
      if (atom.kind === 'axis') continue
      if (strideOf(atom.of, a) === undefined) visit(atom.of)
      else if (strideOf(atom.of, a) !== 0) found.add(atom.by)
    }
  }
  for (const at of dividingForms(e)) visit(at)
  return found.size === 1 ? [...found][0] : undefined
}

/** Every index in the form that decides where memory is touched, and those that decide by value (guards, positions). */
function collect(e: Expression, places: Index[], values: Index[], seen = new Set<Expression>()): void {
  if (seen.has(e)) return
  seen.add(e)
  if (e.kind === 'load') places.push(linearIndex(e.tensor, e.at))
  if (e.kind === 'random') places.push(e.at)
  if (e.kind === 'position') values.push(e.at)
  if (e.kind === 'guard') values.push(...e.guards.map((g) => g.at))
  for (const child of children(e)) collect(child, places, values, seen)
}

/** Whether memory runs on from the end of b's range to the next of a. */
function runsOn(a: Axis, b: Axis, places: readonly Index[], values: readonly Index[]): boolean {
  if (typeof a.extent !== 'number' || typeof b.extent !== 'number') return false
  const { extent } = b
  if (values.some((form) => strideOf(form, a) !== 0 || strideOf(form, b) !== 0)) return false
  return places.every((form) => {
    const [strideA, strideB] = [strideOf(form, a), strideOf(form, b)]
    return strideA !== undefined && strideB !== undefined && strideA === strideB * extent
  })
}

/** Leaves out guards that always hold: a window of one element never meets the padding. */
export const dropTrueGuards = (e: Equation): Equation =>
  mapValues(
    e,
    bottomUp((node) => (node.kind === 'guard' ? guard(node.guards.filter((g) => !alwaysHolds(g)), node.value, node.otherwise) : node)),
  )

function alwaysHolds(g: Guard): boolean {
  if (g.kind === 'divides') return g.at.terms.every(({ coefficient }) => coefficient % g.by === 0) && g.at.constant % g.by === 0
  const { min, max } = rangeOf(g.at)
  return typeof g.extent === 'number' && min >= 0 && max < g.extent
}

/** Joins neighbouring axes that memory runs through without a gap, such as rows and columns of what is computed point by point. */
export function flattenAxes(e: Equation, apart: readonly Axis[] = []): Equation {
  const places: Index[] = e.stores.map((s) => linearIndex(s.tensor, s.at))
  const values: Index[] = []
  for (const s of e.stores) collect(s.value, places, values)
  for (let i = e.axes.length - 2; i >= 0; i--) {
    const [a, b] = [e.axes[i]!, e.axes[i + 1]!]
    if (apart.includes(a) || apart.includes(b) || !runsOn(a, b, places, values)) continue
    const joined = axis(`${a.name}${b.name}`, (a.extent as number) * (b.extent as number))
    const axes = e.axes.flatMap((x) => (x === a ? [joined] : x === b ? [] : [x]))
    return flattenAxes(overAxes(e, new Map<Axis, IndexLike>([[a, 0], [b, joined]]), axes), apart)
  }
  return e
}

/** The same for the axes of every sum: rows and columns of a picture are one long row. */
export const flattenReductions = (e: Equation): Equation =>
  mapValues(e, bottomUp((node) => (node.kind === 'reduce' && node.combine !== 'argmax' ? flattenReduction(node) : node)))

function flattenReduction(e: Reduction): Expression {
  const places: Index[] = []
  const values: Index[] = []
  collect(e.body, places, values)
  for (let i = e.axes.length - 2; i >= 0; i--) {
    const [a, b] = [e.axes[i]!, e.axes[i + 1]!]
    if (!runsOn(a, b, places, values)) continue
    const joined = axis(`${a.name}${b.name}`, (a.extent as number) * (b.extent as number))
    const axes = e.axes.flatMap((x) => (x === a ? [joined] : x === b ? [] : [x]))
    return flattenReduction(reductionOf(e.combine, axes, substituteReduced(e.body, new Map<Axis, IndexLike>([[a, 0], [b, joined]]))))
  }
  return e
}
