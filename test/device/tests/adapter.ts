/**
 * In place of scripts/software-adapter.mjs where tests are bundled: the adapter is what this machine has. run.sh has told the process where
 * drivers lie before it started.
 */
export const dawnFlags = ['backend=vulkan', 'disable-dawn-features=timestamp_quantization']
export const useSoftwareAdapter = (): Promise<void> => Promise.resolve()
export const softwareAdapterEnvironment = (): Promise<Record<string, string>> => Promise.resolve({})
export const chromiumRunsHere = false
