import { invariant } from '../invariant.ts'
import type { BinaryOp } from '../ir/expression.ts'
import { type Axis, axis, type Extent, type Index, index, plus, rangeOf } from '../ir/affine.ts'
import { PlacedValues } from './placed-values.ts'
import { RESERVED_WORDS } from './reserved-words.ts'
import { lanesOf, type Statement, type Term, type TermOp, type Type } from './kernel-function.ts'

/** A loop body that is being written. */
export interface Scope {
  readonly statements: Statement[]
  /** Value numbers: structural key of a term -> the name that holds it. */
  readonly known: Map<string, Term>
}

/** What is known of a term while it is being written: which value it is, and the scope that it needs. */
type Marked = Term & { key?: string; depth?: number }

/**
 * Writes terms into nested scopes. Every operation is named once, in the outermost scope in which all it needs is known:
 * what does not change in a loop is computed before it, and nothing is computed twice.
 */
export class Terms {
  readonly scopes: Scope[] = []
  /** What expressions came to, in the scopes that are open. */
  readonly placed = new PlacedValues(this.scopes)
  /** Names the kernel in what goes wrong. */
  readonly kernel: string
  /** Conditions that hold here because everything around is skipped where they do not. */
  readonly assumed = new Set<string>()
  /** Depths of scopes that may be skipped, or are steps, outermost first: what changes with the loop around one is loaded inside. */
  readonly skippable: number[] = []
  /** Loop variables: how deep they are bound, and their names. */
  private readonly depthOf = new Map<Axis, number>()
  private readonly nameOf = new Map<Axis, string>()
  private readonly usedNames = new Set<string>(RESERVED_WORDS)
  private readonly taken = new Set<string>()
  /** Sums of loop variables, by what they sum up. */
  private readonly sums = new Map<string, Term>()
  private readonly counters = new Map<string, number>()

  constructor(kernel: string) {
    this.kernel = kernel
  }

  /** Names given so far, but for those that nothing may be called. */
  locals(): Set<string> {
    return this.taken
  }

  get innermost(): Scope {
    return this.scopes.at(-1)!
  }

  name(variable: Axis): string {
    return this.nameOf.get(variable)!
  }

  arithmetic(op: BinaryOp, a: Term, b: Term): Term {
    if (op === 'mul' && (isZero(a) || isZero(b))) return float(0)
    if (op === 'add' && isZero(a)) return b
    if ((op === 'add' || op === 'sub') && isZero(b)) return a
    return this.op(op, [a, b])
  }

  within(at: Index, extent: Extent): Term {
    const bounds = rangeOf(at)
    if (typeof extent === 'number') {
      if (bounds.min >= 0 && bounds.max < extent) return truth(true)
      if (bounds.max < 0 || bounds.min >= extent) return truth(false)
      return this.op('within', [this.indexTerm(at), int(extent)], 'bool')
    }
    const [only] = at.terms
    const whole = at.terms.length === 1 && at.constant === 0 && only!.coefficient === 1 && only!.atom.kind === 'axis' &&
      sameExtent(only!.atom.axis.extent, extent)
    if (whole) return truth(true)
    return this.op('within', [this.indexTerm(at), batchTerm(extent)], 'bool')
  }

  /** The same for four indices from `at` on. */
  allWithin(at: Index, step: number, extent: Extent): Term {
    const last = plus(at, 3 * step)
    if (typeof extent === 'number') {
      const [from, to] = step < 0 ? [last, at] : [at, last]
      if (rangeOf(from).min >= 0 && rangeOf(to).max < extent) return truth(true)
      if (rangeOf(to).max < 0 || rangeOf(from).min >= extent) return truth(false)
    }
    return this.op('within', [this.ramp(at, step), typeof extent === 'number' ? int(extent) : batchTerm(extent)], 'bool')
  }

  /** Four indices from `at` on. */
  ramp(at: Index, step: number): Term {
    const from = this.indexTerm(at)
    return this.named({ kind: 'ramp', from, step }, `ramp${step}(${this.key(from)})`, 'i32', 4, this.depth(from))
  }

  /** Four values that were found one by one. */
  together(parts: readonly Term[], type: Type = 'f32'): Term {
    if (parts.every((part) => this.key(part) === this.key(parts[0]!))) return parts[0]!
    return this.named(
      { kind: 'vector', parts },
      `v(${parts.map((p) => this.key(p)).join()})`,
      type,
      4,
      Math.max(...parts.map((p) => this.depth(p))),
    )
  }

