import { spawnSync } from 'node:child_process'
import { environment, installGpu } from './adapter.mjs'

/** fusenet as it is shipped: dist/. */
export const dist = new URL('../../dist/', import.meta.url)

/** A device by name, to be handed to `open`: `wasm` with so many threads; `webgpu` on the software adapter, or on `any`. */
export async function openDevice(name, { threads = 1, adapter = 'software' } = {}) {
  if (name === 'interpreter') return (await import(new URL('compiler/index.js', dist))).interpreter()
  const runtime = await import(new URL('runtime/index.js', dist))
  if (name === 'wasm') return runtime.wasm({ threads })
  if (name !== 'webgpu') throw new Error(`there is no device ${name}: wasm, webgpu, interpreter`)
  if (adapter === 'software') await inItsEnvironment()
  else process.env.BENCH_ADAPTER = 'any'
  installGpu()
  return runtime.webgpu()
}

/** Where the driver lies is read when a process starts: this one starts over, once. */
async function inItsEnvironment() {
  const wanted = await environment()
  if (Object.entries(wanted).every(([name, value]) => process.env[name] === value)) return
  const { status } = spawnSync(process.execPath, process.argv.slice(1), { env: { ...process.env, ...wanted }, stdio: 'inherit' })
  process.exit(status ?? 1)
}
