import { stepOffset } from '../../../bundle/step-uniform.ts'
import { invariant } from '../../invariant.ts'
import type { Extent } from '../../ir/affine.ts'
import { lanesOf, type KernelFunction, type Statement, type Operand, typeOf } from '../../codegen/kernel-function.ts'
import type { KernelCapabilities } from '../../codegen/verify.ts'
import { inlineLets } from '../../codegen/inline-lets.ts'
import { Accesses } from './accesses.ts'
import { Code } from './code.ts'
import type { WasmFunction } from './encode.ts'
import { forEachName, growthOf } from './growth.ts'
import { Locals, P_FIRST, P_LAST, P_RECORD, P_SCRATCH, P_SINCE } from './locals.ts'
import { type Lifetimes, lifetimesOf } from './lifetimes.ts'
import { Operations } from './operations.ts'
import { KERNEL } from './run-loop.ts'
import { CONTROL, RECORD } from '../../../bundle/wasm-abi.ts'
import { Uses } from './uses.ts'

export interface PrintOptions {
  /** Index of the first function of `math.ts`. */
  readonly math: number
  /** For engines that join neighbouring vectors: pairs of stores have nothing between them. */
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

/** Prints a kernel as a function that goes through items `first` to `last`: see KERNEL. */
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
  private readonly accesses: Accesses
  private readonly operations: Operations
  private readonly lifetimes: Lifetimes
  /** The item. */
  private id: number | undefined
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
    const value = (operand: Operand, lanes: 1 | 4): void => this.value(operand, lanes)
    this.accesses = new Accesses(kernel, this.code, this.locals, this.uses, value)
    this.operations = new Operations(this.code, this.locals, options.math, value)
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
    this.id = id
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

  /** Items are counted generously where the batch is cut into chunks: what lies beyond the grid is left out. */
  private limitToGrid(): void {
    const { code } = this
    if (!this.kernel.grid.some(({ extent }) => typeof extent === 'object')) return
    const limit = this.locals.local('i32')
    this.kernel.grid.forEach(({ extent }, i) => {
      this.extent(extent)
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
        this.extent(extent)
        code.op('i32.div_u').set(next)
        code.get(rest).get(next)
        this.extent(extent)
        code.op('i32.mul').op('i32.sub')
        rest = next
      }
      this.locals.define(name, 'i32')
    }
  }

  private extent(extent: Extent): void {
    if (typeof extent === 'number') this.code.i32(extent)
    else this.batch(extent === 'n' ? 1 : extent.chunks)
  }

  private batch(chunks: number): void {
    this.code.i32(0).memory('i32.load', CONTROL.step)
    if (chunks > 1) this.code.i32(chunks - 1).op('i32.add').i32(chunks).op('i32.div_u')
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
    return this.options.inPairs === true && this.accesses.storePair(lower, upper)
  }

  private statement(s: Statement): void {
    const { code } = this
    switch (s.kind) {
      case 'let': {
        if (!this.uses.has(s.name)) return
        const use = this.uses.of(s.name)
        if (s.lanes === 4) {
          this.value(s.value, 4)
          code.set(this.locals.for(s.name, 'v128'))
          return
        }
        if (s.value.kind === 'load' && use.scalar === 0 && use.vector > 0) {
          this.accesses.splatLoad(s.value)
          this.locals.defineSplat(s.name)
          return
        }
        this.value(s.value, 1)
        this.locals.define(s.name, s.type === 'f32' ? 'f32' : 'i32', s.type === 'bool')
        return
      }
      case 'var':
        this.value(s.value, s.lanes)
        code.set(this.locals.for(s.name, s.lanes === 4 ? 'v128' : 'f32'))
        return
      case 'set': {
        const target = this.locals.of(s.name)!
        this.value(s.value, this.locals.typeOf(target) === 'v128' ? 4 : 1)
        code.set(target)
        return
      }
      case 'store':
        return this.accesses.store(s)
      case 'storeInterleaved':
        return this.accesses.storeInterleaved(s)
      case 'count':
        return this.count(s)
      case 'for':
        return this.loop(s)
      case 'step':
        // Always true, which V8 cannot know: TurboFan moves arithmetic freely within a block, loads first, and spills.
        // Every step has a condition of its own, or the second would be found to be the first.
        this.alwaysTrue()
        code.if()
        this.accesses.roll(s.body)
        this.statements(s.body)
        this.accesses.endStep()
        code.end()
        return
      case 'if':
        this.value(s.condition, 1)
        code.if()
        this.statements(s.body)
        code.end()
        return
    }
  }

