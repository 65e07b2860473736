import { lanesOf, type Statement, type Operand } from '../../codegen/kernel-function.ts'
import { split } from './addresses.ts'

/** How a name is used: by scalar operations, by vector operations (which want it in all four lanes), as part of an address. */
export interface Use {
  scalar: number
  vector: number
  addresses: readonly number[]
}

const NONE: readonly number[] = []

/** How every name of a text is used: it decides in what form a name is kept. */
export class Uses {
  private readonly all = new Map<string, Use>()

  has(name: string): boolean {
    return this.all.has(name)
  }

  of(name: string): Use {
    const known = this.all.get(name)
    if (known) return known
    const use: Use = { scalar: 0, vector: 0, addresses: NONE }
    this.all.set(name, use)
    return use
  }

  count(body: readonly Statement[]): void {
    for (const s of body) {
      if (s.kind === 'let' || s.kind === 'var') this.countOperand(s.value, s.lanes)
      else if (s.kind === 'set') this.countOperand(s.value, lanesOf(s.value))
      else if (s.kind === 'store') {
        this.countOperand(s.value, s.lanes ?? 1)
        this.countAddress(s.binding, s.at)
      } else if (s.kind === 'count') {
        for (const value of s.values) this.countOperand(value, lanesOf(value))
      } else if (s.kind === 'storeInterleaved') {
        for (const value of s.values) this.countOperand(value, 4)
        this.countAddress(s.binding, s.at)
      } else if (s.kind === 'step') this.count(s.body)
      else if (s.kind === 'for' || s.kind === 'if') {
        this.countOperand(s.kind === 'for' ? s.extent : s.condition, 1)
        this.count(s.body)
      }
    }
  }

  private countOperand(operand: Operand, lanes: 1 | 4): void {
    switch (operand.kind) {
      case 'name':
        if (lanes === 4 && operand.lanes === 1) this.of(operand.name).vector++
        else this.of(operand.name).scalar++
        return
      case 'load':
        return this.countAddress(operand.binding, operand.at)
      case 'gather':
        for (const at of operand.at) this.countAddress(operand.binding, at)
        return
      case 'ramp':
        return this.countOperand(operand.from, 1)
      case 'vector':
        for (const part of operand.parts) this.countOperand(part, 1)
        return
      case 'lane':
        return this.countOperand(operand.of, 4)
      case 'random':
        return this.countOperand(operand.at, 1)
      case 'operation':
        for (const arg of operand.args) this.countOperand(arg, lanesOfArguments(operand))
    }
  }

  private countAddress(binding: number, at: Operand): void {
    const { base } = split(at)
    if (base?.kind === 'name') {
      const use = this.of(base.name)
      if (!use.addresses.includes(binding)) use.addresses = [...use.addresses, binding]
    } else if (base) this.countOperand(base, 1)
  }
}

const ALWAYS_IN_FOURS: ReadonlySet<string> = new Set(['exp', 'log', 'tanh', 'erf', 'pow'])

/** Scalars meet vectors in all four lanes. */
export const lanesOfArguments = (operand: Extract<Operand, { kind: 'operation' }>): 1 | 4 =>
  operand.lanes === 4 || operand.args.some((a) => lanesOf(a) === 4) || ALWAYS_IN_FOURS.has(operand.op) ? 4 : 1
