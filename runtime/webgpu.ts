import { type Device, DeviceError, type Numbers, type Session, type StepScalars } from './device.ts'
import { type Bundle, type KernelEntry, type Plan, ROW_GROUPS, type Size, STEP_BYTES } from './format.ts'
import { bufferElements, elementCount, sizeAt } from './sizes.ts'
import { checkBatch } from './validate.ts'

export interface WebGpuOptions {
  /** Default `navigator.gpu`. In Node: `create([])` of the package `webgpu`. */
  readonly gpu?: GPU
  readonly adapter?: GPUAdapter
  readonly powerPreference?: GPUPowerPreference
}

// The globals GPUBufferUsage, GPUShaderStage and GPUMapMode do not exist in Node; the numbers are the specification's.
const MAP_READ = 1
const COPY_SRC = 4
const COPY_DST = 8
const UNIFORM = 64
const STORAGE = 128
const QUERY_RESOLVE = 512
const COMPUTE = 4

/** Asked for where the adapter offers more than the default; nothing here needs more. */
const WANTED_LIMITS = [
  'maxStorageBufferBindingSize', 'maxBufferSize', 'maxComputeWorkgroupStorageSize', 'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX', 'maxStorageBuffersPerShaderStage',
] as const
/** Timestamps in one query set: the specification's limit. */
const MOST_QUERIES = 4096

