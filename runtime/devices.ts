import { type Device, DeviceError } from '../bundle/device.ts'
import { WASM, WEBGPU } from '../bundle/plans.ts'
import { wasm } from './wasm/lazy.ts'
import { isSoftware, webgpu } from './webgpu/device.ts'

/** A device on which a net could run, found before it is opened. */
export interface Place {
  readonly name: string
  /** Whether closing the net closes the device. */
  readonly owned: boolean
  /** Throws DeviceError. */
  open(): Promise<Device>
}

export interface Places {
  /** The best first. */
  readonly places: readonly Place[]
  /** Why none of them is graphics hardware. */
  readonly notes: readonly string[]
}

interface DeviceKind {
  readonly name: string
  /** Throws DeviceError where there is none here. */
  find(): Promise<Place>
}

/** The table of devices that `open` makes by their names. A new device is a folder beside this file, and a row; `bundle/plans.ts` has its plans. */
const DEVICES: readonly DeviceKind[] = [
  { name: WEBGPU, find: async () => onAdapter(await anyAdapter(webgpuHere())) },
  { name: WASM, find: async () => CPU },
]

/** The values that the option `device` of `open` accepts. */
export const DEVICE_CHOICES: readonly string[] = ['auto', ...DEVICES.map(({ name }) => name)]

/** The devices that `open` may use, found before any file is fetched. Throws DeviceError where the device asked for is not here. */
export async function findPlaces(given: string | Device): Promise<Places> {
  if (typeof given !== 'string') return { places: [{ name: given.name, owned: false, open: async () => given }], notes: [] }
  const named = DEVICES.find(({ name }) => name === given)
  if (named) return { places: [await named.find()], notes: [] }
  if (given !== 'auto')
    throw new DeviceError(`there is no device ${String(given)} here: ${DEVICE_CHOICES.join(', ')}, or a device that is handed in`)
  const { gpu } = globalThis.navigator ?? {}
  // Node has none unless somebody brings it; of a page one expects it.
  if (!gpu)
    return {
      places: [CPU],
      notes: isPage()
        ? [
          `WebGPU is missing here (${
            globalThis.isSecureContext === false ? 'it needs https or localhost' : 'this browser has none, or has it switched off'
          }): running on the CPU`,
        ] : [],
    }
  try {
    const adapter = await anyAdapter(gpu)
    if (!isSoftware(adapter)) return { places: [onAdapter(adapter), CPU], notes: [] }
    return {
      places: [CPU],
      notes: ['the only adapter of WebGPU here is a CPU that pretends to be a GPU: running on WebAssembly, which is faster'],
    }
  } catch (error) {
    return { places: [CPU], notes: [`${(error as Error).message}: running on the CPU`] }
  }
}

/** A place for a bundle that the CPU cannot run: any adapter is better than none. */
export const lastResort = async (): Promise<Place> => onAdapter(await anyAdapter(webgpuHere()))

const CPU: Place = { name: WASM, owned: true, open: () => wasm() }

const onAdapter = (adapter: GPUAdapter): Place => ({ name: WEBGPU, owned: true, open: () => webgpu({ adapter }) })

const isPage = (): boolean =>
  globalThis.document !== undefined || (globalThis as { WorkerGlobalScope?: unknown }).WorkerGlobalScope !== undefined

function webgpuHere(): GPU {
  const { gpu } = globalThis.navigator ?? {}
  if (gpu) return gpu
  throw new DeviceError(
    'WebGPU is missing. A page needs a recent browser and https or localhost; Node the package `webgpu`: webgpu({ gpu: create([]) })',
  )
}

async function anyAdapter(gpu: GPU): Promise<GPUAdapter> {
  let adapter: GPUAdapter | null
  try {
    adapter = await gpu.requestAdapter()
  } catch (error) {
    throw new DeviceError(`WebGPU gives no adapter: ${(error as Error)?.message ?? String(error)}`)
  }
  if (!adapter) throw new DeviceError('WebGPU has no adapter: the graphics driver is missing or blocked')
  return adapter
}
