import { type Axis, axis, index, type Index, type IndexLike, plus, times } from './index-expression.ts'
import type { Shared, Term } from './routine.ts'
import { range, type Terms } from './terms.ts'

/** What every WebGPU grants a workgroup. */
export const WORKGROUP_BYTES = 16384
export const WORKGROUP_INVOCATIONS = 256

/** So many loads are on their way at once. */
const AT_ONCE = 8

/** The invocations of a workgroup and the memory that they share, while a kernel is being written. */
export class Workgroup {
  readonly terms: Terms
  /** Of an invocation, among all of its workgroup. */
  readonly local: Axis
  readonly size: number
  readonly shared: Shared[] = []
  private readonly bindings: number
  private loads = 0

  constructor(terms: Terms, size: number, bindings: number) {
    this.terms = terms
    this.size = size
    this.local = terms.given('local', size)
    this.bindings = bindings
  }

  get bytesLeft(): number {
    return this.shared.reduce((left, { elements, lanes }) => left - 4 * lanes * elements, WORKGROUP_BYTES)
  }

  /** A new array: what `load` and `store` statements call it. */
  array(name: string, elements: number, lanes: 1 | 4 = 1): number {
    return this.bindings + this.shared.push({ name: this.terms.unique(name), elements, lanes }) - 1
  }

  barrier(): void {
    this.terms.innermost.statements.push({ kind: 'barrier' })
  }

  store(array: number, at: Index, value: Term): void {
    this.terms.innermost.statements.push({ kind: 'store', binding: array, at: this.terms.indexTerm(at), value })
  }

  /** An element as it is now: after a barrier it may be another. */
  load(array: number, at: Index): Term {
    const term = this.terms.indexTerm(at)
    return this.terms.named({ kind: 'load', binding: array, at: term }, `shared ${this.loads++}`, 'f32', 1, this.terms.scopes.length - 1)
  }

  /** Statements for the invocations whose number is less than `count`. */
  first(count: number, inside: () => void): void {
    if (count >= this.size) inside()
    else this.terms.branch(this.terms.within(index(this.local), count), inside)
  }

  /**
   * Each of so many slots is computed by one invocation, then stored: several of them in turn, so that what they load is on its
   * way at the same time.
   */
  fill(slots: number, compute: (slot: Index) => () => void): void {
    const rounds = Math.ceil(slots / this.size)
    const whole = Math.floor(rounds / AT_ONCE)
    const several = (from: IndexLike, count: number): void => {
      const starts = range(count).map((i) => plus(from, i * this.size))
      const stores = starts.map((start) => compute(plus(start, this.local)))
      stores.forEach((store, i) => {
        const start = starts[i]!
        // Only the last may be partial.
        if (start.terms.length === 0) this.first(slots - start.constant, store)
        else store()
      })
    }
    const looped = whole * AT_ONCE * this.size <= slots ? whole : whole - 1
    if (looped > 1) this.terms.rounds(axis('fill', looped), looped, (at) => several(times(at, AT_ONCE * this.size), AT_ONCE))
    const done = looped > 1 ? looped * AT_ONCE : 0
    for (let round = done; round < rounds; round += AT_ONCE) several(round * this.size, Math.min(AT_ONCE, rounds - round))
  }

  /**
   * Sums of the values that the invocations hold, each over all of them, known to all: a tree in a fixed order. Everybody must
   * arrive here.
   */
  total(values: readonly Term[], combine: 'sum' | 'max' = 'sum'): Term[] {
    const array = this.array('part', values.length * this.size)
    const at = (i: number, from: IndexLike): Index => plus(i * this.size, from)
    values.forEach((value, i) => this.store(array, at(i, this.local), value))
    for (let half = this.size; half > 1;) {
      const [before, rest] = [half, Math.ceil(half / 2)]
      half = rest
      this.barrier()
      this.first(before - rest, () => values.forEach((_, i) => {
        const [a, b] = [this.load(array, at(i, this.local)), this.load(array, at(i, plus(this.local, rest)))]
        this.store(array, at(i, this.local), this.terms.op(combine === 'sum' ? 'add' : 'max', [a, b]))
      }))
    }
    this.barrier()
    return values.map((_, i) => this.load(array, at(i, 0)))
  }
}

/** The position of coordinates in a box. */
export const positionIn = (strides: readonly number[], at: readonly IndexLike[]): Index =>
  at.map((a, i) => times(a, strides[i]!)).reduce((a, b) => plus(a, b), index(0))
