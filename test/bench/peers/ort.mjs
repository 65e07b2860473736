/** onnxruntime-web: inference of the net as an ONNX model; it folds batch normalization itself. It cannot train. */
import { readFileSync } from 'node:fs'
import { Unsupported, packageVersion } from '../common.mjs'
import { toOnnx } from './onnx.mjs'

export async function open(backend, { threads }) {
  if (backend === 'webgpu') acceptSharedMemory()
  // The plain name is the build for Node, which has threads there; it knows nothing of WebGPU.
  const ort = await import(backend === 'webgpu' ? 'onnxruntime-web/webgpu' : 'onnxruntime-web')
  // The build for pages would fetch this; in Node there is no such thing as a file's URL for fetch.
  const file = backend === 'webgpu' ? 'asyncify' : undefined
  ort.env.wasm.wasmBinary = readFileSync(
    new URL(
      `node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded${file ? `.${file}` : ''}.wasm`,
      import.meta.url,
    ),
  )
  ort.env.wasm.numThreads = backend === 'webgpu' ? 1 : threads
  return {
    version: packageVersion(new URL('.', import.meta.url), 'onnxruntime-web'),
    threads: ort.env.wasm.numThreads,
    prepare: (workload) => prepareInference(ort, workload, { executionProviders: [backend] }),
  }
}

/** Its heap is shared memory, which Dawn's binding for Node refuses to read and browsers take: one small copy more. */
function acceptSharedMemory() {
  const { writeBuffer } = GPUQueue.prototype
  GPUQueue.prototype.writeBuffer = function(buffer, bufferOffset, data, ...rest) {
    const shared = (data.buffer ?? data) instanceof SharedArrayBuffer
    return writeBuffer.call(this, buffer, bufferOffset, shared ? data.slice() : data, ...rest)
  }
}

/** Shared with onnxruntime-node, whose interface is the same. */
export async function prepareInference(ort, { mode, net, batch, parameters, image }, options) {
  if (mode !== 'infer') throw new Unsupported('onnxruntime cannot train here')
  const session = await ort.InferenceSession.create(toOnnx(net, parameters, batch), {
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    ...options,
  })
  const iterate = async () => {
    const { output } = await session.run({ image: new ort.Tensor('float32', image, [batch, ...net.inputShape]) })
    return output.getData()
  }
  return { iterate, check: async () => ({ output: Float32Array.from(await iterate()) }) }
}
