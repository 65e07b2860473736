import type { AttributeCall, Attributes, Duration } from './signature.ts'
import type { Span } from './source.ts'

/**
 * A text with blocks, loops, conditions and imports evaluated: a flat list of layer calls in the order of
 * the file. Plain data; no shapes yet.
 */
export interface Program {
  readonly name: string
  readonly span: Span
  /** `style merged` at the top of the net, if it was written. */
  readonly style?: 'merged' | 'split'
  readonly inputs: readonly InputDeclaration[]
  readonly layers: readonly LayerCall[]
  readonly outputs: readonly NamedValue[]
  readonly losses: readonly NamedValue[]
  readonly metrics: readonly NamedValue[]
  readonly train?: TrainSettings
}

/**
 * `input image: f32[1, 28, 28]` (one sample, the batch is implied), `input label: class[10]` (an integer a sample), `input label: class[cat, dog]`,
 * `input map: class[10][32, 32]` (an integer a pixel), `input anchors: f32[2, 3] whole` (no implied batch).
 */
export interface InputDeclaration {
  readonly name: string
  readonly type: 'f32' | 'class'
  /** The number of classes of a `class` input: labels are 0..classes-1. */
  readonly classes?: number
  /** The names of the classes, where the text has them. */
  readonly classNames?: readonly string[]
  readonly shape: readonly number[]
  readonly batched: boolean
  readonly span: Span
}

export type ValueRef =
  | { readonly kind: 'input'; readonly name: string }
  /** Index into `Program.layers`. */
  | { readonly kind: 'layer'; readonly index: number }

export interface LayerCall {
  /** Full, unique name: `conv1`, `stage2.basic_1.conv_1`. */
  readonly name: string
  readonly op: string
  readonly inputs: readonly ValueRef[]
  /** The position of each input in this call (for a chain: the left side). */
  readonly inputSpans: readonly Span[]
  readonly attributes: Attributes
  /** Span of each argument that was written, by parameter name: what an error about an attribute underlines. */
  readonly attributeSpans: Readonly<Record<string, Span>>
  /** The call, without the chain in front of it. */
  readonly span: Span
  /** The calls of the blocks that this call was expanded from, innermost first. */
  readonly expandedFrom: readonly Span[]
}

export interface NamedValue {
  readonly name: string
  readonly value: ValueRef
  readonly span: Span
}

export interface TrainSettings {
  readonly span: Span
  readonly data?: AttributeCall
  readonly augment: readonly AttributeCall[]
  readonly solver: AttributeCall
  /** `warmup(500) -> step(...)` gives two; the last one is the schedule proper. */
  readonly schedule: readonly AttributeCall[]
  readonly batch: number
  /** The position of the batch in the text. Absent where the file does not give it: then it is 1. */
  readonly batchSpan?: Span
  readonly epochs?: number
  readonly steps?: number
  readonly seed: number
  /** Gradients of so many batches are added up before an update (Caffe's iter_size). */
  readonly accumulate: number
  readonly snapshot?: Duration
  readonly test?: Duration
}
