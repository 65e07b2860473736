import { type Device, DeviceError } from './device.ts'
import { InputError } from './errors.ts'
import { bundleFrom } from './files.ts'
import type { Bundle, TensorData } from './format.ts'
import { Net } from './net.ts'
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
}

/**
 * Opens a bundle, or the folder of one by its URL. Throws BundleError where it contradicts itself, InputError for what is
 * handed in, DeviceError for what the device cannot do.
 */
export async function open(source: Bundle | string | URL, options: OpenOptions = {}): Promise<Net> {
  const given = options.device ?? 'auto'
  const choice = typeof given === 'string' ? await choose(given) : undefined
  const { bundle: stored, notes } = await resolve(source, choice?.target ?? (given as Device).name)
  const bundle = options.weights ? { ...stored, weights: options.weights } : stored
  const { manifest } = bundle
  const batch = options.batch ?? manifest.train?.batch ?? 1
  if (!Number.isSafeInteger(batch) || batch < 1 || batch >= 2 ** 31) throw new InputError(`batch ${batch}: a positive integer is wanted`)
  const seed = options.seed ?? manifest.train?.seed ?? 1
  if (!Number.isSafeInteger(seed)) throw new InputError(`seed ${seed}: an integer is wanted`)
  const known = new Set(manifest.parameters.map((p) => p.name))
  const strange = [...(bundle.weights?.keys() ?? [])].filter((name) => !known.has(name))
  if (strange.length) throw new InputError(`these weights are not of this net: ${strange.join(', ')} (it has ${[...known].join(', ') || 'no parameters'})`)
  const device = choice ? await choice.open() : given as Device
  const ownsDevice = choice !== undefined
  try {
    const session = await device.load(bundle, batch, options.programs)
    const net = new Net({ bundle, device, ownsDevice, session, programs: options.programs, seed, notes })
    await net.reset()
    return net
  } catch (error) {
    if (ownsDevice) device.close()
    throw error
  }
}

interface Choice {
  readonly target: 'webgpu' | 'wasm'
  open(): Promise<Device>
}

async function choose(name: string): Promise<Choice> {
  // What a page does not use it need not load.
  const cpu: Choice = { target: 'wasm', open: async () => (await import('./wasm.ts')).wasm() }
  if (name === 'wasm') return cpu
  if (name === 'webgpu') return { target: 'webgpu', open: () => webgpu() }
  if (name !== 'auto') throw new DeviceError(`there is no device ${name} here: auto, webgpu, wasm, or a device that is handed in`)
  const adapter = await globalThis.navigator?.gpu?.requestAdapter().catch(() => null)
  return adapter && !isSoftware(adapter) ? { target: 'webgpu', open: () => webgpu({ adapter }) } : cpu
}

async function resolve(source: Bundle | string | URL, target: string): Promise<{ bundle: Bundle; notes: readonly string[] }> {
  if (typeof source !== 'string' && !(source instanceof URL)) return { bundle: source, notes: await checkBundle(source) }
  const text = String(source)
  const base = new URL(/\.json$|\/$/.test(text) ? text : `${text}/`, globalThis.document?.baseURI)
  return bundleFrom(async (name) => {
    const response = await fetch(new URL(name.split('/').map(encodeURIComponent).join('/'), base))
    if (response.status === 404) return undefined
    if (!response.ok) throw new InputError(`${response.url}: ${response.status} ${response.statusText}`)
    return new Uint8Array(await response.arrayBuffer())
  }, [target])
}
