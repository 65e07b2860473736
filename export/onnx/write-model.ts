import { key, message } from '../message.ts'
import { bytesOf, type Part, rawBytes, sizeOf, type StoredTensor, type Streamed, streamed } from '../streamed.ts'
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxType, OnnxValue } from './model.ts'

/** TensorProto.DataType */
const TYPES: Readonly<Record<OnnxType, number>> = { f32: 1, i32: 6, i64: 7, bool: 9 }
/** AttributeProto.AttributeType */
const KINDS = { float: 1, int: 2, string: 3, tensor: 4, ints: 7 } as const
/** Tensors in a file of their own begin at such multiples, so that they can be mapped into memory: a page. */
const ALIGNMENT = 4096
/** TensorProto.DataLocation */
const EXTERNAL = 1

/** Numbers of weights that lie in a file of their own, in bytes; smaller tensors stay in the model, where shapes are looked for. */
const LEAST_EXTERNAL = 1024

/** A model, and the file beside it that holds its weights where there is one. */
export interface WrittenModel {
  readonly model: Streamed
  readonly data?: Streamed
}

/** A model as bytes. `beside`: the name of the file that takes the weights, where they do not stand in the model itself. */
export function writeModel(model: OnnxModel, beside?: string): WrittenModel {
  const apart: { tensor: StoredTensor; at: number }[] = []
  let end = 0
  const graph = graphParts(model.graph, (tensor) => {
    if (beside === undefined || bytesOf(tensor) < LEAST_EXTERNAL) return undefined
    const at = Math.ceil(end / ALIGNMENT) * ALIGNMENT
    apart.push({ tensor, at })
    end = at + bytesOf(tensor)
    return { location: beside, offset: at }
  })
  const head = message((w) => {
    w.writeVarintField(1, model.irVersion)
    w.writeStringField(2, model.producer)
    w.writeStringField(3, model.producerVersion)
  })
  const tail = message((w) => {
    w.writeBytesField(
      8,
      message((set) => {
        set.writeStringField(1, '')
        set.writeVarintField(2, model.opset)
      }),
    )
    for (const [key, value] of model.metadata) w.writeBytesField(14, pair(key, value))
  })
  const parts: Part[] = [head, key(7, sizeOf(graph)), ...graph, tail]
  return { model: streamed(parts), ...(apart.length > 0 && { data: streamed(aligned(apart)) }) }
}

function aligned(apart: readonly { readonly tensor: StoredTensor; readonly at: number }[]): Part[] {
  let end = 0
  return apart.flatMap(({ tensor, at }) => {
    const gap = new Uint8Array(at - end)
    end = at + bytesOf(tensor)
    return gap.length > 0 ? [gap, tensor] : [tensor]
  })
}

// ---- messages ----------------------------------------------------------------------------------------------------------

const pair = (name: string, value: string): Uint8Array<ArrayBuffer> =>
  message((w) => {
    w.writeStringField(1, name)
    w.writeStringField(2, value)
  })

type Place = (tensor: StoredTensor) => { readonly location: string; readonly offset: number } | undefined

function graphParts({ name, nodes, initializers, inputs, outputs, values }: OnnxGraph, place: Place): Part[] {
  const before = message((w) => {
    for (const node of nodes) w.writeBytesField(1, nodeBytes(node))
    w.writeStringField(2, name)
  })
  const behind = message((w) => {
    for (const input of inputs) w.writeBytesField(11, valueBytes(input))
    for (const output of outputs) w.writeBytesField(12, valueBytes(output))
    for (const value of values) w.writeBytesField(13, valueBytes(value))
  })
  return [before, ...initializers.flatMap((tensor) => tensorParts(tensor, place(tensor))), behind]
}

function nodeBytes({ name, op, inputs, outputs, attributes }: OnnxNode): Uint8Array<ArrayBuffer> {
  return message((w) => {
    for (const input of inputs) w.writeStringField(1, input)
    for (const output of outputs) w.writeStringField(2, output)
    w.writeStringField(3, name)
    w.writeStringField(4, op)
    for (const [key, value] of Object.entries(attributes)) w.writeBytesField(5, attributeBytes(key, value))
  })
}

function attributeBytes(name: string, value: OnnxAttribute): Uint8Array<ArrayBuffer> {
  return message((w) => {
    w.writeStringField(1, name)
    if (typeof value === 'string') w.writeBytesField(4, new TextEncoder().encode(value))
    else if (typeof value === 'number') w.writeVarintField(3, value)
    else if ('float' in value) w.writeFloatField(2, value.float)
    else if ('tensor' in value) w.writeBytesField(5, tensorBytes(value.tensor))
    else for (const each of value) w.writeVarintField(8, each)
    w.writeVarintField(20, kindOf(value))
  })
}

function kindOf(value: OnnxAttribute): number {
  if (typeof value === 'string') return KINDS.string
  if (typeof value === 'number') return KINDS.int
  return 'float' in value ? KINDS.float : 'tensor' in value ? KINDS.tensor : KINDS.ints
}

/** A tensor that stands in a node. */
const tensorBytes = (tensor: StoredTensor): Uint8Array<ArrayBuffer> =>
  message((w) => {
    for (const dim of tensor.shape) w.writeVarintField(1, dim)
    w.writeVarintField(2, TYPES[tensor.type])
    w.writeBytesField(9, rawBytes(tensor))
  })

function valueBytes({ name, type, shape }: OnnxValue): Uint8Array<ArrayBuffer> {
  const shaped = message((w) => {
    for (const dim of shape)
      w.writeBytesField(1, message((d) => (typeof dim === 'number' ? d.writeVarintField(1, dim) : d.writeStringField(2, dim))))
  })
  const tensor = message((w) => {
    w.writeVarintField(1, TYPES[type])
    w.writeBytesField(2, shaped)
  })
  return message((w) => {
    w.writeStringField(1, name)
    w.writeBytesField(2, message((t) => t.writeBytesField(1, tensor)))
  })
}

/** A tensor as a field of the graph: its numbers come as raw bytes, last, or lie in another file. */
function tensorParts(tensor: StoredTensor, elsewhere: ReturnType<Place>): Part[] {
  const length = bytesOf(tensor)
  const head = message((w) => {
    for (const dim of tensor.shape) w.writeVarintField(1, dim)
    w.writeVarintField(2, TYPES[tensor.type])
    w.writeStringField(8, tensor.name)
    if (!elsewhere) return
    w.writeBytesField(13, pair('location', elsewhere.location))
    w.writeBytesField(13, pair('offset', String(elsewhere.offset)))
    w.writeBytesField(13, pair('length', String(length)))
    w.writeVarintField(14, EXTERNAL)
  })
  if (elsewhere) return [key(5, head.length), head]
  const raw = key(9, length)
  return [key(5, head.length + raw.length + length), head, raw, tensor]
}