  all(conditions: readonly Term[]): Term {
    const open = conditions.filter((c) => !(c.kind === 'truth' && c.value) && !this.assumed.has(this.key(c)))
    if (open.some((c) => c.kind === 'truth')) return truth(false)
    if (open.length === 0) return truth(true)
    // What holds for all lanes or for none is settled before lanes differ.
    const [whole, lanes] = [open.filter((c) => lanesOf(c) === 1), open.filter((c) => lanesOf(c) === 4)]
    return [...whole, ...lanes].reduce((a, b) => this.op('and', [a, b], 'bool'))
  }

  select(condition: Term, yes: Term, no: Term): Term {
    if (condition.kind === 'truth') return condition.value ? yes : no
    if (this.key(yes) === this.key(no)) return yes
    return this.op('select', [condition, yes, no])
  }

  op(op: TermOp, args: readonly Term[], type: Type = 'f32'): Term {
    const lanes = op === 'lanesum' || op === 'lanemax' ? 1 : Math.max(1, ...args.map(lanesOf)) as 1 | 4
    return this.named(
      this.raw(op, args, type, lanes),
      `${op}(${args.map((a) => this.key(a)).join()})`,
      type,
      lanes,
      Math.max(0, ...args.map((a) => this.depth(a))),
    )
  }

  /** What the invocations of a subgroup hold, put together. */
  ofSubgroup(combine: 'sum' | 'max', of: Term): Term {
    return this.named({ kind: 'subgroup', combine, of }, `subgroup ${combine}(${this.key(of)})`, 'f32', 1, this.depth(of))
  }

  subgroupSize(): Term {
    return this.named({ kind: 'subgroupSize' }, 'subgroup size', 'i32', 1, 0)
  }

  raw(op: TermOp, args: readonly Term[], type: Type, lanes: 1 | 4): Term {
    return { kind: 'operation', op, args, type, lanes }
  }

  named(term: Term, key: string, type: Type, lanes: 1 | 4, depth: number): Term {
    const scope = this.scopes[depth]!
    const known = scope.known.get(key)
    if (known) return known
    const name = this.fresh(type === 'bool' ? 'b' : type === 'i32' ? 'i' : 'v')
    scope.statements.push({ kind: 'let', name, type, lanes, value: term })
    // From here on its name is its key: keys of keys would grow with every operation.
    const reference = this.mark({ kind: 'name', name, type, lanes }, name, depth)
    scope.known.set(key, reference)
    return reference
  }

  /** A result as it is now: variables that it needs are set again later. */
  now(op: TermOp, args: readonly Term[], type: Type = 'f32'): Term {
    const name = this.fresh(type === 'bool' ? 'b' : 'v')
    this.innermost.statements.push({ kind: 'let', name, type, lanes: 1, value: this.raw(op, args, type, 1) })
    return this.mark({ kind: 'name', name, type, lanes: 1 }, name, this.scopes.length - 1)
  }

  set(variable: Term, value: Term): void {
    invariant(variable.kind === 'name', () => `${this.kernel}: only a variable is set`)
    this.innermost.statements.push({ kind: 'set', name: variable.name, value })
  }

  /** An index as a term: loop variables of outer loops are added up outside, the constant last. */
  indexTerm(at: Index): Term {
    if (at.terms.length === 0) return int(at.constant)
    // Variables are told apart by identity, so a sum of them is never asked for outside the loops that bind them.
    let total = this.sums.get(at.termsKey)
    if (!total) {
      const parts = at.terms.map(({ atom, coefficient }) => {
        const term = atom.kind === 'axis' ? this.variableTerm(atom.axis) : this.divisionTerm(atom)
        return this.product(term, coefficient)
      }).sort((a, b) => this.depth(a) - this.depth(b))
      total = parts.reduce((a, b) => this.op('iadd', [a, b], 'i32'))
      this.sums.set(at.termsKey, total)
    }
    return at.constant === 0 ? total
      : this.mark(this.raw('iadd', [total, int(at.constant)], 'i32', 1), `${this.key(total)}+${at.constant}`, this.depth(total))
  }

  product(term: Term, coefficient: number): Term {
    return coefficient === 1 ? term : this.op('imul', [term, int(coefficient)], 'i32')
  }

