import { afterAll } from 'vitest'
import { dawnFlags, useSoftwareAdapter } from '../../scripts/software-adapter.mjs'

let shared: Promise<GPU> | undefined

/**
 * WebGPU on the CPU (Dawn on SwiftShader), the same on every machine that runs the tests. One a test file, made at the
 * first call. Devices die with the GPU object that made them, so it is kept until the file is done; and then let go,
 * because a process does not end while it is held.
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

afterAll(() => {
  shared = undefined
})
