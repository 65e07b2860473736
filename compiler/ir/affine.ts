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
export const axis = (name: string, extent: Extent): Axis => new LoopAxis(name, extent)

/** An axis that keeps the form that it is by itself, which is no part of it for whoever prints or compares axes. */
class LoopAxis implements Axis {
  readonly id = axes++
  readonly name: string
  readonly extent: Extent
  #form: Index | undefined
  #key: string | undefined

  constructor(name: string, extent: Extent) {
    this.name = name
    this.extent = extent
  }

  get index(): Index {
    return this.#form ??= atomIndex({ kind: 'axis', axis: this })
  }

  /** Its number behind the number of its digits, so that terms stand in the order of their axes however many were made before. */
  get key(): string {
    return this.#key ??= `a${DIGITS[String(this.id).length]}${this.id}`
  }
}

type IndexTerm = Index['terms'][number]

/** A form whose keys and axes are found when somebody asks for them: most forms are never compared. */
class Form implements Index {
  readonly constant: number
  readonly terms: readonly IndexTerm[]
  /** The form that it was shifted from: their terms are one list, with one key. */
  private readonly base: Form | undefined
  private ownKey: string | undefined
  private ownAxes: readonly Axis[] | undefined

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

  get axes(): readonly Axis[] {
    if (this.base) return this.base.axes
    return this.ownAxes ??= axesOfTerms(this.terms)
  }

  shifted(by: number): Form {
    return new Form(this.constant + by, this.terms, this.base ?? this)
  }
}

const atomKey = (atom: Atom): string => atom.kind === 'axis' ? (atom.axis as LoopAxis).key : `${atom.kind}(${atom.of.key},${atom.by})`
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
  return 'terms' in value ? value : (value as LoopAxis).index
}

/** A form that is being summed up, term by term. */
class Sum {
  private constant: number
  private readonly terms: IndexTerm[] = unused.pop() ?? []
  /** So many of `terms` are its own: an engine keeps the room of a list that is not emptied. */
  private count = 0

  constructor(constant = 0) {
    this.constant = constant
  }

  /** Adds `factor * part`. */
  add(factor: number, part: IndexLike): void {
    if (typeof part === 'number') {
      this.constant += factor * part
      return
    }
    const { constant, terms } = index(part)
    this.constant += factor * constant
    let at = 0
    for (let i = 0; i < terms.length; i++) at = this.addTerm(at, terms[i]!, factor)
  }

  /** Adds `factor * term` behind the first `from`, which come before it; the result is where it stands. */
  private addTerm(from: number, term: IndexTerm, factor: number): number {
    const { terms } = this
    const { atom } = term
    let at = from
    for (; at < this.count; at++) {
      const order = compareAtoms(terms[at]!.atom, atom)
      if (order < 0) continue
      if (order === 0) {
        terms[at] = { atom, coefficient: terms[at]!.coefficient + factor * term.coefficient }
        return at
      }
      for (let i = this.count; i > at; i--) terms[i] = terms[i - 1]!
      break
    }
    // Most sums take a term as it is. Zero has one sign.
    terms[at] = factor === 1 ? term : { atom, coefficient: 0 + factor * term.coefficient }
    this.count++
    return at
  }

  /** The form, which holds just its terms: a list that has grown has room for a dozen more. Ends the sum. */
  form(): Form {
    const { terms, count } = this
    let kept = 0
    for (let i = 0; i < count; i++) {
      const term = terms[i]!
      if (term.coefficient !== 0) terms[kept++] = term
    }
    const form = new Form(this.constant, kept === 0 ? NO_TERMS : terms.slice(0, kept))
    unused.push(terms)
    return form
  }
}

/** Lists of sums that have ended. */
const unused: IndexTerm[][] = []
const NO_TERMS: Index['terms'] = []

/** The sum of `coefficient * part` over all pairs. */
export function combine(parts: readonly (readonly [number, IndexLike])[]): Index {
  const sum = new Sum()
  for (let i = 0; i < parts.length; i++) sum.add(parts[i]![0], parts[i]![1])
  return sum.form()
}

export function plus(...parts: IndexLike[]): Index {
  if (parts.length === 2 && typeof parts[1] === 'number') return shift(index(parts[0]!), parts[1])
  const sum = new Sum()
  for (let i = 0; i < parts.length; i++) sum.add(1, parts[i]!)
  return sum.form()
}

export function minus(a: IndexLike, b: IndexLike): Index {
  const sum = new Sum()
  sum.add(1, a)
  sum.add(-1, b)
  return sum.form()
}

export function times(a: IndexLike, factor: number): Index {
  const sum = new Sum()
  sum.add(factor, a)
  return sum.form()
}

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
  const constant = ((a.constant % by) + by) % by
  const [whole, rest] = [new Sum((a.constant - constant) / by), new Sum(constant)]
  for (const { atom, coefficient } of a.terms) {
    if (coefficient % by === 0) whole.add(coefficient / by, atomIndex(atom))
    else rest.add(coefficient, atomIndex(atom))
  }
  return { whole: whole.form(), rest: rest.form() }
}

/** Row-major position of an element in the tensor's storage. */
export function linearIndex(t: Tensor, at: readonly IndexLike[]): Index {
  const sum = new Sum()
  strides(t.shape).forEach((stride, i) => sum.add(stride, at[i]!))
  return sum.form()
}

/** Smallest and largest value over the extents of its axes; the batch counts as unbounded. */
export function rangeOf(a: Index): { min: number; max: number } {
  let min = a.constant
  let max = a.constant
  for (const { atom, coefficient } of a.terms) {
    let [one, other] = [0, 0]
    if (atom.kind === 'axis') other = coefficient * (typeof atom.axis.extent === 'number' ? atom.axis.extent - 1 : Infinity)
    else {
      const bounds = divisionRange(atom)
      one = coefficient * bounds.min
      other = coefficient * bounds.max
    }
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

function divisionRange(atom: Exclude<Atom, { kind: 'axis' }>): { min: number; max: number } {
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
  if (!hasSome(axesOf(a), map)) return a
  const sum = new Sum(a.constant)
  for (const { atom, coefficient } of a.terms) sum.add(coefficient, substituteAtom(atom, map))
  return sum.form()
}

function hasSome(axes: readonly Axis[], map: Substitution): boolean {
  for (let i = 0; i < axes.length; i++) if (map.has(axes[i]!)) return true
  return false
}

function substituteAtom(atom: Atom, map: Substitution): IndexLike {
  if (atom.kind === 'axis') return map.get(atom.axis) ?? atom.axis
  const of = substitute(atom.of, map)
  return atom.kind === 'div' ? divide(of, atom.by) : remainder(of, atom.by)
}

export const axesOf = (a: Index): readonly Axis[] => (a as Form).axes

function axesOfTerms(terms: Index['terms']): readonly Axis[] {
  if (terms.every(({ atom }) => atom.kind === 'axis')) return terms.map(({ atom }) => (atom as Extract<Atom, { kind: 'axis' }>).axis)
  return terms.flatMap(({ atom }) => (atom.kind === 'axis' ? [atom.axis] : axesOf(atom.of)))
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
