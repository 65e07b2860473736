import type { Statement, Operand } from './kernel-function.ts'

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
export function inlineLets(body: readonly Statement[], options: InlineOptions): readonly Statement[] {
  const reads = new Map<string, number>()
  const variables = new Set<string>()
  countReads(body, reads, variables)
  return new Inliner(reads, variables, options).block(body)
}

/** A `let` that was passed and whose value nobody has taken in so far. */
interface Waiting {
  readonly statement: Let
  readonly leaves: number
  /** Variables that it reads. */
  readonly variables: readonly string[]
}

class Inliner {
  private readonly reads: ReadonlyMap<string, number>
  private readonly variables: ReadonlySet<string>
  private readonly options: InlineOptions
  /** Of the block, by name, in its order. None reads another: it would have taken that in. */
  private waiting = new Map<string, Waiting>()
  private out: Statement[] = []
  // Of the expression that is being looked through.
  private leaves = 0
  private variablesRead: string[] = []

  constructor(reads: ReadonlyMap<string, number>, variables: ReadonlySet<string>, options: InlineOptions) {
    this.reads = reads
    this.variables = variables
    this.options = options
  }

  block(body: readonly Statement[]): Statement[] {
    const [outer, before] = [this.out, this.waiting]
    const out: Statement[] = []
    this.out = out
    this.waiting = new Map()
    for (const s of body) this.statement(s)
    this.writeWaiting()
    this.out = outer
    this.waiting = before
    return out
  }

  private statement(s: Statement): void {
    const { out } = this
    switch (s.kind) {
      case 'let': {
        const statement = withValue(s, this.expression(s.value))
        if (this.mayMove(s)) this.waiting.set(s.name, { statement, leaves: this.leaves, variables: this.variablesRead })
        else out.push(statement)
        return
      }
      case 'var':
        out.push(withValue(s, this.expression(s.value)))
        return
      case 'set': {
        const value = this.expression(s.value)
        this.writeWaiting(s.name)
        out.push({ ...s, value })
        return
      }
      case 'store':
        out.push({ ...s, at: this.expression(s.at), value: this.expression(s.value) })
        return
      case 'storeInterleaved':
        out.push({ ...s, at: this.expression(s.at), values: s.values.map((v) => this.expression(v)) })
        return
      case 'count':
        out.push({ ...s, values: s.values.map((v) => this.expression(v)) })
        return
      case 'step':
        if (!this.options.keepsSteps) return s.body.forEach((inner) => this.statement(inner))
        this.writeWaiting()
        out.push({ ...s, body: this.block(s.body) })
        return
      case 'for': {
        const bounds = { ...(s.from && { from: this.expression(s.from) }), extent: this.expression(s.extent) }
        this.writeWaiting()
        out.push({ ...s, ...bounds, body: this.block(s.body) })
        return
      }
      case 'if': {
        const condition = this.expression(s.condition)
        this.writeWaiting()
        out.push({ ...s, condition, body: this.block(s.body) })
        return
      }
      case 'barrier':
        out.push(s)
    }
  }

  private mayMove({ name, type, value }: Let): boolean {
    const { mostLeaves, keepsIndices } = this.options
    return this.reads.get(name) === 1 && this.leaves <= mostLeaves && !(keepsIndices && type === 'i32') && isPure(value) &&
      !isConstant(value)
  }

  /** Writes what waits, or of that what reads a variable. */
  private writeWaiting(variable?: string): void {
    for (const [name, { statement, variables }] of this.waiting) {
      if (variable !== undefined && !variables.includes(variable)) continue
      this.waiting.delete(name)
      this.out.push(statement)
    }
  }

  private expression(term: Operand): Operand {
    this.leaves = 0
    this.variablesRead = []
    return this.takeIn(term)
  }

  private takeIn(t: Operand): Operand {
    switch (t.kind) {
      case 'name': {
        const known = this.waiting.get(t.name)
        if (known) {
          this.waiting.delete(t.name)
          this.leaves += known.leaves
          this.variablesRead.push(...known.variables)
          return known.statement.value
        }
        if (this.variables.has(t.name)) this.variablesRead.push(t.name)
        this.leaves++
        return t
      }
      case 'operation': {
        const args = this.all(t.args)
        return args === t.args ? t : { ...t, args }
      }
      case 'vector': {
        const parts = this.all(t.parts)
        return parts === t.parts ? t : { ...t, parts }
      }
      case 'load':
      case 'random': {
        const at = this.takeIn(t.at)
        return at === t.at ? t : { ...t, at }
      }
      case 'gather': {
        const at = this.all(t.at)
        return at === t.at ? t : { ...t, at }
      }
      case 'ramp': {
        const from = this.takeIn(t.from)
        return from === t.from ? t : { ...t, from }
      }
      case 'lane':
      case 'subgroup': {
        const of = this.takeIn(t.of)
        return of === t.of ? t : { ...t, of }
      }
      default:
        this.leaves++
        return t
    }
  }

  private all(terms: readonly Operand[]): readonly Operand[] {
    let changed: Operand[] | undefined
    terms.forEach((t, i) => {
      const made = this.takeIn(t)
      if (made !== t) changed ??= terms.slice()
      if (changed) changed[i] = made
    })
    return changed ?? terms
  }
}

const withValue = (s: Let, value: Operand): Let => (value === s.value ? s : { ...s, value })

/** Whether it says the same wherever it stands. */
function isPure(t: Operand): boolean {
  switch (t.kind) {
    case 'load':
    case 'gather':
    case 'subgroup':
    case 'random':
      return false
    default:
      return partsOf(t).every(isPure)
  }
}

const isConstant = (t: Operand): boolean =>
  t.kind === 'number' || t.kind === 'truth' || ((t.kind === 'operation' || t.kind === 'vector') && partsOf(t).every(isConstant))

/** The terms that a term is made of. */
export function partsOf(t: Operand): readonly Operand[] {
  switch (t.kind) {
    case 'operation':
      return t.args
    case 'vector':
      return t.parts
    case 'load':
    case 'random':
      return [t.at]
    case 'gather':
      return t.at
    case 'ramp':
      return [t.from]
    case 'lane':
    case 'subgroup':
      return [t.of]
    default:
      return []
  }
}

/** Every name that statements read. */
export function namesRead(body: readonly Statement[]): Iterable<string> {
  const reads = new Map<string, number>()
  countReads(body, reads, new Set())
  return reads.keys()
}

function countReads(body: readonly Statement[], reads: Map<string, number>, variables: Set<string>): void {
  const count = (t: Operand): void => {
    if (t.kind === 'name') reads.set(t.name, (reads.get(t.name) ?? 0) + 1)
    // Targets may write an argument of these more than once.
    if (t.kind === 'operation' && (t.op === 'sign' || t.op === 'imin')) partsOf(t).forEach(count)
    partsOf(t).forEach(count)
  }
  for (const s of body) {
    switch (s.kind) {
      case 'var':
        variables.add(s.name)
        count(s.value)
        break
      case 'let':
      case 'set':
        count(s.value)
        break
      case 'store':
        count(s.at)
        count(s.value)
        break
      case 'storeInterleaved':
        count(s.at)
        s.values.forEach(count)
        break
      case 'count':
        s.values.forEach(count)
        break
      case 'for':
        if (s.from) count(s.from)
        count(s.extent)
        countReads(s.body, reads, variables)
        break
      case 'if':
        count(s.condition)
        countReads(s.body, reads, variables)
        break
      case 'step':
        countReads(s.body, reads, variables)
        break
      case 'barrier':
    }
  }
}
