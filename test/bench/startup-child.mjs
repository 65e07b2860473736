/** One process of startup.mjs: node startup-child.mjs NAME FOLDER THREADS prints the first result, and the processor's time up to it. It loads nothing that NAME does not need. */
import { readFileSync } from 'node:fs'

const [, , name, folder, threadsText] = process.argv
const threads = Number(threadsText)

const competitors = {
  node: async () => [],

  async fusenet() {
    const [{ open, wasm }, { readBundle }] = await Promise.all([import('fusenet/runtime'), import('fusenet/runtime/node')])
    const choice = { targets: ['wasm'], programs: ['infer'], facts: false }
    const [bundle, device] = await Promise.all([readBundle(`${folder}/bundle`, choice), wasm({ threads })])
    const net = await open(bundle, { device, batch: 1, programs: ['infer'] })
    const { prob } = await net.run({ image: floats('image.f32') })
    return prob
  },

  async ort() {
    const ort = await import('./peers/node_modules/onnxruntime-web/dist/ort.node.min.mjs')
    ort.env.wasm.wasmBinary = readFileSync(new URL('peers/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm', import.meta.url))
    ort.env.wasm.numThreads = threads
    return infer(ort, {})
  },

  async 'ort-node'() {
    const { createRequire } = await import('node:module')
    const ort = createRequire(new URL('peers/', import.meta.url))('onnxruntime-node')
    return infer(ort, { intraOpNumThreads: threads, interOpNumThreads: 1 })
  },

  /** tfjs-core and the backend alone, as a page's bundler would keep of it. */
  async tfjs() {
    const { createRequire } = await import('node:module')
    const require = createRequire(new URL('peers/', import.meta.url))
    const tf = require('@tensorflow/tfjs-core')
    require('@tensorflow/tfjs-backend-wasm').setThreadsCount(threads)
    await tf.setBackend('wasm')
    await tf.ready()
    const { layers, output, weights } = JSON.parse(readFileSync(`${folder}/tfjs.json`, 'utf8'))
    const data = floats('tfjs.f32')
    const p = {}
    let at = 0
    for (const { name: parameter, shape } of weights) {
      const length = shape.reduce((a, b) => a * b, 1)
      p[parameter] = tf.tensor(data.subarray(at, at + length), shape)
      at += length
    }
    const values = { image: tf.transpose(tf.tensor4d(floats('image.f32'), [1, 3, 32, 32]), [0, 2, 3, 1]) }
    for (const [i, { op, name: layer, inputs, kernel, stride, pad }] of layers.entries()) {
      if (values[layer]) continue
      const x = values[inputs[0]]
      const [weight, bias] = [p[`${layer}.weight`], p[`${layer}.bias`]]
      const fused = layers[i + 1]?.op === 'relu' && (op === 'conv' || op === 'fc')
      const activation = fused ? 'relu' : 'linear'
      values[layer] = {
        conv: () => tf.fused.conv2d({ x, filter: weight, strides: stride, pad, bias, activation }),
        fc: () => tf.fused.matMul({ a: tf.reshape(x, [1, -1]), b: weight, bias, activation }),
        relu: () => tf.relu(x),
        maxPool: () => tf.maxPool(x, kernel, stride, 'same'),
        avgPool: () => tf.avgPool(x, kernel, stride, 'same'),
      }[op]()
      if (fused) values[layers[i + 1].name] = values[layer]
    }
    return tf.softmax(values[output]).data()
  },
}

async function infer(ort, options) {
  const session = await ort.InferenceSession.create(readFileSync(`${folder}/net.onnx`), { logSeverityLevel: 3, ...options })
  const { output } = await session.run({ image: new ort.Tensor('float32', floats('image.f32'), [1, 3, 32, 32]) })
  return output.getData()
}

function floats(file) {
  const { buffer, byteOffset, byteLength } = readFileSync(`${folder}/${file}`)
  return byteOffset % 4 === 0 ? new Float32Array(buffer, byteOffset, byteLength / 4)
    : new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))
}

const result = [...await competitors[name]()]
const { user, system } = process.cpuUsage()
process.stdout.write(`RESULT ${JSON.stringify({ result, cpuMs: (user + system) / 1000 })}\n`)
