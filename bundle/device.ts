import type { Bundle, Plan, Storage } from './format.ts'

/** Numbers that go with every dispatch of one run of a program. */
export interface StepScalars {
  readonly step: number
  readonly seed: number
  readonly rate: number
  /** 1 - beta1^(t+1), 1 - beta2^(t+1); 1 for solvers without. */
  readonly correction1: number
  readonly correction2: number
}

export type Numbers = Float32Array | Int32Array | Float64Array

/** The precision in which a device computes: float32, or float64 as the interpreter does, to compare with. */
export type Precision = 'f32' | 'f64'

/**
 * A device that can run a bundle. `webgpu` and `wasm` are the runtime's own; the compiler gives `interpreter`; hosts may bring others.
 */
export interface Device<P extends Precision = Precision> {
  readonly name: string
  /** A description for people: the adapter's name, or the number of threads. */
  readonly description: string
  /** The words that tell this hardware from other: measurements are kept under them. Absent where nothing can be kept. */
  readonly identity?: Readonly<Record<string, string>>
  /** `f64`: it gives Float64Array, whatever is read. Absent: `f32`, Float32Array and for integers Int32Array. */
  readonly precision?: P
  /** Whether the arithmetic is done by a CPU pretending to be a GPU. */
  readonly software: boolean
  /** Whether it runs plans with f16 storage. Absent: it does not. */
  readonly half?: boolean
  /**
   * Takes a bundle at a batch size: compiles kernels, allocates all buffers (zeroed) and bind groups. Refuses before it
   * allocates what the device cannot hold. Throws `DeviceError`. `programs`: only these will run (and `prepare`, where one of them needs it), so
   * what the others alone need may be left out. `storage`: which of the bundle's plans; f16 only where `half`.
   */
  load(bundle: Bundle, batch: number, programs?: readonly string[], storage?: Storage): Promise<Session>
  /** Gives the device back; a process may end. */
  close(): void
}

export interface Session {
  /** The plan that runs: the bundle's own for this target, or the device's. Tensor indices below are into it. */
  readonly plan: Plan
  readonly batch: number
  /** Writes a whole tensor: as many numbers as its shape holds at this batch. `data` are the caller's again when it returns. */
  write(tensor: number, data: Numbers): void
  /** The same, where `data` stay as they are as long as the session is open: it does not copy them. Absent: it copies all values. */
  lend?(tensor: number, data: Numbers): void
  /** Runs all dispatches of a program in order. Resolves when it is submitted; errors of it surface at the next read. */
  run(program: string, scalars: StepScalars): Promise<void>
  /** Reads whole tensors, after everything that was run before. The interpreter gives Float64Array. */
  read(tensors: readonly number[]): Promise<Numbers[]>
  /** Bytes that are allocated. */
  readonly allocatedBytes: number
  /**
   * Runs a program dispatch by dispatch and tells the number of each when it is done; what it wrote can be read then. Ends where that gives true.
   * Absent: nobody can look so closely.
   */
  trace?(program: string, scalars: StepScalars, done: (dispatch: number) => Promise<boolean>): Promise<void>
  /** Time of each dispatch of a program in nanoseconds, where the device can tell. */
  profile?(program: string, scalars: StepScalars): Promise<Float64Array | undefined>
  close(): void
}

/** The device failed or cannot do it: exit code 3. The message says which kernel and what to do. */
export class DeviceError extends Error {
  override name = 'DeviceError'
}
