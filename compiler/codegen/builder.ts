import { invariant } from '../invariant.ts'
import type { BinaryOp } from '../ir/expression.ts'
import { type Axis, axis, type Extent, type Index, index, plus, rangeOf } from '../ir/affine.ts'
import { PointValues } from './point-values.ts'
import { lanesOf, type Statement, type Operand, type Opcode, type Type } from './kernel-function.ts'
import * as operands from './operands.ts'
import { int, float, truth } from './operands.ts'
import * as statements from './statements.ts'

/** A loop body (or branch) while it is being written. */
export interface Scope {
  readonly statements: Statement[]
  /** Value numbers: structural key of an operation -> the name that holds its result. */
  readonly valueNumbers: Map<string, Operand>
  /** The branch that `pushGuarded` wrote last: what has the same condition follows in it. */
  guarded?: { readonly branch: Statement; readonly key: string; readonly body: Statement[] }
}

/**
 * Builds the body of a kernel function (as LLVM's IRBuilder does). `value` is value numbering with loop-invariant code motion: each
 * operation is emitted once, in the outermost scope where its operands are defined. So what does not change in a loop is computed
 * before it, and nothing is computed twice. Operands are plain data: the key of a value number follows from their structure, and
 * the scope that defines a name is a field of the name.
 */
export class KernelBuilder {
  readonly scopes: Scope[] = []
  /** What expressions came to, in the scopes that are open. */
  readonly results = new PointValues(this.scopes)
  /** Names the kernel in what goes wrong. */
  readonly kernel: string
  /** Conditions that hold here because everything around is skipped where they do not. */
  readonly assumed = new Set<string>()
  /** Depths of scopes that may be skipped, or are steps, outermost first: what changes with the loop around one is loaded inside. */
  readonly conditionalScopes: number[] = []
  /** Loop variables: how deep they are bound, and their names. */
  private readonly depthOf = new Map<Axis, number>()
  private readonly nameOf = new Map<Axis, string>()
  private readonly usedNames = new Set<string>()
  private readonly reservedWords: ReadonlySet<string>
  /** Sums of loop variables, by what they sum up. */
  private readonly sums = new Map<string, Operand>()
  private readonly counters = new Map<string, number>()

  /** `reservedWords`: names of the target's language that nothing may be called. */
  constructor(kernel: string, reservedWords: ReadonlySet<string> = new Set()) {
    this.kernel = kernel
    this.reservedWords = reservedWords
  }

  get innermost(): Scope {
    return this.scopes.at(-1)!
  }

  name(variable: Axis): string {
    return this.nameOf.get(variable)!
  }

  arithmetic(op: BinaryOp, a: Operand, b: Operand): Operand {
    if (op === 'mul' && (isZero(a) || isZero(b))) return float(0)
    if (op === 'add' && isZero(a)) return b
    if ((op === 'add' || op === 'sub') && isZero(b)) return a
    return this.op(op, [a, b])
  }

  within(at: Index, extent: Extent): Operand {
    const bounds = rangeOf(at)
    if (typeof extent === 'number') {
      if (bounds.min >= 0 && bounds.max < extent) return truth(true)
      if (bounds.max < 0 || bounds.min >= extent) return truth(false)
      return this.op('within', [this.indexOperand(at), int(extent)], 'bool')
    }
    const [only] = at.terms
    const whole = at.terms.length === 1 && at.constant === 0 && only!.coefficient === 1 && only!.atom.kind === 'axis' &&
      sameExtent(only!.atom.axis.extent, extent)
    if (whole) return truth(true)
    return this.op('within', [this.indexOperand(at), operands.batch(extent)], 'bool')
  }

