import { WASM } from '../../bundle/plans.ts'
import { copyOf } from '../../bundle/copy.ts'
import { layOutMemory } from './memory-layout.ts'
import { lessMemory } from '../memory-errors.ts'
import { type Device, DeviceError, type Session } from '../../bundle/device.ts'
import { BundleError } from '../../bundle/errors.ts'
import { type Bundle, modulesFor } from '../../bundle/format.ts'
import { usedBuffers } from '../../bundle/layout.ts'
import { checkOptions, flag, within } from '../../bundle/options.ts'
import { plain } from '../../bundle/plain.ts'
import { missingPlan, programsToLoad } from '../../bundle/programs.ts'
import { checkBatch } from '../loading/validate.ts'
import { WasmMemories } from './memories.ts'
import { hasRelaxed, relax } from './relax.ts'
import { type LoadedModule, WasmSession } from './session.ts'
import { isNode, startWorker, type WorkerThread } from './workers.ts'

export interface WasmOptions {
  /** The number of threads, from 1 to 16. Default: one for each core, 16 at most; 1 in a page that is not cross-origin isolated. */
  readonly threads?: number
  /**
   * Fused multiplication and addition, where the engine has relaxed SIMD: faster, by up to a half; results differ in the last places. Node 20 has it
   * behind a flag of V8, which is switched on for the whole process. Default true.
   */
  readonly relaxed?: boolean
  /**
   * Kernels with vectors of twice the width, where a bundle brings them (the option `wide` of `compile`) and this process runs them faster, to the same bits:
   * Node from 24 on, on x86-64 with AVX2. It switches V8's flag for revectorization on, for the whole process. Default true.
   */
  readonly wide?: boolean
}

export const MOST_THREADS = 16

/** The name, kind and flags (shared, with a maximum) of the module's only import. */
const MEMORY_IMPORT = [3, 101, 110, 118, 6, 109, 101, 109, 111, 114, 121, 2, 3]

/** A CPU: WebAssembly with SIMD, by threads where memory can be shared. Throws DeviceError where there is none, InputError for options that there are not. */
export async function wasm(given?: WasmOptions): Promise<Device<'f32'>> {
  const options = checkOptions(WASM, given, { threads: within(1, MOST_THREADS), relaxed: flag, wide: flag })
  if (typeof WebAssembly === 'undefined') throw new DeviceError('WebAssembly is missing here')
  return new WasmDevice(options)
}

/** Whether workers can be given this thread's memory. */
const sharesMemory = (): boolean =>
  typeof SharedArrayBuffer !== 'undefined' && (isNode || (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true)

function cores(): number {
  const { process, navigator } = globalThis as {
    process?: { getBuiltinModule?: (name: 'node:os') => { availableParallelism(): number } }
    navigator?: { hardwareConcurrency?: number }
  }
  return process?.getBuiltinModule?.('node:os').availableParallelism() ?? navigator?.hardwareConcurrency ?? 1
}

/** What Node says of the processor; a page is not told. */
function cpuModel(): string {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: 'node:os') => { cpus(): { model: string }[] } } }
  return process?.getBuiltinModule?.('node:os').cpus()[0]?.model.trim() ?? 'unknown'
}

class WasmDevice implements Device {
  readonly name = WASM
  readonly software = false
  readonly #relaxed: boolean
  readonly #mayWiden: boolean
  #isWide = false
  readonly #modules: { readonly bytes: Uint8Array; readonly module: Promise<WebAssembly.Module> }[] = []
  #threads: number
  #note = ''
  readonly #all = new Set<WorkerThread>()
  readonly #free: WorkerThread[] = []
  readonly #memories = new WasmMemories(sharesMemory())
  #closed = false

