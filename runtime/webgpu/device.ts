import { type Device, DeviceError, type Session } from '../../bundle/device.ts'
import type { Bundle, KernelEntry, Plan, Storage } from '../../bundle/format.ts'
import { type Places, placesAt, tensorElements, usedBuffers } from '../../bundle/layout.ts'
import { STEP_BYTES } from '../../bundle/step-uniform.ts'
import { halfPlanFor, planIn, WEBGPU } from '../../bundle/plans.ts'
import { lessMemory, mostThatFits, showBytes } from '../memory-errors.ts'
import { plain } from '../../bundle/plain.ts'
import type { GpuAdapterLike, GpuLike } from '../host-types.ts'
import { missingPlan, programsToLoad } from '../../bundle/programs.ts'
import { type Section, sectionsOf } from '../../bundle/sections.ts'
import { checkOptions, flag, oneOf, type Rule } from '../../bundle/options.ts'
import { subgroupsInOrder } from './subgroup-probe.ts'
import { MOST_BYTES } from '../../bundle/validate/limits.ts'
import { checkBatch } from '../loading/validate.ts'
import { messageOf, type WebGpuHost, WebGpuSession } from './session.ts'

export interface WebGpuOptions {
  /** Default `navigator.gpu`. In Node: `create([])` of the package `webgpu`. */
  readonly gpu?: GpuLike
  /** In Node, give `gpu` as well: the device keeps it, without which the package `webgpu` kills the process. */
  readonly adapter?: GpuAdapterLike
  readonly powerPreference?: 'low-power' | 'high-performance'
  /** `false`: kernels for subgroups are left alone where the adapter has them, to compare with. */
  readonly subgroups?: boolean
}

// The globals GPUBufferUsage and GPUShaderStage do not exist in Node; the numbers are the specification's.
const COPY_SRC = 4
const COPY_DST = 8
const STORAGE = 128
const COMPUTE = 4

/** Asked for where the adapter offers more than the default; nothing here needs more. */
const WANTED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxStorageBuffersPerShaderStage',
] as const

/** Asked for where the adapter has them: times of kernels; f16 in storage; what a few invocations hold, put together at once. */
const WANTED_FEATURES: readonly GPUFeatureName[] = ['timestamp-query', 'shader-f16', 'subgroups']

const GPU_RULE: Rule = [
  (v) => typeof (v as GPU | null)?.requestAdapter === 'function',
  'a GPU as navigator.gpu is one (in Node create([]) of the package webgpu)',
]
const ADAPTER: Rule = [(v) => typeof (v as GPUAdapter | null)?.requestDevice === 'function', 'what gpu.requestAdapter() resolves to']

/** Opens a GPU by WebGPU. Throws DeviceError where there is none. */
export async function webgpu(given?: WebGpuOptions): Promise<Device<'f32'>> {
  const options = checkOptions(WEBGPU, given, {
    gpu: GPU_RULE,
    adapter: ADAPTER,
    powerPreference: oneOf('low-power', 'high-performance'),
    subgroups: flag,
  })
  const gpu = options.gpu as GPU | undefined ?? globalThis.navigator?.gpu
  if (!gpu && !options.adapter) {
    throw new DeviceError(
      'WebGPU is missing. A page needs a recent browser and https or localhost; Node the package `webgpu`: webgpu({ gpu: create([]) })',
    )
  }
  const adapter = options.adapter as GPUAdapter | undefined ??
    await gpu!.requestAdapter(options.powerPreference && { powerPreference: options.powerPreference })
  if (!adapter) throw new DeviceError('WebGPU has no adapter: the graphics driver is missing or blocked')
  const requiredLimits: Record<string, number> = {}
  for (const limit of WANTED_LIMITS) requiredLimits[limit] = adapter.limits[limit]
  const requiredFeatures = WANTED_FEATURES.filter((feature) =>
    adapter.features.has(feature) && (feature !== 'subgroups' || options.subgroups !== false)
  )
  try {
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures })
    return new WebGpuDevice(device, adapter, gpu)
  } catch (error) {
    throw new DeviceError(`the adapter gives no device: ${messageOf(error)}`)
  }
}

/** What an adapter says of itself. */
interface Described {
  readonly info?: {
    readonly vendor?: string
    readonly architecture?: string
    readonly device?: string
    readonly description?: string
    readonly isFallbackAdapter?: boolean
  }
}

function describe({ info }: Described): string {
  const parts = [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean)
  return [...new Set(parts)].join(' ') || 'unnamed adapter'
}

/** `Device.identity` of an adapter. */
export function identityOf({ info }: Described): Record<string, string> {
  const { vendor = '', architecture = '', device = '', description = '' } = info ?? {}
  return { vendor, architecture, device, description }
}

/** Whether a CPU pretends to be a GPU. */
export const isSoftware = (adapter: Described): boolean =>
  adapter.info?.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|software|basic render|warp\b/i.test(describe(adapter))