  /** Rare: nothing is added where all lanes of all values are 0. Several threads may add at once. */
  private count({ binding, values }: Extract<Statement, { kind: 'count' }>): void {
    const { code } = this
    const found = this.locals.temporary('i32')
    values.forEach((value, i) => {
      const four = lanesOf(value) === 4
      this.value(value, four ? 4 : 1)
      if (four) code.f32x4(0, 0, 0, 0).op('f32x4.ne').op('i32x4.bitmask').op('i32.popcnt')
      else code.f32(0).op('f32.ne')
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
      this.value(value, 1)
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
    this.value(s.extent, 1)
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

  /** Leaves a value on the stack, in all four lanes if four are wanted of a scalar. */
  private value(operand: Operand, lanes: 1 | 4): void {
    const { code } = this
    const own = lanesOf(operand)
    invariant(own <= lanes, () => `${this.kernel.name}: four lanes where one is wanted: ${JSON.stringify(operand)}`)
    if (own < lanes) {
      if (operand.kind === 'number') {
        const { value: v } = operand
        if (Object.is(v, 0)) this.locals.zeros()
        else if (operand.type === 'f32') code.f32x4(v, v, v, v)
        else code.i32x4(v, v, v, v)
        return
      }
      if (operand.kind === 'truth') {
        const all = operand.value ? -1 : 0
        code.i32x4(all, all, all, all)
        return
      }
      const splat = operand.kind === 'name' ? this.locals.splat(operand.name) : undefined
      if (splat !== undefined) {
        code.get(splat)
        return
      }
      const type = typeOf(operand)
      if (type === 'bool') code.i32(0)
      this.value(operand, 1)
      if (type === 'bool') code.op('i32.sub')
      code.op(type === 'f32' ? 'f32x4.splat' : 'i32x4.splat')
      return
    }
    switch (operand.kind) {
      case 'number':
        if (operand.type === 'f32') code.f32(operand.value)
        else code.i32(operand.value)
        return
      case 'truth':
        code.i32(operand.value ? 1 : 0)
        return
      case 'name': {
        const local = this.locals.of(operand.name)
        invariant(local !== undefined, () => `${this.kernel.name}: ${operand.name} is not there yet`)
        code.get(local)
        return
      }
      case 'load':
        return this.accesses.load(operand)
      case 'gather':
        return this.accesses.gather(operand)
      case 'ramp':
        this.value(operand.from, 1)
        code.op('i32x4.splat').i32x4(0, operand.step, 2 * operand.step, 3 * operand.step).op('i32x4.add')
        return
      case 'vector':
        return this.vector(operand.parts)
      case 'lane':
        this.value(operand.of, 4)
        code.lane('f32x4.extract_lane', operand.lane)
        return
      case 'batch':
        return this.batch(operand.chunks)
      case 'tasksDone':
        code.get(this.id!).get(P_SINCE).op('i32.sub')
        return
      case 'scalar':
        if (operand.name === 'batch') code.i32(0).memory('i32.load', CONTROL.step + stepOffset('n')).op('f32.convert_i32_u')
        else code.i32(0).memory('f32.load', CONTROL.step + stepOffset(operand.name))
        return
      case 'random':
        code.i32(operand.key)
        this.value(operand.at, 1)
        return this.operations.math('random')
      case 'operation':
        return this.operations.print(operand)
      case 'subgroup':
      case 'subgroupSize':
        throw new Error(`${this.kernel.name}: WebAssembly has no ${operand.kind}`)
    }
  }

  private vector(parts: readonly Operand[]): void {
    const { code } = this
    if (parts.every((p) => p.kind === 'number')) {
      if (parts.every((p) => Object.is((p as { value: number }).value, 0))) return this.locals.zeros()
      code.f32x4(...(parts.map((p) => (p as { value: number }).value) as [number, number, number, number]))
      return
    }
    const isTruth = typeOf(parts[0]!) === 'bool'
    if (parts.every((p) => p.kind === 'truth')) {
      code.i32x4(...(parts.map((p) => ((p as { value: boolean }).value ? -1 : 0)) as [number, number, number, number]))
      return
    }
    parts.forEach((part, lane) => {
      if (isTruth) code.i32(0)
      this.value(part, 1)
      if (isTruth) code.op('i32.sub')
      if (lane === 0) code.op(isTruth ? 'i32x4.splat' : 'f32x4.splat')
      else code.lane(isTruth ? 'i32x4.replace_lane' : 'f32x4.replace_lane', lane)
    })
  }
}
