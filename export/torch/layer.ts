import type { Shape } from '../../bundle/format.ts'
import { numberOf as attributeNumber } from '../../compiler/ops/elementwise.ts'
import type { Node } from '../../compiler/graph/graph.ts'
import type { Attributes } from '../../dsl/signature.ts'
import type { Code } from './python-code.ts'

/** A layer that becomes Python: what it reads. */
export interface Layer {
  readonly node: Node
  readonly attributes: Attributes
  /** Shapes of its inputs, and of its output. */
  readonly shapes: readonly Shape[]
  readonly shape: Shape
  has(role: string): boolean
}

/** A layer in Python. */
export interface Written {
  /** The module that holds its parameters or settings. Absent: it is a function. */
  readonly module?: Code
  /** What computes it, of its inputs. `self` stands for the module. */
  readonly value: Code
  /** The layer within the same block whose module computes it too: `weights: conv1`. */
  readonly owner?: string
}

/** How a layer of the language is written in PyTorch. */
export type Row = (layer: Layer) => Written

/** The module in a layer's code. */
export const SELF = '\0self'

/** An argument that is a number, or what it is where it is not given. */
export const numberOf = ({ attributes }: Pick<Layer, 'attributes'>, name: string, otherwise: number): number =>
  attributeNumber(attributes, name, otherwise)

/** The number of channels of the first input. */
export const channelsOf = ({ shapes }: Layer): number => shapes[0]![1] as number

export const isBatched = (shape: Shape): boolean => shape[0] === 'n'

/** A module that is called with all inputs of the layer. */
export const called = (layer: Pick<Layer, 'shapes'>, module: Code): Written => ({
  module,
  value: [SELF, '(', ...layer.shapes.flatMap((_, i) => (i === 0 ? [0] : [', ', i])), ')'],
})
