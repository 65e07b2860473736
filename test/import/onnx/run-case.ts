import { PbfWriter } from 'pbf'
import { compile, interpreter } from '../../../compiler/index.ts'
import { bytesSource } from '../../../import/byte-source.ts'
import { tensorProtoOf, readModelProto } from '../../../import/onnx/proto.ts'
import { readOnnx } from '../../../import/onnx/read.ts'
import { storedTensor } from '../../../import/onnx/tensor-data.ts'
import { WireReader } from '../../../import/protobuf/wire-reader.ts'
import { writeNet, type WrittenNet } from '../../../import/write/write-net.ts'
import { open } from '../../../runtime/index.ts'

/** A tensor of a test case, as its file has it. */
export interface GivenTensor {
  readonly shape: readonly number[]
  readonly data: Float64Array
  /** The bytes of its TensorProto. */
  readonly bytes: Uint8Array
}

/** A TensorProto that is a file of its own. `declared` is what the model says its type is: cases have the bits of bfloat16 as uint16. */
export function givenTensor(bytes: Uint8Array, declared?: number): GivenTensor {
  const source = bytesSource('tensor.pb', bytes)
  const proto = tensorProtoOf(new WireReader(source))
  const { shape, values } = storedTensor(declared === BFLOAT16 ? { ...proto, dataType: declared } : proto, { source })
  return { shape, data: Float64Array.from(values()), bytes }
}

const BFLOAT16 = 16

/** Operators that join values: all their inputs are of the net; of others only the first, the rest must be known when a model is imported. */
const JOINING = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Max',
  'Min',
  'Sum',
  'Mean',
  'Concat',
  'Where',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'Equal',
  'And',
  'Or',
  'Xor',
  'MatMul',
  'Einsum',
])

/** Operators whose first input is no value of the net. */
const SHAPED = new Set(['ConstantOfShape', 'Range', 'If'])

/** The model with some of its inputs as initializers, which is what they are in a net: weights, shapes, axes. */
export function withInitializers(bytes: Uint8Array, inputs: ReadonlyMap<string, GivenTensor>): Uint8Array {
  const { graph } = readModelProto(bytesSource('m.onnx', bytes))
  const rank = inputs.get(graph.inputs[0]?.name ?? '')?.shape.length
  const isData = (name: string): boolean =>
    inputs.get(name)!.shape.length === rank &&
    graph.nodes.every((node) =>
      node.inputs.every((input, i) => input !== name || (i === 0 ? !SHAPED.has(node.opType) : JOINING.has(node.opType)))
    )
  const known = graph.inputs.filter(({ name }) => inputs.has(name) && !isData(name))
  if (known.length === 0) return bytes
  const out = new PbfWriter()
  const model = new WireReader(bytesSource('m.onnx', bytes))
  while (model.next()) {
    const value = bytes.subarray(model.value.from, model.value.to)
    if (model.field === 7) {
      const tensors = known.map(({ name }) => {
        const named = new PbfWriter()
        named.writeStringField(8, name)
        return Buffer.concat([inputs.get(name)!.bytes, named.finish()])
      })
      const field = new PbfWriter()
      for (const tensor of tensors) field.writeBytesField(5, tensor)
      out.writeBytesField(7, Buffer.concat([value, field.finish()]))
    } else if (model.wire === 0) out.writeVarintField(model.field, model.int())
    else out.writeBytesField(model.field, value)
  }
  return out.finish().slice()
}

export interface ImportedCase {
  readonly written: WrittenNet
  readonly outputs: Readonly<Record<string, { readonly data: ArrayLike<number> }>>
}

/** Imports a model and runs it in float64 on inputs by the model's names. */
export async function runModel(bytes: Uint8Array, inputs: ReadonlyMap<string, GivenTensor>, name = 'm.onnx'): Promise<ImportedCase> {
  const written = writeNet(readOnnx(bytesSource(name, withInitializers(bytes, inputs))))
  const weights = new Map(written.tensors.map(({ name: own, tensor }) => [own, { shape: tensor.shape, data: tensor.values() }]))
  // Samples that the case gives: an input of a model without a batch is one.
  const [first] = written.inputs
  const batch = first ? inputs.get(first.model)!.data.length / first.shape.reduce((product, dim) => product * dim, 1) : 1
  const bundle = compile(written.text, { targets: [], programs: ['infer'] })
  const net = await open(bundle, { device: interpreter(), batch, programs: ['infer'], ...(written.tensors.length && { weights }) })
  try {
    const fed = Object.fromEntries(written.inputs.map(({ model, name: own }) => [own, inputs.get(model)!.data]))
    const results = await net.run(fed as never)
    return {
      written,
      outputs: Object.fromEntries(
        written.outputs.map(({ model, name: own }) => [model, { data: (results as Readonly<Record<string, ArrayLike<number>>>)[own]! }]),
      ),
    }
  } finally {
    net.close()
  }
}
