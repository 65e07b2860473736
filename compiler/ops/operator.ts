import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes, Signature } from '../../dsl/signature.ts'
import type { Span } from '../../dsl/source.ts'
import type { Node, Value } from '../graph/graph.ts'
import type { Equation } from '../ir/equation.ts'
import type { Dim, Shape } from '../ir/tensor.ts'
import type { FillerSpec } from './fillers.ts'
import type { OperatorTraits } from './traits.ts'

/** The question to a shape rule: a layer as it is written, with the shapes of what it reads. */
export interface ShapeQuestion {
  readonly name: string
  readonly op: string
  readonly inputs: readonly Value[]
  readonly inputSpans: readonly Span[]
  readonly attributes: Attributes
  readonly attributeSpans: Readonly<Record<string, Span>>
  readonly span: Span
  /** How many classes a label input may name; undefined where the file does not say. */
  readonly classesOf: (value: Value) => number | undefined
}

export interface ParameterSpec {
  readonly role: string
  readonly shape: readonly number[]
  readonly filler: FillerSpec
  /** Default true. Statistics are kept by a policy instead. */
  readonly trainable?: boolean
  /** The factors of the learning rate and of the weight decay: `lr_mult` and `decay_mult`. Default 1. */
  readonly rateMultiplier?: number
  readonly decayMultiplier?: number
}

/** Numbers of the file that a layer reads as a tensor: nothing learns them, and weights do not hold them. */
export interface ConstantSpec {
  readonly role: string
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

export interface ShapeAnswer {
  readonly shape: Shape
  readonly parameters?: readonly ParameterSpec[]
  readonly constants?: readonly ConstantSpec[]
}

/**
 * Builds the backward graph. Gradient values get the shape of what they are the gradient of.
 * `node` appends a node and returns its outputs; names are made unique below the forward node's.
 */
export interface GradientBuilder {
  /** Whether anybody asks for the gradient of this input or parameter. */
  needs(value: Value): boolean
  node(spec: {
    /** Suffix of the name: `dx` makes `conv1.dx`. */
    readonly suffix: string
    readonly op: string
    readonly inputs: readonly Value[]
    readonly parameters?: Readonly<Record<string, Value>>
    readonly attributes?: Attributes
    readonly outputs: readonly { readonly name: string; readonly shape: Shape }[]
  }): readonly Value[]
}

/** Gradients by input position and by parameter role; absent where there is none (labels) or nobody asked. */
export interface Gradients {
  readonly inputs?: readonly (Value | undefined)[]
  readonly parameters?: Readonly<Record<string, Value | undefined>>
}

/**
 * One operator: a row of `registry.ts`. Operators with a `signature` can be written in a file; the others are made by passes
 * and gradients. An operator sees one node at a time: its equations read and write the node's values.
 */
export interface Operator {
  readonly name: string
  readonly signature?: Signature
  /** Output shape and parameters, or every reason why not. Only for operators with a signature. */
  readonly shape?: (question: ShapeQuestion) => ShapeAnswer | readonly Diagnostic[]
  /** The equations that compute the outputs, in order; temporaries between them are the operator's own tensors. */
  readonly equations: (node: Node) => readonly Equation[]
  /** The same where a task for each of a few threads keeps the machine busy, so that sums are cut into fewer parts. Absent: `equations`. */
  readonly equationsInTasks?: (node: Node) => readonly Equation[]
  /** Builds the gradients of what a node reads from the gradient of its output. Absent: not differentiable (metrics). */
  readonly gradient?: (node: Node, dOutput: Value, build: GradientBuilder) => Gradients
  /**
   * How the values of several batches make the value of all, where an operator gives one number: as their mean by samples, their sum,
   * or their mean by `count`, the second output that such a node may have (see `total-results`).
   */
  readonly total?: (node: Node) => 'samples' | 'sum' | 'count'
  /** The facts that passes and the front end ask about. Absent: none of them holds. */
  readonly traits?: OperatorTraits
}

export type { Dim, Shape }
