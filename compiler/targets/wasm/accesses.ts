import type { KernelFunction, Statement, Operand } from '../../codegen/kernel-function.ts'
import { plusConstant, split } from './addresses.ts'
import type { Code } from './code.ts'
import type { Locals } from './locals.ts'
import type { Uses } from './uses.ts'

/** Leaves a value on the stack, in so many lanes. */
type Value = (operand: Operand, lanes: 1 | 4) => void

/** Prints loads and stores. */
export class Accesses {
  private readonly kernel: KernelFunction
  private readonly code: Code
  private readonly locals: Locals
  private readonly uses: Uses
  private readonly value: Value
  /** The places at which loads into all lanes start, of the step that is being printed. */
  private readonly rolled = new Map<string, { local: number; lowest: number }>()

  constructor(kernel: KernelFunction, code: Code, locals: Locals, uses: Uses, value: Value) {
    this.kernel = kernel
    this.code = code
    this.locals = locals
    this.uses = uses
    this.value = value
  }

  /**
   * Numbers that a step needs in all lanes are loaded from one address that is moved on from step to step: V8 has no offsets
   * for such loads and would compute an address for each.
   */
  roll(body: readonly Statement[]): void {
    const groups = new Map<string, { binding: number; base: string; offsets: number[] }>()
    for (const s of body) {
      if (s.kind !== 'let' || s.lanes === 4 || s.value.kind !== 'load' || !this.uses.has(s.name)) continue
      const use = this.uses.of(s.name)
      const { base, offset } = split(s.value.at)
      if (use.scalar > 0 || use.vector === 0 || base?.kind !== 'name') continue
      const key = `${s.value.binding}:${base.name}`
      const group = groups.get(key) ?? { binding: s.value.binding, base: base.name, offsets: [] }
      group.offsets.push(offset)
      groups.set(key, group)
    }
    for (const [key, { binding, base, offsets }] of groups) {
      const lowest = Math.min(...offsets)
      if (offsets.length < 2 || lowest === 0) continue
      const moved = this.locals.for(`rolled ${key}`, 'i32')
      this.code.get(this.locals.address(binding, base)).i32(4 * lowest).op('i32.add').set(moved)
      this.rolled.set(key, { local: moved, lowest })
    }
  }

  endStep(): void {
    this.rolled.clear()
  }

  /** Leaves an address on the stack; the result is what is to be added to it. */
  private address(binding: number, at: Operand): number {
    const { code } = this
    const { base, offset } = split(at)
    const bytes = 4 * offset
    if (base === undefined) code.get(this.locals.pointers[binding]!)
    else if (base.kind === 'name') code.get(this.locals.address(binding, base.name))
    else {
      code.get(this.locals.pointers[binding]!)
      this.value(base, 1)
      code.i32(2).op('i32.shl').op('i32.add')
    }
    if (bytes >= 0) return bytes
    code.i32(bytes).op('i32.add')
    return 0
  }

  private isLabel(binding: number): boolean {
    const { bindings, packBuffers: staging } = this.kernel
    return (bindings[binding] ?? staging[binding - bindings.length])!.tensor.type === 'i32'
  }

  splatLoad({ binding, at }: Extract<Operand, { kind: 'load' }>): void {
    const { base, offset } = split(at)
    const rolled = base?.kind === 'name' ? this.rolled.get(`${binding}:${base.name}`) : undefined
    if (rolled) this.code.get(rolled.local).memory('v128.load32_splat', 4 * (offset - rolled.lowest))
    else this.code.memory('v128.load32_splat', this.address(binding, at))
    if (this.isLabel(binding)) this.code.op('f32x4.convert_i32x4_s')
  }

  load(operand: Extract<Operand, { kind: 'load' }>): void {
    const { code } = this
    const { binding, at, lanes = 1, step = 1 } = operand
    const label = this.isLabel(binding)
    if (lanes === 1) {
      code.memory(label ? 'i32.load' : 'f32.load', this.address(binding, at))
      if (label) code.op('f32.convert_i32_s')
      return
    }
    code.memory('v128.load', this.address(binding, at))
    if (step === 2) {
      code.memory('v128.load', this.address(binding, plusConstant(at, 4)))
      code.shuffle(0, 2, 4, 6)
    }
    if (label) code.op('f32x4.convert_i32x4_s')
  }

