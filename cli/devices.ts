import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Device, DeviceError } from '../bundle/device.ts'
import type { Bundle, Storage } from '../bundle/format.ts'
import { halfPlanFor, PLAN_KINDS, planFor, WASM, WEBGPU } from '../bundle/plans.ts'
import { InputError } from '../bundle/errors.ts'
import { findPackage, howToInstall, importPackage } from '../runtime/loading/node/package.ts'
import { identityOf, isSoftware, webgpu } from '../runtime/webgpu/device.ts'
import { wasm } from '../runtime/wasm/device.ts'
import { type Probed, probeAdapter, WEBGPU_PACKAGE } from './adapter-probe.ts'
import { PACKAGE_ROOT } from './package.ts'
import type { Screen } from './screen.ts'

/** The device that is the reference: it runs the text that a bundle carries. */
export const INTERPRETER = 'interpreter'

export interface DeviceOptions {
  /** One of DEVICE_CHOICES, or INTERPRETER. */
  readonly device: string
  /** The threads of `wasm`; default: one for each core. */
  readonly threads?: number
  /** Whether `wasm` runs vectors of twice the width, where they are. Default true. */
  readonly wide?: boolean
  /** The targets that the net has plans for, or could have. */
  readonly plans: readonly string[]
}

/** Options of the command line as they are. A net that is compiled for the device that runs it could run on any: `file` ends in .net. */
export const deviceOf = (options: Readonly<Record<string, unknown>>, file: string, { manifest }: Bundle): DeviceOptions => ({
  device: options['device'] as string,
  ...(options['threads'] !== undefined && { threads: options['threads'] as number }),
  ...(options['wide'] === false && { wide: false }),
  plans: file.endsWith('.net') ? PLAN_KINDS.map(({ name }) => name) : Object.keys(manifest.plans),
})

/**
 * The plan that the device of that name runs here: all that is to be compiled where a net only runs. `held`: the plans among which
 * `auto` chooses. The interpreter runs a text, and reads in any plan which inputs there are.
 */
export async function planHere(name: string, storage: Storage, held: readonly string[]): Promise<string> {
  if (name === WASM || name === INTERPRETER) return WASM
  const software = await isPretended(WEBGPU)
  if (name === 'auto' && software && held.includes(WASM)) return WASM
  return (storage === 'f16' ? halfPlanFor(WEBGPU) : undefined) ?? planFor({ name: WEBGPU, software })
}

/** A place where nets can run, or why it is none. */
export interface Candidate {
  readonly name: string
  /** `software`: a CPU pretends to be a GPU. */
  readonly kind: 'hardware' | 'software' | 'cpu'
  readonly available: boolean
  /** The adapter, or what is missing and what to do. */
  readonly description: string
  readonly features?: readonly string[]
  readonly limits?: Readonly<Record<string, number>>
  /** Complaints of drivers and their loaders during the probe. */
  readonly complaints?: readonly string[]
}

interface Found {
  readonly candidate: Candidate
  readonly adapter?: GPUAdapter
}

const SHOWN_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const

/** Dawn rounds the times of kernels to 65 microseconds, so that pages cannot spy on each other; most take less. */
const EXACT_TIMES = 'disable-dawn-features=timestamp_quantization'
/** The flags for hardware. On Linux the driver is Vulkan's: asked for OpenGL too, which never has what compute needs, its libraries complain. */
const HARDWARE_FLAGS = [...(process.platform === 'linux' ? ['backend=vulkan'] : []), EXACT_TIMES]

/** Adapters and devices die with the GPU object that made them, so it is held for as long as the process lives. */
const held: GPU[] = []

/** Whether a device name means, on this machine, a GPU that a CPU emulates. */
export async function isPretended(name: unknown): Promise<boolean> {
  return name === WEBGPU && (await (waiting ??= hardware())).adapter === undefined
}

/** The adapter that was looked for before there was something to run on it. */
let waiting: Promise<Found> | undefined

/** An adapter is used up by the device that it gives. */
function takeHardware(): Promise<Found> {
  const found = waiting ?? hardware()
  waiting = undefined
  return found
}

/** Opens a device for `work` and closes it again. Says on standard error what `auto` took, if it is not a real GPU. */
export async function withDevice<T>(options: DeviceOptions, screen: Screen, work: (device: Device) => Promise<T>): Promise<T> {
  const device = await openDevice(options, screen)
  try {
    return await work(device)
  } finally {
    device.close()
  }
}

async function openDevice({ device: name, threads, wide, plans }: DeviceOptions, screen: Screen): Promise<Device> {
  const cpu = (): Promise<Device> => wasm({ ...(threads !== undefined && { threads }), ...(wide !== undefined && { wide }) })
  if (name === WASM) return cpu()
  if (name === INTERPRETER) {
    const { interpreter } = await import('../compiler/index.ts')
    return interpreter()
  }
  const real = await takeHardware()
  if (real.adapter) return webgpu({ adapter: real.adapter })
  if (name === 'auto' && plans.includes(WASM)) return cpu()
  if (findPackage(WEBGPU_PACKAGE) === undefined)
    throw new InputError(`${howToInstall(WEBGPU_PACKAGE)}${plans.includes(WASM) ? '; --device wasm runs on the CPU' : ''}`)
  const pretended = await software()
  if (!pretended.adapter) {
    throw new DeviceError(
      `there is no WebGPU adapter here: ${real.candidate.description}; ${pretended.candidate.description}. --device wasm runs on the CPU`,
    )
  }
  if (!screen.json)
    screen.note(
      screen.noteColors.dim(
        `no graphics hardware is offered: running on ${pretended.candidate.description}, a CPU that pretends to be a GPU; --device wasm is much faster`,
      ),
    )
  return webgpu({ adapter: pretended.adapter })
}

