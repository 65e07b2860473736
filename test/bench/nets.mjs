/**
 * The nets of the workloads as plain lists of layers: the one source that every competitor builds its net from, so that all
 * of them compute the same. Shapes are of one sample, CHW. A layer reads the values named in `inputs`; its own value has its name.
 */

/**
 * cifar10_quick (Caffe's example) with a batch normalization after each convolution, as in Caffe's cifar10_quick + BN; pooling
 * rounds up, as Caffe's does: 32 -> 16 -> 8 -> 4. A convolution in front of BN has no bias, so that nobody pays for what cancels.
 */
export function cifar10Quick({ batchNorm = true } = {}) {
  const net = new Net('cifar10_quick', [3, 32, 32], 10)
  const normalize = (x, name) => (batchNorm ? net.add('batchNorm', name, [x]) : x)
  const conv = (x, name, out) => net.add('conv', name, [x], { out, kernel: 5, stride: 1, pad: 2, bias: !batchNorm })
  const window = { kernel: 3, stride: 2, pad: 0, round: 'ceil' }

  let x = normalize(conv('image', 'conv1', 32), 'bn1')
  x = net.add('maxPool', 'pool1', [x], window)
  x = net.add('relu', 'relu1', [x])
  for (const [i, out] of [[2, 32], [3, 64]]) {
    x = normalize(conv(x, `conv${i}`, out), `bn${i}`)
    x = net.add('relu', `relu${i}`, [x])
    x = net.add('avgPool', `pool${i}`, [x], window)
  }
  x = net.add('fc', 'fc1', [x], { out: 64 })
  return net.classify(net.add('fc', 'fc2', [x], { out: 10 }))
}

/** ResNet-18 (He et al. 2015), basic blocks with the projection of option B. */
export function resnet18() {
  const net = new Net('resnet18', [3, 224, 224], 1000)
  const convBn = (x, name, out, kernel, stride, pad) =>
    net.add('batchNorm', `${name}_bn`, [net.add('conv', `${name}_conv`, [x], { out, kernel, stride, pad, bias: false })])

  let x = net.add('relu', 'stem_relu', [convBn('image', 'stem', 64, 7, 2, 3)])
  x = net.add('maxPool', 'stem_pool', [x], { kernel: 3, stride: 2, pad: 1, round: 'floor' })
  for (const [stage, out] of [64, 128, 256, 512].entries()) {
    for (const block of [0, 1]) {
      const name = `s${stage + 1}b${block + 1}`
      const stride = stage > 0 && block === 0 ? 2 : 1
      const first = net.add('relu', `${name}_relu1`, [convBn(x, `${name}_1`, out, 3, stride, 1)])
      const main = convBn(first, `${name}_2`, out, 3, 1, 1)
      const skip = stride === 1 ? x : convBn(x, `${name}_skip`, out, 1, stride, 0)
      x = net.add('relu', `${name}_relu2`, [net.add('add', `${name}_add`, [main, skip])])
    }
  }
  x = net.add('globalAvgPool', 'pool', [x])
  return net.classify(net.add('fc', 'fc', [x], { out: 1000 }))
}

/** W4: one convolution of a ResNet's first stage with BN and ReLU. */
export function convBnRelu() {
  const net = new Net('conv_bn_relu', [64, 56, 56])
  net.add('conv', 'conv1', ['image'], { out: 64, kernel: 3, stride: 1, pad: 1, bias: false })
  net.add('batchNorm', 'bn1', ['conv1'])
  net.add('relu', 'y', ['bn1'])
  net.output = 'y'
  return net
}

/** A net of layers told as `{ op, name, inputs, ... }`, for whoever has one of his own. */
export function netOf({ name, inputShape, classes, layers, output, softmax }) {
  const net = new Net(name, inputShape, classes)
  for (const { op, name: layer, inputs, ...attributes } of layers) net.add(op, layer, inputs, attributes)
  net.output = output
  net.softmax = softmax
  return net
}

/** Of batch normalization where a layer does not say its own `eps`; the newest batch weighs `newest` in the running statistics. */
export const EPS = 1e-5
export const NEWEST = 0.1

class Net {
  layers = []
  /** Output of inference: the value itself, or the softmax of it where the net classifies. */
  output = undefined
  softmax = false

  constructor(name, inputShape, classes) {
    this.name = name
    this.inputShape = inputShape
    this.classes = classes
    this.shapes = new Map([['image', inputShape]])
  }

  add(op, name, inputs, attributes = {}) {
    const layer = { op, name, inputs, ...attributes, inputShape: this.shapes.get(inputs[0]) }
    layer.shape = shapeOf(layer, inputs.map((input) => this.shapes.get(input)))
    this.shapes.set(name, layer.shape)
    this.layers.push(layer)
    return name
  }

  classify(logits) {
    this.output = logits
    this.softmax = true
    return this
  }

  layer(name) {
    return this.layers.find((l) => l.name === name)
  }

  /** How often a value is read. */
  uses(name) {
    return this.layers.flatMap((l) => l.inputs).filter((i) => i === name).length
  }

