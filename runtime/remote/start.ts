import { DeviceError } from '../../bundle/device.ts'
import type { Port } from './channel.ts'
import { GREETING, HOLDS, lockManager } from './messages.ts'

/** The part of a page's Worker that is used here. */
export interface WorkerLike {
  postMessage(message: unknown, transfer: never[]): void
  terminate(): unknown
  addEventListener?(type: 'error' | 'messageerror', hear: (event: never) => void): void
  removeEventListener?(type: 'error' | 'messageerror', hear: (event: never) => void): void
}

/** `true`: one for this net alone. A function makes one, which is the net's own; a worker that is handed in may have several nets, and stays. */
export type WorkerOption = boolean | WorkerLike | (() => WorkerLike)

/** A worker that answered, and the port of one net in it. */
export interface Started {
  readonly port: Port
  /** Rejects when the worker ends by itself or by others, where that is known: in Node. */
  readonly lost: Promise<never>
  /** Ends it, if it is the net's own. */
  end(): void
}

/** The time in milliseconds in which a worker with a script of the user must answer. */
const PATIENCE_MS = 20_000

/** Throws DeviceError where none can be started: why, and what to write. */
export async function startWorker(given: WorkerOption): Promise<Started> {
  if (given !== true) {
    const own = typeof given === 'function'
    try {
      return await greet(own ? given() : given as WorkerLike, own, PATIENCE_MS)
    } catch (error) {
      throw new DeviceError(`the worker that was handed in cannot be used: ${(error as Error).message}`)
    }
  }
  const failures: string[] = []
  for (const make of [besideThis, ofText]) {
    try {
      const worker = await make()
      if (worker) return await greet(worker, true)
    } catch (error) {
      failures.push((error as Error).message)
    }
  }
  throw new DeviceError(
    `no worker could be started: ${
      failures.join('; ') || 'there are none here'
    }. Where the page's policy or its bundler is the reason, make it yourself: `
      + "worker: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }), with import 'fusenet/worker' in that file",
  )
}

const nodeWorkers = (): { readonly Worker: new(url: URL) => NodeWorker } | undefined => {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } }
  return process?.getBuiltinModule?.('node:worker_threads') as ReturnType<typeof nodeWorkers>
}

interface NodeWorker extends WorkerLike {
  on(event: 'error' | 'exit', hear: (what: never) => void): void
  off(event: 'error' | 'exit', hear: (what: never) => void): void
}

/** The script that lies beside this one; bundlers know it by this very expression. */
function besideThis(): WorkerLike | undefined {
  const node = nodeWorkers()
  if (node) return new node.Worker(new URL('../worker.js', import.meta.url))
  if (typeof Worker === 'undefined') return undefined
  return new Worker(new URL('../worker.js', import.meta.url), { type: 'module' }) as unknown as WorkerLike
}

/** The same as a text, where a bundler left the script behind. */
async function ofText(): Promise<WorkerLike | undefined> {
  const { textOfWorker } = await import('./worker-text.ts')
  const text = await textOfWorker()
  if (!text || typeof Worker === 'undefined') return undefined
  const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
  const worker = new Worker(url) as unknown as WorkerLike
  // Not before it was read.
  setTimeout(() => URL.revokeObjectURL(url), PATIENCE_MS)
  return worker
}

/** Resolves when the worker answers. Once it did, errors that nobody caught in it are its owner's: in a page it goes on, in Node it ends by them. */
function greet(worker: WorkerLike, own: boolean, patience?: number): Promise<Started> {
  const { port1, port2 } = new MessageChannel()
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let lose = (why: Error): void => fail(why.message)
    const hear = (event: { readonly message?: string; preventDefault?(): void }): void => {
      // Before it answered: its script is not there, no script, or forbidden.
      event.preventDefault?.()
      lose(
        new DeviceError(
          event.message || "its script cannot be loaded, or the page's policy forbids it (Content-Security-Policy: worker-src)",
        ),
      )
    }
    const exit = (code: number): void => lose(new DeviceError(`it ended (exit code ${code})`))
    const inNode = typeof (worker as NodeWorker).on === 'function'
    /*
     * A worker that is terminated raises no event in a page, but lets go of its locks. Who else has the worker may do that. One that nobody else
     * has goes without: browsers keep no page with locks to go back to.
     */
    const locks = inNode || patience === undefined ? undefined : lockManager()
    const lock = `fusenet worker ${Date.now()} ${Math.random()}`
    const ended = new AbortController()
    const end = (): void => {
      ended.abort()
      worker.removeEventListener?.('error', hear as (event: never) => void)
      if (inNode) {
        for (const [event, what] of [['error', hear], ['exit', exit]] as const)
          (worker as NodeWorker).off(event, what as (what: never) => void)
      }
      // It may still say why it ends.
      if (inNode && own) (worker as NodeWorker).on('error', () => {})
      if (own) void worker.terminate()
    }
    const fail = (why: string): void => {
      clearTimeout(timer)
      port1.close()
      end()
      reject(new Error(why))
    }
    if (patience !== undefined)
      timer = setTimeout(() => fail(`it did not answer for ${patience / 1000} seconds: its script is to import 'fusenet/worker'`), patience)
    if (inNode) {
      for (const [event, what] of [['error', hear], ['exit', exit]] as const)
        (worker as NodeWorker).on(event, what as (what: never) => void)
    } else worker.addEventListener?.('error', hear as (event: never) => void)
    port1.onmessage = ({ data }) => {
      clearTimeout(timer)
      port1.onmessage = null
      worker.removeEventListener?.('error', hear as (event: never) => void)
      const lost = new Promise<never>((_, gone) => {
        lose = (why) => gone(new DeviceError(`the worker of this net is gone: ${why.message}`))
      })
      lost.catch(() => {})
      // The worker has it for as long as it lives.
      if (data === HOLDS)
        locks!.request(lock, { signal: ended.signal }, () => lose(new Error('it was terminated'))).catch(() => {})
      resolve({ port: port1 as unknown as Port, lost, end })
    }
    worker.postMessage({ [GREETING]: port2, ...(locks && { lock }) }, [port2] as never[])
  })
}