  divisionTerm(atom: { kind: 'div' | 'mod'; of: Index; by: number }): Term {
    // Division truncates on every target: shift what may be negative up by whole multiples first.
    const lowest = rangeOf(atom.of).min
    const shift = lowest < 0 && Number.isFinite(lowest) ? Math.ceil(-lowest / atom.by) : 0
    const shifted = this.indexTerm(plus(atom.of, shift * atom.by))
    if (atom.kind === 'mod') return this.op('irem', [shifted, int(atom.by)], 'i32')
    const quotient = this.op('idiv', [shifted, int(atom.by)], 'i32')
    return shift === 0 ? quotient : this.op('iadd', [quotient, int(-shift)], 'i32')
  }

  floatOf(at: Index): Term {
    if (at.terms.length === 0) return float(at.constant)
    return this.op('float', [this.indexTerm(at)])
  }

  variableTerm(a: Axis): Term {
    const name = this.nameOf.get(a)
    invariant(name, () => `${this.kernel}: axis ${a.name} is not bound`)
    return this.mark({ kind: 'name', name, type: 'i32', lanes: 1 }, name, this.depthOf.get(a)!)
  }

  mark(term: Term, key: string, depth: number): Term {
    const marked = term as Marked
    marked.key = key
    marked.depth = depth
    return term
  }

  remember(term: Term, depth: number): Term {
    return this.mark(term, term.kind === 'lane' ? `${this.key(term.of)}.${term.lane}` : this.fresh('t'), depth)
  }

  key(term: Term): string {
    if (term.kind === 'number') return `${term.value}${term.type}`
    if (term.kind === 'truth') return String(term.value)
    if (term.kind === 'batch') return `n/${term.chunks}`
    if (term.kind === 'done') return 'done'
    const { key } = term as Marked
    invariant(key !== undefined, () => `${this.kernel}: a ${term.kind} term has no key`)
    return key
  }

  depth(term: Term): number {
    return (term as Marked).depth ?? 0
  }

  open(): Scope {
    const scope: Scope = { statements: [], known: new Map() }
    this.scopes.push(scope)
    return scope
  }

  /** Calls `inside` with the loop's index in units of `factor` steps; one round needs no loop. */
  loop(a: Axis, factor: number, inside: (at: Index) => void): void {
    if (a.extent === factor) return inside(index(0))
    this.looped(this.variable(a, factor, this.scopes.length), {}, inside)
  }

  /** Every `by`-th round of a loop over an axis, from `from` on, which is less than `by`. */
  strided(a: Axis, from: Axis, by: number, inside: (at: Index) => void): void {
    this.looped(this.variable(a, 1, this.scopes.length), { from: this.variableTerm(from), by }, inside)
  }

  /** The first points of an axis, as many as a term says. */
  firstOf(a: Axis, extent: Term, inside: (at: Index) => void): void {
    this.looped(this.variable(a, 1, this.scopes.length), { extent }, inside)
  }

  private looped(
    variable: Axis,
    bounds: Partial<Pick<Extract<Statement, { kind: 'for' }>, 'from' | 'by' | 'extent'>>,
    inside: (at: Index) => void,
  ): void {
    const scope = this.open()
    inside(index(variable))
    this.scopes.pop()
    const extent = typeof variable.extent === 'number' ? int(variable.extent) : batchTerm(variable.extent)
    this.innermost.statements.push({ kind: 'for', name: this.nameOf.get(variable)!, extent, ...bounds, body: scope.statements })
  }

  /** So many rounds over an axis, which the caller divides. */
  rounds(a: Axis, count: number, inside: (round: Index) => void): void {
    this.loop(axis(a.name, count), 1, inside)
  }

  /** The first lanes of four. */
  first(count: number): Term {
    return this.mark({ kind: 'vector', parts: range(4).map((lane) => truth(lane < count)) }, `first ${count}`, 0)
  }

  /** A loop variable that counts tiles of an axis. */
  variable(a: Axis, size: number, depth: number): Axis {
    invariant(size === 1 || typeof a.extent === 'number' || a.extent === 'n', () => `${a.name} cannot be tiled`)
    const extent: Extent = size === 1 ? a.extent : typeof a.extent === 'number' ? Math.ceil(a.extent / size) : { chunks: size }
    const variable = axis(a.name, extent)
    this.depthOf.set(variable, depth)
    this.nameOf.set(variable, this.unique(identifier(size === 1 ? a.name : `${a.name}_tile`)))
    return variable
  }

