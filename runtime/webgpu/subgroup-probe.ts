// The globals GPUBufferUsage and GPUMapMode do not exist in Node; the numbers are the specification's.
const MAP_READ = 1
const COPY_SRC = 4
const COPY_DST = 8
const STORAGE = 128

const INVOCATIONS = 256

/**
 * A shader that tests what kernels for subgroups rely on, in each invocation: WGSL does not define how subgroups are numbered through a
 * workgroup.
 */
const PROBE = `enable subgroups;
@group(0) @binding(0) var<storage, read_write> holds: array<u32>;
@compute @workgroup_size(${INVOCATIONS})
fn main(@builtin(local_invocation_index) local: u32, @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let first = subgroupBroadcastFirst(local);
  let sum = subgroupAdd(f32(lane));
  let most = subgroupMax(f32(lane));
  holds[local] = u32(lane == local % size && first == local - lane && sum == f32(size * (size - 1u) / 2u) && most == f32(size - 1u));
}`

/**
 * Whether a device can run the kernels for subgroups: it has the feature, subgroups follow each other through a workgroup in the order of
 * `local_invocation_index`, and they add up what they should. Asked of the device itself, by one small dispatch.
 */
export async function subgroupsInOrder(gpu: GPUDevice): Promise<boolean> {
  if (!gpu.features.has('subgroups')) return false
  gpu.pushErrorScope('validation')
  const module = gpu.createShaderModule({ label: 'subgroups', code: PROBE })
  const compiled = gpu.createComputePipelineAsync({ label: 'subgroups', layout: 'auto', compute: { module, entryPoint: 'main' } }).catch(
    () => undefined,
  )
  const invalid = await gpu.popErrorScope()
  const pipeline = await compiled
  if (invalid || !pipeline) return false
  const size = 4 * INVOCATIONS
  const holds = gpu.createBuffer({ label: 'subgroups', size, usage: STORAGE | COPY_SRC })
  const staging = gpu.createBuffer({ label: 'subgroups', size, usage: MAP_READ | COPY_DST })
  const encoder = gpu.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(
    0,
    gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: holds } }] }),
  )
  pass.dispatchWorkgroups(1)
  pass.end()
  encoder.copyBufferToBuffer(holds, 0, staging, 0, size)
  gpu.queue.submit([encoder.finish()])
  try {
    await staging.mapAsync(MAP_READ)
    return new Uint32Array(staging.getMappedRange()).every((held) => held === 1)
  } catch {
    // The device was lost: whoever asked will find out.
    return false
  } finally {
    holds.destroy()
    staging.destroy()
  }
}
