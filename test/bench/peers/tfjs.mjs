/** TensorFlow.js: eager, NHWC and HWIO, which is what it is best at; weights are turned once, when a net is made. */
import { createRequire } from 'node:module'
import { Unsupported, packageVersion } from '../common.mjs'
import { EPS, NEWEST, foldBatchNorm, poolBorders, product } from '../nets.mjs'
import { CHECKED_PARAMETERS, SOLVER } from '../workloads.mjs'

const require = createRequire(import.meta.url)
let tf

export async function open(backend, { threads }) {
  // It takes WebGPU for absent outside of windows and workers.
  globalThis.WorkerGlobalScope ??= class WorkerGlobalScope {}
  tf = require('@tensorflow/tfjs')
  const { setThreadsCount, getThreadsCount } = require(`@tensorflow/tfjs-backend-${backend}`)
  setThreadsCount?.(threads)
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs has no ${backend} here`)
  await tf.ready()
  return {
    version: packageVersion(new URL('.', import.meta.url), '@tensorflow/tfjs'),
    threads: backend === 'wasm' ? getThreadsCount() : 1,
    prepare,
  }
}

function prepare(workload) {
  const session = { infer, train, gradients }[workload.mode](workload)
  const check = () =>
    session.check().catch((error) => {
      // `wasm` has no kernels for the gradients of convolutions.
      if (/^Kernel '.*' not registered/.test(error.message)) throw new Unsupported(`tfjs: ${error.message}`)
      throw error
    })
  return { ...session, check }
}

function infer(workload) {
  // tfjs's converter folds batch normalization; whoever deploys a net has that.
  const { net, parameters } = foldBatchNorm(workload.net, workload.parameters)
  const p = toTensors(net, parameters)
  const image = toChannelsLast(workload.image, [workload.batch, ...net.inputShape])
  const run = async () => {
    const output = tf.tidy(() => {
      const x = tf.tensor4d(image, imageShape(workload))
      const y = evaluate(net, p, x).output
      return net.softmax ? tf.softmax(y) : y
    })
    const data = await output.data()
    output.dispose()
    return data
  }
  return {
    iterate: run,
    check: async () => ({ output: fromChannelsLast(await run(), [workload.batch, ...net.shapes.get(net.output)]) }),
  }
}

function train(workload) {
  const { net, batch } = workload
  const tensors = toTensors(net, workload.parameters)
  const p = {}
  const trainable = []
  for (const { name, trainable: trained } of net.parameters()) {
    p[name] = tf.variable(tensors[name], trained, name)
    if (trained) trainable.push(p[name])
  }
  const optimizer = tf.train.momentum(SOLVER.rate, SOLVER.momentum)
  const image = toChannelsLast(workload.image, [batch, ...net.inputShape])
  const iterate = async () => {
    const loss = tf.tidy(() => {
      const x = tf.tensor4d(image, imageShape(workload))
      const labels = tf.oneHot(tf.tensor1d(workload.label, 'int32'), net.classes)
      return optimizer.minimize(
        () => tf.losses.softmaxCrossEntropy(labels, evaluate(net, p, x, { training: true }).output),
        true,
        trainable,
      )
    })
    const [value] = await loss.data()
    loss.dispose()
    return value
  }
  const check = async () => {
    const losses = Float32Array.of(await iterate(), await iterate())
    const found = { losses }
    for (const name of CHECKED_PARAMETERS) if (p[name]) found[name] = await toOurLayout(net, name, p[name])
    return found
  }
  return { check, iterate }
}

function gradients(workload) {
  const { net, batch } = workload
  const p = toTensors(net, workload.parameters)
  const trainable = net.parameters().filter((q) => q.trainable).map((q) => q.name)
  const image = toChannelsLast(workload.image, [batch, ...net.inputShape])
  const upstream = toChannelsLast(workload.upstream, [batch, ...net.shapes.get(net.output)])
  const [, h, w] = net.shapes.get(net.output)

  const iterate = async () => {
    const { value, grads } = tf.tidy(() => {
      const x = tf.tensor4d(image, imageShape(workload))
      const r = tf.tensor4d(upstream, [batch, h, w, net.shapes.get(net.output)[0]])
      const lossOf = (input, ...values) => {
        const all = { ...p, ...Object.fromEntries(trainable.map((name, i) => [name, values[i]])) }
        return evaluate(net, all, input, { training: true }).output.mul(r).sum()
      }
      return tf.valueAndGrads(lossOf)([x, ...trainable.map((name) => p[name])])
    })
    const found = { loss: await value.data() }
    for (const [i, name] of ['image', ...trainable].entries()) found[`grad/${name}`] = await grads[i].data()
    tf.dispose([value, grads])
    return found
  }
  const check = async () => {
    const found = await iterate()
    found['grad/image'] = fromChannelsLast(found['grad/image'], [batch, ...net.inputShape])
    for (const name of trainable) found[`grad/${name}`] = await toOurLayout(net, name, tf.tensor(found[`grad/${name}`], p[name].shape))
    return found
  }
  return { check, iterate }
}

const imageShape = ({ batch, net: { inputShape: [c, h, w] } }) => [batch, h, w, c]

function toTensors(net, parameters) {
  return Object.fromEntries(
    net.parameters().map(({ name, shape, op, role }) => [
      name,
      tf.tidy(() => {
        const t = tf.tensor(parameters.get(name), shape)
        if (op === 'conv' && role === 'weight') return t.transpose([2, 3, 1, 0]) // OIHW -> HWIO
        if (op === 'deconv' && role === 'weight') return t.transpose([2, 3, 1, 0]) // IOHW -> HWOI
        if (op === 'fc' && role === 'weight') return fcInput(net, name).ours(t)
        return t.clone()
      }),
    ]),
  )
}

async function toOurLayout(net, name, tensor) {
  const { op, role } = net.parameters().find((q) => q.name === name)
  const turned = tf.tidy(() => {
    if (op in { conv: 1, deconv: 1 } && role === 'weight') return tensor.transpose([3, 2, 0, 1])
    if (op === 'fc' && role === 'weight') return fcInput(net, name).back(tensor)
    return tensor.clone()
  })
  return turned.data()
}

/** An fc flattens CHW with us, HWC here: its weight is [out, CHW] with us, [HWC, out] here. */
function fcInput(net, name) {
  const shape = net.layer(name.split('.')[0]).inputShape
  const [c, h, w] = shape.length === 3 ? shape : [product(shape), 1, 1]
  return {
    ours: (t) => t.reshape([-1, c, h, w]).transpose([2, 3, 1, 0]).reshape([c * h * w, -1]),
    back: (t) => t.reshape([h, w, c, -1]).transpose([3, 2, 0, 1]).reshape([-1, c * h * w]),
  }
}

/** [n, c, h, w] -> [n, h, w, c], in JavaScript: it is done before anything is measured. */
function toChannelsLast(data, [n, c, h, w]) {
  const turned = new Float32Array(data.length)
  for (let i = 0, from = 0; i < n * c; i++) {
    for (let p = 0; p < h * w; p++, from++) turned[(Math.floor(i / c) * h * w + p) * c + (i % c)] = data[from]
  }
  return turned
}

function fromChannelsLast(data, shape) {
  if (shape.length !== 4) return data
  const [n, c, h, w] = shape
  return toChannelsLast(data, [n, h * w, c, 1])
}

/** Layers that tfjs can do in one kernel with the convolution or inner product before them are given to it that way. */
function evaluate(net, p, image, { training = false } = {}) {
  const values = new Map([['image', image]])
  for (const layer of net.layers) {
    if (values.has(layer.name)) continue
    const next = net.layers.find((l) => l.inputs[0] === layer.name)
    const fuseRelu = !training && next?.op === 'relu' && net.uses(layer.name) === 1 && layer.op in { conv: 1, fc: 1 } && !layer.groups
    const inputs = layer.inputs.map((name) => values.get(name))
    const parameter = (role) => p[`${layer.name}.${role}`]
    const value = operators[layer.op](layer, inputs, parameter, { training, activation: fuseRelu ? 'relu' : 'linear' })
    values.set(layer.name, value)
    if (fuseRelu) values.set(next.name, value)
  }
  return { output: values.get(net.output) }
}

const operators = {
  conv({ stride, pad, groups = 1, kernel, inputShape: [channels], out, bias }, [x], parameter, { activation }) {
    if (groups > 1) {
      const filter = parameter('weight')
      const y = groups === channels
        ? tf.depthwiseConv2d(x, filter.reshape([kernel, kernel, channels, out / channels]), stride, pad)
        : tf.concat(
          tf.split(x, groups, 3).map((part, g) =>
            tf.conv2d(part, filter.slice([0, 0, 0, (g * out) / groups], [-1, -1, -1, out / groups]), stride, pad)
          ),
          3,
        )
      return bias ? y.add(parameter('bias')) : y
    }
    return tf.fused.conv2d({ x, filter: parameter('weight'), strides: stride, pad, bias: bias ? parameter('bias') : undefined, activation })
  },

  deconv({ stride, pad, groups = 1, shape: [channels, h, w], bias }, [x], parameter) {
    if (groups > 1) throw new Unsupported('tfjs has no transposed convolution in groups')
    const y = tf.conv2dTranspose(x, parameter('weight'), [x.shape[0], h, w, channels], stride, pad)
    return bias ? y.add(parameter('bias')) : y
  },

  scale: (_, [x], parameter) => x.mul(parameter('weight')).add(parameter('bias')),

  /** As tf.layers.batchNormalization does it. */
  batchNorm({ eps = EPS, newest: weight = NEWEST }, [x], parameter, { training }) {
    const [gamma, beta, mean, variance] = ['gamma', 'beta', 'running_mean', 'running_var'].map(parameter)
    if (!training) return tf.batchNorm(x, mean, variance, beta, gamma, eps)
    const batch = tf.moments(x, x.rank === 4 ? [0, 1, 2] : [0])
    const update = (running, newest) => {
      if (running.assign) running.assign(running.mul(1 - weight).add(newest.mul(weight)))
    }
    update(mean, batch.mean)
    update(variance, batch.variance)
    return tf.batchNorm(x, batch.mean, batch.variance, beta, gamma, eps)
  },

  relu: (_, [x]) => tf.relu(x),
  sigmoid: (_, [x]) => tf.sigmoid(x),
  silu: (_, [x]) => x.mul(tf.sigmoid(x)),
  leakyRelu: ({ slope }, [x]) => tf.leakyRelu(x, slope),
  clip: ({ lo, hi }, [x]) => tf.clipByValue(x, lo, hi),
  // Channels are the last axis here.
  concat: (_, parts) => tf.concat(parts, -1),
  slice: ({ from, shape: [channels] }, [x]) => x.slice([...x.shape.slice(1).map(() => 0), from], [...x.shape.slice(0, -1), channels]),
  add: (_, [a, b]) => tf.add(a, b),
  // 'same' is Caffe's rounding up for the windows and sizes that occur here; averages count what is covered.
  maxPool: ({ kernel, stride, pad, round }, [x]) => tf.maxPool(x, kernel, stride, round === 'ceil' ? 'same' : pad),
  avgPool(layer, [x], _, { training }) {
    const { kernel, stride, pad, round } = layer
    if (!training || round === 'floor') return tf.avgPool(x, kernel, stride, round === 'ceil' ? 'same' : pad)
    // Its gradient divides by the window's size even where the window is cut off at the border: pad and correct by hand.
    const { after, reciprocals } = poolBorders(layer)
    const mean = tf.avgPool(tf.pad(x, [[0, 0], [pad, after[0]], [pad, after[1]], [0, 0]]), kernel, stride, 'valid')
    return mean.mul(tf.tensor(reciprocals.map((r) => r * kernel * kernel), [1, layer.shape[1], layer.shape[2], 1]))
  },
  globalAvgPool: (_, [x]) => tf.mean(x, [1, 2]),

  fc({ inputShape }, [x], parameter, { activation }) {
    return tf.fused.matMul({ a: x.reshape([-1, product(inputShape)]), b: parameter('weight'), bias: parameter('bias'), activation })
  },
}
