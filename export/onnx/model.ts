import type { StoredTensor } from '../streamed.ts'

/** A model of ONNX as far as fusenet writes it. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export interface OnnxModel {
  readonly irVersion: number
  readonly opset: number
  readonly producer: string
  readonly producerVersion: string
  readonly graph: OnnxGraph
  readonly metadata: ReadonlyMap<string, string>
}

export interface OnnxGraph {
  readonly name: string
  readonly nodes: readonly OnnxNode[]
  readonly initializers: readonly StoredTensor[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  /** Values between nodes, with their shapes. */
  readonly values: readonly OnnxValue[]
}

export interface OnnxNode {
  readonly name: string
  readonly op: string
  /** '' for one that is left out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, OnnxAttribute>>
}

/** A whole number, several of them, a text; `{ float }` for others; a tensor. */
export type OnnxAttribute = number | readonly number[] | string | { readonly float: number } | { readonly tensor: StoredTensor }

export type OnnxType = 'f32' | 'i32' | 'i64' | 'bool'

export interface OnnxValue {
  readonly name: string
  readonly type: OnnxType
  /** A text is the name of a dimension that is open. */
  readonly shape: readonly (number | string)[]
}