  constructor({ threads, relaxed = true, wide = true }: WasmOptions) {
    const wanted = Math.min(threads ?? cores(), MOST_THREADS)
    this.#threads = sharesMemory() ? wanted : 1
    if (wanted > 1 && this.#threads === 1) this.#note = '; more need a page that is cross-origin isolated'
    this.#relaxed = relaxed && hasRelaxed()
    this.#mayWiden = wide && relaxed
  }

  get identity(): Readonly<Record<string, string>> {
    return { cpu: cpuModel(), simd: this.#relaxed ? 'relaxed' : 'plain', threads: String(this.#threads) }
  }

  get description(): string {
    return `WebAssembly ${this.#relaxed ? 'relaxed ' : ''}SIMD${this.#isWide ? ' of twice the width' : ''}, ${this.#threads} thread${
      this.#threads === 1 ? '' : 's'
    }${this.#note}`
  }

  check(): void {
    if (this.#closed) throw new DeviceError('the device was closed')
  }

  async load(bundle: Bundle, batch: number, programs?: readonly string[]): Promise<Session> {
    this.check()
    const plan = bundle.manifest.plans[this.name]
    if (!plan) throw new DeviceError(missingPlan(this.name, Object.keys(bundle.manifest.plans)))
    checkBatch(plan, batch)
    const names = programsToLoad(plan, programs)
    const entries = modulesFor(plan, names)
    if (entries.length === 0) throw new DeviceError(`this bundle holds no module for ${names.join(', ')}`)
    const used = usedBuffers(plan, names)
    // Before anything is allocated: whether it fits at all.
    const hint = lessMemory(bundle.manifest, names)
    layOutMemory(plan, batch, used, names, this.#threads, hint)
    const wide = entries.flatMap((entry) => entry.wide ?? [])
    // Before anything is compiled: it decides how. Pages, which have no such modules, do not fetch the probe.
    if (wide.length > 0 && this.#mayWiden) this.#isWide = (await import('./wide.ts')).isWide()
    const files = [...entries.map(({ file }) => file), ...(this.#isWide ? wide : [])]
    const modules = await Promise.all(files.map((file, i) => this.#compile(bundle, file, i === 0)))
    // It may have been closed meanwhile, and nobody would end what is started now.
    this.check()
    const workers = this.#takeWorkers(this.#threads - 1)
    let memory: WebAssembly.Memory | undefined
    let isShared = false
    try {
      const layout = layOutMemory(plan, batch, used, names, 1 + workers.length)
      memory = this.#memories.take(layout.pages, hint)
      const run = await instantiate(modules, memory)
      isShared = workers.length > 0
      const attached = await Promise.allSettled(workers.map((worker, i) => worker.attach({ modules, memory: memory!, thread: i + 1 })))
      this.check()
      // A page may forbid workers; what is there does the work.
      const there = workers.filter((_, i) => attached[i]!.status === 'fulfilled')
      const refused = attached.find((a) => a.status === 'rejected')
      if (refused) {
        this.drop(workers.filter((w) => !there.includes(w)))
        this.#threads = 1 + there.length
        this.#note = `; no more workers: ${(refused.reason as Error).message}`
      }
      return new WasmSession(this, plan, batch, layout, { memory, run, workers: there })
    } catch (error) {
      if (isShared) this.drop(workers)
      else this.release(workers, memory)
      throw error instanceof DeviceError || error instanceof BundleError ? error
        : new DeviceError(`the module does not run here: ${(error as Error).message}`)
    }
  }

  /** Kept by content: a bundle that is opened again at another batch compiles nothing. */
  #compile(bundle: Bundle, file: string, isFirst: boolean): Promise<WebAssembly.Module> {
    const bytes = bundle.files.get(file)
    if (!(bytes instanceof Uint8Array)) throw new DeviceError(`${file} is not in this bundle`)
    const known = this.#modules.find((m) => isSame(m.bytes, bytes))
    if (known) return known.module
    const module = WebAssembly.compile(forMemory(this.#relaxed ? relax(bytes) : bytes) as Uint8Array<ArrayBuffer>).catch((error: Error) => {
      // Chromium and Safari spell the policy out, Firefox says CSP.
      if (/Content.Security|\bCSP\b/.test(error.message))
        throw new DeviceError(`${file} may not be compiled here: the page's Content-Security-Policy needs script-src 'wasm-unsafe-eval'`)
      throw new DeviceError(`${file} does not compile here, SIMD may be missing: ${error.message}`)
    }).then((compiled) => checkModule(compiled, file, isFirst))
    this.#modules.push({ bytes, module })
    return module
  }

  /** Takes so many workers; fewer where workers are forbidden. */
  #takeWorkers(count: number): WorkerThread[] {
    for (const dead of this.#free.filter((w) => w.failure !== undefined)) this.drop([dead])
    const taken = this.#free.splice(0, count)
    try {
      while (taken.length < count) {
        const worker = startWorker()
        this.#all.add(worker)
        taken.push(worker)
      }
    } catch (error) {
      this.#threads = 1 + taken.length
      this.#note = `; no more workers: ${(error as Error).message}`
    }
    return taken
  }

  drop(workers: readonly WorkerThread[]): void {
    for (const worker of workers) {
      worker.close()
      this.#all.delete(worker)
      const at = this.#free.indexOf(worker)
      if (at >= 0) this.#free.splice(at, 1)
    }
  }

  release(workers: readonly WorkerThread[], memory?: WebAssembly.Memory): void {
    const idle = workers.map(async (worker) => {
      await worker.idle
      if (this.#closed || worker.failure !== undefined) this.drop([worker])
      else this.#free.push(worker)
    })
    // Whoever still ran in it would run in another net's.
    void Promise.all(idle).then(() => {
      if (memory && !this.#closed && workers.every((w) => w.failure === undefined)) this.#memories.give(memory)
    })
  }

  close(): void {
    this.#closed = true
    for (const worker of this.#all) worker.close()
    this.#all.clear()
    this.#free.length = 0
    this.#memories.close()
  }
}

/**
 * Instantiates modules in their order: the first has the table of kernels and what runs them, the others fill the table up. Nothing stands behind
 * the objects that they import from: what a module asks for and is not given here it does not find. The text of workers has the same.
 */
async function instantiate(modules: readonly WebAssembly.Module[], memory: WebAssembly.Memory): Promise<LoadedModule['run']> {
  const env = { __proto__: null, memory } as unknown as WebAssembly.ModuleImports
  let first: WebAssembly.Exports | undefined
  for (const module of modules) {
    const { exports } = await WebAssembly.instantiate(module, { __proto__: null, env } as unknown as WebAssembly.Imports)
    first ??= exports
    env['kernels'] = first['kernels']!
  }
  return first!['run'] as LoadedModule['run']
}

/** The first module gets a memory and gives two functions; others get its table, too, and nothing else: refused before any of their code runs. */
function checkModule(module: WebAssembly.Module, file: string, isFirst: boolean): WebAssembly.Module {
  const isGiven = ({ module: from, name, kind }: WebAssembly.ModuleImportDescriptor): boolean =>
    from === 'env' && ((name === 'memory' && kind === 'memory') || (!isFirst && name === 'kernels' && kind === 'table'))
  const strange = WebAssembly.Module.imports(module).filter((i) => !isGiven(i))
  const exported = WebAssembly.Module.exports(module)
  const missing = isFirst ? ['run', 'work'].filter((name) => !exported.some((e) => e.name === name && e.kind === 'function')) : []
  if (strange.length)
    throw new BundleError([{
      path: file,
      message: `imports ${
        strange.map((i) => `${plain(i.module, 40)}.${plain(i.name, 40)}`).slice(0, 3).join(', ')
      }: a module gets env.memory${isFirst ? '' : ', env.kernels'} and nothing else`,
    }])
  if (missing.length) throw new BundleError([{ path: file, message: `exports no function ${missing.join(', ')}` }])
  return module
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]))
}

/** The module as it imports what memory there is here: one flag says whether it is shared. */
function forMemory(bytes: Uint8Array): Uint8Array {
  if (sharesMemory()) return bytes
  const at = bytes.findIndex((_, i) => MEMORY_IMPORT.every((byte, k) => bytes[i + k] === byte))
  if (at < 0) return bytes
  const patched = copyOf(bytes)
  patched[at + MEMORY_IMPORT.length - 1] = 1
  return patched
}
