import type { ScalarName } from '../../compiler/ir/expression.ts'
import type { Tensor } from '../../compiler/ir/tensor.ts'
import type { Folding } from './folding.ts'
import type { StepNodes } from './step-nodes.ts'

/** What equations read beside each other. */
export interface WritingContext {
  readonly nodes: StepNodes
  readonly folding: Folding
  /** The value of the model that holds a tensor, as float32. */
  readonly nameOf: (tensor: Tensor) => string
  readonly scalar: (name: ScalarName) => string
  /** The random numbers of a layer, by the key of its draws. */
  readonly random: (key: number) => string
}