  /** The same for four indices from `at` on. */
  allLanesWithin(at: Index, step: number, extent: Extent): Operand {
    const last = plus(at, 3 * step)
    if (typeof extent === 'number') {
      const [from, to] = step < 0 ? [last, at] : [at, last]
      if (rangeOf(from).min >= 0 && rangeOf(to).max < extent) return truth(true)
      if (rangeOf(to).max < 0 || rangeOf(from).min >= extent) return truth(false)
    }
    return this.op('within', [this.ramp(at, step), typeof extent === 'number' ? int(extent) : operands.batch(extent)], 'bool')
  }

  /** Four indices from `at` on. */
  ramp(at: Index, step: number): Operand {
    const from = this.indexOperand(at)
    return this.value(operands.ramp(from, step), `ramp${step}(${this.key(from)})`, 'i32', 4, this.depth(from))
  }

  /** Four values that were found one by one. */
  vector(parts: readonly Operand[], type: Type = 'f32'): Operand {
    const keys = parts.map((part) => this.key(part))
    if (keys.every((key) => key === keys[0])) return parts[0]!
    return this.value(
      operands.vector(parts),
      `v(${keys.join()})`,
      type,
      4,
      Math.max(...parts.map((p) => this.depth(p))),
    )
  }

  /** Whether a condition is known to hold in the scope that is being written. */
  holds(condition: Operand): boolean {
    return (condition.kind === 'truth' && condition.value) || this.assumed.has(this.key(condition))
  }

  all(conditions: readonly Operand[]): Operand {
    const open = conditions.filter((c) => !this.holds(c))
    if (open.some((c) => c.kind === 'truth')) return truth(false)
    if (open.length === 0) return truth(true)
    // What holds for all lanes or for none is settled before lanes differ.
    const [whole, lanes] = [open.filter((c) => lanesOf(c) === 1), open.filter((c) => lanesOf(c) === 4)]
    return [...whole, ...lanes].reduce((a, b) => this.op('and', [a, b], 'bool'))
  }

  /** Where a condition holds and none of the others do. What holds for all lanes or for none is settled before lanes differ. */
  allButWhere(condition: Operand, others: readonly Operand[]): Operand {
    if (condition.kind === 'truth' && !condition.value) return condition
    if (others.some((c) => this.holds(c))) return truth(false)
    const open = others.filter((c) => c.kind !== 'truth')
    return [...open.filter((c) => lanesOf(c) === 1), ...open.filter((c) => lanesOf(c) === 4)]
      .reduce((a, b) => this.op('andnot', [a, b], 'bool'), condition)
  }

  select(condition: Operand, yes: Operand, no: Operand): Operand {
    if (condition.kind === 'truth') return condition.value ? yes : no
    if (this.key(yes) === this.key(no)) return yes
    return this.op('select', [condition, yes, no])
  }

  op(op: Opcode, args: readonly Operand[], type: Type = 'f32'): Operand {
    // Most of what is asked for is there already: nothing is made before that is known.
    let key: string = op
    let depth = 0
    for (const arg of args) {
      if (arg.kind === 'name') {
        key += `,${arg.name}`
        if (arg.depth > depth) depth = arg.depth
        continue
      }
      key += `,${this.key(arg)}`
      depth = Math.max(depth, this.depth(arg))
    }
    const known = this.scopes[depth]!.valueNumbers.get(key)
    if (known) return known
    const lanes = op !== 'lanesum' && op !== 'lanemax' && args.some((arg) => lanesOf(arg) === 4) ? 4 : 1
    return this.value(operands.operation(op, args, type, lanes), key, type, lanes, depth)
  }

  /** What the invocations of a subgroup hold, put together. */
  reduceSubgroup(combine: 'sum' | 'max', of: Operand): Operand {
    return this.value(operands.subgroup(combine, of), `subgroup ${combine}(${this.key(of)})`, 'f32', 1, this.depth(of))
  }

  subgroupSize(): Operand {
    return this.value(operands.subgroupSize(), 'subgroup size', 'i32', 1, 0)
  }

