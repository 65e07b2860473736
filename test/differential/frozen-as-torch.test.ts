import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile, interpreter } from '../../compiler/index.ts'
import { type Bundle, type Device, open, type TensorData, wasm } from '../../runtime/index.ts'
import { targetsOf } from '../support/targets.ts'

/** What is frozen, and what learns beside it, as PyTorch 2.13 trains them: `requires_grad_(False)`, and `eval()` of a layer whose statistics are kept. */

const NET = `
net small {
  input x: f32[1, 6, 6]
  input label: class[3]
  a = x -> conv(2, 3) as conv1 -> batch_norm(eps: 1e-5, stats: moving(newest: 0.1), unbiased: true, gamma: 1, beta: 0) as bn1 -> relu
  b = a -> conv(2, 3) as conv2 -> batch_norm(eps: 1e-5, stats: moving(newest: 0.1), unbiased: true, gamma: 1, beta: 0) as bn2 -> relu
  logits = b -> fc(3) as fc
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { batch 4  solver sgd(lr: 0.05, momentum: 0.9) }`

/** Printed by PyTorch 2.13.0 on a CPU after five updates by `optim.SGD(lr=0.05, momentum=0.9)`; of conv1.weight the first row. */
const TORCH = [
  {
    what: 'all learns',
    freeze: [],
    loss: [1.250211, 1.419498, 1.164292, 0.9760376, 1.237136],
    conv1: [-0.4761023, -0.2106055, 0.2118567],
    bn1: [0.4393218, 1.257255, 0.2985221, -0.517038, 0.2514116, -0.4918404, 0.4092497, 0.9512923],
    bn2: [0.4708184, 1.155394, 0.2522105, -0.5582364, 0.1555433, -0.5435699, 0.573283, 0.8567171],
    fc: [0.2256117, -0.4361694, 0.08555774],
    prob: [0.456887, 0.2228348, 0.3202783],
  },
  {
    what: 'conv1 and bn1 without gradients, bn1.eval()',
    freeze: ['conv1', 'bn1'],
    loss: [1.217964, 1.406448, 1.090034, 0.9693362, 1.204437],
    conv1: [-0.5, -0.1875, 0.125],
    bn1: [0.5, 1.25, 0.25, -0.5, 0.25, -0.5, 0.5, 1.25],
    bn2: [0.463657, 1.147527, 0.2403064, -0.6209759, 0.1676028, -0.5280308, 0.4019852, 0.765076],
    fc: [0.219827, -0.4328469, 0.08801987],
    prob: [0.4399478, 0.2044779, 0.3555743],
  },
  {
    what: 'bn1 without gradients, bn1.train()',
    freeze: ['bn1.gamma', 'bn1.beta'],
    loss: [1.250211, 1.419473, 1.16441, 0.983313, 1.261143],
    conv1: [-0.4795955, -0.2045391, 0.2140794],
    bn1: [0.5, 1.25, 0.25, -0.5, 0.2514173, -0.4918268, 0.4093198, 0.9508121],
    bn2: [0.4702144, 1.14936, 0.2521532, -0.5687259, 0.1565098, -0.54311, 0.5744438, 0.8550531],
    fc: [0.225342, -0.4360818, 0.08573979],
    prob: [0.4592533, 0.2164169, 0.3243299],
  },
  {
    what: 'conv1 and bn1 without gradients, bn1.train()',
    freeze: ['conv1', 'bn1.gamma', 'bn1.beta'],
    loss: [1.250211, 1.420755, 1.178017, 0.9241916, 1.271072],
    conv1: [-0.5, -0.1875, 0.125],
    bn1: [0.5, 1.25, 0.25, -0.5, 0.2509276, -0.4909462, 0.4125222, 0.9370514],
    bn2: [0.4735571, 1.151739, 0.2529241, -0.5643405, 0.1561932, -0.5492779, 0.582191, 0.8662927],
    fc: [0.2232708, -0.4360822, 0.08781148],
    prob: [0.4528808, 0.1979132, 0.349206],
  },
  {
    what: 'bn1.eval() alone',
    freeze: ['bn1.running_*'],
    loss: [1.217964, 1.401983, 1.065486, 1.060694, 1.221848],
    conv1: [-0.4824873, -0.1719592, 0.1307737],
    bn1: [0.4258175, 1.304041, 0.2817295, -0.4309781, 0.25, -0.5, 0.5, 1.25],
    bn2: [0.4614922, 1.14119, 0.2365997, -0.6284514, 0.16511, -0.5247702, 0.3970751, 0.7630498],
    fc: [0.2219082, -0.4332367, 0.08632857],
    prob: [0.4533616, 0.2188734, 0.327765],
  },
  {
    what: 'both normalizations without gradients, eval()',
    freeze: ['bn*'],
    loss: [1.075746, 1.255763, 1.092247, 1.093801, 1.191238],
    conv1: [-0.4968265, -0.189493, 0.1405287],
    bn1: [0.5, 1.25, 0.25, -0.5, 0.25, -0.5, 0.5, 1.25],
    bn2: [0.5, 1.25, 0.25, -0.5, 0.25, -0.5, 0.5, 1.25],
    fc: [0.2038588, -0.4202585, 0.09139962],
    prob: [0.429265, 0.2060471, 0.3646879],
  },
] as const