/** `Device.identity` of the device of that name that would be taken here, if there is one. */
export async function adapterHere(name: string, threads?: number): Promise<Device['identity']> {
  if (name === WASM) {
    const device = await wasm({ ...(threads !== undefined && { threads }) })
    device.close()
    return device.identity
  }
  const adapter = (await hardware()).adapter ?? (await software()).adapter
  return adapter && identityOf(adapter)
}

export async function listDevices(): Promise<{ candidates: Candidate[]; chosen: Candidate; why: string }> {
  const real = (await hardware()).candidate
  const device = await wasm()
  const cpu: Candidate = { name: WASM, kind: 'cpu', available: true, description: device.description }
  device.close()
  const candidates: Candidate[] = [
    real,
    (await software()).candidate,
    cpu,
    { name: INTERPRETER, kind: 'cpu', available: true, description: 'float64, an equation at a time: the reference, slow' },
  ]
  if (real.available) return { candidates, chosen: real, why: 'a hardware adapter is there' }
  return {
    candidates,
    chosen: cpu,
    why: `no hardware adapter (${real.description}), and WebAssembly is faster than an adapter that a CPU pretends to be`,
  }
}

async function hardware(): Promise<Found> {
  const missing = (description: string, complaints: readonly string[] = []): Found => ({
    candidate: { name: WEBGPU, kind: 'hardware', available: false, description, ...(complaints.length > 0 && { complaints }) },
  })
  // Elsewhere the system's own drivers are used, which are quiet.
  let said: readonly string[] = []
  const noDriver = process.platform === 'linux' && !isThere('libvulkan.so.1') && 'no Vulkan driver is installed (libvulkan.so.1)'
  if (findPackage(WEBGPU_PACKAGE) === undefined) return missing(`${howToInstall(WEBGPU_PACKAGE)}${noDriver ? `; and ${noDriver}` : ''}`)
  if (noDriver) return missing(noDriver)
  if (process.platform === 'linux') {
    const probe = await (probed ??= probeAdapter(HARDWARE_FLAGS))
    said = probe.said
    // A probe that failed says nothing of the adapter: then this process asks itself.
    if (probe.adapter === null) return missing('the graphics driver offers no adapter', said)
    if (probe.adapter && isSoftware(probe.adapter)) return missing(`the only adapter is ${describe(probe.adapter)}, a CPU`, said)
  }
  const found = await ask(HARDWARE_FLAGS)
  if (typeof found === 'string') return missing(found, said)
  if (isSoftware(found)) return missing(`the only adapter is ${describe(found)}, a CPU`, said)
  return { candidate: { ...candidateOf(found, 'hardware'), ...(said.length > 0 && { complaints: said }) }, adapter: found }
}

/** Asked once a process: drivers do not come and go. */
let probed: Promise<Probed> | undefined

/** SwiftShader, as scripts/software-adapter.mjs unpacks it. */
async function software(): Promise<Found> {
  const missing = (description: string): Found => ({ candidate: { name: WEBGPU, kind: 'software', available: false, description } })
  const script = join(PACKAGE_ROOT, 'scripts', 'software-adapter.mjs')
  if (!existsSync(script)) return missing('no software adapter (it comes with the sources of fusenet)')
  try {
    const { useSoftwareAdapter, dawnFlags } = await import(pathToFileURL(script).href) as typeof import('../scripts/software-adapter.mjs')
    await useSoftwareAdapter()
    const found = await ask([...dawnFlags], true)
    return typeof found === 'string' ? missing(`no software adapter: ${found}`)
      : { candidate: candidateOf(found, 'software'), adapter: found }
  } catch (error) {
    return missing(`no software adapter: ${firstLine(error)}`)
  }
}

/** An adapter of Dawn, or why there is none. */
async function ask(flags: string[], fallback = false): Promise<GPUAdapter | string> {
  try {
    const { create } = await importPackage<{ create(flags: string[]): GPU }>(WEBGPU_PACKAGE)
    const gpu = create(flags)
    held.push(gpu)
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
      ?? (fallback ? await gpu.requestAdapter({ forceFallbackAdapter: true }) : null)
    return adapter ?? 'the graphics driver offers no adapter'
  } catch (error) {
    return firstLine(error)
  }
}

/** Whether the dynamic linker finds a library. */
function isThere(library: string): boolean {
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_LAZY)
  } catch (error) {
    // Loaded, and no addon of Node's: any other complaint is about what is missing.
    return /did not self-register/.test(String(error))
  }
  return true
}

const describe = ({ info }: { readonly info: Partial<GPUAdapterInfo> }): string =>
  [...new Set([info.vendor, info.architecture, info.device, info.description].filter(Boolean))].join(' ') || 'unnamed adapter'
const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!

const candidateOf = (adapter: GPUAdapter, kind: 'hardware' | 'software'): Candidate => ({
  name: WEBGPU,
  kind,
  available: true,
  description: describe(adapter),
  features: [...adapter.features].sort(),
  limits: Object.fromEntries(SHOWN_LIMITS.map((limit) => [limit, adapter.limits[limit]])),
})
