import { numberOf as attributeNumber } from '../../compiler/ops/elementwise.ts'
import type { Attributes } from '../../dsl/signature.ts'
import type { Node } from '../../compiler/graph/graph.ts'
import type { Shape } from '../../bundle/format.ts'
import type { OnnxAttribute } from './model.ts'

/** A layer that becomes nodes of ONNX: what it reads, and how nodes are added. Values are known by their names. */
export interface Layer {
  readonly node: Node
  readonly attributes: Attributes
  /** The opset that the model is for. */
  readonly opset: number
  /** Shapes of its inputs, and of its output. */
  readonly shapes: readonly Shape[]
  readonly shape: Shape
  /** The layers that read its output. */
  readonly readers: readonly Node[]
  /** The layer that makes its input, unless that is an input of the net. */
  readonly producer: Node | undefined
  /** The name of an input. */
  input(i?: number): string
  /** Whether it has such a parameter. */
  has(role: string): boolean
  /** The name of a parameter as an initializer. `as`: the shape that it is given, of as many numbers; `transposed`: with its two axes exchanged. */
  parameter(role: string, as?: { readonly shape?: readonly number[]; readonly transposed?: boolean }): string
  /** Numbers of a parameter, for what is made of them. */
  values(role: string): Float32Array
  /** Numbers of the text as a constant `LAYER.suffix`. A single number has the shape []. */
  numbers(suffix: string, values: ArrayLike<number> & Iterable<number>, shape?: readonly number[]): string
  /** Whole numbers as a constant, for shapes and axes. */
  integers(suffix: string, values: readonly number[]): string
  /** Adds a node `LAYER.suffix`, or (`isMain`) of the layer's name; gives the name of its value. */
  add(suffix: string, op: string, inputs: readonly string[], attributes?: NodeAttributes, isMain?: boolean): string
  /** Adds the node that makes the layer's output; it has the layer's name, unless another has. */
  done(op: string, inputs: readonly string[], attributes?: NodeAttributes): void
  /** Tells a user what is not as the text has it. */
  note(text: string): void
  /** The reason why it cannot be exported. */
  fail(what: string, mend?: string): void
}

export type NodeAttributes = Readonly<Record<string, OnnxAttribute>>

/** How a layer of the language is written in ONNX. */
export type Row = (layer: Layer) => void

/** An attribute that is no whole number in ONNX. */
export const float = (value: number): { readonly float: number } => ({ float: value })

/** An argument that is a number, or what it is where it is not given. */
export const numberOf = ({ attributes }: Layer, name: string, otherwise: number): number => attributeNumber(attributes, name, otherwise)

/** The shape by which a number a channel meets the channels of a value of this rank: [C, 1, 1] for maps. */
export const channelShape = (shape: Shape): number[] => [shape[1] as number, ...shape.slice(2).map(() => 1)]

/** A shape as Reshape wants it: 0 takes over the batch. */
export const reshapeTo = (shape: Shape): number[] => shape.map((dim) => (dim === 'n' ? 0 : dim))
