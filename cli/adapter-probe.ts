import { execFile } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { findPackage } from '../runtime/loading/node/package.ts'
import { PACKAGE_ROOT } from './package.ts'

/** The package that brings WebGPU to Node. */
export const WEBGPU_PACKAGE = 'webgpu'

/** The answer of this machine's WebGPU to a request for an adapter. */
export interface Probed {
  /** The adapter, if there is one worth requesting in this process. Undefined where the probe itself failed. */
  readonly adapter?: { readonly info: Partial<GPUAdapterInfo> } | null
  /** Lines that drivers and loaders wrote to standard error during the probe. */
  readonly said: readonly string[]
}

/** Loading drivers takes a second where they are many. */
const PATIENCE_MS = 20_000

/** Asks as `ask` of devices.ts does, and prints what `Probed` wants to know. */
const question = (flags: readonly string[]): string => `
  import { create } from ${JSON.stringify(pathToFileURL(findPackage(WEBGPU_PACKAGE)!).href)}
  const gpu = create(${JSON.stringify(flags)})
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter?.info ?? {}
  process.stdout.write(JSON.stringify(adapter ? { info: { vendor, architecture, device, description, isFallbackAdapter } } : null), () => process.exit(0))`

/**
 * Asks for an adapter in a process of its own. Drivers and their loaders complain on standard error, by native code that nothing
 * in this process could hold back: about a session that has no XDG_RUNTIME_DIR, drivers that cannot be loaded, a machine without any.
 * Where there is no adapter, this process then has no need to load them.
 */
export function probeAdapter(flags: readonly string[], script = question(flags)): Promise<Probed> {
  return new Promise((probed) => {
    execFile(process.execPath, ['--input-type=module', '-e', script], {
      cwd: PACKAGE_ROOT,
      timeout: PATIENCE_MS,
      env: { ...process.env, NODE_OPTIONS: '' },
    }, (error, stdout, stderr) => {
      const said = stderr.split('\n').map((line) => line.trimEnd()).filter((line) => line !== '')
      try {
        probed(error ? { said } : { adapter: JSON.parse(stdout) as Probed['adapter'] ?? null, said })
      } catch {
        probed({ said })
      }
    })
  })
}
