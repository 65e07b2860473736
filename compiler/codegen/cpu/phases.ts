import { type Axis, atomIndex, axesOf, axis, combine, type Index, type IndexLike, plus, rangeOf, substitute as substituteIndex,
  times } from '../../ir/affine.ts'
import { strideOf } from '../../ir/analysis.ts'
import type { Equation } from '../../ir/equation.ts'
import { children, constant, type Expression, type Guard, walk } from '../../ir/expression.ts'
import { dropTrueGuards, overAxes } from '../../ir/reshape.ts'
import { replaceNode, substitute } from '../../ir/rewrite.ts'
import { mainOf } from './contraction.ts'
import type { FactorName } from './schedule.ts'
import type { Contraction } from './simplify.ts'
import { reductionOf } from '../../ir/expression-node.ts'

/*
 * A convolution of stride s, transposed (the gradient by a strided convolution's input, deconvolution), as s dense convolutions along each
 * axis (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?"): with h = s h' + p, only elements
 * k = k0 + t j of the filter meet a window, the same ones for all h', so that no element is tried in vain and windows
 * are neighbours:
 *
 *   dx[s h' + p] = sum over j of dy[h' - m j + c(p)] weight[k0(p) + t j]
 */

/** What is computed of the points of one phase. */
export interface Phase {
  readonly equation: Equation
  /** Absent: no element of the filter meets a window, and the sum is zero. */
  readonly main?: Contraction['main']
  /** The sum with all of its guards: of another phase one may hold that fails elsewhere. */
  readonly guarded?: Contraction['main']
  /** The phase's axes by the axes that they stand for. */
  readonly axes: ReadonlyMap<Axis, Axis>
}

/** Phases are pieces of code of their own: no more than these. */
const MOST_PHASES = 16

/** The strides of the output axes that are divided in a sum of products; undefined where there are none, or not of this form. */
export function stridesOf({ equation, main }: Contraction): ReadonlyMap<Axis, number> | undefined {
  const strides = new Map<Axis, number>()
  let fits = true
  const take = (at: Index, by: number): void => {
    const divided = axesOf(at).filter((a) => equation.axes.includes(a))
    const [a] = divided
    if (!a) return
    if (divided.length > 1 || typeof a.extent !== 'number' || (strides.get(a) ?? by) !== by) fits = false
    strides.set(a, by)
  }
  const visit = (at: Index): void => {
    for (const { atom } of at.terms) {
      if (atom.kind === 'axis') continue
      take(atom.of, atom.by)
      visit(atom.of)
    }
  }
  for (const node of walk(main.body)) {
    if (node.kind === 'load') node.at.forEach(visit)
    if (node.kind === 'position' || node.kind === 'random') visit(node.at)
    if (node.kind === 'guard') {
      for (const g of node.guards) {
        if (g.kind === 'divides') take(g.at, g.by)
        visit(g.at)
      }
    }
  }
  const phases = [...strides.values()].reduce((a, b) => a * b, 1)
  return fits && strides.size > 0 && phases <= MOST_PHASES ? strides : undefined
}

/** The phases of an equation, the last axis counted fastest; undefined where a phase takes unevenly spaced elements of the filter. */
export function phasesOf(e: Equation, strides: ReadonlyMap<Axis, number>): readonly Phase[] | undefined {
  const found: (Phase | undefined)[] = []
  const visit = (rest: readonly (readonly [Axis, number])[], at: ReadonlyMap<Axis, number>): void => {
    const [next, ...others] = rest
    if (!next) {
      found.push(phaseAt(e, strides, at))
      return
    }
    const [a, stride] = next
    for (let p = 0; p < Math.min(stride, a.extent as number); p++) visit(others, new Map([...at, [a, p]]))
  }
  visit([...strides], new Map())
  return found.every((phase) => phase !== undefined) ? found : undefined
}

function phaseAt(e: Equation, strides: ReadonlyMap<Axis, number>, at: ReadonlyMap<Axis, number>): Phase | undefined {
  const axes = new Map<Axis, Axis>()
  const map = new Map<Axis, IndexLike>()
  for (const [a, p] of at) {
    const stride = strides.get(a)!
    const own = axis(a.name, Math.ceil(((a.extent as number) - p) / stride))
    axes.set(a, own)
    map.set(a, plus(times(own, stride), p))
  }
  const moved = overAxes(e, map, e.axes.map((a) => axes.get(a) ?? a))
  const main = mainOf(moved)
  const taken = new Map<Axis, IndexLike>()
  for (const a of main.axes) {
    const elements = elementsMet(main, a)
    if (elements === undefined) continue
    const [first, second] = elements
    if (first === undefined) return { equation: dropTrueGuards(withMain(moved, main, constant(0))), axes }
    const step = second === undefined ? 1 : second - first
    if (elements.some((k, i) => k !== first + i * step)) return undefined
    const own = axis(a.name, elements.length)
    axes.set(a, own)
    // A single element stands as a number, so that conditions on it are seen to hold.
    taken.set(a, elements.length === 1 ? first : plus(times(own, step), first))
  }
  const sum = reductionOf(main.combine, main.axes.map((a) => axes.get(a) ?? a), substitute(main.body, taken)) as Contraction['main']
  const equation = dropTrueGuards(withMain(moved, main, sum))
  return { equation, main: mainOf(equation), guarded: sum, axes }
}

