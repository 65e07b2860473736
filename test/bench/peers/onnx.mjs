/** Writes a net as an ONNX model (opset 17, float32): the few messages of onnx.proto that these nets need. */
import { EPS, poolBorders } from '../nets.mjs'

/** The file's bytes. The batch is fixed; the output is called `output`. Batch normalization stays: the runtime folds it. */
export function toOnnx(net, parameters, batch) {
  const nodes = net.layers.map((layer) => nodeOf(net, layer))
  const last = net.softmax ? node('Softmax', 'softmax', [net.output], 'output', { axis: 1 })
    : node('Identity', 'identity', [net.output], 'output')
  const graph = message(
    ...[...nodes.flat(), last].map((n) => field(1, n)),
    field(2, text(net.name)),
    ...net.parameters().map(({ name, op, shape }) =>
      field(5, tensor(name, op === 'scale' ? perChannel(net, name, shape) : shape, parameters.get(name)))
    ),
    field(11, valueInfo('image', [batch, ...net.inputShape])),
    field(12, valueInfo('output', [batch, ...net.shapes.get(net.output)])),
  )
  return message(number(1, 8), field(2, text('fusenet-bench')), field(7, graph), field(8, message(field(1, text('')), number(2, 17))))
}

/** The shape of a factor or term a channel, as it is broadcast to the maps of its layer. */
const perChannel = (net, name, [channels]) => [channels, ...net.layer(name.split('.')[0]).shape.slice(1).map(() => 1)]

function nodeOf(net, layer) {
  const { op, name, inputs, kernel, stride, pad, groups = 1, bias } = layer
  const parameter = (role) => `${name}.${role}`
  const window = () => {
    const { after } = poolBorders(layer)
    return { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, ...after] }
  }
  switch (op) {
    case 'conv':
    case 'deconv':
      return [
        node(op === 'conv' ? 'Conv' : 'ConvTranspose', name, [...inputs, parameter('weight'), ...(bias ? [parameter('bias')] : [])], name, {
          kernel_shape: [kernel, kernel],
          strides: [stride, stride],
          pads: [pad, pad, pad, pad],
          group: groups,
          ...(layer.outputPad && { output_padding: layer.outputPad }),
        }),
      ]
    case 'scale':
      return [
        node('Mul', `${name}_mul`, [...inputs, parameter('weight')], `${name}_mul`),
        node('Add', name, [`${name}_mul`, parameter('bias')], name),
      ]
    case 'batchNorm':
      return [
        node('BatchNormalization', name, [...inputs, ...['gamma', 'beta', 'running_mean', 'running_var'].map(parameter)], name, {
          epsilon: asFloat(layer.eps ?? EPS),
        }),
      ]
    case 'relu':
      return [node('Relu', name, inputs, name)]
    case 'sigmoid':
      return [node('Sigmoid', name, inputs, name)]
    case 'silu':
      return [node('Sigmoid', `${name}_gate`, inputs, `${name}_gate`), node('Mul', name, [...inputs, `${name}_gate`], name)]
    case 'leakyRelu':
      return [node('LeakyRelu', name, inputs, name, { alpha: asFloat(layer.slope) })]
    case 'clip': {
      const bounds = ['lo', 'hi'].map((bound) => `${name}_${bound}`)
      return [
        node('Constant', bounds[0], [], bounds[0], { value_float: asFloat(layer.lo) }),
        node('Constant', bounds[1], [], bounds[1], { value_float: asFloat(layer.hi) }),
        node('Clip', name, [...inputs, ...bounds], name),
      ]
    }
    case 'concat':
      return [node('Concat', name, inputs, name, { axis: 1 })]
    case 'slice': {
      const given = { from: [layer.from], to: [layer.from + layer.shape[0]], axis: [1] }
      return [
        ...Object.entries(given).map(([what, values]) =>
          node('Constant', `${name}_${what}`, [], `${name}_${what}`, { value_ints: values })
        ),
        node('Slice', name, [...inputs, ...Object.keys(given).map((what) => `${name}_${what}`)], name),
      ]
    }
    case 'add':
      return [node('Add', name, inputs, name)]
    case 'maxPool':
      return [node('MaxPool', name, inputs, name, window())]
    case 'avgPool':
      return [node('AveragePool', name, inputs, name, { ...window(), count_include_pad: 0 })]
    case 'globalAvgPool':
      return [node('GlobalAveragePool', name, inputs, name)]
    case 'fc': {
      // An fc after an fc is flat already, and Flatten would leave it so.
      const flat = `${name}_flat`
      return [
        node('Flatten', flat, inputs, flat, { axis: 1 }),
        node('Gemm', name, [flat, parameter('weight'), parameter('bias')], name, { transB: 1 }),
      ]
    }
    default:
      throw new Error(`no ONNX for ${op}`)
  }
}

const FLOAT = 1 // TensorProto.DataType
const asFloat = (value) => ({ float: value })

function node(opType, name, inputs, output, attributes = {}) {
  return message(
    ...inputs.map((i) => field(1, text(i))),
    field(2, text(output)),
    field(3, text(name)),
    field(4, text(opType)),
    ...Object.entries(attributes).map(([key, value]) => field(5, attribute(key, value))),
  )
}

function attribute(name, value) {
  const [FLOAT_TYPE, INT, INTS] = [1, 2, 7]
  if (Array.isArray(value)) return message(field(1, text(name)), ...value.map((v) => number(8, v)), number(20, INTS))
  if (typeof value === 'object') {
    const bits = Buffer.alloc(4)
    bits.writeFloatLE(value.float)
    return message(field(1, text(name)), Buffer.concat([varint(2 * 8 + 5), bits]), number(20, FLOAT_TYPE))
  }
  return message(field(1, text(name)), number(3, value), number(20, INT))
}

const tensor = (name, shape, data) =>
  message(
    ...shape.map((d) => number(1, d)),
    number(2, FLOAT),
    field(8, text(name)),
    field(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  )

const valueInfo = (name, shape) =>
  message(
    field(1, text(name)),
    field(2, message(field(1, message(number(1, FLOAT), field(2, message(...shape.map((d) => field(1, message(number(1, d)))))))))),
  )

// protobuf: a field is a key (number * 8 + wire type) and its value; 0 is a varint, 2 is bytes with their length before them.
const message = (...fields) => Buffer.concat(fields)
const text = (s) => Buffer.from(s, 'utf8')
const field = (id, bytes) => Buffer.concat([varint(id * 8 + 2), varint(bytes.length), bytes])
const number = (id, value) => Buffer.concat([varint(id * 8), varint(value)])

function varint(value) {
  const bytes = []
  let rest = BigInt.asUintN(64, BigInt(value)) // negative numbers take ten bytes
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(bytes)
}
