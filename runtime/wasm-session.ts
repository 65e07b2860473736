import { type Arena, CONTROL } from './arena.ts'
import { DeviceError, type Numbers, type Session, type StepScalars } from './device.ts'
import type { Plan } from './format.ts'
import { contents, elementCount } from './sizes.ts'
import type { WorkerThread } from './wasm-workers.ts'

export interface WasmHost {
  /** Throws where the device was closed or a worker died. */
  check(): void
  /** Takes workers back that have nothing to do. */
  release(workers: readonly WorkerThread[]): void
}

export interface LoadedModule {
  readonly memory: WebAssembly.Memory
  readonly run: (thread: number) => void
  /** Threads beside this one. */
  readonly workers: readonly WorkerThread[]
}

/** A bundle in WebAssembly memory at a batch: laid out once, run by this thread and its workers together. */
export class WasmSession implements Session {
  readonly plan: Plan
  readonly batch: number
  readonly #host: WasmHost
  readonly #arena: Arena
  readonly #module: LoadedModule
  readonly #words: Int32Array
  readonly #numbers: Float32Array
  #failure: DeviceError | undefined

  constructor(host: WasmHost, plan: Plan, batch: number, arena: Arena, module: LoadedModule) {
    this.plan = plan
    this.batch = batch
    this.#host = host
    this.#arena = arena
    this.#module = module
    this.#words = new Int32Array(module.memory.buffer)
    this.#numbers = new Float32Array(module.memory.buffer)
    for (const { at, words } of arena.words) this.#words.set(words, at / 4)
    this.#words[CONTROL.threads / 4] = 1 + module.workers.length
    this.#words[CONTROL.scratch / 4] = arena.scratch
    this.#words[CONTROL.scratchBytes / 4] = arena.scratchBytes
    for (const [index, at] of arena.buffers) {
      const buffer = plan.buffers[index]!
      if (buffer.data) this.#numbers.set(contents(buffer), at / 4)
    }
  }

  get allocatedBytes(): number {
    return this.#arena.bytes
  }

  #range(tensor: number): { from: number; length: number; labels: boolean } {
    const { buffer, offset, shape, type } = this.plan.tensors[tensor]!
    const at = this.#arena.buffers.get(buffer)
    if (at === undefined) throw new DeviceError(`buffer ${this.plan.buffers[buffer]?.name} belongs to a program that was not loaded`)
    return { from: at / 4 + offset, length: elementCount(shape, this.batch), labels: type === 'i32' }
  }

  write(tensor: number, data: Numbers): void {
    this.#check()
    const { from, length, labels } = this.#range(tensor)
    if (data.length !== length) throw new DeviceError(`${this.plan.tensors[tensor]!.name} holds ${length} numbers, not ${data.length}`)
    ;(labels ? this.#words : this.#numbers).set(data, from)
  }

  async run(program: string, scalars: StepScalars): Promise<void> {
    this.#start(program, scalars)
    const { block } = this.#arena.programs.get(program)!
    this.#go(block, program)
  }

  #start(program: string, scalars: StepScalars): void {
    this.#check()
    if (!this.#arena.programs.has(program)) throw new DeviceError(`program ${program} was not loaded`)
    this.#words.set([this.batch, scalars.step, scalars.seed], CONTROL.step / 4)
    this.#numbers.set([scalars.rate, scalars.correction1, scalars.correction2], CONTROL.step / 4 + 3)
  }

  #go(block: number, what: string): void {
    this.#words[CONTROL.program / 4] = block
    if (this.#module.workers.length > 0) {
      Atomics.add(this.#words, CONTROL.go / 4, 1)
      Atomics.notify(this.#words, CONTROL.go / 4)
    }
    try {
      this.#module.run(0)
    } catch (error) {
      this.#failure = new DeviceError(`${what} failed in WebAssembly (${(error as Error).message}): open the net again; if that repeats, its bundle and this runtime do not fit together`)
      throw this.#failure
    }
  }

  async read(tensors: readonly number[]): Promise<Numbers[]> {
    this.#check()
    return tensors.map((tensor) => {
      const { from, length, labels } = this.#range(tensor)
      // A copy in memory of its own: what lies in shared memory cannot be handed to everything.
      const copy = new (labels ? Int32Array : Float32Array)(length)
      copy.set((labels ? this.#words : this.#numbers).subarray(from, from + length))
      return copy
    })
  }

  async profile(program: string, scalars: StepScalars): Promise<Float64Array> {
    this.#start(program, scalars)
    const { dispatches } = this.plan.programs[program]!
    return Float64Array.from(this.#arena.programs.get(program)!.single, (block, i) => {
      const start = performance.now()
      this.#go(block, `kernel ${dispatches[i]!.name}`)
      return (performance.now() - start) * 1e6
    })
  }

  #check(): void {
    if (this.#failure) throw this.#failure
    this.#host.check()
    const dead = this.#module.workers.find((w) => w.failure !== undefined)
    if (dead) throw this.#failure = new DeviceError(`a worker died (${dead.failure}): open the net again`)
  }

  close(): void {
    if (!this.#failure) this.#failure = new DeviceError('this net was closed')
    const { workers } = this.#module
    if (workers.length === 0) return
    Atomics.store(this.#words, CONTROL.stop / 4, 1)
    Atomics.add(this.#words, CONTROL.go / 4, 1)
    Atomics.notify(this.#words, CONTROL.go / 4)
    this.#host.release(workers)
  }
}
