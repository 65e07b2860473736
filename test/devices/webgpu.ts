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
  const { create } = await import('webgpu')
  return create([...dawnFlags])
}