/** Numbers that float32 holds exactly, here and there. */
const numbers = (length: number, factor: number): number[] => Array.from({ length }, (_, i) => ((i * factor) % 17) / 8 - 1)

function started({ manifest }: Pick<Bundle, 'manifest'>): Map<string, TensorData> {
  return new Map(manifest.parameters.map(({ name, shape }) => {
    const length = shape.reduce((product, dim) => product * dim, 1)
    const values = /gamma|running_var/.test(name)
      ? [0.5, 1.25]
      : /bias|beta|running_mean/.test(name)
      ? [0.25, -0.5, 0.125].slice(0, length)
      : numbers(length, 5).map((v) => v / 2)
    return [name, { shape, type: 'f32', data: Float32Array.from(values) }]
  }))
}

const devices: Device[] = []
beforeAll(async () => {
  devices.push(interpreter(), await wasm({ threads: 1 }))
})
afterAll(() => {
  for (const device of devices) device.close()
})

test.each(TORCH)('$what: freeze $freeze', async ({ freeze, loss, conv1, bn1, bn2, fc, prob }) => {
  for (const device of devices) {
    for (const style of ['merged', 'split'] as const) {
      const bundle = compile(NET, { style, freeze, targets: targetsOf(device), programs: ['train', 'infer'] })
      const net = await open({ ...bundle, weights: started(bundle) }, { device, batch: 4, programs: ['train', 'infer'] })
      const near = (what: string, got: Iterable<number>, want: readonly number[]): void => {
        const all = [...got]
        want.forEach((v, i) => expect(Math.abs(all[i]! - v), `${device.name}, ${style}: ${what}[${i}]`).toBeLessThan(3e-6))
      }
      const losses: number[] = []
      for (let t = 0; t < loss.length; t++) {
        const inputs = { x: Float32Array.from(numbers(4 * 36, 7 + t)), label: Int32Array.from([0, 1, 2, 3], (i) => (t + i) % 3) }
        losses.push(await (await net.trainStep(inputs)).loss)
      }
      near('loss', losses, loss)
      const parameters = await net.parameters()
      const of = (...names: readonly string[]): number[] => names.flatMap((name) => [...parameters.get(name)!.data] as number[])
      const layer = (name: string): number[] => of(...['gamma', 'beta', 'running_mean', 'running_var'].map((field) => `${name}.${field}`))
      near('conv1.weight', of('conv1.weight'), conv1)
      near('bn1', layer('bn1'), bn1)
      near('bn2', layer('bn2'), bn2)
      near('fc.bias', of('fc.bias'), fc)
      const x = Float32Array.from([1, 2, 3, 4].flatMap(() => numbers(36, 11)))
      near('prob', (await net.run({ x }))['prob']!, prob)
      net.close()
    }
  }
})
