import { type StorageSlot, nextTensorId, type Shape, type Tensor } from '../ir/tensor.ts'
import type { Span } from '../../dsl/source.ts'
import type { Attributes } from '../../dsl/signature.ts'
import type { ElementType, Initializer } from '../../bundle/format.ts'

/**
 * A tensor between nodes. Known by identity: who makes and who reads it is asked of the graph (`graph/query.ts`), so a
 * pass may put another node in front of the same value and nothing that reads it has to change.
 */
export interface Value extends Tensor {
  /** Where in the text it was made: shape errors point there. */
  readonly madeAt: Span
}

export interface Node {
  /** Unique within the graph: `conv1`, `conv1.dx`. */
  readonly name: string
  /** A row of the operator table. */
  readonly op: string
  /** Full name of the layer in the text whose work this is. */
  readonly layer: string
  /** Further layers whose work it does too, once a pass joined them: the batch_norm that was folded into a convolution. */
  readonly absorbed?: readonly string[]
  readonly inputs: readonly Value[]
  /** Values by role: `weight`, `bias`, `gamma`, `beta`, `mean`, `variance`, ... A subset of the graph's parameters and states. */
  readonly parameters: Readonly<Record<string, Value>>
  /** A parameter or state among them is updated in place; such nodes stand after everything that reads it. */
  readonly outputs: readonly Value[]
  readonly attributes: Attributes
  readonly span: Span
}

/** Learned by the solver, or kept by a policy (`trainable: false`: running statistics, frozen statistics). */
export interface ParameterEntry {
  readonly value: Value
  /** `conv1.weight`: its name in files. */
  readonly name: string
  readonly trainable: boolean
  /** Stays as it is for the option `freeze`. */
  readonly frozen?: true
  readonly initializer: Initializer
  readonly rateMultiplier: number
  readonly decayMultiplier: number
  /** The layer that owns it: the first of all that share it. */
  readonly layer: string
}

export interface NamedOutput {
  readonly name: string
  readonly value: Value
  /** `count`: of what a step found, an integer. */
  readonly role: 'output' | 'loss' | 'metric' | 'gradient' | 'count'
  /** The factor of a loss in the sum that is trained. Default 1. */
  readonly weight?: number
}

/** Contents of a value in `constants`: numbers, and how often they follow each other. */
export interface Constant {
  readonly value: Value
  readonly values: readonly { readonly times: number; readonly values: readonly number[] }[]
}

export interface Graph {
  readonly name: string
  readonly inputs: readonly Value[]
  readonly parameters: readonly ParameterEntry[]
  /** The nodes in an order in which they can run. */
  readonly nodes: readonly Node[]
  readonly outputs: readonly NamedOutput[]
  /** Nodes of the program `prepare` that make the prepared values which this program reads. */
  readonly prepare?: readonly Node[]
  /** Contents of values in `constants`. */
  readonly constants?: readonly Constant[]
}

export const value = (name: string, shape: Shape, madeAt: Span, more: { type?: ElementType; storage?: StorageSlot } = {}): Value => ({
  id: nextTensorId(),
  name,
  shape,
  type: more.type ?? 'f32',
  madeAt,
  ...(more.storage && { storage: more.storage }),
})
