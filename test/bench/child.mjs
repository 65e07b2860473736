import { fork } from 'node:child_process'

/**
 * onnxruntime-web's 24 MB of WebAssembly keep V8's optimizing compiler busy for a minute, on all cores, while others are being
 * measured. With WebGPU that code only hands out work: the baseline compiler's is as fast in the end.
 */
const nodeFlags = (name, backend) => (name === 'ort' && backend === 'webgpu' ? ['--liftoff-only'] : [])

/** One competitor's process (competitor.mjs), asked from here. An answer that takes longer than the limit is a failure. */
export class Child {
  #process
  #waiting = new Map()
  #nextId = 0
  #name
  #limitSeconds

  constructor(name, { env, backend, limitSeconds }) {
    this.#name = name
    this.#limitSeconds = limitSeconds
    // What peers print goes to stderr: stdout is for the figures.
    this.#process = fork(new URL('./competitor.mjs', import.meta.url), [], {
      env,
      execArgv: nodeFlags(name, backend),
      serialization: 'advanced',
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    this.#process.on('message', ({ id, result, error, unsupported }) => {
      const settle = (waiting) => (error ? waiting.reject(Object.assign(new Error(error), { unsupported })) : waiting.resolve(result))
      if (id === undefined) return void [...this.#waiting.values()].forEach(settle)
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (waiting) settle(waiting)
    })
    this.#process.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${name} ended: ${signal ?? `exit code ${code}`}`))
    })
  }

  ask(call, args = {}) {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const seconds = this.#limitSeconds
      const timer = setTimeout(() => reject(new Error(`${this.#name} took longer than ${seconds} s to ${call}`)), seconds * 1000)
      const settled = (f) => (value) => {
        clearTimeout(timer)
        f(value)
      }
      this.#waiting.set(id, { resolve: settled(resolve), reject: settled(reject) })
      this.#process.send({ id, call, ...args })
    })
  }

  kill() {
    this.#process.kill('SIGKILL')
  }
}
