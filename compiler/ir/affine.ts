/**
 * Integer index arithmetic in normal form: a constant plus coefficients times atoms, where an atom is an axis, or a
 * floor division or remainder of another such form. Two equal forms have equal `key`s, so that loads can be shared.
 */

import { strides, type Tensor } from './tensor.ts'

/** How far an axis counts: a number, the batch `n`, or `ceil(n / chunks)`. */
export type Extent = number | 'n' | { readonly chunks: number }

/** A loop variable, told apart by identity: two axes of one name and extent are two axes. */
export interface Axis {
  readonly id: number
  readonly name: string
  readonly extent: Extent
}

export type Atom =
  | { readonly kind: 'axis'; readonly axis: Axis }
  | { readonly kind: 'div' | 'mod'; readonly of: Index; readonly by: number }

export interface Index {
  readonly constant: number
  /** Sorted by key, no two alike, no zero coefficient. */
  readonly terms: readonly { readonly atom: Atom; readonly coefficient: number }[]
  readonly key: string
  /** The key without the constant: neighbours in a tile share it. */
  readonly termsKey: string
}

let axes = 0
export const axis = (name: string, extent: Extent): Axis => ({ id: axes++, name, extent })

type IndexTerm = Index['terms'][number]

/** A form whose keys are made when somebody asks for them: most forms are never compared. */
class Form implements Index {
  readonly constant: number
  readonly terms: readonly IndexTerm[]
  /** The form that it was shifted from: their terms are one list, with one key. */
  private readonly base: Form | undefined
  private ownKey: string | undefined

  constructor(constant: number, terms: readonly IndexTerm[], base?: Form) {
    this.constant = constant
    this.terms = terms
    this.base = base
  }

  get termsKey(): string {
    if (this.base) return this.base.termsKey
    if (this.ownKey === undefined) {
      let key = ''
      for (const { atom, coefficient } of this.terms) key += `+${coefficient}*${atomKey(atom)}`
      this.ownKey = key
    }
    return this.ownKey
  }

  get key(): string {
    return `${this.constant}${this.termsKey}`
  }

  shifted(by: number): Form {
    return new Form(this.constant + by, this.terms, this.base ?? this)
  }
}

function atomKey(atom: Atom): string {
  if (atom.kind !== 'axis') return `${atom.kind}(${atom.of.key},${atom.by})`
  // Behind the number of its digits, so that terms stand in the order of their axes however many were made before.
  const id = String(atom.axis.id)
  return `a${DIGITS[id.length]}${id}`
}
const DIGITS = 'abcdefghijklmnopqrstuvwxyz'

