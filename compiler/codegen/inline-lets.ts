import type { Operand, Statement } from './kernel-function.ts'
import * as operands from './operands.ts'
import * as statements from './statements.ts'

export interface InlineOptions {
  /** The largest expression that is put into another, in leaves: a line is to be read. */
  readonly mostLeaves: number
  /** Whether every i32 keeps its name, since the target makes addresses and counters of them. */
  readonly keepsIndices?: boolean
  /** Whether a `step` is a block of its own in the target's text. */
  readonly keepsSteps?: boolean
}

type Let = Extract<Statement, { readonly kind: 'let' | 'var' }>

/**
 * Puts the value of a `let` into the one place that reads it. The builder names every operation, and most of these names are read once: without
 * them a text is a third shorter, and an engine has less to parse. Every operation still runs as often as before and on the same values: a
 * value stays within its block, in front of the next loop or branch, and in front of an assignment to a variable that it reads. Loads stay
 * where they are, since their order is part of the schedule. So do values of numbers alone, which WGSL would then compute in float64.
 */
export function inlineLets(body: readonly Statement[], options: InlineOptions): InlinedBody {
  const reads = new ReadCounter()
  reads.countBody(body)
  return { statements: new Inliner(reads.counts, options).block(body), reads: reads.counts }
}

interface InlinedBody {
  readonly statements: readonly Statement[]
  /** How often each name was read, those included whose values went to where they were read. */
  readonly reads: Reads
}

/** How often each name is read. */
export type Reads = ReadonlyMap<string, { times: number }>

/** What is known of a name. */
interface Name {
  times: number
  isVariable: boolean
  /** Set for a `let` that was passed and whose value nobody has taken in so far. */
  waiting: Waiting | undefined
}

interface Waiting {
  readonly name: Name
  readonly statement: Let
  readonly leaves: number
  /** Variables that it reads. */
  readonly variables: readonly string[]
}

/** Most values read no variable. */
const NONE: readonly string[] = []

class Inliner {
  private readonly names: ReadonlyMap<string, Name>
  private readonly options: InlineOptions
  /** What waits in the block, in its order, and some that were taken in since. None reads another: it would have taken that in. Where a block opens in another, none of the outer one waits. */
  private waiting: Waiting[] = []
  private out: Statement[] = []
  // What was counted so far in the expression that is being looked through.
  private leaves = 0
  private variablesRead: readonly string[] = NONE

  constructor(names: ReadonlyMap<string, Name>, options: InlineOptions) {
    this.names = names
    this.options = options
  }

  block(body: readonly Statement[]): Statement[] {
    const outer = this.out
    const out: Statement[] = []
    this.out = out
    for (const s of body) this.statement(s)
    this.writeWaiting()
    this.out = outer
    return out
  }

  private statement(s: Statement): void {
    const { out } = this
    switch (s.kind) {
      case 'let': {
        const statement = withValue(s, this.expression(s.value))
        const name = this.names.get(s.name)
        if (name?.times === 1 && this.mayMove(s))
          this.waiting.push(name.waiting = { name, statement, leaves: this.leaves, variables: this.variablesRead })
        else out.push(statement)
        return
      }
      case 'var':
        out.push(withValue(s, this.expression(s.value)))
        return
      case 'set': {
        const value = this.expression(s.value)
        this.writeWaiting(s.name)
        out.push(value === s.value ? s : statements.set(s.name, value))
        return
      }
      case 'store': {
        const at = this.expression(s.at)
        const value = this.expression(s.value)
        out.push(at === s.at && value === s.value ? s : statements.store(s.binding, at, value, s.lanes, s.step))
        return
      }
      case 'storeInterleaved':
        out.push(statements.storeInterleaved(s.binding, this.expression(s.at), s.values.map((v) => this.expression(v)), s.step))
        return
      case 'count':
        out.push(statements.count(s.binding, s.values.map((v) => this.expression(v))))
        return
      case 'step':
        if (!this.options.keepsSteps) return s.body.forEach((inner) => this.statement(inner))
        this.writeWaiting()
        out.push(statements.step(this.block(s.body)))
        return
      case 'for': {
        const bounds = { from: s.from && this.expression(s.from), by: s.by, extent: this.expression(s.extent) }
        this.writeWaiting()
        out.push(statements.loop(s.name, bounds, this.block(s.body)))
        return
      }
      case 'if': {
        const condition = this.expression(s.condition)
        this.writeWaiting()
        out.push(statements.branch(condition, this.block(s.body)))
        return
      }
      case 'barrier':
        out.push(s)
    }
  }

  private mayMove({ type, value }: Let): boolean {
    const { mostLeaves, keepsIndices } = this.options
    return this.leaves <= mostLeaves && !(keepsIndices && type === 'i32') && isPure(value) && !isConstant(value)
  }

  /** Writes what waits, or of that what reads a variable. */
  private writeWaiting(variable?: string): void {
    const { waiting } = this
    if (waiting.length === 0) return
    const left: Waiting[] = []
    for (const one of waiting) {
      const { name, statement, variables } = one
      if (name.waiting !== one) continue
      if (variable !== undefined && !variables.includes(variable)) {
        left.push(one)
        continue
      }
      name.waiting = undefined
      this.out.push(statement)
    }
    this.waiting = left
  }

