import { type KernelFunction, lanesOf, type Statement, typeOf } from '../../codegen/kernel-function.ts'
import type { KernelCapabilities } from '../../codegen/verify.ts'
import { inlineLets } from '../../codegen/inline-lets.ts'
import { Code } from './code.ts'
import type { WasmFunction } from './encode.ts'
import { forEachName, growthOf } from './growth.ts'
import { Locals, P_FIRST, P_LAST, P_RECORD, P_SCRATCH } from './locals.ts'
import { type Lifetimes, lifetimesOf } from './lifetimes.ts'
import { KERNEL } from './run-loop.ts'
import { RECORD } from '../../../bundle/wasm-abi.ts'
import { Uses } from './uses.ts'
import { Values } from './values.ts'

export interface PrintOptions {
  /** Index of the first function of `math.ts`. */
  readonly math: number
  /** For engines that join neighbouring vectors: pairs of stores have nothing between them, and no function of vectors is called. */
  readonly inPairs?: true
}

/** A thread has no workgroup: what is shared, waits or asks its neighbours is not here. */
export const CAPABILITIES: KernelCapabilities = {
  statements: new Set(['let', 'var', 'set', 'store', 'storeInterleaved', 'count', 'for', 'if', 'step']),
  operands: new Set([
    'number',
    'truth',
    'name',
    'load',
    'gather',
    'ramp',
    'vector',
    'lane',
    'scalar',
    'batch',
    'tasksDone',
    'random',
    'operation',
  ]),
}

/** Prints a kernel as a function that goes through tasks `first` to `last`: see KERNEL. */
export function printFunction(kernel: KernelFunction, options: PrintOptions): WasmFunction {
  return new Printer(kernel, options).print()
}

type Assignment = Extract<Statement, { kind: 'let' | 'var' }>

class Printer {
  private readonly kernel: KernelFunction
  private readonly options: PrintOptions
  private readonly code: Code
  private readonly uses = new Uses()
  private readonly locals: Locals
  private readonly values: Values
  private readonly lifetimes: Lifetimes
  private stepCount = 0
  /** The variable of the innermost loop. */
  private counter: number | undefined

  constructor(given: KernelFunction, options: PrintOptions) {
    const kernel = { ...given, body: inlineLets(given.body, { mostLeaves: 64, keepsIndices: true, keepsSteps: true }).statements }
    this.kernel = kernel
    this.lifetimes = lifetimesOf(kernel.body)
    this.options = options
    this.code = new Code({ inFull: options.inPairs === true })
    this.locals = new Locals(this.code, this.uses)
    this.values = new Values(kernel, this.code, this.locals, this.uses, options.math, options.inPairs === true)
  }

  print(): WasmFunction {
    const { kernel, code } = this
    this.uses.count(kernel.body)
    kernel.bindings.forEach((_, i) => {
      const pointer = this.locals.local('i32')
      this.locals.pointers.push(pointer)
      code.get(P_RECORD).memory('i32.load', RECORD.tensors + 4 * i).set(pointer)
    })
    for (const { offset } of kernel.packBuffers) {
      const pointer = this.locals.local('i32')
      this.locals.pointers.push(pointer)
      code.get(P_SCRATCH).i32(4 * offset).op('i32.add').set(pointer)
    }
    const id = this.locals.local('i32')
    this.values.task = id
    code.get(P_FIRST).set(id)
    this.limitToGrid()
    code.block().loop()
    code.get(id).get(P_LAST).op('i32.ge_s').brIf(1)
    this.coordinates(id)
    this.statements(kernel.body)
    code.get(id).i32(1).op('i32.add').set(id)
    code.br(0)
    code.end().end()
    return { type: KERNEL, locals: this.locals.types, code }
  }

  /** Tasks are counted generously where the batch is cut into chunks: what lies beyond the grid is left out. */
  private limitToGrid(): void {
    const { code } = this
    if (!this.kernel.grid.some(({ extent }) => typeof extent === 'object')) return
    const limit = this.locals.local('i32')
    this.kernel.grid.forEach(({ extent }, i) => {
      this.values.extent(extent)
      if (i > 0) code.op('i32.mul')
    })
    code.set(limit)
    code.get(P_LAST).get(limit).get(P_LAST).get(limit).op('i32.lt_s').op('select').set(P_LAST)
  }

  private coordinates(id: number): void {
    const { code } = this
    const { grid } = this.kernel
    let rest = id
    for (let i = grid.length - 1; i >= 0; i--) {
      const { name, extent } = grid[i]!
      if (i === 0) code.get(rest)
      else {
        const next = this.locals.local('i32')
        code.get(rest)
        this.values.extent(extent)
        code.op('i32.div_u').set(next)
        code.get(rest).get(next)
        this.values.extent(extent)
        code.op('i32.mul').op('i32.sub')
        rest = next
      }
      this.locals.define(name, 'i32')
    }
  }

  /** Prints a block, but for the names that a loop carries. */
  private statements(body: readonly Statement[], carried?: ReadonlyMap<string, Assignment>): void {
    const last = this.lifetimes.lastMentions.get(body)!
    const isOwn = (s: Statement): boolean => !(s.kind === 'let' && carried?.has(s.name))
    const release = (i: number): void => this.locals.release(carried ? last[i]!.filter((name) => !carried.has(name)) : last[i]!)
    for (let i = 0; i < body.length; i++) {
      if (!isOwn(body[i]!)) continue
      let next = i + 1
      while (next < body.length && !isOwn(body[next]!)) next++
      if (next < body.length && this.pair(body[i]!, body[next]!)) {
        release(i)
        i = next
      } else this.statement(body[i]!)
      release(i)
    }
  }

