import type { Code, ValueType } from './code.ts'
import type { Uses } from './uses.ts'

/** Parameters of a kernel's function: see KERNEL. */
export const [P_RECORD, P_SCRATCH, P_FIRST, P_LAST, P_SINCE] = [0, 1, 2, 3, 4] as const

/**
 * The locals of a WebAssembly function that stand for the names of a kernel function: scalars, copies in all lanes, addresses that start
 * at them.
 */
export class Locals {
  /** The types of the locals behind the parameters. */
  readonly types: ValueType[] = []
  /** Where each binding lies, then each staging memory. */
  readonly pointers: number[] = []
  private readonly code: Code
  private readonly uses: Uses
  private readonly localOf = new Map<string, number>()
  private readonly splatOf = new Map<string, number>()
  /** `binding:name` -> byte address of element `name`. */
  private readonly addressOf = new Map<string, number>()
  /** Locals whose names are gone, by type. */
  private readonly unused: Readonly<Record<ValueType, number[]>> = { i32: [], f32: [], v128: [] }
  /** A vector that is never written: locals start as zeros. */
  private zero: number | undefined
  private readonly spare = new Map<ValueType, number>()

  constructor(code: Code, uses: Uses) {
    this.code = code
    this.uses = uses
  }

  local(type: ValueType): number {
    return this.unused[type].pop() ?? P_SINCE + this.types.push(type)
  }

  /** Frees locals that have no name. */
  giveBack(type: ValueType, locals: readonly number[]): void {
    this.unused[type].push(...locals)
  }

  /** Leaves four lanes of zeros on the stack, in two bytes where a constant takes eighteen. */
  zeros(): void {
    this.zero ??= P_SINCE + this.types.push('v128')
    this.code.get(this.zero)
  }

  /** Frees the locals of names that nothing mentions any more, for the names to come: fewer locals are shorter indices, and less for an engine to follow. */
  release(names: readonly string[]): void {
    for (const name of names) {
      this.free(name)
      if (this.splatOf.delete(name)) this.free(`${name} splat`)
      if (!this.uses.has(name)) continue
      for (const binding of this.uses.of(name).addresses) {
        if (this.addressOf.delete(`${binding}:${name}`)) this.free(`${name} address ${binding}`)
      }
    }
  }

  private free(key: string): void {
    const local = this.localOf.get(key)
    if (local === undefined) return
    this.localOf.delete(key)
    this.unused[this.typeOf(local)].push(local)
  }

  /** A local for within one statement. */
  temporary(type: ValueType): number {
    const known = this.spare.get(type)
    if (known !== undefined) return known
    const made = this.local(type)
    this.spare.set(type, made)
    return made
  }

  typeOf(local: number): ValueType {
    return this.types[local - P_SINCE - 1]!
  }

  /** The local of a name that has one. */
  of(name: string): number | undefined {
    return this.localOf.get(name)
  }

  splat(name: string): number | undefined {
    return this.splatOf.get(name)
  }

  /** Takes the vector on the stack: a number in all lanes, and nothing else. */
  defineSplat(name: string): void {
    const splat = this.for(`${name} splat`, 'v128')
    this.splatOf.set(name, splat)
    this.code.set(splat)
  }

  address(binding: number, name: string): number {
    return this.addressOf.get(`${binding}:${name}`)!
  }

  /** The local of a name: one for all places where it is written. */
  for(key: string, type: ValueType): number {
    const known = this.localOf.get(key)
    if (known !== undefined) return known
    const made = this.local(type)
    this.localOf.set(key, made)
    return made
  }

  /** Takes the value on the stack: into a local, in all lanes where vectors want it, and into the addresses that start there. */
  define(name: string, type: 'i32' | 'f32', isTruth = false): void {
    const { code } = this
    const local = this.for(name, type)
    code.set(local)
    this.takeUp(name, local, type, isTruth)
  }

  /** What else there is of a local: all lanes, addresses. */
  takeUp(name: string, local: number, type: 'i32' | 'f32' = 'i32', isTruth = false): void {
    const { code } = this
    const use = this.uses.of(name)
    if (use.vector > 0) {
      const splat = this.for(`${name} splat`, 'v128')
      this.splatOf.set(name, splat)
      if (isTruth) code.i32(0).get(local).op('i32.sub')
      else code.get(local)
      code.op(type === 'f32' ? 'f32x4.splat' : 'i32x4.splat').set(splat)
    }
    for (const binding of use.addresses) {
      const address = this.for(`${name} address ${binding}`, 'i32')
      this.addressOf.set(`${binding}:${name}`, address)
      code.get(this.pointers[binding]!).get(local).i32(2).op('i32.shl').op('i32.add').set(address)
    }
  }
}
