import { PbfWriter } from 'pbf'

/** A tensor of a model: float32 unless it says otherwise. */
export interface Tensor {
  readonly shape: readonly number[]
  readonly data: readonly number[]
  readonly type?: 'float' | 'int64'
}

export const floats = (shape: readonly number[], data: readonly number[]): Tensor => ({ shape, data })
export const ints = (...data: readonly number[]): Tensor => ({ shape: [data.length], data, type: 'int64' })
export const scalar = (value: number): Tensor => ({ shape: [], data: [value] })

/** Whole numbers become INT or INTS where they are; `float(1)` says that it is one. */
export type Attribute = number | string | readonly number[] | Tensor | { readonly float: number | readonly number[] } | {
  readonly graph: Graph
}

export const float = (value: number | readonly number[]): { readonly float: number | readonly number[] } => ({ float: value })

export interface Node {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, Attribute>>
  readonly name?: string
  readonly domain?: string
}

export const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Node['attributes'] = {},
  more: Partial<Node> = {},
): Node => ({
  op,
  inputs,
  outputs,
  attributes,
  ...more,
})

/** Sizes of a value of the net; a text is a size without a number. */
export type Sizes = readonly (number | string)[]

export interface Graph {
  readonly nodes: readonly Node[]
  readonly inputs?: Readonly<Record<string, Sizes>>
  readonly outputs: readonly string[]
  readonly initializers?: Readonly<Record<string, Tensor>>
}

export interface Func {
  readonly domain: string
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: readonly string[]
  readonly nodes: readonly Node[]
}

export interface Model extends Graph {
  readonly opset?: number
  readonly ir?: number
  readonly producer?: string
  readonly functions?: readonly Func[]
}

const bytesOf = (write: (to: PbfWriter) => void): Uint8Array => {
  const to = new PbfWriter()
  write(to)
  return to.finish().slice()
}

export function tensorBytes({ shape, data, type = 'float' }: Tensor, name = ''): Uint8Array {
  return bytesOf((to) => {
    to.writePackedVarint(1, [...shape])
    to.writeVarintField(2, type === 'float' ? 1 : 7)
    to.writeStringField(8, name)
    const raw = type === 'float' ? Float32Array.from(data) : BigInt64Array.from(data, (v) => BigInt(v))
    to.writeBytesField(9, new Uint8Array(raw.buffer))
  })
}

function attributeBytes(name: string, value: Attribute): Uint8Array {
  return bytesOf((to) => {
    to.writeStringField(1, name)
    const type = (n: number): void => to.writeVarintField(20, n)
    if (typeof value === 'number') {
      if (!Number.isInteger(value)) return to.writeFloatField(2, value), type(1)
      return to.writeVarintField(3, value), type(2)
    }
    if (typeof value === 'string') return to.writeBytesField(4, new TextEncoder().encode(value)), type(3)
    if ('graph' in value) return to.writeBytesField(6, graphBytes(value.graph)), type(5)
    if ('float' in value) {
      if (typeof value.float === 'number') return to.writeFloatField(2, value.float), type(1)
      return to.writePackedFloat(7, [...value.float]), type(6)
    }
    if ('data' in value) return to.writeBytesField(5, tensorBytes(value)), type(4)
    to.writePackedVarint(8, [...value])
    type(7)
  })
}

const nodeBytes = ({ op, inputs, outputs, attributes = {}, name, domain }: Node): Uint8Array =>
  bytesOf((to) => {
    for (const input of inputs) to.writeBytesField(1, new TextEncoder().encode(input))
    for (const output of outputs) to.writeBytesField(2, new TextEncoder().encode(output))
    if (name) to.writeStringField(3, name)
    to.writeStringField(4, op)
    for (const [key, value] of Object.entries(attributes)) to.writeBytesField(5, attributeBytes(key, value))
    if (domain) to.writeStringField(7, domain)
  })

function valueBytes(name: string, sizes: Sizes | undefined): Uint8Array {
  const dimension = (size: number | string): Uint8Array =>
    bytesOf((to) => (typeof size === 'number' ? to.writeVarintField(1, size) : to.writeStringField(2, size)))
  const shape = bytesOf((to) => sizes?.forEach((size) => to.writeBytesField(1, dimension(size))))
  const tensor = bytesOf((to) => {
    to.writeVarintField(1, 1)
    if (sizes) to.writeBytesField(2, shape)
  })
  return bytesOf((to) => {
    to.writeStringField(1, name)
    to.writeBytesField(2, bytesOf((type) => type.writeBytesField(1, tensor)))
  })
}

export function graphBytes({ nodes, inputs = {}, outputs, initializers = {} }: Graph): Uint8Array {
  return bytesOf((to) => {
    for (const one of nodes) to.writeBytesField(1, nodeBytes(one))
    to.writeStringField(2, 'graph')
    for (const [name, tensor] of Object.entries(initializers)) to.writeBytesField(5, tensorBytes(tensor, name))
    for (const [name, sizes] of Object.entries(inputs)) to.writeBytesField(11, valueBytes(name, sizes))
    for (const name of outputs) to.writeBytesField(12, valueBytes(name, undefined))
  })
}

const opset = (domain: string, version: number): Uint8Array =>
  bytesOf((to) => {
    if (domain) to.writeStringField(1, domain)
    to.writeVarintField(2, version)
  })

/** The bytes of an ONNX file. */
export function modelBytes(model: Model): Uint8Array {
  return bytesOf((to) => {
    to.writeVarintField(1, model.ir ?? 8)
    to.writeStringField(2, model.producer ?? 'a test')
    to.writeBytesField(7, graphBytes(model))
    to.writeBytesField(8, opset('', model.opset ?? 17))
    for (const domain of new Set(model.functions?.map((f) => f.domain))) to.writeBytesField(8, opset(domain, 1))
    for (const f of model.functions ?? []) {
      to.writeBytesField(
        25,
        bytesOf((inner) => {
          inner.writeStringField(1, f.name)
          for (const name of f.inputs) inner.writeStringField(4, name)
          for (const name of f.outputs) inner.writeStringField(5, name)
          for (const one of f.nodes) inner.writeBytesField(7, nodeBytes(one))
          inner.writeBytesField(9, opset('', model.opset ?? 17))
          inner.writeStringField(10, f.domain)
        }),
      )
    }
  })
}

/** A model of one input x and one output y. */
export const oneInput = (sizes: Sizes, nodes: readonly Node[], more: Partial<Model> = {}): Uint8Array =>
  modelBytes({ inputs: { x: sizes }, outputs: ['y'], nodes, ...more })
