import { LOWEST } from '../../ir/expression.ts'
import { type Axis, axis, index, type Index, type IndexLike, plus, times } from '../../ir/affine.ts'
import type { SharedArray, Operand } from '../kernel-function.ts'
import type { KernelBuilder } from '../builder.ts'
import { range } from '../range.ts'
import * as operands from '../operands.ts'
import { float, int } from '../operands.ts'
import * as statements from '../statements.ts'

/** What every WebGPU grants a workgroup. */
export const WORKGROUP_BYTES = 16384
export const WORKGROUP_INVOCATIONS = 256

/** Invocations of the smallest subgroup that a device may have (WebGPU, `subgroupMinSize`). */
const LEAST_SUBGROUP = 4

/** So many loads are on their way at once. */
const AT_ONCE = 8

/** The invocations of a workgroup and the memory that they share, while a kernel is being written. */
export class Workgroup {
  readonly builder: KernelBuilder
  /** The number of an invocation among all of its workgroup. */
  readonly local: Axis
  readonly size: number
  readonly shared: SharedArray[] = []
  /** Whether what a subgroup holds is put together by its own instructions; subgroups count through the workgroup in order. */
  readonly subgroups: boolean
  private readonly bindings: number
  private loads = 0
  private own: Axis | undefined

  constructor(builder: KernelBuilder, size: number, bindings: number, subgroups: boolean) {
    this.builder = builder
    this.size = size
    this.local = builder.providedVariable('local', size)
    this.bindings = bindings
    this.subgroups = subgroups
  }

  /** Subgroups that it can have. */
  get mostSubgroups(): number {
    return Math.ceil(this.size / LEAST_SUBGROUP)
  }

  get bytesLeft(): number {
    return this.shared.reduce((left, { elements, lanes }) => left - 4 * lanes * elements, WORKGROUP_BYTES)
  }

  /** A new array: what `load` and `store` statements call it. */
  array(name: string, elements: number, lanes: 1 | 4 = 1): number {
    return this.bindings + this.shared.push({ name: this.builder.names.unique(name), elements, lanes }) - 1
  }

  barrier(): void {
    this.builder.innermost.statements.push(statements.barrier())
  }

  store(array: number, at: Index, value: Operand): void {
    this.builder.innermost.statements.push(statements.store(array, this.builder.indexOperand(at), value))
  }

  /** An element as it is now: after a barrier it may be another. */
  load(array: number, at: Index): Operand {
    const operand = this.builder.indexOperand(at)
    return this.builder.value(
      operands.load(array, operand),
      `shared ${this.loads++}`,
      'f32',
      1,
      this.builder.scopes.length - 1,
    )
  }

  /** Statements for the invocations whose number is less than `count`. */
  first(count: number, inside: () => void): void {
    if (count >= this.size) inside()
    else this.builder.branch(this.builder.within(index(this.local), count), inside)
  }

  /** Statements for one invocation of each subgroup, which is told the subgroup's number. */
  firstOfSubgroup(inside: (subgroup: Index) => void): void {
    const { builder } = this
    const [local, size] = [builder.variableOperand(this.local), builder.subgroupSize()]
    this.own ??= builder.computedVariable('subgroup', this.mostSubgroups, builder.op('idiv', [local, size], 'i32'))
    const first = builder.op('imul', [builder.variableOperand(this.own), size], 'i32')
    builder.branch(builder.op('ieq', [first, local], 'bool'), () => inside(index(this.own!)))
  }

  /** One subgroup after the other, in order. */
  overSubgroups(inside: (subgroup: Index) => void): void {
    const size = this.builder.subgroupSize()
    const last = this.builder.op('idiv', [int(this.size - 1), size], 'i32')
    this.builder.boundedLoop(axis('each', this.mostSubgroups), this.builder.op('iadd', [last, int(1)], 'i32'), inside)
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
    if (looped > 1) this.builder.countedLoop(axis('fill', looped), looped, (at) => several(times(at, AT_ONCE * this.size), AT_ONCE))
    const done = looped > 1 ? looped * AT_ONCE : 0
    for (let round = done; round < rounds; round += AT_ONCE) several(round * this.size, Math.min(AT_ONCE, rounds - round))
  }

  /**
   * Sums of the values that the invocations hold, each over all of them, known to all: a tree in a fixed order. Everybody must
   * arrive here.
   */
  total(values: readonly Operand[], combine: 'sum' | 'max' = 'sum'): Operand[] {
    if (this.subgroups) return this.totalOfSubgroups(values, combine)
    const array = this.array('part', values.length * this.size)
    const at = (i: number, from: IndexLike): Index => plus(i * this.size, from)
    values.forEach((value, i) => this.store(array, at(i, this.local), value))
    for (let half = this.size; half > 1;) {
      const [before, rest] = [half, Math.ceil(half / 2)]
      half = rest
      this.barrier()
      this.first(before - rest, () =>
        values.forEach((_, i) => {
          const [a, b] = [this.load(array, at(i, this.local)), this.load(array, at(i, plus(this.local, rest)))]
          this.store(array, at(i, this.local), this.builder.op(combine === 'sum' ? 'add' : 'max', [a, b]))
        }))
    }
    this.barrier()
    return values.map((_, i) => this.load(array, at(i, 0)))
  }

  /** The same: what the subgroups have, in their order. */
  private totalOfSubgroups(values: readonly Operand[], combine: 'sum' | 'max'): Operand[] {
    const { builder } = this
    const array = this.array('part', values.length * this.mostSubgroups)
    const at = (i: number, subgroup: Index): Index => plus(i * this.mostSubgroups, subgroup)
    const parts = values.map((value) => builder.reduceSubgroup(combine, value))
    this.firstOfSubgroup((subgroup) => parts.forEach((part, i) => this.store(array, at(i, subgroup), part)))
    this.barrier()
    const totals = values.map(() => builder.declareVariable('total', float(combine === 'sum' ? 0 : LOWEST), 1))
    this.overSubgroups((subgroup) =>
      totals.forEach((total, i) =>
        builder.set(total, operands.operation(combine === 'sum' ? 'add' : 'max', [total, this.load(array, at(i, subgroup))], 'f32', 1))
      )
    )
    return totals
  }
}

/** The position of coordinates in a box. */
export const positionIn = (strides: readonly number[], at: readonly IndexLike[]): Index =>
  at.map((a, i) => times(a, strides[i]!)).reduce((a, b) => plus(a, b), index(0))