/** A kernel's text without comments, its buffers by number: `#` stands in no WGSL, so what is the same then differs in names alone. */
export function withoutNames(code: string): string {
  const numbers = new Map([...code.matchAll(/^@group.* var<storage, \w+> (\w+):/gm)].map(([, name], i) => [name!, `#${i}`]))
  return code.replace(/^\/\/.*\n/gm, '').replace(/(?<![.\w])[A-Za-z_]\w*/g, (word) => numbers.get(word) ?? word)
}

class WebGpuDevice implements Device<'f32'>, WebGpuHost {
  readonly name = WEBGPU
  readonly description: string
  readonly identity: Readonly<Record<string, string>>
  readonly software: boolean
  readonly gpu: GPUDevice
  /** The first thing that went wrong outside of an error scope. */
  failure: DeviceError | undefined
  #closed = false
  #pipelines = new Map<string, Promise<GPUComputePipeline>>()
  #layouts = new Map<string, GPUBindGroupLayout>()
  #subgroups: Promise<boolean> | undefined
  /**
   * Keeps the GPU object until the device is closed: the package `webgpu` (0.6.2) kills the process where one is collected while a device of it is in use.
   * Behind that, Node ends only once it is collected.
   */
  instance: GPU | undefined

  constructor(gpu: GPUDevice, adapter: GPUAdapter, instance: GPU | undefined) {
    this.gpu = gpu
    this.instance = instance
    this.description = describe(adapter)
    this.identity = identityOf(adapter)
    this.software = isSoftware(adapter)
    gpu.addEventListener?.('uncapturederror', (event) => {
      event.preventDefault()
      this.failure ??= new DeviceError(`WebGPU: ${event.error.message}`)
    })
    void gpu.lost.then((info) => {
      this.failure ??= new DeviceError(
        this.#closed ? 'the device was closed'
          : info.reason === 'destroyed' ? 'the GPU device was destroyed, though not by closing it here: open the net again'
          : `the GPU was lost (${
            info.message || 'no reason given'
          }): open the net again; with a smaller batch if that repeats, since drivers stop work that takes seconds`,
      )
    })
  }

  check(): void {
    if (this.failure) throw this.failure
  }

  close(): void {
    this.#closed = true
    this.instance = undefined
    this.gpu.destroy()
  }

  get half(): boolean {
    return this.gpu.features.has('shader-f16')
  }

  async load(bundle: Bundle, batch: number, programs?: readonly string[], storage: Storage = 'f32'): Promise<Session> {
    this.check()
    const { plans } = bundle.manifest
    const plan = plans[storage === 'f16' ? halfPlanFor(this.name)! : planIn(Object.keys(plans), this)]
    if (!plan)
      throw new DeviceError(storage === 'f16' ? 'this bundle holds no plan with f16 storage' : missingPlan(this.name, Object.keys(plans)))
    checkBatch(plan, batch)
    const names = programsToLoad(plan, programs)
    const used = usedBuffers(plan, names)
    this.#checkLimits(plan, batch, used, names)
    const places = placesAt(plan, batch, names)
    const kernels = new Set(names.flatMap((name) => plan.programs[name]!.dispatches.map((d) => d.kernel)))
    const bySubgroups = [...kernels].some((index) => plan.kernels[index]!.subgroups) &&
      await (this.#subgroups ??= subgroupsInOrder(this.gpu))
    const files = new Map([...bundle.files].map(([name, text]) => [name, typeof text === 'string' ? sectionsOf(text) : undefined]))
    const pipelines = new Map(
      await Promise.all([...kernels].map(async (index) => {
        const kernel = plan.kernels[index]!
        const section = files.get(kernel.file!)?.get((bySubgroups && kernel.subgroups) || kernel.section!)
        if (!section) throw new DeviceError(`the text of kernel ${kernel.name} is not in ${kernel.file}`)
        return [index, await this.#pipeline(kernel, section)] as const
      })),
    )
    const buffers = await this.#allocate(plan, batch, used, places, lessMemory(bundle.manifest, names))
    let session: WebGpuSession | undefined
    try {
      session = new WebGpuSession(this, plan, batch, names, places, buffers, pipelines)
      await session.verify()
      return session
    } catch (error) {
      session?.close()
      for (const buffer of buffers.values()) buffer.destroy()
      throw error
    }
  }

  /** Refuses what this device cannot hold: which tensors, how large, the limit, the largest batch that fits. */
  #checkLimits(plan: Plan, batch: number, used: ReadonlySet<number>, programs: readonly string[]): void {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.gpu.limits
    const bound = new Set(programs.flatMap((name) => plan.programs[name]!.dispatches.flatMap((d) => d.tensors)))
    const tooLargeAt = (n: number): { what: string; bytes: number; limit: number }[] => {
      const { sizes } = placesAt(plan, n, programs)
      return [
        ...plan.tensors.filter((_, i) => bound.has(i)).map((t) => ({
          what: t.name,
          bytes: 4 * tensorElements(t, n),
          limit: maxStorageBufferBindingSize,
        })),
        ...[...used].map((index) => ({ what: `buffer ${plan.buffers[index]!.name}`, bytes: 4 * sizes[index]!, limit: maxBufferSize })),
        // WebGPU does not say how much there is in all.
        { what: 'all of it', bytes: 4 * [...used].reduce((sum, index) => sum + sizes[index]!, 0), limit: MOST_BYTES },
      ].filter(({ bytes, limit }) => bytes > limit)
    }
    const tooLarge = tooLargeAt(batch)
    if (tooLarge.length === 0) return
    const worst = tooLarge.sort((a, b) => b.bytes - a.bytes).slice(0, 3).map((t) =>
      `${t.what} needs ${showBytes(t.bytes)} of ${showBytes(t.limit)}`
    )
    throw new DeviceError(
      `at batch ${batch} this device cannot hold the net: ${worst.join(', ')}: ${mostThatFits(batch, (n) => tooLargeAt(n).length === 0)}`,
    )
  }

  layout(access: readonly string[]): GPUBindGroupLayout {
    const key = access.join()
    let layout = this.#layouts.get(key)
    if (!layout) {
      const entries: GPUBindGroupLayoutEntry[] = access.map((a, i) => ({
        binding: i + 1,
        visibility: COMPUTE,
        buffer: { type: a === 'read' ? 'read-only-storage' : 'storage' },
      }))
      entries.unshift({ binding: 0, visibility: COMPUTE, buffer: { type: 'uniform', minBindingSize: STEP_BYTES } })
      this.#layouts.set(key, layout = this.gpu.createBindGroupLayout({ entries }))
    }
    return layout
  }

  /** Kept by text: a net that is opened again at another batch compiles nothing, nor does a net of the same layers under other names. */
  #pipeline(kernel: KernelEntry, section: Section): Promise<GPUComputePipeline> {
    const access = kernel.bindings.map((b) => b.access)
    const key = `${access.join()}\n${withoutNames(section.text)}`
    let pipeline = this.#pipelines.get(key)
    if (!pipeline) this.#pipelines.set(key, pipeline = this.#compile(kernel, section, access))
    return pipeline
  }

