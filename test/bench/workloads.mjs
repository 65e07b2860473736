import { cifar10Quick, convBnRelu, product, resnet18 } from './nets.mjs'
import { between, gaussian, labels } from './random.mjs'

/**
 * The workloads. `mode`:
 *   infer      images in, the net's output out
 *   train      one step of SGD with momentum on softmax loss: images and labels in, loss out; running statistics are updated
 *   gradients  loss = sum(y * r), r given: gradients of all parameters and of the input, read back; nothing is updated
 * `batch` is what fits a software adapter, `fullBatch` what the workload means on a CPU and on a GPU. `style` is fusenet's alone.
 */
export const WORKLOADS = {
  W1: { what: 'cifar10_quick with BN, training step', net: () => cifar10Quick(), mode: 'train', batch: 10, fullBatch: 100 },
  W1n: { what: 'W1 without BN', net: () => cifar10Quick({ batchNorm: false }), mode: 'train', batch: 10, fullBatch: 100 },
  W1s: { what: 'W1, split style', net: () => cifar10Quick(), mode: 'train', batch: 10, fullBatch: 100, style: 'split' },
  W2: { what: 'cifar10_quick with BN, inference', net: () => cifar10Quick(), mode: 'infer', batch: 10, fullBatch: 100 },
  W2x1: { what: 'W2, one image', net: () => cifar10Quick(), mode: 'infer', batch: 1, fullBatch: 1 },
  W3: { what: 'ResNet-18, inference', net: resnet18, mode: 'infer', batch: 1, fullBatch: 1 },
  W4a: { what: 'conv 3x3 64->64 on 56x56, BN, ReLU, inference', net: convBnRelu, mode: 'infer', batch: 1, fullBatch: 16 },
  W4b: { what: 'W4a, forward + backward', net: convBnRelu, mode: 'gradients', batch: 1, fullBatch: 16 },
}

export const SOLVER = { rate: 0.01, momentum: 0.9 }

/** A workload made concrete: the net, its parameters and one batch of data. Equal in every process. */
export function prepareWorkload(name, { batch } = {}) {
  const workload = WORKLOADS[name]
  if (!workload) throw new Error(`unknown workload ${name}: there are ${Object.keys(WORKLOADS).join(', ')}`)
  const net = workload.net()
  const n = batch ?? workload.batch
  const elements = n * product(net.inputShape)
  const outputElements = n * product(net.shapes.get(net.output))
  return {
    name,
    ...workload,
    net,
    batch: n,
    parameters: initialParameters(net),
    image: gaussian('image', elements),
    label: net.classes && labels('label', n, net.classes),
    /** Weighs the outputs in the loss of `gradients`. */
    upstream: workload.mode === 'gradients' ? gaussian('upstream', outputElements) : undefined,
    flops: n * net.flops({ backward: workload.mode !== 'infer', inputGradient: workload.mode === 'gradients' }),
  }
}

/** name -> Float32Array. Chosen so that values stay of order 1 through ResNet-18 and softmax does not saturate. */
function initialParameters(net) {
  return new Map(
    net.parameters().map(({ name, role, op, shape }) => {
      const length = product(shape)
      const fanIn = product(shape.slice(1))
      if (role === 'weight') return [name, gaussian(name, length, Math.sqrt((op === 'conv' ? 2 : 0.5) / fanIn))]
      if (role === 'gamma') return [name, between(name, length, 0.5, 0.9)]
      if (role === 'running_var') return [name, between(name, length, 1, 2)]
      return [name, gaussian(name, length, 0.1)] // bias, beta, running_mean
    }),
  )
}

/** What competitors must agree on after training two steps from the same start. */
export const CHECKED_PARAMETERS = ['conv1.weight', 'bn1.gamma', 'bn2.beta', 'bn2.running_mean', 'bn2.running_var', 'fc1.weight', 'fc2.bias']
