import { lanesOf, type Statement, type Operand } from '../../codegen/kernel-function.ts'
import { split } from './addresses.ts'

/** How a name is used: by scalar operations, by vector operations (which want it in all four lanes), as part of an address. */
export interface Use {
  scalar: number
  vector: number
  readonly addresses: Set<number>
}

/** How every name of a text is used: it decides in what form a name is kept. */
export class Uses {
  private readonly all = new Map<string, Use>()

  has(name: string): boolean {
    return this.all.has(name)
  }

  of(name: string): Use {
    const known = this.all.get(name)
    if (known) return known
    const use: Use = { scalar: 0, vector: 0, addresses: new Set() }
    this.all.set(name, use)
    return use
  }

  count(body: readonly Statement[]): void {
    for (const s of body) {
      if (s.kind === 'let' || s.kind === 'var') this.countTerm(s.value, s.lanes)
      else if (s.kind === 'set') this.countTerm(s.value, lanesOf(s.value))
      else if (s.kind === 'store') {
        this.countTerm(s.value, s.lanes ?? 1)
        this.countAddress(s.binding, s.at)
      } else if (s.kind === 'count') {
        for (const value of s.values) this.countTerm(value, lanesOf(value))
      } else if (s.kind === 'storeInterleaved') {
        for (const value of s.values) this.countTerm(value, 4)
        this.countAddress(s.binding, s.at)
      } else if (s.kind === 'step') this.count(s.body)
      else if (s.kind === 'for' || s.kind === 'if') {
        this.countTerm(s.kind === 'for' ? s.extent : s.condition, 1)
        this.count(s.body)
      }
    }
  }

  private countTerm(term: Operand, lanes: 1 | 4): void {
    switch (term.kind) {
      case 'name':
        if (lanes === 4 && term.lanes === 1) this.of(term.name).vector++
        else this.of(term.name).scalar++
        return
      case 'load':
        return this.countAddress(term.binding, term.at)
      case 'gather':
        for (const at of term.at) this.countAddress(term.binding, at)
        return
      case 'ramp':
        return this.countTerm(term.from, 1)
      case 'vector':
        for (const part of term.parts) this.countTerm(part, 1)
        return
      case 'lane':
        return this.countTerm(term.of, 4)
      case 'random':
        return this.countTerm(term.at, 1)
      case 'operation':
        for (const arg of term.args) this.countTerm(arg, lanesOfArguments(term))
    }
  }

  private countAddress(binding: number, at: Operand): void {
    const { base } = split(at)
    if (base?.kind === 'name') this.of(base.name).addresses.add(binding)
    else if (base) this.countTerm(base, 1)
  }
}

/** Scalars meet vectors in all four lanes. */
export const lanesOfArguments = (term: Extract<Operand, { kind: 'operation' }>): 1 | 4 =>
  term.lanes === 4 || term.args.some((a) => lanesOf(a) === 4) || ['exp', 'log', 'tanh', 'erf', 'pow'].includes(term.op) ? 4 : 1
