import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { softwareAdapterEnvironment } from '../../scripts/software-adapter.mjs'
import { type Checked, type Module, validateModules } from './validate-modules.ts'
import { softwareGpu } from './webgpu.ts'

/** What naga says, the WGSL compiler of Firefox and Deno: like `validateWithTint`. All modules go to one process of Deno. */
export async function validateWithNaga(modules: readonly Module[]): Promise<Checked[]> {
  const environment = {
    ...process.env,
    ...await softwareAdapterEnvironment(),
    // Where Deno keeps what it compiled; never in the home folder of whoever runs the tests.
    DENO_DIR: fileURLToPath(new URL('../../node_modules/.cache/fusenet/deno/', import.meta.url)),
    DENO_NO_UPDATE_CHECK: '1',
    NO_COLOR: '1',
  }
  const script = fileURLToPath(new URL('naga-process.ts', import.meta.url))
  const argv = ['run', '--no-config', '--no-lock', '--cached-only', '--unstable-webgpu', script]
  const { failed, out, err } = await new Promise<{ failed: boolean; out: string; err: string }>((resolve) => {
    const child = execFile(
      denoExecutable(),
      argv,
      { env: environment, maxBuffer: 1 << 28 },
      (error, stdout, stderr) => resolve({ failed: error !== null, out: stdout, err: stderr }),
    )
    // A process that died early closes its end; its exit status and standard error tell more than EPIPE.
    child.stdin!.on('error', () => {})
    child.stdin!.end(JSON.stringify(modules))
  })
  const checked: Checked[] = out.split('\n').filter(Boolean).map((line) => JSON.parse(line))
  if (failed || checked.length !== modules.length) {
    throw new Error(`Deno ended at module ${modules[checked.length]?.name ?? '(after the last)'}: ${err}`)
  }
  return checked
}

/** What Tint says, the WGSL compiler of Chromium: as modules and as compute pipelines, with the limits that every WebGPU grants. */
export async function validateWithTint(modules: readonly Module[]): Promise<Checked[]> {
  const adapter = await (await softwareGpu()).requestAdapter()
  const requiredFeatures = (['subgroups'] as const).filter((feature) => adapter!.features.has(feature))
  const device = await adapter!.requestDevice({ requiredFeatures })
  try {
    const checked: Checked[] = []
    for await (const module of validateModules(device, modules)) checked.push(module)
    return checked
  } finally {
    device.destroy()
  }
}

/** Deno itself. The `deno` command of its package is a script that looks for it too; that one may not run where install scripts do not. */
function denoExecutable(): string {
  const flavour = process.platform === 'linux' ? '-glibc' : ''
  const name = `@deno/${process.platform}-${process.arch}${flavour}`
  const fromDeno = createRequire(createRequire(import.meta.url).resolve('deno/package.json'))
  return join(fromDeno.resolve(`${name}/package.json`), '..', process.platform === 'win32' ? 'deno.exe' : 'deno')
}