  value(operand: Operand, key: string, type: Type, lanes: 1 | 4, depth: number): Operand {
    const scope = this.scopes[depth]!
    const known = scope.valueNumbers.get(key)
    if (known) return known
    const name = this.freshName(type === 'bool' ? 'b' : type === 'i32' ? 'i' : 'v')
    scope.statements.push(statements.definition('let', name, type, lanes, operand))
    // From here on its name is its key: keys of keys would grow with every operation.
    const reference = operands.named(name, type, lanes, depth)
    scope.valueNumbers.set(key, reference)
    return reference
  }

  /** A result as it is now: variables that it needs are set again later. */
  evaluateHere(op: Opcode, args: readonly Operand[], type: Type = 'f32'): Operand {
    const name = this.freshName(type === 'bool' ? 'b' : 'v')
    this.innermost.statements.push(statements.definition('let', name, type, 1, operands.operation(op, args, type, 1)))
    return operands.named(name, type, 1, this.scopes.length - 1)
  }

  set(variable: Operand, value: Operand): void {
    invariant(variable.kind === 'name', () => `${this.kernel}: only a variable is set`)
    this.innermost.statements.push(statements.set(variable.name, value))
  }

  /** An index as a term: loop variables of outer loops are added up outside, the constant last. */
  indexOperand(at: Index): Operand {
    if (at.terms.length === 0) return int(at.constant)
    // Variables are told apart by identity, so a sum of them is never asked for outside the loops that bind them.
    let total = this.sums.get(at.termsKey)
    if (!total) {
      const parts = at.terms.map(this.term)
      if (parts.length > 1) parts.sort((a, b) => this.depth(a) - this.depth(b))
      total = parts[0]!
      for (let i = 1; i < parts.length; i++) total = this.op('iadd', [total, parts[i]!], 'i32')
      this.sums.set(at.termsKey, total)
    }
    return at.constant === 0 ? total
      : operands.operation('iadd', [total, int(at.constant)], 'i32', 1)
  }

  private readonly term = ({ atom, coefficient }: Index['terms'][number]): Operand =>
    this.scaled(atom.kind === 'axis' ? this.variableOperand(atom.axis) : this.divisionOperand(atom), coefficient)

  scaled(operand: Operand, coefficient: number): Operand {
    return coefficient === 1 ? operand : this.op('imul', [operand, int(coefficient)], 'i32')
  }

  divisionOperand(atom: { kind: 'div' | 'mod'; of: Index; by: number }): Operand {
    // Division truncates on every target: shift what may be negative up by whole multiples first.
    const lowest = rangeOf(atom.of).min
    const shift = lowest < 0 && Number.isFinite(lowest) ? Math.ceil(-lowest / atom.by) : 0
    const shifted = this.indexOperand(plus(atom.of, shift * atom.by))
    if (atom.kind === 'mod') return this.op('irem', [shifted, int(atom.by)], 'i32')
    const quotient = this.op('idiv', [shifted, int(atom.by)], 'i32')
    return shift === 0 ? quotient : this.op('iadd', [quotient, int(-shift)], 'i32')
  }

  floatOperand(at: Index): Operand {
    if (at.terms.length === 0) return float(at.constant)
    return this.op('float', [this.indexOperand(at)])
  }

  variableOperand(a: Axis): Operand {
    const name = this.nameOf.get(a)
    invariant(name, () => `${this.kernel}: axis ${a.name} is not bound`)
    return operands.named(name, 'i32', 1, this.depthOf.get(a)!)
  }

  /** Equal for operands that hold the same value wherever both are defined. An operation that was not numbered has none, but for a sum with a constant. */
  key(operand: Operand): string {
    switch (operand.kind) {
      case 'name':
        return operand.name
      case 'number':
        return `${operand.value}${operand.type}`
      case 'truth':
        return String(operand.value)
      case 'batch':
        return `n/${operand.chunks}`
      case 'tasksDone':
        return 'done'
      case 'scalar':
        return `s.${operand.name}`
      case 'lane':
        return `${this.key(operand.of)}.${operand.lane}`
      case 'vector':
        return `(${operand.parts.map((part) => this.key(part)).join()})`
    }
    const offset = operand.kind === 'operation' && operand.op === 'iadd' ? operand.args : undefined
    invariant(offset, () => `${this.kernel}: a ${operand.kind} has no key`)
    return `${this.key(offset[0]!)}+${this.key(offset[1]!)}`
  }

