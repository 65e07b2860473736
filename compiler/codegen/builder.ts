import { type Axis, axis, type Extent, type Index, index, plus, rangeOf } from '../ir/affine.ts'
import { IndexArithmetic } from './index-arithmetic.ts'
import { lanesOf, type Operand, type Statement } from './kernel-function.ts'
import * as operands from './operands.ts'
import { int, truth } from './operands.ts'
import { range } from './range.ts'
import * as statements from './statements.ts'

/**
 * Builds the body of a kernel function (as LLVM's IRBuilder does): loops, branches and the conditions that hold in them. What is computed goes
 * through value numbering, so that each operation stands in the outermost loop where it can.
 */
export class KernelBuilder extends IndexArithmetic {
  /** Conditions that hold here because everything around is skipped where they do not. */
  readonly assumed = new Set<string>()
  /** Depths of scopes that may be skipped, or are steps, outermost first: what changes with the loop around one is loaded inside. */
  readonly conditionalScopes: number[] = []

  /** Whether an index lies in [0, extent). */
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

  /** Whether each of the four indices from `at` on does. */
  allLanesWithin(at: Index, step: number, extent: Extent): Operand {
    const last = plus(at, 3 * step)
    if (typeof extent === 'number') {
      const [from, to] = step < 0 ? [last, at] : [at, last]
      if (rangeOf(from).min >= 0 && rangeOf(to).max < extent) return truth(true)
      if (rangeOf(to).max < 0 || rangeOf(from).min >= extent) return truth(false)
    }
    return this.op('within', [this.ramp(at, step), typeof extent === 'number' ? int(extent) : operands.batch(extent)], 'bool')
  }

  /** A condition that holds in lanes of four before `end`, from `start` on. */
  laneMask(end: number, start = 0): Operand {
    return operands.vector(range(4).map((lane) => truth(lane >= start && lane < end)))
  }

  /** Whether a condition is known to hold in the scope that is being written. */
  holds(condition: Operand): boolean {
    return (condition.kind === 'truth' && condition.value) || this.assumed.has(this.key(condition))
  }

  /** Whether all of the conditions hold. */
  all(conditions: readonly Operand[]): Operand {
    if (conditions.length === 0 || (conditions.length === 1 && this.holds(conditions[0]!))) return truth(true)
    if (conditions.length === 1) return conditions[0]!
    const open = conditions.filter((c) => !this.holds(c))
    if (open.some((c) => c.kind === 'truth')) return truth(false)
    if (open.length === 0) return truth(true)
    // What holds for all lanes or for none is settled before lanes differ.
    const [whole, lanes] = [open.filter((c) => lanesOf(c) === 1), open.filter((c) => lanesOf(c) === 4)]
    return [...whole, ...lanes].reduce((a, b) => this.op('and', [a, b], 'bool'))
  }

  /** Whether a condition holds and none of the others do. What holds for all lanes or for none is settled before lanes differ. */
  allButWhere(condition: Operand, others: readonly Operand[]): Operand {
    if (condition.kind === 'truth' && !condition.value) return condition
    if (others.some((c) => this.holds(c))) return truth(false)
    const open = others.filter((c) => c.kind !== 'truth')
    return [...open.filter((c) => lanesOf(c) === 1), ...open.filter((c) => lanesOf(c) === 4)]
      .reduce((a, b) => this.op('andnot', [a, b], 'bool'), condition)
  }

  /** Calls `inside` with the loop's index in units of `factor` steps; one round needs no loop. */
  loop(a: Axis, factor: number, inside: (at: Index) => void): void {
    if (a.extent === factor) return inside(index(0))
    this.pushLoop(this.loopVariable(a, factor, this.scopes.length), {}, inside)
  }

  /** Emits every `by`-th round of a loop over an axis, from `from` on, which is less than `by`. */
  stridedLoop(a: Axis, from: Axis, by: number, inside: (at: Index) => void): void {
    this.pushLoop(this.loopVariable(a, 1, this.scopes.length), { from: this.variableOperand(from), by }, inside)
  }

  /** Emits a loop over the first points of an axis, as many as an operand says. */
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
    this.innermost.statements.push(statements.loop(this.name(variable), { extent, ...bounds }, scope.statements))
  }

  /** Emits a loop of so many rounds over an axis, which the caller divides. */
  countedLoop(a: Axis, count: number, inside: (round: Index) => void): void {
    this.loop(axis(a.name, count), 1, inside)
  }

  /** Opens a scope for one step of many: what it loads is not kept for others. */
  step(inside: () => void): void {
    this.conditionalScopes.push(this.scopes.length)
    const scope = this.openScope()
    inside()
    this.scopes.pop()
    this.conditionalScopes.pop()
    if (scope.statements.length > 0) this.innermost.statements.push(statements.step(scope.statements))
  }

  /** Emits statements that run where a condition holds; what they need and nothing else does is computed inside, but for loads' addresses. */
  branch(condition: Operand, inside: () => void): void {
    if (condition.kind === 'truth' && condition.value) return inside()
    const scope = this.openScope()
    inside()
    this.scopes.pop()
    if (scope.statements.length > 0) this.innermost.statements.push(statements.branch(condition, scope.statements))
  }

  /** Emits a statement that runs where a condition holds; neighbours with the same condition share one branch. */
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

  /** Opens a scope for what runs only where the conditions hold; no branch where they always do. */
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

const sameExtent = (a: Extent, b: Extent): boolean => a === b || (typeof a === 'object' && typeof b === 'object' && a.chunks === b.chunks)