/** The order of terms: that of their keys. */
function compareAtoms(a: Atom, b: Atom): number {
  if (a.kind === 'axis') return b.kind === 'axis' ? a.axis.id - b.axis.id : -1
  if (b.kind === 'axis') return 1
  const [left, right] = [atomKey(a), atomKey(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

/** The same form so much further on. */
export const shift = (a: Index, by: number): Index => (by === 0 ? a : (a as Form).shifted(by))

export type IndexLike = Index | Axis | number

export function index(value: IndexLike): Index {
  if (typeof value === 'number') return new Form(value, [])
  if ('terms' in value) return value
  const known = ofAxis.get(value)
  if (known) return known
  const made = atomIndex({ kind: 'axis', axis: value })
  ofAxis.set(value, made)
  return made
}

const ofAxis = new WeakMap<Axis, Index>()

/** The sum of `coefficient * part` over all pairs. */
export function combine(parts: readonly (readonly [number, IndexLike])[]): Index {
  let constant = 0
  const terms: { atom: Atom; coefficient: number }[] = []
  for (const [factor, part] of parts) {
    if (typeof part === 'number') {
      constant += factor * part
      continue
    }
    const form = index(part)
    constant += factor * form.constant
    let at = 0
    for (const { atom, coefficient } of form.terms) {
      let order = -1
      while (at < terms.length && (order = compareAtoms(terms[at]!.atom, atom)) < 0) at++
      if (at < terms.length && order === 0) terms[at]!.coefficient += factor * coefficient
      else terms.splice(at, 0, { atom, coefficient: 0 + factor * coefficient })
    }
  }
  return new Form(
    constant,
    terms.some(({ coefficient }) => coefficient === 0) ? terms.filter(({ coefficient }) => coefficient !== 0) : terms,
  )
}

export function plus(...parts: IndexLike[]): Index {
  if (parts.length === 2 && typeof parts[1] === 'number') return shift(index(parts[0]!), parts[1])
  return combine(parts.map((part) => [1, part] as const))
}
export const minus = (a: IndexLike, b: IndexLike): Index => combine([[1, a], [-1, b]])
export const times = (a: IndexLike, factor: number): Index => combine([[factor, a]])

/** floor(a / by), for by > 0. Terms that `by` divides leave the division. */
export function divide(a: IndexLike, by: number): Index {
  if (by === 1) return index(a)
  const { whole, rest } = splitBy(index(a), by)
  if (rest.terms.length === 0) return plus(whole, Math.floor(rest.constant / by))
  const bounds = rangeOf(rest)
  if (Math.floor(bounds.min / by) === Math.floor(bounds.max / by)) return plus(whole, Math.floor(bounds.min / by))
  return plus(whole, atomIndex({ kind: 'div', of: rest, by }))
}

/** a mod by, in 0..by-1. */
export function remainder(a: IndexLike, by: number): Index {
  if (by === 1) return index(0)
  const { rest } = splitBy(index(a), by)
  if (rest.terms.length === 0) return index(((rest.constant % by) + by) % by)
  const bounds = rangeOf(rest)
  if (bounds.min >= 0 && bounds.max < by) return rest
  return atomIndex({ kind: 'mod', of: rest, by })
}

export const atomIndex = (atom: Atom): Index => new Form(0, [{ atom, coefficient: 1 }])

function splitBy(a: Index, by: number): { whole: Index; rest: Index } {
  const whole: [number, IndexLike][] = []
  const rest: [number, IndexLike][] = [[1, ((a.constant % by) + by) % by]]
  whole.push([1, (a.constant - (((a.constant % by) + by) % by)) / by])
  for (const { atom, coefficient } of a.terms) {
    if (coefficient % by === 0) whole.push([coefficient / by, atomIndex(atom)])
    else rest.push([coefficient, atomIndex(atom)])
  }
  return { whole: combine(whole), rest: combine(rest) }
}

/** Row-major position of an element in the tensor's storage. */
export const linearIndex = (t: Tensor, at: readonly IndexLike[]): Index =>
  combine(strides(t.shape).map((stride, i) => [stride, at[i]!] as const))

/** Smallest and largest value over the extents of its axes; the batch counts as unbounded. */
export function rangeOf(a: Index): { min: number; max: number } {
  let min = a.constant
  let max = a.constant
  for (const { atom, coefficient } of a.terms) {
    const bounds = atomRange(atom)
    let [one, other] = [coefficient * bounds.min, coefficient * bounds.max]
    if (Number.isNaN(one)) one = 0
    if (Number.isNaN(other)) other = 0
    min += Math.min(one, other)
    max += Math.max(one, other)
  }
  return { min, max }
}

/** Whether an index is an axis and nothing else. */
export function isAxis({ constant, terms: [term, ...others] }: Index, a: Axis): boolean {
  return term !== undefined && others.length === 0 && constant === 0 && term.coefficient === 1 && term.atom.kind === 'axis' &&
    term.atom.axis === a
}

function atomRange(atom: Atom): { min: number; max: number } {
  if (atom.kind === 'axis') {
    return { min: 0, max: typeof atom.axis.extent === 'number' ? atom.axis.extent - 1 : Infinity }
  }
  if (atom.kind === 'mod') return { min: 0, max: atom.by - 1 }
  const inner = rangeOf(atom.of)
  return { min: Math.floor(inner.min / atom.by), max: Math.floor(inner.max / atom.by) }
}

/** What stands for an axis. A Map is one. */
export interface Substitution {
  get(axis: Axis): IndexLike | undefined
  has(axis: Axis): boolean
}

/** Replaces axes; axes that are not in the map stay. Simplifies divisions and remainders again. */
export function substitute(a: Index, map: Substitution): Index {
  if (!axesOf(a).some((used) => map.has(used))) return a
  const parts: [number, IndexLike][] = [[1, a.constant]]
  for (const { atom, coefficient } of a.terms) parts.push([coefficient, substituteAtom(atom, map)])
  return combine(parts)
}

function substituteAtom(atom: Atom, map: Substitution): IndexLike {
  if (atom.kind === 'axis') return map.get(atom.axis) ?? atom.axis
  const of = substitute(atom.of, map)
  return atom.kind === 'div' ? divide(of, atom.by) : remainder(of, atom.by)
}

const knownAxes = new WeakMap<Index, readonly Axis[]>()

export function axesOf(a: Index): readonly Axis[] {
  const known = knownAxes.get(a)
  if (known) return known
  const axes: Axis[] = []
  for (const { atom } of a.terms) {
    if (atom.kind === 'axis') axes.push(atom.axis)
    else axes.push(...axesOf(atom.of))
  }
  knownAxes.set(a, axes)
  return axes
}

export function showIndex(a: Index, nameOf: (axis: Axis) => string = (used) => used.name): string {
  const parts = a.terms.map(({ atom, coefficient }) => {
    const name = atom.kind === 'axis'
      ? nameOf(atom.axis)
      : `(${showIndex(atom.of, nameOf)} ${atom.kind === 'div' ? '/' : '%'} ${atom.by})`
    return coefficient === 1 ? name : `${coefficient}*${name}`
  })
  if (a.constant !== 0 || parts.length === 0) parts.push(String(a.constant))
  return parts.join(' + ').replaceAll('+ -', '- ')
}
