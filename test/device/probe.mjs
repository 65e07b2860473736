/**
 * node test/device/probe.mjs: the adapter in JSON: what it says of itself, features, limits, what the shading language has there, and three
 * numbers to compare kernels with: multiply-adds in registers, copies of large buffers, and what a dispatch that does nothing takes.
 */
import { installGpu } from '../bench/adapter.mjs'

const [COPY_SRC, COPY_DST, STORAGE] = [4, 8, 128]
const gpu = installGpu()
const adapter = await gpu.requestAdapter()
if (!adapter) {
  process.stderr.write('WebGPU has no adapter here\n')
  process.exit(1)
}
const { vendor, architecture, device: model, description } = adapter.info
const limits = {}
for (const name in adapter.limits) if (typeof adapter.limits[name] === 'number') limits[name] = adapter.limits[name]
const device = await adapter.requestDevice({
  requiredLimits: { maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize, maxBufferSize: adapter.limits.maxBufferSize },
})

const pipelineOf = (code) => {
  const module = device.createShaderModule({ code })
  return device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
}
const bufferOf = (size) => device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST })
const bind = (pipeline, ...buffers) =>
  device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  })

/** Seconds that a dispatch takes: as many in a row as take 40 ms, the shortest of five such rows. */
async function secondsOf(pipeline, group, groups) {
  const run = async (count) => {
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, group)
    for (let i = 0; i < count; i++) pass.dispatchWorkgroups(groups)
    pass.end()
    const start = performance.now()
    device.queue.submit([encoder.finish()])
    await device.queue.onSubmittedWorkDone()
    return (performance.now() - start) / 1000
  }
  let count = 1
  while (await run(count) < 0.04 && count < 16384) count *= 2
  let best = Infinity
  for (let i = 0; i < 5; i++) best = Math.min(best, await run(count) / count)
  return best
}

/** A CPU that pretends to be a GPU gets less to do. */
const software = /swiftshader|llvmpipe|lavapipe/i.test(`${architecture} ${description}`)

async function gflops() {
  const [chains, rounds, groups] = [8, 256, software ? 64 : 16384]
  const each = (text) => Array.from({ length: chains }, (_, i) => text.replaceAll('#', i)).join('\n')
  const pipeline = pipelineOf(`
    @group(0) @binding(0) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      let k = vec4f(y[0] + 0.5);
      ${each('var a# = vec4f(f32(id.x + #u));')}
      for (var i = 0; i < ${rounds}; i++) { ${each('a# = fma(a#, k, k);')} }
      let sum = ${Array.from({ length: chains }, (_, i) => `a${i}`).join(' + ')};
      if (sum.x + sum.y + sum.z + sum.w == 12345.0) { y[0] = sum.x; }
    }`)
  const seconds = await secondsOf(pipeline, bind(pipeline, bufferOf(256)), groups)
  return (groups * 256 * rounds * chains * 4 * 2) / seconds / 1e9
}

async function gigabytesPerSecond() {
  const bytes = Math.min(software ? 2 ** 24 : 2 ** 28, limits.maxStorageBufferBindingSize)
  const groups = Math.min(65535, bytes / 16 / 256)
  const pipeline = pipelineOf(`
    @group(0) @binding(0) var<storage, read> x: array<vec4f>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      for (var i = id.x; i < arrayLength(&x); i += ${groups * 256}u) { y[i] = x[i]; }
    }`)
  return (2 * bytes) / await secondsOf(pipeline, bind(pipeline, bufferOf(bytes), bufferOf(bytes)), groups) / 1e9
}

async function dispatchUs() {
  const pipeline = pipelineOf(
    '@group(0) @binding(0) var<storage, read_write> y: array<f32>; @compute @workgroup_size(32) fn main() { y[0] += 1.0; }',
  )
  return await secondsOf(pipeline, bind(pipeline, bufferOf(256)), 1) * 1e6
}

const found = {
  description: [vendor, architecture, model, description].filter(Boolean).join(' '),
  info: { vendor, architecture, device: model, description, subgroups: [adapter.info.subgroupMinSize, adapter.info.subgroupMaxSize] },
  features: [...adapter.features].sort(),
  language: [...gpu.wgslLanguageFeatures ?? []].sort(),
  limits,
  gflops: await gflops(),
  gigabytesPerSecond: await gigabytesPerSecond(),
  dispatchUs: await dispatchUs(),
}
process.stdout.write(`${JSON.stringify(found, null, 2)}\n`, () => process.exit(0))
