import type { OnnxNode } from '../node.ts'

/** An operator of ONNX, in the opsets from `since` up to the next row of the same name. */
export interface OnnxOperator {
  readonly op: string
  /** The operator set from which on the row holds; absent: the first that is read. */
  readonly since?: number
  /** Its second axis is that of channels, and its first the batch: a tensor without a batch is refused. */
  readonly batched?: true
  /** Makes layers of it, or constants; gives each output a value. */
  readonly map?: (node: OnnxNode) => void
  /** Computes it where all inputs are constants. Without `map`, nothing else can be done with it. */
  readonly fold?: (node: OnnxNode) => void
}
