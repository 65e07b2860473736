/** jax-js: one `jit` function a workload; layouts are fusenet's own (NCHW, OIHW). */
import * as jax from '@jax-js/jax'
import { Unsupported, packageVersion } from '../common.mjs'
import { EPS, NEWEST, foldBatchNorm, poolBorders, product } from '../nets.mjs'
import { CHECKED_PARAMETERS, SOLVER } from '../workloads.mjs'

const { numpy: np, lax, nn } = jax

export async function open(backend) {
  const devices = await jax.init(backend)
  if (!devices.includes(backend)) throw new Error(`jax-js has no ${backend} here`)
  jax.defaultDevice(backend)
  return { version: packageVersion(new URL('.', import.meta.url), '@jax-js/jax'), prepare }
}

const prepare = (workload) => ({ infer, train, gradients })[workload.mode](workload)

function infer(workload) {
  // jax-js does not fold batch normalization by itself; who deploys a net does.
  const { net, parameters } = foldBatchNorm(workload.net, workload.parameters)
  const arrays = toArrays(net, parameters)
  const forward = jax.jit((p, image) => {
    const y = evaluate(net, p, image).output
    return net.softmax ? nn.softmax(y, -1) : y
  })
  const run = async () => forward(refs(arrays), toArray(workload.image, [workload.batch, ...net.inputShape])).data()
  return { check: async () => ({ output: await run() }), iterate: run }
}

function train(workload) {
  const { net, batch } = workload
  const lossOf = (trainable, states, image, label) => {
    const { output, newStates } = evaluate(net, { ...trainable, ...states }, image, { training: true })
    const loss = nn.logSoftmax(output, -1).mul(nn.oneHot(label, net.classes)).sum().mul(-1 / batch)
    return [loss, newStates]
  }
  const step = jax.jit((trainable, velocity, states, image, label) => {
    const [[loss, newStates], grads] = jax.valueAndGrad(lossOf, { hasAux: true })(refs(trainable), states, image, label)
    const newVelocity = {}
    const newTrainable = {}
    for (const name of Object.keys(trainable)) {
      newVelocity[name] = velocity[name].mul(SOLVER.momentum).add(grads[name].mul(SOLVER.rate))
      newTrainable[name] = trainable[name].sub(newVelocity[name].ref)
    }
    return { loss, trainable: newTrainable, velocity: newVelocity, states: newStates }
  })

  const all = toArrays(net, workload.parameters)
  const select = (wanted) =>
    Object.fromEntries(
      net.parameters().filter((p) => p.trainable === wanted).map((p) => [p.name, all[p.name]]),
    )
  let trainable = select(true)
  let states = select(false)
  let velocity = Object.fromEntries(Object.entries(trainable).map(([name, a]) => [name, np.zeros(a.shape)]))

  const iterate = async () => {
    const image = toArray(workload.image, [batch, ...net.inputShape])
    const label = np.array(workload.label, { dtype: np.int32 })
    const result = step(trainable, velocity, states, image, label)
    ;({ trainable, velocity, states } = result)
    return (await result.loss.data())[0]
  }
  const check = async () => {
    const losses = Float32Array.of(await iterate(), await iterate())
    const now = { ...trainable, ...states }
    const found = { losses }
    for (const name of CHECKED_PARAMETERS) if (now[name]) found[name] = await now[name].ref.data()
    return found
  }
  return { check, iterate }
}

function gradients(workload) {
  const { net, batch } = workload
  const loss = (trainable, image, states, upstream) => {
    const { output, newStates } = evaluate(net, { ...trainable, ...states }, image, { training: true })
    for (const state of Object.values(newStates)) state.dispose()
    return output.mul(upstream).sum()
  }
  const run = jax.jit((...args) => jax.valueAndGrad(loss, { argnums: [0, 1] })(...args))
  const all = toArrays(net, workload.parameters)
  const select = (wanted) =>
    Object.fromEntries(
      net.parameters().filter((p) => p.trainable === wanted).map((p) => [p.name, all[p.name]]),
    )
  const [trainable, states] = [select(true), select(false)]
  const iterate = async () => {
    const [value, [grads, dImage]] = run(
      refs(trainable),
      toArray(workload.image, [batch, ...net.inputShape]),
      refs(states),
      toArray(workload.upstream, [batch, ...net.shapes.get(net.output)]),
    )
    const found = { loss: await value.data(), 'grad/image': await dImage.data() }
    for (const [name, g] of Object.entries(grads)) found[`grad/${name}`] = await g.data()
    return found
  }
  return { check: iterate, iterate }
}

const toArray = (data, shape) => np.array(data, { dtype: np.float32 }).reshape(shape)

