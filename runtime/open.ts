import { type Device, DeviceError } from './device.ts'
import { InputError } from './errors.ts'
import { bundleFrom } from './files.ts'
import { type Bundle, HALF_PLAN, HALF_PROGRAMS, type Manifest, planIn, type Storage, type TensorData } from './format.ts'
import { wasm } from './load-wasm.ts'
import { Net } from './net.ts'
import { howToTrainGlobally, programFor } from './programs.ts'
import { checkBundle } from './validate.ts'
import { isSoftware, webgpu } from './webgpu.ts'

export interface OpenOptions {
  /**
   * `auto` (the default): WebGPU where this page has graphics hardware for it, else `wasm`, the CPU. Any other device is handed
   * in, and stays open.
   */
  readonly device?: 'auto' | 'webgpu' | 'wasm' | Device
  /** Samples at a time. Default: what the file trains with, else 1. */
  readonly batch?: number
  /** Of initial parameters, dropout and shuffling. Default: the file's. */
  readonly seed?: number
  /** Instead of what the bundle brings; what is absent in them starts by its initializer. */
  readonly weights?: ReadonlyMap<string, TensorData>
  /** Only these will run, so that what training alone needs is neither compiled nor allocated: `['infer']`. */
  readonly programs?: readonly string[]
  /**
   * `f16`: infers and evaluates with values between layers and weights stored as f16; throws where the device has no
   * `shader-f16` or the bundle no such plan (compile with `storage: 'f16'`). `auto`: so where both are there and `programs`
   * names nothing else. Default `f32`.
   */
  readonly storage?: Storage | 'auto'
}

/**
 * Opens a bundle, or the folder of one by its URL. Throws BundleError where it contradicts itself, InputError for what is
 * handed in, DeviceError for what the device cannot do.
 */
export async function open(source: Bundle | string | URL, options: OpenOptions = {}): Promise<Net> {
  const given = options.device ?? 'auto'
  const adapter = given === 'auto' ? await hardwareAdapter() : given === 'webgpu' ? await anyAdapter() : undefined
  const targetOf = (plans: readonly string[]): string =>
    typeof given !== 'string' ? given.name
    : given !== 'auto' ? given
    : adapter && plans.includes('webgpu') ? 'webgpu'
    : plans.includes('wasm') ? 'wasm' : 'webgpu'
  const storageOf = (plans: readonly string[]): Storage => chooseStorage(options, plans, targetOf(plans), typeof given === 'string' ? adapter?.features.has('shader-f16') : given.half)
  const { bundle: stored, notes } = await resolve(source, (plans) => {
    const software = typeof given === 'string' ? adapter !== undefined && isSoftware(adapter) : given.software
    const wanted = storageOf(plans) === 'f16' ? HALF_PLAN : planIn(plans, { name: targetOf(plans), software })
    return plans.filter((plan) => plan === wanted)
  })
  const bundle = options.weights ? { ...stored, weights: options.weights } : stored
  const { manifest } = bundle
  const batch = options.batch ?? manifest.train?.batch ?? 1
  if (!Number.isSafeInteger(batch) || batch < 1 || batch >= 2 ** 31) throw new InputError(`batch ${batch}: a positive integer is wanted`)
  const seed = options.seed ?? manifest.train?.seed ?? 1
  if (!Number.isSafeInteger(seed)) throw new InputError(`seed ${seed}: an integer is wanted`)
  const known = new Set(manifest.parameters.map((p) => p.name))
  const strange = [...(bundle.weights?.keys() ?? [])].filter((name) => !known.has(name))
  if (strange.length) throw new InputError(`these weights are not of this net: ${strange.join(', ')} (it has ${[...known].join(', ') || 'no parameters'})`)
  const ownsDevice = typeof given === 'string'
  const device = ownsDevice ? await openDevice(targetOf(Object.keys(manifest.plans)), adapter) : given
  try {
    const storage = storageOf(Object.keys(manifest.plans))
    const programs = options.programs?.map((name) => programFor(manifest, name))
    checkGlobal(manifest, device, programs)
    const session = await device.load(bundle, batch, programs, storage)
    const net = new Net({ bundle, device, ownsDevice, session, storage, programs, seed, notes })
    await net.reset()
    return net
  } catch (error) {
    if (ownsDevice) device.close()
    throw error
  }
}

/** Training with stored statistics is in a bundle only where it was asked for. */
function checkGlobal(manifest: Manifest, device: Device, programs: readonly string[] = []): void {
  const plan = manifest.plans[planIn(Object.keys(manifest.plans), device)]
  const missing = plan && programs.find((name) => name.endsWith('/global') && !plan.programs[name])
  if (missing !== undefined) throw new InputError(`this bundle has no program ${missing}: ${howToTrainGlobally(manifest, missing)}`)
}

function chooseStorage({ storage = 'f32', programs }: OpenOptions, plans: readonly string[], target: string, half = false): Storage {
  if (storage === 'f32') return 'f32'
  const isThere = plans.includes(HALF_PLAN)
  if (storage === 'auto') return half && isThere && target === 'webgpu' && programs?.every((name) => HALF_PROGRAMS.includes(name)) ? 'f16' : 'f32'
  if (target !== 'webgpu') throw new DeviceError(`f16 storage is for WebGPU, this net would run on ${target}: leave storage out`)
  if (!half) throw new DeviceError("this adapter has no shader-f16, so it cannot store f16: leave storage out (or 'auto', which takes f16 where it can)")
  if (!isThere) throw new InputError("this bundle holds no plan with f16 storage: compile it with storage: 'f16' (fusenet compile --storage f16)")
  return 'f16'
}

const anyAdapter = async (): Promise<GPUAdapter | undefined> => await globalThis.navigator?.gpu?.requestAdapter().catch(() => null) ?? undefined

/** Of this page, if it is more than a CPU that pretends to be one. */
async function hardwareAdapter(): Promise<GPUAdapter | undefined> {
  const adapter = await anyAdapter()
  return adapter && !isSoftware(adapter) ? adapter : undefined
}

async function openDevice(name: string, adapter: GPUAdapter | undefined): Promise<Device> {
  if (name === 'webgpu') return webgpu(adapter && { adapter })
  if (name !== 'wasm') throw new DeviceError(`there is no device ${name} here: auto, webgpu, wasm, or a device that is handed in`)
  return wasm()
}

type Wanted = (plans: readonly string[]) => readonly string[]

async function resolve(source: Bundle | string | URL, wanted: Wanted): Promise<{ bundle: Bundle; notes: readonly string[] }> {
  if (typeof source !== 'string' && !(source instanceof URL)) {
    const targets = wanted(Object.keys(source.manifest.plans ?? {}))
    return { bundle: source, notes: await checkBundle(source, targets.length > 0 ? { targets } : {}) }
  }
  const text = String(source)
  const base = new URL(/\.json$|\/$/.test(text) ? text : `${text}/`, globalThis.document?.baseURI)
  return bundleFrom(async (name) => {
    const response = await fetch(new URL(name.split('/').map(encodeURIComponent).join('/'), base))
    if (response.status === 404) return undefined
    if (!response.ok) throw new InputError(`${response.url}: ${response.status} ${response.statusText}`)
    return new Uint8Array(await response.arrayBuffer())
  }, wanted)
}