  gather({ binding, at }: Extract<Operand, { kind: 'gather' }>): void {
    const { code } = this
    const offsets = [3, 2, 1, 0].map((lane) => this.address(binding, at[lane]!)).reverse()
    code.memory('v128.load32_splat', offsets[0])
    for (const lane of [1, 2, 3]) code.memoryLane('v128.load32_lane', lane, offsets[lane])
    if (this.isLabel(binding)) code.op('f32x4.convert_i32x4_s')
  }

  store({ binding, at, value, lanes = 1, step = 1 }: Extract<Statement, { kind: 'store' }>): void {
    const { code } = this
    if (lanes === 1 || step === 1) {
      const offset = this.address(binding, at)
      this.value(value, lanes)
      code.memory(lanes === 4 ? 'v128.store' : 'f32.store', offset)
      return
    }
    const vector = this.locals.temporary('v128')
    this.value(value, 4)
    code.set(vector)
    for (const lane of [0, 1, 2, 3]) {
      const offset = this.address(binding, plusConstant(at, lane * step))
      code.get(vector).memoryLane('v128.store32_lane', lane, offset)
    }
  }

  /**
   * Stores two vectors that lie side by side, both values first: V8 joins stores, and what they store, only where nothing between them
   * reads or writes memory. The upper one goes first, or V8 stores the lower one twice. False where these are no such stores: nothing is
   * printed then.
   */
  storePair(lower: Statement, upper: Statement): boolean {
    if (lower.kind !== 'store' || upper.kind !== 'store' || lower.binding !== upper.binding) return false
    if ([lower, upper].some(({ lanes = 1, step = 1 }) => lanes !== 4 || step !== 1)) return false
    const [from, to] = [split(lower.at), split(upper.at)]
    const isSameBase = from.base === to.base || (from.base?.kind === 'name' && to.base?.kind === 'name' && from.base.name === to.base.name)
    if (!isSameBase || to.offset !== from.offset + 4) return false
    const values = [lower, upper].map(({ value }, i) => {
      const local = this.locals.for(`pair ${i}`, 'v128')
      this.value(value, 4)
      this.code.set(local)
      return local
    })
    for (const [at, value] of [[upper.at, values[1]!], [lower.at, values[0]!]] as const) {
      const offset = this.address(lower.binding, at)
      this.code.get(value).memory('v128.store', offset)
    }
    return true
  }

  /** Two or four vectors as columns: a transposition, and whole vectors are stored. */
  storeInterleaved({ binding, at, values, step }: Extract<Statement, { kind: 'storeInterleaved' }>): void {
    const { code } = this
    const parts = values.map((value, i) => {
      const local = this.locals.for(`woven ${i}`, 'v128')
      this.value(value, 4)
      code.set(local)
      return local
    })
    const store = (row: number, write: () => void): void => {
      const offset = this.address(binding, plusConstant(at, values.length === 2 ? 4 * row : step * row))
      write()
      code.memory('v128.store', offset)
    }
    const halves: readonly Four[] = [[0, 4, 1, 5], [2, 6, 3, 7]]
    halves.forEach((half, h) => {
      const pair = (i: number): Code => code.get(parts[i]!).get(parts[i + 1]!).shuffle(...half)
      if (values.length === 2) return store(h, () => pair(0))
      const [first, second] = [this.locals.for('woven first', 'v128'), this.locals.for('woven second', 'v128')]
      pair(0).set(first)
      pair(2).set(second)
      const rows: readonly Four[] = [[0, 1, 4, 5], [2, 3, 6, 7]]
      rows.forEach((row, r) => store(2 * h + r, () => code.get(first).get(second).shuffle(...row)))
    })
  }
}

type Four = readonly [number, number, number, number]
