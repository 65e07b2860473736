import { numberOf as attributeNumber } from '../../compiler/ops/elementwise.ts'
import type { Shape } from '../../bundle/format.ts'
import type { Node, Value } from '../../compiler/graph/graph.ts'
import type { Attributes } from '../../dsl/signature.ts'
import type { CaffeBlob, CaffeParams } from './model.ts'

/** A layer that becomes layers of Caffe: what it reads, and how layers are added. Values are known by the names of their blobs. */
export interface Layer {
  readonly node: Node
  readonly attributes: Attributes
  /** Shapes of its inputs, and of its output. */
  readonly shapes: readonly Shape[]
  readonly shape: Shape
  /** The blob of an input. */
  input(i?: number): string
  has(role: string): boolean
  /** A parameter as a blob of Caffe; `shape`: the one that it is given, of as many numbers. */
  parameter(role: string, shape?: readonly number[]): CaffeBlob
  values(role: string): Float32Array
  /** The layer `parameter` that makes an input, where one does: its numbers and their shape, and whether training changes them. */
  learned(input: Value): CaffeBlob | undefined
  /** Numbers of the text as a blob. */
  numbers(values: ArrayLike<number> & Iterable<number>, shape?: readonly number[]): CaffeBlob
  /** Adds the layer `LAYER.suffix`, or LAYER where the suffix is ''; gives the name of its top. */
  add(suffix: string, type: string, bottoms: readonly string[], params?: CaffeParams, more?: Blobs): string
  /** Adds the layer whose top is the output; it has the layer's name where no other has it. */
  done(type: string, bottoms: readonly string[], params?: CaffeParams, more?: Blobs): void
  /** Elements `from` to `to` along an axis of `size`. */
  cut(suffix: string, x: string, axis: number, size: number, range: Range, isLast?: boolean): string
  /** Says that the output is another blob. */
  same(blob: string): void
  /** The reason why it cannot be exported. */
  fail(what: string, mend?: string): void
}

export interface Blobs {
  readonly blobs?: readonly CaffeBlob[]
  /** Numbers of the text: no training changes them. */
  readonly constant?: boolean
}

export type Range = readonly [from: number, to: number]

/** How a layer of the language is written in Caffe. */
export type Row = (layer: Layer) => void

/** An argument that is a number, or what it is where it is not given. */
export const numberOf = ({ attributes }: Layer, name: string, otherwise: number): number => attributeNumber(attributes, name, otherwise)

/** (scale x + shift)^power */
export const power = (given: { readonly power?: number; readonly scale?: number; readonly shift?: number }): CaffeParams => ({
  power_param: given,
})

export const eltwise = (operation: 'PROD' | 'SUM' | 'MAX', coeff: readonly number[] = []): CaffeParams => ({
  eltwise_param: { operation, ...(coeff.some((c) => c !== 1) && { coeff }) },
})

/** Dimensions as Reshape wants them: 0 takes over the batch. */
export const reshapeTo = (shape: Shape): CaffeParams => ({
  reshape_param: { shape: { dim: shape.map((dim) => (dim === 'n' ? 0 : dim)) } },
})
