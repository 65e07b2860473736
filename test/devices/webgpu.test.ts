import { beforeAll, expect, test } from 'vitest'
import { softwareGpu } from './webgpu.ts'

// Named here, not read from globals: Node has none of them, and what runs in Node may not count on them.
const STORAGE = 0x80
const COPY_SRC = 0x4
const COPY_DST = 0x8
const MAP_READ = 0x1

let device: GPUDevice
beforeAll(async () => {
  const adapter = await (await softwareGpu()).requestAdapter()
  device = await adapter!.requestDevice()
  return () => device.destroy()
})

test.runIf(process.platform === 'linux')('the adapter runs on the CPU', () => {
  expect(device.adapterInfo.architecture).toBe('swiftshader')
})

test('a kernel adds two arrays', async () => {
  const module = device.createShaderModule({
    code: `
      @group(0) @binding(0) var<storage, read> a: array<f32>;
      @group(0) @binding(1) var<storage, read> b: array<f32>;
      @group(0) @binding(2) var<storage, read_write> sum: array<f32>;
      @compute @workgroup_size(64)
      fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if (id.x >= arrayLength(&sum)) { return; }
        sum[id.x] = a[id.x] + b[id.x];
      }`,
  })
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
  const a = Float32Array.from({ length: 100 }, (_, i) => i)
  const b = Float32Array.from({ length: 100 }, (_, i) => 1000 - 2 * i)
  const buffers = [a, b, new Float32Array(100)].map((data) => {
    const buffer = device.createBuffer({ size: data.byteLength, usage: STORAGE | COPY_SRC | COPY_DST })
    device.queue.writeBuffer(buffer, 0, data)
    return buffer
  })
  const readback = device.createBuffer({ size: a.byteLength, usage: MAP_READ | COPY_DST })
  const commands = device.createCommandEncoder()
  const pass = commands.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    }),
  )
  pass.dispatchWorkgroups(2)
  pass.end()
  commands.copyBufferToBuffer(buffers[2]!, 0, readback, 0, a.byteLength)
  device.queue.submit([commands.finish()])
  await readback.mapAsync(MAP_READ)
  expect([...new Float32Array(readback.getMappedRange())]).toEqual(Array.from({ length: 100 }, (_, i) => 1000 - i))
})
