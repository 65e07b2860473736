import { type KernelFunction, lanesOf, type Operand, type Statement, type Type, typeOf } from './kernel-function.ts'

/** The statements and operands that a target can print, and the workgroups that every one of its devices runs. */
export interface KernelCapabilities {
  readonly statements: ReadonlySet<Statement['kind']>
  readonly operands: ReadonlySet<Operand['kind']>
  readonly workgroup?: { readonly invocations: number; readonly bytes: number }
}

interface Definition {
  readonly type: Type
  readonly lanes: 1 | 4
  readonly variable: boolean
}

/**
 * What is unsound in a kernel function, a sentence each: names that are used outside the scope that defines them or are defined twice,
 * types and lanes that do not fit, memory that is not there or only read, barriers that some invocations of a workgroup may not
 * reach, statements and operands that the target cannot print, workgroups that are too large. Empty: it is sound.
 */
export function verifyKernelFunction(f: KernelFunction, { statements, operands, workgroup }: KernelCapabilities): string[] {
  const verifier = new Verifier(f, statements, operands)
  verifier.run()
  if (workgroup) verifier.workgroup(workgroup)
  return verifier.problems
}

class Verifier {
  readonly problems: string[] = []
  private readonly f: KernelFunction
  private readonly statements: ReadonlySet<Statement['kind']>
  private readonly operands: ReadonlySet<Operand['kind']>
  private readonly scopes: Map<string, Definition>[] = [new Map()]
  private readonly memories: number

  constructor(f: KernelFunction, statements: ReadonlySet<Statement['kind']>, operands: ReadonlySet<Operand['kind']>) {
    this.f = f
    this.statements = statements
    this.operands = operands
    this.memories = f.bindings.length + f.packBuffers.length + (f.shared?.length ?? 0)
  }

  run(): void {
    const { f } = this
    for (const { name } of [...f.grid, ...(f.group ?? []), ...(f.group ? [{ name: 'local' }] : [])])
      this.define(name, { type: 'i32', lanes: 1, variable: false })
    if (f.shared && !f.group) this.report('invocations share memory without a workgroup')
    // A dispatch of workgroups counts them so; tasks of a CPU may count channels before images.
    if (f.group && f.grid.some((g, i) => i > 0 && typeof g.extent !== 'number'))
      this.report('an axis of the grid behind the first depends on the batch')
    this.body(f.body, true)
  }

  workgroup({ invocations, bytes }: NonNullable<KernelCapabilities['workgroup']>): void {
    const { group = [], shared = [] } = this.f
    const size = group.reduce((product, { extent }) => product * extent, 1)
    if (size > invocations) this.report(`a workgroup has ${invocations} invocations, not ${size}`)
    const used = shared.reduce((sum, { elements, lanes }) => sum + 4 * lanes * elements, 0)
    if (used > bytes) this.report(`a workgroup has ${bytes} bytes, not ${used}`)
  }

  private report(problem: string): void {
    this.problems.push(`${this.f.name}: ${problem}`)
  }

  private define(name: string, definition: Definition): void {
    if (this.lookUp(name)) this.report(`${name} is defined twice`)
    this.scopes.at(-1)!.set(name, definition)
  }

  private lookUp(name: string): Definition | undefined {
    return this.scopes.findLast((scope) => scope.has(name))?.get(name)
  }

  /** `uniform`: whether all invocations of a workgroup run it. */
  private body(body: readonly Statement[], uniform: boolean): void {
    for (const s of body) this.statement(s, uniform)
  }

  private inside(body: readonly Statement[], uniform: boolean, variable?: string): void {
    this.scopes.push(new Map())
    if (variable !== undefined) this.define(variable, { type: 'i32', lanes: 1, variable: false })
    this.body(body, uniform)
    this.scopes.pop()
  }