  /** A variable that is computed instead of counted: where a tile starts that may not hang over the edge. */
  bind(name: string, extent: number, value: Term): Axis {
    const depth = this.depth(value)
    const variable = axis(name, extent)
    this.depthOf.set(variable, depth)
    this.nameOf.set(variable, this.unique(identifier(name)))
    this.scopes[depth]!.statements.push({ kind: 'let', name: this.nameOf.get(variable)!, type: 'i32', lanes: 1, value })
    return variable
  }

  /** A variable that the kernel's head gives. */
  given(name: string, extent: number): Axis {
    const variable = axis(name, extent)
    this.depthOf.set(variable, 0)
    this.nameOf.set(variable, name)
    return variable
  }

  declare(name: string, start: Term, lanes: 1 | 4): Term {
    const variable: Term = { kind: 'name', name: this.fresh(name), type: 'f32', lanes }
    const depth = this.scopes.length - 1
    this.scopes[depth]!.statements.push({ kind: 'var', name: variable.name, type: 'f32', lanes, value: start })
    return this.mark(variable, variable.name, depth)
  }

  fresh(prefix: string): string {
    for (;;) {
      const count = this.counters.get(prefix) ?? 0
      this.counters.set(prefix, count + 1)
      const name = `${prefix}${count}`
      if (!this.usedNames.has(name)) return this.give(name)
    }
  }

  unique(wanted: string): string {
    let name = wanted
    for (let i = 2; this.usedNames.has(name); i++) name = `${wanted}_${i}`
    return this.give(name)
  }

  private give(name: string): string {
    this.usedNames.add(name)
    this.taken.add(name)
    return name
  }

  /** A sum as a balanced tree: shorter chains, smaller rounding. */
  total(terms: readonly Term[]): Term {
    if (terms.length === 1) return terms[0]!
    const half = terms.length >> 1
    return this.op('add', [this.total(terms.slice(0, half)), this.total(terms.slice(half))])
  }

  /** A scope of its own for one step of many: what it loads is not kept for others. */
  step(inside: () => void): void {
    this.skippable.push(this.scopes.length)
    const scope = this.open()
    inside()
    this.scopes.pop()
    this.skippable.pop()
    if (scope.statements.length > 0) this.innermost.statements.push({ kind: 'step', body: scope.statements })
  }

  /** Statements that run where a condition holds; what they need and nothing else does is computed inside, but for loads' addresses. */
  branch(condition: Term, inside: () => void): void {
    if (condition.kind === 'truth' && condition.value) return inside()
    const scope = this.open()
    inside()
    this.scopes.pop()
    if (scope.statements.length > 0) this.innermost.statements.push({ kind: 'if', condition, body: scope.statements })
  }

  /** A scope of its own for what runs only where the conditions hold; no branch where they always do. */
  skipping(conditions: readonly Term[], inside: () => void): void {
    const condition = this.all(conditions.filter((c, i) => conditions.indexOf(c) === i))
    if (condition.kind === 'truth') return inside()
    const keys = conditions.map((c) => this.key(c))
    for (const key of keys) this.assumed.add(key)
    this.skippable.push(this.scopes.length)
    const scope = this.open()
    inside()
    this.scopes.pop()
    this.skippable.pop()
    for (const key of keys) this.assumed.delete(key)
    this.innermost.statements.push({ kind: 'if', condition, body: scope.statements })
  }
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
export const float = (value: number, lanes: 1 | 4 = 1): Term =>
  lanes === 1 ? { kind: 'number', value, type: 'f32' }
    : { kind: 'vector', parts: range(4).map(() => ({ kind: 'number', value, type: 'f32' })) }
export const int = (value: number): Term => ({ kind: 'number', value, type: 'i32' })
export const truth = (value: boolean): Term => ({ kind: 'truth', value })
export const isZero = (term: Term): boolean => term.kind === 'number' && term.value === 0

const batchTerm = (extent: Exclude<Extent, number>): Term => ({ kind: 'batch', chunks: extent === 'n' ? 1 : extent.chunks })
const sameExtent = (a: Extent, b: Extent): boolean => a === b || (typeof a === 'object' && typeof b === 'object' && a.chunks === b.chunks)

/** A name that WGSL takes: letters, digits, single underscores. */
export const identifier = (name: string): string => {
  const plain = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '')
  return /^[A-Za-z]/.test(plain) ? plain : `t_${plain}`
}
