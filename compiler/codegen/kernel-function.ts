import type { Tensor } from '../ir/tensor.ts'
import type { Extent } from '../ir/affine.ts'
import type { BinaryOp, ScalarName, UnaryOp } from '../ir/expression.ts'

/**
 * The low-level IR: what one invocation of a scheduled kernel does, as structured statements over scalars and vectors of four lanes.
 * Targets print it and decide nothing. `print.ts` shows it, `verify.ts` says what is unsound in it.
 */
export interface KernelFunction {
  readonly name: string
  readonly layers: readonly string[]
  /** Heads the text: shapes, what was fused, the schedule. */
  readonly summary: readonly string[]
  readonly bindings: readonly Binding[]
  /** Memory of a thread's own that tasks are prepared in: numbered after the bindings. */
  readonly packBuffers: readonly PackBuffer[]
  /** Memory that the invocations of a workgroup share: numbered after the bindings too. Only where there is a `group`. */
  readonly shared?: readonly SharedArray[]
  /** The grid, slowest first: `id` counts through it, the last axis fastest. Only the first may depend on the batch. */
  readonly grid: readonly { readonly name: string; readonly extent: Extent }[]
  /**
   * Where each point of the grid is a workgroup: the coordinates of its invocations, slowest first; `local` counts through
   * them. The workgroup is as large as they make it.
   */
  readonly group?: readonly { readonly name: string; readonly extent: number }[]
  /** It asks what the invocations of a subgroup hold: for devices that have those alone. Only where there is a `group`. */
  readonly subgroups?: true
  readonly body: readonly Statement[]
}

export interface Binding {
  readonly name: string
  readonly tensor: Tensor
  readonly access: 'read' | 'read_write'
}

export interface PackBuffer {
  readonly name: string
  readonly tensor: Tensor
  /** The place of its first element, counted in elements from the start of the thread's memory. */
  readonly offset: number
}

/** An array in workgroup memory, of numbers or of vectors of four; indices count its elements. */
export interface SharedArray {
  readonly name: string
  readonly elements: number
  readonly lanes: 1 | 4
}

export type Type = 'f32' | 'i32' | 'bool'

export type Operand =
  | { readonly kind: 'number'; readonly value: number; readonly type: 'f32' | 'i32' }
  | { readonly kind: 'truth'; readonly value: boolean }
  /** A value or variable that a statement defines, or a coordinate; `depth`: of the scope that defines it, 0 being the function's body. */
  | { readonly kind: 'name'; readonly name: string; readonly type: Type; readonly lanes: 1 | 4; readonly depth: number }
  /** Element of a binding; labels are converted to f32. Four lanes: elements `step` apart, from `at` on. */
  | { readonly kind: 'load'; readonly binding: number; readonly at: Operand; readonly lanes?: 1 | 4; readonly step?: 1 | 2 }
  /** Four elements that lie anywhere. */
  | { readonly kind: 'gather'; readonly binding: number; readonly at: readonly Operand[] }
  /** Four indices: from, from + step, ... */
  | { readonly kind: 'ramp'; readonly from: Operand; readonly step: number }
  | { readonly kind: 'operation'; readonly op: Opcode; readonly args: readonly Operand[]; readonly type: Type; readonly lanes: 1 | 4 }
  | { readonly kind: 'vector'; readonly parts: readonly Operand[] }
  | { readonly kind: 'lane'; readonly of: Operand; readonly lane: number }
  | { readonly kind: 'scalar'; readonly name: ScalarName }
  /** ceil(n / chunks), n itself for chunks = 1, as i32. */
  | { readonly kind: 'batch'; readonly chunks: number }
  | { readonly kind: 'random'; readonly key: number; readonly at: Operand }
  /** The number of tasks, as i32, that a routine that goes from task to task has done before this one. */
  | { readonly kind: 'tasksDone' }
  /** The sum or the maximum of a number that each invocation of a subgroup holds, known to all of them. It stands only where they all take the same way. */
  | { readonly kind: 'subgroup'; readonly combine: 'sum' | 'max'; readonly of: Operand }
  /** Invocations of a subgroup, as i32: a power of two from 4 to 128. The last of a workgroup may have fewer. */
  | { readonly kind: 'subgroupSize' }

