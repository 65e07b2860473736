import { nextTask } from '../next-task.ts'
import { writeStep } from '../../bundle/step-uniform.ts'
import { CONTROL, RECORD } from '../../bundle/wasm-abi.ts'
import { ValuesAway } from './away.ts'
import type { MemoryLayout } from './memory-layout.ts'
import { DeviceError, type Numbers, type Session, type StepScalars } from '../../bundle/device.ts'
import type { Plan } from '../../bundle/format.ts'
import { contents, elementCount } from '../../bundle/sizes.ts'
import { mayWait, type WorkerThread } from './workers.ts'

export interface WasmHost {
  /** Throws where the device was closed or a worker died. */
  check(): void
  /** Takes workers back that have been told to stop, and the memory that they ran in. */
  release(workers: readonly WorkerThread[], memory: WebAssembly.Memory): void
  /** Ends workers, whatever they do. */
  drop(workers: readonly WorkerThread[]): void
}

export interface LoadedModule {
  readonly memory: WebAssembly.Memory
  readonly run: (thread: number) => void
  /** Threads beside this one. */
  readonly workers: readonly WorkerThread[]
}

/** Milliseconds of work after which this thread lets go: half a frame of a page. */
const TURN_MS = 8

/** A bundle in WebAssembly memory at a batch: laid out once, run by this thread and its workers together. */
export class WasmSession implements Session {
  readonly plan: Plan
  readonly batch: number
  readonly lend?: NonNullable<Session['lend']>
  readonly #host: WasmHost
  readonly #layout: MemoryLayout
  #module: LoadedModule | undefined
  #words: Int32Array
  #numbers: Float32Array
  /** Values of buffers that are not in memory. */
  readonly #away: ReadonlyMap<number, ValuesAway>
  #failure: DeviceError | undefined
  /** The time at which this turn began, by the plain clock: Node loads the other one when it is first asked for. */
  #turn = Date.now()