  /** Depth of the innermost scope that defines anything an operand needs. */
  depth(operand: Operand): number {
    if (operand.kind === 'name') return operand.depth
    if (operand.kind === 'lane') return this.depth(operand.of)
    if (operand.kind !== 'operation') return 0
    let depth = 0
    for (const arg of operand.args) depth = Math.max(depth, this.depth(arg))
    return depth
  }

  openScope(): Scope {
    const scope: Scope = { statements: [], valueNumbers: new Map() }
    this.scopes.push(scope)
    return scope
  }

  /** Calls `inside` with the loop's index in units of `factor` steps; one round needs no loop. */
  loop(a: Axis, factor: number, inside: (at: Index) => void): void {
    if (a.extent === factor) return inside(index(0))
    this.pushLoop(this.loopVariable(a, factor, this.scopes.length), {}, inside)
  }

  /** Every `by`-th round of a loop over an axis, from `from` on, which is less than `by`. */
  stridedLoop(a: Axis, from: Axis, by: number, inside: (at: Index) => void): void {
    this.pushLoop(this.loopVariable(a, 1, this.scopes.length), { from: this.variableOperand(from), by }, inside)
  }

  /** The first points of an axis, as many as a term says. */
  boundedLoop(a: Axis, extent: Operand, inside: (at: Index) => void): void {
    this.pushLoop(this.loopVariable(a, 1, this.scopes.length), { extent }, inside)
  }

  private pushLoop(
    variable: Axis,
    bounds: Partial<statements.LoopBounds>,
    inside: (at: Index) => void,
  ): void {
    const scope = this.openScope()
    inside(index(variable))
    this.scopes.pop()
    const extent = typeof variable.extent === 'number' ? int(variable.extent) : operands.batch(variable.extent)
    this.innermost.statements.push(statements.loop(this.nameOf.get(variable)!, { extent, ...bounds }, scope.statements))
  }

  /** So many rounds over an axis, which the caller divides. */
  countedLoop(a: Axis, count: number, inside: (round: Index) => void): void {
    this.loop(axis(a.name, count), 1, inside)
  }

  /** The first lanes of four. */
  laneMask(count: number): Operand {
    return operands.vector(range(4).map((lane) => truth(lane < count)))
  }

  /** A loop variable that counts tiles of an axis. */
  loopVariable(a: Axis, size: number, depth: number): Axis {
    invariant(size === 1 || typeof a.extent === 'number' || a.extent === 'n', () => `${a.name} cannot be tiled`)
    const extent: Extent = size === 1 ? a.extent : typeof a.extent === 'number' ? Math.ceil(a.extent / size) : { chunks: size }
    const variable = axis(a.name, extent)
    this.depthOf.set(variable, depth)
    this.nameOf.set(variable, this.uniqueName(identifier(size === 1 ? a.name : `${a.name}_tile`)))
    return variable
  }

  /** A variable that is computed instead of counted: where a tile starts that may not hang over the edge. */
  computedVariable(name: string, extent: number, value: Operand): Axis {
    const depth = this.depth(value)
    const variable = axis(name, extent)
    this.depthOf.set(variable, depth)
    this.nameOf.set(variable, this.uniqueName(identifier(name)))
    this.scopes[depth]!.statements.push(statements.definition('let', this.nameOf.get(variable)!, 'i32', 1, value))
    return variable
  }

  /** A variable that the kernel's head gives. */
  providedVariable(name: string, extent: number): Axis {
    const variable = axis(name, extent)
    this.depthOf.set(variable, 0)
    this.nameOf.set(variable, name)
    return variable
  }