/** Visits the operands that an operand is made of, in order. */
export function forEachPart(t: Operand, visit: (part: Operand) => void): void {
  switch (t.kind) {
    case 'operation':
      return t.args.forEach(visit)
    case 'vector':
      return t.parts.forEach(visit)
    case 'load':
    case 'random':
      return visit(t.at)
    case 'gather':
      return t.at.forEach(visit)
    case 'ramp':
      return visit(t.from)
    case 'lane':
    case 'subgroup':
      return visit(t.of)
  }
}

export type Opcode =
  | UnaryOp
  | BinaryOp
  /** a * b + c, rounded once or twice as the target likes. */
  | 'fma'
  /** args: a, b -> bool */
  | 'lt'
  | 'le'
  | 'eq'
  /** args: a -> bool */
  | 'finite'
  /** args: condition, yes, no */
  | 'select'
  | 'and'
  /** a and not b */
  | 'andnot'
  /** 0 <= a < b of i32: one unsigned comparison. */
  | 'within'
  /** i32 arithmetic, truncating. */
  | 'iadd'
  | 'imul'
  | 'idiv'
  | 'irem'
  /** Whether the bits of two vectors of f32 are the same. */
  | 'ieq'
  | 'imin'
  /** Four lanes to one, in a fixed order. */
  | 'lanesum'
  | 'lanemax'
  /** Four vectors to one: what `lanesum` gives of each, with the same bits. */
  | 'lanesums'
  /** i32 -> f32 */
  | 'float'

export type Statement =
  | { readonly kind: 'let' | 'var'; readonly name: string; readonly type: Type; readonly lanes: 1 | 4; readonly value: Operand }
  | { readonly kind: 'set'; readonly name: string; readonly value: Operand }
  /** Counts from `from` (0) in steps of `by` (1). */
  | {
    readonly kind: 'for'
    readonly name: string
    readonly from?: Operand
    readonly by?: number
    readonly extent: Operand
    readonly body: readonly Statement[]
  }
  /** All invocations of the workgroup arrive here, and see what each has stored in shared memory, before one goes on. */
  | { readonly kind: 'barrier' }
  | { readonly kind: 'if'; readonly condition: Operand; readonly body: readonly Statement[] }
  /** A part of a long row of sums that is to be done before the next: compilers that reorder run out of registers. */
  | { readonly kind: 'step'; readonly body: readonly Statement[] }
  /** Four lanes go to elements `step` apart (1 where it is absent). */
  | {
    readonly kind: 'store'
    readonly binding: number
    readonly at: Operand
    readonly value: Operand
    readonly lanes?: 1 | 4
    readonly step?: number
  }
  /** Adds how many of the values are not 0, or true, to the one integer of a binding; whoever else does so at the same time is not lost. */
  | { readonly kind: 'count'; readonly binding: number; readonly values: readonly Operand[] }
  /** Two or four vectors: the first lanes of all lie side by side from `at` on, the second ones `step` elements further, and so on. */
  | {
    readonly kind: 'storeInterleaved'
    readonly binding: number
    readonly at: Operand
    readonly values: readonly Operand[]
    readonly step: number
  }

export function lanesOf(operand: Operand): 1 | 4 {
  switch (operand.kind) {
    case 'name':
    case 'operation':
      return operand.lanes
    case 'load':
      return operand.lanes ?? 1
    case 'vector':
    case 'gather':
    case 'ramp':
      return 4
    default:
      return 1
  }
}

export const typeOf = (operand: Operand): Type =>
  operand.kind === 'name' || operand.kind === 'operation' || operand.kind === 'number' ? operand.type
    : operand.kind === 'truth' ? 'bool'
    : operand.kind === 'batch' || operand.kind === 'ramp' || operand.kind === 'tasksDone' || operand.kind === 'subgroupSize' ? 'i32'
    : operand.kind === 'vector' ? typeOf(operand.parts[0]!)
    : 'f32'