  constructor(host: WasmHost, plan: Plan, batch: number, layout: MemoryLayout, module: LoadedModule) {
    this.plan = plan
    this.batch = batch
    this.#host = host
    this.#layout = layout
    this.#module = module
    this.#words = new Int32Array(module.memory.buffer)
    this.#numbers = new Float32Array(module.memory.buffer)
    this.#away = new Map([...layout.away.keys()].map((buffer) => [buffer, new ValuesAway()]))
    if (this.#away.size > 0) this.lend = (tensor, data) => this.#keep(tensor, data)
    for (const { at, words } of layout.words) this.#words.set(words, at / 4)
    this.#words[CONTROL.threads / 4] = 1 + module.workers.length
    this.#words[CONTROL.mayWait / 4] = Number(module.workers.length > 0 && mayWait())
    this.#words[CONTROL.scratch / 4] = layout.scratch
    this.#words[CONTROL.scratchBytes / 4] = layout.scratchBytes
    for (const [index, at] of layout.buffers) {
      const buffer = plan.buffers[index]!
      if (buffer.data) this.#numbers.set(contents(buffer), at / 4)
    }
  }

  get allocatedBytes(): number {
    return this.#layout.bytes
  }

  #range(tensor: number): { from: number; length: number; labels: boolean } {
    const { buffer, shape, type } = this.plan.tensors[tensor]!
    const at = this.#layout.buffers.get(buffer)
    if (at === undefined) throw new DeviceError(`buffer ${this.plan.buffers[buffer]?.name} belongs to a program that was not loaded`)
    return { from: at / 4 + this.#layout.offsets[tensor]!, length: elementCount(shape, this.batch), labels: type === 'i32' }
  }

  write(tensor: number, data: Numbers): void {
    if (this.#away.has(this.plan.tensors[tensor]!.buffer)) this.#keep(tensor, Float32Array.from(data))
    else this.#write(tensor, data)
  }

  #keep(tensor: number, data: Numbers): void {
    const { name, buffer, offset } = this.plan.tensors[tensor]!
    const values = this.#away.get(buffer)
    if (!values) return this.#write(tensor, data)
    this.#check()
    const length = elementCount(this.plan.tensors[tensor]!.shape, this.batch)
    if (data.length !== length) throw new DeviceError(`${name} holds ${length} numbers, not ${data.length}`)
    values.set(offset, data instanceof Float32Array ? data : Float32Array.from(data))
    for (const { from, to, at } of this.#layout.away.get(buffer)!)
      if (from < offset + length && offset < to) values.copy(from, this.#numbers.subarray(at / 4, at / 4 + to - from))
  }

  #write(tensor: number, data: Numbers): void {
    this.#check()
    const { from, length, labels } = this.#range(tensor)
    if (data.length !== length) throw new DeviceError(`${this.plan.tensors[tensor]!.name} holds ${length} numbers, not ${data.length}`)
    ;(labels ? this.#words : this.#numbers).set(data, from)
  }

  /** All is done when the promise is made; it resolves after others had a turn, if they waited for long. */
  async run(program: string, scalars: StepScalars): Promise<void> {
    this.#start(program, scalars)
    const { block, single } = this.#layout.programs.get(program)!
    if (this.#away.size > 0 && program === 'prepare') single.forEach((own, i) => this.#goAlone(own, program, i))
    else this.#go(block, program)
    // A clock that was set back makes a turn end early, never late.
    if (Math.abs(Date.now() - this.#turn) < TURN_MS) return
    await nextTask()
    this.#turn = Date.now()
  }

  #start(program: string, scalars: StepScalars): void {
    this.#check()
    if (!this.#layout.programs.has(program)) throw new DeviceError(`program ${program} was not loaded`)
    writeStep(this.#words, this.#numbers, CONTROL.step / 4, this.batch, scalars)
  }

  /** Runs one dispatch of a program. Values of buffers that are not in memory are brought for it first. */
  #goAlone(block: number, program: string, dispatch: number): void {
    for (const { tensor, at } of program === 'prepare' ? this.#layout.brought[dispatch] ?? [] : []) {
      const { buffer, offset, shape } = this.plan.tensors[tensor]!
      this.#away.get(buffer)!.copy(offset, this.#numbers.subarray(at / 4, at / 4 + elementCount(shape)))
    }
    this.#go(block, program, dispatch)
  }

  /** `first`: of the block's dispatches, its number in the program. */
  #go(block: number, program: string, first = 0): void {
    // Nobody would wait for the workers, who would find the next program for this one.
    if (this.#words[block / 4] === 0) return
    const { run, workers } = this.#module!
    this.#words[CONTROL.program / 4] = block
    if (workers.length > 0) {
      Atomics.add(this.#words, CONTROL.go / 4, 1)
      Atomics.notify(this.#words, CONTROL.go / 4)
    }
    let why = 'in a worker'
    try {
      run(0)
    } catch (error) {
      why = (error as Error).message
      // What was taken from and not finished is what failed, unless a worker noted another before.
      Atomics.compareExchange(this.#words, CONTROL.failed / 4, 0, this.#unfinished(block, program))
    }
    const failed = Atomics.load(this.#words, CONTROL.failed / 4)
    if (failed === 0) return
    // The module shares this memory, so it may have written anything there.
    const name = this.plan.programs[program]!.dispatches[first + failed - 1]?.name ?? 'that is not known'
    const failure = new DeviceError(
      `kernel ${name} failed in WebAssembly (${why}): open the net again; if that repeats, its bundle and this runtime do not fit together`,
    )
    this.#end(failure)
    this.#host.drop(workers)
    throw failure
  }

  /** The number, from 1 on, of the first dispatch of a block whose tasks were not all done. The workers' text computes the same. */
  #unfinished(block: number, program: string): number {
    const at = (address: number): number => address >>> 2
    const count = Math.min(this.#words[at(block)]!, this.plan.programs[program]!.dispatches.length)
    let i = 1
    while (i < count && this.#words[at(this.#words[at(block) + i]!) + RECORD.busy / 4] === 0) i++
    return i
  }

  async read(tensors: readonly number[]): Promise<Numbers[]> {
    this.#check()
    return tensors.map((tensor) => {
      const { buffer, offset, shape } = this.plan.tensors[tensor]!
      const values = this.#away.get(buffer)
      if (values) {
        const copy = new Float32Array(elementCount(shape, this.batch))
        values.copy(offset, copy)
        return copy
      }
      const { from, length, labels } = this.#range(tensor)
      // A copy in memory of its own: what lies in shared memory cannot be handed to everything.
      const copy = new (labels ? Int32Array : Float32Array)(length)
      copy.set((labels ? this.#words : this.#numbers).subarray(from, from + length))
      return copy
    })
  }

  async trace(program: string, scalars: StepScalars, done: (dispatch: number) => Promise<boolean>): Promise<void> {
    this.#start(program, scalars)
    for (const [i, block] of this.#layout.programs.get(program)!.single.entries()) {
      this.#goAlone(block, program, i)
      if (await done(i)) return
    }
  }

  async profile(program: string, scalars: StepScalars): Promise<Float64Array> {
    this.#start(program, scalars)
    return Float64Array.from(this.#layout.programs.get(program)!.single, (block, i) => {
      const start = performance.now()
      this.#goAlone(block, program, i)
      return (performance.now() - start) * 1e6
    })
  }

  #check(): void {
    if (this.#failure) throw this.#failure
    this.#host.check()
    const { workers } = this.#module!
    const dead = workers.find((w) => w.failure !== undefined)
    if (!dead) return
    const failure = new DeviceError(`a worker died (${dead.failure}): open the net again`)
    this.#end(failure)
    this.#host.drop(workers)
    throw failure
  }

  /** Ends the session: from now on everything fails like this, and the memory is let go. */
  #end(failure: DeviceError): void {
    this.#failure = failure
    this.#module = undefined
    this.#words = new Int32Array()
    this.#numbers = new Float32Array()
  }

  close(): void {
    if (!this.#module) return
    const { workers, memory } = this.#module
    Atomics.store(this.#words, CONTROL.stop / 4, 1)
    Atomics.add(this.#words, CONTROL.go / 4, 1)
    if (workers.length > 0) Atomics.notify(this.#words, CONTROL.go / 4)
    this.#end(new DeviceError('this net was closed'))
    this.#host.release(workers, memory)
  }
}
