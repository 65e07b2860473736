import { invariant } from '../invariant.ts'
import type { BinaryOp } from '../ir/expression.ts'
import { PointValues } from './point-values.ts'
import { KernelNames } from './kernel-names.ts'
import { lanesOf, type Statement, type Operand, type Opcode, type Type } from './kernel-function.ts'
import * as operands from './operands.ts'
import { float, isZero } from './operands.ts'
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
 * Value numbering with loop-invariant code motion (Briggs, Cooper & Simpson 1997): each operation is emitted once, in the outermost
 * scope where its operands are defined. So what does not change in a loop is computed before it, and nothing is computed twice.
 * Operands are plain data: the key of a value number follows from their structure, and the scope that defines a name is a field of the name.
 */
export class ValueNumbering {
  readonly scopes: Scope[] = []
  /** What expressions came to, in the scopes that are open. */
  readonly results = new PointValues(this.scopes)
  /** Names the kernel in what goes wrong. */
  readonly kernel: string
  readonly names: KernelNames

  /** `reservedWords`: names of the target's language that nothing may be called. */
  constructor(kernel: string, reservedWords: ReadonlySet<string> = new Set()) {
    this.kernel = kernel
    this.names = new KernelNames(reservedWords)
  }

  get innermost(): Scope {
    return this.scopes.at(-1)!
  }

  openScope(): Scope {
    const scope: Scope = { statements: [], valueNumbers: new Map() }
    this.scopes.push(scope)
    return scope
  }

  /** The result of an operation: emitted now, if it was not before. */
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
    return this.emit(operands.operation(op, args, type, lanes), key, type, lanes, depth)
  }

  /** The name of what an operand computes, emitted at a depth of scopes if its key is new there. */
  value(operand: Operand, key: string, type: Type, lanes: 1 | 4, depth: number): Operand {
    return this.scopes[depth]!.valueNumbers.get(key) ?? this.emit(operand, key, type, lanes, depth)
  }

  private emit(operand: Operand, key: string, type: Type, lanes: 1 | 4, depth: number): Operand {
    const scope = this.scopes[depth]!
    const name = this.names.numbered(type === 'bool' ? 'b' : type === 'i32' ? 'i' : 'v')
    scope.statements.push(statements.definition('let', name, type, lanes, operand))
    // From here on its name is its key: keys of keys would grow with every operation.
    const reference = operands.named(name, type, lanes, depth)
    scope.valueNumbers.set(key, reference)
    return reference
  }

  /** A text that is equal for operands that hold the same value wherever both are defined. An operation that was not numbered has none, but for a sum with a constant. */
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

  /** The result of an operation on two numbers; a sum with zero and a product with it need none. */
  arithmetic(op: BinaryOp, a: Operand, b: Operand): Operand {
    if (op === 'mul' && (isZero(a) || isZero(b))) return float(0)
    if (op === 'add' && isZero(a)) return b
    if ((op === 'add' || op === 'sub') && isZero(b)) return a
    return this.op(op, [a, b])
  }

  select(condition: Operand, yes: Operand, no: Operand): Operand {
    if (condition.kind === 'truth') return condition.value ? yes : no
    if (this.key(yes) === this.key(no)) return yes
    return this.op('select', [condition, yes, no])
  }

  /** A vector of four values that were found one by one. */
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

  /** The sum of values as a balanced tree: shorter chains, smaller rounding. */
  balancedSum(values: readonly Operand[]): Operand {
    if (values.length === 1) return values[0]!
    const half = values.length >> 1
    return this.op('add', [this.balancedSum(values.slice(0, half)), this.balancedSum(values.slice(half))])
  }

  /** What the invocations of a subgroup hold, put together. */
  reduceSubgroup(combine: 'sum' | 'max', of: Operand): Operand {
    return this.value(operands.subgroup(combine, of), `subgroup ${combine}(${this.key(of)})`, 'f32', 1, this.depth(of))
  }

  subgroupSize(): Operand {
    return this.value(operands.subgroupSize(), 'subgroup size', 'i32', 1, 0)
  }

  /** The result of an operation as it is now: variables that it needs are set again later. */
  evaluateHere(op: Opcode, args: readonly Operand[], type: Type = 'f32'): Operand {
    const name = this.names.numbered(type === 'bool' ? 'b' : 'v')
    const lanes = args.some((arg) => lanesOf(arg) === 4) ? 4 : 1
    this.innermost.statements.push(statements.definition('let', name, type, lanes, operands.operation(op, args, type, lanes)))
    return operands.named(name, type, lanes, this.scopes.length - 1)
  }

  set(variable: Operand, value: Operand): void {
    invariant(variable.kind === 'name', () => `${this.kernel}: only a variable is set`)
    this.innermost.statements.push(statements.set(variable.name, value))
  }

  declareVariable(name: string, start: Operand, lanes: 1 | 4): Operand {
    const depth = this.scopes.length - 1
    const variable = operands.named(this.names.numbered(name), 'f32', lanes, depth)
    this.innermost.statements.push(statements.definition('var', variable.name, 'f32', lanes, start))
    return variable
  }
}
