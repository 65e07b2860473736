/*
 * Writes digits.net as a file of ONNX, as an exporter of another framework would: convolutions, normalization at test, pooling, products.
 * A file of ONNX is a message of protobuf: fields with a number, one after the other (github.com/onnx/onnx/blob/main/onnx/onnx.proto).
 */

const FLOAT = 1
const ATTRIBUTE = { float: 1, int: 2, ints: 7 }

/** The bytes of a model. `weights`: tensors by name, as a bundle of digits.net holds them. */
export function digitsOnnx(weights) {
  const of = (name) => weights.get(name)
  const nodes = []
  const initializers = []
  let value = 'image'
  const add = (op, name, parameters = [], attributes = {}) => {
    for (const parameter of parameters) initializers.push(tensor(parameter, of(parameter)))
    nodes.push(node(op, name, [value, ...parameters], `${name}_out`, attributes))
    value = `${name}_out`
  }
  for (const i of [1, 2]) {
    add('Conv', `conv${i}`, [`conv${i}.weight`, `conv${i}.bias`], { kernel_shape: [5, 5] })
    add('BatchNormalization', `bn${i}`, statistics(`bn${i}`), { epsilon: 1e-10 })
    add('Relu', `relu${i}`)
    add('MaxPool', `pool${i}`, [], { kernel_shape: [2, 2], strides: [2, 2] })
  }
  add('Flatten', 'flatten')
  add('Gemm', 'mix', ['mix.weight', 'mix.bias'], { transB: 1 })
  add('BatchNormalization', 'bn3', statistics('bn3'), { epsilon: 1e-10 })
  add('Relu', 'relu3')
  add('Gemm', 'head', ['head.weight', 'head.bias'], { transB: 1 })
  nodes.push(node('Softmax', 'softmax', [value], 'prob', { axis: 1 }))
  const graph = [
    ...nodes.map((one) => message(1, one)),
    text(2, 'digits'),
    ...initializers.map((one) => message(5, one)),
    message(11, valueInfo('image', ['n', 1, 28, 28])),
    message(12, valueInfo('prob', ['n', 5])),
  ]
  return joined([integer(1, 8), text(2, 'samples/finetune'), message(7, joined(graph)), message(8, joined([text(1, ''), integer(2, 13)]))])
}

const statistics = (name) => ['gamma', 'beta', 'running_mean', 'running_var'].map((role) => `${name}.${role}`)

const node = (op, name, inputs, output, attributes) =>
  joined([
    ...inputs.map((input) => text(1, input)),
    text(2, output),
    text(3, name),
    text(4, op),
    ...Object.entries(attributes).map(([key, given]) => message(5, attribute(key, given))),
  ])

function attribute(name, given) {
  if (Array.isArray(given)) return joined([text(1, name), ...given.map((one) => integer(8, one)), integer(20, ATTRIBUTE.ints)])
  if (Number.isInteger(given)) return joined([text(1, name), integer(3, given), integer(20, ATTRIBUTE.int)])
  return joined([text(1, name), float(2, given), integer(20, ATTRIBUTE.float)])
}

const tensor = (name, { shape, data }) =>
  joined([
    ...shape.map((size) => integer(1, size)),
    integer(2, FLOAT),
    text(8, name),
    message(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ])

function valueInfo(name, shape) {
  const dims = shape.map((size) => message(1, typeof size === 'string' ? text(2, size) : integer(1, size)))
  return joined([text(1, name), message(2, message(1, joined([integer(1, FLOAT), message(2, joined(dims))])))])
}

// ---- protobuf ----------------------------------------------------------------------------------------------------------

function varint(value) {
  const bytes = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  return Uint8Array.from([...bytes, value])
}

const integer = (field, value) => joined([varint(field * 8), varint(value)])
const message = (field, bytes) => joined([varint(field * 8 + 2), varint(bytes.length), bytes])
const text = (field, value) => message(field, new TextEncoder().encode(value))
const float = (field, value) => joined([varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer)])

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