  declareVariable(name: string, start: Operand, lanes: 1 | 4): Operand {
    const depth = this.scopes.length - 1
    const variable = operands.named(this.freshName(name), 'f32', lanes, depth)
    this.innermost.statements.push(statements.definition('var', variable.name, 'f32', lanes, start))
    return variable
  }

  freshName(prefix: string): string {
    for (;;) {
      const count = this.counters.get(prefix) ?? 0
      this.counters.set(prefix, count + 1)
      const name = `${prefix}${count}`
      if (this.isUsed(name)) continue
      this.usedNames.add(name)
      return name
    }
  }

  private isUsed(name: string): boolean {
    return this.usedNames.has(name) || this.reservedWords.has(name)
  }

  uniqueName(wanted: string): string {
    let name = wanted
    for (let i = 2; this.isUsed(name); i++) name = `${wanted}_${i}`
    this.usedNames.add(name)
    return name
  }

  /** A sum as a balanced tree: shorter chains, smaller rounding. */
  balancedSum(values: readonly Operand[]): Operand {
    if (values.length === 1) return values[0]!
    const half = values.length >> 1
    return this.op('add', [this.balancedSum(values.slice(0, half)), this.balancedSum(values.slice(half))])
  }

  /** A scope of its own for one step of many: what it loads is not kept for others. */
  step(inside: () => void): void {
    this.conditionalScopes.push(this.scopes.length)
    const scope = this.openScope()
    inside()
    this.scopes.pop()
    this.conditionalScopes.pop()
    if (scope.statements.length > 0) this.innermost.statements.push(statements.step(scope.statements))
  }

  /** Statements that run where a condition holds; what they need and nothing else does is computed inside, but for loads' addresses. */
  branch(condition: Operand, inside: () => void): void {
    if (condition.kind === 'truth' && condition.value) return inside()
    const scope = this.openScope()
    inside()
    this.scopes.pop()
    if (scope.statements.length > 0) this.innermost.statements.push(statements.branch(condition, scope.statements))
  }

  /** A statement that runs where a condition holds; neighbours with the same condition share one branch. */
  pushGuarded(condition: Operand, statement: Statement): void {
    const { innermost: scope } = this
    if (condition.kind === 'truth') {
      if (condition.value) scope.statements.push(statement)
      return
    }
    const key = this.key(condition)
    const { guarded } = scope
    if (guarded && guarded.key === key && guarded.branch === scope.statements.at(-1)) {
      guarded.body.push(statement)
      return
    }
    const body = [statement]
    const branch = statements.branch(condition, body)
    scope.guarded = { branch, key, body }
    scope.statements.push(branch)
  }

  /** A scope of its own for what runs only where the conditions hold; no branch where they always do. */
  ifAll(conditions: readonly Operand[], inside: () => void): void {
    const condition = this.all(conditions.filter((c, i) => conditions.indexOf(c) === i))
    if (condition.kind === 'truth') return inside()
    const keys = conditions.map((c) => this.key(c))
    for (const key of keys) this.assumed.add(key)
    this.conditionalScopes.push(this.scopes.length)
    const scope = this.openScope()
    inside()
    this.scopes.pop()
    this.conditionalScopes.pop()
    for (const key of keys) this.assumed.delete(key)
    this.innermost.statements.push(statements.branch(condition, scope.statements))
  }
}

export function range(count: number): number[] {
  const numbers: number[] = []
  for (let i = 0; i < count; i++) numbers.push(i)
  return numbers
}
export const isZero = (operand: Operand): boolean => operand.kind === 'number' && operand.value === 0

const sameExtent = (a: Extent, b: Extent): boolean => a === b || (typeof a === 'object' && typeof b === 'object' && a.chunks === b.chunks)

/** A name that WGSL takes: letters, digits, single underscores. */
export const identifier = (name: string): string => {
  if (/^[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*$/.test(name)) return name
  const plain = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '')
  return /^[A-Za-z]/.test(plain) ? plain : `t_${plain}`
}
