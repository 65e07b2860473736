import type { Device } from '../../bundle/device.ts'
import type { WasmOptions } from './device.ts'

/**
 * A CPU: WebAssembly with SIMD, by threads where memory can be shared. Throws DeviceError where there is none. What it is made of is
 * loaded now: a page that runs on WebGPU alone never fetches it.
 */
export async function wasm(options?: WasmOptions): Promise<Device<'f32'>> {
  const room = await import('./device.ts')
  return room.wasm(options)
}