const toArrays = (net, parameters) =>
  Object.fromEntries(net.parameters().map(({ name, shape }) => [name, toArray(parameters.get(name), shape)]))

/** jax-js counts references: a tree that is to be used again is handed over by `.ref`. */
const refs = (tree) => Object.fromEntries(Object.entries(tree).map(([name, array]) => [name, array.ref]))

/** Consumes `p` and `image`. A value is consumed by its last reader. */
function evaluate(net, p, image, { training = false } = {}) {
  const values = new Map([['image', image]])
  const left = new Map(['image', ...net.layers.map((l) => l.name)].map((name) => [name, net.uses(name)]))
  const read = (name) => {
    left.set(name, left.get(name) - 1)
    return left.get(name) > 0 ? values.get(name).ref : values.get(name)
  }
  const newStates = {}
  for (const layer of net.layers) {
    const inputs = layer.inputs.map(read)
    const parameter = (role) => p[`${layer.name}.${role}`]
    values.set(layer.name, operators[layer.op](layer, inputs, parameter, { training, newStates }))
  }
  return { output: values.get(net.output), newStates }
}

const perChannel = (a, shape = [0, 0, 0]) => a.reshape([1, -1, ...shape.slice(1).map(() => 1)])

const operators = {
  conv({ stride, pad, groups = 1, bias }, [x], parameter) {
    const y = lax.convGeneralDilated(x, parameter('weight'), [stride, stride], [[pad, pad], [pad, pad]], { featureGroupCount: groups })
    return bias ? y.add(perChannel(parameter('bias'))) : y
  },

  deconv: () => {
    throw new Unsupported('jax-js has no transposed convolution')
  },

  scale: ({ shape }, [x], parameter) => x.mul(perChannel(parameter('weight'), shape)).add(perChannel(parameter('bias'), shape)),

  batchNorm({ name, shape, eps = EPS, newest: weight = NEWEST }, [x], parameter, { training, newStates }) {
    if (!training) {
      const scale = parameter('gamma').div(np.sqrt(parameter('running_var').add(eps)))
      const shift = parameter('beta').sub(parameter('running_mean').mul(scale.ref))
      return x.mul(perChannel(scale, shape)).add(perChannel(shift, shape))
    }
    const axes = shape.length === 3 ? [0, 2, 3] : [0]
    const mean = np.mean(x.ref, axes, { keepdims: true })
    const centered = x.sub(mean.ref)
    const variance = np.mean(np.square(centered.ref), axes, { keepdims: true })
    const update = (role, newest) => {
      newStates[`${name}.${role}`] = parameter(role).mul(1 - weight).add(lax.stopGradient(newest).reshape([-1]).mul(weight))
    }
    update('running_mean', mean)
    update('running_var', variance.ref)
    const scale = perChannel(parameter('gamma'), shape).div(np.sqrt(variance.add(eps)))
    return centered.mul(scale).add(perChannel(parameter('beta'), shape))
  },

  relu: (_, [x]) => nn.relu(x),
  sigmoid: (_, [x]) => nn.sigmoid(x),
  silu: (_, [x]) => nn.silu(x),
  leakyRelu: ({ slope }, [x]) => nn.leakyRelu(x, slope),
  clip: ({ lo, hi }, [x]) => np.clip(x, lo, hi),
  concat: (_, parts) => np.concatenate(parts, 1),
  slice: ({ from, shape: [channels] }, [x]) => x.slice([], [from, from + channels]),
  add: (_, [a, b]) => a.add(b),

  // Padded by zero, there being no other np.pad: right here, where ReLU comes before or after every max pooling.
  maxPool: (layer, [x]) =>
    lax.reduceWindow(padForPool(layer, x), (w) => np.max(w), [layer.kernel, layer.kernel], [layer.stride, layer.stride]),

  avgPool(layer, [x]) {
    const sum = lax.reduceWindow(padForPool(layer, x), (w) => np.sum(w), [layer.kernel, layer.kernel], [layer.stride, layer.stride])
    return sum.mul(np.array(poolBorders(layer).reciprocals, { dtype: np.float32 }).reshape([1, 1, ...layer.shape.slice(1)]))
  },

  globalAvgPool: (_, [x]) => np.mean(x, [2, 3], { keepdims: true }),

  fc({ inputShape }, [x], parameter) {
    return np.matmul(x.reshape([-1, product(inputShape)]), parameter('weight').transpose()).add(parameter('bias'))
  },
}

function padForPool(layer, x) {
  const { pad } = layer
  const { after: [bottom, right] } = poolBorders(layer)
  return np.pad(x, [[0, 0], [0, 0], [pad, bottom], [pad, right]])
}