  private statement(s: Statement, uniform: boolean): void {
    if (!this.statements.has(s.kind)) this.report(`the target has no ${s.kind}`)
    switch (s.kind) {
      case 'let':
      case 'var':
        this.value(s.value, s.type, s.lanes, s.name)
        return this.define(s.name, { type: s.type, lanes: s.lanes, variable: s.kind === 'var' })
      case 'set': {
        const variable = this.lookUp(s.name)
        if (!variable?.variable) return this.report(`${s.name} is set, which is no variable here`)
        return this.value(s.value, variable.type, variable.lanes, s.name)
      }
      case 'for':
        if (s.from) this.value(s.from, 'i32', 1, s.name)
        this.value(s.extent, 'i32', 1, s.name)
        // Invocations that start at different steps may take different numbers of them.
        return this.inside(s.body, uniform && s.from === undefined, s.name)
      case 'if':
        this.value(s.condition, 'bool', lanesOf(s.condition), 'a condition')
        return this.inside(s.body, false)
      case 'step':
        return this.inside(s.body, uniform)
      case 'barrier':
        if (!this.f.group) this.report('a barrier without a workgroup')
        if (!uniform) this.report('a barrier that some invocations may not reach')
        return
      case 'store':
        this.address(s.binding, s.at, true)
        // A number goes to all four lanes.
        return this.value(s.value, 'f32', this.widthOf(s.binding, s.lanes), 'a store')
      case 'storeInterleaved':
        this.address(s.binding, s.at, true)
        if (s.values.length !== 2 && s.values.length !== 4) this.report(`${s.values.length} vectors are interleaved`)
        for (const value of s.values) this.value(value, 'f32', 4, 'an interleaved store')
        return
      case 'count':
        this.memory(s.binding, true)
        for (const value of s.values) this.value(value, typeOf(value) === 'bool' ? 'bool' : 'f32', lanesOf(value), 'a count')
    }
  }

  /** Lanes of an element of a memory. */
  private widthOf(binding: number, lanes: 1 | 4 = 1): 1 | 4 {
    const shared = this.f.shared?.[binding - this.f.bindings.length - this.f.packBuffers.length]
    return shared ? shared.lanes : lanes
  }

  private memory(binding: number, writes: boolean): void {
    if (binding < 0 || binding >= this.memories) this.report(`there is no memory ${binding}`)
    else if (writes && this.f.bindings[binding]?.access === 'read')
      this.report(`${this.f.bindings[binding].name} is written, but bound to be read`)
  }

  private address(binding: number, at: Operand, writes: boolean): void {
    this.memory(binding, writes)
    this.value(at, 'i32', 1, 'an address')
  }

  /** An operand where one of a type and of so many lanes is wanted; one lane serves for four. */
  private value(operand: Operand, type: Type, lanes: 1 | 4, where: string): void {
    this.operand(operand)
    if (typeOf(operand) !== type) this.report(`${where} is ${type}, but given ${typeOf(operand)}`)
    if (lanesOf(operand) > lanes) this.report(`${where} has one lane, but is given four`)
  }

  private operand(operand: Operand): void {
    if (!this.operands.has(operand.kind)) this.report(`the target has no ${operand.kind}`)
    switch (operand.kind) {
      case 'name': {
        const definition = this.lookUp(operand.name)
        if (!definition) this.report(`${operand.name} is not defined here`)
        else if (definition.type !== operand.type || definition.lanes !== operand.lanes)
          this.report(`${operand.name} is ${definition.type} of ${definition.lanes}, not ${operand.type} of ${operand.lanes}`)
        return
      }
      case 'load':
        return this.address(operand.binding, operand.at, false)
      case 'gather':
        for (const at of operand.at) this.address(operand.binding, at, false)
        return
      case 'ramp':
        return this.value(operand.from, 'i32', 1, 'a ramp')
      case 'operation':
        for (const arg of operand.args) this.operand(arg)
        if (operand.lanes === 1 && operand.op !== 'lanesum' && operand.op !== 'lanemax' && operand.args.some((arg) => lanesOf(arg) === 4))
          this.report(`${operand.op} of four lanes gives one`)
        return
      case 'vector':
        if (operand.parts.length !== 4) this.report(`a vector of ${operand.parts.length}`)
        for (const part of operand.parts) this.value(part, typeOf(operand), 1, 'a lane')
        return
      case 'lane':
        this.operand(operand.of)
        if (lanesOf(operand.of) !== 4) this.report('a lane of what has one')
        return
      case 'random':
        return this.value(operand.at, 'i32', 1, 'a position')
      case 'subgroup':
        if (!this.f.subgroups) this.report('asks its subgroup, but is for all devices')
        return this.value(operand.of, 'f32', 1, 'a part of a subgroup')
    }
  }
}
