import { writeStep, STEP_BYTES } from '../../bundle/step-uniform.ts'
import { DeviceError, type Numbers, type Session, type StepScalars } from '../../bundle/device.ts'
import { type Plan, ROW_GROUPS } from '../../bundle/format.ts'
import { type Places, tensorElements } from '../../bundle/layout.ts'
import { contents, sizeAt } from '../../bundle/sizes.ts'

// The globals GPUBufferUsage and GPUMapMode do not exist in Node; the numbers are the specification's.
const MAP_READ = 1
const COPY_SRC = 4
const COPY_DST = 8
const UNIFORM = 64
const QUERY_RESOLVE = 512
/** So long after a reading that failed a device says that it was lost, if it was. */
const LOST_MS = 1000
/** Timestamps in one query set: the specification's limit. */
const MOST_QUERIES = 4096

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String((error as { message?: unknown })?.message ?? error)

/** The functions of a device that a session needs. */
export interface WebGpuHost {
  readonly gpu: GPUDevice
  /** Throws what went wrong outside of an error scope, if anything did. */
  check(): void
  /** The layout of kernels with these accesses: the uniform, then storage buffers. */
  layout(access: readonly string[]): GPUBindGroupLayout
}

interface Launch {
  readonly name: string
  readonly pipeline: GPUComputePipeline
  readonly group: GPUBindGroup
  readonly x: number
  readonly y: number
}

/** A bundle on a device at a batch: its buffers and bind groups, made once; a run writes the uniform and submits. */
export class WebGpuSession implements Session {
  readonly plan: Plan
  readonly batch: number
  readonly #device: WebGpuHost
  readonly #places: Places
  readonly #buffers: ReadonlyMap<number, GPUBuffer>
  readonly #programs = new Map<string, readonly Launch[]>()
  readonly #uniform: GPUBuffer
  readonly #step = new Uint32Array(STEP_BYTES / 4)
  /** Staging buffers that nobody reads from. */
  readonly #staging: GPUBuffer[] = []
  #stagingBytes = 0
  #closed = false

  constructor(
    device: WebGpuHost,
    plan: Plan,
    batch: number,
    programs: readonly string[],
    places: Places,
    buffers: ReadonlyMap<number, GPUBuffer>,
    pipelines: ReadonlyMap<number, GPUComputePipeline>,
  ) {
    this.plan = plan
    this.batch = batch
    this.#device = device
    this.#places = places
    this.#buffers = buffers
    const { gpu } = device
    gpu.pushErrorScope('validation')
    this.#uniform = gpu.createBuffer({ label: 'step', size: STEP_BYTES, usage: UNIFORM | COPY_DST })
    // Programs share most of their bind groups: the forward pass stands in all of them.
    const groups = new Map<string, GPUBindGroup>()
    for (const name of programs) {
      this.#programs.set(
        name,
        plan.programs[name]!.dispatches.map((dispatch): Launch => {
          const kernel = plan.kernels[dispatch.kernel]!
          const access = kernel.bindings.map((b) => b.access)
          const key = `${access.join()} ${dispatch.tensors.join()}`
          let group = groups.get(key)
          if (!group) {
            const entries = dispatch.tensors.map((index, i) => ({ binding: i + 1, resource: this.#range(index) }))
            group = gpu.createBindGroup({
              label: dispatch.name,
              layout: device.layout(access),
              entries: [{ binding: 0, resource: { buffer: this.#uniform } }, ...entries],
            })
            groups.set(key, group)
          }
          const workgroups = Math.ceil(sizeAt(dispatch.invocations, batch) / kernel.workgroup)
          return {
            name: dispatch.name,
            pipeline: pipelines.get(dispatch.kernel)!,
            group,
            x: Math.min(workgroups, ROW_GROUPS),
            y: Math.ceil(workgroups / ROW_GROUPS),
          }
        }),
      )
    }
    this.#built = gpu.popErrorScope()
    // WebGPU zeroes what it allocates, so what lies behind them is there.
    for (const [index, buffer] of buffers) if (plan.buffers[index]!.data) gpu.queue.writeBuffer(buffer, 0, contents(plan.buffers[index]!))
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

  /** The byte range of a tensor in its GPU buffer. */
  #range(tensor: number): Required<GPUBufferBinding> {
    const entry = this.plan.tensors[tensor]!
    return { buffer: this.#buffer(entry.buffer), offset: this.#places.offsets[tensor]! * 4, size: tensorElements(entry, this.batch) * 4 }
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
    writeStep(this.#step, new Float32Array(this.#step.buffer), 0, this.batch, scalars)
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
    const bytes = ranges.reduce((sum, range) => sum + range.size, 0)
    // They share a staging buffer and a mapping, unless that is too much. Copies are submitted before anything is
    // awaited, so later runs cannot change what is read here.
    if (bytes > this.#device.gpu.limits.maxBufferSize && tensors.length > 1) {
      return (await Promise.all(tensors.map((index) => this.read([index])))).flat()
    }
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
      // What went wrong arrives as an event, that the GPU is lost some time later; let it come first.
      await new Promise((resolve) => setTimeout(resolve))
      this.#check()
      await Promise.race([gpu.lost, new Promise((resolve) => setTimeout(resolve, LOST_MS))])
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

  async trace(program: string, scalars: StepScalars, done: (dispatch: number) => Promise<boolean>): Promise<void> {
    for (const [i, one] of this.#launches(program, scalars).entries()) {
      this.#device.gpu.queue.submit([this.#encode([one]).finish()])
      if (await done(i)) return
    }
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
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      })
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
