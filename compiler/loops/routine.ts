import type { Tensor } from '../tensor.ts'
import type { Extent } from './index-expression.ts'
import type { BinaryOp, ScalarName, UnaryOp } from './expression.ts'

/**
 * A scheduled kernel: the text of one invocation as structured statements over scalars and vectors of four lanes. Targets
 * print it and decide nothing.
 */
export interface Routine {
  readonly name: string
  readonly layers: readonly string[]
  /** Heads the text: shapes, what was fused, the schedule. */
  readonly summary: readonly string[]
  readonly bindings: readonly Binding[]
  /** Names that the body gives: bindings must be called otherwise. */
  readonly locals: ReadonlySet<string>
  /** The grid, slowest first: `id` counts through it, the last axis fastest. Only the first may depend on the batch. */
  readonly grid: readonly { readonly name: string; readonly extent: Extent }[]
  readonly body: readonly Statement[]
}

export interface Binding {
  readonly name: string
  readonly tensor: Tensor
  readonly access: 'read' | 'read_write'
}

export type Type = 'f32' | 'i32' | 'bool'

export type Term =
  | { readonly kind: 'number'; readonly value: number; readonly type: 'f32' | 'i32' }
  | { readonly kind: 'truth'; readonly value: boolean }
  | { readonly kind: 'name'; readonly name: string; readonly type: Type; readonly lanes: 1 | 4 }
  /** Element of a binding; labels are converted to f32. */
  | { readonly kind: 'load'; readonly binding: number; readonly at: Term }
  | { readonly kind: 'operation'; readonly op: TermOp; readonly args: readonly Term[]; readonly type: Type; readonly lanes: 1 | 4 }
  | { readonly kind: 'vector'; readonly parts: readonly Term[] }
  | { readonly kind: 'lane'; readonly of: Term; readonly lane: number }
  | { readonly kind: 'scalar'; readonly name: ScalarName }
  /** ceil(n / chunks), n itself for chunks = 1, as i32. */
  | { readonly kind: 'batch'; readonly chunks: number }
  | { readonly kind: 'random'; readonly key: number; readonly at: Term }

export type TermOp =
  | UnaryOp
  | BinaryOp
  /** a * b + c, rounded once or twice as the target likes. */
  | 'fma'
  /** args: a, b -> bool */
  | 'lt' | 'le' | 'eq'
  /** args: condition, yes, no */
  | 'select'
  | 'and'
  /** 0 <= a < b of i32: one unsigned comparison. */
  | 'within'
  /** i32 arithmetic, truncating. */
  | 'iadd' | 'imul' | 'idiv' | 'irem' | 'ieq'
  /** i32 -> f32 */
  | 'float'

export type Statement =
  | { readonly kind: 'let' | 'var'; readonly name: string; readonly type: Type; readonly lanes: 1 | 4; readonly value: Term }
  | { readonly kind: 'set'; readonly name: string; readonly value: Term }
  | { readonly kind: 'for'; readonly name: string; readonly extent: Term; readonly body: readonly Statement[] }
  | { readonly kind: 'if'; readonly condition: Term; readonly body: readonly Statement[] }
  | { readonly kind: 'store'; readonly binding: number; readonly at: Term; readonly value: Term }
