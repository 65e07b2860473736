import { askLessOften } from '../../../scripts/software-adapter.mjs'

/**
 * In place of scripts/software-adapter.mjs where tests are bundled: the adapter is what this machine has. run.sh has told the process where
 * drivers lie before it started.
 */
export const dawnFlags = ['backend=vulkan', 'disable-dawn-features=timestamp_quantization']
/** A driver that computes on the CPU needs every core; waiting for a real one, the package may ask as often as it likes. */
export async function useSoftwareAdapter(): Promise<void> {
  if (/swiftshader|lvp/.test(process.env['VK_DRIVER_FILES'] ?? '')) askLessOften()
  await Promise.resolve()
}
export const softwareAdapterEnvironment = (): Promise<Record<string, string>> => Promise.resolve({})
export const chromiumRunsHere = false