const showBytes = (bytes: number): string => bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`
const messageOf = (error: unknown): string => error instanceof Error ? error.message : String((error as { message?: unknown })?.message ?? error)

/** Opens a GPU by WebGPU. Throws DeviceError where there is none. */
export async function webgpu(options: WebGpuOptions = {}): Promise<Device> {
  const gpu = options.gpu ?? globalThis.navigator?.gpu
  if (!gpu && !options.adapter) {
    throw new DeviceError('WebGPU is missing. A page needs a recent browser and https or localhost; Node the package `webgpu`: webgpu({ gpu: create([]) })')
  }
  const adapter = options.adapter ?? await gpu!.requestAdapter(options.powerPreference && { powerPreference: options.powerPreference })
  if (!adapter) throw new DeviceError('WebGPU has no adapter: the graphics driver is missing or blocked')
  const requiredLimits: Record<string, number> = {}
  for (const limit of WANTED_LIMITS) requiredLimits[limit] = adapter.limits[limit]
  const timed = adapter.features.has('timestamp-query')
  try {
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures: timed ? ['timestamp-query'] : [] })
    return new WebGpuDevice(device, adapter)
  } catch (error) {
    throw new DeviceError(`the adapter gives no device: ${messageOf(error)}`)
  }
}

class WebGpuDevice implements Device {
  readonly name = 'webgpu'
  readonly description: string
  readonly software: boolean
  readonly gpu: GPUDevice
  /** The first thing that went wrong outside of an error scope. */
  failure: DeviceError | undefined
  #pipelines = new Map<string, Promise<GPUComputePipeline>>()
  #layouts = new Map<string, GPUBindGroupLayout>()

  constructor(gpu: GPUDevice, adapter: GPUAdapter) {
    this.gpu = gpu
    const info = adapter.info as Partial<GPUAdapterInfo> | undefined
    const parts = [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean)
    this.description = [...new Set(parts)].join(' ') || 'unnamed adapter'
    this.software = info?.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|software|basic render|warp\b/i.test(this.description)
    gpu.addEventListener?.('uncapturederror', (event) => {
      event.preventDefault()
      this.failure ??= new DeviceError(`WebGPU: ${event.error.message}`)
    })
    void gpu.lost.then((info) => {
      this.failure ??= new DeviceError(info.reason === 'destroyed' ? 'the device was closed'
        : `the GPU was lost (${info.message || 'no reason given'}): open the net again; with a smaller batch if that repeats, since drivers stop work that takes seconds`)
    })
  }

  check(): void {
    if (this.failure) throw this.failure
  }

  close(): void {
    this.gpu.destroy()
  }

  async load(bundle: Bundle, batch: number, programs?: readonly string[]): Promise<Session> {
    this.check()
    const plan = bundle.manifest.plans['webgpu']
    if (!plan) throw new DeviceError('this bundle holds no plan for webgpu')
    checkBatch(plan, batch)
    const names = Object.keys(plan.programs).filter((name) => !programs || name === 'prepare' || programs.includes(name))
    const used = usedBuffers(plan, names)
    this.#checkLimits(plan, batch, used, names)
    const kernels = new Set(names.flatMap((name) => plan.programs[name]!.dispatches.map((d) => d.kernel)))
    const pipelines = new Map(await Promise.all([...kernels].map(async (index) => {
      const kernel = plan.kernels[index]!
      return [index, await this.#pipeline(kernel, bundle.files.get(kernel.file) as string)] as const
    })))
    const buffers = await this.#allocate(plan, batch, used)
    const session = new WebGpuSession(this, plan, batch, names, buffers, pipelines)
    try {
      await session.verify()
    } catch (error) {
      session.close()
      throw error
    }
    return session
  }

  /** Refuses what this device cannot hold: which tensors, how large, the limit, the largest batch that fits. */
  #checkLimits(plan: Plan, batch: number, used: ReadonlySet<number>, programs: readonly string[]): void {
    const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension: rows, maxStorageBuffersPerShaderStage } = this.gpu.limits
    const tooLarge: { what: string; bytes: number; limit: number; most: number }[] = []
    const check = (what: string, limit: number, sizes: readonly Size[]): void => {
      const bytes = 4 * Math.max(...sizes.map((size) => sizeAt(size, batch)))
      const most = Math.min(...sizes.map((size) => size.perSample ? (limit / 4 - size.fixed) / size.perSample : size.fixed * 4 > limit ? 0 : Infinity))
      if (bytes > limit) tooLarge.push({ what, bytes, limit, most: Math.floor(most) })
    }
    for (const { name, shape, buffer } of plan.tensors) {
      const count = elementCount(shape)
      if (used.has(buffer)) check(name, maxStorageBufferBindingSize, [shape[0] === 'n' ? { fixed: 0, perSample: count } : { fixed: count, perSample: 0 }])
    }
    for (const index of used) {
      const { name, elements, largestOf = [] } = plan.buffers[index]!
      check(`buffer ${name}`, maxBufferSize, [elements, ...largestOf])
    }
    if (tooLarge.length) {
      const worst = tooLarge.sort((a, b) => b.bytes - a.bytes).slice(0, 3).map((t) => `${t.what} needs ${showBytes(t.bytes)} of ${showBytes(t.limit)}`)
      const most = Math.min(...tooLarge.map((t) => t.most))
      throw new DeviceError(`at batch ${batch} this device cannot hold the net: ${worst.join(', ')}: ${most >= 1 ? `use a batch of at most ${most}` : 'no batch is small enough'}`)
    }
    for (const name of programs) {
      for (const dispatch of plan.programs[name]!.dispatches) {
        const kernel = plan.kernels[dispatch.kernel]!
        if (kernel.bindings.length > maxStorageBuffersPerShaderStage) throw new DeviceError(`${kernel.name} binds ${kernel.bindings.length} buffers; this device allows ${maxStorageBuffersPerShaderStage}`)
        const groups = Math.ceil(sizeAt(dispatch.invocations, batch) / kernel.workgroup)
        if (Math.ceil(groups / ROW_GROUPS) > rows) throw new DeviceError(`${kernel.name} needs ${groups} workgroups at batch ${batch}: use a smaller batch`)
      }
    }
  }

  layout(access: readonly string[]): GPUBindGroupLayout {
    const key = access.join()
    let layout = this.#layouts.get(key)
    if (!layout) {
      const entries: GPUBindGroupLayoutEntry[] = access.map((a, i) => ({
        binding: i + 1, visibility: COMPUTE, buffer: { type: a === 'read' ? 'read-only-storage' : 'storage' },
      }))
      entries.unshift({ binding: 0, visibility: COMPUTE, buffer: { type: 'uniform', minBindingSize: STEP_BYTES } })
      this.#layouts.set(key, layout = this.gpu.createBindGroupLayout({ entries }))
    }
    return layout
  }

  /** Kept by text: a net that is opened again at another batch compiles nothing. */
  #pipeline(kernel: KernelEntry, code: string): Promise<GPUComputePipeline> {
    const access = kernel.bindings.map((b) => b.access)
    const key = `${access.join()}\n${code}`
    let pipeline = this.#pipelines.get(key)
    if (!pipeline) this.#pipelines.set(key, pipeline = this.#compile(kernel, code, access))
    return pipeline
  }

  async #compile(kernel: KernelEntry, code: string, access: readonly string[]): Promise<GPUComputePipeline> {
    const { gpu } = this
    gpu.pushErrorScope('validation')
    const module = gpu.createShaderModule({ label: kernel.name, code })
    const layout = gpu.createPipelineLayout({ bindGroupLayouts: [this.layout(access)] })
    const pipeline = gpu.createComputePipelineAsync({ label: kernel.name, layout, compute: { module, entryPoint: 'main' } })
    const scope = gpu.popErrorScope()
    pipeline.catch(() => {})
    const error = await scope
    const errors = (await module.getCompilationInfo()).messages.filter((m) => m.type === 'error')
      .map((m) => `${kernel.file}:${m.lineNum}:${m.linePos}: ${m.message}\n    ${code.split('\n')[m.lineNum - 1]?.trim() ?? ''}`)
    if (errors.length) throw new DeviceError(`kernel ${kernel.name} does not compile:\n  ${errors.join('\n  ')}`)
    if (error) throw new DeviceError(`kernel ${kernel.name}: ${error.message}`)
    try {
      return await pipeline
    } catch (error) {
      this.check()
      throw new DeviceError(`kernel ${kernel.name}: ${messageOf(error)}`)
    }
  }

  /** WebGPU zeroes what it allocates. */
  async #allocate(plan: Plan, batch: number, used: ReadonlySet<number>): Promise<Map<number, GPUBuffer>> {
    const buffers = new Map<number, GPUBuffer>()
    let bytes = 0
    this.gpu.pushErrorScope('validation')
    this.gpu.pushErrorScope('out-of-memory')
    let error: { message: string } | null
    try {
      for (const index of used) {
        const buffer = plan.buffers[index]!
        const size = bufferElements(buffer, batch) * 4
        bytes += size
        buffers.set(index, this.gpu.createBuffer({ label: buffer.name, size, usage: STORAGE | COPY_SRC | COPY_DST }))
      }
    } finally {
      const scopes = [this.gpu.popErrorScope(), this.gpu.popErrorScope()]
      const [memory, invalid] = await Promise.all(scopes)
      error = memory ?? invalid ?? null
    }
    if (error) {
      for (const buffer of buffers.values()) buffer.destroy()
      throw new DeviceError(`the device cannot allocate ${showBytes(bytes)} in ${used.size} buffers for batch ${batch}: use a smaller batch, or close other nets (${error.message})`)
    }
    return buffers
  }
}

/** Buffers that these programs touch, and those that the host writes and reads. */
function usedBuffers(plan: Plan, programs: readonly string[]): Set<number> {
  const used = new Set<number>()
  plan.buffers.forEach((b, i) => {
    if (b.role === 'parameters' || b.role === 'states' || b.role === 'input') used.add(i)
  })
  for (const name of programs) {
    const { dispatches, results } = plan.programs[name]!
    for (const index of [...dispatches.flatMap((d) => d.tensors), ...Object.values(results)]) used.add(plan.tensors[index]!.buffer)
  }
  return used
}

interface Launch {
  readonly name: string
  readonly pipeline: GPUComputePipeline
  readonly group: GPUBindGroup
  readonly x: number
  readonly y: number
}

class WebGpuSession implements Session {
  readonly plan: Plan
  readonly batch: number
  readonly #device: WebGpuDevice
  readonly #buffers: ReadonlyMap<number, GPUBuffer>
  readonly #programs = new Map<string, readonly Launch[]>()
  readonly #uniform: GPUBuffer
  readonly #step = new Uint32Array(STEP_BYTES / 4)
  /** Staging buffers that nobody reads from. */
  readonly #staging: GPUBuffer[] = []
  #stagingBytes = 0
  #closed = false

  constructor(device: WebGpuDevice, plan: Plan, batch: number, programs: readonly string[], buffers: ReadonlyMap<number, GPUBuffer>, pipelines: ReadonlyMap<number, GPUComputePipeline>) {
    this.plan = plan
    this.batch = batch
    this.#device = device
    this.#buffers = buffers
    const { gpu } = device
    gpu.pushErrorScope('validation')
    this.#uniform = gpu.createBuffer({ label: 'step', size: STEP_BYTES, usage: UNIFORM | COPY_DST })
    // Programs share most of their bind groups: the forward pass stands in all of them.
    const groups = new Map<string, GPUBindGroup>()
    for (const name of programs) {
      this.#programs.set(name, plan.programs[name]!.dispatches.map((dispatch): Launch => {
        const kernel = plan.kernels[dispatch.kernel]!
        const access = kernel.bindings.map((b) => b.access)
        const key = `${access.join()} ${dispatch.tensors.join()}`
        let group = groups.get(key)
        if (!group) {
          const entries = dispatch.tensors.map((index, i) => ({ binding: i + 1, resource: this.#range(index) }))
          group = gpu.createBindGroup({ label: dispatch.name, layout: device.layout(access), entries: [{ binding: 0, resource: { buffer: this.#uniform } }, ...entries] })
          groups.set(key, group)
        }
        const workgroups = Math.ceil(sizeAt(dispatch.invocations, batch) / kernel.workgroup)
        return { name: dispatch.name, pipeline: pipelines.get(dispatch.kernel)!, group, x: Math.min(workgroups, ROW_GROUPS), y: Math.ceil(workgroups / ROW_GROUPS) }
      }))
    }
    this.#built = gpu.popErrorScope()
    plan.buffers.forEach((buffer, index) => {
      if (!buffer.data || !buffers.has(index)) return
      plan.tensors.forEach((t, i) => {
        if (t.buffer !== index) return
        const values = new Float64Array(elementCount(t.shape, batch))
        values.set(buffer.data!.slice(t.offset, t.offset + values.length))
        this.write(i, values)
      })
    })
  }

  readonly #built: Promise<GPUError | null>

  /** Has every program checked by WebGPU once, without running it: `finish` is where bindings are validated. */
  async verify(): Promise<void> {
    const { gpu } = this.#device
    const built = await this.#built
    if (built) throw new DeviceError(`the bind groups are refused: ${built.message}`)
    const invalid = async (launches: readonly Launch[]): Promise<GPUError | null> => {
      gpu.pushErrorScope('validation')
      this.#encode(launches).finish()
      return gpu.popErrorScope()
    }
    const programs = [...this.#programs]
    const found = await Promise.all(programs.map(([, launches]) => invalid(launches)))
    for (const [i, error] of found.entries()) {
      if (!error) continue
      const [name, launches] = programs[i]!
      // The message of a whole pass does not say which dispatch it was.
      for (const launch of launches) {
        const why = await invalid([launch])
        if (why) throw new DeviceError(`kernel ${launch.name} of program ${name} is refused: ${why.message}`)
      }
      throw new DeviceError(`program ${name} is refused: ${error.message}`)
    }
    this.#device.check()
  }

  get allocatedBytes(): number {
    let bytes = STEP_BYTES + this.#stagingBytes
    for (const buffer of this.#buffers.values()) bytes += buffer.size
    return bytes
  }

  #buffer(index: number): GPUBuffer {
    const buffer = this.#buffers.get(index)
    if (!buffer) throw new DeviceError(`buffer ${this.plan.buffers[index]?.name} belongs to a program that was not loaded`)
    return buffer
  }

  /** Where a tensor lies, in bytes. */
  #range(tensor: number): Required<GPUBufferBinding> {
    const { buffer, offset, shape } = this.plan.tensors[tensor]!
    return { buffer: this.#buffer(buffer), offset: offset * 4, size: elementCount(shape, this.batch) * 4 }
  }

  write(tensor: number, data: Numbers): void {
    this.#check()
    const { buffer, offset, size } = this.#range(tensor)
    const { name, type } = this.plan.tensors[tensor]!
    if (data.length * 4 !== size) throw new DeviceError(`${name} holds ${size / 4} numbers, not ${data.length}`)
    const Kind = type === 'i32' ? Int32Array : Float32Array
    const bytes = data instanceof Kind ? data : Kind.from(data)
    this.#device.gpu.queue.writeBuffer(buffer, offset, bytes.buffer as ArrayBuffer, bytes.byteOffset, size)
  }

  #launches(program: string, scalars: StepScalars): readonly Launch[] {
    this.#check()
    const launches = this.#programs.get(program)
    if (!launches) throw new DeviceError(`program ${program} was not loaded`)
    this.#step.set([this.batch, scalars.step, scalars.seed])
    new Float32Array(this.#step.buffer).set([scalars.rate, scalars.correction1, scalars.correction2], 3)
    this.#device.gpu.queue.writeBuffer(this.#uniform, 0, this.#step)
    return launches
  }

  #encode(launches: readonly Launch[]): GPUCommandEncoder {
    const encoder = this.#device.gpu.createCommandEncoder()
    const pass = encoder.beginComputePass()
    launch(pass, launches)
    pass.end()
    return encoder
  }

  async run(program: string, scalars: StepScalars): Promise<void> {
    const launches = this.#launches(program, scalars)
    if (launches.length) this.#device.gpu.queue.submit([this.#encode(launches).finish()])
  }

  async read(tensors: readonly number[]): Promise<Numbers[]> {
    this.#check()
    const ranges = tensors.map((index) => this.#range(index))
    // As many as fit share a staging buffer and a mapping. All copies are submitted before the first is awaited, so
    // later runs cannot change what is read here.
    const parts: Promise<Numbers[]>[] = []
    for (let from = 0; from < ranges.length;) {
      let bytes = ranges[from]!.size
      let to = from + 1
      while (to < ranges.length && bytes + ranges[to]!.size <= this.#device.gpu.limits.maxBufferSize / 2) bytes += ranges[to++]!.size
      parts.push(this.#readTogether(tensors.slice(from, to), ranges.slice(from, to), bytes))
      from = to
    }
    return (await Promise.all(parts)).flat()
  }

  async #readTogether(tensors: readonly number[], ranges: readonly Required<GPUBufferBinding>[], bytes: number): Promise<Numbers[]> {
    const { gpu } = this.#device
    const staging = this.#takeStaging(bytes)
    const encoder = gpu.createCommandEncoder()
    let at = 0
    for (const { buffer, offset, size } of ranges) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, size)
      at += size
    }
    gpu.queue.submit([encoder.finish()])
    try {
      await staging.mapAsync(1, 0, bytes)
    } catch (error) {
      // What went wrong arrives as an event; let it come first.
      await new Promise((resolve) => setTimeout(resolve))
      this.#check()
      throw new DeviceError(`reading from the GPU failed: ${messageOf(error)}`)
    }
    const mapped = staging.getMappedRange(0, bytes).slice(0)
    staging.unmap()
    if (this.#closed) staging.destroy()
    else this.#staging.push(staging)
    this.#check()
    at = 0
    return tensors.map((index, i) => {
      const from = at
      const length = ranges[i]!.size / 4
      at += ranges[i]!.size
      return new (this.plan.tensors[index]!.type === 'i32' ? Int32Array : Float32Array)(mapped, from, length)
    })
  }

  /** The smallest that is free and large enough, else a new one of the next power of two. */
  #takeStaging(bytes: number): GPUBuffer {
    const fits = this.#staging.filter((s) => s.size >= bytes).sort((a, b) => a.size - b.size)[0]
    if (fits) {
      this.#staging.splice(this.#staging.indexOf(fits), 1)
      return fits
    }
    const size = Math.min(this.#device.gpu.limits.maxBufferSize, 2 ** Math.ceil(Math.log2(Math.max(256, bytes))))
    this.#stagingBytes += size
    return this.#device.gpu.createBuffer({ label: 'staging', size, usage: MAP_READ | COPY_DST })
  }

  async profile(program: string, scalars: StepScalars): Promise<Float64Array | undefined> {
    const { gpu } = this.#device
    if (!gpu.features.has('timestamp-query')) return undefined
    const launches = this.#launches(program, scalars)
    const count = launches.length * 2
    if (count === 0 || count > MOST_QUERIES) return undefined
    const querySet = gpu.createQuerySet({ type: 'timestamp', count })
    const resolved = gpu.createBuffer({ size: count * 8, usage: QUERY_RESOLVE | COPY_SRC })
    const staging = gpu.createBuffer({ size: count * 8, usage: MAP_READ | COPY_DST })
    const encoder = gpu.createCommandEncoder()
    launches.forEach((one, i) => {
      const pass = encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 } })
      launch(pass, [one])
      pass.end()
    })
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0)
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, count * 8)
    gpu.queue.submit([encoder.finish()])
    await staging.mapAsync(1)
    const stamps = new BigUint64Array(staging.getMappedRange())
    const times = Float64Array.from(launches, (_, i) => Number(stamps[2 * i + 1]! - stamps[2 * i]!))
    for (const resource of [staging, resolved, querySet]) resource.destroy()
    return times
  }

  #check(): void {
    if (this.#closed) throw new DeviceError('this net was closed')
    this.#device.check()
  }

  close(): void {
    this.#closed = true
    for (const buffer of [...this.#buffers.values(), ...this.#staging, this.#uniform]) buffer.destroy()
  }
}

function launch(pass: GPUComputePassEncoder, launches: readonly Launch[]): void {
  let pipeline: GPUComputePipeline | undefined
  let group: GPUBindGroup | undefined
  for (const l of launches) {
    if (l.pipeline !== pipeline) pass.setPipeline(pipeline = l.pipeline)
    if (l.group !== group) pass.setBindGroup(0, group = l.group)
    pass.dispatchWorkgroups(l.x, l.y)
  }
}