  private expression(term: Operand): Operand {
    this.leaves = 0
    this.variablesRead = NONE
    return this.takeIn(term)
  }

  private takeIn(t: Operand): Operand {
    switch (t.kind) {
      case 'name': {
        const name = this.names.get(t.name)
        const waiting = name?.waiting
        if (waiting) {
          name.waiting = undefined
          this.leaves += waiting.leaves
          if (waiting.variables.length > 0) this.variablesRead = [...this.variablesRead, ...waiting.variables]
          return waiting.statement.value
        }
        if (name?.isVariable) this.variablesRead = [...this.variablesRead, t.name]
        this.leaves++
        return t
      }
      case 'operation': {
        const args = this.all(t.args)
        return args === t.args ? t : operands.operation(t.op, args, t.type, t.lanes)
      }
      case 'vector': {
        const parts = this.all(t.parts)
        return parts === t.parts ? t : operands.vector(parts)
      }
      case 'load': {
        const at = this.takeIn(t.at)
        return at === t.at ? t : operands.load(t.binding, at, t.lanes, t.step)
      }
      case 'random': {
        const at = this.takeIn(t.at)
        return at === t.at ? t : operands.random(t.key, at)
      }
      case 'gather': {
        const at = this.all(t.at)
        return at === t.at ? t : operands.gather(t.binding, at)
      }
      case 'ramp': {
        const from = this.takeIn(t.from)
        return from === t.from ? t : operands.ramp(from, t.step)
      }
      case 'lane': {
        const of = this.takeIn(t.of)
        return of === t.of ? t : operands.laneOf(of, t.lane)
      }
      case 'subgroup': {
        const of = this.takeIn(t.of)
        return of === t.of ? t : operands.subgroup(t.combine, of)
      }
      default:
        this.leaves++
        return t
    }
  }

  private all(terms: readonly Operand[]): readonly Operand[] {
    let changed: Operand[] | undefined
    for (let i = 0; i < terms.length; i++) {
      const made = this.takeIn(terms[i]!)
      if (made !== terms[i]) changed ??= terms.slice()
      if (changed) changed[i] = made
    }
    return changed ?? terms
  }
}

const withValue = (s: Let, value: Operand): Let => value === s.value ? s : statements.definition(s.kind, s.name, s.type, s.lanes, value)

/** Whether it says the same wherever it stands. */
function isPure(t: Operand): boolean {
  switch (t.kind) {
    case 'load':
    case 'gather':
    case 'subgroup':
    case 'random':
      return false
    case 'operation':
      return t.args.every(isPure)
    case 'vector':
      return t.parts.every(isPure)
    case 'ramp':
      return isPure(t.from)
    case 'lane':
      return isPure(t.of)
    default:
      return true
  }
}

function isConstant(t: Operand): boolean {
  switch (t.kind) {
    case 'number':
    case 'truth':
      return true
    case 'operation':
      return t.args.every(isConstant)
    case 'vector':
      return t.parts.every(isConstant)
    default:
      return false
  }
}

/** Counts how often names are read, and says which of them are variables. */
class ReadCounter {
  readonly counts = new Map<string, Name>()

  countBody(body: readonly Statement[]): void {
    for (const s of body) this.countStatement(s)
  }

  private countStatement(s: Statement): void {
    switch (s.kind) {
      case 'var':
        this.named(s.name).isVariable = true
        return this.count(s.value)
      case 'let':
      case 'set':
        return this.count(s.value)
      case 'store':
        this.count(s.at)
        return this.count(s.value)
      case 'storeInterleaved':
        this.count(s.at)
        return this.countAll(s.values)
      case 'count':
        return this.countAll(s.values)
      case 'for':
        if (s.from) this.count(s.from)
        this.count(s.extent)
        return this.countBody(s.body)
      case 'if':
        this.count(s.condition)
        return this.countBody(s.body)
      case 'step':
        return this.countBody(s.body)
      case 'barrier':
    }
  }

  private named(name: string): Name {
    let known = this.counts.get(name)
    if (!known) this.counts.set(name, known = { times: 0, isVariable: false, waiting: undefined })
    return known
  }

  private countAll(terms: readonly Operand[]): void {
    for (let i = 0; i < terms.length; i++) this.count(terms[i]!)
  }

  /** Looks into operands by itself rather than by `forEachPart`: it sees every operand of every kernel. */
  private count(t: Operand): void {
    switch (t.kind) {
      case 'name': {
        this.named(t.name).times++
        return
      }
      case 'operation':
        // Targets may write an argument of these more than once.
        if (t.op === 'sign' || t.op === 'imin') this.countAll(t.args)
        return this.countAll(t.args)
      case 'vector':
        return this.countAll(t.parts)
      case 'load':
      case 'random':
        return this.count(t.at)
      case 'gather':
        return this.countAll(t.at)
      case 'ramp':
        return this.count(t.from)
      case 'lane':
      case 'subgroup':
        return this.count(t.of)
    }
  }
}
