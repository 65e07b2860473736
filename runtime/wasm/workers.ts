import { CONTROL, RECORD } from '../../bundle/wasm-abi.ts'

/** What a worker is told once: everything else goes through memory. */
interface Task {
  /** The modules in their order: the first has the table of kernels, the others fill it up. */
  readonly modules: readonly WebAssembly.Module[]
  readonly memory: WebAssembly.Memory
  readonly thread: number
}

/** A thread that runs `work` of one net after another. */
export interface WorkerThread {
  /** Resolves when the modules are instantiated; from then on it follows the memory's control words. */
  attach(task: Task): Promise<void>
  /** Resolves when `work` has returned. */
  readonly idle: Promise<void>
  /** Set when it died, and why. */
  readonly failure: string | undefined
  close(): void
}

/**
 * The same text in Node and in pages: `post` sends a message. Where a kernel traps, the other threads would wait for this one at the
 * end of the dispatch: which one it was is noted (from 1 on), and they are let through to the end of the program until this worker
 * is ended.
 */
const BODY = `async ({ modules, memory, thread }) => {
  const words = new Int32Array(memory.buffer)
  const at = (address) => address >>> 2
  let ready = false
  try {
    const env = { __proto__: null, memory }
    let first
    for (const module of modules) {
      const { exports } = await WebAssembly.instantiate(module, { __proto__: null, env })
      first ??= exports
      env.kernels = first.kernels
    }
    post('ready')
    ready = true
    first.work(thread)
    post('idle')
  } catch (error) {
    post({ failure: error.message })
    if (!ready) return
    const block = at(words[at(${CONTROL.program})])
    let i = 1
    while (i < words[block] && words[at(words[block + i]) + ${RECORD.busy / 4}] === 0) i++
    Atomics.compareExchange(words, at(${CONTROL.failed}), 0, i)
    while (!Atomics.load(words, at(${CONTROL.stop}))) {
      Atomics.add(words, at(${CONTROL.phase}), 1)
      Atomics.notify(words, at(${CONTROL.phase}))
      Atomics.wait(words, at(${CONTROL.failed}), i, 1)
    }
  }
}`

interface Port {
  postMessage(message: unknown): void
  terminate(): unknown
  /** Whether a process of Node waits for it. */
  ref?(): void
  unref?(): void
}

/** The part of Node's module `worker_threads` that is used here. It is asked for at run time: pages have none. */
interface NodeWorker extends Required<Port> {
  on(event: 'message' | 'error' | 'exit', hear: (value: unknown) => void): void
}

type Builtin = (name: string) => { readonly Worker: new(text: string, options: { eval: true }) => NodeWorker }
const builtin = (globalThis as { process?: { getBuiltinModule?: Builtin } }).process?.getBuiltinModule

export const isNode = builtin !== undefined

/** Whether this thread may sleep: a page's main thread must not. The engine is asked: a window of Electron has Node's modules, and must not either. */
export function mayWait(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0)
    return true
  } catch {
    return false
  }
}

/** Throws where workers are forbidden. */
export function startWorker(): WorkerThread {
  let ready: { resolve: () => void; reject: (error: Error) => void } | undefined
  let idle: () => void = () => {}
  const state: { idle: Promise<void>; failure: string | undefined } = { idle: Promise.resolve(), failure: undefined }
  const hear = (message: unknown): void => {
    if (message === 'ready') {
      port.unref?.()
      ready?.resolve()
    } else if (message === 'idle') idle()
    else fail((message as { failure: string }).failure)
  }
  const fail = (why: string): void => {
    state.failure ??= why
    port.unref?.()
    ready?.reject(new Error(why))
    idle()
  }
  const port: Port = builtin ? nodeWorker(builtin, hear, fail) : webWorker(hear, fail)
  return {
    attach(task) {
      if (state.failure !== undefined) return Promise.reject(new Error(state.failure))
      state.idle = new Promise((resolve) => {
        idle = resolve
      })
      return new Promise((resolve, reject) => {
        ready = { resolve, reject }
        port.ref?.()
        port.postMessage(task)
      })
    },
    get idle() {
      return state.idle
    },
    get failure() {
      return state.failure
    },
    close() {
      // Pages are not told.
      fail('it was ended')
      void port.terminate()
    },
  }
}

const THREADS = 'node:worker_threads'

function nodeWorker(load: Builtin, hear: (message: unknown) => void, fail: (why: string) => void): Port {
  const { Worker } = load(THREADS)
  const worker = new Worker(
    `const { parentPort } = process.getBuiltinModule('${THREADS}'); const post = (m) => parentPort.postMessage(m); parentPort.on('message', ${BODY})`,
    { eval: true },
  )
  worker.on('message', hear)
  worker.on('error', (error) => fail(error instanceof Error ? error.message : String(error)))
  worker.on('exit', () => fail('it ended'))
  // A process may end while they wait. Last: whoever listens holds the process.
  worker.unref()
  return worker
}

function webWorker(hear: (message: unknown) => void, fail: (why: string) => void): Port {
  const text = `const post = (m) => postMessage(m); onmessage = (event) => (${BODY})(event.data)`
  const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
  const worker = new Worker(url)
  worker.onmessage = (event) => hear(event.data)
  worker.onerror = (event) => {
    event.preventDefault()
    fail(event.message || 'workers from a blob are forbidden here')
  }
  URL.revokeObjectURL(url)
  return worker
}