  async #compile(kernel: KernelEntry, { text: code, line }: Section, access: readonly string[]): Promise<GPUComputePipeline> {
    const { gpu } = this
    gpu.pushErrorScope('validation')
    const module = gpu.createShaderModule({ label: kernel.name, code })
    const layout = gpu.createPipelineLayout({ bindGroupLayouts: [this.layout(access)] })
    const pipeline = gpu.createComputePipelineAsync({ label: kernel.name, layout, compute: { module, entryPoint: 'main' } })
    const scope = gpu.popErrorScope()
    pipeline.catch(() => {})
    const error = await scope
    const errors = (await module.getCompilationInfo()).messages.filter((m) => m.type === 'error')
      .map((m) =>
        `${kernel.file}:${line + m.lineNum - 1}:${m.linePos}: ${plain(m.message, 300)}\n    ${
          plain(code.split('\n')[m.lineNum - 1]?.trim() ?? '')
        }`
      )
    if (errors.length) throw new DeviceError(`kernel ${kernel.name} does not compile:\n  ${errors.slice(0, 8).join('\n  ')}`)
    if (error) throw new DeviceError(`kernel ${kernel.name}: ${error.message}`)
    try {
      return await pipeline
    } catch (error) {
      this.check()
      throw new DeviceError(`kernel ${kernel.name}: ${messageOf(error)}`)
    }
  }

  /** WebGPU zeroes what it allocates. */
  async #allocate(plan: Plan, batch: number, used: ReadonlySet<number>, { sizes }: Places, hint: string): Promise<Map<number, GPUBuffer>> {
    const buffers = new Map<number, GPUBuffer>()
    let bytes = 0
    this.gpu.pushErrorScope('validation')
    this.gpu.pushErrorScope('out-of-memory')
    let error: { message: string } | null
    try {
      for (const index of used) {
        const size = sizes[index]! * 4
        bytes += size
        buffers.set(index, this.gpu.createBuffer({ label: plan.buffers[index]!.name, size, usage: STORAGE | COPY_SRC | COPY_DST }))
      }
    } finally {
      const scopes = [this.gpu.popErrorScope(), this.gpu.popErrorScope()]
      const [memory, invalid] = await Promise.all(scopes)
      error = memory ?? invalid ?? null
    }
    if (error) {
      for (const buffer of buffers.values()) buffer.destroy()
      throw new DeviceError(
        `the device cannot allocate ${
          showBytes(bytes)
        } in ${used.size} buffers for batch ${batch}: use a smaller batch, or close other nets${hint} (${error.message})`,
      )
    }
    return buffers
  }
}
