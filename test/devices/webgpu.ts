import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { dawnFlags, useSoftwareAdapter } from '../../scripts/software-adapter.mjs'

let shared: Promise<GPU> | undefined

/**
 * WebGPU on the CPU (Dawn on SwiftShader), the same on every machine that runs the tests. One a process, made at the first call and kept:
 * devices die with the GPU object that made them. The process does not end by itself while it is held; the test runner ends it.
 */
export function softwareGpu(): Promise<GPU> {
  return shared ??= open()
}

async function open(): Promise<GPU> {
  await useSoftwareAdapter()
  // Only now: what Dawn finds is settled by what is loaded when it is made.
  const { create, globals } = await import('webgpu')
  collectModules((globals as unknown as { readonly GPUDevice: { readonly prototype: GPUDevice } }).GPUDevice)
  return create([...dawnFlags])
}

/** So many modules are made between two collections. */
const MODULES = 64

/**
 * Dawn keeps a module, of a megabyte with all that its compiler knows of it, until its JavaScript object is collected, which is small: left to
 * themselves thousands wait for that, and half the time of a check by Tint goes to memory that is new.
 */
function collectModules({ prototype }: { readonly prototype: GPUDevice }): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (how: { type: 'minor' }) => void
  const { createShaderModule } = prototype
  let made = 0
  prototype.createShaderModule = function(descriptor) {
    if (++made % MODULES === 0) collect({ type: 'minor' })
    return createShaderModule.call(this, descriptor)
  }
}