  /** `{ name, shape, trainable }` of all parameters, named and laid out as fusenet does: conv OIHW, deconv IOHW, fc [out, in]. */
  parameters() {
    return this.layers.flatMap(({ op, name, out, kernel, groups = 1, bias, affine, constants, inputShape, shape }) => {
      const entry = (role, s, trainable = true) => ({ name: `${name}.${role}`, role, op, shape: s, trainable })
      if (op === 'conv' || op === 'deconv') {
        const [first, second] = op === 'conv' ? [out, inputShape[0] / groups] : [inputShape[0], out / groups]
        return [entry('weight', [first, second, kernel, kernel]), ...(bias ? [entry('bias', [out])] : [])]
      }
      if (op === 'scale') return ['weight', 'bias'].map((role) => entry(role, [shape[0]], !constants))
      if (op === 'fc') return [entry('weight', [out, product(inputShape)]), entry('bias', [out])]
      if (op === 'batchNorm') {
        const channels = [shape[0]]
        return [
          entry('gamma', channels, affine !== false),
          entry('beta', channels, affine !== false),
          entry('running_mean', channels, false),
          entry('running_var', channels, false),
        ]
      }
      return []
    })
  }

  /** FLOPs of the convolutions and inner products of one sample, two for each multiply-add. */
  flops({ backward = false, inputGradient = false } = {}) {
    return this.layers.reduce((sum, { op, kernel, groups = 1, inputs, inputShape, shape }) => {
      const forward = op === 'conv' ? (2 * product(shape) * inputShape[0] * kernel * kernel) / groups
        : op === 'deconv' ? (2 * product(inputShape) * shape[0] * kernel * kernel) / groups
        : op === 'fc' ? 2 * product(inputShape) * product(shape) : 0
      // Backward: as much again for the gradient by weight, and by input unless nobody asks for it.
      return sum + forward * (backward ? (inputs[0] === 'image' && !inputGradient ? 2 : 3) : 1)
    }, 0)
  }
}

function shapeOf({ op, inputShape, out, kernel, stride, pad, outputPad, round, from, to }, inputShapes) {
  const [c, h, w] = inputShape
  if (op === 'concat') return [inputShapes.reduce((sum, shape) => sum + shape[0], 0), ...inputShape.slice(1)]
  if (op === 'slice') return [(to ?? c) - from, ...inputShape.slice(1)]
  if (op === 'deconv') return [out, ...[h, w].map((size, i) => stride * (size - 1) + kernel - 2 * pad + outputPad[i])]
  const extent = (size) => Math[round ?? 'floor']((size + 2 * pad - kernel) / stride) + 1
  if (op === 'conv') return [out, extent(h), extent(w)]
  if (op === 'maxPool' || op === 'avgPool') return [c, extent(h), extent(w)]
  if (op === 'globalAvgPool') return [c, 1, 1]
  if (op === 'fc') return [out]
  return inputShape
}

/**
 * What a library without rounding up needs to know of a pooling: `after`, how far the last window reaches past the bottom and
 * the right, and `reciprocals` [oh * ow], one over how many values of the input each window covers.
 */
export function poolBorders({ inputShape: [, h, w], shape: [, oh, ow], kernel, stride, pad }) {
  const after = [[h, oh], [w, ow]].map(([size, out]) => Math.max(0, (out - 1) * stride + kernel - pad - size))
  const covered = (out, size) => Math.min(out * stride - pad + kernel, size) - Math.max(out * stride - pad, 0)
  const reciprocals = Float32Array.from({ length: oh * ow }, (_, i) => 1 / (covered(Math.floor(i / ow), h) * covered(i % ow, w)))
  return { after, reciprocals }
}

export const product = (shape) => shape.reduce((a, b) => a * b, 1)

/**
 * Where BN follows a convolution, the same net with it folded into the convolution's weight and bias, as converters do before
 * a net is deployed: peers that do not fold themselves are measured on this.
 */
export function foldBatchNorm(net, parameters) {
  const folded = new Net(net.name, net.inputShape, net.classes)
  folded.softmax = net.softmax
  const values = new Map(parameters)
  const renamed = new Map() // the BN's name -> the convolution's
  for (const layer of net.layers) {
    const inputs = layer.inputs.map((i) => renamed.get(i) ?? i)
    const conv = layer.op === 'batchNorm' ? net.layer(layer.inputs[0]) : undefined
    if (conv?.op !== 'conv' || net.uses(conv.name) > 1) {
      const { op, name, inputs: _, inputShape: __, shape: ___, ...attributes } = layer
      folded.add(op, name, inputs, attributes)
      continue
    }
    const get = (role) => parameters.get(`${layer.name}.${role}`)
    const scale = get('gamma').map((g, o) => g / Math.sqrt(get('running_var')[o] + (layer.eps ?? EPS)))
    const weight = parameters.get(`${conv.name}.weight`)
    const bias = parameters.get(`${conv.name}.bias`)
    const perOutput = weight.length / scale.length
    values.set(`${conv.name}.weight`, weight.map((w, i) => w * scale[Math.floor(i / perOutput)]))
    values.set(`${conv.name}.bias`, scale.map((k, o) => ((bias?.[o] ?? 0) - get('running_mean')[o]) * k + get('beta')[o]))
    folded.layers.at(-1).bias = true
    renamed.set(layer.name, conv.name)
  }
  folded.output = renamed.get(net.output) ?? net.output
  return { net: folded, parameters: values }
}