  /** Whether two stores in a row were printed as a pair. */
  private pair(lower: Statement, upper: Statement): boolean {
    return this.options.inPairs === true && this.values.accesses.storePair(lower, upper)
  }

  private statement(s: Statement): void {
    const { code } = this
    switch (s.kind) {
      case 'let': {
        if (!this.uses.has(s.name)) return
        const use = this.uses.of(s.name)
        if (s.lanes === 4) {
          this.values.print(s.value, 4)
          code.set(this.locals.for(s.name, 'v128'))
          return
        }
        if (s.value.kind === 'load' && use.scalar === 0 && use.vector > 0) {
          this.values.accesses.splatLoad(s.value)
          this.locals.defineSplat(s.name)
          return
        }
        this.values.print(s.value, 1)
        this.locals.define(s.name, s.type === 'f32' ? 'f32' : 'i32', s.type === 'bool')
        return
      }
      case 'var':
        this.values.print(s.value, s.lanes)
        code.set(this.locals.for(s.name, s.lanes === 4 ? 'v128' : 'f32'))
        return
      case 'set': {
        const target = this.locals.of(s.name)!
        this.values.print(s.value, this.locals.typeOf(target) === 'v128' ? 4 : 1)
        code.set(target)
        return
      }
      case 'store':
        return this.values.accesses.store(s)
      case 'storeInterleaved':
        return this.values.accesses.storeInterleaved(s)
      case 'count':
        return this.count(s)
      case 'for':
        return this.loop(s)
      case 'step':
        // Always true, which V8 cannot know: TurboFan moves arithmetic freely within a block, loads first, and spills.
        // Every step has a condition of its own, or the second would be found to be the first.
        this.alwaysTrue()
        code.if()
        this.values.accesses.roll(s.body)
        this.statements(s.body)
        this.values.accesses.endStep()
        code.end()
        return
      case 'if':
        this.values.print(s.condition, 1)
        code.if()
        this.statements(s.body)
        code.end()
        return
    }
  }

  /** Rare: nothing is added where all lanes of all values are 0 or false. Several threads may add at once. */
  private count({ binding, values }: Extract<Statement, { kind: 'count' }>): void {
    const { code } = this
    const found = this.locals.temporary('i32')
    values.forEach((value, i) => {
      const four = lanesOf(value) === 4
      this.values.print(value, four ? 4 : 1)
      if (typeOf(value) !== 'bool') {
        if (four) code.f32x4(0, 0, 0, 0).op('f32x4.ne')
        else code.f32(0).op('f32.ne')
      }
      if (four) code.op('i32x4.bitmask').op('i32.popcnt')
      if (i > 0) code.op('i32.add')
    })
    code.tee(found).if()
    code.get(this.locals.pointers[binding]!).get(found).memory('i32.atomic.rmw.add', 0).op('drop')
    code.end()
  }

  /**
   * Whatever grows evenly with the loop is computed before it and added to: as a value that the loop carries it stays in a
   * register, while V8 computes a product again in every block that uses it.
   */
  private loop(s: Extract<Statement, { kind: 'for' }>): void {
    const { code } = this
    const variable = this.locals.for(s.name, 'i32')
    const isGiven = (name: string): boolean => this.lifetimes.isGivenIn(s, name)
    const growth = new Map([[s.name, 1]])
    const carried = new Map<string, Assignment>()
    for (const inner of s.body) {
      if (
        inner.kind !== 'let' || inner.type !== 'i32' || inner.lanes !== 1 || !this.uses.has(inner.name) ||
        this.uses.of(inner.name).vector > 0
      ) continue
      const by = growthOf(inner.value, growth, isGiven)
      if (by === undefined || by === 0) continue
      growth.set(inner.name, by)
      carried.set(inner.name, inner as Assignment)
    }
    const among = new Map<string, number>()
    for (const { value } of carried.values()) forEachName(value, (name) => among.set(name, (among.get(name) ?? 0) + 1))
    const isVector = this.uses.of(s.name).vector > 0
    code.i32(0).set(variable)
    if (!isVector) this.locals.takeUp(s.name, variable)
    for (const { name, value } of carried.values()) {
      this.values.print(value, 1)
      this.locals.define(name, 'i32')
    }
    code.loop()
    if (isVector) {
      code.get(variable)
      this.locals.define(s.name, 'i32')
    }
    const around = this.counter
    this.counter = variable
    this.statements(s.body, carried)
    this.counter = around
    for (const name of [...(isVector ? [] : [s.name]), ...carried.keys()]) {
      const by = growth.get(name)!
      const { scalar, addresses } = this.uses.of(name)
      const local = this.locals.of(name)!
      if (name !== s.name && scalar > (among.get(name) ?? 0)) code.get(local).i32(by).op('i32.add').set(local)
      for (const binding of addresses) {
        const address = this.locals.address(binding, name)
        code.get(address).i32(4 * by).op('i32.add').set(address)
      }
    }
    code.get(variable).i32(1).op('i32.add').tee(variable)
    this.values.print(s.extent, 1)
    code.op('i32.lt_s').brIf(0)
    code.end()
    this.locals.release([s.name, ...carried.keys()])
  }

  /** A condition that holds, and that V8 has not seen before. */
  private alwaysTrue(): void {
    const count = ++this.stepCount
    if (this.counter === undefined) this.code.get(P_RECORD).i32(count).op('i32.gt_u')
    else this.code.get(this.counter).i32(-count).op('i32.gt_s')
  }
}
