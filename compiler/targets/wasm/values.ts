import { stepOffset } from '../../../bundle/step-uniform.ts'
import { CONTROL } from '../../../bundle/wasm-abi.ts'
import { invariant } from '../../invariant.ts'
import type { Extent } from '../../ir/affine.ts'
import { type KernelFunction, lanesOf, type Operand, typeOf } from '../../codegen/kernel-function.ts'
import { Accesses } from './accesses.ts'
import type { Code } from './code.ts'
import { type Locals, P_SINCE } from './locals.ts'
import { Operations } from './operations.ts'
import type { Uses } from './uses.ts'

/** Prints operands: instructions that leave a value on the stack. */
export class Values {
  /** Loads and stores, whose addresses and values are operands in turn. */
  readonly accesses: Accesses
  /** The local that holds the number of the task. */
  task: number | undefined
  private readonly kernel: KernelFunction
  private readonly code: Code
  private readonly locals: Locals
  private readonly operations: Operations

  /** `math`: the index of the first function of `math.ts`. `callsNone`: all of them are written out. */
  constructor(kernel: KernelFunction, code: Code, locals: Locals, uses: Uses, math: number, callsNone: boolean) {
    this.kernel = kernel
    this.code = code
    this.locals = locals
    const print = (operand: Operand, lanes: 1 | 4): void => this.print(operand, lanes)
    this.accesses = new Accesses(kernel, code, locals, uses, print)
    this.operations = new Operations(code, locals, math, callsNone, print)
  }

  /** Leaves how many points an axis has on the stack. */
  extent(extent: Extent): void {
    if (typeof extent === 'number') this.code.i32(extent)
    else this.batch(extent === 'n' ? 1 : extent.chunks)
  }

  private batch(chunks: number): void {
    this.code.i32(0).memory('i32.load', CONTROL.step)
    if (chunks > 1) this.code.i32(chunks - 1).op('i32.add').i32(chunks).op('i32.div_u')
  }

  /** Leaves a value on the stack, in all four lanes if four are wanted of a scalar. */
  print(operand: Operand, lanes: 1 | 4): void {
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
      this.print(operand, 1)
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
        this.print(operand.from, 1)
        code.op('i32x4.splat').i32x4(0, operand.step, 2 * operand.step, 3 * operand.step).op('i32x4.add')
        return
      case 'vector':
        return this.vector(operand.parts)
      case 'lane':
        this.print(operand.of, 4)
        code.lane('f32x4.extract_lane', operand.lane)
        return
      case 'batch':
        return this.batch(operand.chunks)
      case 'tasksDone':
        code.get(this.task!).get(P_SINCE).op('i32.sub')
        return
      case 'scalar':
        if (operand.name === 'batch') code.i32(0).memory('i32.load', CONTROL.step + stepOffset('n')).op('f32.convert_i32_u')
        else code.i32(0).memory('f32.load', CONTROL.step + stepOffset(operand.name))
        return
      case 'random':
        code.i32(operand.key)
        this.print(operand.at, 1)
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
      this.print(part, 1)
      if (isTruth) code.op('i32.sub')
      if (lane === 0) code.op(isTruth ? 'i32x4.splat' : 'f32x4.splat')
      else code.lane(isTruth ? 'i32x4.replace_lane' : 'f32x4.replace_lane', lane)
    })
  }
}