const withMain = (e: Equation, main: Expression, by: Expression): Equation => ({
  ...e,
  stores: e.stores.map((s) => ({ ...s, value: replaceNode(s.value, main, by) })),
})

/** The steps of a reduced axis that a phase's conditions leave; undefined where nothing depends on it alone. */
function elementsMet(main: Contraction['main'], a: Axis): number[] | undefined {
  if (typeof a.extent !== 'number') return undefined
  const guards = [main.body.a, main.body.b].flatMap((f) => (f.kind === 'guard' && f.otherwise === 0 ? f.guards : []))
    .map((g): Guard => (g.kind === 'divides' ? { ...g, at: withoutMultiples(g.at, g.by) } : g))
    .filter((g) => axesOf(g.at).length > 0 && axesOf(g.at).every((b) => b === a))
  if (guards.length === 0) return undefined
  const holds = (g: Guard, k: number): boolean => {
    const { constant: value } = substituteIndex(g.at, new Map([[a, k]]))
    return g.kind === 'divides' ? value % g.by === 0 : typeof g.extent !== 'number' || (value >= 0 && value < g.extent)
  }
  return Array.from({ length: a.extent }, (_, k) => k).filter((k) => guards.every((g) => holds(g, k)))
}

/** What decides whether an index is a multiple of `by`. */
const withoutMultiples = (at: Index, by: number): Index =>
  combine([
    [1, at.constant],
    ...at.terms.filter(({ coefficient }) => coefficient % by !== 0).map(({ atom, coefficient }) => [coefficient, atomIndex(atom)] as const),
  ])

/** A factor that all phases read, each at windows of its own. */
export interface SharedFactor {
  /** The factor over axes that count all windows that any phase reads. */
  readonly whole: Expression
  readonly windows: readonly Axis[]
  /** By phase: the places in `windows` at which it reads. */
  readonly places: readonly (ReadonlyMap<Axis, Index> | undefined)[]
}

/** The factor `name` of all phases as one, so that it is packed once; undefined where phases read it in different ways. */
export function shareFactor(phases: readonly Phase[], strided: readonly Axis[], name: FactorName): SharedFactor | undefined {
  const factors = phases.map(({ guarded }) => guarded?.body[name])
  const first = factors.findIndex((f) => f !== undefined)
  if (first < 0) return undefined
  const map = new Map<Axis, IndexLike>()
  const windows: Axis[] = []
  const places = phases.map(() => new Map<Axis, Index>())
  for (const a of strided) {
    const seen = phases.map((phase, i) => factors[i] && windowOf(factors[i], phase.axes.get(a)!))
    if (seen.some((at, i) => factors[i] && !at)) return undefined
    const ranges = seen.flatMap((at) => (at ? [rangeOf(at)] : []))
    const [low, high] = [Math.min(...ranges.map((r) => r.min)), Math.max(...ranges.map((r) => r.max))]
    const window = axis(a.name, high - low + 1)
    windows.push(window)
    const base = seen[first]!
    const own = phases[first]!.axes.get(a)!
    if (strideOf(base, own) !== 1) return undefined
    for (const b of axesOf(base)) map.set(b, b === own ? plus(window, low - base.constant) : 0)
    seen.forEach((at, i) => at && places[i]!.set(window, plus(at, -low)))
  }
  const whole = substitute(factors[first]!, map)
  const agree = factors.every((f, i) => !f || isSame(f, substitute(whole, places[i]!)))
  return agree ? { whole, windows, places: places.map((at, i) => (factors[i] ? at : undefined)) } : undefined
}

/** The index at which a factor's loads move with an axis, where they do so alike. */
function windowOf(factor: Expression, a: Axis): Index | undefined {
  let found: Index | undefined
  for (const node of walk(factor)) {
    if (node.kind !== 'load') continue
    for (const at of node.at) {
      if (!axesOf(at).includes(a)) continue
      if (at.terms.some(({ atom }) => atom.kind !== 'axis') || (found && found.key !== at.key)) return undefined
      found = at
    }
  }
  return found
}

/** Whether two trees are equal but for the identity of their nodes. */
function isSame(a: Expression, b: Expression, known = new Map<Expression, Expression>()): boolean {
  if (a === b || known.get(a) === b) return true
  const [left, right] = [children(a), children(b)]
  const same = ownText(a) === ownText(b) && left.length === right.length && left.every((child, i) => isSame(child, right[i]!, known))
  if (same) known.set(a, b)
  return same
}

/** All of a node but its children. Loads of one tensor are told apart by its name. */
function ownText(e: Expression): string {
  switch (e.kind) {
    case 'load':
      return `load ${e.tensor.name} ${e.at.map((at) => at.key).join()}`
    case 'position':
      return `position ${e.at.key}`
    case 'random':
      return `random ${e.key} ${e.at.key}`
    case 'guard':
      return `guard ${e.otherwise} ${e.guards.map((g) => `${g.at.key} ${g.kind === 'divides' ? g.by : JSON.stringify(g.extent)}`).join()}`
    case 'constant':
      return `constant ${e.value}`
    case 'scalar':
      return `scalar ${e.name}`
    case 'select':
      return `select ${e.test}`
    case 'reduce':
      return `reduce ${e.combine} ${e.axes.map((a) => a.id).join()}`
    default:
      return `${e.kind} ${e.op}`
  }
}
