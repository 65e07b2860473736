/** The one adapter that everybody computes on. */
import { createRequire } from 'node:module'

/** What the environment of a process must hold before it starts, so that WebGPU finds the software adapter in it. */
export async function environment() {
  // Whoever names a Vulkan driver gets that one.
  if (process.env.VK_ICD_FILENAMES ?? process.env.VK_DRIVER_FILES) return {}
  const { softwareAdapterEnvironment } = await import('../../scripts/software-adapter.mjs')
  return softwareAdapterEnvironment()
}

/** Times of kernels are exact: rounded to 65 microseconds, as for pages, they say nothing of most. */
const ANY = ['backend=vulkan', 'disable-dawn-features=timestamp_quantization']

/** Puts WebGPU where a page would find it: `navigator.gpu`. Gives the adapter's description. */
export function installGpu() {
  const { create, globals } = createRequire(import.meta.url)('webgpu')
  Object.assign(globalThis, globals)
  const flags = process.env.BENCH_ADAPTER === 'any' ? ANY : ['backend=vulkan']
  const gpu = create(process.platform === 'linux' ? flags : [])
  // Node 20 has no navigator, later ones have one that cannot be assigned to.
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true, writable: true })
  return gpu
}
